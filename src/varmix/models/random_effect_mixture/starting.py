"""Where to start: from moments, or at random [SLOPE-9]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from varmix.models.random_effect_mixture.directional import variance_grid
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Vector

SMALLEST_SHARE = 0.02
"""No start gives a class less: moments of few units may say 0."""

NULL_RESIDUAL = 0.05
"""Least share of the variance of the responses that a start leaves to the residual."""

DEEPEST = 1e-4
"""The same of half of the random starts: maxima of few effects may lie there."""


def moments(pieces: Sequence[Units], residual: float | None) -> tuple[float, float, float]:
    """Residual variance s, `M1 = sum pi v` and `M2 = sum pi v^2` from `E h^2 = s + q M1` and
    `E h^4 = 3 (s^2 + 2 s q M1 + q^2 M2)` [SLOPE-9].

    Least squares with weights 1 / (1 + q / mean q)^2, so that the few units of largest q do not decide alone; a known
    residual stays as it is. M1 and M2 are at least a hundredth of what the responses allow.
    """
    total = sum(piece.total for piece in pieces)
    rest, rest_rows = sum(piece.rest for piece in pieces), sum(piece.rest_rows for piece in pieces)
    mean_q = sum(_weighted(piece, piece.q) for piece in pieces) / max(total, np.finfo(float).tiny)
    normal, right = np.zeros((2, 2)), np.zeros(2)
    for piece in pieces:
        weight = _weight(piece, mean_q)
        columns = np.stack([np.ones(len(piece)), piece.q])
        normal += (columns * weight) @ columns.T
        right += (columns * weight) @ piece.h2
    normal[0, 0] += rest_rows
    right[0] += rest
    mean_square = right[0] / max(normal[0, 0], np.finfo(float).tiny)
    if residual is None:
        solution = np.linalg.lstsq(normal, right, rcond=None)[0]
        s = float(np.clip(solution[0], NULL_RESIDUAL * mean_square, mean_square))
    else:
        s = residual
    first = max((right[1] - s * normal[0, 1]) / normal[1, 1], 0.01 * right[1] / normal[1, 1])
    above, below = 0.0, 0.0
    for piece in pieces:
        weight = _weight(piece, mean_q) / (1.0 + piece.q / mean_q) ** 2
        square = piece.q * piece.q
        above += float(weight @ (square * (piece.h2**2 / 3.0 - s * s - 2.0 * s * first * piece.q)))
        below += float(weight @ (square * square))
    second = max(above / below if below > 0.0 else 0.0, 1.1 * first * first)
    return s, float(first), float(second)


def _weight(piece: Units, mean_q: float) -> Vector:
    plain = 1.0 / (1.0 + piece.q / mean_q) ** 2
    return np.asarray(plain if piece.weight is None else plain * piece.weight)


def _weighted(piece: Units, values: Vector) -> float:
    return float(values.sum() if piece.weight is None else piece.weight @ values)


def two_point(first: float, second: float) -> tuple[Vector, Vector]:
    """Variances (0, M2 / M1) and shares (1 - M1^2 / M2, M1^2 / M2): the null class and one other [SLOPE-9]."""
    share = float(np.clip(first * first / second, SMALLEST_SHARE, 1.0 - SMALLEST_SHARE))
    return np.array([0.0, first / share]), np.array([1.0 - share, share])


def spread(first: float, second: float, classes: int) -> tuple[Vector, Vector]:
    """`classes` variances of equal share: means of the slices of a Gamma distribution with these two moments."""
    if classes == 1:
        return np.array([first]), np.ones(1)
    shape = min(max(first * first / max(second - first * first, 1e-3 * first * first), 0.05), 50.0)
    cuts = stats.gamma.ppf(np.linspace(0.0, 1.0, classes + 1), shape)
    slices = np.diff(stats.gamma.cdf(cuts, shape + 1.0)) * classes
    return first * slices, np.full(classes, 1.0 / classes)


def moment_start(pieces: Sequence[Units], classes: int, null: bool, residual: float | None) -> MixtureParams:
    """The start that moments suggest (internal units): two points with the null class, slices of a Gamma else."""
    s, first, second = moments(pieces, residual)
    if null and classes > 1:
        variances, shares = two_point(first, second)
        others, parts = spread(float(variances[1]), 1.5 * float(variances[1]) ** 2, classes - 1)
        return MixtureParams.free(np.concatenate([[0.0], others]), s, np.concatenate([shares[:1], shares[1] * parts]))
    if classes == 2:
        variances, shares = two_point(first, second)
        return MixtureParams.free(np.array([0.02 * variances[1], variances[1]]), s, shares)
    variances, shares = spread(first, second, classes)
    return MixtureParams.free(variances, s, shares)


def random_start(
    pieces: Sequence[Units], classes: int, null: bool, residual: float | None, rng: np.random.Generator
) -> MixtureParams:
    """Log-uniform variances, uniform shares, any share of the variance residual [SLOPE-9].

    Variances span five decades about the mean one, or, as often, all that the units can tell from one another; an
    estimated residual variance is uniform, or, as often, log-uniform down to `DEEPEST` of the variance. Effects with
    heavy tails have maxima outside the nearer ranges.
    """
    s, first, _ = moments(pieces, residual)
    mean_q = sum(_weighted(piece, piece.q) for piece in pieces) / max(
        sum(piece.total for piece in pieces), np.finfo(float).tiny
    )
    if residual is None:
        total = s + first * mean_q
        deep = rng.random() < 0.5
        s = total * float(DEEPEST ** rng.random() if deep else rng.uniform(NULL_RESIDUAL, 1.0))
    if rng.random() < 0.5:
        variances = np.sort(first * 10.0 ** rng.uniform(-3.0, 2.0, classes))
    else:
        told = variance_grid(pieces, s)[1:]
        variances = np.sort(np.exp(rng.uniform(np.log(told[0]), np.log(told[-1]), classes)))
    if null:
        variances[0] = 0.0
    shares = rng.dirichlet(np.ones(classes))
    shares = np.maximum(shares, SMALLEST_SHARE)
    return MixtureParams.free(variances, s, shares / shares.sum())
