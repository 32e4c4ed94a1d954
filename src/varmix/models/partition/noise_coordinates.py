"""What a climb of the noise moves, as one vector without constraints: deviations, exponents, logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_softmax, softmax

from varmix.errors import OptionError, ShapeError
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import HeteroscedasticStats
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import EXPONENTS, NAMES, Noise
from varmix.models.partition.noise_point import SCALARS, NoisePoint, scalar
from varmix.typing import Mask, Matrix, Vector

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

    Standard deviations are bounded by 0 below, so that a variance can be 0; what starts at 0 stays there. `entries`
    (D, T) marks the proportions that move; they share what the others of their row leave of 1.
    """

    start: HeteroscedasticParams
    scalars: tuple[str, ...]
    shares: bool
    entries: Mask

    @classmethod
    def of(cls, start: HeteroscedasticParams, free: frozenset[str], known: Matrix | None = None) -> Coordinates:
        """With `known` (D, T) proportions put in place, NaN where they are estimated; None: all or none move.

        Raises OptionError for a name that is no parameter, ShapeError for known proportions of another shape.
        """
        if unknown := free - FREE:
            raise OptionError(f"{', '.join(sorted(unknown))} is no parameter. Free can be: {', '.join(sorted(FREE))}.")
        if known is not None:
            start = replace(start, proportions=with_known(start.proportions, known))
        moving = [name for name in SCALARS if name in free and (name in ADDITIVE or scalar(start, name) > 0.0)]
        entries = np.full(start.proportions.shape, "proportions" in free)
        if known is not None:
            entries &= np.isnan(known)
            entries &= (start.proportions * entries).sum(axis=1, keepdims=True) > 0.0
        return cls(start=start, scalars=tuple(moving), shares="shares" in free, entries=entries)

    @property
    def vector(self) -> Vector:
        """The start."""
        parts = [np.array([scalar(self.start, n) / self._unit(n) if n in ADDITIVE else 1.0 for n in self.scalars])]
        if self.shares:
            parts.append(np.log(np.maximum(self.start.shares, LOWEST_SHARE)))
        parts.append(np.log(np.maximum(self.start.proportions[self.entries], LOWEST_SHARE)))
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
        if self.entries.any():
            P = self.start.proportions.copy()
            P[self.entries] = (self._left() * softmax(self._logits(vector), axis=1))[self.entries[self._rows]]
            changes["proportions"] = P
        return replace(self.start, **changes)  # type: ignore[arg-type]

    def point(
        self, params: HeteroscedasticParams, pieces: Sequence[Genes], *, excess: Matrix | None = None
    ) -> NoisePoint:
        """A point with all that is not free held, also proportions of types that no gene shows and no prior tells.

        `excess` (D, T) is the concentration of the prior less 1; None is no prior.
        """
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
        if excess is not None:
            seen |= (excess * self.entries > 0.0).any(axis=1)
        entries, count = self.entries & seen[:, None], len(params.shares)
        free = np.concatenate([moving, np.full(count, self.shares and count > 1), entries.ravel()])
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
        if self.entries.any():
            P = (params.proportions * self.entries)[self._rows]
            score = stats.score_proportions[self._rows]
            told = P * (score - (P * score).sum(axis=1, keepdims=True) / self._left())
            parts.append(told[self.entries[self._rows]])
        return np.concatenate(parts)

    def log_prior(self, vector: Vector, excess: Matrix) -> tuple[float, Vector]:
        """`sum excess log p` over the entries that move, and its gradient; `excess` has shape (D, T)."""
        gradient = np.zeros(len(vector))
        if not self.entries.any():
            return 0.0, gradient
        told = excess[self._rows] * self.entries[self._rows]
        logs = log_softmax(self._logits(vector), axis=1)
        inside = self.entries[self._rows]
        value = float((told * np.log(self._left()))[inside].sum() + (told[inside] * logs[inside]).sum())
        slope = told - told.sum(axis=1, keepdims=True) * np.exp(logs)
        gradient[-int(inside.sum()) :] = slope[inside]
        return value, gradient

    @property
    def _rows(self) -> Mask:
        return np.asarray(self.entries.any(axis=1))

    def _left(self) -> Matrix:
        """What the known entries leave of 1, for rows that move, (rows, 1)."""
        held = np.where(self.entries, 0.0, self.start.proportions)[self._rows]
        return np.asarray(1.0 - held.sum(axis=1, keepdims=True))

    def _logits(self, vector: Vector) -> Matrix:
        """Of rows that move, -inf where an entry is known."""
        logits = np.full(self.entries.shape, -np.inf)
        logits[self.entries] = vector[len(vector) - int(self.entries.sum()) :]
        return np.asarray(logits[self._rows])

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


def with_known(proportions: Matrix, known: Matrix) -> Matrix:
    """`known` (D, T), its NaN filled from `proportions` in the ratio they have there (equally if all 0).

    Raises ShapeError where the two differ in shape.
    """
    if known.shape != proportions.shape:
        raise ShapeError(
            f"Known proportions have the shape {known.shape}, the start's {proportions.shape}. Give one row per sample "
            "type and one column per cell type, NaN for what is to be estimated."
        )
    unknown = np.isnan(known)
    left = np.maximum(1.0 - np.where(unknown, 0.0, known).sum(axis=1, keepdims=True), 0.0)
    guess = np.where(unknown, proportions, 0.0)
    empty = unknown & ~(guess.sum(axis=1, keepdims=True) > 0.0)
    guess[empty] = 1.0
    total = guess.sum(axis=1, keepdims=True)
    filled = np.divide(guess * left, total, out=np.zeros_like(guess), where=total > 0.0)
    return np.where(unknown, filled, known)
