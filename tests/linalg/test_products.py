"""Products by SciPy's BLAS do not depend on the order of memory."""

from __future__ import annotations

import itertools

import numpy as np

from varmix.linalg.products import multiply, multiply_vector, symmetric_multiply

# Sums of twelve products of numbers of order one.
TOLERANCE = 1e-13


def test_products_agree_with_numpy_in_every_order_of_memory() -> None:
    rng = np.random.default_rng(0)
    whole_a, whole_b = rng.standard_normal((20, 30)), rng.standard_normal((30, 25))
    orders = [np.ascontiguousarray, np.asfortranarray]
    for left, right in itertools.product(orders, orders):
        A, B = left(whole_a), right(whole_b)
        blocks = (A[3:15, 4:16], B[4:16, 2:9])
        for first, second in ((A[:, :12].copy(), B[:12]), blocks):
            np.testing.assert_allclose(multiply(first, second), first @ second, atol=TOLERANCE)
            np.testing.assert_allclose(multiply_vector(first, second[:, 1]), first @ second[:, 1], atol=TOLERANCE)
    assert multiply(np.zeros((3, 0)), np.zeros((0, 2))).shape == (3, 2)
    assert multiply_vector(np.zeros((3, 0)), np.zeros(0)).shape == (3,)


def test_a_symmetric_product_reads_either_order() -> None:
    rng = np.random.default_rng(1)
    A, B = rng.standard_normal((12, 12)), rng.standard_normal((12, 5))
    A += A.T
    for order in (np.ascontiguousarray, np.asfortranarray):
        np.testing.assert_allclose(symmetric_multiply(order(A), order(B)), A @ B, atol=TOLERANCE)
    assert symmetric_multiply(A, np.zeros((12, 0))).shape == (12, 0)
