"""Genes that come in chunks are reduced to what the whole table is, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from varmix.api import expression_stream
from varmix.api.expression_table import ExpressionTable, read_expression
from varmix.errors import DataError, MissingFileError, NotFiniteError, OptionError, RepairWarning
from varmix.iteration import Serial, Threads

rng = np.random.default_rng(11)
NAMES = [f"s{number}" for number in range(6)]
TYPES = ["a", "a", "b", "b", "b", "c"]
P = pd.DataFrame([[1.0, 0.0], [0.5, 0.5], [0.1, 0.9]], index=["a", "b", "c"], columns=["liver", "brain"])
WHOLE = pd.DataFrame(50.0 + rng.normal(size=(90, 6)), index=[f"g{number}" for number in range(90)], columns=NAMES)
WHOLE.index.name = "gene"
HOLES = WHOLE.copy()
HOLES.iloc[[3, 40, 71], 5] = np.nan
HOLES.iloc[[12, 66], 0] = np.nan
HOLES.iloc[50] = np.nan


def read(table: Any, **options: Any) -> ExpressionTable:
    return read_expression(table, TYPES, P, **options)


def genes_of(table: ExpressionTable) -> dict[str, tuple[np.ndarray, ...]]:
    """By name: counts, means and sums of squares, with NaN for types a gene was not seen in."""
    found = {}
    for piece in table.pieces():
        for row, position in enumerate(piece.positions):
            full = np.full((3, 3), np.nan)
            full[:, piece.types] = piece.counts, piece.means[row], piece.within[row]
            found[str(table.genes[position])] = tuple(full)
    return found


def assert_same(stream: ExpressionTable, whole: ExpressionTable) -> None:
    ours, theirs = genes_of(stream), genes_of(whole)
    assert list(stream.genes) == list(whole.genes)
    assert set(ours) == set(theirs)
    for name, parts in ours.items():
        for one, two in zip(parts, theirs[name], strict=True):
            # Matrix products of other sizes may add three numbers in another order.
            np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-11)
    assert stream.lost == whole.lost
    assert stream.sample_types == whole.sample_types
    assert stream.model(noise="both").scale == whole.model(noise="both").scale


def chunks(table: pd.DataFrame = HOLES, size: int = 17) -> Iterator[pd.DataFrame]:
    return (table.iloc[start : start + size] for start in range(0, len(table), size))


SOURCES: dict[str, Callable[[Path], Any]] = {
    "list": lambda path: list(chunks()),
    "function": lambda path: chunks,
    "polars": lambda path: [pl.from_pandas(chunk.reset_index()) for chunk in chunks()],
    "columns in another order": lambda path: [HOLES.iloc[:20], HOLES.iloc[20:, ::-1]],
    "empty chunks": lambda path: [HOLES.iloc[:0], HOLES.iloc[:20], HOLES.iloc[20:20], HOLES.iloc[20:]],
    "csv": lambda path: _written(path / "s.csv"),
    "tsv.gz": lambda path: _written(path / "s.tsv.gz", sep="\t"),
    "blanks": lambda path: _written(path / "s.txt", sep=" ", na_rep="NA"),
    "two files": lambda path: [_written(path / "1.csv", HOLES[:40]), _written(path / "2.csv", HOLES[40:])],
    "parquet": lambda path: _parquet(path / "s.parquet"),
    "headless": lambda path: _headless(path / "s.tsv"),
}


def _written(path: Path, table: pd.DataFrame = HOLES, **options: Any) -> Path:
    table.to_csv(path, **options)
    return path


def _parquet(path: Path) -> str:
    HOLES.to_parquet(path)
    return str(path)


def _headless(path: Path) -> Path:
    """As R's write.table does: no name over the names of rows."""
    HOLES.to_csv(path, sep="\t", na_rep="NA", index_label=False)
    return path


@pytest.fixture(scope="module")
def whole() -> ExpressionTable:
    with pytest.warns(RepairWarning, match="Of 90 genes 89 are used"):
        return read(HOLES)


@pytest.mark.parametrize("source", SOURCES)
def test_chunks_are_reduced_to_what_the_table_is(source: str, whole: ExpressionTable, tmp_path: Path) -> None:
    with pytest.warns(RepairWarning, match="Of 90 genes 89 are used"):
        stream = read(SOURCES[source](tmp_path))
    assert stream.values is None
    assert_same(stream, whole)


def test_genes_of_one_pattern_from_many_chunks_are_one_piece_up_to_its_size(
    whole: ExpressionTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(RepairWarning):
        stream = read(list(chunks(size=7)))
    assert len(stream.pieces()) == len(whole.pieces()) == 3
    assert isinstance(read([WHOLE]).runner, Serial)
    monkeypatch.setattr(expression_stream, "PIECE_GENES", 20)
    with pytest.warns(RepairWarning):
        cut = read(list(chunks(size=7)), workers=2)
    assert max(len(piece) for piece in cut.pieces()) == 20
    assert isinstance(cut.runner, Threads)
    assert_same(cut, whole)


def test_a_file_is_read_in_several_chunks(tmp_path: Path) -> None:
    big = pd.DataFrame(rng.normal(size=(4100, 6)), columns=NAMES, index=[str(gene) for gene in range(7000, 11100)])
    stream, table = read(_written(tmp_path / "big.csv", big)), read(big)
    assert list(stream.genes) == list(table.genes)  # numbers as names stay text, and do not become a sample
    assert len(stream.pieces()) == 2
    assert sum(len(piece) for piece in stream.pieces()) == 4100
    np.testing.assert_allclose(stream.pieces()[0].means, table.pieces()[0].means[:4096], rtol=1e-12, atol=1e-15)


def test_chunks_without_names_are_numbered_through() -> None:
    arrays = [WHOLE.to_numpy()[:30], WHOLE.to_numpy()[30:]]
    stream = read(lambda: iter(arrays))
    assert list(stream.genes) == list(range(90))
    with pytest.warns(RepairWarning):
        frames = read([HOLES.iloc[:30].reset_index(drop=True), HOLES.iloc[30:].reset_index(drop=True)])
    assert list(frames.genes) == [number for number in range(90) if number != 50]


@pytest.mark.parametrize("on_missing", ["mask", "drop"])
def test_a_type_that_no_chunk_saw_is_left_out_as_of_a_table(on_missing: str) -> None:
    absent = HOLES.assign(s5=np.nan) if on_missing == "mask" else HOLES
    with pytest.warns(RepairWarning):
        stream, table = read(list(chunks(absent)), on_missing=on_missing), read(absent, on_missing=on_missing)
    assert stream.lost == table.lost
    assert stream.sample_types == table.sample_types == (("a", "b") if on_missing == "mask" else ("a", "b", "c"))
    np.testing.assert_array_equal(stream.known, table.known)
    np.testing.assert_array_equal(stream.sample_type, table.sample_type)
    assert list(stream.samples) == list(table.samples)
    assert {int(at) for piece in stream.pieces() for at in piece.types} == set(range(len(stream.sample_types)))


@pytest.mark.parametrize("delayed", [False, True])
def test_a_collection_is_reduced_where_it_lies(delayed: bool, whole: ExpressionTable) -> None:
    dask = pytest.importorskip("dask")
    frame = pytest.importorskip("dask.dataframe").from_pandas(HOLES, npartitions=4, sort=False)
    parts = [dask.delayed(lambda part: part)(part) for part in chunks()]
    with pytest.warns(RepairWarning, match="Of 90 genes 89 are used"):
        stream = read(parts if delayed else frame)
    assert_same(stream, whole)
    model = stream.model(noise="both")
    total = stream.runner.map_add(lambda piece: float(piece.means.sum()), model.pieces)
    assert total == pytest.approx(Serial().map_add(lambda piece: float(piece.means.sum()), model.pieces), rel=1e-12)


def test_a_climb_on_a_stream_ends_where_that_on_the_table_does(whole: ExpressionTable) -> None:
    from varmix.models.partition.climb import Climb
    from varmix.models.partition.starting import moment_start

    with pytest.warns(RepairWarning):
        stream = read(list(chunks(size=30)), workers=2)
    ends = []
    for table in (stream, whole):
        model = table.model(noise="measurement")
        outcome = Climb(runner=table.runner).run(model, moment_start(model))
        assert outcome.status.arrived
        ends.append(outcome.params.vector())
    # Newton's certificate: a decrement of 1e-10 or less, so points agree far beyond their standard errors.
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5, atol=1e-6)


def test_streams_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    infinite = HOLES.copy()
    infinite.loc["g40", "s2"] = np.inf
    one, other = _written(tmp_path / "1.csv", HOLES[:40]), _written(tmp_path / "2.csv", HOLES.iloc[40:, :5])
    refused: list[tuple[Any, type[Exception], str]] = [
        (list(chunks(infinite)), NotFiniteError, r"Chunk 2 \(counted from 0\).*'g40' in sample 's2' is infinite"),
        ([HOLES.iloc[:9], HOLES.iloc[9:, :5]], DataError, "Chunk 1.*first: 's5'"),
        ([HOLES.iloc[:9], HOLES.iloc[9:].assign(s3="x")], DataError, "Chunk 1.*'s3' holds text"),
        ([HOLES.iloc[:0]], DataError, "no genes"),
        (chunks(), OptionError, "read only once.*lambda"),
        (lambda: iter([5]), DataError, "A chunk of the stream is a int"),
        (lambda: HOLES, OptionError, "iterator of data frames"),
        (tmp_path / "none.csv", MissingFileError, "none.csv"),
        ([one, other], DataError, "differ in their columns.*'s5'"),
        (list(chunks(HOLES * np.nan)), DataError, "None of the 90 genes"),
    ]
    for source, kind, words in refused:
        with pytest.raises(kind, match=words):
            read(source)
    with pytest.raises(NotFiniteError, match=r"Chunk 0.*2 values are missing.*'g3'"):
        read(list(chunks()), on_missing="error")
