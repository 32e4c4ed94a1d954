"""Where a climb begins."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit

from varmix.marginal.piece import Piece
from varmix.models.linear.feasible import inside, largest_share
from varmix.models.linear.fixed_block import schur_complement
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.statistics import Criterion
from varmix.typing import Vector

FINE, COARSE = 25, 9
"""Shares scanned for one kernel: an evaluation of a small one costs microseconds, of a large one, whose likelihood
hardly ever has two maxima, milliseconds."""

LARGE = 1000
"""Coordinates from which the scan is coarse."""

LOWEST_LOGIT = -6.0
"""The scan covers shares of variance from 0.0025 to 0.9975, even in their logits."""

WITHIN = 10.0
"""Maxima of the scan this far below the highest may still be the feet of a higher one, narrower than the grid."""

MOST = 3
"""Maxima of the scan that are climbed from."""


def equal_start(piece: Piece) -> VarianceParams:
    """Every component with the same share of the variance of y outside the covariates, where V is definite there."""
    return _inside(piece, _shares(piece, np.full(piece.system.components, 1.0 / piece.system.components)))


def good_start(piece: Piece) -> VarianceParams:
    """The first of `good_starts` by REML."""
    return good_starts(piece, "reml")[0]


def good_starts(piece: Piece, criterion: Criterion) -> list[VarianceParams]:
    """One kernel: the local maxima of a scan over the share of variance, the highest first; else equal shares.

    On each ray of shares the best total is known, so a scan sees the profile likelihood. It covers the shares at which
    V is positive definite. ML may grow without bound towards a residual variance of 0, or where a negative eigenvalue
    makes V singular in a covariate's direction: the upper end of the scan does not count for it.
    """
    if not (piece.system.components == 2 and piece.system.pairs_are_cheap):
        return [equal_start(piece)]
    count = FINE if piece.system.size < LARGE else COARSE
    shares = largest_share(piece) * expit(np.linspace(LOWEST_LOGIT, -LOWEST_LOGIT, count))
    rays = [_shares(piece, np.array([share, 1.0 - share])) for share in shares]
    scan = [_on_ray(piece, ray, criterion) for ray in rays]
    heights = np.array([height for height, _ in scan])
    padded = np.concatenate([[-np.inf], heights, [-np.inf]])
    if criterion == "ml":
        padded[int(np.isfinite(heights).nonzero()[0].max(initial=-1)) + 2 :] = np.inf
    peaks = [k for k in np.flatnonzero((heights >= padded[:-2]) & (heights > padded[2:])) if math.isfinite(heights[k])]
    if not peaks:
        return [equal_start(piece)] if criterion == "reml" else good_starts(piece, "reml")
    best = max(heights[k] for k in peaks)
    chosen = sorted((k for k in peaks if heights[k] >= best - WITHIN), key=lambda k: -heights[k])[:MOST]
    return [VarianceParams(rays[k].values * scan[k][1]) for k in chosen]


def _on_ray(piece: Piece, ray: VarianceParams, criterion: Criterion) -> tuple[float, float]:
    """Log-likelihood, constants aside, at the best multiple of the variances, and that multiple."""
    factor = piece.system.factor(ray.values)
    if factor is None:
        return -math.inf, 1.0
    errors, log_determinant = piece.rows - piece.columns, factor.log_determinant
    if criterion == "ml" and piece.columns:
        schur = schur_complement(piece, factor, ray.values)
        if not schur.definite:
            return -math.inf, 1.0
        errors, log_determinant = piece.rows, log_determinant + schur.log_determinant
    scale = float(piece.y @ factor.solve(piece.y)) / errors
    if not scale > 0.0:
        return -math.inf, 1.0
    return -0.5 * (errors * math.log(scale) + log_determinant), scale


def random_start(piece: Piece, rng: np.random.Generator) -> VarianceParams:
    """Shares drawn uniformly from the simplex, of a total within a factor of ten of the variance of y."""
    shares = rng.dirichlet(np.ones(piece.system.components))
    return _inside(piece, VarianceParams(_shares(piece, shares).values * 10.0 ** rng.uniform(-1.0, 1.0)))


def _inside(piece: Piece, params: VarianceParams) -> VarianceParams:
    """Where the ML likelihood, and so REML's, is finite."""
    return VarianceParams(inside(piece, params.values, "ml"))


def _shares(piece: Piece, shares: Vector) -> VarianceParams:
    """Variances with these shares of the mean square of y, scaled by each kernel's mean diagonal [VC-9]."""
    count = piece.rows - piece.columns
    diagonal = np.array([piece.system.kernel_trace(k) / count for k in range(piece.system.components)])
    total = float(piece.y @ piece.y) / count
    return VarianceParams(shares * total / np.where(diagonal > 0.0, diagonal, 1.0))
