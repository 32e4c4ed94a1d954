"""Which noise the data have: does it grow with expression, and do types' means lie on the mixtures [PART-5].

Both are judged from reduced genes, without a fit of partitions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import polygamma, psi
from scipy.stats import f as f_distribution
from scipy.stats import norm
from scipy.stats import t as t_distribution

from varmix.models.partition.genes import EXACT, Genes
from varmix.typing import Array, Index, Mask, Matrix, Vector

LEVEL = 0.01
"""Chance of a finding where noise is plain, each: both together keep a false alarm below 1 in 50 fits."""

LEAST_SLOPE = 0.1
"""Exponent below which a trend matters little: over a tenfold range of levels variances differ by a quarter."""

LEAST_LACK = 1.2
"""Ratio below which lack of fit matters little: a tenth of the standard error of a type's mean."""

FEWEST = 10
"""Genes below which a trend is not judged, and lack of fit is judged as if there were none."""

LOWEST = 1e-3
"""Share of the median positive level below which a level counts as this share."""

FARTHEST = 8.0
"""Normal score at which one gene counts no further."""

RANK = 1e-10
"""Singular values of P, relative to the largest, that are rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseDiagnosis:
    """What replicates and mixtures say about noise; NaN where nothing can be said.

    `slope` is the exponent of the level in the variance within types, with its standard error `slope_error` and
    one-sided `slope_p`; `lack_of_fit` the mean square of types' means about the mixtures of known proportions over what
    replicates predict, 1 where mixing is exact, with `lack_of_fit_p`; `not_positive` the share of types' means that are
    0 or less, which have no level; `genes` how many were seen.
    """

    genes: int
    slope: float
    slope_error: float
    slope_p: float
    lack_of_fit: float
    lack_of_fit_p: float
    not_positive: float

    @property
    def grows(self) -> bool:
        """Whether variances within types grow with the level, surely and to an extent that matters."""
        return self.slope_p < LEVEL and self.slope > LEAST_SLOPE

    @property
    def misfits(self) -> bool:
        """Whether types' means deviate from the mixtures by more than replicates do, surely and noticeably."""
        return self.lack_of_fit_p < LEVEL and self.lack_of_fit > LEAST_LACK

    @property
    def plain(self) -> bool:
        """Whether neither was found: one variance of cells and of measurement serves all genes."""
        return not (self.grows or self.misfits)

    @property
    def words(self) -> str:
        """What was found, with its numbers."""
        return f"{self._trend_told()} {self._lack_told()}"

    def _trend_told(self) -> str:
        if math.isnan(self.slope):
            return (
                "Whether noise grows with expression cannot be told: too few genes have replicates and positive means."
            )
        told = f"(exponent {self.slope:.2f}, standard error {self.slope_error:.2f}, {self.genes:,} genes)"
        if self.grows:
            return f"Noise within sample types grows with expression {told}."
        if self.slope_p > 1.0 - LEVEL and self.slope < -LEAST_SLOPE:
            return f"Noise within sample types falls with expression {told}: are these logarithms?"
        return f"Noise within sample types does not grow with expression {told}."

    def _lack_told(self) -> str:
        if math.isnan(self.lack_of_fit):
            return (
                "Whether types' means lie on mixtures cannot be told: this needs replicates and more sample types with "
                "known proportions than cell types."
            )
        told = f"{self.lack_of_fit:.2f} times the mean square that replicates predict (p {_small(self.lack_of_fit_p)})"
        if self.misfits:
            return f"Means of sample types lie off the mixtures of their cell types, with {told}."
        return f"Means of sample types lie on the mixtures of their cell types, with {told}."


def diagnose(pieces: Sequence[Genes], proportions: Matrix | None = None) -> NoiseDiagnosis:
    """From reduced genes in any unit; `proportions` (D, T) with NaN where they are not known, None where none is.

    Trend: log of the variance within a type, less the mean of its log chi-square, against the log of the type's mean,
    each type with a level of its own; standard errors take genes as clusters, so that a gene's own scale of noise does
    no harm. Means and variances of normal replicates are independent: an exponent of 0 is found at its chance.

    Lack of fit: each gene's means are projected on the mixtures with weights of the trend, and what is left is divided
    by what the gene's own replicates predict of it, which is right on average whatever their variances. These ratios
    are F with Satterthwaite's degrees of freedom; their normal scores are summed over genes. A wrong trend or a scale
    of the gene's own moves both sides of the ratio.
    """
    table = _Points.of(pieces)
    trend = _trend(table)
    ratio, chance = _lack_of_fit(pieces, proportions, trend)
    below = sum(int((piece.means <= 0.0).sum()) for piece in pieces)
    return NoiseDiagnosis(
        genes=sum(len(piece) for piece in pieces if len(piece.types)),
        slope=trend.slope,
        slope_error=trend.error,
        slope_p=trend.chance,
        lack_of_fit=ratio,
        lack_of_fit_p=chance,
        not_positive=below / max(sum(piece.means.size for piece in pieces), 1),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Points:
    """Genes and types with replicates that vary and a positive mean: a row each, (R,), of `types` sample types."""

    types: int
    gene: Index
    type: Index
    log_level: Vector
    log_variance: Vector
    weight: Vector
    reference: float

    @classmethod
    def of(cls, pieces: Sequence[Genes]) -> _Points:
        """`log_variance` has the mean of log chi-square taken off, `weight` is the inverse of its variance."""
        rows = [np.broadcast_arrays(*_columns(piece)) for piece in pieces]
        gene, kind, mean, within, count = (np.concatenate([row[k].ravel() for row in rows]) for k in range(5))
        positive = mean > 0.0
        reference = float(np.median(mean[positive])) if positive.any() else math.nan
        used = positive & (count > 1.0) & (within > count * (EXACT * mean) ** 2)
        gene, kind, mean, within, freedom = (each[used] for each in (gene, kind, mean, within, count - 1.0))
        half = 0.5 * freedom
        return cls(
            types=max((int(piece.types.max(initial=-1)) for piece in pieces), default=-1) + 1,
            gene=gene.astype(np.intp),
            type=kind.astype(np.intp),
            log_level=_log_level(mean, reference),
            log_variance=np.log(within) - psi(half) - math.log(2.0),
            weight=1.0 / polygamma(1, half),
            reference=reference,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trend:
    """`variance = exp(intercept of the type + slope log level)`; `chance` of a slope as large where there is none."""

    slope: float
    error: float
    chance: float
    intercepts: Vector
    reference: float

    def variances(self, means: Matrix, types: Index) -> Matrix:
        """At means (G, D) of `types` (D,), up to a factor; all 1 where no trend was judged."""
        if math.isnan(self.slope):
            return np.ones(means.shape)
        return np.asarray(np.exp(self.intercepts[types] + self.slope * _log_level(means, self.reference)))


def _columns(piece: Genes) -> tuple[Array, ...]:
    gene, kind = piece.positions[:, None].astype(np.float64), piece.types[None, :].astype(np.float64)
    return gene, kind, piece.means, piece.within, piece.counts[None, :]


def _log_level(means: Array, reference: float) -> Array:
    return np.asarray(np.log(np.maximum(means / reference, LOWEST)))


def _trend(points: _Points) -> _Trend:
    none = _Trend(slope=math.nan, error=math.nan, chance=math.nan, intercepts=np.zeros(0), reference=points.reference)
    genes, cluster = np.unique(points.gene, return_inverse=True)
    if len(genes) < FEWEST:
        return none
    w, size = points.weight, points.types
    total = np.bincount(points.type, weights=w, minlength=size)
    seen = total > 0.0

    def by_type(values: Vector) -> Vector:
        sums = np.bincount(points.type, weights=w * values, minlength=size)
        return np.divide(sums, total, out=np.zeros(size), where=seen)

    mean_level, mean_variance = by_type(points.log_level), by_type(points.log_variance)
    x = points.log_level - mean_level[points.type]
    y = points.log_variance - mean_variance[points.type]
    curvature = float((w * x * x).sum())
    if not curvature > 0.0:
        return none
    slope = float((w * x * y).sum()) / curvature
    scores = np.bincount(cluster, weights=w * x * (y - slope * x))
    error = math.sqrt(float((scores * scores).sum()) * len(genes) / (len(genes) - 1.0)) / curvature
    intercepts = mean_variance - slope * mean_level
    intercepts[~seen] = float(np.average(intercepts[seen], weights=total[seen]))
    return _Trend(
        slope=slope,
        error=error,
        chance=float(t_distribution.sf(slope / error, len(genes) - 1.0)) if error > 0.0 else float(slope <= 0.0),
        intercepts=intercepts,
        reference=points.reference,
    )


def _lack_of_fit(pieces: Sequence[Genes], proportions: Matrix | None, trend: _Trend) -> tuple[float, float]:
    """Ratio of mean squares and its chance; NaN where no gene tells."""
    if proportions is None:
        return math.nan, math.nan
    known = np.asarray(np.isfinite(proportions).all(axis=1))
    found = [_ratios(piece, proportions, known[piece.types], trend) for piece in pieces if known[piece.types].any()]
    if not found:
        return math.nan, math.nan
    left, predicted, freedom, rest = (np.concatenate([each[k] for each in found]) for k in range(4))
    told = predicted > 0.0
    if not told.any():
        return math.nan, math.nan
    left, predicted, freedom, rest = left[told], predicted[told], freedom[told], rest[told]
    chance = f_distribution.sf(left / predicted, freedom, rest)
    scores = np.clip(norm.isf(chance), -FARTHEST, FARTHEST)
    spread = max(1.0, float(scores.std()))
    return float(left.sum() / predicted.sum()), float(norm.sf(scores.mean() * math.sqrt(len(scores)) / spread))


def _ratios(piece: Genes, proportions: Matrix, known: Mask, trend: _Trend) -> tuple[Vector, Vector, Vector, Vector]:
    """Sum of squares about the mixtures, what replicates predict of it, and the degrees of freedom of both, (G,)."""
    types, n = piece.types[known], piece.counts[known]
    P, means, within = proportions[types], piece.means[:, known], piece.within[:, known]
    basis, singular, _ = np.linalg.svd(P, full_matrices=False)
    basis = basis[:, singular > RANK * singular[0]]
    freedom = n - 1.0
    left_over = len(types) - basis.shape[1]
    if left_over < 1 or not freedom.any():
        return (np.zeros(0),) * 4
    level = _projected(means, np.broadcast_to(n, means.shape), basis)[0]
    variances = trend.variances(level, types)
    weight = n / variances
    fitted, leverage = _projected(means, weight, basis)
    left = (weight * (means - fitted) ** 2).sum(axis=1)
    share = 1.0 - leverage
    without = share[:, freedom == 0.0].sum(axis=1, keepdims=True)
    share = np.where(freedom > 0.0, share + without * freedom / freedom.sum(), 0.0)
    each = np.divide(within / variances, freedom, out=np.zeros_like(means), where=freedom > 0.0)
    spread = np.divide(share**2, freedom, out=np.zeros_like(share), where=freedom > 0.0).sum(axis=1)
    predicted = (share * each).sum(axis=1)
    return left, predicted, np.full(len(left), float(left_over)), share.sum(axis=1) ** 2 / spread


def _projected(means: Matrix, weight: Matrix, basis: Matrix) -> tuple[Matrix, Matrix]:
    """Weighted least squares of means (G, D) on a basis (D, r): fitted values and leverages, both (G, D)."""
    crossed = np.einsum("gs,sr,sq->grq", weight, basis, basis)
    inverse = np.linalg.inv(crossed)
    lifted = np.einsum("sr,grq->gsq", basis, inverse)
    fitted = np.einsum("gsq,gq->gs", lifted, (weight * means) @ basis)
    return fitted, weight * np.einsum("gsq,sq->gs", lifted, basis)


def _small(chance: float) -> str:
    return "< 1e-16" if chance < 1e-16 else f"= {chance:.2g}"
