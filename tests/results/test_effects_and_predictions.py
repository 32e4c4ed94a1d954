"""Posterior effects, predictions and draws against dense formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dense_model import standardised

import varmix as vm
from varmix.errors import OptionError


def dense_at(told: Any) -> tuple[Any, np.ndarray, Any]:
    """Dense algebra at the estimate of a fit whose kernels are x (15 columns) and kin (60 columns)."""
    return told.data, told.fit.components["estimate"].to_numpy(), told.fit


@pytest.mark.parametrize("which", [0, 1])
def test_effects_of_a_design_are_the_dense_posterior(narrow: Any, which: int) -> None:
    data = narrow.data
    X = data.X[which]  # narrower, then wider than the rows
    fit = vm.variance_components(data.y, designs={"x": X}, covariates=data.covariates)
    s = fit.components["estimate"].to_numpy()
    S = standardised(X)
    P = type(data.dense).of(data.y, data.Z, [S @ S.T]).at(s).P
    table = fit.effects("x", sd=True)
    np.testing.assert_allclose(table["estimate"], s[0] * S.T @ P @ data.y, rtol=1e-8, atol=1e-10)
    posterior = s[0] * np.eye(X.shape[1]) - s[0] ** 2 * S.T @ P @ S
    np.testing.assert_allclose(table["sd"], np.sqrt(np.diag(posterior)), rtol=1e-8)


def test_values_of_a_kernel_are_the_dense_posterior(two: Any) -> None:
    data, s, fit = dense_at(two)
    K, P = data.kernels[1], data.dense.at(s).P
    table = fit.effects("kin", sd=True)
    np.testing.assert_allclose(table["estimate"], s[1] * K @ P @ data.y, rtol=1e-7, atol=1e-9)
    posterior = s[1] * K - s[1] ** 2 * K @ P @ K
    np.testing.assert_allclose(table["sd"], np.sqrt(np.diag(posterior)), rtol=1e-7)
    beside = fit.effects("x", sd=True)
    S = standardised(data.X[0])
    np.testing.assert_allclose(beside["estimate"], s[0] * S.T @ P @ data.y, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(beside["sd"], np.sqrt(np.diag(s[0] * np.eye(15) - s[0] ** 2 * S.T @ P @ S)), rtol=1e-7)
    with pytest.raises(OptionError, match="residual"):
        fit.effects("residual")
    with pytest.raises(OptionError, match="kin"):
        fit.effects("nobody")


def test_coefficients_and_fitted_values_are_the_dense_ones(two: Any) -> None:
    data, s, fit = dense_at(two)
    a = data.dense.at(s)
    np.testing.assert_allclose(fit.coefficients["estimate"], a.w, rtol=1e-8)
    np.testing.assert_allclose(fit.coefficients["se"], np.sqrt(np.diag(np.linalg.inv(a.information_w))), rtol=1e-7)
    residual = s[-1] * a.P @ data.y
    np.testing.assert_allclose(fit.augment()["resid"], residual, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fit.augment()["fixed"], data.Z @ a.w, rtol=1e-8)


def test_predicting_the_training_rows_gives_the_fitted_values(two: Any, narrow: Any, by_formula: Any) -> None:
    data = two.data
    again = two.fit.predict(data.covariates, designs={"x": data.X[0]}, kernels={"kin": data.kernels[1]})
    np.testing.assert_allclose(again, two.fit.predict(), rtol=1e-9)
    alone = narrow.fit.predict(data.covariates[5:9], designs={"x": data.X[0][5:9]})
    np.testing.assert_allclose(alone, narrow.fit.predict()[5:9], rtol=1e-9)
    frame = by_formula.fit.report.model.design
    assert frame.n == 40


def test_new_rows_are_predicted_as_if_they_had_been_unobserved(two: Any) -> None:
    """Joint normality of old and new rows, with the training centring and scaling of the design."""
    data, s, fit = dense_at(two)
    rng = np.random.default_rng(6)
    new_Z, new_X, cross = rng.normal(size=(4, 2)), rng.normal(size=(4, 15)), rng.normal(size=(4, 40))
    X = data.X[0]
    scale = X.std(axis=0) * np.sqrt(15)
    covariance = s[0] * ((new_X - X.mean(axis=0)) / scale) @ standardised(X).T + s[1] * cross
    a = data.dense.at(s)
    dense = np.column_stack([np.ones(4), new_Z]) @ a.w + covariance @ a.P @ data.y
    np.testing.assert_allclose(fit.predict(new_Z, designs={"x": new_X}, kernels={"kin": cross}), dense, rtol=1e-8)


def test_predictions_without_covariates_need_only_the_rows(narrow: Any) -> None:
    data = narrow.data
    fit = vm.variance_components(data.y, designs={"x": data.X[0]})
    np.testing.assert_allclose(fit.predict(designs={"x": data.X[0]}), fit.predict(), rtol=1e-9)


@pytest.mark.parametrize("kind", ["narrow", "wide", "two"])
def test_draws_have_the_mean_and_the_covariance_of_the_model(narrow: Any, two: Any, kind: str) -> None:
    data = narrow.data
    if kind == "wide":
        fit = vm.variance_components(data.y, designs={"x": data.X[1]}, covariates=data.covariates, criterion="reml")
        kernels = [data.kernels[1]]
    else:
        fit, kernels = (narrow.fit, data.kernels[:1]) if kind == "narrow" else (two.fit, data.kernels)
    dense = type(data.dense).of(data.y, data.Z, kernels)
    s = fit.components["estimate"].to_numpy()
    V, mean = dense.at(s).V, data.Z @ fit.coefficients["estimate"].to_numpy()
    rng, count = np.random.default_rng(7), 3000
    centred = np.stack([fit.simulate(rng) for _ in range(count)]) - mean
    error = np.sqrt(np.diag(V) / count)
    # The largest of 40 normal means stays below 4 standard errors but once in 400 seeds.
    assert np.abs(centred.mean(axis=0) / error).max() < 4.0
    sample = centred.T @ centred / count
    spread = np.sqrt((V**2 + np.outer(np.diag(V), np.diag(V))) / count)
    # 820 entries: 5 standard errors once in 2000 seeds.
    assert np.abs((sample - V) / spread).max() < 5.0


def test_draws_repeat_with_the_seed(narrow: Any) -> None:
    np.testing.assert_array_equal(narrow.fit.simulate(3), narrow.fit.simulate(np.random.default_rng(3)))


def test_effects_at_zero_variance_are_zero() -> None:
    rng = np.random.default_rng(8)
    X = rng.normal(size=(40, 15))
    y = rng.normal(size=40)
    span = np.linalg.qr(X)[0]
    fit = vm.variance_components(y - 0.8 * span @ (span.T @ y), designs={"x": X})
    assert (fit.effects("x", sd=True) == 0.0).all(axis=None)
    np.testing.assert_allclose(fit.predict(), fit.augment()["fixed"])
