"""Law: rows of effects meet by their index, and groups are the same by any kind of label, in any order, in memory or in
chunks."""

from __future__ import annotations

import datetime as dt
import uuid
from contextlib import nullcontext
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_data import FEWER

import varmix as vm
from varmix.errors import RepairWarning

GROUPS, ROWS = 20, 3
COUNT = GROUPS * ROWS
CLOSE = 1e-6
"""Fits end 1e-8 standard errors from the optimum, of sums in another order."""
LIKELIHOOD = 1e-8
MANY = 2**60
"""Integers from here are merged in float64."""


@cache
def table() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(GROUPS), ROWS)
    x = rng.normal(size=COUNT)
    z = rng.normal(size=COUNT)
    effects = rng.normal(size=GROUPS) * np.where(np.arange(GROUPS) % 2, 0.3, 3.0)
    y = effects[group] * x + 0.5 * z + rng.normal(size=COUNT) * 0.5
    weights = np.repeat(rng.uniform(0.5, 2.0, GROUPS), ROWS)
    return pd.DataFrame({"y": y, "x": x, "se": rng.uniform(0.4, 0.6, COUNT), "w": weights, "z": z, "group": group})


def _labels(kind: str) -> Any:
    """A label per group, as the kind has them."""
    numbers = np.arange(GROUPS)
    if kind == "small integers":
        return pd.Series(numbers + 5)
    if kind == "integers":
        return pd.Series(MANY + numbers)
    if kind == "unsigned":  # some within int64 and some beyond
        return pd.Series([2**63 - 10 + int(number) for number in numbers], dtype=np.uint64)
    if kind == "nullable":
        return pd.Series(MANY + numbers, dtype="Int64")
    if kind == "arrow":
        return pd.Series(MANY + numbers, dtype="int64[pyarrow]")
    if kind == "dates":
        return pd.Series([dt.date(2020, 1, 1) + dt.timedelta(days=int(number)) for number in numbers], dtype=object)
    if kind == "times":
        return pd.Series(pd.date_range("2020-01-01", periods=GROUPS))
    if kind == "uuids":
        return pd.Series([uuid.UUID(int=MANY + int(number)) for number in numbers], dtype=object)
    if kind == "categories":
        return pd.Series(pd.Categorical([f"g{number}" for number in numbers]))
    return pd.Series([f"g{number}" for number in numbers], dtype="str" if kind == "text" else "string[pyarrow]")


KINDS = [
    "small integers", "integers", "unsigned", "nullable", "arrow", "dates", "times", "uuids", "categories", "text",
    "arrow text",
]  # fmt: skip


def mixture(data: Any = None, **given: Any) -> vm.Fit:
    """Two classes with known errors and weights, from few starts, since its number is not what is asked."""
    roles = {name: given.get(name, name) for name in ("y", "x", "group", "se")}
    return vm.random_effect_mixture(**roles, weights=given.get("w", "w"), data=data, starts=3, rng=1)


def slopes(data: Any = None, **given: Any) -> vm.Fit:
    """A variance of slopes beside a covariate."""
    roles = {name: given.get(name, name) for name in ("y", "x", "group")}
    weights, covariates = given.get("w", "w"), given.get("z", "z")
    return vm.weighted_random_effects(**roles, weights=weights, covariates=covariates, data=data)


FITS = {"mixture": mixture, "slopes": slopes}


@cache
def reference(model: str) -> vm.Fit:
    return FITS[model](table())


def by_group(fit: vm.Fit) -> pd.DataFrame:
    """What is said of each group, by its label as text."""
    if "classes" in fit.report.tables:
        found = fit.classes.set_index("group").select_dtypes("number")
    else:
        found = fit.effects("x")[["estimate"]]
    return found.set_axis(found.index.map(str))


def assert_same(fit: vm.Fit, model: str, names: list[str]) -> None:
    """Estimates, and every group's row by its name."""
    base = reference(model)
    np.testing.assert_allclose(fit.log_likelihood, base.log_likelihood, atol=LIKELIHOOD)
    np.testing.assert_allclose(fit.components["estimate"], base.components["estimate"], rtol=CLOSE, atol=CLOSE)
    wanted = by_group(base)
    found = by_group(fit)
    assert sorted(found.index) == sorted(names)
    wanted = wanted.set_axis([names[int(number)] for number in wanted.index]).loc[found.index]
    np.testing.assert_allclose(found[wanted.columns], wanted, rtol=CLOSE, atol=CLOSE)


def names_of(kind: str) -> list[str]:
    """The text of the labels."""
    return [str(label).removesuffix(" 00:00:00") for label in _labels(kind).tolist()]


@pytest.mark.parametrize("model", FITS)
@FEWER
@given(
    kind=st.sampled_from(KINDS),
    order=st.permutations(range(COUNT)),
    columns=st.permutations(range(7)),
    lost=st.booleans(),
)
def test_groups_are_the_same_by_any_label_in_any_order(
    model: str, kind: str, order: list[int], columns: list[int], lost: bool
) -> None:
    frame = table().assign(other="ignored", group=_labels(kind).take(table()["group"]).reset_index(drop=True))
    if lost and frame["group"].dtype.kind not in "iu":
        frame = pd.concat([frame, frame.iloc[:1].assign(group=pd.Series([None], dtype=frame["group"].dtype))])
        order = [*order, COUNT]
    frame = frame.iloc[order, columns].reset_index(drop=True)
    told = pytest.warns(RepairWarning, match="1 of 61 rows") if len(order) > COUNT else nullcontext()
    with told:
        fit = FITS[model](frame)
    assert_same(fit, model, names_of(kind))


INDEXES = {
    "text": lambda: pd.Index([f"rs{number}" for number in range(COUNT)]),
    "named numbers": lambda: pd.Index(np.arange(COUNT) * 3, name="row"),
    "numbers": lambda: pd.Index(np.arange(COUNT) * 3 + 1),
    "levels": lambda: pd.MultiIndex.from_arrays([["f"] * COUNT, np.arange(COUNT)], names=["FID", "IID"]),
}


@pytest.mark.parametrize("model", FITS)
@FEWER
@given(
    index=st.sampled_from(list(INDEXES)),
    orders=st.lists(st.permutations(range(COUNT)), min_size=6, max_size=6),
    named=st.booleans(),
)
def test_series_are_joined_by_their_index(model: str, index: str, orders: list[list[int]], named: bool) -> None:
    frame = table().set_index(INDEXES[index]())
    parts = {name: frame[name].iloc[order] for name, order in zip(frame, orders, strict=True)}
    if named:  # columns of a table beside series
        del parts["y"], parts["group"]
        fit = FITS[model](data=frame.iloc[orders[0]], **parts)
    else:
        fit = FITS[model](**parts)
    assert_same(fit, model, [str(number) for number in range(GROUPS)])


@FEWER
@given(
    kind=st.sampled_from(["integers", "unsigned", "nullable", "arrow", "uuids", "times", "text"]),
    order=st.permutations(range(COUNT)),
    cuts=st.lists(st.integers(0, COUNT), min_size=1, max_size=4),
    shape=st.sampled_from(["frames", "narrowed", "csv", "parquet", "polars"]),
)
def test_chunks_say_what_the_table_says(kind: str, order: list[int], cuts: list[int], shape: str) -> None:
    frame = table().assign(group=_labels(kind).take(table()["group"]).reset_index(drop=True)).iloc[order]
    frame = frame.reset_index(drop=True)
    ends = [0, *sorted(cuts), COUNT]
    chunks = [frame.iloc[start:stop] for start, stop in pairwise(ends) if stop > start]
    if shape == "narrowed":  # every chunk is typed by what it holds, as readers of text do
        chunks = [chunk.assign(group=pd.Series(chunk["group"].tolist(), chunk.index)) for chunk in chunks]
    with TemporaryDirectory() as folder:
        data: Any = chunks
        if shape == "csv":
            data = [Path(folder) / f"{number}.csv" for number in range(len(chunks))]
            for path, chunk in zip(data, chunks, strict=True):
                chunk[list(chunk)[:: 1 - 2 * (len(chunk) % 2)]].to_csv(path, index=False)
        elif shape == "parquet":
            data = [Path(folder) / f"{number}.parquet" for number in range(len(chunks))]
            for path, chunk in zip(data, chunks, strict=True):
                chunk.assign(group=chunk["group"].astype(str) if kind == "uuids" else chunk["group"]).to_parquet(path)
        elif shape == "polars" and kind != "uuids":
            data = [pl.from_pandas(chunk) for chunk in chunks]
        fit = mixture(data)
        assert_same(fit, "mixture", names_of(kind))
