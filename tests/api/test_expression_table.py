"""Tables of expression, types and proportions come to the same problem however they are written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from varmix.api.dirichlet import Dirichlet
from varmix.api.expression_table import ExpressionTable, read_expression
from varmix.api.partition_choice import confused
from varmix.errors import RepairWarning, VarmixWarning
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.partitions import all_partitions

rng = np.random.default_rng(7)
NAMES = [f"s{number}" for number in range(8)]
TYPES = ["mix", "mix", "pure", "pure", "pure", "most", "most", "even"]
CODES = [1, 1, 0, 0, 0, 2, 2, 3]
S = 20.0 + rng.normal(size=(30, 8))
FRAME = pd.DataFrame(S, index=[f"g{number}" for number in range(30)], columns=NAMES)
ROWS = np.array([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.25, 0.5, 0.25]])
P = pd.DataFrame(ROWS, index=["pure", "mix", "most", "even"], columns=["liver", "brain", "lung"])
ORDER = ["mix", "pure", "most", "even"]


def by_type(table: ExpressionTable) -> dict[str, tuple[Any, ...]]:
    """What matters, whatever the order of types: mean and sum of squares of each type's samples, and its row."""
    (piece,) = table.pieces()
    return {
        name: (piece.means[:, at], piece.within[:, at], piece.counts[at], table.known[at])
        for at, name in enumerate(table.sample_types)
    }


def assert_same(first: ExpressionTable, second: ExpressionTable, names: dict[str, str] | None = None) -> None:
    one, two = by_type(first), by_type(second)
    for name, parts in one.items():
        for ours, theirs in zip(parts, two[(names or {}).get(name, name)], strict=True):
            # Sums of up to three numbers in another order differ by rounding: means of 20, squares of order 1.
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-11)


@pytest.fixture(scope="module")
def plain() -> ExpressionTable:
    return read_expression(FRAME, TYPES, P)


def test_types_are_in_order_of_appearance_with_their_rows(plain: ExpressionTable) -> None:
    assert plain.sample_types == tuple(ORDER)
    np.testing.assert_array_equal(plain.known, P.loc[ORDER])
    np.testing.assert_array_equal(plain.sample_type, [0, 0, 1, 1, 1, 2, 2, 3])
    np.testing.assert_array_equal(plain.replicates, [2, 3, 2, 1])
    assert plain.kind == "known"
    assert plain.partitions == all_partitions(["liver", "brain", "lung"])
    assert list(plain.genes) == list(FRAME.index)
    assert list(plain.samples) == NAMES
    means = {name: S[:, [kind == name for kind in TYPES]].mean(axis=1) for name in ORDER}
    for name, parts in by_type(plain).items():
        np.testing.assert_allclose(parts[0], means[name], rtol=1e-13)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(TYPES),
        pd.Series(TYPES),
        pd.Series(TYPES, NAMES).sample(frac=1.0, random_state=3),
        dict(reversed(list(zip(NAMES, TYPES, strict=True)))),
        pd.Categorical(TYPES),
        pl.Series(TYPES),
        pd.DataFrame({"type": TYPES}, index=NAMES).iloc[::-1],
        pd.Series([*TYPES, "gone"], [*NAMES, "s99"]),
    ],
    ids=["array", "Series", "Series by name", "mapping", "categories", "polars", "frame", "one too many"],
)
@pytest.mark.filterwarnings("ignore:1 entries of sample_type:varmix.errors.RepairWarning")
def test_labels_align_by_name_where_they_have_names(labels: Any, plain: ExpressionTable) -> None:
    assert_same(plain, read_expression(FRAME, labels, P))


@pytest.mark.parametrize(
    "proportions",
    [
        P.iloc[::-1, [2, 0, 1]],
        {name: list(row) for name, row in zip(P.index, ROWS, strict=True)},
        {name: dict(row) for name, row in P.iterrows()},
        pl.DataFrame({"type": list(P.index), **{name: list(P[name]) for name in P}}),
        pa.table({"type": list(P.index), **{name: list(P[name]) for name in P}}),
        P.reset_index(),
        P.loc[TYPES].set_axis(NAMES),
    ],
    ids=["shuffled", "lists", "mappings", "polars", "pyarrow", "first column", "per sample"],
)
def test_proportions_align_by_name_of_type_and_of_cell_type(proportions: Any, plain: ExpressionTable) -> None:
    assert_same(plain, read_expression(FRAME, TYPES, proportions, cell_types=["liver", "brain", "lung"]))


def test_an_array_of_proportions_goes_by_numbers_of_its_rows(plain: ExpressionTable) -> None:
    table = read_expression(S, CODES, ROWS)
    assert table.sample_types == ("0", "1", "2", "3")
    assert table.cell_types == ("cell 1", "cell 2", "cell 3")
    assert_same(plain, table, {"pure": "0", "mix": "1", "most": "2", "even": "3"})
    named = read_expression(S, np.array(CODES, dtype=float), ROWS, cell_types=P.columns)
    assert named.cell_types == tuple(P.columns)


@pytest.mark.parametrize("framed", [True, False])
def test_samples_of_the_same_row_are_one_type_without_labels(framed: bool, plain: ExpressionTable) -> None:
    per_sample = P.loc[TYPES].set_axis(NAMES)
    table = (
        read_expression(FRAME, None, per_sample.iloc[::-1]) if framed else read_expression(S, None, per_sample.values)
    )
    liver, brain, lung = table.cell_types
    mixtures = [f"{liver} {a}, {brain} {b}, {lung} {c}" for a, b, c in ROWS[1:].tolist()]
    assert table.sample_types == (mixtures[0], liver, mixtures[1], mixtures[2])
    assert_same(plain, table, dict(zip(ORDER, table.sample_types, strict=True)))


def test_samples_of_unknown_rows_are_no_replicates() -> None:
    unknown = P.loc[TYPES].set_axis(NAMES)
    unknown.loc[["s0", "s1"]] = np.nan
    table = read_expression(FRAME, None, unknown)
    assert table.sample_types[:2] == ("s0", "s1")
    assert len(table.sample_types) == 5
    assert table.kind == "partly"
    prior = read_expression(FRAME, None, Dirichlet.around(P.loc[TYPES].set_axis(NAMES), 20.0))
    assert prior.sample_types == tuple(NAMES)
    assert any("No sample type has two samples" in note for note in prior.notes)


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "first column", "objects", "nullable"])
def test_frames_of_any_kind_hold_the_same_numbers(kind: str, plain: ExpressionTable) -> None:
    reset = FRAME.reset_index(names="gene")
    makers: dict[str, Callable[[], Any]] = {
        "polars": lambda: pl.DataFrame({name: reset[name].to_list() for name in reset}),
        "pyarrow": lambda: pa.table({name: reset[name].to_list() for name in reset}),
        "first column": lambda: reset,
        "objects": lambda: FRAME.astype(object),
        "nullable": lambda: FRAME.convert_dtypes(),
    }
    found = read_expression(makers[kind](), TYPES, P)
    np.testing.assert_array_equal(found.values, S)
    assert list(found.genes) == list(FRAME.index)


def holes() -> pd.DataFrame:
    """Two values missing in g3, all in g5, one in g9; g7 is constant."""
    table = FRAME.copy()
    table.iloc[3, [0, 4]] = np.nan
    table.iloc[5] = np.nan
    table.iloc[9, 2] = np.nan
    table.iloc[7] = 4.0
    return table


def test_missing_values_are_masked_or_their_genes_dropped_with_counts() -> None:
    with pytest.warns(RepairWarning, match=r"Of 30 genes 29 are used .*no value: 1, values masked: 3, genes with.*: 2"):
        masked = read_expression(holes(), TYPES, P)
    assert masked.lost == {"genes dropped, no value": 1, "values masked": 3, "genes with masked values": 2}
    assert list(masked.genes) == [name for name in FRAME.index if name != "g5"]
    assert masked.facts.constant == 1
    with pytest.warns(RepairWarning, match="Of 30 genes 27 are used"):
        dropped = read_expression(holes().to_numpy(), CODES, ROWS, on_missing="drop")
    assert dropped.lost == {"genes dropped, no value": 1, "genes dropped, incomplete": 2}
    assert list(dropped.genes) == [number for number in range(30) if number not in (3, 5, 9)]
    table = masked.sample()
    assert list(table.columns) == ["what", "cause", "count"]
    assert ("genes", "used, constant", 1) in list(table.itertuples(index=False, name=None))
    with pytest.warns(RepairWarning):
        polars = read_expression(pl.from_pandas(holes().reset_index(names="gene")), TYPES, P)
    np.testing.assert_array_equal(polars.values, masked.values)


def test_types_of_which_nothing_was_measured_are_left_out() -> None:
    with pytest.warns(RepairWarning, match="samples dropped, no value: 1"):
        table = read_expression(FRAME.assign(s7=np.nan), TYPES, P)
    assert table.sample_types == ("mix", "pure", "most")
    assert list(table.samples) == NAMES[:7]
    assert table.known.shape == (3, 3)
    assert table.values is not None
    assert table.values.shape == (30, 7)
    assert table.lost["sample types left out, no value"] == 1
    assert table.lost["samples dropped, no value"] == 1
    assert {"samples", "sample types"} <= set(table.sample()["what"])
    assert table.model().known.shape == (3, 3)


def test_rows_without_a_sample_are_left_out_with_a_warning() -> None:
    with pytest.warns(RepairWarning, match="1 of 4 rows.*without a sample.*'even'"):
        table = read_expression(FRAME.iloc[:, :7], TYPES[:7], P)
    assert table.lost == {"sample types left out, no sample": 1}
    assert len(table.known) == 3


def test_rounded_rows_are_rescaled_and_said_so() -> None:
    rounded = P.copy()
    rounded.loc["mix"] = [0.2, 0.3, 0.4995]
    with pytest.warns(RepairWarning, match=r"1 of 4 rows.*'mix', 0.9995"):
        table = read_expression(FRAME, TYPES, rounded)
    np.testing.assert_allclose(table.known.sum(axis=1), 1.0, rtol=1e-15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_expression(FRAME, TYPES, P * (1.0 + 1e-9))


def test_one_missing_proportion_follows_from_the_others() -> None:
    table = read_expression(FRAME, TYPES, P.replace(0.8, np.nan))
    assert table.kind == "known"
    np.testing.assert_allclose(table.known, P.loc[ORDER], rtol=1e-15)
    partly = read_expression(FRAME, TYPES, P.mask(P > 0.45).mask(P == 0.3))
    assert partly.kind == "partly"
    assert int(np.isnan(partly.known).sum()) == 2
    assert any("2 of 12 proportions are estimated" in note for note in partly.notes)


def test_free_proportions_take_names_from_where_they_are() -> None:
    numbered = read_expression(FRAME, TYPES, "free", cell_types=2)
    assert numbered.cell_types == ("cell 1", "cell 2")
    assert np.isnan(numbered.known).all()
    assert numbered.kind == "free"
    words = read_expression(FRAME, TYPES, "free", partitions=["a | b = c", "a = b = c"])
    assert words.cell_types == ("a", "b", "c")
    assert words.partitions.words == ("a | b = c", "a = b = c")
    assert read_expression(FRAME, TYPES, P * np.nan).kind == "free"
    generated = read_expression(FRAME, TYPES, "free", partitions=(word for word in ["a | b", "a = b"]))
    assert generated.partitions.words == ("a | b", "a = b")


def test_a_prior_is_aligned_as_proportions_are() -> None:
    around = read_expression(FRAME, TYPES, Dirichlet.around(P.iloc[::-1], 40.0))
    assert around.kind == "dirichlet"
    assert around.concentration is not None
    np.testing.assert_allclose(around.concentration, 1.0 + 40.0 * P.loc[ORDER])
    weak = read_expression(FRAME, TYPES, Dirichlet(cell_types=5))
    np.testing.assert_array_equal(weak.concentration, np.full((4, 5), 1.05))


def test_partitions_that_proportions_confuse_are_named() -> None:
    two = pd.DataFrame([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.3, 0.3, 0.4]], ["a", "b", "c"], ["x", "y", "z"])
    with pytest.warns(VarmixWarning, match=r"cannot tell 2 of.*'x = z \| y' and 'x \| y = z'"):
        read_expression(FRAME, ["a"] * 3 + ["b"] * 2 + ["c"] * 3, two)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_confused_partitions_are_those_whose_covariances_coincide(rows: int) -> None:
    partitions = all_partitions(["a", "b", "c", "d"])
    mixtures = np.array([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0], [0.4, 0.4, 0.1, 0.1]])[:rows]
    covariances = [mixtures @ C @ C.T @ mixtures.T for C in partitions.indicators]
    brute = {
        (first, second)
        for at, first in enumerate(partitions.words)
        for to, second in enumerate(partitions.words[:at])
        # Entries are multiples of 1/400: equal ones differ by rounding only.
        if np.abs(covariances[at] - covariances[to]).max() < 1e-9
    }
    groups = confused(partitions, mixtures)
    found = {frozenset(pair) for group in groups for pair in combinations(group, 2)}
    assert found == {frozenset(pair) for pair in brute}
    assert found
    assert not confused(partitions, np.vstack([np.eye(4), mixtures]))


def test_notes_tell_of_logarithms_repeated_genes_and_the_number_of_partitions() -> None:
    heard: list[str] = []
    table = read_expression(FRAME - 20.0, TYPES, Dirichlet(cell_types=6), tell=heard.append)
    assert heard == ["6 cell types have 203 partitions: enumerating them all."]
    assert any("values are negative" in note for note in table.notes)
    assert "All 203 partitions of 6 cell types." in table.notes
    twice = read_expression(pd.concat([FRAME, FRAME.iloc[:2]]), TYPES, P, partitions="one_vs_rest")
    assert any("2 genes have the name of an earlier one" in note for note in twice.notes)
    assert twice.notes[0] == "4 of the 5 partitions of 3 cell types."


@pytest.mark.parametrize("factor", [1.0, 1e6, 1e-6, 1e140, 1e-140])
def test_reduced_genes_make_the_same_model_at_any_scale(factor: float) -> None:
    with pytest.warns(RepairWarning):
        table = read_expression(holes() * factor, TYPES, P)
    parts = table.model(noise="both")
    assert table.values is not None
    whole = PartitionMixture.of(table.values, table.sample_type, table.partitions, table.known, noise="both")
    assert parts.scale == whole.scale
    for ours, theirs in zip(parts.pieces, whole.pieces, strict=True):
        # Dividing by a power of two before or after a sum of at most eight numbers: rounding of means of 20.
        np.testing.assert_allclose(ours.means, theirs.means, rtol=1e-14)
        np.testing.assert_allclose(ours.within, theirs.within, rtol=1e-10, atol=1e-13)


def test_input_is_left_as_it_was() -> None:
    table, proportions = holes(), P.copy()
    before = table.copy()
    with pytest.warns(RepairWarning):
        read_expression(table, TYPES, proportions)
    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(proportions, P)
