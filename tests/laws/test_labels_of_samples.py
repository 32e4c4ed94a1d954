"""Law: samples, their types, cell types and genes of mixed samples meet by name, in any order of any table."""

from __future__ import annotations

from functools import cache
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
from mixed_samples import CELL_TYPES, PROPORTIONS, mixed

import varmix as vm
from varmix.errors import AlignmentError

GENES, EACH, TYPES = 12, 3, len(PROPORTIONS)
SAMPLES = TYPES * EACH
CLOSE = 1e-6
"""Fits end 1e-8 standard errors from the optimum, of sums in another order."""
LIKELIHOOD = 1e-8

pytestmark = pytest.mark.filterwarnings("ignore::varmix.errors.VarmixWarning")


@cache
def expression() -> pd.DataFrame:
    return mixed(3, GENES, each=EACH).S


@cache
def new_genes() -> pd.DataFrame:
    return mixed(4, GENES, each=EACH).S.rename(index=lambda name: f"new {name}")


CODES = np.repeat(np.arange(TYPES), EACH)
LABELS: dict[str, list[Any]] = {
    "text": [f"mix {number}" for number in range(TYPES)],
    "integers": [3, 10, 7, 22, 5],
    "floats": [3.0, 10.0, 7.0, 22.0, 5.0],
    "digits": ["3", "10", "7", "22", "5"],
}
"""Of types; the last three are one."""


@cache
def reference() -> vm.Fit:
    table = pd.DataFrame(PROPORTIONS, LABELS["text"], CELL_TYPES)
    return fitted(expression(), [LABELS["text"][code] for code in CODES], table)


def fitted(S: Any, sample_type: Any, proportions: Any) -> vm.Fit:
    return vm.partition_mixture(S, sample_type, proportions=proportions, noise="both")


def partition_by_cells(name: str) -> frozenset[frozenset[str]]:
    """A partition whatever the order in which its cell types are written."""
    return frozenset(frozenset(cell.strip() for cell in block.split("=")) for block in name.split("|"))


def by_gene(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers of a table of genes by gene and by what names its rows and columns otherwise."""
    table = table.copy()
    for column in ("partition", "cell_type", "first", "second"):
        if column in table:
            table[column] = table[column].map(lambda name: str(sorted(map(sorted, partition_by_cells(name)))))
    keys = [name for name in table if not pd.api.types.is_float_dtype(table[name].dtype)]
    renamed = {name: str(sorted(map(sorted, partition_by_cells(name)))) for name in table if "|" in name or "=" in name}
    found = table.set_index(keys).rename(columns=renamed)
    return found.sort_index()[sorted(found)]


def assert_same(fit: vm.Fit) -> None:
    base = reference()
    np.testing.assert_allclose(fit.log_likelihood, base.log_likelihood, atol=LIKELIHOOD)
    np.testing.assert_allclose(fit.components["estimate"], base.components["estimate"], rtol=CLOSE, atol=CLOSE)
    for name in ("classes", "expression"):
        assert_tables(fit.table(name), base.table(name))


def assert_tables(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(by_gene(found), by_gene(wanted), rtol=CLOSE, atol=CLOSE, check_index_type=False)


def sample_types(how: str, labels: list[Any], names: list[str], order: list[int]) -> Any:
    """Types by the names of samples, in an order of their own."""
    pairs = [(names[at], labels[CODES[at]]) for at in order]
    if how == "mapping":
        return dict(pairs)
    frame = pd.DataFrame(pairs, columns=["sample", "type"])
    if how == "series":
        return frame.set_index("sample")["type"]
    if how == "one column":
        return frame.set_index("sample")[["type"]]
    if how == "two columns turned":
        return frame[["type", "sample"]]
    return pl.from_pandas(frame) if how == "polars" else frame


def proportions_of(how: str, labels: list[Any], rows: list[int], columns: list[int]) -> Any:
    """Rows and columns in another order, named."""
    values = PROPORTIONS[np.ix_(rows, columns)]
    names, cells = [labels[row] for row in rows], [CELL_TYPES[column] for column in columns]
    texts = [str(name).removesuffix(".0") for name in names]
    frame = pd.DataFrame(values, pd.Index(names, dtype=object), cells)
    if how == "mapping of mappings":
        return {name: dict(zip(cells, row, strict=True)) for name, row in zip(names, values, strict=True)}
    if how == "first column":
        return frame.reset_index(names="type").assign(type=texts)
    if how == "polars":
        return pl.from_pandas(frame.reset_index(names="type").assign(type=texts))
    return frame


TYPES_BY = ["series", "mapping", "one column", "two columns", "two columns turned", "polars"]
PROPORTIONS_BY = ["frame", "mapping of mappings", "first column", "polars"]


@FEWER
@given(
    genes=st.permutations(range(GENES)),
    samples=st.permutations(range(SAMPLES)),
    types=st.permutations(range(SAMPLES)),
    rows=st.permutations(range(TYPES)),
    columns=st.permutations(range(3)),
    labels=st.tuples(st.sampled_from(list(LABELS)), st.sampled_from(list(LABELS))),
    how=st.tuples(st.sampled_from(TYPES_BY), st.sampled_from(PROPORTIONS_BY)),
    shape=st.sampled_from(["pandas", "named numbers", "polars", "chunks", "csv", "parquet"]),
)
def test_genes_samples_types_and_cell_types_meet_by_name(
    genes: list[int], samples: list[int], types: list[int], rows: list[int], columns: list[int],
    labels: tuple[str, str], how: tuple[str, str], shape: str,
) -> None:  # fmt: skip
    mine, theirs = labels if "text" not in labels else ("text", "text")
    S = expression()
    names = list(S.columns)
    table = S.iloc[genes, samples]
    if shape == "named numbers":  # samples called by numbers, in no order
        names = [str(100 - at) for at in range(SAMPLES)]
        table = table.set_axis([int(names[at]) for at in samples], axis=1)
    sample_type = sample_types(how[0], LABELS[mine], names, types)
    proportions = proportions_of(how[1], LABELS[theirs], rows, columns)
    with TemporaryDirectory() as folder:
        assert_same(fitted(shaped(table, shape, Path(folder)), sample_type, proportions))


def shaped(table: pd.DataFrame, shape: str, folder: Path) -> Any:
    """In memory or in two chunks, the second with samples in another order."""
    named = table.reset_index(names="gene")
    if shape == "polars":
        return pl.from_pandas(named)
    if shape in ("pandas", "named numbers"):
        return table
    parts = [named.iloc[:5], named.iloc[5:, [0, *range(SAMPLES, 0, -1)]]]
    if shape == "chunks":
        return parts
    paths = [folder / f"{number}.{shape}" for number in range(2)]
    for path, part in zip(paths, parts, strict=True):
        part.to_csv(path, index=False) if shape == "csv" else part.to_parquet(path)
    return paths


@FEWER
@given(samples=st.permutations(range(SAMPLES)), rows=st.permutations(range(SAMPLES)), columns=st.permutations(range(3)))
def test_rows_of_proportions_may_be_samples_by_name(samples: list[int], rows: list[int], columns: list[int]) -> None:
    S = expression()
    table = pd.DataFrame(PROPORTIONS[CODES], S.columns, CELL_TYPES).iloc[rows, columns]
    fit = vm.partition_mixture(S.iloc[:, samples], proportions=table, noise="both")
    np.testing.assert_allclose(fit.log_likelihood, reference().log_likelihood, atol=LIKELIHOOD)
    assert_tables(fit.classes, reference().classes)


@cache
def loaded() -> vm.Fit:
    with TemporaryDirectory() as folder:
        reference().save(Path(folder) / "fit.json")
        return vm.load(Path(folder) / "fit.json")


@cache
def predicted() -> Any:
    return reference().predict(new_genes())


@pytest.mark.parametrize("is_loaded", [False, True], ids=["at hand", "loaded"])
@FEWER
@given(
    genes=st.permutations(range(GENES)),
    samples=st.permutations(range(SAMPLES)),
    types=st.permutations(range(SAMPLES)),
    rows=st.permutations(range(TYPES)),
    columns=st.permutations(range(3)),
    how=st.tuples(st.sampled_from(TYPES_BY), st.sampled_from(PROPORTIONS_BY)),
    by=st.sampled_from(["samples", "types", "proportions", "proportions of samples"]),
)
def test_new_genes_and_new_samples_meet_a_fit_by_name(
    is_loaded: bool, genes: list[int], samples: list[int], types: list[int], rows: list[int], columns: list[int],
    how: tuple[str, str], by: str,
) -> None:  # fmt: skip
    fit, table = loaded() if is_loaded else reference(), new_genes().iloc[genes, samples]
    names, options = list(new_genes().columns), {}
    if by != "samples":  # samples that the fit does not know
        table, names = table.rename(columns="new {}".format), [f"new {name}" for name in names]
    if by in ("types", "proportions"):
        options["sample_type"] = sample_types(how[0], LABELS["text"], names, types)
    if by == "proportions":
        options["proportions"] = proportions_of(how[1], LABELS["text"], rows, columns)
    if by == "proportions of samples":
        options["proportions"] = pd.DataFrame(PROPORTIONS[CODES], names, CELL_TYPES).iloc[types, columns]
    found = fit.predict(table, **options)
    assert_tables(found.classes, predicted().classes)
    assert_tables(found.expression, predicted().expression)


@FEWER
@given(order=st.permutations(range(SAMPLES)).filter(lambda order: order != sorted(order)))
def test_numbers_that_the_other_side_counts_in_another_order_are_refused(order: list[int]) -> None:
    counted = expression().set_axis(pd.RangeIndex(SAMPLES), axis=1)
    types = pd.Series([LABELS["text"][code] for code in CODES])
    table = pd.DataFrame(PROPORTIONS, LABELS["text"], CELL_TYPES)
    in_order = fitted(counted, types, table).log_likelihood
    np.testing.assert_allclose(in_order, reference().log_likelihood, atol=LIKELIHOOD)
    for S, sample_type in ((counted, types.iloc[order]), (counted.iloc[:, order], types)):
        with pytest.raises(AlignmentError, match="would be a guess"):
            fitted(S, sample_type, table)
    shifted = pd.Index(np.arange(SAMPLES) + 40)
    S, sample_type = counted.set_axis(shifted, axis=1).iloc[:, order], types.set_axis(pd.RangeIndex(40, 40 + SAMPLES))
    np.testing.assert_allclose(
        fitted(S, sample_type, table).log_likelihood, reference().log_likelihood, atol=LIKELIHOOD
    )
    with pytest.raises(AlignmentError, match="have no entry"):
        fitted(expression(), sample_type, table)
