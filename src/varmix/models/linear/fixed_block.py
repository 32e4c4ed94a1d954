"""Block U: the fixed effects given block A, and what ML adds to REML [VC-2]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack, solve_triangular

from varmix.marginal.factor import Factor
from varmix.marginal.piece import Piece
from varmix.typing import Matrix, Square, Vector

TOUCHED = 1e-6
"""Share of a coefficient's weights in a direction above which it counts as resting on it: eigenvectors are right to
about 1e-14 over the gap to the other eigenvalues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedBlock:
    """Block U at theta, with `N = -V_AA^-1 V_AU` and `C = V_UU + V_UA N`."""

    weights: Matrix
    """N, shape (m, c)."""
    covariance: Square
    """C, shape (c, c)."""
    inverse: Square
    """`C^-1`, of use only where `definite`."""
    log_determinant: float
    """`log |C|`, of use only where `definite`."""
    definite: bool
    """Whether C is positive definite beyond rounding: not at s_e = 0 with a kernel that a covariate's direction
    lacks."""
    rounding: float
    """Eigenvalues of C up to this may be 0."""
    images: tuple[Matrix, ...]
    """Block A of `K_k [I; N]`, residual last."""
    slopes: tuple[Square, ...]
    """`dC/dtheta_k = [I; N]'K_k[I; N]`, residual last."""

    def draw(self, rng: np.random.Generator) -> Vector:
        """A draw from N(0, C)."""
        eigenvalues, basis = np.linalg.eigh(self.covariance)
        return np.asarray(basis @ (np.sqrt(np.maximum(eigenvalues, 0.0)) * rng.standard_normal(len(eigenvalues))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schur:
    """C and what its determinant takes: all of block U that a scan of the ML likelihood needs."""

    weights: Matrix
    covariance: Square
    cholesky: Square
    log_determinant: float
    """`log |C|`, -inf where not definite."""
    definite: bool
    rounding: float


def schur_complement(piece: Piece, factor: Factor, variances: Vector) -> Schur:
    """`N = -V_AA^-1 V_AU` and `C = V_UU + V_UA N`."""
    crossing = _weighted(variances, piece.cross, (piece.system.size, piece.columns))
    weights = -factor.solve(crossing)
    covariance = _weighted(variances, piece.corner, (piece.columns, piece.columns)) + crossing.T @ weights
    covariance.ravel()[:: piece.columns + 1] += variances[-1]
    covariance = 0.5 * (covariance + covariance.T)
    cholesky, fault = lapack.dpotrf(covariance, lower=1, clean=1)
    pivots = cholesky.diagonal()
    # Kernels have unit scale, so that sums of `rows` of their entries round to about this.
    rounding = 4.0 * np.finfo(float).eps * math.sqrt(piece.rows) * float(variances.sum())
    definite = fault == 0 and bool((pivots**2 > rounding).all())
    return Schur(
        weights=weights,
        covariance=covariance,
        cholesky=cholesky,
        log_determinant=2.0 * float(np.log(pivots).sum()) if definite else -math.inf,
        definite=definite,
        rounding=rounding,
    )


def fixed_block(piece: Piece, factor: Factor, variances: Vector) -> FixedBlock:
    """Block U given the factor of block A."""
    schur = schur_complement(piece, factor, variances)
    weights, definite = schur.weights, schur.definite
    images, slopes = [], []
    for k, (cross, corner) in enumerate(zip(piece.cross, piece.corner, strict=True)):
        image = piece.system.multiply(k, weights) + cross
        bridge = cross.T @ weights
        images.append(image)
        slopes.append(corner + bridge + bridge.T + weights.T @ (image - cross))
    images.append(weights)
    slopes.append(np.eye(piece.columns) + weights.T @ weights)
    return FixedBlock(
        weights=weights,
        covariance=schur.covariance,
        inverse=_inverse(schur.cholesky) if definite else np.full_like(schur.covariance, np.nan),
        log_determinant=schur.log_determinant,
        definite=definite,
        rounding=schur.rounding,
        images=tuple(images),
        slopes=tuple(slopes),
    )


def _inverse(cholesky: Square) -> Square:
    lower = lapack.dpotri(cholesky, lower=1)[0]
    return np.asarray(lower + np.tril(lower, -1).T)


def _weighted(variances: Vector, blocks: tuple[Matrix, ...], shape: tuple[int, int]) -> Matrix:
    total = np.zeros(shape)
    for variance, block in zip(variances, blocks, strict=False):
        total += variance * block
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedEffects:
    """Generalised least squares estimate and covariance, and `P y` in the system's coordinates.

    Where C is singular within rounding the covariance is NaN for every coefficient that the singular directions touch:
    with s_e = 0 the model claims to know them exactly, which no data show.
    """

    estimate: Vector
    covariance: Square
    projected: Vector


def fixed_effects(piece: Piece, variances: Vector) -> FixedEffects | None:
    """`w` and `(Z'V^-1Z)^-1` at theta (internal units), or None where V_AA is not positive definite [VC-2]."""
    factor = piece.system.factor(variances)
    if factor is None:
        return None
    projected = factor.solve(piece.y)
    if not piece.columns:
        return FixedEffects(estimate=np.zeros(0), covariance=np.zeros((0, 0)), projected=projected)
    block = fixed_block(piece, factor, variances)
    inverse = solve_triangular(piece.triangle, np.eye(piece.columns))
    return FixedEffects(
        estimate=solve_triangular(piece.triangle, piece.y_fixed + block.weights.T @ piece.y),
        covariance=coefficient_covariance(inverse, block.covariance, block.rounding),
        projected=projected,
    )


def coefficient_covariance(inverse: Square, covariance: Square, rounding: float) -> Square:
    """`R^-1 C R^-T` from `R^-1` and C, both (c, c); NaN for coefficients that eigenvectors of C with eigenvalues up to
    `rounding` touch."""
    eigenvalues, basis = np.linalg.eigh(covariance)
    loadings = inverse @ basis
    result = (loadings * eigenvalues) @ loadings.T
    lost = loadings[:, eigenvalues <= rounding]
    touched = (lost**2).sum(axis=1) > TOUCHED**2 * (inverse**2).sum(axis=1)
    result[touched, :] = result[:, touched] = np.nan
    return np.asarray(0.5 * (result + result.T))
