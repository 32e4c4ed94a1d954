"""The sums over eigenvalues: any array namespace, and derivatives of one another."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from varmix.models.linear.batch.sums import (
    SpectrumArrays,
    fixed_sums,
    grid_sums,
    log_determinants,
    share_sums,
)


def test_the_sums_run_on_any_array_namespace() -> None:
    rng = np.random.default_rng(5)
    Y, loadings, counts = rng.standard_normal((7, 9)), rng.standard_normal((9, 2)), np.append(np.ones(8), 4.0)
    eigenvalues, other = np.append(rng.gamma(1.0, 1.0, 8), 0.0), rng.gamma(1.0, 1.0, 11)
    h = rng.uniform(0.0, 0.9, 7)
    wrap = array_api_strict.asarray
    for shared in (True, False):
        parts = (eigenvalues, counts, eigenvalues, counts) if shared else (eigenvalues, counts, other, np.ones(11))
        plain, strict = SpectrumArrays(*parts, shared), SpectrumArrays(*map(wrap, parts), shared)
        for function in (share_sums, grid_sums):
            mine = function(Y**2, plain, h, 1.0 - h)
            theirs = function(wrap(Y**2), strict, wrap(h), wrap(1.0 - h))
            for left, right in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(left, np.asarray(right), rtol=1e-13)  # the order of a sum
        np.testing.assert_allclose(
            log_determinants(plain, h, 1.0 - h),
            np.asarray(log_determinants(strict, wrap(h), wrap(1.0 - h))),
            rtol=1e-12,
        )
        left = fixed_sums(Y, plain, loadings, h, 1.0 - h)
        right = fixed_sums(wrap(Y), strict, wrap(loadings), wrap(h), wrap(1.0 - h))
        for mine, theirs in zip(left, right, strict=True):
            np.testing.assert_allclose(mine, np.asarray(theirs), rtol=1e-12, atol=1e-14)


def test_sums_are_derivatives() -> None:
    rng = np.random.default_rng(6)
    w, eigenvalues, counts = rng.chisquare(1, (1, 8)), rng.gamma(1.0, 1.0, 8), np.ones(8)
    arrays, h, step = SpectrumArrays(eigenvalues, counts, eigenvalues, counts, True), np.array([0.4]), 1e-5
    here, after, before = (share_sums(w, arrays, h + d, 1.0 - h - d) for d in (0.0, step, -step))
    # Central differences: error step^2 times a third derivative of order 100.
    assert here.first == pytest.approx(-(after.quadratic - before.quadratic) / (2 * step), rel=1e-6)
    assert here.second == pytest.approx(-(after.first - before.first) / (4 * step), rel=1e-6)
    assert here.bend == pytest.approx(-(after.slope - before.slope) / (2 * step), rel=1e-6)
