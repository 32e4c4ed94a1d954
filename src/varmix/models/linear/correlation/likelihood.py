"""The joint likelihood of two responses at a point: value, score, information, and what EM reads [VC-8]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from varmix.linalg.householder import mirror_lower_into
from varmix.linalg.products import multiply, multiply_vector, symmetric_multiply
from varmix.models.linear.correlation.pair import Pair
from varmix.typing import Array, Matrix, Square, Vector

SINGULAR = 1e-12
"""`1 - rho^2` below this is rounding of rho = 1 or -1, and is set to 0 exactly."""


RESIDUAL_FLOOR = 1e-10
"""Least residual variance, and least eigenvalue of the residual matrix, for responses of variance about 1: where
effects fit a response exactly the likelihood has no maximum, and a fit is to end here, and to say so."""


@dataclass(frozen=True, slots=True)
class PairParams:
    """`s_1, s_2, s_12, e_1, e_2[, e_12]` with both 2 x 2 matrices positive semidefinite."""

    values: Vector

    def vector(self) -> Vector:
        """The parameters."""
        return self.values

    def moved_to(self, vector: Vector) -> PairParams:
        """The nearest point at which Sigma is positive semidefinite and the residuals do not vanish."""
        values = np.array(vector, dtype=np.float64)
        values[:3] = _nearest(values[:3])
        if values.size == 6:
            values[3:] = _above_floor(values[3:])
        else:
            values[3:5] = np.maximum(values[3:5], RESIDUAL_FLOOR)
        return PairParams(values)

    @property
    def effects(self) -> Square:
        """Sigma (2 x 2)."""
        return matrix_of(self.values[:3])

    @property
    def correlation(self) -> float:
        """rho; NaN where a variance is 0."""
        return correlation_of(self.values)


def correlation_of(values: Vector) -> float:
    """`s_12 / sqrt(s_1 s_2)`, NaN unless both variances are positive."""
    if not (values[0] > 0.0 and values[1] > 0.0):
        return math.nan
    return float(values[2] / (math.sqrt(values[0]) * math.sqrt(values[1])))


def matrix_of(triple: Vector) -> Square:
    """The symmetric 2 x 2 matrix of (variance, variance, covariance)."""
    return np.array([[triple[0], triple[2]], [triple[2], triple[1]]])


def triple_of(matrix: Square) -> Vector:
    """(variance, variance, covariance) of a 2 x 2 matrix."""
    return np.array([matrix[0, 0], matrix[1, 1], 0.5 * (matrix[0, 1] + matrix[1, 0])])


def _nearest(triple: Vector) -> Vector:
    first, second, cross = (float(item) for item in triple)
    if first >= 0.0 and second >= 0.0:
        edge = math.sqrt(first) * math.sqrt(second)
        if abs(cross) <= edge:
            return (
                triple
                if abs(cross) < edge * (1.0 - SINGULAR)
                else np.array([first, second, math.copysign(edge, cross)])
            )
        if abs(cross) <= edge * (1.0 + SINGULAR):
            return np.array([first, second, math.copysign(edge, cross)])
    eigenvalues, basis = np.linalg.eigh(matrix_of(triple))
    clipped = triple_of(basis * np.maximum(eigenvalues, 0.0) @ basis.T)
    clipped[2] = math.copysign(min(abs(clipped[2]), math.sqrt(clipped[0]) * math.sqrt(clipped[1])), clipped[2])
    return clipped


def _above_floor(triple: Vector) -> Vector:
    eigenvalues, basis = np.linalg.eigh(matrix_of(triple))
    if eigenvalues[0] >= RESIDUAL_FLOOR:
        return triple
    return triple_of(basis * np.maximum(eigenvalues, RESIDUAL_FLOOR) @ basis.T)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStats:
    """What a pair of cohorts says at theta; independent pairs add."""

    log_likelihood: float
    score: Vector
    information: Square
    """Average information, `a'A_k P A_l a / 2` with `a = Py` [VC-4]."""
    effect_gap: Square
    """`Q - T` (2 x 2): `a_i'K_ij a_j - tr(T_ij K_ij')`, twice the gradient in Sigma."""
    error_gap: Square
    """The same of the residual matrix."""
    effects: int
    people: int
    sizes: Vector
    expansion: Square | None = None
    """`E[U_k' U_l]` of [PX-1] with U weighted by the residual covariance; (4, 4) in the order 11, 12, 21, 22."""
    projection: Vector | None = None
    """`r'U_k`, weighted alike, shape (4,)."""
    residual_squares: Vector | None = None
    """`r_i'r_i`, shape (2,)."""

    def __add__(self, other: PairStats) -> PairStats:
        return PairStats(
            log_likelihood=self.log_likelihood + other.log_likelihood,
            score=self.score + other.score,
            information=self.information + other.information,
            effect_gap=self.effect_gap + other.effect_gap,
            error_gap=self.error_gap + other.error_gap,
            # Pairs of cohorts with the same variants share their effects only if fitted as one pair; as separate pieces
            # each has effects of its own.
            effects=self.effects + other.effects,
            people=self.people + other.people,
            sizes=self.sizes + other.sizes,
            expansion=None if self.expansion is None or other.expansion is None else self.expansion + other.expansion,
            projection=None
            if self.projection is None or other.projection is None
            else self.projection + other.projection,
            residual_squares=None
            if self.residual_squares is None or other.residual_squares is None
            else self.residual_squares + other.residual_squares,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """V factored at theta: `r = y - Zw` at the best w, `a = Py = V^-1 r`, and `T = V^-1` (P in REML's coordinates)."""

    log_likelihood: float
    a: Vector
    T: Square
    """Both triangles, C order."""
    W: Matrix
    """`V^-1 Z`."""
    inner: Square
    """`Z'V^-1 Z`."""
    r: Vector

    def projected_inner(self, images: Matrix) -> Square:
        """`B'PB` for B (rows, k), with `P = V^-1 - W (Z'V^-1 Z)^-1 W'`."""
        plain = images.T @ symmetric_multiply(self.T, images)
        if self.W.shape[1] == 0:
            return np.asarray(plain)
        fixed = self.W.T @ images
        return np.asarray(plain - fixed.T @ np.linalg.solve(self.inner, fixed))


def solve_pair(pair: Pair, values: Vector) -> Solved | None:
    """Factor V; None where it is not positive definite. Products of order n^2 and n^3 are SciPy's, like the factor."""
    lower, fault = lapack.dpotrf(pair.lower_covariance(values), lower=1, clean=0, overwrite_a=1)
    if fault:
        return None
    log_determinant = 2.0 * float(np.log(lower.diagonal()).sum())
    y, Z = pair.response, pair.covariates
    W, inner, r = np.zeros_like(Z), np.zeros((0, 0)), y
    if Z.shape[1]:
        W = lapack.dpotrs(lower, Z, lower=1)[0]
        inner = Z.T @ W
        r = y - Z @ np.linalg.solve(inner, W.T @ y)
    a = lapack.dpotrs(lower, r[:, None], lower=1)[0].reshape(-1)
    value = -0.5 * (pair.rows * math.log(2.0 * math.pi) + log_determinant + float(r @ a)) + pair.constant
    inverse = lapack.dpotri(lower, lower=1, overwrite_c=1)[0]
    mirror_lower_into(inverse)
    return Solved(log_likelihood=value, a=a, T=inverse.T, W=W, inner=inner, r=r)


def summarise_pair(pair: Pair, values: Vector, *, expand: bool = False) -> PairStats:
    """Statistics at theta; `expand` adds what PX-EM needs. The value is -inf where V is not positive definite."""
    solved = solve_pair(pair, values) if _inside(values) else None
    count = pair.count
    if solved is None:
        gap = np.full((2, 2), np.nan)
        return PairStats(
            log_likelihood=-math.inf,
            score=np.full(count, np.nan),
            information=np.full((count, count), np.nan),
            effect_gap=gap,
            error_gap=gap,
            effects=pair.effects,
            people=pair.people,
            sizes=np.array(pair.sizes, dtype=np.float64),
        )
    images = np.column_stack([pair.times(k, solved.a[:, None])[:, 0] for k in range(count)])
    quad = images.T @ solved.a
    gaps = quad - np.array([pair.inner(k, solved.T) for k in range(count)])
    errors = np.append(gaps[3:5], gaps[5] if count == 6 else 0.0)
    expansion, projection = _expanded(pair, values, solved) if expand else (None, None)
    first, second = pair.cut(0, 1)
    return PairStats(
        log_likelihood=solved.log_likelihood,
        score=0.5 * gaps,
        information=0.5 * solved.projected_inner(images),
        effect_gap=matrix_of(gaps[:3] * [1.0, 1.0, 0.5]),
        error_gap=matrix_of(errors * [1.0, 1.0, 0.5]),
        effects=pair.effects,
        people=pair.people,
        sizes=np.array(pair.sizes, dtype=np.float64),
        expansion=expansion,
        projection=projection,
        residual_squares=np.array([float(solved.r[part] @ solved.r[part]) for part in (first, second)]),
    )


def _inside(values: Vector) -> bool:
    """Whether the residual matrix is positive semidefinite, as the model asks."""
    return bool(min(values[3:5]) > 0.0 and (values.size == 5 or values[5] ** 2 <= values[3] * values[4]))


def _expanded(pair: Pair, values: Vector, solved: Solved) -> tuple[Square, Vector]:
    """Normal equations of the 2 x 2 expansion Delta, with `u_ik = X_i b_k` [PX-1].

    `cov(u_ik, u_jl | y) = Sigma_kl K_ij - sum_gh Sigma_kg K_ig T_gh K_hj Sigma_hl`, and weights from the residuals.
    """
    Sigma = matrix_of(values[:3])
    a = [solved.a[part] for part in pair.cut(0, 1)]
    T = {(g, h): solved.T[pair.cut(g, h)] for g in (0, 1) for h in (0, 1)}
    weights = _residual_weights(pair, values)
    A, c = np.zeros((4, 4)), np.zeros(4)
    r = [solved.r[part] for part in pair.cut(0, 1)]
    means = {
        (i, k): sum(Sigma[k, g] * multiply_vector(pair.kernel(i, g), a[g]) for g in (0, 1))
        for i in (0, 1)
        for k in (0, 1)
    }
    half = {(i, g, h): multiply(pair.kernel(i, g), T[g, h]) for i in (0, 1) for g in (0, 1) for h in (0, 1)}
    for (i, j), weight in weights.items():
        prior = _weighted_inner(weight, pair.kernel(i, j))
        shrink = np.array(
            [[float(np.vdot(half[i, g, h], _weigh(weight, pair.kernel(j, h)))) for h in (0, 1)] for g in (0, 1)]
        )
        spread = Sigma * prior - Sigma @ shrink @ Sigma
        for k in (0, 1):
            c[2 * i + k] += float(means[i, k] @ _weigh(weight, r[j]))
            for m in (0, 1):
                A[2 * i + k, 2 * j + m] += float(means[i, k] @ _weigh(weight, means[j, m])) + spread[k, m]
    return 0.5 * (A + A.T), c


def _residual_weights(pair: Pair, values: Vector) -> dict[tuple[int, int], Square | float]:
    """Blocks of the inverse residual covariance; numbers stand for multiples of the identity."""
    if pair.overlap is None:
        return {(0, 0): 1.0 / float(values[3]), (1, 1): 1.0 / float(values[4])}
    inverse = _inverse(pair.residual_covariance(values))
    return {(i, j): inverse[pair.cut(i, j)] for i in (0, 1) for j in (0, 1)}


def _inverse(matrix: Square) -> Square:
    """Of a positive definite matrix; the pseudo-inverse where rounding leaves it singular."""
    lower, fault = lapack.dpotrf(matrix, lower=1, clean=0)
    if fault:
        return np.asarray(np.linalg.pinv(matrix, hermitian=True))
    inverse = lapack.dpotri(lower, lower=1, overwrite_c=1)[0]
    mirror_lower_into(inverse)
    return np.asarray(inverse)


def _weigh(weight: Square | float, right: Array) -> Array:
    if isinstance(weight, float):
        return np.asarray(weight * right)
    return multiply_vector(weight, right) if right.ndim == 1 else multiply(weight, right)


def _weighted_inner(weight: Square | float, block: Square) -> float:
    """`tr(W_ij K_ji)`."""
    return weight * float(block.trace()) if isinstance(weight, float) else float(np.einsum("ij,ij->", weight, block))
