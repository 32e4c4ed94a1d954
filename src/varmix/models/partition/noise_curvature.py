"""Score and observed information of a point whose noise differs: of the shares exact, else by differences of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from varmix.errors import OptionError
from varmix.models.partition import composite_heteroscedastic, heteroscedastic
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import HeteroscedasticStats
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise_point import SCALARS, NoisePoint
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.reduced import Reduced
from varmix.typing import Index, Matrix, Square, Vector

Summarise = Callable[[HeteroscedasticParams, Partitions, Genes], HeteroscedasticStats]
SpreadScore = Callable[[HeteroscedasticParams, Partitions, Genes], float]

LIKELIHOODS: dict[str, tuple[Summarise, SpreadScore]] = {
    "joint": (heteroscedastic.summarise, heteroscedastic.spread_score),
    "composite": (composite_heteroscedastic.summarise, composite_heteroscedastic.spread_score),
}
"""Statistics of a piece, and their score of the spread where that is 0."""

STEP, FLOOR = 1e-4, 1e-3
"""Differences step by this share of a coordinate, or of this share of its unit where it is smaller: truncation and
rounding of central differences are then both near 1e-7 of the information."""

SPREAD_STEP, SPREAD_FLOOR = 1e-2, 0.1
"""The same for the spread: its score loses digits as the square of the spread."""

SPREAD = SCALARS.index("spread")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisePosterior:
    """The log-likelihood with a Dirichlet prior of `excess` = concentration - 1 (D, T) on what moves of P."""

    partitions: Partitions
    excess: Matrix | None = None
    likelihood: str = "joint"

    def __post_init__(self) -> None:
        if self.likelihood not in LIKELIHOODS:
            raise OptionError(f"likelihood={self.likelihood!r} is not known. Use 'joint' or 'composite'.")

    def of_share(self, share: float) -> NoisePosterior:
        """With the prior's part for that share of all genes, so that the optimum of some is about that of all."""
        return replace(self, excess=None if self.excess is None else share * self.excess)

    def summarise(self, point: NoisePoint, piece: Genes) -> HeteroscedasticStats:
        """Statistics of one piece; NaN where there is no density."""
        try:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                summarise, spread_score = LIKELIHOODS[self.likelihood]
                stats = summarise(point.params, self.partitions, piece)
                if point.params.spread == 0.0 and not point.held[SPREAD]:
                    slope = spread_score(point.params, self.partitions, piece)
                    return replace(stats, score_spread=slope)
                return stats
        except np.linalg.LinAlgError:  # eigenvectors of what is not finite
            return _undefined(point, len(self.partitions))

    def total(self, point: NoisePoint, pieces: Sequence[Genes]) -> HeteroscedasticStats:
        """Statistics of all pieces."""
        total, *rest = (self.summarise(point, piece) for piece in pieces)
        for stats in rest:
            total = total + stats
        return total

    def objective(self, point: NoisePoint, stats: HeteroscedasticStats) -> float:
        """Log-likelihood and log prior up to its constant; -inf where either is not finite."""
        value = stats.log_likelihood
        where, excess = self._prior(point)
        if where.size:
            with np.errstate(divide="ignore"):
                value += float(excess @ np.log(point.vector()[where]))
        return value if np.isfinite(value) else -np.inf

    def score(self, point: NoisePoint, stats: HeteroscedasticStats) -> Vector:
        """Derivatives by all coordinates of the point, (K,)."""
        score = likelihood_score(stats)
        where, excess = self._prior(point)
        with np.errstate(divide="ignore"):
            score[where] += excess / point.vector()[where]
        return score

    def information(self, point: NoisePoint, frame: Reduced, pieces: Sequence[Genes]) -> Square:
        """Minus the second derivatives in the moving coordinates of `frame`, (k, k).

        The block of the shares is exact. All else comes from steps along the other coordinates: central differences; at
        the lower bound one-sided ones of second order.
        """
        vector, steps = point.vector(), _steps(point)
        first, count = len(SCALARS), len(point.params.shares)
        shares = (frame.moving >= first) & (frame.moving < first + count)
        stepped = np.flatnonzero(~shares)

        def slope(k: int, times: float) -> Vector:
            at = point.placed(vector + times * steps[frame.moving[k]] * frame.directions[:, k])
            return frame.pull(likelihood_score(self.total(at, pieces)))

        information = np.zeros((len(shares), len(shares)))
        if shares.any():
            own = frame.directions[first : first + count, shares]
            products = self.total(point, pieces).share_products
            information[np.ix_(shares, shares)] = own.T @ products @ own
        for k in stepped.tolist():
            position = frame.moving[k]
            step = steps[position]
            if position and vector[position] < step:
                column = -1.5 * slope(k, 0.0) + 2.0 * slope(k, 1.0) - 0.5 * slope(k, 2.0)
            else:
                column = 0.5 * (slope(k, 1.0) - slope(k, -1.0))
            information[:, k] = -column / step
        information[np.ix_(stepped, shares)] = information[np.ix_(shares, stepped)].T
        curved = np.zeros_like(vector)
        where, excess = self._prior(point)
        curved[where] = excess / vector[where] ** 2
        prior = frame.directions.T @ (curved[:, None] * frame.directions)
        return np.asarray(0.5 * (information + information.T) + prior)

    def _prior(self, point: NoisePoint) -> tuple[Index, Vector]:
        """Positions of the proportions that the prior tells of, and its excess there."""
        first = len(SCALARS) + len(point.params.shares)
        if self.excess is None:
            return np.zeros(0, dtype=np.intp), np.zeros(0)
        told = np.flatnonzero(~point.held[first:] & (self.excess.ravel() > 0.0))
        return first + told, self.excess.ravel()[told]


def likelihood_score(stats: HeteroscedasticStats) -> Vector:
    """Scores in the order of a point's coordinates."""
    scalars = [stats.score_mean, stats.score_between, stats.score_spread, *stats.score_noise]
    return np.concatenate([scalars, stats.score_shares, stats.score_proportions.ravel()])


def _steps(point: NoisePoint) -> Vector:
    size = np.maximum(np.abs(point.vector()), FLOOR * point.unit)
    size[0] = point.unit[0]
    steps = STEP * size
    steps[SPREAD] = SPREAD_STEP * max(point.params.spread, SPREAD_FLOOR)
    return np.asarray(steps)


def _undefined(point: NoisePoint, partitions: int) -> HeteroscedasticStats:
    return HeteroscedasticStats(
        log_likelihood=-np.inf,
        counts=np.full(partitions, np.nan),
        score_mean=np.nan,
        score_between=np.nan,
        score_noise=np.full(len(SCALARS) - 3, np.nan),
        score_spread=np.nan,
        score_shares=np.full(partitions, np.nan),
        score_proportions=np.full(point.params.proportions.shape, np.nan),
        share_products=np.full((partitions, partitions), np.nan),
    )
