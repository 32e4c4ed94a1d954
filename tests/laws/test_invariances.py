"""What must not change an answer, and what must change it in step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dense_model import Simulated, simulate, standardised
from hypothesis import example, given
from hypothesis import strategies as st

import varmix as vm

# Fits end 1e-8 standard errors from the optimum; standard errors here are below twice the estimates' scale.
CLOSE = 1e-6
METHODS = ["newton", "em", "pxem", "mm", "moments"]


@pytest.fixture(scope="module")
def narrow() -> Simulated:
    return simulate(21, 60, (25,), (0.9, 1.0))


@pytest.fixture(scope="module")
def wide() -> Simulated:
    return simulate(22, 50, (90,), (1.1, 0.8))


@pytest.fixture(scope="module")
def several() -> Simulated:
    return simulate(23, 60, (30, 80, 20), (0.6, 0.9, 0.3, 0.8))


def fit(data: Simulated, **options: Any) -> vm.Fit:
    return vm.variance_components(data.y, designs=data.designs, covariates=data.covariates, **options)


def variances(found: vm.Fit) -> np.ndarray:
    """From the last step: the table of components has profile intervals, which take longer than the fit."""
    return np.asarray(found.progress.iloc[-1, -len(found.covariance()) :].to_numpy(dtype=float))


def errors_of(found: vm.Fit) -> np.ndarray:
    return np.sqrt(np.diag(found.covariance()))


def close(left: np.ndarray, right: np.ndarray) -> None:
    np.testing.assert_allclose(left, right, rtol=CLOSE, atol=CLOSE * np.abs(right).max())


pytestmark = pytest.mark.filterwarnings("ignore::varmix.errors.FragileMomentsWarning")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("power", [-100, -30, -3, 4, 50, 100])
def test_the_scale_of_the_response_only_scales_the_answer(
    narrow: Simulated, wide: Simulated, method: str, power: int
) -> None:
    scale = 10.0**power
    for data in (narrow, wide):
        base = fit(data, method=method)
        scaled = vm.variance_components(data.y * scale, designs=data.designs, covariates=data.covariates, method=method)
        close(variances(scaled) / scale / scale, variances(base))
        if abs(power) <= 50:  # the covariance itself grows with the fourth power of the scale
            close(errors_of(scaled) / scale / scale, errors_of(base))
        close(scaled.coefficients["estimate"].to_numpy() / scale, base.coefficients["estimate"].to_numpy())
        effects = scaled.effects("x1")["estimate"].to_numpy() / scale
        close(effects, base.effects("x1")["estimate"].to_numpy())
        errors = len(data.y) - 3
        if np.isfinite(base.log_likelihood):
            shifted = scaled.log_likelihood + errors * np.log(scale)
            # The shift is up to 1e4, which costs four of sixteen digits.
            assert shifted == pytest.approx(base.log_likelihood, abs=1e-9)


@given(power=st.floats(-100.0, 100.0), seed=st.integers(0, 10_000))
@example(power=-16.823714249944715, seed=542)  # the step onto the boundary once stopped 3e-18 short of it
def test_no_scale_and_no_data_break_the_equivariance(power: float, seed: int) -> None:
    data = simulate(seed, 30, (12,), (0.5, 1.0), covariates=1)
    scale = 10.0**power
    base = fit(data)
    scaled = vm.variance_components(data.y * scale, designs=data.designs, covariates=data.covariates)
    close(variances(scaled) / scale / scale, variances(base))
    assert scaled.status is base.status


@pytest.mark.parametrize("method", METHODS)
def test_a_kernel_times_c_has_its_variance_over_c(several: Simulated, method: str) -> None:
    kernels = dict(zip("abc", several.kernels, strict=True))
    base = vm.variance_components(several.y, kernels=kernels, covariates=several.covariates, method=method)
    factors = {"a": 1e-6, "b": 3.0, "c": 1e8}
    scaled = vm.variance_components(
        several.y,
        kernels={name: factors[name] * K for name, K in kernels.items()},
        covariates=several.covariates,
        method=method,
    )
    close(variances(scaled)[:-1] * np.array(list(factors.values())), variances(base)[:-1])
    close(variances(scaled)[-1:], variances(base)[-1:])
    if np.isfinite(base.log_likelihood):
        assert scaled.log_likelihood == pytest.approx(base.log_likelihood, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("criterion", ["ml", "reml"])
def test_a_design_and_its_kernel_are_the_same_model(
    narrow: Simulated, wide: Simulated, several: Simulated, method: str, criterion: Any
) -> None:
    for data in (narrow, wide, several):
        if criterion == "ml" and data is not narrow:
            continue  # without a maximum: see `test_a_likelihood_without_maximum_...`
        by_design = fit(data, method=method, criterion=criterion)
        kernels = dict(zip(data.designs, data.kernels, strict=True))
        by_kernel = vm.variance_components(
            data.y, kernels=kernels, covariates=data.covariates, method=method, criterion=criterion
        )
        close(variances(by_kernel), variances(by_design))
        close(errors_of(by_kernel), errors_of(by_design))
        if np.isfinite(by_design.log_likelihood):
            assert by_kernel.log_likelihood == pytest.approx(by_design.log_likelihood, abs=1e-8)
        values = standardised(data.X[0]) @ by_design.effects("x1")["estimate"].to_numpy()
        close(by_kernel.effects("x1")["estimate"].to_numpy(), values)


@given(seed=st.integers(0, 10_000))
def test_rotating_everything_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = simulate(seed, 30, (45,), (1.0, 1.0), covariates=1)
    Q = np.linalg.qr(rng.normal(size=(30, 30)))[0]
    K = data.kernels[0] + 0.1 * np.ones((30, 30))
    base = vm.variance_components(data.y, kernels={"k": K}, covariates=data.Z, intercept=False)
    turned = Q @ K @ Q.T
    rotated = vm.variance_components(
        Q @ data.y, kernels={"k": (turned + turned.T) / 2}, covariates=Q @ data.Z, intercept=False
    )
    close(variances(rotated), variances(base))
    assert rotated.log_likelihood == pytest.approx(base.log_likelihood, abs=1e-8)
    close(rotated.coefficients["estimate"].to_numpy(), base.coefficients["estimate"].to_numpy())


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_rows_does_not_matter(narrow: Simulated, several: Simulated, method: str) -> None:
    for data in (narrow, several):
        base, order = fit(data, method=method), np.random.default_rng(1).permutation(len(data.y))
        designs = {name: X[order] for name, X in data.designs.items()}
        shuffled = vm.variance_components(
            data.y[order], designs=designs, covariates=data.covariates[order], method=method
        )
        close(variances(shuffled), variances(base))
        close(shuffled.predict(), base.predict()[order])


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_components_and_of_columns_does_not_matter(several: Simulated, method: str) -> None:
    base = fit(several, method=method)
    names = ["x3", "x1", "x2"]
    designs = {name: several.designs[name][:, ::-1] for name in names}
    other = vm.variance_components(several.y, designs=designs, covariates=several.covariates, method=method)
    assert list(other.covariance().columns) == [*names, "residual"]
    close(variances(other)[[1, 2, 0, 3]], variances(base))
    close(errors_of(other)[[1, 2, 0, 3]], errors_of(base))


@given(seed=st.integers(0, 10_000), shift=st.floats(-1e3, 1e3))
def test_adding_covariates_to_the_response_moves_only_the_coefficients(seed: int, shift: float) -> None:
    data = simulate(seed, 30, (12,), (0.5, 1.0))
    for criterion in ("reml", "ml"):
        base = fit(data, criterion=criterion)
        gamma = shift * np.array([1.0, -0.5, 0.25])
        moved = vm.variance_components(
            data.y + data.Z @ gamma, designs=data.designs, covariates=data.covariates, criterion=criterion
        )
        # The shift costs up to three digits of the response.
        np.testing.assert_allclose(variances(moved), variances(base), rtol=1e-6, atol=1e-6)
        assert moved.log_likelihood == pytest.approx(base.log_likelihood, abs=1e-7)
        difference = moved.coefficients["estimate"].to_numpy() - base.coefficients["estimate"].to_numpy()
        np.testing.assert_allclose(difference, gamma, rtol=1e-6, atol=1e-6)


def test_another_basis_of_the_covariates_moves_reml_by_its_determinant(narrow: Simulated) -> None:
    base = fit(narrow)
    change = np.array([[2.0, 0.3], [-1.0, 0.7]])
    other = vm.variance_components(narrow.y, designs=narrow.designs, covariates=narrow.covariates @ change)
    close(variances(other), variances(base))
    expected = base.log_likelihood - np.log(abs(np.linalg.det(change)))
    assert other.log_likelihood == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_tables_survive_the_ends_of_the_range(narrow: Simulated, scale: float) -> None:
    base = fit(narrow)
    scaled = vm.variance_components(narrow.y * scale, designs=narrow.designs, covariates=narrow.covariates)
    for column in ("estimate", "se", "lower", "upper"):
        close(scaled.components[column].to_numpy() / scale / scale, base.components[column].to_numpy())
        close(scaled.proportions[column].to_numpy(), base.proportions[column].to_numpy())
    assert "CONVERGED" in scaled.summary()


def test_splitting_a_design_and_summing_the_kernels_is_consistent(narrow: Simulated) -> None:
    K = narrow.kernels[0]
    whole = vm.variance_components(narrow.y, kernels={"k": K}, covariates=narrow.covariates)
    sevenfold = vm.variance_components(narrow.y, kernels={"k": K, "null": 7.0 * K}, covariates=narrow.covariates)
    total = variances(sevenfold)[0] + 7.0 * variances(sevenfold)[1]
    assert total == pytest.approx(variances(whole)[0], rel=CLOSE)
    assert sevenfold.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-9)
