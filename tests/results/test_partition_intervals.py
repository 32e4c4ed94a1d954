"""Intervals, profiles, covariances and replicates of a fit of partitions."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from mixed_samples import PARTITIONS, PLAIN, Mixed, mixed, point_of
from numpy.testing import assert_allclose
from partition_model import log_likelihood
from scipy import stats

import varmix as vm
from varmix.errors import NotAvailableError, OptionError, VarmixWarning
from varmix.iteration import Status

ABSENT = replace(PLAIN, measurement=0.0, shares=np.array([0.6, 0.2, 0.2, 0.0, 0.0]))


def fitted(data: Mixed, **options) -> vm.Fit:
    options = {"proportions": data.proportions, "starts": 1, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        return vm.partition_mixture(
            data.S, data.sample_type, **{"proportions": data.proportions, "starts": 1, **options}
        )


@pytest.fixture(scope="module")
def data() -> Mixed:
    return mixed(41, 150)


@pytest.fixture(scope="module")
def plain(data) -> vm.Fit:
    return fitted(data, noise="both")


@pytest.fixture(scope="module")
def edge() -> vm.Fit:
    """One noise that is not there, and shares of which some are 0."""
    return fitted(mixed(42, 150, params=ABSENT), noise="both")


@pytest.fixture(scope="module")
def many() -> vm.Fit:
    return fitted(mixed(43, 3000, params=replace(PLAIN, measurement=0.0)), noise="cell")


def test_inside_the_tables_hold_walds_intervals(plain):
    shares = plain.shares
    inside = shares[shares["interval"] == "wald"]
    assert len(inside) >= 3
    z = stats.norm.ppf(0.975)
    assert_allclose(inside["lower"], inside["estimate"] - z * inside["se"], rtol=1e-8)
    assert_allclose(inside["upper"], inside["estimate"] + z * inside["se"], rtol=1e-8)
    row = inside.iloc[0]
    assert plain.interval(row["partition"]) == pytest.approx((row["lower"], row["upper"]))
    wide = plain.interval(row["partition"], kind="wald", level=0.99)
    assert wide[0] < row["lower"]
    assert wide[1] > row["upper"]


def test_at_the_edge_they_hold_intervals_with_one_end(edge):
    table = edge.shares
    zero = table[table["on_boundary"]]
    assert len(zero) >= 1
    assert (zero["estimate"] == 0.0).all()
    assert zero["se"].isna().all()
    assert (zero["interval"] == "profile").all()
    assert (zero["lower"] == 0.0).all()
    assert ((zero["upper"] > 0.0) & (zero["upper"] < 0.5)).all()
    variances = edge.components
    gone = variances[variances["on_boundary"]]
    assert ((gone["lower"] == 0.0) & (gone["upper"] > 0.0)).all()


def test_ends_of_a_profile_drop_by_half_the_quantile_of_chi_square(plain):
    drop = stats.chi2.ppf(0.95, 1) / 2.0
    for name in ("cell", "liver = brain = lung"):
        lower, upper = plain.interval(name, kind="profile")
        path = plain.profile(name, points=9, reach=1.0)
        assert_allclose(path["value"].iloc[[0, -1]], [lower, upper], rtol=1e-4)
        assert_allclose(path["log_likelihood"].iloc[[0, -1]], -drop, atol=1e-3)
        assert path["log_likelihood"].max() == 0.0
        assert (path["log_likelihood"] <= 0.0).all()
        estimate = path.loc[path["log_likelihood"].idxmax(), "value"]
        assert lower < estimate < upper


def test_wald_and_profile_agree_where_there_are_many_genes(many):
    for name in ("cell", "blocks", "liver = brain = lung", "mean"):
        wald, profile = many.interval(name, kind="wald"), many.interval(name, kind="profile")
        assert_allclose(wald, profile, atol=0.05 * (wald[1] - wald[0]))


def test_the_covariance_is_the_inverse_of_the_dense_information():
    """Second differences of the density as written, along the coordinates before the shares."""
    small = mixed(44, 20)
    fit = fitted(small, noise="cell")
    point = point_of(fit)
    inside = fit.covariance().index
    moving = [name for name in inside if not np.isnan(fit.covariance().loc[name, name])]
    assert {"mean", "blocks", "cell"} <= set(moving)
    shares = [name for name in moving if name.startswith("share")]
    words = [f"share[{word}]" for word in PARTITIONS.words]
    reference = words[int(np.argmax(point.shares))]
    free = ["mean", "blocks", "cell", *(name for name in shares if name != reference)]
    start = np.array([fit.report.estimates.values[fit.report.estimates.position(name)] for name in free])
    values = small.S.to_numpy()

    def height(x: np.ndarray) -> float:
        share = point.shares.copy()
        for name, value in zip(free[3:], x[3:], strict=True):
            share[words.index(name)] = value
        share[words.index(reference)] += point.shares.sum() - share.sum()
        at = replace(point, mean=x[0], between=x[1], cell=x[2], shares=share)
        return log_likelihood(at, PARTITIONS, values, small.codes)

    step = 1e-3 * np.maximum(np.abs(start), 0.05)
    count = len(free)
    hessian = np.empty((count, count))
    for a in range(count):
        for b in range(a, count):
            one, two = step[a] * np.eye(count)[a], step[b] * np.eye(count)[b]
            corners = height(start + one + two) - height(start + one - two)
            corners += height(start - one - two) - height(start - one + two)
            hessian[a, b] = hessian[b, a] = corners / (4.0 * step[a] * step[b])
    dense = np.linalg.inv(-hessian)
    assert_allclose(fit.covariance().loc[free, free], dense, rtol=2e-3, atol=1e-5)  # differences of differences


def test_sandwich_and_information_agree_where_the_model_is_right(many):
    observed, robust = many.covariance("observed"), many.covariance("sandwich")
    ratio = np.diag(robust) / np.diag(observed)
    assert_allclose(ratio, 1.0, atol=0.25)  # fourth moments of 3,000 genes
    with pytest.raises(OptionError, match="sandwich"):
        many.covariance("bread")


def test_the_product_of_samples_has_sandwiches_and_no_profiles(data):
    fit = fitted(data, likelihood="composite", noise="both")
    with pytest.raises(NotAvailableError, match="likelihood-ratio"):
        fit.interval("blocks", kind="profile")
    with pytest.raises(NotAvailableError, match="likelihood-ratio"):
        fit.profile("blocks")
    assert (fit.shares["interval"] != "profile").all()
    error = fit.components.set_index("term").loc["blocks", "se"]
    assert error == pytest.approx(fit.covariance("sandwich").loc["blocks", "blocks"] ** 0.5)


def test_bootstrap_intervals_are_those_of_its_replicates(plain):
    one = plain.interval("cell", kind="bootstrap", replicates=30, rng=3)
    again = plain.interval("cell", kind="bootstrap", replicates=30, rng=3)
    assert one == again
    assert one[0] < plain.components.set_index("term").loc["cell", "estimate"] < one[1]
    wald = plain.interval("cell", kind="wald")
    assert 0.4 < (one[1] - one[0]) / (wald[1] - wald[0]) < 2.0


def test_replicates_of_estimated_proportions_keep_their_cell_types(data):
    fit = fitted(data, proportions=vm.Dirichlet(1.5), cell_types=3, noise="cell", starts=3, rng=0)
    found = fit.bootstrap(6, 1)
    values = found.replicates
    first = fit.report.estimates.first_share + 5
    spread = np.abs(values[:, first:] - fit.report.estimates.values[first:]).max()
    assert spread < 0.35  # exchanged cell types would differ by .7


def test_what_has_no_interval_says_so(plain):
    with pytest.raises(OptionError, match="known in this model"):
        plain.interval("proportion[mix 0, liver]")
    with pytest.raises(OptionError, match="no parameter 'tau'"):
        plain.interval("tau")
    with pytest.raises(OptionError, match="kind='exact'"):
        plain.interval("cell", kind="exact")
    with pytest.raises(OptionError, match="'levels' is not an option"):
        plain.interval("cell", levels=0.9)
    with pytest.raises(OptionError):
        plain.interval("cell", level=95)
    with pytest.raises(OptionError, match="points"):
        plain.profile("cell", points=1)


def test_a_fit_that_is_not_at_a_maximum_has_no_intervals(data):
    fit = fitted(data, noise="both", method="em", polish=False, accelerate="none", max_iterations=2)
    assert not fit.status.arrived
    assert (fit.shares["interval"] == "none").all()
    for ask in (lambda: fit.interval("cell"), lambda: fit.profile("cell"), lambda: fit.bootstrap(5), fit.covariance):
        with pytest.raises(NotAvailableError, match="not at a maximum"):
            ask()


class Shifted:
    """A problem whose restricted maxima are at another height."""

    def __init__(self, problem, **changes) -> None:
        self.problem, self.changes = problem, changes

    def __getattr__(self, name: str):
        return getattr(self.problem, name)

    def restricted(self, params, coordinate, value):
        found = self.problem.restricted(params, coordinate, value)
        away = replace(found.certificate, newton_decrement=1.0)
        height = found.objective + self.changes.get("above", 0.0)
        unreached = {"status": Status.STEP_LIMIT, "certificate": away} if "unreached" in self.changes else {}
        return replace(found, objective=height, **unreached)


@pytest.mark.parametrize(("changes", "told"), [({"above": 1e3}, 1), ({"unreached": True}, 0)])
def test_tables_tell_of_a_higher_maximum_and_do_without_profiles_that_were_not_reached(changes, told):
    """A point above the fit's says that the fit is not at its maximum, wherever it is met."""
    fit = fitted(mixed(5, 60, params=ABSENT), noise="both")
    estimates = fit.report.estimates
    at = estimates.first_share + int(np.argmin(estimates.shares))
    assert estimates.shares.min() == 0.0
    estimates.problem = Shifted(estimates.problem, **changes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind = fit.report.intervals.default(at, 0.95)[2]
    assert any("above the fit's" in str(each.message) for each in caught) == bool(told)
    assert kind == ("profile" if told else "quadratic")
