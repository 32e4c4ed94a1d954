"""Randomised traces are unbiased, report their own error, and Hutch++ is exact where it can be."""

import numpy as np
import pytest

from varmix.errors import OptionError
from varmix.linalg import hutch_plus_plus, hutchinson, rademacher, trace_from_probes


def _operator(A):
    return lambda B: A @ B


def test_probes_are_signs_with_mean_zero(rng):
    probes = rademacher(rng, 400, 50)
    assert probes.shape == (400, 50)
    assert set(np.unique(probes)) == {-1.0, 1.0}
    assert abs(probes.mean()) < 4 / np.sqrt(probes.size)  # four standard errors


def test_a_diagonal_matrix_has_no_probe_error(rng):
    values = rng.uniform(1, 2, 30)
    estimate = hutchinson(_operator(np.diag(values)), 30, probes=4, rng=rng)
    np.testing.assert_allclose(estimate.value, values.sum(), rtol=1e-14)
    assert estimate.standard_error < 1e-12


@pytest.mark.parametrize("estimator", [
    lambda operator, rng: hutchinson(operator, 60, probes=30, rng=rng),
    lambda operator, rng: hutch_plus_plus(operator, 60, products=30, rng=rng),
], ids=["hutchinson", "hutch++"])  # fmt: skip
def test_estimates_are_unbiased_with_honest_errors(rng, estimator):
    X = rng.standard_normal((60, 60))
    A = X + X.T
    estimates = [estimator(_operator(A), rng) for _ in range(400)]
    values = np.array([e.value for e in estimates])
    assert abs(values.mean() - np.trace(A)) < 4 * values.std() / 20  # four standard errors of 400 repetitions
    claimed = np.sqrt(np.mean([e.standard_error**2 for e in estimates]))
    assert 0.85 < claimed / values.std() < 1.15  # the spread of 400 values is known to 3.5 %, four of that


def test_hutch_plus_plus_gains_where_few_eigenvalues_dominate(rng):
    Q = np.linalg.qr(rng.standard_normal((200, 200)))[0]
    A = (Q * np.arange(1.0, 201.0) ** -2) @ Q.T
    errors = {
        estimator: np.mean([abs(estimator(rng) - np.trace(A)) for _ in range(20)])
        for estimator in (
            lambda rng: hutchinson(_operator(A), 200, probes=30, rng=rng).value,
            lambda rng: hutch_plus_plus(_operator(A), 200, products=30, rng=rng).value,
        )
    }
    plain, improved = errors.values()
    assert improved < plain / 5


def test_hutch_plus_plus_is_exact_for_low_rank_and_small_order(rng):
    X = rng.standard_normal((50, 3))
    estimate = hutch_plus_plus(_operator(X @ X.T), 50, products=15, rng=rng)
    np.testing.assert_allclose(estimate.value, np.vdot(X, X), rtol=1e-12)
    A = np.diag([1.0, 2.0, 4.0])
    for size in (0, 3):
        exact = hutch_plus_plus(_operator(A[:size, :size]), size, products=9, rng=rng)
        assert (exact.value, exact.standard_error) == (np.trace(A[:size, :size]), 0.0)


def test_trace_of_a_product_from_shared_probes(rng):
    A, B = (X @ X.T for X in rng.standard_normal((2, 40, 40)))
    probes = rademacher(rng, 40, 3000)
    estimate = trace_from_probes(probes, A @ probes, B @ probes)
    assert abs(estimate.value - np.trace(A @ B)) < 4 * estimate.standard_error
    np.testing.assert_allclose(trace_from_probes(probes, A @ probes).value, np.trace(A), rtol=0.05)


def test_too_few_probes_are_refused(rng):
    with pytest.raises(OptionError, match="probes"):
        hutchinson(_operator(np.eye(3)), 3, probes=0, rng=rng)
    with pytest.raises(OptionError, match="products"):
        hutch_plus_plus(_operator(np.eye(3)), 3, products=2, rng=rng)
    assert np.isnan(hutchinson(_operator(np.eye(3)), 3, probes=1, rng=rng).standard_error)
