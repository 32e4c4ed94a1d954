"""Relationship matrices whose calls are missing pair by pair have negative eigenvalues: fitted, or clipped."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from dense_model import DenseModel
from scipy import optimize, stats

import varmix as vm
from varmix.errors import KernelError, OptionError, RepairWarning, VarmixWarning

ROWS = 80
Array = np.ndarray


def relationships(rng: np.random.Generator, variants: int, missing: float) -> tuple[Array, Array]:
    """As GCTA: products over the calls that both of a pair have; two pairs of twins. And the standardised genotypes."""
    calls = rng.binomial(2, rng.uniform(0.1, 0.5, variants), size=(ROWS, variants)).astype(float)
    calls[1], calls[3] = calls[0], calls[2]
    complete = (calls - calls.mean(axis=0)) / calls.std(axis=0)
    there = rng.random(calls.shape) >= missing
    f = np.nanmean(np.where(there, calls, np.nan), axis=0) / 2.0
    standardised = np.where(there, (calls - 2.0 * f) / np.sqrt(2.0 * f * (1.0 - f)), 0.0)
    return standardised @ standardised.T / (there.astype(float) @ there.T), complete


class Sample:
    """A response of two kernels and a covariate."""

    def __init__(self, seed: int, weights: tuple[float, float, float] = (0.7, 0.5, 0.6)) -> None:
        rng = np.random.default_rng(seed)
        self.kernels, parts = {}, []
        for name, variants, missing in (("a", 120, 0.15), ("b", 60, 0.1)):
            self.kernels[name], complete = relationships(rng, variants, missing)
            parts.append(complete @ rng.standard_normal(variants) / np.sqrt(variants))
        self.covariate = rng.standard_normal((ROWS, 1))
        self.y = weights[0] * parts[0] + weights[1] * parts[1] + weights[2] * rng.standard_normal(ROWS)

    def dense(self, *names: str) -> DenseModel:
        Z = np.column_stack([np.ones(ROWS), self.covariate])
        return DenseModel.of(self.y, Z, [self.kernels[name] for name in names])

    def fit(self, *names: str, **options: Any) -> vm.Fit:
        kernels = {name: self.kernels[name] for name in names}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VarmixWarning)
            return vm.variance_components(self.y, kernels=kernels, covariates=self.covariate, **options)


def local_maximum(model: DenseModel, criterion: str, start: Array) -> tuple[Array, float]:
    """By Nelder and Mead in the logarithms, which asks for values alone."""
    found = optimize.minimize(
        lambda t: -model.log_likelihood(np.exp(t), criterion),
        np.log(start),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxfev": 6000, "maxiter": 6000},
    )
    return np.exp(found.x), -float(found.fun)


@pytest.mark.parametrize("criterion", ["reml", "ml"])
@pytest.mark.parametrize("names", [("a",), ("b",), ("a", "b")])
def test_a_kernel_with_negative_eigenvalues_is_fitted_as_it_is(names: tuple[str, ...], criterion: Any) -> None:
    sample = Sample(1)
    fit, model = sample.fit(*names, criterion=criterion), sample.dense(*names)
    assert fit.status.arrived
    estimate = fit.components["estimate"].to_numpy()
    # ML is unbounded where V becomes singular in a covariate's direction: a distant start would go there.
    apart = 0.2 if criterion == "reml" else 0.02
    begin = estimate * np.exp(apart * np.array([1.0, -1.0, 0.5])[: len(estimate)])
    theta, height = local_maximum(model, criterion, begin)
    # The simplex stops at 1e-9 in the logarithms, the height is flat there.
    np.testing.assert_allclose(estimate, theta, rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(height, abs=1e-9)
    assert np.linalg.eigvalsh(model.at(estimate).V)[0] > 0.0
    if criterion == "reml":  # bounded: no start finds more
        rng = np.random.default_rng(2)
        heights = [local_maximum(model, "reml", rng.dirichlet(np.ones(len(estimate))) + 0.01)[1] for _ in range(3)]
        assert max(heights) <= fit.log_likelihood + 1e-9


@pytest.mark.parametrize("criterion", ["reml", "ml"])
def test_negative_eigenvalues_are_told_with_their_number_and_the_lowest(criterion: Any) -> None:
    sample = Sample(2)
    with pytest.warns(VarmixWarning, match=r"Kernel 'b' has \d+ negative eigenvalues, the lowest -0\.\d+ \(-\d"):
        fit = vm.variance_components(
            sample.y, kernels={"b": sample.kernels["b"]}, covariates=sample.covariate, criterion=criterion
        )
    K, M = sample.kernels["b"], sample.dense("b").M
    # REML sees the kernel without the covariates, ML with them.
    eigenvalues = np.linalg.eigvalsh(M @ K @ M if criterion == "reml" else K)
    (told,) = fit.facts["negative_eigenvalues"]
    assert told["count"] == (eigenvalues < -1e-6).sum()
    np.testing.assert_allclose([told["lowest"], told["largest"]], eigenvalues[[0, -1]], rtol=1e-10)
    assert told["treatment"] == "keep"
    assert "negative_eigenvalues='clip'" in fit.facts["warnings"][0]


def test_clipping_is_the_fit_of_the_clipped_kernel() -> None:
    sample = Sample(3)
    K = sample.kernels["a"]
    eigenvalues, basis = np.linalg.eigh(K)
    by_hand = (basis * np.maximum(eigenvalues, 0.0)) @ basis.T
    expected = vm.variance_components(sample.y, kernels={"a": by_hand}, covariates=sample.covariate)
    before = K.copy()
    with pytest.warns(RepairWarning, match="set to 0"):
        fit = vm.variance_components(
            sample.y, kernels={"a": K}, covariates=sample.covariate, negative_eigenvalues="clip"
        )
    np.testing.assert_array_equal(K, before)
    np.testing.assert_allclose(fit.components["estimate"], expected.components["estimate"], rtol=1e-8)
    assert fit.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-9)
    for method in ("em", "mm", "pxem"):
        with pytest.raises(OptionError, match="negative_eigenvalues='clip'"):
            sample.fit("a", method=method)
        climbed = sample.fit("a", method=method, negative_eigenvalues="clip")
        # Both certificates are 1e-8 standard errors.
        np.testing.assert_allclose(climbed.components["estimate"], fit.components["estimate"], rtol=1e-6)
    with pytest.raises(OptionError, match="negative_eigenvalues='drop'"):
        sample.fit("a", negative_eigenvalues="drop")


def test_a_kernel_that_is_no_covariance_is_refused_even_with_clipping() -> None:
    sample = Sample(4)
    distances = 1.0 - sample.kernels["a"]
    for choice in ("keep", "clip"):
        with pytest.raises(KernelError, match=r"far.*negative eigenvalue"):
            vm.variance_components(sample.y, kernels={"far": distances}, negative_eigenvalues=choice)
        with pytest.raises(KernelError, match=r"far.*negative eigenvalue"):
            vm.variance_components_many(sample.y[:, None], kernels={"far": distances}, negative_eigenvalues=choice)


@pytest.mark.parametrize("criterion", ["reml", "ml"])
def test_many_responses_are_the_fits_of_each(criterion: Any) -> None:
    """The weaker the noise, the nearer is the estimate to where V stops being positive definite."""
    samples = [Sample(5, (1.0, 0.0, noise)) for noise in (0.02, 0.1, 0.3, 1.0)]
    Y = np.column_stack([sample.y for sample in samples])
    Y[:3, 1] = np.nan
    sample = samples[0]
    with pytest.warns(VarmixWarning, match="Kernel 'a' has") as told:
        table = vm.variance_components_many(
            Y, kernels={"a": sample.kernels["a"]}, covariates=sample.covariate, criterion=criterion
        )
    assert len(told) == 1
    for position, row in enumerate(table.to_dict("records")):
        rows = np.flatnonzero(~np.isnan(Y[:, position]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VarmixWarning)
            fit = vm.variance_components(
                Y[rows, position],
                kernels={"a": sample.kernels["a"][np.ix_(rows, rows)]},
                covariates=sample.covariate[rows],
                criterion=criterion,
            )
        assert row["status"] == fit.status.name
        if fit.status.arrived:
            np.testing.assert_allclose([row["s_kernel"], row["s_residual"]], fit.components["estimate"], rtol=1e-6)
            assert row["log_likelihood"] == pytest.approx(fit.log_likelihood, abs=1e-8)


def test_profiles_end_where_the_likelihood_of_definite_v_has_fallen() -> None:
    sample = Sample(6)
    fit, model = sample.fit("a", "b"), sample.dense("a", "b")
    top = fit.log_likelihood - 0.5 * stats.chi2.ppf(0.95, 1)
    estimate = fit.components["estimate"].to_numpy()
    for component, name in enumerate(("a", "b", "residual")):
        for end in fit.interval(name, kind="profile"):
            if end == 0.0:
                continue
            others = [k for k in range(3) if k != component]

            def height(t: Array, others: Any = others, component: int = component, end: float = end) -> float:
                theta = np.empty(3)
                theta[component], theta[others] = end, np.exp(t)
                return -model.log_likelihood(theta, "reml")

            starts = [np.maximum(estimate[others], 1e-2), np.array([0.05, 1.0]), np.array([0.3, 0.5])]
            found = min(optimize.minimize(height, np.log(begin), method="Nelder-Mead").fun for begin in starts)
            assert -found == pytest.approx(top, abs=1e-4)  # the simplex stops at 1e-4


def test_moments_at_which_v_is_not_definite_have_no_errors() -> None:
    sample = Sample(8, (1.5, 0.0, 0.0))
    # A response along an eigenvector of the largest eigenvalue: moments give all of it to the kernel.
    K = sample.kernels["a"]
    sample.y = K @ np.linalg.eigh(K)[1][:, -3:] @ np.ones(3)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit = vm.variance_components(sample.y, kernels={"a": K}, covariates=sample.covariate, method="moments")
    assert fit.components["estimate"].iloc[-1] < 0.0
    assert np.isnan(fit.components[["se", "lower", "upper"]]).all(axis=None)
    assert any("not positive definite" in str(item.message) for item in told)
