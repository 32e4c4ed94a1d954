"""Intervals, standard errors and tests of a fit against dense algebra and brute force."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from dense_model import DenseModel, Simulated, gradient, simulate
from scipy import optimize, stats

import varmix as vm
from varmix.errors import NotAvailableError, OptionError

QUANTILE = float(stats.chi2.ppf(0.95, 1))


@dataclass(frozen=True)
class Fitted:
    data: Simulated
    fit: vm.Fit
    criterion: str

    @property
    def dense(self) -> DenseModel:
        return self.data.dense

    @property
    def estimate(self) -> np.ndarray:
        return np.asarray(self.fit.components["estimate"].to_numpy())


CASES = {
    "narrow": (41, 60, (20,), (0.9, 1.0), "reml"),
    "narrow ml": (42, 60, (20,), (0.9, 1.0), "ml"),
    "wide": (43, 60, (90,), (1.5, 0.8), "reml"),
    "several": (44, 70, (20, 90), (0.8, 0.9, 1.0), "reml"),
}


@pytest.fixture(scope="module", params=CASES)
def fitted(request: pytest.FixtureRequest) -> Fitted:
    seed, n, widths, truth, criterion = CASES[request.param]
    data = simulate(seed, n, widths, truth)
    fit = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates, criterion=criterion)  # type: ignore[arg-type]
    assert not fit.components["on_boundary"].any(), "the case is meant to be inside"
    return Fitted(data, fit, criterion)


def profiled(dense: DenseModel, criterion: str, held, start: np.ndarray) -> float:  # type: ignore[no-untyped-def]
    """Maximum over t of the log-likelihood at `held(t)`, t > 0, by Nelder-Mead and nothing of varmix."""

    def minus(log_t: np.ndarray) -> float:
        value = dense.log_likelihood(held(np.exp(log_t)), criterion)
        return -value if np.isfinite(value) else 1e10

    options = {"xatol": 1e-8, "fatol": 1e-11, "maxiter": 4000, "maxfev": 4000}
    return -float(optimize.minimize(minus, np.log(start), method="Nelder-Mead", options=options).fun)


@pytest.mark.parametrize("of", ["variance", "proportion"])
def test_profile_intervals_end_where_the_dense_profile_has_fallen_by_the_quantile(fitted: Fitted, of: str) -> None:
    dense, s = fitted.dense, fitted.estimate
    top, traces = dense.log_likelihood(s, fitted.criterion), dense.traces
    component, ends_tested = 0, 0
    others = [k for k in range(len(s)) if k != component]
    for value in fitted.fit.interval("x1", of=of, kind="profile"):
        if of == "variance":

            def held(t: np.ndarray, value: float = value) -> np.ndarray:
                return np.insert(t, component, value)

            start = s[others]
        else:

            def held(t: np.ndarray, value: float = value) -> np.ndarray:
                return np.insert(t, component, value / (1.0 - value) * (t @ traces[others]) / traces[component])

            start = s[others]
        if value == 0.0:
            continue
        fall = 2.0 * (top - profiled(dense, fitted.criterion, held, start))
        # Nelder-Mead finds the profile to about 1e-7.
        assert fall == pytest.approx(QUANTILE, abs=1e-4)
        ends_tested += 1
    assert ends_tested >= 1


def test_wald_intervals_are_those_of_the_inverse_expected_information(fitted: Fitted) -> None:
    covariance = np.linalg.inv(fitted.dense.expected(fitted.estimate, fitted.criterion))
    np.testing.assert_allclose(fitted.fit.covariance(), covariance, rtol=1e-6)
    np.testing.assert_allclose(fitted.fit.components["se"], np.sqrt(np.diag(covariance)), rtol=1e-6)
    observed = np.linalg.inv(fitted.dense.observed(fitted.estimate, fitted.criterion))
    np.testing.assert_allclose(fitted.fit.covariance("observed"), observed, rtol=1e-6)
    average = np.linalg.inv(fitted.dense.average(fitted.estimate))
    np.testing.assert_allclose(fitted.fit.covariance("average"), average, rtol=1e-6)
    low, high = fitted.fit.interval("x1", kind="wald", level=0.9)
    reach = stats.norm.ppf(0.95) * np.sqrt(covariance[0, 0])
    assert low == pytest.approx(max(0.0, fitted.estimate[0] - reach), rel=1e-6)
    assert high == pytest.approx(fitted.estimate[0] + reach, rel=1e-6)


def test_proportions_and_their_errors_are_the_delta_method_by_finite_differences(fitted: Fitted) -> None:
    dense, s = fitted.dense, fitted.estimate
    traces = dense.traces

    def share(k: int, values: np.ndarray) -> float:
        return float(values[k] * traces[k] / (values @ traces))

    jacobian = np.array([gradient(lambda values, k=k: share(k, values), s) for k in range(len(s))])
    covariance = np.linalg.inv(dense.expected(s, fitted.criterion))
    table = fitted.fit.proportions
    np.testing.assert_allclose(table["estimate"], [share(k, s) for k in range(len(s))], rtol=1e-9)
    assert table["estimate"].sum() == pytest.approx(1.0)
    # Central differences with relative steps of 1e-5.
    np.testing.assert_allclose(table["se"], np.sqrt(np.diag(jacobian @ covariance @ jacobian.T)), rtol=1e-6)


def test_the_likelihood_ratio_is_twice_the_dense_difference(fitted: Fitted) -> None:
    dense = fitted.dense
    smaller = DenseModel(y=dense.y, Z=dense.Z, K=dense.K[1:])
    _, null = smaller.maximum(fitted.criterion)
    test = fitted.fit.test("x1")
    assert test.statistic == pytest.approx(2.0 * (fitted.fit.log_likelihood - null), abs=1e-6)
    assert test.weights == (0.5, 0.5)
    assert test.p_value == pytest.approx(0.5 * stats.chi2.sf(test.statistic, 1), rel=1e-6)


def test_a_profile_has_its_top_at_the_estimate_and_covers_the_interval(fitted: Fitted) -> None:
    path = fitted.fit.profile("x1", points=15)
    values, heights = path["value"].to_numpy(), path["log_likelihood"].to_numpy()
    assert values[heights.argmax()] == pytest.approx(fitted.estimate[0], rel=1e-6)
    assert heights.max() == pytest.approx(0.0, abs=1e-9)
    low, high = fitted.fit.interval("x1", kind="profile")
    assert values[0] <= low
    assert values[-1] >= high
    at = heights.argmax()
    assert (np.diff(heights[: at + 1]) >= -1e-9).all()
    assert (np.diff(heights[at:]) <= 1e-9).all()


def test_wider_levels_contain_narrower_ones(fitted: Fitted) -> None:
    for kind in ("profile", "wald"):
        for of in ("variance", "proportion"):
            ends = [fitted.fit.interval("x1", of=of, kind=kind, level=level) for level in (0.5, 0.8, 0.95, 0.999)]
            for inner, outer in pairwise(ends):
                assert outer[0] <= inner[0]
                assert inner[1] <= outer[1]


def test_the_bootstrap_agrees_with_the_asymptotic_error_on_an_easy_case() -> None:
    data = simulate(45, 200, (12,), (1.0, 1.0), covariates=1, alike=0.0)
    fit = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates)
    boot = fit.bootstrap(200, rng=1)
    ratio = boot.standard_errors[[0, 1]] / fit.components["se"].to_numpy()
    # The sd of 200 draws has an error of 5 %; the kernel variance has 12 effects, so that its normal error is rough.
    assert 0.8 < ratio[1] < 1.2
    assert 0.6 < ratio[0] < 1.5
    assert boot.names == ("x1", "residual", "proportion of x1", "proportion of residual")
    shares = boot.replicates[:, 2:]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert boot.replicates[:, 1].mean() == pytest.approx(fit.components["estimate"][1], rel=0.05)
    again = fit.bootstrap(200, rng=1)
    np.testing.assert_array_equal(again.replicates, boot.replicates)
    low, high = fit.interval("x1", of="proportion", kind="bootstrap", replicates=50, rng=2)
    assert 0.0 <= low < fit.proportions["estimate"][0] < high <= 1.0


def test_comparing_covariates_by_ml_is_the_dense_chi_square() -> None:
    data = simulate(46, 60, (20,), (0.9, 1.0))
    large = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates, criterion="ml")
    small = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates[:, :1], criterion="ml")
    test = large.compare(small)
    _, top = data.dense.maximum("ml")
    _, below = DenseModel.of(data.y, data.Z[:, :2], data.kernels).maximum("ml")
    assert test.statistic == pytest.approx(2 * (top - below), abs=1e-6)
    assert test.p_value == pytest.approx(stats.chi2.sf(test.statistic, 1), rel=1e-9)
    assert small.compare(large).statistic == test.statistic


def test_fits_that_are_not_nested_are_not_compared() -> None:
    data = simulate(47, 60, (20, 15), (0.9, 0.5, 1.0))

    def fit(names: list[str], columns: int = 2, criterion: str = "reml", y: np.ndarray = data.y) -> vm.Fit:
        designs = {name: data.designs[name] for name in names}
        covariates = data.covariates[:, :columns] if columns else None
        return vm.variance_components(y, designs=designs, covariates=covariates, criterion=criterion)  # type: ignore[arg-type]

    both, first, second = fit(["x1", "x2"]), fit(["x1"]), fit(["x2"])
    assert both.compare(first).tested == ("x2",)
    assert both.compare(second).statistic == pytest.approx(both.test("x1").statistic)
    for other, match in (
        (fit(["x1"], y=data.y + 1.0), "different responses"),
        (fit(["x1"], criterion="ml"), "REML"),
        (fit(["x1"], columns=1), "one at a time"),
    ):
        with pytest.raises(OptionError, match=match):
            both.compare(other)
    with pytest.raises(OptionError, match="criterion='ml'"):
        first.compare(fit(["x1"], columns=1))
    with pytest.raises(OptionError, match="neither"):
        first.compare(fit(["x1"]))
    with pytest.raises(OptionError):
        first.compare(second)


def test_fits_are_nested_by_what_their_kernels_and_covariates_hold_not_by_names() -> None:
    data = simulate(47, 60, (20, 15), (0.9, 0.5, 1.0))
    other = simulate(57, 60, (20, 15), (0.9, 0.5, 1.0))
    x1, x2, Z = data.X[0], data.X[1], data.covariates

    def fit(designs: dict[str, np.ndarray], covariates: np.ndarray = Z, criterion: str = "reml", **more: Any) -> vm.Fit:
        return vm.variance_components(data.y, designs=designs, covariates=covariates, criterion=criterion, **more)  # type: ignore[arg-type]

    both = fit({"x1": x1, "x2": x2})
    assert both.compare(fit({"renamed": x1})).tested == ("x2",)
    kernel = vm.variance_components(data.y, kernels={"kin": 7.0 * data.kernels[0]}, covariates=Z)
    assert both.compare(kernel).statistic == pytest.approx(both.compare(fit({"x1": x1})).statistic, rel=1e-6)
    turned = Z @ np.array([[1.0, 2.0], [-1.0, 1.0]]) + 3.0
    assert both.compare(fit({"x1": x1}, turned)).statistic == pytest.approx(both.test("x2").statistic, rel=1e-6)
    with pytest.raises(OptionError, match="not nested"):
        both.compare(fit({"x1": other.X[0]}))
    with pytest.raises(OptionError, match="covariates"):
        both.compare(fit({"x1": x1}, other.covariates))
    large = fit({"x1": x1}, criterion="ml")
    with pytest.raises(OptionError, match="not nested"):
        large.compare(fit({"x1": other.X[0]}, Z[:, :1], "ml"))
    with pytest.raises(OptionError, match="neither"):
        large.compare(fit({"x1": x1}, other.covariates[:, :1], "ml"))
    total = large.compare(fit({"x1": x1}, Z.sum(axis=1, keepdims=True), "ml"))
    assert total.weights == (0.0, 1.0)
    assert total.tested == ("1 combination of z1, z2",)


def test_a_larger_model_that_fits_worse_is_refused() -> None:
    data = simulate(47, 60, (20, 15), (0.9, 0.5, 1.0))
    small = vm.variance_components(data.y, designs={"x1": data.X[0]}, covariates=data.covariates)
    large = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates)
    report: Any = large.report
    ended = replace(report.estimation, outcome=replace(report.estimation.outcome, objective=small_objective(small) - 1))
    with pytest.raises(OptionError, match="local maximum"):
        vm.Fit(type(report)(report.model, ended, report.sample)).compare(small)


def small_objective(fit: vm.Fit) -> float:
    report: Any = fit.report
    return float(report.estimation.outcome.objective)


@pytest.mark.filterwarnings("ignore::varmix.errors.ConvergenceWarning")
def test_a_fit_that_is_not_at_a_maximum_has_no_intervals_or_tests() -> None:
    data = simulate(41, 60, (20,), (0.9, 1.0))
    fit = vm.variance_components(
        data.y, designs=data.designs, covariates=data.covariates, method="em", polish=False, max_iterations=3
    )
    assert not fit.status.arrived
    for ask in (
        lambda: fit.interval("x1", kind="profile"),
        lambda: fit.interval("x1", kind="wald"),
        lambda: fit.interval("x1", kind="bootstrap", rng=1),
        lambda: fit.profile("x1"),
        lambda: fit.test("x1"),
        lambda: fit.bootstrap(5, rng=1),
        lambda: fit.compare(fit),
    ):
        with pytest.raises(NotAvailableError, match="polish=True"):
            ask()
    assert (fit.components["interval"] == "none").all()
    assert np.isnan(fit.interval("x1")).all()


@pytest.mark.filterwarnings("ignore::varmix.errors.FragileMomentsWarning")
def test_moments_have_errors_but_no_likelihood() -> None:
    data = simulate(48, 60, (20,), (0.9, 1.0))
    fit = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates, method="moments")
    low, high = fit.interval("x1")
    assert low < fit.components["estimate"][0] < high
    for ask in (lambda: fit.test("x1"), lambda: fit.interval("x1", kind="profile"), lambda: fit.profile("x1")):
        with pytest.raises(NotAvailableError, match="newton"):
            ask()


def test_unknown_questions_are_refused_with_what_there_is(fitted: Fitted) -> None:
    fit = fitted.fit
    for ask, match in (
        (lambda: fit.interval("nobody"), "x1"),
        (lambda: fit.interval("x1", kind="bayes"), "profile"),
        (lambda: fit.interval("x1", of="ratio"), "proportion"),
        (lambda: fit.interval("x1", levl=0.9), "levl"),
        (lambda: fit.interval("x1", level=1.5), "level"),
        (lambda: fit.test(), "Name what to test"),
        (lambda: fit.test("residual", *fit.components["term"]), "leave at least one"),
        (lambda: fit.covariance("godambe"), "expected"),
        (lambda: fit.bootstrap(1), "at least 2"),
    ):
        with pytest.raises(OptionError, match=match):
            ask()
