"""The law of labels: however tables are ordered and however they carry their labels, an answer is the same by label."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import labelled_data as made
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_data import CARRIERS, COVARIATES, PEOPLE, ROWS, TRAITS

import varmix as vm
from varmix.errors import RepairWarning

# Rows in another order are sums in another order: a unit in the last place of each of some ten Newton steps.
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-7}
orders = st.permutations(range(ROWS)).map(np.array)
carriers = st.sampled_from(CARRIERS)


def assert_same_fit(fit: vm.Fit, expected: vm.Fit) -> None:
    np.testing.assert_allclose(fit.log_likelihood, expected.log_likelihood, rtol=1e-9)
    np.testing.assert_allclose(fit.components["estimate"], expected.components["estimate"], **CLOSE)
    ours, theirs = fit.coefficients["estimate"], expected.coefficients["estimate"]
    np.testing.assert_allclose(ours[theirs.index], theirs, **CLOSE)


@functools.cache
def expected(criterion: str, method: str = "newton") -> vm.Fit:
    options: dict[str, Any] = {} if method == "moments" else {"criterion": criterion}
    design = pd.DataFrame(made.CALLS, columns=[f"rs{number}" for number in range(made.VARIANTS)])
    return vm.variance_components(
        TRAITS["a"],
        designs={"g": design},
        kernels={"kin": made.KERNEL},
        covariates=COVARIATES,
        method=method,
        **options,
    )


@given(orders, orders, orders, orders, orders, carriers, carriers, carriers, st.booleans(), st.booleans())
def test_variance_components_are_the_same_by_label(
    one: Any, two: Any, three: Any, four: Any, five: Any, carry: Any, other: Any, third: Any, formula: bool, ml: bool
) -> None:
    criterion = "ml" if ml else "reml"
    sources = {"designs": {"g": made.design_of(other, two)}, "kernels": {"kin": made.kernel_of(three, four)}}
    if formula:
        data = carry(pd.concat([TRAITS, COVARIATES], axis=1), one)
        fit = vm.variance_components("a ~ sex + age", data, criterion=criterion, **sources)
    else:
        sources["kernels"] = {"kin": made.matrix_of(three)}
        fit = vm.variance_components(
            carry(TRAITS[["a"]], one), criterion=criterion, covariates=third(COVARIATES, five), **sources
        )
    assert_same_fit(fit, expected(criterion))
    by_person = fit.augment().set_index("IID")
    order = by_person.index.get_indexer(PEOPLE)
    theirs = expected(criterion).augment()
    np.testing.assert_allclose(by_person["y"].to_numpy()[order], theirs["y"], rtol=1e-15)
    np.testing.assert_allclose(by_person["resid"].to_numpy()[order], theirs["resid"], **CLOSE)
    people = fit.effects("kin").reset_index()
    np.testing.assert_allclose(
        people.set_index("IID").loc[PEOPLE, "estimate"], expected(criterion).effects("kin")["estimate"], **CLOSE
    )
    np.testing.assert_allclose(fit.effects("g")["estimate"], expected(criterion).effects("g")["estimate"], **CLOSE)


@given(orders, orders, st.sampled_from(["ids", "series", "table", "column"]))
def test_sample_ids_are_labels_in_every_form(one: Any, two: Any, form: str) -> None:
    y, ids = TRAITS["a"].to_numpy()[one], PEOPLE[one]
    response: Any = y
    table, design = made.individuals(COVARIATES, two), made.design_of(made.individuals, two)
    given_ids: Any = {"ids": ids, "table": pd.DataFrame({"IID": ids}), "column": "person"}.get(form)
    if form == "series":
        response = pd.Series(y, index=one + 100)
        given_ids = pd.Series(PEOPLE[two], index=two + 100)
    if form == "column":
        response = pd.DataFrame({"person": ids, "a": y})
        table, design = table.rename(columns={"IID": "person"}), design.rename(columns={"IID": "person"})
    fit = vm.variance_components(
        response, designs={"g": design}, kernels={"kin": made.matrix_of(two)}, covariates=table, sample_ids=given_ids
    )
    assert_same_fit(fit, expected("reml"))


@given(orders, orders, orders, carriers, carriers)
def test_moments_and_many_responses_are_the_same_by_label(
    one: Any, two: Any, three: Any, carry: Any, other: Any
) -> None:
    sources = {"designs": {"g": made.design_of(other, two)}, "kernels": {"kin": made.matrix_of(three)}}
    covariates = other(COVARIATES, three)
    fit = vm.variance_components(carry(TRAITS[["a"]], one), covariates=covariates, method="moments", **sources)
    np.testing.assert_allclose(
        fit.components["estimate"], expected("reml", "moments").components["estimate"], rtol=1e-8, atol=1e-10
    )
    many = vm.variance_components_many(
        carry(TRAITS[["b", "a"]], one), designs={"g": made.design_of(other, two)}, covariates=covariates
    )
    alone = vm.variance_components_many(TRAITS, designs={"g": made.CALLS}, covariates=COVARIATES)
    names = ["s_kernel", "s_residual", "log_likelihood", "fixed_age"]
    np.testing.assert_allclose(many.loc[["a", "b"], names], alone[names], **CLOSE)


@given(orders, orders, orders, orders, carriers, carriers)
def test_genetic_correlation_is_the_same_by_label(
    one: Any, two: Any, three: Any, four: Any, carry: Any, other: Any
) -> None:
    source = vm.ArraySource(made.design_of(made.columns, three))
    fit = vm.genetic_correlation(
        carry(TRAITS[["a"]], one), carry(TRAITS[["b"]], two), source, source, other(COVARIATES, four)
    )
    plain = vm.genetic_correlation(TRAITS["a"], TRAITS["b"], *[vm.ArraySource(made.CALLS)] * 2, COVARIATES)
    np.testing.assert_allclose(fit.log_likelihood, plain.log_likelihood, rtol=1e-8)


@functools.cache
def saved(folder: Path) -> vm.Fit:
    fit = vm.variance_components(
        made.text_index(TRAITS[["a"]], np.arange(ROWS)),
        designs={"g": made.design_of(made.text_index, np.arange(ROWS))},
        kernels={"kin": made.kernel_of(np.arange(ROWS), np.arange(ROWS))},
        covariates=made.text_index(COVARIATES[["age"]], np.arange(ROWS)),
    )
    fit.save(folder / "fit.json")
    return fit


@given(orders, orders, orders, orders, carriers, carriers, st.integers(1, ROWS), st.booleans(), st.booleans())
def test_predictions_of_a_fit_and_of_a_loaded_one_are_the_same_by_label(
    tmp_path_factory: Any,
    one: Any,
    two: Any,
    three: Any,
    four: Any,
    carry: Any,
    other: Any,
    count: int,
    load: bool,
    matrix: bool,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    fit = saved(folder)
    whole = fit.predict(COVARIATES, designs={"g": made.CALLS}, kernels={"kin": made.KERNEL})
    answering = vm.load(folder / "fit.json") if load else fit
    kernel = made.matrix_of(three) if matrix else made.kernel_of(three, four)
    got = answering.predict(
        carry(COVARIATES[["age"]], one[:count]), designs={"g": made.design_of(other, two)}, kernels={"kin": kernel}
    )
    np.testing.assert_allclose(got, whole[one[:count]], rtol=1e-9, atol=1e-10)


GROUP = np.repeat(np.arange(ROWS // 2), 2)
SLOPES = made.rng.normal(size=ROWS)
ERRORS = made.rng.uniform(0.5, 1.5, size=ROWS)
WEIGHTS = np.repeat(made.rng.integers(1, 4, size=ROWS // 2), 2).astype(float)
EFFECT = np.repeat(made.rng.normal(size=ROWS // 2) * 2.0, 2) * SLOPES + 0.3 * made.rng.normal(size=ROWS)
FRAME = pd.DataFrame({"y": EFFECT, "x": SLOPES, "se": ERRORS, "w": WEIGHTS, "g": GROUP, "age": COVARIATES["age"]})


def series_of(name: str, order: np.ndarray, named: bool) -> pd.Series[Any]:
    index = pd.Index(PEOPLE[order]) if named else pd.Index(order + 50)
    return FRAME[name].iloc[order].set_axis(index)


@functools.cache
def expected_effects() -> tuple[vm.Fit, vm.Fit]:
    return (
        vm.random_effect_mixture(
            EFFECT, SLOPES, GROUP, se=ERRORS, weights=WEIGHTS, classes=1, residual="estimated", starts=2, rng=1
        ),
        vm.weighted_random_effects(EFFECT, SLOPES, WEIGHTS, group=GROUP, covariates=FRAME[["age"]]),
    )


@given(orders, orders, orders, orders, orders, st.booleans())
def test_effects_and_groups_are_the_same_by_label(
    one: Any, two: Any, three: Any, four: Any, five: Any, named: bool
) -> None:
    y, x, group, se, w = (
        series_of(name, order, named)
        for name, order in zip(["y", "x", "g", "se", "w"], (one, two, three, four, five), strict=True)
    )
    mixture, slopes = expected_effects()
    fit = vm.random_effect_mixture(y, x, group, se=se, weights=w, classes=1, residual="estimated", starts=2, rng=1)
    np.testing.assert_allclose(fit.log_likelihood, mixture.log_likelihood, rtol=1e-9)
    ours, theirs = (item.classes.set_index("group")["effect"] for item in (fit, mixture))
    np.testing.assert_allclose(ours[theirs.index], theirs, **CLOSE)
    age = series_of("age", two, named).to_frame()
    again = vm.weighted_random_effects(y, x, w, group=group, covariates=age)
    assert_same_fit(again, slopes)
    rest = FRAME.drop(columns="g").iloc[two].set_axis(age.index, axis=0)
    mixed = vm.weighted_random_effects("y", "x", "w", group=group, covariates=["age"], data=rest)
    assert_same_fit(mixed, slopes)


@given(orders, st.sampled_from([0, 2**53, 2**63]), st.sampled_from(["rows", "chunks", "polars", "nullable"]))
def test_groups_are_the_same_whatever_they_are_called_and_wherever_they_lie(order: Any, first: int, form: str) -> None:
    labels = [first + int(number) for number in GROUP[order]]
    table = FRAME.iloc[order].reset_index(drop=True).assign(g=pd.Series(labels, dtype=object))
    missing = pd.DataFrame({"y": [1.0], "x": [1.0], "se": [1.0], "w": [1.0], "g": [None], "age": [0.0]})
    whole: Any = pd.concat([table, missing], ignore_index=True) if form != "rows" else table
    if form == "nullable":
        whole = whole.astype({"g": "UInt64"})
    if form == "polars":
        whole = pl.DataFrame(whole.to_dict("list"), schema_overrides={"g": pl.UInt64})
    if form == "chunks":
        whole = [whole[:7], whole[7:19], whole[19:]]
    with pytest.warns(RepairWarning) if form != "rows" else nullcontext():
        fit = vm.random_effect_mixture(
            "y", "x", "g", se="se", weights="w", data=whole, classes=1, residual="estimated", starts=2, rng=1
        )
    mixture, _ = expected_effects()
    np.testing.assert_allclose(fit.log_likelihood, mixture.log_likelihood, rtol=1e-9)
    ours, theirs = (item.classes.set_index("group")["effect"] for item in (fit, mixture))
    ours.index = ours.index.map(str)
    np.testing.assert_allclose([ours[str(first + int(name))] for name in theirs.index], theirs, **CLOSE)
