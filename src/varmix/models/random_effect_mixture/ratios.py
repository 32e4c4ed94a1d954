"""Whether responses look like ratios, as odds ratios do, where effects are differences of logarithms."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from varmix.typing import Vector

FEWEST = 20
"""Rows below which all may be positive by chance: of effects half are negative."""

EDGES = 0.895 + 0.01 * np.arange(22)
"""Bins around 0.90, 0.91, ..., 1.10. LDSC asks the median of effects to be within 0.1 of what no effect is; of odds
ratios that is 1."""

LOW, LOW_SHARE = 0.25, 0.05
"""Sizes of effects, |b|, are positive too, but pile up near 0: at a median of 1 an eighth of them are below 0.25 where
they are normal, and more where they are mixtures. Of odds ratios fewer are, with an sd below 0.8 of logarithms."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResponseRatios:
    """Counts of rows by y, which add: all, those below `LOW`, and by the bins of `EDGES` with one at either end (23,);
    `positive` is whether every y is, without which nothing else is counted. `x_low`, `x_high`: the range of x."""

    rows: int = 0
    positive: bool = True
    low: int = 0
    bins: Vector = field(default_factory=lambda: np.zeros(len(EDGES) + 1))
    x_low: float = np.inf
    x_high: float = -np.inf

    @classmethod
    def of(cls, y: Vector, x: Vector) -> ResponseRatios:
        """Of rows y and x, shape (n,), in the units of the data."""
        if not len(y):
            return cls()
        if not y.min() > 0.0:
            return cls(rows=len(y), positive=False)
        bins = np.bincount(np.searchsorted(EDGES, y, side="right"), minlength=len(EDGES) + 1)
        return cls(
            rows=len(y),
            low=int((y < LOW).sum()),
            bins=bins.astype(np.float64),
            x_low=float(x.min()),
            x_high=float(x.max()),
        )

    def __add__(self, other: ResponseRatios) -> ResponseRatios:
        rows = self.rows + other.rows
        if not (self.positive and other.positive):
            return ResponseRatios(rows=rows, positive=False)
        return ResponseRatios(
            rows=rows,
            low=self.low + other.low,
            bins=self.bins + other.bins,
            x_low=min(self.x_low, other.x_low),
            x_high=max(self.x_high, other.x_high),
        )

    def told(self) -> tuple[str, ...]:
        """A sentence where every y is positive with a median near 1, x varies and y does not pile up at 0."""
        if not (self.positive and self.rows >= FEWEST and self.x_low < self.x_high):
            return ()
        place = int(np.searchsorted(np.cumsum(self.bins), 0.5 * self.rows))
        if place in (0, len(EDGES)) or self.low > LOW_SHARE * self.rows:
            return ()
        median = EDGES[place] - 0.005
        sentence = (
            f"Every y is positive with a median of {median:.2f}: are these odds ratios, or other ratios? Effects are "
            "differences, which are 0 and not 1 where there is none: take logarithms (np.log), with the standard "
            "errors of these. If y is positive by design, nothing needs to change."
        )
        return (sentence,)
