"""Responses with few missing rows: a missing row is one more covariate, its indicator, and needs no reduction [VC-7].

REML of the rows that are there is REML of all rows with an indicator E_d for each missing one, whatever stands in
these rows: with `W = [Z, E]`, `log|V| + log|W'V^-1 W| = log|V_O| + log|Z_O'V_O^-1 Z_O|`, and P is the same. In the
coordinates of the shared eigenvectors V is diagonal, so that with `G = Q'E`, (m, d), everything follows from the d x d
matrix `C = G'D^-1 G`: an evaluation costs O(m d^2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from varmix.models.linear.batch.grid import ShareGrid
from varmix.models.linear.batch.spectrum import SharedSpectrum
from varmix.models.linear.batch.sums import ShareSums, SpectrumArrays, log_determinants
from varmix.typing import Array, Index, Matrix, Vector

OUTSIDE: Final = 1e-6
"""Least eigenvalue of `E'ME`, at most 1, with M the projection off the covariates: below it a covariate lives on the
missing rows, and too many digits are lost."""

DISTINCT: Final = 1e-8
"""Least variance of the kernel's eigenvalues among the rows that are there, as a share of their mean square."""

VARIES: Final = 1e-10
"""Least share of a response's square that is outside the covariates."""


@dataclass(frozen=True, slots=True)
class BorderedProblem:
    """Responses (b, m), rotated, whose missing rows hold anything, with the rotated indicators (d, m) of each."""

    rotated: Matrix
    borders: tuple[Matrix, ...]
    spectrum: SharedSpectrum
    arrays: SpectrumArrays

    @property
    def errors(self) -> Vector:
        """See ShareProblem."""
        return self.spectrum.errors - np.array([float(border.shape[0]) for border in self.borders])

    @property
    def constant(self) -> float:
        """See ShareProblem."""
        return self.spectrum.log_determinant_covariates

    def on_grid(self, grid: ShareGrid) -> ShareSums:
        """See ShareProblem."""
        weights, slope, bend = _weights(self.spectrum, grid.kernel, grid.residual)
        flat = weights.reshape(-1, weights.shape[-1])
        sums = [np.empty((len(self.borders), grid.kernel.size)) for _ in ShareSums._fields]
        for at, border in enumerate(self.borders):
            columns = np.vstack([border, self.rotated[at]])
            size = columns.shape[0]
            upper = np.triu_indices(size)
            products = flat @ (columns[upper[0]] * columns[upper[1]]).T
            inner = np.empty((flat.shape[0], size, size))
            inner[:, upper[0], upper[1]] = inner[:, upper[1], upper[0]] = products
            found = _eliminated(inner.reshape(3, -1, size, size), slope, bend)
            for whole, part in zip(sums, found, strict=True):
                whole[at] = part
        return ShareSums(*sums)

    def at(self, response: Index, kernel: Vector, residual: Vector) -> ShareSums:
        """See ShareProblem."""
        weights, slope, bend = _weights(self.spectrum, kernel, residual)
        parts = [
            _eliminated(self._inner(j, weights[:, number])[:, None], slope[number], bend[number])
            for number, j in enumerate(response.tolist())
        ]
        if not parts:
            return ShareSums(*(np.zeros(0) for _ in ShareSums._fields))
        return ShareSums(
            *(np.concatenate([np.atleast_1d(item) for item in column]) for column in zip(*parts, strict=True))
        )

    def log_determinants(self, response: Index, kernel: Vector, residual: Vector) -> Vector:
        """See ShareProblem."""
        whole: Vector = np.asarray(log_determinants(self.arrays, kernel, residual), dtype=np.float64)
        inverse = _weights(self.spectrum, kernel, residual)[0][0]
        bordered = [
            np.linalg.slogdet((self.borders[j] * inverse[number]) @ self.borders[j].T)[1]
            for number, j in enumerate(response.tolist())
        ]
        whole += np.array(bordered)
        return whole

    def corrections(self, response: int, kernel: float, residual: float) -> tuple[Vector, Matrix]:
        """Effects of the indicators, (d,), and `C^-1`, (d, d), at a share."""
        weights = _weights(self.spectrum, np.array([kernel]), np.array([residual]))[0]
        inner = self._inner(response, weights[:1, 0])[0]
        inverse = np.linalg.inv(inner[:-1, :-1])
        return inverse @ inner[:-1, -1], inverse

    def sound(self) -> tuple[Array, Vector]:
        """Which responses this serves, (b,), and the mean eigenvalue among the rows that are there, as a share."""
        none, everything = np.zeros(len(self.borders)), np.arange(len(self.borders))
        sums = self.at(everything, none, none + 1.0)
        mean = 1.0 + sums.slope / self.errors
        spread = (sums.bend - sums.slope**2 / self.errors) / self.errors
        singular = int((self.spectrum.eigenvalues <= self.spectrum.rounding).sum())
        counts = np.array([border.shape[0] for border in self.borders])
        outside = np.array([np.linalg.eigvalsh(border @ border.T)[0] for border in self.borders])
        fine = (outside > OUTSIDE) & (mean > 0.0) & (spread > DISTINCT * np.maximum(mean, 1.0) ** 2)
        fine &= sums.quadratic > VARIES * np.vecdot(self.rotated, self.rotated)
        # With fewer null directions than missing rows, or as many, V may be definite at h = 1 without these rows only.
        return fine & ((singular == 0) | (singular > counts)), mean

    def _inner(self, response: int, weights: Matrix) -> Array:
        """Of the indicators and the response, under each of (k, m) weights: (k, d + 1, d + 1)."""
        columns = np.vstack([self.borders[response], self.rotated[response]])
        inner: Array = (weights[:, None, :] * columns) @ columns.T
        return inner


def _weights(spectrum: SharedSpectrum, kernel: Vector, residual: Vector) -> tuple[Array, Vector, Vector]:
    """`1/d`, `t/d` and `t^2/d`, (3, k, m), with `sum t` and `sum t^2`, (k,)."""
    weights = np.empty((3, kernel.size, spectrum.eigenvalues.size))
    np.multiply.outer(kernel, spectrum.eigenvalues, out=weights[0])
    weights[0] += residual[:, None]
    np.divide(1.0, weights[0], out=weights[0])
    ratio = weights[0] * (spectrum.eigenvalues - 1.0)
    np.multiply(weights[0], ratio, out=weights[1])
    np.multiply(weights[1], ratio, out=weights[2])
    return weights, ratio @ spectrum.counts, (ratio * ratio) @ spectrum.counts


def _eliminated(inner: Array, slope: Any, bend: Any) -> ShareSums:
    """The sums with the indicators taken out, from `inner` (3, k, d + 1, d + 1), the response last.

    `P = F - F G C^-1 G'F` with `F = 1/d`; first and second derivatives of `y'Py` and `log|V| + log|C|` follow from
    `P' = -P T P`, T the derivative of V.
    """
    zero, one, two = inner
    C, b, a = zero[..., :-1, :-1], zero[..., :-1, -1:], zero[..., -1, -1]
    C1, b1, a1 = one[..., :-1, :-1], one[..., :-1, -1:], one[..., -1, -1]
    C2, b2, a2 = two[..., :-1, :-1], two[..., :-1, -1:], two[..., -1, -1]
    size = C.shape[-1]
    solved = np.linalg.solve(C, np.concatenate([b, b1, C1, C2], axis=-1))
    u, moved = solved[..., :1], solved[..., 1:2]
    R1, R2 = solved[..., 2 : 2 + size], solved[..., 2 + size :]
    rest = b1 - C1 @ u

    def inner_product(left: Array, right: Array) -> Array:
        return np.asarray((left * right).sum(axis=(-2, -1)))

    quadratic = a - inner_product(b, u)
    first = a1 - 2.0 * inner_product(b1, u) + inner_product(u, C1 @ u)
    second = a2 - 2.0 * inner_product(b2, u) + inner_product(u, C2 @ u) - inner_product(rest, moved - R1 @ u)
    traces = np.trace(R2, axis1=-2, axis2=-1)
    return ShareSums(
        quadratic,
        first,
        second,
        slope - np.trace(R1, axis1=-2, axis2=-1),
        bend - 2.0 * traces + inner_product(R1, R1.swapaxes(-1, -2)),
    )
