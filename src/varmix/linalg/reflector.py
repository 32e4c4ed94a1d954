"""A block of Householder reflections Q = I - V T V', kept where the eliminated entries were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.linalg import native
from varmix.typing import Matrix, Square


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockReflector:
    """The orthogonal factor of a QR decomposition of an n x r panel.

    `panel` (n x r) holds R on and above its diagonal and the reflectors below; `coefficients` is the upper triangular T
    (k x k, k = min(n, r)).
    """

    panel: Matrix
    coefficients: Square

    def __getstate__(self) -> tuple[Matrix, Square]:
        """In column order: pickling would store a view by rows, which LAPACK does not read."""
        return np.asfortranarray(self.panel), np.asfortranarray(self.coefficients)

    def __setstate__(self, state: tuple[Matrix, Square]) -> None:
        for name, value in zip(("panel", "coefficients"), state, strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def eliminate_into(cls, panel: Matrix) -> BlockReflector:
        """Decompose the panel in place: Q'panel = [R; 0]. The panel must have unit stride down its columns."""
        width = min(panel.shape)
        coefficients = np.zeros((width, width), order="F")
        native.qr_into(panel, coefficients)
        return cls(panel=panel, coefficients=np.asfortranarray(np.triu(coefficients)))

    def multiply_into(self, B: Matrix, *, transpose: bool) -> None:
        """B (n x q, rows or columns consecutive) becomes Q B, or Q'B when transpose."""
        if native.is_columnwise(B, "B"):
            native.multiply_by_q_into(self.panel, self.coefficients, B, left=True, transpose=transpose)
        else:
            native.multiply_by_q_into(self.panel, self.coefficients, B.T, left=False, transpose=not transpose)

    def rotate_symmetric_into(self, A: Square, work: Matrix | None = None) -> None:
        """The lower triangle of A (n x n, unit stride down its columns) becomes that of Q'AQ, in O(n^2 k).

        With W = (A V - V T'V'A V / 2) T the product is A - V W' - W V'. Optional `work`: (n, 3 k), columns consecutive.
        """
        size, width = self.panel.shape[0], self.coefficients.shape[0]
        T = self.coefficients
        if work is None:
            work = np.empty((size, 3 * width), order="F")
        V, X, W = work[:, :width], work[:, width : 2 * width], work[:, 2 * width : 3 * width]
        V[:] = self.panel[:, :width]
        V[:width] = np.tril(V[:width], -1)
        np.fill_diagonal(V, 1.0)
        small, half = np.empty((width, width), order="F"), np.empty((width, width), order="F")
        native.symmetric_product_into(A, V, X)
        native.product_into(X, T, W)
        native.product_into(V, W, small, left_transposed=True)
        native.product_into(T, small, half, left_transposed=True)
        native.product_into(V, half, W, scale=-0.5, keep=1.0)
        native.subtract_symmetric_pair_into(A, V, W)
