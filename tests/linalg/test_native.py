"""BLAS and LAPACK act on views of bigger buffers and refuse what they could not address."""

import numpy as np
import pytest

from varmix.errors import ShapeError
from varmix.linalg import native


def _framed(rng, rows, columns, order="F"):
    """A random view whose leading dimension exceeds its length, and the buffer around it."""
    buffer = np.array(rng.standard_normal((rows + 5, columns + 3)), order=order)
    return buffer[2 : 2 + rows, 1 : 1 + columns], buffer


def _untouched_around(before, after):
    frame = np.ones(before.shape, dtype=bool)
    frame[2:-3, 1:-2] = False
    return np.array_equal(before[frame], after[frame])


def test_products_on_views_agree_with_numpy_and_leave_the_frame_alone(rng):
    A, _ = _framed(rng, 7, 7)
    B, _ = _framed(rng, 7, 4)
    out, buffer = _framed(rng, 7, 4)
    before = buffer.copy()
    native.symmetric_product_into(A, B, out)
    full = np.tril(A) + np.tril(A, -1).T
    np.testing.assert_allclose(out, full @ B, rtol=0, atol=1e-13)  # sums of 7 products of order 1
    assert _untouched_around(before, buffer)

    small, buffer = _framed(rng, 4, 4)
    before, start = buffer.copy(), small.copy()
    native.product_into(B, out, small, left_transposed=True, scale=-0.5, keep=2.0)
    np.testing.assert_allclose(small, 2.0 * start - 0.5 * B.T @ out, rtol=0, atol=1e-12)
    assert _untouched_around(before, buffer)


def test_rank_two_update_writes_the_lower_triangle_only(rng):
    A, buffer = _framed(rng, 6, 6)
    V, W = (np.asfortranarray(rng.standard_normal((6, 2))) for _ in range(2))
    before, start = buffer.copy(), A.copy()
    native.subtract_symmetric_pair_into(A, V, W)
    expected = start - V @ W.T - W @ V.T
    np.testing.assert_allclose(np.tril(A), np.tril(expected), rtol=0, atol=1e-13)
    assert np.array_equal(np.triu(A, 1), np.triu(start, 1))
    assert _untouched_around(before, buffer)


@pytest.mark.parametrize("shape", [(9, 4), (4, 4), (3, 5), (1, 1), (1, 4)])
def test_qr_in_place_gives_an_orthogonal_factor_from_either_side(rng, shape):
    panel, buffer = _framed(rng, *shape)
    before, start = buffer.copy(), panel.copy()
    width = min(shape)
    T = np.zeros((width, width), order="F")
    native.qr_into(panel, T)
    assert _untouched_around(before, buffer)
    Q = np.eye(shape[0], order="F")
    native.multiply_by_q_into(panel, T, Q, left=True, transpose=False)
    np.testing.assert_allclose(Q.T @ Q, np.eye(shape[0]), atol=1e-14)
    np.testing.assert_allclose(Q @ np.triu(panel), start, atol=1e-13)
    right = np.eye(shape[0], order="F")
    native.multiply_by_q_into(panel, T, right, left=False, transpose=True)
    np.testing.assert_allclose(right, Q.T, atol=1e-14)


def test_arrays_that_lapack_cannot_address_are_refused(rng):
    square = np.asfortranarray(rng.standard_normal((6, 6)))
    d, e, tau = np.empty(6), np.empty(5), np.empty(5)
    with pytest.raises(ShapeError, match="float64"):
        native.tridiagonalise_into(square.astype(np.float32), d, e, tau)
    with pytest.raises(ShapeError, match="strides"):
        native.column_view(square[::2, ::2], "A")
    with pytest.raises(ShapeError, match="stored by rows"):
        native.tridiagonalise_into(np.ascontiguousarray(square), d, e, tau)
    with pytest.raises(ShapeError, match="square"):
        native.tridiagonalise_into(square[:, :4], d, e, tau)
    with pytest.raises(ShapeError, match="at least 6"):
        native.tridiagonalise_into(square, d[:4], e, tau)
    square.flags.writeable = False
    with pytest.raises(ShapeError, match="read-only"):
        native.tridiagonalise_into(square, d, e, tau)


def test_overlapping_broadcast_columns_are_refused():
    repeated = np.broadcast_to(np.arange(3.0)[:, None], (3, 4))
    with pytest.raises(ShapeError, match="strides"):
        native.column_view(repeated, "B")
