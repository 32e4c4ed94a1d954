"""The quadratic maximum on a simplex, held against its conditions of optimality."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.models.partition.simplex import simplex_maximum


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("total", [1.0, 0.3])
def test_conditions_of_optimality_hold(size, total):
    rng = np.random.default_rng(size)
    for _ in range(20):
        root = rng.normal(size=(size + 1, size))
        curvature, gradient = root.T @ root, 3.0 * rng.normal(size=size)
        found = simplex_maximum(gradient, curvature, total)
        assert_allclose(found.sum(), total, rtol=1e-12)
        assert (found >= 0.0).all()
        slope = gradient - curvature @ found
        inside = found > 0.0
        # One slope inside, none higher at 0; the cone's least squares loses half of the digits at most.
        assert_allclose(slope[inside], slope[inside][0], atol=1e-7)
        assert (slope[~inside] <= slope[inside][0] + 1e-7).all()


def test_a_component_that_hurts_is_zero_exactly():
    found = simplex_maximum(np.array([1.0, 1.0, -5.0]), np.eye(3))
    assert_allclose(found, [0.5, 0.5, 0.0], atol=1e-12)
    assert found[2] == 0.0


@pytest.mark.parametrize("factor", [1e-8, 1e8])
def test_scale_of_the_function_does_not_matter(factor):
    gradient, curvature = np.array([0.3, 0.1, 0.5]), np.diag([1.0, 2.0, 3.0])
    assert_allclose(
        simplex_maximum(factor * gradient, factor * curvature), simplex_maximum(gradient, curvature), rtol=1e-9
    )


def test_flat_curvature_gives_the_best_vertex():
    found = simplex_maximum(np.array([0.0, 1.0, 0.5]), np.zeros((3, 3)))
    assert_allclose(found, [0.0, 1.0, 0.0], atol=1e-9)
