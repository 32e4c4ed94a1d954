"""ML with more variants than people grows without bound as the residual goes to 0: profiles stay with the fit's
maximum, and say where that ends."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from dense_model import DenseModel, standardised
from scipy import optimize, stats

import varmix as vm
from varmix.errors import ConvergenceWarning, first_of_each

Array = np.ndarray
HALF = 0.5 * float(stats.chi2.ppf(0.95, 1))


def genotypes(seed: int) -> tuple[Array, Array]:
    """133 people, 300 variants, half of the variance theirs."""
    rng = np.random.default_rng(seed)
    calls = rng.binomial(2, rng.uniform(0.1, 0.5, 300), size=(200, 300)).astype(float)
    X = (calls - calls.mean(axis=0)) / calls.std(axis=0)
    y = X @ rng.normal(size=300) / np.sqrt(300.0) * np.sqrt(0.5) + rng.normal(size=200) * np.sqrt(0.5)
    return calls[:133], y[:133]


def followed_end(model: DenseModel, theta: Array, component: int, direction: float) -> float:
    """Where the local maximum over the other variance, followed in steps of 2 %, has fallen by 1.92; NaN where it is
    lost or stands above the fit's first, 0 at 0."""
    top, value, other = model.log_likelihood(theta, "ml"), theta[component], np.log(theta[1 - component])
    before = (value, 0.0)
    while True:
        value += 0.02 * direction * theta[component]
        if value <= 1e-9:
            return 0.0

        def height(t: float, value: float = value) -> float:
            at = np.empty(2)
            at[component], at[1 - component] = value, np.exp(t)
            return -model.log_likelihood(at, "ml")

        found = optimize.minimize_scalar(height, bounds=(other - 0.15, other + 0.15), options={"xatol": 1e-9})
        drop = top + float(found.fun)
        if abs(found.x - other) > 0.149 or drop < -1e-6:
            return np.nan
        if drop >= HALF:  # linear between the last two steps
            return before[0] + (value - before[0]) * (HALF - before[1]) / (drop - before[1])
        before, other = (value, drop), float(found.x)


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_intervals_end_on_the_branch_of_the_fits_maximum(seed: int) -> None:
    calls, y = genotypes(seed)
    fit = vm.variance_components(y, designs={"s": calls}, criterion="ml")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        table = fit.components
    X = standardised(calls)
    model = DenseModel.of(y, np.ones((133, 1)), [X @ X.T / X.shape[1]])
    theta = table["estimate"].to_numpy() * np.array([fit_unit(fit, model), 1.0])
    assert model.log_likelihood(theta, "ml") == pytest.approx(fit.log_likelihood, abs=1e-8)
    for component in (0, 1):
        ends = table[["lower", "upper"]].to_numpy()[component] * theta[component] / table["estimate"][component]
        for end, direction in zip(ends, (-1.0, 1.0), strict=True):
            expected = followed_end(model, theta, component, direction)
            if seed == 7 and direction == 1.0 - 2.0 * component:
                assert np.isnan(end)  # the kernel's upper and the residual's lower limit: no longer a maximum there
                assert np.isnan(expected) or expected == 0.0
            else:
                assert end == pytest.approx(expected, rel=2e-3, abs=1e-9)  # linear within steps of 2 %
    if seed == 7:
        assert table["interval"].tolist() == ["open", "open"]
        assert [item.category for item in told] == [ConvergenceWarning]
        assert "no upper limit" in str(told[0].message)
        assert "1 more like this" in str(told[0].message)
    else:
        assert table["interval"].tolist() == ["profile", "profile"]
        assert not told


def fit_unit(fit: vm.Fit, model: DenseModel) -> float:
    """Variances of kernels in either scale have the same contributions to the variance."""
    share = fit.proportions["estimate"]
    estimate = fit.components["estimate"]
    return float(share[0] / share[1] * estimate[1] * model.traces[1] / model.traces[0] / estimate[0])


def test_the_upper_limit_of_a_known_case_is_0_948() -> None:
    calls, y = genotypes(1)
    fit = vm.variance_components(y, designs={"s": calls}, criterion="ml")
    assert fit.components["upper"][0] == pytest.approx(0.9475, abs=1e-4)
    path = fit.profile("s", reach=1.0)
    assert path["log_likelihood"].iloc[-1] == pytest.approx(-HALF, abs=1e-5)
    assert path["value"].iloc[-1] == pytest.approx(fit.components["upper"][0], rel=1e-6)


def test_a_path_ends_where_the_profile_does() -> None:
    calls, y = genotypes(7)
    fit = vm.variance_components(y, designs={"s": calls}, criterion="ml")
    for of in ("variance", "proportion"):
        with pytest.warns(ConvergenceWarning, match="no upper limit"):
            assert np.isnan(fit.interval("s", of=of, kind="profile")[1])
        path = fit.profile("s", of=of)
        assert np.isfinite(path).all(axis=None)
        assert path["log_likelihood"].iloc[-1] > -HALF
        assert path["value"].iloc[-1] > fit.components["estimate"][0] * (of == "variance")


@pytest.mark.parametrize("seed", [1, 3])
def test_a_test_among_two_kernels_is_against_the_local_maximum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (rng.binomial(2, 0.3, size=(80, width)).astype(float) for width in (150, 120))
    y = standardised(first) @ rng.normal(size=150) / 20.0 + standardised(second) @ rng.normal(size=120) / 18.0
    y += 0.8 * rng.normal(size=80)
    fit = vm.variance_components(y, designs={"a": first, "b": second}, criterion="ml")
    assert fit.status.arrived
    for name, left in (("a", second), ("b", first)):
        alone = vm.variance_components(y, designs={"left": left}, criterion="ml")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            statistic = fit.test(name).statistic
        # The fit of the other kernel alone, from its own starts, is the same local maximum: both are certified.
        assert statistic == pytest.approx(2.0 * (fit.log_likelihood - alone.log_likelihood), abs=1e-6)


def test_of_many_warnings_of_one_class_the_first_is_given() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with first_of_each(ConvergenceWarning):
            for number in range(3):
                warnings.warn(f"maximum {number}", ConvergenceWarning, stacklevel=1)
            warnings.warn("else", UserWarning, stacklevel=1)
            warnings.warn("else", UserWarning, stacklevel=1)
    assert [str(item.message) for item in told] == ["maximum 0 (2 more like this.)", "else", "else"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            lost_maximum()


@first_of_each(ConvergenceWarning)
def lost_maximum() -> None:
    warnings.warn("a maximum", ConvergenceWarning, stacklevel=1)
