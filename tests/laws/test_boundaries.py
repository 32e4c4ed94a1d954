"""The edges of the model: what is 0, confounded, absorbed or as large as the data allow is said, never made up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from dense_model import DenseModel, simulate
from scipy import stats

import varmix as vm
from varmix.errors import NotIdentifiedError
from varmix.iteration import Status

METHODS = ["newton", "em", "pxem", "mm"]
LIKELIHOOD = pytest.mark.parametrize("method", METHODS)
ROWS = 50


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(3).normal(size=ROWS)


@pytest.fixture(scope="module")
def full_rank() -> np.ndarray:
    A = np.random.default_rng(4).normal(size=(ROWS, 2 * ROWS))
    return np.asarray(A @ A.T / A.shape[1])


def steeper_than(K: np.ndarray) -> np.ndarray:
    """A response whose variance along the eigenvectors grows faster than the eigenvalues."""
    values, vectors = np.linalg.eigh(K)
    return np.asarray(vectors @ (values**0.8 * np.random.default_rng(8).choice([-1.0, 1.0], size=len(K))))


def test_a_true_variance_of_zero_is_estimated_as_exactly_zero_about_half_the_time() -> None:
    X = np.random.default_rng(5).normal(size=(80, 40))
    at_zero = 0
    for seed in range(60):
        fit = vm.variance_components(np.random.default_rng(100 + seed).normal(size=80), designs={"x": X})
        assert fit.status.arrived
        estimate = fit.progress["x"].iloc[-1]
        at_zero += estimate == 0.0
        assert (fit.status is Status.ON_BOUNDARY) == (estimate == 0.0)
    # The share is one half and somewhat more in small samples: beyond these bounds once in a thousand seeds.
    low, high = stats.binom.ppf(5e-4, 60, 0.5), stats.binom.ppf(1 - 5e-4, 60, 0.65)
    assert low <= at_zero <= high


@LIKELIHOOD
def test_at_zero_the_answer_is_ordinary_least_squares(noise: np.ndarray, method: str) -> None:
    X = np.random.default_rng(6).normal(size=(ROWS, 30))
    z = np.random.default_rng(7).normal(size=ROWS)
    # A response whose part in the span of the design is smaller than by chance.
    span = np.linalg.qr(X)[0]
    y = noise - 0.7 * span @ (span.T @ noise)
    fit = vm.variance_components(y, designs={"x": X}, covariates=z, method=method)
    Z = np.column_stack([np.ones(ROWS), z])
    w, rss = np.linalg.lstsq(Z, y, rcond=None)[:2]
    assert fit.status is Status.ON_BOUNDARY
    table = fit.components
    assert table["estimate"].tolist() == [0.0, pytest.approx(float(rss[0]) / (ROWS - 2), rel=1e-9)]
    assert math.isnan(table["se"][0])
    assert table["on_boundary"].tolist() == [True, False]
    assert table["lower"][0] == 0.0
    assert 0.0 < table["upper"][0] < math.inf
    np.testing.assert_allclose(fit.coefficients["estimate"], w, rtol=1e-9)
    assert (fit.effects("x", sd=True) == 0.0).all(axis=None)
    test = fit.test("x")
    assert (test.statistic, test.p_value) == (0.0, 1.0)


@LIKELIHOOD
@pytest.mark.parametrize("criterion", ["reml", "ml"])
def test_a_kernel_of_full_rank_can_take_all_the_variance(full_rank: np.ndarray, method: str, criterion: Any) -> None:
    y = steeper_than(full_rank)
    dense = DenseModel.of(y, np.ones((ROWS, 1)), [full_rank])
    best, top = dense.maximum(criterion)
    assert best[1] == 0.0
    fit = vm.variance_components(y, kernels={"k": full_rank}, method=method, criterion=criterion)
    assert fit.status is Status.ON_BOUNDARY
    np.testing.assert_allclose(fit.components["estimate"], best, rtol=1e-7)
    assert fit.log_likelihood == pytest.approx(top, abs=1e-9)
    assert fit.proportions["estimate"].tolist() == [1.0, 0.0]
    assert fit.proportions["upper"][0] == 1.0
    assert 0.5 < fit.proportions["lower"][0] < 1.0
    np.testing.assert_allclose(fit.predict(), y, atol=1e-9)


@pytest.mark.parametrize("criterion", ["reml", "ml"])
@pytest.mark.parametrize("method", [*METHODS, "moments"])
def test_a_kernel_within_the_covariates_is_refused_by_name(noise: np.ndarray, method: str, criterion: Any) -> None:
    Z = np.random.default_rng(9).normal(size=(ROWS, 2))
    good = np.eye(ROWS) + np.diag(np.arange(ROWS) / ROWS)
    for kernels in ({"gone": Z @ Z.T}, {"kin": good, "gone": np.ones((ROWS, ROWS))}, {"gone": np.zeros((ROWS, ROWS))}):
        with pytest.raises(NotIdentifiedError, match=r"'gone'.*covariates"):
            vm.variance_components(noise, kernels=kernels, covariates=Z, method=method, criterion=criterion)


def test_a_design_within_the_covariates_is_refused_by_name(noise: np.ndarray) -> None:
    X = np.random.default_rng(10).normal(size=(ROWS, 3))
    with pytest.raises(NotIdentifiedError, match="'x'"):
        vm.variance_components(noise, designs={"x": X}, covariates=X)


@LIKELIHOOD
def test_confounded_kernels_have_infinite_errors_and_a_right_sum(full_rank: np.ndarray, method: str) -> None:
    rng = np.random.default_rng(11)
    y = np.linalg.cholesky(full_rank) @ rng.normal(size=ROWS) + rng.normal(size=ROWS)
    alone = vm.variance_components(y, kernels={"a": full_rank}).components["estimate"].to_numpy()
    fit = vm.variance_components(y, kernels={"a": full_rank, "again": 2.0 * full_rank}, method=method)
    table = fit.components
    s = table["estimate"].to_numpy()
    assert s[0] + 2.0 * s[1] == pytest.approx(alone[0], rel=1e-6)
    assert s[2] == pytest.approx(alone[1], rel=1e-6)
    assert np.isinf(table["se"][:2]).all()
    assert np.isfinite(table["se"][2])
    assert fit.test("again").p_value == 1.0


def test_a_kernel_like_the_residual_has_infinite_errors(noise: np.ndarray) -> None:
    fit = vm.variance_components(noise, kernels={"same": np.eye(ROWS)})
    table = fit.components
    assert table["estimate"].sum() == pytest.approx(noise.var(ddof=1), rel=1e-9)
    assert np.isinf(table["se"]).all()
    assert (table["lower"] == 0.0).all()
    np.testing.assert_allclose(table["upper"], table["upper"][0], rtol=1e-5)


def test_moments_refuse_what_they_cannot_tell_apart(noise: np.ndarray, full_rank: np.ndarray) -> None:
    for kernels in ({"a": np.eye(ROWS)}, {"a": full_rank, "b": 3.0 * full_rank}):
        with pytest.raises(NotIdentifiedError, match="proportional"):
            vm.variance_components(noise, kernels=kernels, method="moments")


@LIKELIHOOD
def test_a_constant_kernel_without_intercept_is_one_shared_mean(noise: np.ndarray, method: str) -> None:
    y = noise + 1.5
    fit = vm.variance_components(y, kernels={"mean": np.ones((ROWS, ROWS))}, intercept=False, method=method)
    residual = y.var(ddof=1)
    shared = y.mean() ** 2 - residual / ROWS
    np.testing.assert_allclose(fit.components["estimate"], [shared, residual], rtol=1e-6)


@LIKELIHOOD
def test_a_kernel_of_rank_one_has_its_closed_form(noise: np.ndarray, method: str) -> None:
    v = np.random.default_rng(12).normal(size=ROWS)
    v -= v.mean()
    y = noise + 2.0 * v
    fit = vm.variance_components(y, kernels={"v": np.outer(v, v)}, method=method)
    unit = v / np.linalg.norm(v)
    along = float(unit @ y)
    residual = (float(np.sum((y - y.mean()) ** 2)) - along**2) / (ROWS - 2)
    np.testing.assert_allclose(fit.components["estimate"], [(along**2 - residual) / (v @ v), residual], rtol=1e-6)


@pytest.mark.parametrize("width", [1, ROWS - 3, ROWS - 2, ROWS - 1, ROWS])
@pytest.mark.parametrize("method", METHODS)
def test_designs_about_as_wide_as_the_rows_are_those_of_the_dense_model(width: int, method: str) -> None:
    data = simulate(width, ROWS, (width,), (0.8, 1.0), covariates=1)
    best, top = data.dense.maximum("reml")
    fit = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates, method=method)
    np.testing.assert_allclose(fit.components["estimate"], best, rtol=1e-6, atol=1e-7)
    assert fit.log_likelihood == pytest.approx(top, abs=1e-8)
    assert fit.status.arrived


def test_one_or_two_degrees_of_freedom_claim_nothing(noise: np.ndarray, full_rank: np.ndarray) -> None:
    Z = np.random.default_rng(13).normal(size=(ROWS, 2))
    one = vm.variance_components(noise[:4], kernels={"k": full_rank[:4, :4]}, covariates=Z[:4])
    assert np.isinf(one.components["se"]).all()
    assert (one.proportions["lower"].tolist(), one.proportions["upper"].tolist()) == ([0.0, 0.0], [1.0, 1.0])
    two = vm.variance_components(noise[:5], kernels={"k": full_rank[:5, :5]}, covariates=Z[:5])
    assert two.proportions["upper"][0] - two.proportions["lower"][0] > 0.9


@pytest.mark.parametrize("criterion", ["reml", "ml"])
def test_without_covariates_both_criteria_are_one(criterion: Any) -> None:
    data = simulate(14, ROWS, (30,), (0.8, 1.0))
    fit = vm.variance_components(data.y, designs=data.designs, intercept=False, criterion=criterion)
    best, top = DenseModel.of(data.y, np.zeros((ROWS, 0)), data.kernels).maximum("ml")
    np.testing.assert_allclose(fit.components["estimate"], best, rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(top, abs=1e-9)
    assert len(fit.coefficients) == 0
    assert np.isfinite(fit.predict()).all()


@LIKELIHOOD
def test_eight_components_reach_the_dense_optimum(method: str) -> None:
    truth = (0.9, 0.0, 0.4, 0.0, 0.7, 0.2, 0.0, 0.5, 1.0)
    data = simulate(15, 90, (20, 30, 25, 40, 15, 35, 30, 100), truth, alike=0.0)
    best, top = data.dense.maximum("reml")
    fit = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates, method=method)
    assert fit.status.arrived
    estimate = fit.progress.iloc[-1, -9:].to_numpy(dtype=float)
    np.testing.assert_allclose(estimate, best, rtol=1e-5, atol=1e-6 * best.max())
    assert ((estimate == 0.0) == (best == 0.0)).all()
    assert fit.log_likelihood == pytest.approx(top, abs=1e-8)


@LIKELIHOOD
@pytest.mark.parametrize("seed", [57, 108, 528, 1431])
def test_more_components_than_rows_to_spare_end_at_a_true_maximum(method: str, seed: int) -> None:
    data = simulate(seed, 6, (21, 13, 38), (2.0, 0.5, 0.0, 1.0))
    dense = data.dense.complement()
    fit = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates, method=method)
    assert fit.status.arrived
    estimate = fit.progress.iloc[-1, -4:].to_numpy(dtype=float)
    slope = dense.score(estimate, "ml") * np.where(estimate > 0.0, estimate, data.y.var())
    # Three rows are left for four variances: the average information alone has not the rank to see every slope.
    assert np.abs(slope[estimate > 0.0]).max() < 1e-5
    assert slope[estimate == 0.0].max(initial=0.0) <= 1e-9
