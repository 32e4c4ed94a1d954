"""Profile intervals of a mixture invert the likelihood-ratio test over classes in order, up to the edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fitted_mixture import intervals_of, intervals_to
from scipy import optimize, stats
from slope_model import SlopeModel, simulated

from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.starting import random_start
from varmix.models.random_effect_mixture.statistics import summarise
from varmix.results.random_effect_mixture.estimates import Estimates
from varmix.results.random_effect_mixture.intervals import Intervals
from varmix.results.random_effect_mixture.restricted import Restricted

CASES: dict[str, SlopeModel] = {
    "rows": simulated(1, 300, 1),
    "at the edge": simulated(13, 150, 2),
    "groups": simulated(2, 120, 4),
    "weights": simulated(4, 150, 3, weighted=True),
    "null": replace(simulated(6, 300, 1), null=True),
    "three classes": replace(simulated(8, 250, 4), classes=3),
}
HALF = 0.5 * float(stats.chi2.ppf(0.95, 1))


def brute_force(model: RandomEffectMixture, coordinate: int, value: float, starts: int = 8) -> float:
    """The held maximum over ordered classes by SLSQP from many starts: no step, start or coordinate shared."""
    count, rng = model.classes, np.random.default_rng(5)
    width = 2 * count + 1

    def point(vector: np.ndarray) -> MixtureParams:
        vector = np.maximum(vector, 0.0)
        return MixtureParams.free(vector[:count], max(vector[count], 1e-12), vector[count + 1 :])

    def drop(vector: np.ndarray) -> float:
        return -float(sum(summarise(point(vector), piece).log_likelihood for piece in model.pieces))

    def slope(vector: np.ndarray) -> np.ndarray:
        return -np.asarray(sum(summarise(point(vector), piece).score for piece in model.pieces))

    conditions = [{"type": "eq", "fun": lambda v: v[count + 1 :].sum() - 1.0}]
    conditions += [{"type": "ineq", "fun": lambda v, k=k: v[k + 1] - v[k]} for k in range(count - 1)]
    bounds = [(0.0, None)] * count + [(1e-9, None)] + [(0.0, 1.0)] * count
    bounds[coordinate] = (value, value)
    if model.null:
        bounds[0] = (0.0, 0.0)
    best = -np.inf
    for _ in range(starts):
        start = model.point(random_start(model.pieces, count, model.null, None, rng)).vector()
        start[coordinate] = value
        with np.errstate(all="ignore"):
            end = optimize.minimize(
                drop, start, jac=slope, bounds=bounds, constraints=conditions, method="SLSQP",
                options={"maxiter": 300, "ftol": 1e-13},
            )  # fmt: skip
        inside = abs(end.x[count + 1 :].sum() - 1.0) < 1e-9 and (np.diff(end.x[:count]) > -1e-9).all()
        best = max(best, -end.fun if inside else -np.inf)
    assert width == len(start)
    return best


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("rows", "pi_1"), ("rows", "v_1"), ("rows", "s"), ("at the edge", "pi_2"), ("at the edge", "v_1"),
        ("groups", "v_2"), ("weights", "pi_1"), ("null", "pi_1"), ("null", "v_2"), ("three classes", "pi_2"),
        ("three classes", "v_2"),
    ],
)  # fmt: skip
def test_no_start_of_another_optimiser_ends_above_the_profile(case: str, name: str) -> None:
    found = intervals_to(CASES[case])
    model, estimates = found.estimates.model, found.estimates
    at = estimates.position(name)
    lower, upper = (end / estimates.factors[at] for end in found.profile(name))
    estimate = float(estimates.params.vector()[at])
    far = min(upper + (upper - estimate), 0.97 if at > model.classes else np.inf)
    restricted = Restricted(model, estimates.params, found.log_likelihood, Climb())
    for value in (lower, 0.5 * (estimate + upper), upper, far):
        told = brute_force(model, at, float(value))
        ours = restricted.maximum(at, float(value), thorough=True)
        assert ours >= told - 1e-6  # SLSQP stops some 1e-8 short, and may bend an equality by 1e-9
        assert ours <= found.log_likelihood + 1e-8


@pytest.mark.parametrize("case", CASES)
def test_ends_are_where_the_profile_has_fallen_by_half_the_quantile(case: str) -> None:
    found = intervals_to(CASES[case])
    for name in found.estimates.model.names:
        at = found.estimates.position(name)
        if found.estimates.model.held[at]:
            continue
        restricted = Restricted(found.estimates.model, found.estimates.params, found.log_likelihood, Climb())
        estimate, factor = found.estimates.params.vector()[at], found.estimates.factors[at]
        for end, bound in zip(found.profile(name), found.bounds(at), strict=True):
            inner = end / factor
            assert inner == bound or inner != estimate
            if np.isfinite(inner) and inner != bound:
                drop = found.log_likelihood - restricted.maximum(at, float(inner), thorough=True)
                assert drop == pytest.approx(HALF, abs=1e-5)  # an end is sought to 1e-7 of its distance
            elif np.isfinite(inner) and inner != estimate:
                assert found.log_likelihood - restricted.maximum(at, float(inner), thorough=True) <= HALF


def test_at_zero_the_interval_is_one_sided_with_the_whole_quantile() -> None:
    found = intervals_to(CASES["at the edge"])
    lower, upper = found.profile("v_1")
    assert found.estimates.values[0] == 0.0
    assert lower == 0.0 < upper
    assert np.isnan(found.wald("v_1")).all()
    wider = found.profile("v_1", level=0.99)
    assert wider[1] > upper


def test_coverage_of_a_bounded_mean_is_never_below_the_level_with_the_whole_quantile() -> None:
    """Why the quantile is not that of (1/2, 1/2): a normal mean c >= 0 with known error, its interval by profile."""
    quantile = np.sqrt(2.0 * HALF)
    for c in np.linspace(0.0, 4.0, 41):
        grid = np.linspace(c - 8.0, c + 8.0, 200_001)
        density = stats.norm.pdf(grid - c) * (grid[1] - grid[0])
        drop = (grid - c) ** 2 - np.minimum(grid, 0.0) ** 2
        assert density[drop <= quantile**2].sum() >= 0.95 - 1e-4  # width of the grid
    half = stats.chi2.ppf(0.90, 1)
    grid = np.linspace(-6.0, 10.0, 200_001)
    drop = (grid - 2.0) ** 2 - np.minimum(grid, 0.0) ** 2
    assert (stats.norm.pdf(grid - 2.0) * (grid[1] - grid[0]))[drop <= half].sum() < 0.92


def test_shares_of_two_classes_have_intervals_that_mirror_each_other() -> None:
    found = intervals_to(CASES["rows"])
    lower, upper = found.profile("pi_1")
    assert found.profile("pi_2") == pytest.approx((1.0 - upper, 1.0 - lower), abs=1e-6)
    assert found.profile("pi") == (lower, upper)


def test_classes_do_not_meet_a_restriction_by_swapping_their_numbers() -> None:
    found = intervals_to(CASES["groups"])
    params = found.estimates.params
    restricted = Restricted(found.estimates.model, params, found.log_likelihood, Climb())
    for coordinate, swapped in ((0, params.variances[1]), (1, params.variances[0]), (3, params.shares[1])):
        assert restricted.maximum(coordinate, float(swapped), thorough=True) < found.log_likelihood - 1.0


def test_a_share_of_zero_or_one_is_the_mixture_with_a_class_less() -> None:
    found = intervals_to(CASES["rows"])
    single = intervals_to(replace(CASES["rows"], classes=1))
    restricted = Restricted(found.estimates.model, found.estimates.params, found.log_likelihood, Climb())
    for coordinate in (3, 4):
        for value in (0.0, 1.0):
            assert restricted.maximum(coordinate, value) == pytest.approx(single.log_likelihood, abs=1e-8)
        near = restricted.maximum(coordinate, 1e-7, thorough=True)
        assert near == pytest.approx(restricted.maximum(coordinate, 0.0), abs=1e-2)  # continuous, of slope some 1e4


def test_a_second_variance_of_zero_takes_the_first_with_it() -> None:
    data = CASES["rows"]
    found = intervals_to(data)
    restricted = Restricted(found.estimates.model, found.estimates.params, found.log_likelihood, Climb())
    noise = intervals_to(replace(data, classes=1, null=True))
    assert restricted.maximum(1, 0.0) == pytest.approx(noise.log_likelihood, abs=1e-8)


def test_intervals_follow_the_units_of_the_data() -> None:
    data = CASES["groups"]
    plain = intervals_to(data)
    scaled = intervals_to(replace(data, y=5e-4 * data.y, x=30.0 * data.x))
    for name, factor in {"v_1": (5e-4 / 30.0) ** 2, "v_2": (5e-4 / 30.0) ** 2, "s": 25e-8, "pi_1": 1.0}.items():
        ends = np.array(plain.profile(name)) * factor
        np.testing.assert_allclose(scaled.profile(name), ends, rtol=1e-6)  # ends are right to 1e-7 of their distance


def test_weights_are_replication() -> None:
    weighted = simulated(4, 60, 3, weighted=True)
    assert weighted.group is not None
    assert weighted.weights is not None
    copies = [(number, copy) for number, weight in enumerate(weighted.weights) for copy in range(int(weight))]
    rows = np.concatenate([np.flatnonzero(weighted.group == number) for number, _ in copies])
    repeated = SlopeModel(y=weighted.y[rows], x=weighted.x[rows], group=np.repeat(np.arange(len(copies)), 3))
    one, other = intervals_to(weighted), intervals_to(repeated)
    for name in ("v_1", "v_2", "s", "pi_1"):
        np.testing.assert_allclose(one.profile(name), other.profile(name), rtol=1e-6, atol=1e-9)


def test_pieces_do_not_matter() -> None:
    one, several = intervals_to(CASES["groups"]), intervals_to(CASES["groups"], pieces=5)
    assert one.profile("pi_1") == pytest.approx(several.profile("pi_1"), rel=1e-7)


def test_a_path_is_the_profile_and_ends_where_it_should() -> None:
    found = intervals_to(CASES["rows"])
    path = found.path("pi_1", points=11, reach=1.5)
    assert len(path) >= 11
    assert path["log_likelihood"].max() == 0.0
    assert path["value"][path["log_likelihood"].idxmax()] == pytest.approx(found.estimates.values[3])
    assert path["log_likelihood"].iloc[[0, -1]].to_numpy() == pytest.approx([-1.5 * HALF] * 2, abs=1e-4)
    restricted = Restricted(found.estimates.model, found.estimates.params, found.log_likelihood, Climb())
    for value, height in path.to_numpy()[::3]:
        told = restricted.maximum(3, float(value), thorough=True) - found.log_likelihood
        assert height == pytest.approx(min(told, 0.0), abs=1e-7)


def test_a_fit_below_the_maximum_is_told() -> None:
    found = intervals_to(CASES["groups"])
    model = found.estimates.model
    merged = model.point_of(np.array([0.4, 0.5]), 0.36, np.array([0.6, 0.4]))
    height = sum(summarise(merged, piece).log_likelihood for piece in model.pieces)
    wrong = Intervals(Estimates(model, merged), float(height), Climb())
    with pytest.warns(ConvergenceWarning, match="fit again with more starts"):
        wrong.profile("s")


def test_what_is_known_or_unheard_of_has_no_interval() -> None:
    known = intervals_to(replace(simulated(7, 200, 1, known=True), residual=0.36))
    with pytest.raises(NotAvailableError, match="s is known"):
        known.profile("s")
    null = intervals_to(CASES["null"])
    with pytest.raises(NotAvailableError, match="v_1 is known"):
        null.path("v_1")
    with pytest.raises(OptionError, match="no parameter 'pi_3'"):
        null.wald("pi_3")
    with pytest.raises(OptionError, match="reach"):
        null.path("pi_1", reach=0.0)


def test_one_class_is_ordinary() -> None:
    single = intervals_of(replace(CASES["groups"], classes=1).model())
    lower, upper = single.profile("v_1")
    assert 0.0 < lower < single.estimates.values[0] < upper
    with pytest.raises(NotAvailableError, match="pi_1"):
        single.profile("pi_1")
