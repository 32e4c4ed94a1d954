"""`weighted_random_effects`: what goes in, what comes out, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import (
    DataError,
    NotAvailableError,
    NotFiniteError,
    NotIdentifiedError,
    OptionError,
    RepairWarning,
    ShapeError,
    VarmixWarning,
)

GROUPS, SIZE = 60, 4
ROWS = GROUPS * SIZE
rng = np.random.default_rng(11)
GROUP = np.repeat(np.arange(GROUPS), SIZE)
X = rng.standard_normal((ROWS, 2))
Z = rng.standard_normal((ROWS, 1))
Y = 2.0 * Z[:, 0] + (X * rng.standard_normal((GROUPS, 2))[GROUP]).sum(axis=1) + rng.standard_normal(ROWS)
WEIGHTS = rng.uniform(0.2, 3.0, GROUPS)[GROUP]
TABLE = pd.DataFrame(
    {"y": Y, "a": X[:, 0], "b": X[:, 1], "z": Z[:, 0], "g": [f"g{code}" for code in GROUP], "w": WEIGHTS}
)


def changed(values: np.ndarray, at: Any, to: float) -> np.ndarray:
    copy = np.array(values, dtype=float)
    copy[at] = to
    return copy


@pytest.fixture(scope="module")
def fit() -> vm.Fit:
    return vm.weighted_random_effects("y", ["a", "b"], "w", group="g", covariates=["z"], data=TABLE, intercept=True)


def test_arrays_and_names_of_columns_are_the_same_fit(fit: vm.Fit) -> None:
    arrays = vm.weighted_random_effects(Y, X, WEIGHTS, group=GROUP, covariates=Z, intercept=True)
    np.testing.assert_array_equal(arrays.components["estimate"], fit.components["estimate"])
    np.testing.assert_array_equal(arrays.coefficients["estimate"], fit.coefficients["estimate"])
    assert list(fit.components["term"]) == ["a", "b", "residual"]
    assert list(arrays.components["term"]) == ["x1", "x2", "residual"]
    assert list(fit.coefficients.index) == ["(Intercept)", "z"]


def test_polars_frames_are_read_as_pandas_frames(fit: vm.Fit) -> None:
    pl = pytest.importorskip("polars")
    other = vm.weighted_random_effects(
        "y", ["a", "b"], "w", group="g", covariates=["z"], data=pl.DataFrame(TABLE.to_dict("list")), intercept=True
    )
    np.testing.assert_array_equal(other.components["estimate"], fit.components["estimate"])


def test_the_order_of_rows_does_not_matter(fit: vm.Fit) -> None:
    mixed = TABLE.sample(frac=1.0, random_state=1)
    other = vm.weighted_random_effects("y", ["a", "b"], "w", group="g", covariates=["z"], data=mixed, intercept=True)
    # Sums in another order: rounding of 240 terms, and a certificate of 1e-8 standard errors.
    np.testing.assert_allclose(other.components["estimate"], fit.components["estimate"], rtol=1e-8)


@pytest.mark.parametrize("method", ["em", "pxem", "mm"])
@pytest.mark.parametrize("accelerate", ["none", "squarem", "anderson"])
def test_every_method_ends_at_the_same_optimum(fit: vm.Fit, method: str, accelerate: str) -> None:
    other = vm.weighted_random_effects(
        Y, X, WEIGHTS, group=GROUP, covariates=Z, intercept=True, method=method, accelerate=accelerate
    )
    assert other.status is vm.Status.CONVERGED
    np.testing.assert_allclose(other.components["estimate"], fit.components["estimate"], rtol=1e-8)


def test_rows_of_weight_zero_count_for_nothing() -> None:
    weights = np.where(GROUP < 5, 0.0, WEIGHTS)
    left = GROUP >= 5
    some = vm.weighted_random_effects(Y, X, weights, group=GROUP, covariates=Z)
    without = vm.weighted_random_effects(Y[left], X[left], WEIGHTS[left], group=GROUP[left], covariates=Z[left])
    np.testing.assert_array_equal(some.components["estimate"], without.components["estimate"])
    assert some.log_likelihood == without.log_likelihood
    counted = some.sample.set_index("cause")["count"]
    assert counted["weight 0"] == 5 * SIZE
    assert some.augment()["row"].iloc[0] == 5 * SIZE


def test_a_known_residual_is_held_and_not_estimated() -> None:
    free = vm.weighted_random_effects(Y, X, group=GROUP, covariates=Z)
    at = float(free.components["estimate"].iloc[-1])
    held = vm.weighted_random_effects(Y, X, group=GROUP, covariates=Z, residual=at)
    row = held.components.iloc[-1]
    assert row["estimate"] == pytest.approx(at, rel=1e-15)
    assert row["interval"] == "known"
    assert np.isnan(row["se"])
    np.testing.assert_allclose(held.components["estimate"], free.components["estimate"], rtol=1e-7)
    assert (held.components["se"].iloc[:-1] < free.components["se"].iloc[:-1]).all()
    with pytest.raises(OptionError, match="known"):
        held.interval("residual")


def test_a_profile_interval_inverts_the_likelihood_ratio(fit: vm.Fit) -> None:
    lower, upper = fit.interval("a", kind="profile", level=0.9)
    drops = fit.profile("a").set_index("value")["log_likelihood"]
    inside = drops[(drops.index > lower) & (drops.index < upper)]
    assert (inside > -0.5 * 2.7056 - 1e-4).all()  # half the 90 % quantile of chi-square with one degree of freedom
    outside = drops[(drops.index < lower) | (drops.index > upper)]
    assert (outside < -0.5 * 2.7055).all()
    table = fit.components.set_index("term").loc["a"]
    assert (table["lower"], table["upper"]) == fit.interval("a")


def test_wald_and_profile_agree_where_there_is_much_data() -> None:
    generator = np.random.default_rng(2)
    x = generator.standard_normal(20_000)
    y = x * generator.standard_normal(20_000) + generator.standard_normal(20_000)
    fit = vm.weighted_random_effects(y, x)
    for name in ("x", "residual"):
        # The profile is skew by about se / estimate (3 %) of the half width.
        wald, profile = np.array(fit.interval(name, kind="wald")), np.array(fit.interval(name, kind="profile"))
        assert np.abs(wald - profile).max() < 0.06 * (wald[1] - wald[0])


def test_a_variance_at_zero_has_a_one_sided_interval_and_a_test_without_evidence() -> None:
    centred = Y - Y.reshape(GROUPS, SIZE).mean(axis=1)[GROUP]
    fit = vm.weighted_random_effects(centred, np.ones(ROWS), group=GROUP)
    row = fit.components.iloc[0]
    assert row["estimate"] == 0.0
    assert row["on_boundary"]
    assert row["lower"] == 0.0 < row["upper"]
    assert fit.status is vm.Status.ON_BOUNDARY
    assert fit.test("x").p_value == 1.0


def test_a_variance_that_is_there_is_found_by_the_test(fit: vm.Fit) -> None:
    without = vm.weighted_random_effects("y", ["b"], "w", group="g", covariates=["z"], data=TABLE, intercept=True)
    test = fit.test("a")
    assert test.statistic == pytest.approx(2.0 * (fit.log_likelihood - without.log_likelihood), rel=1e-8)
    assert test.weights == (0.5, 0.5)


def test_draws_of_the_fit_have_its_variances(fit: vm.Fit) -> None:
    spread = fit.bootstrap(60, 3)
    assert spread.failed == 0
    # Weights of the draws are those of the data, so the spread over draws is near but not the standard error.
    errors = fit.components["se"].to_numpy()
    assert ((spread.standard_errors / errors > 0.6) & (spread.standard_errors / errors < 1.9)).all()
    assert fit.simulate(1).shape == (ROWS,)
    np.testing.assert_array_equal(fit.simulate(1), fit.simulate(1))


def test_predictions_are_the_covariates_part_and_fitted_values_add_the_slopes(fit: vm.Fit) -> None:
    new = pd.DataFrame({"z": [0.0, 1.0]})
    intercept, slope = fit.coefficients["estimate"]
    np.testing.assert_allclose(fit.predict(new), [intercept, intercept + slope], rtol=1e-14)
    table = fit.augment()
    slopes = np.column_stack([fit.effects("a")["estimate"], fit.effects("b")["estimate"]])
    np.testing.assert_allclose(table["fitted"], table["fixed"] + (X * slopes[GROUP]).sum(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(fit.predict(), table["fitted"])
    assert list(fit.effects("a", sd=True).columns) == ["estimate", "sd"]
    assert list(fit.effects("a").index[:2]) == ["g0", "g1"]


def test_a_saved_fit_says_and_predicts_the_same(fit: vm.Fit, tmp_path: Path) -> None:
    arrays = vm.weighted_random_effects(Y, X, WEIGHTS, group=GROUP, covariates=Z)
    for number, each in enumerate((fit, arrays)):
        each.save(tmp_path / f"{number}.json")
        again = vm.load(tmp_path / f"{number}.json")
        assert again == each
        assert again.summary() == each.summary()
        np.testing.assert_array_equal(again.predict(), each.predict())
        term = each.components["term"].iloc[0]
        np.testing.assert_array_equal(again.effects(term)["estimate"], each.effects(term)["estimate"])
    new = np.array([[0.5], [2.0]])
    np.testing.assert_array_equal(vm.load(tmp_path / "1.json").predict(new), arrays.predict(new))
    table = pd.DataFrame({"z": [0.5, 2.0]})
    np.testing.assert_allclose(vm.load(tmp_path / "0.json").predict(table), fit.predict(table), rtol=1e-14)


def test_incomplete_rows_are_an_error_in_arrays_and_dropped_from_tables() -> None:
    table = TABLE.assign(y=changed(Y, 3, np.nan), a=changed(X[:, 0], 7, np.nan), z=changed(Z[:, 0], 9, np.nan))
    with pytest.raises(NotFiniteError, match="2 of 240 rows are incomplete"):
        vm.weighted_random_effects(table["y"].to_numpy(), table[["a", "b"]].to_numpy())
    with pytest.warns(RepairWarning, match="dropped"):
        fit = vm.weighted_random_effects("y", ["a", "b"], group="g", covariates=["z"], data=table)
    assert fit.facts["n"] == ROWS - 3
    kept = table.dropna()
    whole = vm.weighted_random_effects("y", ["a", "b"], group="g", covariates=["z"], data=kept)
    np.testing.assert_array_equal(fit.components["estimate"], whole.components["estimate"])
    assert {3, 7, 9}.isdisjoint(fit.augment()["row"])


def test_factors_among_the_covariates_are_coded(fit: vm.Fit) -> None:
    table = TABLE.assign(side=["left", "right"] * (ROWS // 2))
    coded = vm.weighted_random_effects("y", "a", group="g", covariates=["z", "side"], data=table, intercept=True)
    assert list(coded.coefficients.index) == ["(Intercept)", "z", "sideright"]
    assert coded.predict(table[["z", "side"]].iloc[:5]).shape == (5,)


def test_tidy_rows_name_columns_and_hold_the_intervals_asked_for(fit: vm.Fit) -> None:
    rows = fit.tidy(level=0.9)
    assert list(rows["term"]) == ["(Intercept)", "z", "var__a", "var__b", "var__Observation"]
    assert (rows["conf_low"].iloc[2], rows["conf_high"].iloc[2]) == fit.interval("a", level=0.9)


def test_starts_are_told_one_by_one() -> None:
    fit = vm.weighted_random_effects(Y, X, group=GROUP, starts=4, rng=5)
    assert len(fit.starts) >= 4
    assert fit.facts["starts_at_best"] == fit.starts["reached_best"].sum()
    given = vm.weighted_random_effects(Y, X, group=GROUP, start=[1.0, 2.0, 0.5])
    np.testing.assert_allclose(given.starts[["x1 (start)", "x2 (start)", "residual (start)"]].iloc[0], [1.0, 2.0, 0.5])
    np.testing.assert_allclose(given.components["estimate"], fit.components["estimate"], rtol=1e-7)


@pytest.mark.parametrize("size", [1e-100, 1e-30, 1e30, 1e100])
def test_units_of_the_response_change_nothing_but_units(size: float) -> None:
    one = vm.weighted_random_effects(Y, X, WEIGHTS, group=GROUP, covariates=Z)
    other = vm.weighted_random_effects(size * Y, size * X, WEIGHTS, group=GROUP, covariates=Z)
    scale = np.array([1.0, 1.0, size**2])
    for column in ("estimate", "se", "lower", "upper"):
        # Sizes are no powers of two: the rows themselves are rounded.
        np.testing.assert_allclose(other.components[column], one.components[column] * scale, rtol=1e-7)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"x": np.column_stack([X[:, 0], 2.0 * X[:, 0]])}, "'x1', 'x2'"),
        ({"x": np.sign(X[:, :1]), "group": None}, "'x', 'residual'"),
        ({"x": np.column_stack([X[:, 0], np.abs(X[:, 0])]), "group": None}, "'x1', 'x2'"),
    ],
    ids=["a multiple", "size one", "the same size"],
)
def test_kernels_that_cannot_be_told_apart_are_named(changes: dict[str, Any], what: str) -> None:
    with pytest.warns(VarmixWarning, match=f"cannot tell {what} apart"):
        fit = vm.weighted_random_effects(**({"y": Y, "group": GROUP} | changes))
    assert fit.status is vm.Status.CONFOUNDED
    assert fit.facts["steps"] <= 15  # quadratic convergence beside the flat direction
    mixed = fit.components.set_index("term").loc[[name.strip("'") for name in what.split(", ")]]
    assert mixed["lower"].isna().all()
    assert (mixed["interval"] == "none").all()


def test_a_known_residual_tells_a_constant_column_apart() -> None:
    fit = vm.weighted_random_effects(Y, np.ones(ROWS), residual=1.0)
    assert fit.components["estimate"].iloc[0] == pytest.approx(np.mean(Y**2) - 1.0, rel=1e-10)


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"y": changed(Y, 3, np.nan)}, NotFiniteError, "first: row 3"),
    ({"y": changed(Y, 3, np.inf)}, NotFiniteError, "row 3"),
    ({"x": changed(X, (2, 1), np.inf)}, NotFiniteError, "'x2' is infinite in row 2"),
    ({"weights": changed(WEIGHTS, 4, np.nan)}, NotFiniteError, "weights missing"),
    ({"weights": -WEIGHTS}, DataError, "must not be negative"),
    ({"weights": np.zeros(ROWS)}, DataError, "All weights are 0"),
    ({"weights": np.arange(1.0, ROWS + 1)}, DataError, "weights differ within group '0'"),
    ({"weights": np.ones((ROWS, 2))}, ShapeError, "weights has shape"),
    ({"y": np.zeros(ROWS)}, DataError, "Every response y is 0"),
    ({"x": np.zeros(ROWS)}, NotIdentifiedError, "'x' is 0 in every row"),
    ({"x": np.column_stack([X[:, 0], np.zeros(ROWS)])}, NotIdentifiedError, "'x2' is 0 in every row"),
    ({"x": X[:-1]}, ShapeError, "different numbers of rows"),
    ({"x": X[None]}, ShapeError, "x has shape"),
    ({"x": X.astype(complex)}, DataError, "complex"),
    ({"y": np.column_stack([Y, Y])}, ShapeError, "one response"),
    ({"group": GROUP[:3]}, ShapeError, "group 3"),
    ({"y": 1e200 * Y}, DataError, "Rescale"),
    ({"y": 1e-200 * Y}, DataError, "Rescale"),
    ({"x": 1e200 * X}, DataError, "Rescale"),
    ({"x": 1e-200 * X}, DataError, "Rescale"),
    ({"residual": -1.0}, OptionError, "positive variance"),
    ({"residual": "known"}, OptionError, "positive variance"),
    ({"residual": True}, OptionError, "positive variance"),
    ({"covariates": Y}, DataError, "explain the response exactly"),
    ({"method": "reml"}, OptionError, "newton, em, pxem, mm"),
    ({"polsih": True}, OptionError, "'polsih' is not an option"),
    ({"starts": 1.5}, OptionError, "whole number"),
    ({"start": [1.0, -1.0, 1.0]}, OptionError, "variances >= 0"),
    ({"start": "moments"}, OptionError, "not known"),
    ({"on_missing": "ignore"}, OptionError, "'error' or 'drop'"),
    ({"max_iterations": 0}, OptionError, "at least 1"),
    ({"x": "a"}, OptionError, "data="),
    ({"data": TABLE, "y": "height"}, OptionError, "no column"),
    ({"x": pd.DataFrame({"residual": X[:, 0]})}, OptionError, "residual"),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_what_cannot_be_used_is_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        vm.weighted_random_effects(**({"y": Y, "x": X, "group": GROUP} | changes))


def test_groups_that_slopes_explain_exactly_are_refused() -> None:
    y = (X * np.random.default_rng(1).standard_normal((GROUPS, 2))[GROUP]).sum(axis=1)
    with pytest.raises(DataError, match="grows without bound"):
        vm.weighted_random_effects(y, X, group=GROUP)
    assert vm.weighted_random_effects(y, X, group=GROUP, residual=0.1).status.arrived


@pytest.mark.parametrize("method", ["newton", "mm", "em", "pxem"])
def test_a_likelihood_without_a_maximum_is_told_and_gives_no_interval(method: str) -> None:
    x = np.where(np.arange(ROWS) < 80, 0.0, X[:, 0])
    y = np.where(x == 0.0, 3.0, 3.0 + x * np.random.default_rng(4).standard_normal(ROWS))
    with pytest.warns(vm.errors.ConvergenceWarning, match="UNBOUNDED"):
        fit = vm.weighted_random_effects(y, x, covariates=Z, intercept=True, method=method)
    assert fit.components["lower"].isna().all()


def test_what_a_fit_does_not_have_is_said(fit: vm.Fit) -> None:
    alone = vm.weighted_random_effects(Y, X, group=GROUP)
    for call in (lambda: alone.coefficients, lambda: alone.predict(Z), lambda: alone.classes):
        with pytest.raises(NotAvailableError):
            call()
    for wrong in (lambda: fit.test("residual"), lambda: fit.interval("c"), lambda: fit.effects("residual")):
        with pytest.raises(OptionError):
            wrong()


def test_short_of_the_optimum_nothing_is_held_against_it() -> None:
    with pytest.warns(vm.errors.ConvergenceWarning, match="STEP_LIMIT"):
        fit = vm.weighted_random_effects(Y, X, group=GROUP, method="em", polish=False, max_iterations=2)
    assert (fit.components["interval"] == "none").all()
    with pytest.raises(NotAvailableError, match="not at a maximum"):
        fit.interval("x1")
