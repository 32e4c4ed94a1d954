"""Draws from a fitted mixture have its moments, and refits to them keep the numbers of its classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fitted_mixture import intervals_to
from slope_model import SlopeModel, simulated

from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.drawing import draw_rows, draw_units
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.reduction import reduce_rows
from varmix.results.random_effect_mixture.replicates import bootstrap, inside, matching, renumbered

TRUTH = MixtureParams.free(np.array([0.2, 3.0]), 0.5, np.array([0.7, 0.3]))
DRAWS = 400


def design(*, weighted: bool = False, zeros: int = 0) -> SlopeModel:
    """40 groups of 1 to 5 rows, `zeros` of them with x = 0."""
    rng = np.random.default_rng(3)
    sizes = np.tile([1, 2, 3, 4, 5], 8)
    group = np.repeat(np.arange(40), sizes)
    x = np.where(group < zeros, 0.0, rng.uniform(0.5, 2.0, group.size))
    weights = rng.integers(1, 4, 40).astype(float) if weighted else None
    return SlopeModel(y=rng.standard_normal(group.size), x=x, group=group, weights=weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("zeros", [0, 7])
def test_drawn_units_have_the_moments_of_the_model(weighted: bool, zeros: int) -> None:
    model = design(weighted=weighted, zeros=zeros).model()
    rng = np.random.default_rng(1)
    drawn = [draw_units(model, TRUTH, rng) for _ in range(DRAWS)]
    before = model.reduction.units
    assert all(units.q is before.q and units.weight is before.weight for units in drawn)
    h2, rest = np.array([units.h2 for units in drawn]), np.array([units.rest for units in drawn])
    mean = before.q * (0.7 * 0.2 + 0.3 * 3.0) + 0.5
    fourth = 3.0 * (0.7 * (before.q * 0.2 + 0.5) ** 2 + 0.3 * (before.q * 3.0 + 0.5) ** 2)
    # Means over draws and units, five standard errors wide.
    ratio, square = (h2 / mean).mean(), (h2**2 / fourth).mean()
    assert ratio == pytest.approx(1.0, abs=5.0 * (h2 / mean).std() / np.sqrt(h2.size))
    assert square == pytest.approx(1.0, abs=5.0 * (h2**2 / fourth).std() / np.sqrt(h2.size))
    assert rest.mean() == pytest.approx(0.5 * before.rest_rows, abs=5.0 * rest.std() / np.sqrt(DRAWS))


def test_the_rest_of_weighted_groups_varies_as_each_is_drawn_once() -> None:
    model = design(weighted=True).model()
    units, left = model.reduction.units, model.reduction.rows - 1.0
    rng = np.random.default_rng(2)
    rest = np.array([draw_units(model, TRUTH, rng).rest for _ in range(4000)])
    assert units.weight is not None
    variance = 2.0 * 0.25 * float(units.weight**2 @ left)
    assert rest.var() == pytest.approx(variance, rel=5.0 * np.sqrt(2.0 / 4000) * 1.2)  # chi-squares have some kurtosis


def test_drawn_rows_reduce_to_drawn_units() -> None:
    data = design()
    point, rng = np.concatenate([TRUTH.variances, [TRUTH.residual], TRUTH.shares]), np.random.default_rng(4)
    total, rest = [], []
    for _ in range(DRAWS):
        units = reduce_rows(draw_rows(point, data.x, rng, group=data.group), data.x, group=data.group)
        scales = units.scales
        total.append(scales.response**2 * float((units.units.h2).sum()))
        rest.append(scales.response**2 * units.units.rest)
    q = np.bincount(data.group, data.x**2)
    for values, mean in ((total, float((q * 1.04 + 0.5).sum())), (rest, 0.5 * (len(data.x) - 40))):
        assert np.mean(values) == pytest.approx(mean, abs=5.0 * np.std(values) / np.sqrt(DRAWS))


def test_rows_of_a_group_share_their_effect_and_errors_scale_the_noise() -> None:
    data = design()
    noiseless = draw_rows(np.array([1.0, 4.0, 0.0, 0.5, 0.5]), data.x, np.random.default_rng(5), group=data.group)
    slopes = noiseless / data.x
    assert all(np.ptp(slopes[data.group == number]) < 1e-12 for number in range(40))
    x, errors = np.zeros(50_000), np.repeat([0.5, 4.0], 25_000)
    noise = draw_rows(np.array([1.0, 4.0, 2.0, 0.5, 0.5]), x, np.random.default_rng(6), errors=errors) / errors
    for half in (noise[:25_000], noise[25_000:]):
        assert half.var() == pytest.approx(2.0, rel=5.0 * np.sqrt(2.0 / 25_000))


def test_matching_undoes_any_renumbering() -> None:
    found = intervals_to(replace(simulated(8, 400, 5), classes=3))
    params, model = found.estimates.params, found.estimates.model
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]):
        shuffled = renumbered(params, np.array(order))
        back = renumbered(shuffled, matching(model, params, shuffled))
        np.testing.assert_array_equal(back.vector(), params.vector())


def test_matching_is_not_misled_by_the_larger_share() -> None:
    """Rows that say little about their class: the refit has the shares the other way round, the classes it has not."""
    model = simulated(9, 400, 1).model()
    one = MixtureParams.free(np.array([0.1, 1.0]), 0.5, np.array([0.3, 0.7]))
    other = MixtureParams.free(np.array([0.2, 1.6]), 0.5, np.array([0.7, 0.3]))
    assert matching(model, one, other).tolist() == [0, 1]
    assert matching(model, one, renumbered(other, np.array([1, 0]))).tolist() == [1, 0]


def test_a_class_is_known_by_its_units_and_not_by_its_rank() -> None:
    """The fit has a class for 1 % of outliers, the refit splits the smallest class: the middle class is the top one."""
    rng = np.random.default_rng(10)
    effect = np.sqrt(np.array([0.01, 2.0, 400.0])[rng.choice(3, size=900, p=[0.45, 0.54, 0.01])])
    group, x = np.repeat(np.arange(900), 5), rng.uniform(1.0, 2.0, 4500)
    y = (effect * rng.standard_normal(900))[group] * x + 0.3 * rng.standard_normal(4500)
    model = SlopeModel(y=y, x=x, group=group, classes=3).model()
    fit = model.point_of(np.array([0.01, 2.0, 400.0]), 0.09, np.array([0.45, 0.54, 0.01]))
    refit = model.point_of(np.array([0.0, 0.02, 2.5]), 0.09, np.array([0.2, 0.25, 0.55]))
    assert matching(model, fit, refit)[1] == 2


def test_a_null_class_is_itself() -> None:
    model = replace(simulated(6, 200, 1), null=True, classes=3).model()
    one = model.point(MixtureParams.free(np.array([0.0, 0.3, 2.0]), 0.5, np.array([0.5, 0.3, 0.2])))
    assert matching(model, one, renumbered(one, np.array([0, 2, 1]))).tolist() == [0, 2, 1]


def test_weights_count_in_matching_as_copies_do() -> None:
    weighted = simulated(4, 60, 3, weighted=True).model()
    units = weighted.reduction.units
    assert units.weight is not None
    times = units.weight.astype(int)
    copied = weighted.with_units(
        replace(units, q=np.repeat(units.q, times), h2=np.repeat(units.h2, times), weight=None)
    )
    swapped = renumbered(TRUTH, np.array([1, 0]))
    assert matching(weighted, TRUTH, swapped).tolist() == matching(copied, TRUTH, swapped).tolist() == [1, 0]


def test_a_start_inside_leaves_no_share_and_no_free_variance_at_zero() -> None:
    model = replace(simulated(6, 100, 1), null=True, classes=3).model()
    start = inside(model, MixtureParams.free(np.array([0.0, 0.0, 2.0]), 0.5, np.array([0.6, 0.0, 0.4])))
    assert start.variances[0] == 0.0
    assert (start.variances[1:] > 0.0).all()
    assert (start.shares > 0.0).all()
    assert start.shares.sum() == pytest.approx(1.0)


def test_the_bootstrap_agrees_with_the_information_where_that_is_plenty() -> None:
    estimates = intervals_to(simulated(14, 300, 8)).estimates
    result = bootstrap(estimates, Climb(), 80, np.random.default_rng(11))
    assert result.names == estimates.model.names
    assert result.failed == 0
    # A standard deviation of 80 draws is known to 8 %: three of those, and a tenth for the curvature of the likelihood.
    np.testing.assert_allclose(result.standard_errors[1:], estimates.standard_errors[1:], rtol=0.35)
    lower, upper = result.interval()
    assert ((lower <= estimates.values) & (estimates.values <= upper)).all()
    again = bootstrap(estimates, Climb(), 5, np.random.default_rng(11)).replicates
    np.testing.assert_array_equal(again, result.replicates[:5])


def test_what_is_known_stays_known_in_every_refit() -> None:
    data = replace(simulated(7, 200, 1, known=True), residual=0.36, null=True)
    replicates = bootstrap(intervals_to(data).estimates, Climb(), 5, np.random.default_rng(12)).replicates
    np.testing.assert_array_equal(replicates[:, 0], 0.0)
    np.testing.assert_allclose(replicates[:, 2], 0.36, rtol=1e-14)
    np.testing.assert_allclose(replicates[:, 3:].sum(axis=1), 1.0, rtol=1e-12)
