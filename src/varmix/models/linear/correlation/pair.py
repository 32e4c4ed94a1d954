"""Two responses with correlated effects of the same variants: blocks of the joint covariance [VC-8].

Order of the parameters: `s_1, s_2, s_12` (variances and covariance of the effects), `e_1, e_2` (residual variances)
and, where people were seen in both, `e_12` (residual covariance).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from varmix.linalg.householder import CovariateBasis
from varmix.linalg.products import multiply
from varmix.typing import Index, Matrix, Square, Vector

Criterion = Literal["reml", "ml"]
Blocks = dict[tuple[int, int], Matrix]
NAMES = ("s_1", "s_2", "s_12", "e_1", "e_2", "e_12")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Data of two responses in common coordinates: of n rows for ML, of n - c without covariates for REML."""

    y: tuple[Vector, Vector]
    Z: tuple[Matrix, Matrix]
    """Covariates, (n_i, c_i); no columns in REML's coordinates."""
    kernels: tuple[Matrix, Matrix, Matrix]
    """`K_11, K_12, K_22`."""
    overlap: Matrix | None
    """O (n_1 x n_2): 1 where two rows are one person, rotated like the rows; None without people in both."""
    constant: float
    """What the coordinates add to the log-likelihood: `-log|Z'Z|/2` in REML, else 0 [VC-2]."""
    effects: int
    """Number of pairs of effects, at most the rows."""
    people: int
    """People in either."""

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows of either response."""
        return self.y[0].size, self.y[1].size

    @property
    def rows(self) -> int:
        """Rows of both."""
        return self.y[0].size + self.y[1].size

    @property
    def count(self) -> int:
        """Number of parameters."""
        return 5 if self.overlap is None else 6

    @property
    def response(self) -> Vector:
        """Both responses, stacked."""
        return np.concatenate(self.y)

    @property
    def covariates(self) -> Matrix:
        """Block diagonal, (n_1 + n_2, c_1 + c_2)."""
        left, right = self.Z
        stacked = np.zeros((self.rows, left.shape[1] + right.shape[1]))
        stacked[: left.shape[0], : left.shape[1]] = left
        stacked[left.shape[0] :, left.shape[1] :] = right
        return stacked

    def cut(self, first: int, second: int) -> tuple[slice, slice]:
        """Where block (first, second) of a joint matrix is."""
        edges = (slice(0, self.sizes[0]), slice(self.sizes[0], self.rows))
        return edges[first], edges[second]

    def kernel(self, first: int, second: int) -> Matrix:
        """Block of `[X_1; X_2][X_1; X_2]'`."""
        if (first, second) == (1, 0):
            return self.kernels[1].T
        return self.kernels[first + second]

    def derivative(self, parameter: int) -> Blocks:
        """Blocks of dV/dtheta; one of the identity is marked by an array of shape (0, 0)."""
        if parameter < 2:
            return {(parameter, parameter): self.kernels[2 * parameter]}
        if parameter == 2:
            return {(0, 1): self.kernels[1], (1, 0): self.kernels[1].T}
        if parameter < 5:
            return {(parameter - 3, parameter - 3): np.empty((0, 0))}
        assert self.overlap is not None
        return {(0, 1): self.overlap, (1, 0): self.overlap.T}

    def times(self, parameter: int, right: Matrix) -> Matrix:
        """`dV/dtheta B` for B (rows, r)."""
        result = np.zeros_like(right)
        for (first, second), block in self.derivative(parameter).items():
            into, out_of = self.cut(first, second)
            result[into] += right[out_of] if block.size == 0 else multiply(block, np.asfortranarray(right[out_of]))
        return result

    def inner(self, parameter: int, matrix: Square) -> float:
        """`tr(dV/dtheta A)` for a symmetric A, of which one block of two mirrored ones is read."""
        total = 0.0
        for (first, second), block in self.derivative(parameter).items():
            if first > second:
                continue
            part = matrix[self.cut(first, second)]
            weight = 1.0 if first == second else 2.0
            total += weight * float(part.trace() if block.size == 0 else np.einsum("ij,ij->", block, part))
        return total

    def pairs(self, matrix: Square, count: int | None = None) -> Square:
        """`tr(A_k M A_l M)` of the derivatives A_k and a symmetric M, shape (K, K)."""
        count = self.count if count is None else count
        products = [self.times(k, matrix) for k in range(count)]
        result = np.empty((count, count))
        for k in range(count):
            for j in range(k + 1):
                result[k, j] = result[j, k] = float(np.einsum("ij,ji->", products[k], products[j]))
        return result

    def gram(self) -> Square:
        """`tr(A_k A_l)` of the derivatives, shape (K, K), in O(n^2): inner products of blocks at the same place."""
        parts = [self.derivative(k) for k in range(self.count)]
        result = np.zeros((self.count, self.count))
        for k, left in enumerate(parts):
            for j, right in enumerate(parts[: k + 1]):
                shared = left.keys() & right.keys()
                result[k, j] = result[j, k] = sum(self._block_inner(at, left[at], right[at]) for at in shared)
        return result

    def _block_inner(self, at: tuple[int, int], left: Matrix, right: Matrix) -> float:
        if left.size == 0 or right.size == 0:
            other = right if left.size == 0 else left
            return float(other.trace()) if other.size else float(self.sizes[at[0]])
        return float(np.einsum("ij,ij->", left, right))

    def covariance(self, values: Vector) -> Square:
        """V at theta."""
        V = np.zeros((self.rows, self.rows), order="F")
        for parameter, value in enumerate(values):
            for at, block in self.derivative(parameter).items():
                part = V[self.cut(*at)]
                if block.size == 0:
                    np.einsum("ii->i", part)[:] += value
                else:
                    part += value * block
        return V

    def lower_covariance(self, values: Vector) -> Square:
        """V at theta in Fortran order; the block above the diagonal, which a factor does not read, is 0."""
        V = np.zeros((self.rows, self.rows), order="F")
        for parameter, value in enumerate(values):
            for (first, second), block in self.derivative(parameter).items():
                part = V[self.cut(first, second)]
                if block.size == 0:
                    np.einsum("ii->i", part)[:] += value
                elif first >= second:
                    # Blocks on the diagonal are symmetric, and their transpose has V's order of memory.
                    part += value * (block.T if first == second else block)
        return V

    def residual_covariance(self, values: Vector) -> Square:
        """The residuals' part of V."""
        bare = values.copy()
        bare[:3] = 0.0
        return self.covariance(bare)


def build_pair(
    y: tuple[Vector, Vector],
    Z: tuple[Matrix, Matrix],
    kernels: tuple[Matrix, Matrix, Matrix],
    *,
    shared: tuple[Index, Index],
    effects: int,
    criterion: Criterion,
) -> Pair:
    """Rotate the covariates out for REML, leave the rows for ML.

    `shared` are positions of the same people in either response. Raises NotIdentifiedError for dependent covariates.
    """
    bases = [CovariateBasis(part) for part in Z]
    overlap = np.zeros((y[0].size, y[1].size)) if shared[0].size else None
    if overlap is not None:
        overlap[shared] = 1.0
    people = y[0].size + y[1].size - shared[0].size
    if criterion == "ml":
        return Pair(
            y=y,
            Z=Z,
            kernels=kernels,
            overlap=overlap,
            constant=0.0,
            effects=min(effects, sum(map(len, y))),
            people=people,
        )

    def rotated(matrix: Matrix, left: int, right: int) -> Matrix:
        fresh = np.array(matrix, order="F")
        bases[left].rotate_into(fresh)
        turned = np.array(fresh.T, order="F")
        bases[right].rotate_into(turned)
        return np.ascontiguousarray(turned[bases[right].columns :, bases[left].columns :].T)

    responses = []
    for basis, values in zip(bases, y, strict=True):
        column = np.array(values, dtype=np.float64)[:, None]
        basis.rotate_into(column)
        responses.append(column[basis.columns :, 0])
    sizes = (responses[0].size, responses[1].size)
    return Pair(
        y=(responses[0], responses[1]),
        Z=(np.empty((sizes[0], 0)), np.empty((sizes[1], 0))),
        kernels=(rotated(kernels[0], 0, 0), rotated(kernels[1], 0, 1), rotated(kernels[2], 1, 1)),
        overlap=None if overlap is None else rotated(overlap, 0, 1),
        constant=-0.5 * sum(basis.log_determinant for basis in bases),
        effects=min(effects, sum(sizes)),
        people=people,
    )
