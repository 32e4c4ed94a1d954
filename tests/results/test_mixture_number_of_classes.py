"""Criteria and tests of the number of classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fitted_mixture import intervals_to, start_of
from slope_model import SlopeModel, simulated

from varmix.api import random_effect_mixture
from varmix.errors import OptionError
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.results.random_effect_mixture.number_of_classes import (
    aic,
    bic,
    classes_test,
    compare_classes,
    entropy,
    icl,
    likelihood_ratio_of,
    nested_fits,
    sequence,
    widened,
    within,
)

TWO = simulated(2, 120, 4)


def one_class(seed: int, groups: int, rows: int) -> SlopeModel:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(groups * rows)
    group = np.repeat(np.arange(groups), rows)
    return SlopeModel(y=rng.standard_normal(groups)[group] * x + rng.standard_normal(x.size), x=x, group=group)


def test_two_classes_apart_are_found_against_one() -> None:
    small, large = (intervals_to(replace(TWO, classes=classes)).estimates for classes in (1, 2))
    test = compare_classes(small.model, small.params, large.model, large.params, Climb(), 19, np.random.default_rng(1))
    assert test.p_value == 0.05  # (1 + 0) / (19 + 1): above all draws
    assert test.statistic > test.replicates.max()
    assert str(test).startswith("1 class against 2 classes: statistic ")
    turned = compare_classes(
        large.model, large.params, small.model, small.params, Climb(), 19, np.random.default_rng(1)
    )
    assert turned.statistic == test.statistic
    np.testing.assert_array_equal(turned.replicates, test.replicates)


def test_the_p_value_counts_draws_at_least_as_large() -> None:
    small = one_class(3, 60, 3).model().with_classes(1)
    test = classes_test(small, [], small.with_classes(2), [], Climb(), 9, np.random.default_rng(2))
    assert test.p_value == (1 + (test.replicates >= test.statistic).sum()) / 10
    assert (test.replicates >= 0.0).all()
    assert test.statistic >= 0.0


def test_the_statistic_is_that_of_the_two_maxima() -> None:
    small, large = TWO.model().with_classes(1), TWO.model()
    best = intervals_to(TWO).log_likelihood - intervals_to(replace(TWO, classes=1)).log_likelihood
    pair = nested_fits(small, [], large, [], Climb())
    assert likelihood_ratio_of(*pair) == pytest.approx(2.0 * best, abs=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_a_further_class_never_lowers_the_likelihood(seed: int) -> None:
    model, best = one_class(seed, 80, 2).model(), -np.inf
    for classes in (1, 2, 3):
        small, large = nested_fits(model.with_classes(classes), [], model.with_classes(classes + 1), [], Climb())
        assert large.objective >= small.objective - 1e-8  # two certified climbs to one value
        assert small.objective >= best - 1e-6
        best = large.objective


def test_a_widened_point_is_the_same_mixture_or_has_a_class_where_it_helps() -> None:
    small = intervals_to(replace(TWO, classes=1)).estimates
    wide = widened(TWO.model(), small.params)
    assert wide.classes == 2
    assert wide.shares.min() == pytest.approx(0.02)  # D > 1 somewhere: seated
    two = intervals_to(one_only := replace(one_class(1, 50, 2), classes=1)).estimates
    null = widened(replace(one_only, classes=2, null=True).model(), two.params)
    assert null.variances[0] == 0.0
    assert null.held[0]


def test_which_models_are_within_which() -> None:
    def model(classes: int, null: bool = False):
        return replace(TWO, classes=classes, null=null).model()

    assert within(model(1), model(2))
    assert within(model(2, True), model(2))
    assert within(model(1), model(2, True))
    assert within(model(1, True), model(2, True))
    assert not within(model(2), model(2, True))
    assert not within(model(2), model(2))
    assert not within(model(2), model(1))


def test_fits_that_cannot_be_compared_are_refused() -> None:
    params = MixtureParams.free(np.array([0.1, 1.0]), 0.4, np.array([0.5, 0.5]))
    single = MixtureParams.free(np.array([1.0]), 0.4, np.ones(1))
    two, rng = TWO.model(), np.random.default_rng(0)
    other = replace(simulated(3, 120, 4), classes=1).model()
    with pytest.raises(OptionError, match="different data"):
        compare_classes(two, params, other, single, Climb(), 9, rng)
    with pytest.raises(OptionError, match="not one within the other"):
        compare_classes(two, params, two, params, Climb(), 9, rng)
    known = replace(TWO, classes=1, residual=0.36).model()
    with pytest.raises(OptionError, match="residual variance is known in one"):
        compare_classes(two, params, known, single, Climb(), 9, rng)
    with pytest.raises(OptionError, match="replicates=0"):
        classes_test(two.with_classes(1), [], two, [], Climb(), 0, rng)
    with pytest.raises(OptionError, match="most=1"):
        sequence(two, Climb(), 9, rng, most=1)


def test_fits_to_rows_of_other_known_errors_are_other_data() -> None:
    # Twice the errors, the response and x: the units are the same digit by digit, and the Jacobian is not.
    rng = np.random.default_rng(1)
    x, errors = rng.standard_normal(80), rng.uniform(0.5, 1.0, 80)
    y = rng.standard_normal(80) * x + errors * rng.standard_normal(80)
    two = random_effect_mixture(y, x, se=errors, starts=1)
    with pytest.raises(OptionError, match="different data"):
        two.compare(random_effect_mixture(2.0 * y, 2.0 * x, se=2.0 * errors, starts=1, classes=1), replicates=1)
    assert two.compare(random_effect_mixture(y, x, se=errors, starts=1, classes=1), replicates=1, rng=1).p_value <= 1.0


def test_fits_that_differ_in_rows_that_are_left_over_are_of_other_data() -> None:
    two, one = TWO.model(), replace(TWO, classes=1).model()
    units = replace(one.reduction.units, rest_rows=one.reduction.units.rest_rows + 1.0)
    other = replace(one, reduction=replace(one.reduction, units=units))
    params = MixtureParams.free(np.array([0.1, 1.0]), 0.4, np.array([0.5, 0.5]))
    single = MixtureParams.free(np.array([1.0]), 0.4, np.ones(1))
    with pytest.raises(OptionError, match="different data"):
        compare_classes(two, params, other, single, Climb(), 9, np.random.default_rng(0))


def test_the_sequence_stops_at_the_first_test_that_does_not_reject() -> None:
    found = sequence(TWO.model(), Climb(), 19, np.random.default_rng(3), most=4)
    assert found.chosen == 2
    assert [test.p_value <= 0.05 for test in found.tests] == [True, False]
    assert found.table["classes"].tolist() == [1, 2, 3]
    assert found.table["log_likelihood"].is_monotonic_increasing
    assert found.table["parameters"].tolist() == [2, 4, 6]
    assert found.table["p_value"].isna().tolist() == [False, False, True]
    assert str(found).endswith("2 classes at level 0.05")


def test_criteria_from_their_definitions() -> None:
    estimates = intervals_to(TWO).estimates
    model, params = estimates.model, estimates.params
    v, s, shares = estimates.values[:2], estimates.values[2], estimates.values[3:]
    told = 0.0
    for number in range(120):
        rows = TWO.group == number
        dense = replace(TWO, y=TWO.y[rows], x=TWO.x[rows], group=np.zeros(rows.sum(), dtype=int))
        parts = np.array([dense.log_likelihood(v[[k]], s, np.ones(1)) for k in range(2)])
        weight = shares * np.exp(parts - parts.max())
        weight /= weight.sum()
        told -= float((weight * np.log(np.maximum(weight, 1e-300))).sum())
    assert entropy(model, params) == pytest.approx(told, rel=1e-8)
    assert aic(-10.0, 4) == 28.0
    assert bic(-10.0, 4, 100.0) == pytest.approx(20.0 + 4.0 * np.log(100.0))
    assert icl(model, params, 5.0) == pytest.approx(5.0 + 2.0 * told)


def test_one_class_has_no_entropy_and_weights_count() -> None:
    single = intervals_to(replace(TWO, classes=1)).estimates
    assert entropy(single.model, single.params) == 0.0
    weighted = simulated(4, 60, 3, weighted=True).model()
    start = start_of(weighted)
    units = weighted.reduction.units
    times = units.weight.astype(int)
    copied = weighted.with_units(
        replace(units, q=np.repeat(units.q, times), h2=np.repeat(units.h2, times), weight=None)
    )
    assert entropy(weighted, start) == pytest.approx(entropy(copied, start), rel=1e-12)


def test_criteria_of_a_fit_count_what_is_estimated_and_the_weight_of_the_effects() -> None:
    """Of 40 groups one has no x: it is no effect. Known: v_1 and the inflation; estimated: v_2 and a share."""
    data = simulated(12, 40, 3, known=True, weighted=True)
    assert data.weights is not None
    assert data.group is not None
    x = np.where(data.group == 7, 0.0, data.x)
    fit = random_effect_mixture(
        data.y, x, data.group, se=data.errors, weights=data.weights[data.group], null=True, starts=2, rng=1
    )
    facts, deviance = fit.facts, -2.0 * fit.log_likelihood
    assert facts["parameters"] == 2
    assert facts["aic"] == pytest.approx(deviance + 4.0)
    assert facts["bic"] == pytest.approx(deviance + 2.0 * np.log(data.weights.sum() - data.weights[7]))
    assert facts["icl"] >= facts["bic"]
