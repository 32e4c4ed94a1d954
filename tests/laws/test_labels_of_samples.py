"""The law of labels for expression: samples, types, cell types and genes in any order, called in any way."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import varmix as vm
from varmix.errors import AlignmentError

rng = np.random.default_rng(4)
CELLS, TYPES, GENES = ["liver", "brain", "lung"], 5, 14
SAMPLES = [f"s{number}" for number in range(TYPES * 2)]
P = pd.DataFrame([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]], columns=CELLS)
LEVELS = np.exp(rng.normal(4.0, 1.0, size=(GENES, 3)))
LEVELS[: GENES // 2, 2] = LEVELS[: GENES // 2, 1]
TYPE_OF = np.repeat(np.arange(TYPES), 2)
S = pd.DataFrame(
    LEVELS @ P.to_numpy()[TYPE_OF].T + rng.normal(size=(GENES, TYPES * 2)),
    index=[f"g{number}" for number in range(GENES)],
    columns=SAMPLES,
)
NAMED: dict[str, Any] = {
    "text": [str(number) for number in range(TYPES)],
    "numbers": list(range(TYPES)),
    "floats": [float(number) for number in range(TYPES)],
}


@functools.cache
def expected() -> vm.Fit:
    proportions = P.set_axis(pd.Index(NAMED["text"]), axis=0)
    return vm.partition_mixture(S, [str(kind) for kind in TYPE_OF], proportions=proportions, noise="both")


def types(form: str, names: list[Any], samples: list[str]) -> Any:
    told = {sample: names[kind] for sample, kind in zip(SAMPLES, TYPE_OF, strict=True)}
    shuffled = {sample: told[sample] for sample in sorted(told, reverse=True)}
    if form == "order":
        return [told[sample] for sample in samples]
    if form == "series":
        return pd.Series(shuffled)
    if form == "frame":
        return pd.DataFrame({"type": pd.Series(shuffled)})
    if form == "two columns":
        return pl.DataFrame({"sample": list(shuffled), "type": list(shuffled.values())})
    return shuffled


forms = st.sampled_from(["order", "series", "frame", "two columns", "mapping"])
kinds = st.sampled_from(sorted(NAMED))
permutations = (st.permutations(range(size)) for size in (TYPES * 2, TYPES, 3, GENES))


@given(*permutations, forms, kinds, kinds, st.booleans())
def test_partitions_are_the_same_by_label(
    samples: Any, rows: Any, columns: Any, genes: Any, form: str, kind: str, other: str, chunks: bool
) -> None:
    table = S.iloc[genes, samples]
    proportions = P.set_axis(pd.Index(NAMED[other]), axis=0).iloc[rows, columns]
    given_types = types(form, NAMED[kind], [SAMPLES[at] for at in samples])
    data: Any = [table.iloc[:5], table.iloc[5:, ::-1]] if chunks else table
    fit = vm.partition_mixture(
        data, given_types, proportions=proportions, cell_types=CELLS, noise="both", partitions="all"
    )
    assert_same_tables(fit.classes, expected().classes)
    np.testing.assert_allclose(fit.log_likelihood, expected().log_likelihood, rtol=1e-9)
    shares, theirs = (item.shares.set_index("partition")["estimate"] for item in (fit, expected()))
    np.testing.assert_allclose(shares[theirs.index], theirs, atol=1e-6)


def assert_same_tables(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    ours, theirs = ours.set_index("gene"), theirs.set_index("gene")
    assert sorted(ours.index) == sorted(theirs.index)
    numbers = [name for name in theirs.columns if theirs[name].dtype.kind == "f"]
    # Climbs end within 1e-8 standard errors of one point; a probability moves by no more.
    np.testing.assert_allclose(ours.loc[theirs.index, numbers], theirs[numbers], atol=1e-6, rtol=1e-6)


@functools.cache
def saved(folder: Path) -> Path:
    expected().save(folder / "partitions.json")
    return folder / "partitions.json"


@given(st.permutations(range(TYPES * 2)), st.permutations(range(GENES)), forms, kinds, st.booleans(), st.booleans())
def test_predictions_for_new_genes_are_the_same_by_label(
    tmp_path_factory: Any, samples: Any, genes: Any, form: str, kind: str, load: bool, named: bool
) -> None:
    fit = vm.load(saved(tmp_path_factory.getbasetemp())) if load else expected()
    table = S.iloc[genes, samples]
    told = types(form, NAMED[kind], list(table.columns)) if named else None
    assert_same_tables(fit.predict(table, sample_type=told).classes, expected().predict(S).classes)


def test_samples_without_a_type_and_types_without_a_row_are_refused() -> None:
    proportions = P.set_axis(pd.Index(NAMED["text"]), axis=0)
    with pytest.raises(AlignmentError, match="have no entry in sample_type"):
        vm.partition_mixture(S, pd.Series({"s0": "1"}), proportions=proportions)
    with pytest.raises(AlignmentError, match="missing from the proportions"):
        vm.partition_mixture(S, [str(kind) for kind in TYPE_OF], proportions=proportions.iloc[1:])
