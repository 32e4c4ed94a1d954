"""Coefficients whose covariance is singular are not told as certain."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from dense_model import standardised

import varmix as vm
from varmix.errors import FragileMomentsWarning, VarmixWarning
from varmix.models.linear.fixed_block import coefficient_covariance


@pytest.fixture(scope="module")
def clean() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses without residual, of which REML and moments find no positive residual variance."""
    rng = np.random.default_rng(1)
    X, z = rng.normal(size=(40, 80)), rng.normal(size=(40, 1)) + 3.0
    y = standardised(X) @ np.random.default_rng(1).normal(size=80) * 2.0 + 1.0 + z[:, 0]
    return y, X, z


@pytest.mark.parametrize(
    ("options", "category"),
    [
        ({}, VarmixWarning),
        ({"method": "moments"}, FragileMomentsWarning),
        ({"method": "moments", "traces": "randomised", "rng": 3, "probes": 2000}, FragileMomentsWarning),
    ],
    ids=["reml", "moments", "randomised"],
)
def test_coefficients_without_variance_have_no_error_and_no_p_value(clean, options, category) -> None:  # type: ignore[no-untyped-def]
    y, X, z = clean
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit = vm.variance_components(y, designs={"x": X}, covariates=z, **options)
    assert fit.components["estimate"].iloc[-1] <= 0.0
    lost, kept = fit.coefficients.iloc[0], fit.coefficients.iloc[1]
    assert np.isnan(lost[["se", "statistic", "p", "lower", "upper"]].astype(float)).all()
    # The kernel is centred, so that it lacks the intercept; the slope varies with the kernel.
    assert np.isfinite(kept.astype(float)).all()
    assert kept["se"] > 0.0
    assert any("(Intercept)" in note for note in fit.facts["warnings"])
    assert any(warning.category is category and "(Intercept)" in str(warning.message) for warning in told)


def test_a_fit_with_a_residual_says_nothing_of_it(narrow) -> None:  # type: ignore[no-untyped-def]
    assert "warnings" not in narrow.fit.facts
    assert np.isfinite(narrow.fit.coefficients["se"]).all()


def test_a_proportion_at_its_bound_has_no_standard_error(clean) -> None:  # type: ignore[no-untyped-def]
    y, X, z = clean
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        table = vm.variance_components(y, designs={"x": X}, covariates=z).proportions
    assert table["estimate"].tolist() == [1.0, 0.0]
    assert np.isnan(table["se"]).all()


def test_only_coefficients_on_singular_directions_are_lost() -> None:
    rng = np.random.default_rng(2)
    inverse = np.triu(rng.normal(size=(3, 3)))
    inverse[1, 2] = 0.0
    root = rng.normal(size=(3, 2))
    root[2] = 0.0  # C lacks the third direction; the second coefficient does not rest on it
    covariance = coefficient_covariance(inverse, root @ root.T, 1e-12)
    assert np.isnan(np.diag(covariance)).tolist() == [True, False, True]
    assert covariance[1, 1] == pytest.approx((inverse @ root @ root.T @ inverse.T)[1, 1])
