"""The planner: its table against the parts it is made of, against fits of simulated data, and what it refuses."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix import errors
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.reduction import reduce_rows
from varmix.models.random_effect_mixture.statistics import summarise
from varmix.results.random_effect_mixture.design import design_table

NOTE = ((0.001, 1.0), 0.5, (0.7, 0.3))


def drawn(groups: int, rows: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the note's truth: y, x and groups."""
    rng = np.random.default_rng(seed)
    b = rng.standard_normal(groups) * np.sqrt(np.where(rng.random(groups) < 0.7, 0.001, 1.0))
    group = np.repeat(np.arange(groups), rows)
    x = rng.standard_normal(groups * rows)
    return b[group] * x + math.sqrt(0.5) * rng.standard_normal(groups * rows), x, group


def model_of(y: np.ndarray, x: np.ndarray, group: np.ndarray | None, **options: Any) -> RandomEffectMixture:
    reduction = reduce_rows(y, x, group=group, weights=options.pop("weights", None))
    return RandomEffectMixture(reduction=reduction, classes=2, pieces=(reduction.units,), **options)


def note_in(model: RandomEffectMixture) -> MixtureParams:
    inner = model.reduction.scales.inward(np.array([*NOTE[0], NOTE[1], *NOTE[2]]))
    return MixtureParams(variances=inner[:2], residual=float(inner[2]), shares=inner[3:], held=model.held)


def test_the_table_has_a_row_per_design() -> None:
    plan = vm.plan_random_effect_mixture(*NOTE, rows_per_effect=(1, 5, 10), effects=4000)
    assert list(plan.table.columns) == [
        "rows_per_effect", "effects", "information_kept", "se_share_1", "se_share_2", "se_variance_1", "se_variance_2",
        "se_residual",
    ]  # fmt: skip
    assert list(plan.table["rows_per_effect"]) == [1, 5, 10]
    np.testing.assert_allclose(plan.table["information_kept"], [0.027, 0.18, 0.325], atol=0.006)  # [SLOPE-10]
    # Two shares have one error, and what is kept is its square beside that of known classes.
    np.testing.assert_allclose(plan.table["se_share_1"], plan.table["se_share_2"], rtol=1e-9)
    np.testing.assert_allclose(
        0.7 * 0.3 / 4000 / plan.table["se_share_1"] ** 2, plan.table["information_kept"], rtol=1e-9
    )


def test_four_times_the_effects_halve_the_errors() -> None:
    few, many = (vm.plan_random_effect_mixture(*NOTE, effects=n).table.filter(like="se_") for n in (1000, 4000))
    pd.testing.assert_frame_equal(few, 2.0 * many)


def test_effects_needed_reach_the_target() -> None:
    table = vm.plan_random_effect_mixture(*NOTE, target_se=0.03).table
    for rows, needed in zip(table["rows_per_effect"], table["effects_needed"], strict=True):
        again = vm.plan_random_effect_mixture(*NOTE, rows_per_effect=int(rows), effects=int(needed)).table
        assert 0.03 * 0.99 < again["se_share_1"][0] <= 0.03  # rounded up to whole effects, 200 of them or more


def test_a_sample_of_normal_x_is_as_good_as_none() -> None:
    x = np.random.default_rng(1).standard_normal(200_000)
    told = vm.plan_random_effect_mixture(*NOTE).table
    # The sample's own error: 0.2 % of moments of x.
    pd.testing.assert_frame_equal(vm.plan_random_effect_mixture(*NOTE, x=x).table, told, rtol=0.02)
    pd.testing.assert_frame_equal(
        vm.plan_random_effect_mixture(*NOTE, x=-3.0 * x).table.filter(like="share"),
        vm.plan_random_effect_mixture((0.009, 9.0), 0.5, (0.7, 0.3), x=x).table.filter(like="share"),
        rtol=1e-9,
    )


def test_known_errors_are_a_known_residual() -> None:
    """With standard error r everywhere and inflation 1, the residual variance is r^2 and known."""
    known = vm.plan_random_effect_mixture((0.0, 1.0), None, (0.7, 0.3), se=0.2, null=True).table
    assert known[["se_residual", "se_variance_1"]].isna().all(axis=None)
    listed = vm.plan_random_effect_mixture((0.0, 1.0), None, (0.7, 0.3), se=np.full(50, 0.2), null=True).table
    pd.testing.assert_frame_equal(known, listed, rtol=1e-3)  # sums through bins, beside chi-square
    inflated = vm.plan_random_effect_mixture((0.0, 1.0), 1.0, (0.7, 0.3), se=0.2).table
    estimated = vm.plan_random_effect_mixture((0.0, 1.0), 0.04, (0.7, 0.3)).table
    pd.testing.assert_frame_equal(
        inflated.drop(columns="se_residual"), estimated.drop(columns="se_residual"), rtol=1e-7
    )
    np.testing.assert_allclose(inflated["se_residual"] * 0.04, estimated["se_residual"], rtol=1e-7)
    assert (known["se_share_1"] <= estimated["se_share_1"]).all()


def test_units_of_the_data_are_carried_through() -> None:
    here = vm.plan_random_effect_mixture(*NOTE).table
    for factor in (1e-120, 1e120):  # y times its root
        there = vm.plan_random_effect_mixture((0.001 * factor, factor), 0.5 * factor, NOTE[2]).table
        np.testing.assert_allclose(there["se_variance_2"], here["se_variance_2"] * factor, rtol=1e-9)
        np.testing.assert_allclose(there["se_share_1"], here["se_share_1"], rtol=1e-9)


@pytest.mark.parametrize("rows", [1, 4])
def test_the_design_of_a_fit_is_the_plan_for_its_rows(rows: int) -> None:
    model = model_of(*drawn(20_000, rows))
    table = design_table(model, note_in(model), times=(1, 3))
    plan = vm.plan_random_effect_mixture(*NOTE, effects=20_000, rows_per_effect=(rows, 3 * rows)).table
    pd.testing.assert_frame_equal(table, plan, rtol=0.03, check_dtype=False)  # the draw of x: 1 % of its moments


def test_the_design_of_a_fit_agrees_with_its_observed_information() -> None:
    model = model_of(*drawn(40_000, 5))
    params = note_in(model)
    observed = -summarise(params, model.reduction.units).hessian
    outward = np.linalg.inv(
        np.vstack([np.eye(4), [0, 0, 0, -1.0]]).T @ observed @ np.vstack([np.eye(4), [0, 0, 0, -1.0]])
    )
    told = design_table(model, params, times=(1,)).iloc[0]
    factors = model.reduction.scales.factors(2)[:4]
    # 40,000 groups: observed information is within 3 % of what is expected.
    np.testing.assert_allclose(
        told[["se_variance_1", "se_variance_2", "se_residual", "se_share_1"]].to_numpy(dtype=float),
        np.sqrt(outward.diagonal()) * factors,
        rtol=0.05,
    )


def test_estimates_scatter_as_planned() -> None:
    """120 data sets of 400 effects with ten rows each, fitted from the truth."""
    plan = vm.plan_random_effect_mixture((0.0, 1.0), 0.5, (0.7, 0.3), effects=400, rows_per_effect=10, null=True).table
    found = []
    for seed in range(120):
        y, x, group = drawn(400, 10, seed)
        model = model_of(y, x, group, null=True)
        inner = model.reduction.scales.inward(np.array([0.0, 1.0, 0.5, 0.7, 0.3]))
        start = MixtureParams(variances=inner[:2], residual=float(inner[2]), shares=inner[3:], held=model.held)
        outcome = Climb().run(model.pieces, start)
        found.append(model.reduction.outward(outcome.params))
    spread = np.std(found, axis=0)
    planned = plan.iloc[0][["se_variance_2", "se_residual", "se_share_1"]].to_numpy(dtype=float)
    # A standard deviation of 120 values has an error of 6.5 %: three of them.
    np.testing.assert_allclose(spread[[1, 2, 3]], planned, rtol=0.2)


def test_weights_count_effects() -> None:
    y, x, _ = drawn(3000, 1)
    weights = np.random.default_rng(1).integers(0, 4, 3000)
    weighted = model_of(y, x, None, weights=weights.astype(float))
    again = np.repeat(np.arange(3000), weights)
    repeated = model_of(y[again], x[again], None)
    pd.testing.assert_frame_equal(
        design_table(weighted, note_in(weighted)), design_table(repeated, note_in(repeated)), rtol=1e-3
    )


def test_a_fit_without_residual_variance_has_no_design() -> None:
    model = model_of(*drawn(100, 1))
    params = MixtureParams.free([0.5, 1.0], 0.0, [0.5, 0.5])
    with pytest.raises(errors.NotAvailableError, match="residual variance of 0"):
        design_table(model, params)


def test_one_size_of_x_is_said_to_confound() -> None:
    plan = vm.plan_random_effect_mixture(*NOTE, x=np.array([1.0, -1.0, 1.0]))
    assert np.isinf(plan.table.loc[0, ["se_variance_1", "se_variance_2", "se_residual"]].to_numpy(dtype=float)).all()
    assert np.isfinite(plan.table["se_share_1"]).all()
    assert np.isfinite(plan.table.loc[1:].to_numpy(dtype=float)).all()
    assert plan.advice[0] == (
        "With one row per effect, the variance of class 1, the variance of class 2 and the residual variance cannot be "
        "identified."
    )


def test_advice_follows_the_table() -> None:
    noisy = vm.plan_random_effect_mixture(*NOTE, target_se=0.05)
    assert any("27 effects whose class is known (2.7 %)" in line for line in noisy.advice)
    assert any(
        line.startswith("More rows per effect buy more") and "5 rows per effect" in line for line in noisy.advice
    )
    per_row = noisy.table["effects_needed"] * noisy.table["rows_per_effect"]
    assert any(f"({per_row.min():,.0f} rows)" in line for line in noisy.advice)
    clear = vm.plan_random_effect_mixture((0.0, 1.0), None, (0.7, 0.3), se=0.01)
    assert any(line.startswith("More effects buy more") for line in clear.advice)


def test_a_plan_can_be_read() -> None:
    plan = vm.plan_random_effect_mixture(*NOTE)
    text, page = str(plan), plan._repr_html_()
    assert "v = (0.001, 1), s = 0.5, pi = (0.7, 0.3)" in text
    assert "information_kept" in text
    assert "<table" in page
    for line in plan.advice:
        assert line.split(":")[0] in page


def test_one_class_and_three_classes_have_plans() -> None:
    one = vm.plan_random_effect_mixture([1.0], 0.5, [1.0])
    assert one.table[["information_kept", "se_share_1"]].isna().all(axis=None)
    assert np.isfinite(one.table[["se_variance_1", "se_residual"]].to_numpy()).all()
    assert str(one)
    three = vm.plan_random_effect_mixture((0.0, 1.0, 20.0), 0.5, (0.5, 0.3, 0.2), effects=100).table
    errors_of = three[["se_share_1", "se_share_2", "se_share_3"]].to_numpy()
    kept = np.array([0.25, 0.21, 0.16]) / 100 / errors_of**2
    np.testing.assert_allclose(kept.min(axis=1), three["information_kept"], rtol=1e-9)


def test_a_plan_takes_a_moment() -> None:
    x = np.random.default_rng(1).standard_normal(5000)
    vm.plan_random_effect_mixture(*NOTE, x=x)
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        vm.plan_random_effect_mixture(*NOTE, x=x)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 1.0  # of processor time; 0.05 s on a quiet machine


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (((0.0, 1.0), 0.5, (0.7, 0.2)), {}, errors.DataError, "sum to 0.9"),
        (((0.0, 1.0), 0.5, (1.0, 0.0)), {}, errors.DataError, "positive"),
        (((0.0, 1.0), 0.5, (1.2, -0.2)), {}, errors.DataError, "positive"),
        (((0.0, 1.0), 0.5, (0.5, 0.3, 0.2)), {}, errors.ShapeError, "2 variances and 3 shares"),
        (((1.0, 1.0), 0.5, (0.5, 0.5)), {}, errors.DataError, "distinct"),
        (((-1.0, 1.0), 0.5, (0.5, 0.5)), {}, errors.DataError, "negative"),
        (((math.nan, 1.0), 0.5, (0.5, 0.5)), {}, errors.NotFiniteError, "position 0"),
        (((), 0.5, ()), {}, errors.ShapeError, "variances has shape"),
        ((("a", "b"), 0.5, (0.5, 0.5)), {}, errors.DataError, "text"),
        (((0.0, 1.0), 0.0, (0.5, 0.5)), {}, errors.OptionError, "positive variance"),
        (((0.0, 1.0), None, (0.5, 0.5)), {}, errors.OptionError, "se="),
        (((0.0, 1e300), 1e-300, (0.5, 0.5)), {}, errors.DataError, "other units"),
        (NOTE, {"null": True}, errors.OptionError, "Give 0 first"),
        (NOTE, {"x": np.zeros(5)}, errors.NotIdentifiedError, "x is 0 everywhere"),
        (NOTE, {"x": [1.0, math.inf]}, errors.NotFiniteError, "x holds inf"),
        (NOTE, {"x": np.ones((3, 2))}, errors.ShapeError, "x has shape"),
        (NOTE, {"x": [1e200, 1.0]}, errors.DataError, "other units"),
        (NOTE, {"x": [1.0, 2.0], "se": [1.0, 1.0, 1.0]}, errors.ShapeError, "2 entries and se 3"),
        (NOTE, {"se": 0.0}, errors.DataError, "se must be positive"),
        (NOTE, {"se": [0.1, -1.0]}, errors.DataError, "se must be positive"),
        (NOTE, {"effects": 0}, errors.OptionError, "effects=0"),
        (NOTE, {"effects": 10.5}, errors.OptionError, "effects=10.5"),
        (NOTE, {"rows_per_effect": (1, 0)}, errors.OptionError, "holds 0"),
        (NOTE, {"rows_per_effect": 2.5}, errors.OptionError, "whole numbers"),
        (NOTE, {"rows_per_effect": ()}, errors.OptionError, "empty"),
        (NOTE, {"rows_per_effect": 10**9}, errors.OptionError, "10,000"),
        (NOTE, {"target_se": 0.0}, errors.OptionError, "target_se"),
        (NOTE, {"target_se": "small"}, errors.OptionError, "target_se"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        vm.plan_random_effect_mixture(*arguments, **options)
