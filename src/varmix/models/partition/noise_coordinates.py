"""What a climb of the noise moves, as one vector without constraints: deviations, exponents, logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from varmix.errors import OptionError
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import HeteroscedasticStats
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import EXPONENTS, NAMES, Noise
from varmix.models.partition.noise_point import SCALARS, NoisePoint, scalar
from varmix.typing import Matrix, Vector

FREE = frozenset({*SCALARS, "shares", "proportions"})
ADDITIVE = frozenset({"mean", *EXPONENTS})
RELATIVE = ("misfit_proportional", "scatter_proportional")

LOWEST_SHARE = 1e-12
"""Share or proportion at which logits start that are given as 0: softmax cannot leave 0."""

MOST_LACK = 0.25
"""Misfit and scatter stay below this share of the mean. The levels are observed: were they allowed to be of the size of
the mean itself, all that is observed would be lack of fit, sd in proportion to what it is to explain, and block means
constant. That point can have the higher likelihood, and says nothing."""

MOST_EXPONENT = 4.0
"""Noise that grows faster than the square of the mean is not sought beyond this."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coordinates:
    """Free parameters as one vector: standard deviations in units of the start, exponents, logits.

    Standard deviations are bounded by 0 below, so that a variance can be 0; what starts at 0 stays there.
    """

    start: HeteroscedasticParams
    scalars: tuple[str, ...]
    shares: bool
    proportions: bool

    @classmethod
    def of(cls, start: HeteroscedasticParams, free: frozenset[str]) -> Coordinates:
        """Raises OptionError for a name that is no parameter."""
        if unknown := free - FREE:
            raise OptionError(f"{', '.join(sorted(unknown))} is no parameter. Free can be: {', '.join(sorted(FREE))}.")
        moving = [name for name in SCALARS if name in free and (name in ADDITIVE or scalar(start, name) > 0.0)]
        return cls(start=start, scalars=tuple(moving), shares="shares" in free, proportions="proportions" in free)

    @property
    def vector(self) -> Vector:
        """The start."""
        parts = [np.array([scalar(self.start, n) / self._unit(n) if n in ADDITIVE else 1.0 for n in self.scalars])]
        if self.shares:
            parts.append(np.log(np.maximum(self.start.shares, LOWEST_SHARE)))
        if self.proportions:
            parts.append(np.log(np.maximum(self.start.proportions, LOWEST_SHARE)).ravel())
        return np.concatenate(parts)

    @property
    def bounds(self) -> list[tuple[float | None, float | None]]:
        """One pair per coordinate."""
        kinds: dict[str, tuple[float | None, float | None]] = dict.fromkeys(SCALARS, (0.0, None))
        kinds |= {"mean": (None, None)} | dict.fromkeys(EXPONENTS, (0.0, MOST_EXPONENT))
        kinds |= {n: (0.0, self._most(n)) for n in RELATIVE if n in self.scalars}
        return [kinds[n] for n in self.scalars] + [(None, None)] * (len(self.vector) - len(self.scalars))

    def params(self, vector: Vector) -> HeteroscedasticParams:
        """The point of a vector."""
        count, size = len(self.scalars), len(self.start.shares)
        values = {
            n: float(self._unit(n) * x if n in ADDITIVE else scalar(self.start, n) * x * x)
            for n, x in zip(self.scalars, vector[:count], strict=True)
        }
        changes: dict[str, float | Vector | Matrix | Noise] = {n: x for n, x in values.items() if n not in NAMES}
        changes["noise"] = replace(self.start.noise, **{n: x for n, x in values.items() if n in NAMES})
        if self.shares:
            changes["shares"] = softmax(vector[count : count + size])
        if self.proportions:
            logits = vector[count + size * self.shares :].reshape(self.start.proportions.shape)
            changes["proportions"] = softmax(logits, axis=1)
        return replace(self.start, **changes)  # type: ignore[arg-type]

    def point(self, params: HeteroscedasticParams, pieces: Sequence[Genes], *, prior: bool) -> NoisePoint:
        """A point with all that is not free held; without a prior also proportions of types that no gene shows."""
        moving = np.array([name in self.scalars for name in SCALARS])
        upper = np.full(len(SCALARS), np.inf)
        for k, name in enumerate(SCALARS):
            if name in EXPONENTS:
                upper[k] = MOST_EXPONENT
            elif name in RELATIVE and name in self.scalars:
                upper[k] = scalar(self.start, name) * self._most(name) ** 2
        seen = np.zeros(len(params.proportions), dtype=np.bool_)
        for piece in pieces:
            seen[piece.types] = True
        rows = (seen | prior) & self.proportions
        count, (_, size) = len(params.shares), params.proportions.shape
        free = np.concatenate([moving, np.full(count, self.shares and count > 1), np.repeat(rows, size)])
        unbounded = np.full(len(free) - len(SCALARS), np.inf)
        return NoisePoint(params=params, fixed=~free, upper=np.concatenate([upper, unbounded]))

    def pull(self, vector: Vector, params: HeteroscedasticParams, stats: HeteroscedasticStats) -> Vector:
        """Gradient of the log-likelihood in these coordinates."""
        scores = self._scores(stats)
        parts = [
            np.array(
                [
                    scores[n] * (self._unit(n) if n in ADDITIVE else 2.0 * scalar(self.start, n) * x)
                    for n, x in zip(self.scalars, vector[: len(self.scalars)], strict=True)
                ]
            )
        ]
        if self.shares:
            parts.append(stats.counts - stats.counts.sum() * params.shares)
        if self.proportions:
            P, score = params.proportions, stats.score_proportions
            parts.append((P * (score - (P * score).sum(axis=1, keepdims=True))).ravel())
        return np.concatenate(parts)

    def _scores(self, stats: HeteroscedasticStats) -> dict[str, float]:
        return dict(zip(NAMES, stats.score_noise.tolist(), strict=True)) | {
            "mean": stats.score_mean,
            "between": stats.score_between,
            "spread": stats.score_spread,
        }

    def _most(self, name: str) -> float:
        return max(MOST_LACK * self.start.trend.reference / math.sqrt(scalar(self.start, name)), 1.0)

    def _unit(self, name: str) -> float:
        return math.sqrt(self.start.between) or 1.0 if name == "mean" else 1.0
