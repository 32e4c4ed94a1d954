"""Law: new rows meet a fit, at hand or loaded, by what they and the training rows are called."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_data import CORE, FEWER, NAMED, NUMBERS, Carriage, World

import varmix as vm
from varmix.errors import AlignmentError

SUMMED = 1e-9
"""Predictions of one fit are sums of 60 terms of order one."""
CLOSE = 1e-6
"""Of fits to rows in another order; see `test_labels`."""


@cache
def world() -> World:
    return World()


@cache
def fitted(kind: str) -> vm.Fit:
    """The core by labels of a kind, in an order of its own, with a kernel in another."""
    here, order = world(), np.random.default_rng(1).permutation(CORE)
    rows = Carriage(kind, tuple(order), 5)
    other = Carriage("text" if kind == "array" else kind, tuple(order[::-1]), 6)
    design = here.X[order] if kind == "array" else here.design(rows)
    if kind == "array":  # the kernel alone has labels
        covariates = pd.DataFrame({"age": here.age[order], "sex": here.sex[order]})
        other = Carriage("text", rows.people, 6)
        design = pd.DataFrame(design, columns=here.variants)
        return vm.variance_components(
            here.Y[order, 0], designs={"snps": design}, kernels={"kin": here.kernel(other)}, covariates=covariates
        )
    return vm.variance_components(
        here.table(rows, y=here.Y[:, 0]),
        designs={"snps": design},
        kernels={"kin": here.kernel(other)},
        covariates=here.table(other, age=here.age, sex=here.sex),
    )


@cache
def loaded(kind: str) -> vm.Fit:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fit.json"
        fitted(kind).save(path)
        return vm.load(path)


@cache
def expected() -> np.ndarray:
    """Of the new people, in the order of the world: coefficients, effects and kriging of a fit by position, densely."""
    here, core, new = world(), np.arange(CORE), world().new
    data = pd.DataFrame({"age": here.age[core], "sex": here.sex[core]})
    fit = vm.variance_components(
        here.Y[core, 0], designs={"snps": here.X[core]}, kernels={"kin": here.K[np.ix_(core, core)]}, covariates=data
    )
    w = fit.coefficients["estimate"]
    centre, width = here.X[core].mean(axis=0), here.X[core].std(axis=0) * np.sqrt(here.X.shape[1])
    fixed = w["(Intercept)"] + w["age"] * here.age[new] + w["sexM"] * (here.sex[new] == "M")
    s_kin, s_residual = fit.progress.iloc[-1][["kin", "residual"]].astype(float)
    projected = fit.augment()["resid"].to_numpy() / s_residual  # P y
    effects = fit.effects("snps")["estimate"].to_numpy()
    return np.asarray(fixed + (here.X[new] - centre) / width @ effects + s_kin * here.K[np.ix_(new, core)] @ projected)


@st.composite
def new_carriage(draw: Any, kinds: Any = NAMED) -> Carriage:
    people = tuple(int(person) for person in world().new)
    return Carriage(draw(st.sampled_from(kinds)), tuple(draw(st.permutations(people))), draw(st.integers(0, 2**16)))


def assert_expected(found: np.ndarray, carriage: Carriage) -> None:
    wanted = dict(zip(world().new, expected(), strict=True))
    np.testing.assert_allclose(found, [wanted[person] for person in carriage.people], rtol=CLOSE, atol=CLOSE)


def coded(fit: vm.Fit, here: World, carriage: Carriage, is_loaded: bool) -> Any:
    """Covariates as the fit needs them: a loaded one keeps coded columns only."""
    if is_loaded:
        return here.table(carriage, age=here.age, sexM=(here.sex == "M").astype(float))
    return here.table(carriage, age=here.age, sex=here.sex)


@pytest.mark.parametrize("is_loaded", [False, True], ids=["at hand", "loaded"])
@FEWER
@given(
    kind=st.sampled_from(["array", *NAMED]),
    tables=st.tuples(new_carriage(), new_carriage(), new_carriage(NAMED)),
    training=st.permutations(range(CORE)),
    extra=st.integers(0, 3),
)
def test_new_rows_and_the_columns_of_their_kernel_are_found_by_label(
    is_loaded: bool, kind: str, tables: tuple[Carriage, ...], training: list[int], extra: int
) -> None:
    here, fit = world(), (loaded if is_loaded else fitted)(kind)
    rows, design, kernel = tables
    columns = np.array([*training, *range(CORE, CORE + extra)])  # people that the fit has not seen are no harm
    columns = np.random.default_rng(kernel.shuffle).permutation(columns) if extra else columns
    found = fit.predict(
        coded(fit, here, rows, is_loaded),
        designs={"snps": here.design(design)},
        kernels={"kin": here.cross_kernel(kernel, columns)},
    )
    assert_expected(found, rows)


@pytest.mark.parametrize("is_loaded", [False, True], ids=["at hand", "loaded"])
@FEWER
@given(tables=st.tuples(*(new_carriage((NUMBERS,)) for _ in range(3))), training=st.permutations(range(CORE)))
def test_the_numbers_that_slicing_left_of_the_training_rows_are_remembered(
    is_loaded: bool, tables: tuple[Carriage, ...], training: list[int]
) -> None:
    here, fit = world(), (loaded if is_loaded else fitted)(NUMBERS)
    rows, design, kernel = tables
    found = fit.predict(
        coded(fit, here, rows, is_loaded),
        designs={"snps": here.design(design)},
        kernels={"kin": here.cross_kernel(kernel, np.array(training))},
    )
    assert_expected(found, rows)


@pytest.mark.parametrize("is_loaded", [False, True], ids=["at hand", "loaded"])
@FEWER
@given(rows=new_carriage(), kind=st.sampled_from(NAMED), seed=st.integers(0, 1000))
def test_a_relationship_matrix_of_everybody_holds_what_predictions_need(
    is_loaded: bool, rows: Carriage, kind: str, seed: int
) -> None:
    here, fit = world(), (loaded if is_loaded else fitted)(kind)
    everybody = Carriage("source", tuple(np.random.default_rng(seed).permutation(len(here.IID))), seed)
    found = fit.predict(
        coded(fit, here, rows, is_loaded),
        designs={"snps": here.design(everybody)},
        kernels={"kin": here.kernel(everybody)},
    )
    assert_expected(found, rows)


@pytest.mark.parametrize("is_loaded", [False, True], ids=["at hand", "loaded"])
@FEWER
@given(tables=st.tuples(*(new_carriage(("IID",)) for _ in range(3))), training=st.permutations(range(CORE)))
def test_a_column_that_named_people_in_the_fit_names_new_ones(
    is_loaded: bool, tables: tuple[Carriage, ...], training: list[int]
) -> None:
    here = world()
    fit = (loaded_by_column if is_loaded else fitted_by_column)()
    rows, design, kernel = tables
    found = fit.predict(
        coded(fit, here, rows, is_loaded).rename(columns={"IID": "person"}),
        designs={"snps": here.design(design).rename(columns={"IID": "person"})},
        kernels={"kin": here.cross_kernel(kernel, np.array(training)).rename(columns={"IID": "person"})},
    )
    assert_expected(found, rows)


@cache
def fitted_by_column() -> vm.Fit:
    here, order = world(), np.random.default_rng(2).permutation(CORE)
    data, other = Carriage("IID", tuple(order), 5), Carriage("IID", tuple(order[::-1]), 6)
    return vm.variance_components(
        "y ~ age + sex",
        here.table(data, y=here.Y[:, 0], age=here.age, sex=here.sex).rename(columns={"IID": "person"}),
        designs={"snps": here.design(other).rename(columns={"IID": "person"})},
        kernels={"kin": here.kernel(other).rename(columns={"IID": "person"})},
        sample_ids="person",
    )


@cache
def loaded_by_column() -> vm.Fit:
    with TemporaryDirectory() as folder:
        fitted_by_column().save(Path(folder) / "fit.json")
        return vm.load(Path(folder) / "fit.json")


@pytest.mark.parametrize("is_loaded", [False, True], ids=["at hand", "loaded"])
@pytest.mark.parametrize("lost", [0, 2])
def test_numbers_of_columns_in_another_order_than_a_default_index_are_refused(is_loaded: bool, lost: int) -> None:
    here, core = world(), np.arange(CORE)
    y = here.Y[core, 0].copy()
    y[:lost] = np.nan
    kernel = pd.DataFrame(here.K[np.ix_(core, core)])
    fit = vm.variance_components(pd.Series(y), kernels={"kin": kernel}, on_missing="drop")
    if is_loaded:
        with TemporaryDirectory() as folder:
            fit.save(Path(folder) / "fit.json")
            fit = vm.load(Path(folder) / "fit.json")
    cross = pd.DataFrame(here.K[np.ix_(here.new, core)])[core[lost:]]
    wanted = fit.predict(None, kernels={"kin": cross.to_numpy()})
    np.testing.assert_allclose(fit.predict(None, kernels={"kin": cross}), wanted, atol=SUMMED)
    with pytest.raises(AlignmentError, match="in another order"):
        fit.predict(None, kernels={"kin": cross.iloc[:, ::-1]})
