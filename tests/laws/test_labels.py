"""Law: rows meet by what they are called, so that no order of a table ever changes an answer of a variance-component
model."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dense_model import DenseModel, standardised
from hypothesis import given
from hypothesis import strategies as st
from labelled_data import CORE, FEWER, NUMBERS, Carriage, World, carriages, some_carriages

import varmix as vm
from varmix.errors import AlignmentError
from varmix.genotype import standardise

CLOSE = 1e-6
"""Fits end 1e-8 standard errors from the optimum, and standard errors here are of the estimates' size."""
SUMMED = 1e-8
"""Sums in another order: 1e-14 of their size, times condition numbers below 1e4 and the flat top of a likelihood."""
METHODS = {
    "reml": {"criterion": "reml"},
    "ml": {"criterion": "ml"},
    "moments": {"method": "moments"},
}
PAIRED = ["genetic_1", "genetic_2", "genetic_12", "residual_1", "residual_2", "residual_12"]
"""Variances and covariances of two responses."""
SERIES = ("levels", "levels turned", "text", "named numbers")

pytestmark = pytest.mark.filterwarnings("ignore::varmix.errors.FragileMomentsWarning")


@cache
def world() -> World:
    return World()


@cache
def reference(method: str) -> vm.Fit:
    """By position, everything in the order of the world."""
    here, core = world(), np.arange(CORE)
    data = pd.DataFrame({"age": here.age[core], "sex": here.sex[core]})
    designs = {"snps": pd.DataFrame(here.X[core], columns=here.variants)}
    kernels = {"kin": here.K[np.ix_(core, core)]}
    return vm.variance_components(here.Y[core, 0], designs=designs, kernels=kernels, covariates=data, **METHODS[method])


def variances(fit: vm.Fit) -> pd.Series[float]:
    """From the last step: the table of components has profile intervals, which take longer than the fit."""
    return fit.progress.iloc[-1][["snps", "kin", "residual"]].astype(float)


def people_of(fit: vm.Fit, response: np.ndarray) -> np.ndarray:
    """Positions in the world of the rows used, by their labels; where labels are none of people by the rows."""
    table = fit.augment()
    people = response[table["row"].to_numpy()]
    if "IID" in table:
        assert table["IID"].tolist() == world().IID[people].tolist()
    return people


def assert_same(fit: vm.Fit, base: vm.Fit, response: np.ndarray) -> None:
    """Estimates, log-likelihood, coefficients by name, effects by variant and by person, rows by person."""
    here, people = world(), people_of(fit, response)
    order = np.argsort(people)
    assert people[order].tolist() == list(range(CORE))
    np.testing.assert_allclose(variances(fit), variances(base), rtol=CLOSE, atol=CLOSE)
    np.testing.assert_allclose(fit.log_likelihood, base.log_likelihood, rtol=0.0, atol=SUMMED)
    pd.testing.assert_series_equal(
        fit.coefficients["estimate"].sort_index(), base.coefficients["estimate"].sort_index(), rtol=CLOSE, atol=CLOSE
    )
    effects = fit.effects("snps")["estimate"]
    np.testing.assert_allclose(effects[here.variants], base.effects("snps")["estimate"], rtol=CLOSE, atol=CLOSE)
    kin = fit.effects("kin")
    np.testing.assert_allclose(kin["estimate"].to_numpy()[order], base.effects("kin")["estimate"], atol=CLOSE)
    if "IID" in kin.index.names:
        assert kin.index.get_level_values("IID").tolist() == here.IID[people].tolist()
    columns = ["y", "fixed", "fitted", "resid"]
    np.testing.assert_allclose(fit.augment()[columns].iloc[order], base.augment()[columns], atol=CLOSE)


@pytest.mark.parametrize("criterion", ["reml", "ml"])
def test_the_fits_that_all_others_are_held_against_have_the_likelihood_of_the_dense_model(criterion: str) -> None:
    here, fit, core = world(), reference(criterion), np.arange(CORE)
    Z = np.column_stack([np.ones(CORE), here.age[core], here.sex[core] == "M"]).astype(float)
    X = standardised(here.X[core])
    model = DenseModel.of(here.Y[core, 0], Z, [X @ X.T, here.K[np.ix_(core, core)]])
    at = variances(fit).to_numpy()
    assert (at > 0.0).all()
    np.testing.assert_allclose(fit.log_likelihood, model.log_likelihood(at, criterion), atol=SUMMED)
    for component in range(3):
        for factor in (0.9, 1.1):
            moved = at.copy()
            moved[component] *= factor
            assert model.log_likelihood(moved, criterion) < fit.log_likelihood


@pytest.mark.parametrize("method", METHODS)
@FEWER
@given(tables=some_carriages(3), source=st.booleans())
def test_a_formula_meets_designs_and_kernels_by_label(method: str, tables: tuple[Carriage, ...], source: bool) -> None:
    here, (data, design, kernel) = world(), tables
    if source:
        design, kernel = (Carriage("source", item.people, item.shuffle) for item in (design, kernel))
    fit = vm.variance_components(
        "y ~ age + sex",
        here.table(data, y=here.Y[:, 0], age=here.age, sex=here.sex),
        designs={"snps": here.design(design)},
        kernels={"kin": here.kernel(kernel)},
        **METHODS[method],
    )
    assert_same(fit, reference(method), data.order)


@pytest.mark.parametrize("method", METHODS)
@FEWER
@given(
    tables=some_carriages(4, kinds=SERIES),
    given_ids=st.sampled_from(["index", "list", "table", "series"]),
)
def test_arrays_meet_covariates_designs_and_kernels_by_label(
    method: str, tables: tuple[Carriage, ...], given_ids: str
) -> None:
    here, (response, covariates, design, kernel) = world(), tables
    order, y, sample_ids = response.order, here.Y[response.order, 0], None
    if given_ids == "index":
        y = here.series(response, here.Y[:, 0])
    elif given_ids == "series":  # ids with an index of their own, in another order than the response's
        turned = response.columns(list(range(len(order))))
        y, sample_ids = pd.Series(y), pd.Series(here.IID[order])
        y.index = sample_ids.index = pd.Index([f"row {at}" for at in range(len(order))])
        sample_ids = sample_ids.iloc[turned]
    else:
        sample_ids = list(here.IID[order]) if given_ids == "list" else here.ids(order)
    fit = vm.variance_components(
        y,
        covariates=here.table(covariates, age=here.age, sex=here.sex),
        designs={"snps": here.design(design)},
        kernels={"kin": here.kernel(kernel)},
        sample_ids=sample_ids,
        **METHODS[method],
    )
    assert_same(fit, reference(method), order)


@FEWER
@given(tables=some_carriages(4, kinds=(NUMBERS,)))
def test_the_numbers_that_sorting_and_slicing_left_are_labels(tables: tuple[Carriage, ...]) -> None:
    here, (response, covariates, design, kernel) = world(), tables
    fit = vm.variance_components(
        here.series(response, here.Y[:, 0]),
        covariates=here.table(covariates, age=here.age, sex=here.sex),
        designs={"snps": here.design(design)},
        kernels={"kin": here.kernel(kernel)},
    )
    assert_same(fit, reference("reml"), response.order)


@FEWER
@given(data=carriages(0), rest=some_carriages(2, kinds=(NUMBERS,)))
def test_numbers_beside_people_are_their_ids_or_refused(data: Carriage, rest: tuple[Carriage, ...]) -> None:
    here = world()
    sources = {"designs": {"snps": here.design(rest[0])}, "kernels": {"kin": here.kernel(rest[1])}}
    table = here.table(data, y=here.Y[:, 0], age=here.age, sex=here.sex)
    try:
        fit = vm.variance_components("y ~ age + sex", table, **sources)
    except AlignmentError:  # numbers that agree with some ids only may do so by accident
        assert max(len(data.people), *(len(item.people) for item in rest)) > CORE
        return
    assert_same(fit, reference("reml"), data.order)


@FEWER
@given(tables=some_carriages(3, kinds=("FID and IID", "IID", "polars")))
def test_a_column_of_any_name_may_hold_the_ids(tables: tuple[Carriage, ...]) -> None:
    here, (data, design, kernel) = world(), tables

    def renamed(table: Any) -> Any:
        """Called by a column of numbers that would pass for a covariate or a variant."""
        rename = table.rename if isinstance(table, pd.DataFrame) else None
        table = rename(columns={"IID": "person"}) if rename else table.rename({"IID": "person"})
        return table.drop(columns=[name for name in ("#FID",) if name in table]) if rename else table.drop("FID")

    fit = vm.variance_components(
        "y ~ age + sex",
        renamed(here.table(data, y=here.Y[:, 0], age=here.age, sex=here.sex)),
        designs={"snps": renamed(here.design(design))},
        kernels={"kin": renamed(here.kernel(kernel))},
        sample_ids="person",
    )
    assert_same(fit, reference("reml"), data.order)


@FEWER
@given(tables=some_carriages(3, kinds=("text", "polars", NUMBERS)))
def test_a_design_may_be_standardised_before_it_is_joined(tables: tuple[Carriage, ...]) -> None:
    """All tables are of one kind, which may be numbers that slicing left."""
    here, kind = world(), tables[0].kind
    response, design, kernel = (Carriage(kind, item.people, item.shuffle) for item in tables)
    rows = np.flatnonzero(design.order < CORE)
    standardised_before = standardise(vm.ArraySource(here.design(design)), rows)
    table = here.table(response, y=here.Y[:, 0], age=here.age, sex=here.sex)
    fit = vm.variance_components(
        "y ~ age + sex", table, designs={"snps": standardised_before}, kernels={"kin": here.kernel(kernel)}
    )
    assert_same(fit, reference("reml"), response.order)


@cache
def many_reference() -> pd.DataFrame:
    here, core = world(), np.arange(CORE)
    covariates = pd.DataFrame({"age": here.age[core], "sex": here.sex[core]})
    kernel = here.K[np.ix_(core, core)]
    return vm.variance_components_many(here.Y[core], kernels=kernel, covariates=covariates, names=["a", "b"])


@FEWER
@given(tables=some_carriages(3))
def test_many_responses_are_rows_by_their_names(tables: tuple[Carriage, ...]) -> None:
    here, (responses, covariates, kernel) = world(), tables
    found = vm.variance_components_many(
        here.table(responses, a=here.Y[:, 0], b=here.Y[:, 1]),
        kernels={"kernel": here.kernel(kernel)},
        covariates=here.table(covariates, age=here.age, sex=here.sex),
    )
    wanted, names = many_reference(), many_reference().select_dtypes("float").columns
    np.testing.assert_allclose(found.loc[wanted.index, names], wanted[names], rtol=CLOSE, atol=CLOSE)
    assert (found["rows"] == CORE).all()


@cache
def correlation_reference(method: str, overlap: bool) -> np.ndarray:
    """Two traits of the core, or of its first and its last 26 people, of which 20 are in both."""
    here, core = world(), np.arange(CORE)
    first, second = (core[:26], core[6:]) if overlap else (core, core)
    X = [here.X[first], here.X[second]] if overlap else [here.X[core]] * 2
    ages = [here.age[first][:, None], here.age[second][:, None]]
    both = (np.arange(6, 26), np.arange(20)) if overlap else "auto"
    fit = vm.genetic_correlation(here.Y[first, 0], here.Y[second, 1], *X, *ages, method=method, overlap=both)
    return answer_of(fit)


def answer_of(fit: vm.Fit) -> np.ndarray:
    """Estimates, their covariance, log-likelihood and people in both."""
    estimates = fit.components["estimate"] if fit.criterion == "moments" else fit.progress.iloc[-1][PAIRED]
    both = fit.table("sample").set_index("cause")["count"]["people in both"]
    parts = [estimates.to_numpy(dtype=float), fit.covariance().to_numpy().ravel(), [fit.log_likelihood, both]]
    return np.concatenate(parts)


@pytest.mark.parametrize("method", ["newton", "moments"])
@FEWER
@given(tables=some_carriages(3))
def test_two_traits_of_one_source_meet_it_by_label(method: Any, tables: tuple[Carriage, ...]) -> None:
    here, (first, second, source) = world(), tables
    design = here.design(source)
    fit = vm.genetic_correlation(
        here.table(first, y1=here.Y[:, 0]),
        here.table(second, y2=here.Y[:, 1]),
        design,
        design,
        here.table(first, age=here.age),
        here.table(second, age=here.age),
        method=method,
    )
    np.testing.assert_allclose(answer_of(fit), correlation_reference(method, False), rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("method", ["newton", "moments"])
@FEWER
@given(tables=some_carriages(5, extras=0))
def test_two_cohorts_share_the_people_of_the_same_ids(method: Any, tables: tuple[Carriage, ...]) -> None:
    here = world()
    halves = [range(26), range(6, CORE)]
    places = [halves[at] for at in (0, 1, 0, 1, 0)]
    y1, y2, x1, x2, z1 = (
        Carriage(item.kind, tuple(person for person in item.people if person in place), item.shuffle)
        for item, place in zip(tables, places, strict=True)
    )
    fit = vm.genetic_correlation(
        here.table(y1, y1=here.Y[:, 0]),
        here.table(y2, y2=here.Y[:, 1]),
        here.design(x1),
        here.design(x2),
        here.table(z1, age=here.age),
        here.table(y2, age=here.age),
        method=method,
    )
    np.testing.assert_allclose(answer_of(fit), correlation_reference(method, True), rtol=CLOSE, atol=CLOSE)
