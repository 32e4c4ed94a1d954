"""Sources of rows: what they can be, how often they are read, and where they say that they are wrong."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from streamed_rows import assert_same, chunked, in_memory, many_rows, statistics

from varmix.errors import DataError, FileFormatError, MissingFileError, NotFiniteError, OptionError, ShapeError
from varmix.models.random_effect_mixture.stream import Columns, stream_reduction
from varmix.tables.chunks import open_source


@pytest.fixture
def table() -> pd.DataFrame:
    return many_rows()


def test_a_source_without_rows_is_refused(table: pd.DataFrame) -> None:
    for columns in (Columns(), Columns(group="gene")):
        for source in ([table.iloc[:0]], []):
            with pytest.raises(DataError, match="no rows"):
                stream_reduction(source, columns)
    blank = table.assign(y=np.nan)
    with pytest.raises(DataError, match="300 were dropped"):
        stream_reduction([blank], Columns(), on_missing="drop")
    with pytest.raises(DataError, match="All weights are 0"):
        stream_reduction([table.assign(weight=0.0)], Columns(weights="weight"))


@pytest.mark.parametrize(
    ("column", "value", "error", "words"),
    [
        ("y", np.nan, NotFiniteError, "'y' is missing"),
        ("x", np.inf, NotFiniteError, "'x' is infinite"),
        ("se", 0.0, DataError, "must be positive"),
        ("se", np.nan, NotFiniteError, "'se' is missing"),
        ("weight", -1.0, DataError, "negative"),
        ("gene", None, NotFiniteError, "'gene' is missing"),
    ],
)
def test_a_wrong_entry_is_named_with_its_chunk_and_row(
    table: pd.DataFrame, column: str, value: Any, error: type[Exception], words: str
) -> None:
    columns = Columns(se="se", weights="weight", group="gene")
    table.loc[3 * 40 + 17, column] = value
    with pytest.raises(error, match=words) as caught:
        stream_reduction(chunked(table, 40), columns)
    assert "row 17 of chunk 3 (row 137 of the whole" in str(caught.value)


def test_a_wrong_entry_after_dropped_rows_keeps_its_number(table: pd.DataFrame) -> None:
    table.loc[[121, 124], "y"] = np.nan
    table.loc[137, "se"] = -1.0
    with pytest.raises(DataError, match="row 17 of chunk 3"):
        stream_reduction(chunked(table, 40), Columns(se="se"), on_missing="drop")


def test_text_among_numbers_is_named(table: pd.DataFrame) -> None:
    bad = table.astype({"y": object})
    bad.loc[44, "y"] = "?"
    with pytest.raises(DataError, match=r"'\?' in row 4 of chunk 1"):
        stream_reduction(chunked(bad, 40), Columns())


def test_dropped_rows_are_counted_and_the_rest_is_the_fit_without_them(table: pd.DataFrame) -> None:
    table.loc[[3, 50, 299], "x"] = np.nan
    rest = table.dropna()
    for columns in (Columns(se="se"), Columns(group="gene")):
        found = stream_reduction(chunked(table, 7), columns, on_missing="drop", cache=False)
        assert (found.facts.rows, found.facts.dropped) == (297, 3)
        assert_same(statistics(found.pieces), statistics([in_memory(rest, columns).units]))
    with pytest.raises(OptionError, match="on_missing"):
        stream_reduction([table], Columns(), on_missing="ignore")  # type: ignore[arg-type]


def test_an_iterator_is_refused_before_it_is_used_up(table: pd.DataFrame) -> None:
    chunks = iter(chunked(table, 50))
    with pytest.raises(OptionError, match=r"read only once.*function"):
        stream_reduction(chunks, Columns())
    assert len(list(chunks)) == 6


@pytest.mark.parametrize("cache", [True, False])
def test_a_function_that_returns_a_used_iterator_is_found_out(table: pd.DataFrame, cache: bool) -> None:
    chunks = iter(chunked(table, 50))
    found = stream_reduction(lambda: chunks, Columns(), cache=cache)
    with pytest.raises(DataError, match="300 rows when it was"):
        list(found.posterior_chunks() if cache else found.pieces)


def test_a_source_that_grows_is_found_out(table: pd.DataFrame) -> None:
    chunks = [table]
    found = stream_reduction(chunks, Columns(), cache=False)
    chunks.append(table)
    with pytest.raises(DataError, match="more when it was read again"):
        statistics(found.pieces)


@pytest.mark.parametrize("source", [5, object()], ids=["number", "object"])
def test_what_is_no_source_is_refused(source: Any) -> None:
    with pytest.raises(OptionError, match="not known"):
        stream_reduction(source, Columns())


def test_functions_and_lists_of_anything_but_tables_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(OptionError, match="must return an iterator"):
        stream_reduction(lambda: table, Columns())
    with pytest.raises(DataError, match=r"Chunk 1 .* int, not a table"):
        stream_reduction([table, 5], Columns())
    with pytest.raises(DataError, match=r"no column 'beta'.*It has y, x"):
        stream_reduction([table], Columns(y="beta"))
    with pytest.raises(ShapeError, match="chunk 0"):
        stream_reduction([{"y": np.ones(3), "x": np.ones(4)}], Columns())
    with pytest.raises(OptionError, match="named for two"):
        Columns(y="x")


def test_any_kind_of_frame_is_a_chunk(table: pd.DataFrame) -> None:
    columns = Columns(se="se", weights="weight")
    expected = statistics(stream_reduction([table], columns).pieces)
    mapping = {name: table[name].to_numpy() for name in table}
    for source in (table, mapping, [pl.DataFrame(mapping)], (table.iloc[:9], pl.DataFrame(mapping)[9:])):
        assert_same(statistics(stream_reduction(source, columns).pieces), expected)


def test_nullable_and_empty_columns_are_missing_values_not_text(table: pd.DataFrame) -> None:
    holes = table[["y", "x"]].convert_dtypes()
    holes.loc[5, "y"] = pd.NA
    blank = pl.DataFrame({"y": [None, None], "x": [1.0, 2.0]})
    found = stream_reduction([holes, blank], Columns(), on_missing="drop")
    assert (found.facts.rows, found.facts.dropped) == (299, 3)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".csv.gz"])
def test_text_files_are_read_in_chunks(table: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
    separator = {".tsv": "\t", ".txt": " "}.get(suffix, ",")
    paths = [tmp_path / f"part{number}{suffix}" for number in range(2)]
    for path, part in zip(paths, (table[:120], table[120:]), strict=True):
        part.to_csv(path, sep=separator, index=False)
    columns = Columns(group="gene", se="se", weights="weight")
    for source, rows in ((paths, table), (str(paths[0]), table[:120])):
        found = stream_reduction(source, columns)
        # pandas reads decimals to within one unit in the last place.
        assert_same(statistics(found.pieces), statistics([in_memory(rows, columns).units]))


def test_labels_of_a_text_file_do_not_depend_on_the_chunk_they_are_in(tmp_path: Path) -> None:
    path = tmp_path / "chromosomes.csv"
    path.write_text("y,x,chromosome\n1,2,1\n3,1,01\n2,2,X\n1,1,1\n")
    source = open_source(path, text=("chromosome",), rows=2)
    found = stream_reduction(lambda: source(("y", "x", "chromosome")), Columns(group="chromosome"))
    assert list(found.labels) == ["1", "01", "X"]
    assert stream_reduction(path, Columns(group="chromosome")).groups == 3


def test_groups_are_the_same_whether_a_chunk_holds_them_as_numbers_or_text() -> None:
    rows = {"y": np.ones(2), "x": np.ones(2)}
    chunks = [rows | {"g": np.array([1, 2])}, rows | {"g": np.array([2, 3])}, rows | {"g": np.array(["2", "X"])}]
    found = stream_reduction(chunks, Columns(group="g"))
    assert found.labels is not None
    assert found.labels.tolist() == ["1", "2", "3", "X"]


def test_files_that_cannot_be_read_are_named(table: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv"):
        stream_reduction(tmp_path / "none.csv", Columns())
    with pytest.raises(MissingFileError, match="no Parquet file"):
        stream_reduction(tmp_path, Columns())
    ragged = tmp_path / "ragged.csv"
    ragged.write_text("y,x,z\n1,2,3\n1,2,3,4\n")
    with pytest.raises(FileFormatError, match=r"ragged\.csv.*line 3"):
        stream_reduction(ragged, Columns())
    cut = tmp_path / "cut.csv.gz"
    table.to_csv(tmp_path / "whole.csv", index=False)
    cut.write_bytes(gzip.compress((tmp_path / "whole.csv").read_bytes())[:-200])
    with pytest.raises(FileFormatError, match=r"cut\.csv\.gz"):
        stream_reduction(cut, Columns())
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(FileFormatError, match=r"empty\.csv"):
        stream_reduction(tmp_path / "empty.csv", Columns())
    with pytest.raises(DataError, match=r"whole\.csv has no column 'beta'. It has y, x, se"):
        stream_reduction(tmp_path / "whole.csv", Columns(y="beta"))
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(FileFormatError, match=r"binary\.csv"):
        stream_reduction(tmp_path / "binary.csv", Columns())


def test_names_of_rows_without_a_header_are_no_column(tmp_path: Path) -> None:
    """As R's write.table leaves them: taken for y they would shift every column."""
    path = tmp_path / "rows.txt"
    path.write_text('"y" "x"\n"1" 0.5 2\n"2" 1.5 4\n')
    assert [chunk.reduction.xy.tolist() for chunk in stream_reduction(path, Columns()).posterior_chunks()] == [
        [0.5 * 2 / 2 / 4, 1.5 * 4 / 2 / 4]
    ]


def test_parquet_files_and_folders_are_read_in_chunks(table: pd.DataFrame, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for number, part in enumerate(chunked(table, 160)):
        part.to_parquet(tmp_path / f"part{number}.parquet", row_group_size=50)
    columns = Columns(group="gene", se="se")
    for source in (tmp_path, sorted(tmp_path.iterdir())):
        found = stream_reduction(source, columns)
        assert_same(statistics(found.pieces), statistics([in_memory(table, columns).units]))
    (tmp_path / "part0.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(FileFormatError, match=r"part0\.parquet"):
        stream_reduction(tmp_path, columns)
