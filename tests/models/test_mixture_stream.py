"""Rows that come in chunks give what the same rows give in memory, and say where they are wrong."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from varmix.errors import DataError, FileFormatError, MissingFileError, NotFiniteError, OptionError, ShapeError
from varmix.iteration import Runner, Serial, Threads
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.directional import directional, variance_grid
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.reduction import Reduction, power_of_two, reduce_rows
from varmix.models.random_effect_mixture.statistics import MixtureStats, summarise
from varmix.models.random_effect_mixture.stream import Columns, StreamReduction, stream_reduction
from varmix.models.random_effect_mixture.stream import pieces as stream_pieces
from varmix.models.random_effect_mixture.stream import reduction as stream_module
from varmix.models.random_effect_mixture.stream.facts import Magnitude
from varmix.models.random_effect_mixture.stream.source import open_source
from varmix.models.random_effect_mixture.units import Units

N = 300
POINT = MixtureParams.free(np.array([0.01, 1.0]), 0.5, np.array([0.7, 0.3]))
ROUNDING = 1e-12  # sums of a few hundred terms of order one, added in another order
MODELS = pytest.mark.parametrize(
    "columns",
    [
        Columns(),
        Columns(se="se"),
        Columns(se="se", weights="weight"),
        Columns(group="gene"),
        Columns(group="gene", se="se", weights="weight"),
    ],
    ids=["rows", "errors", "weights", "groups", "weighted groups"],
)


@pytest.fixture
def table() -> pd.DataFrame:
    """Rows of 40 groups in no order, some with x = 0, in units far from one; the weight is that of the group."""
    rng = np.random.default_rng(11)
    gene = rng.integers(0, 40, N)
    x = rng.normal(size=N)
    x[::13] = 0.0
    effect = np.where(rng.random(40) < 0.3, 1.0, 0.05) * rng.normal(size=40)
    y = effect[gene] * x + 0.7 * rng.normal(size=N)
    return pd.DataFrame(
        {
            "y": 1e-3 * y,
            "x": 1e5 * x,
            "se": 1e-3 * rng.uniform(0.5, 2.0, N),
            "gene": [f"g{code}" for code in gene],
            "weight": rng.uniform(0.0, 3.0, 40)[gene],
            "snp": [f"rs{row}" for row in range(N)],
        }
    )


def chunked(table: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    return [table.iloc[start : start + size] for start in range(0, len(table), size)]


def in_memory(table: pd.DataFrame, columns: Columns) -> Reduction:
    group, weights = None, None if columns.weights is None else table[columns.weights].to_numpy()
    if columns.group is not None:
        group = pd.factorize(table[columns.group])[0].astype(np.intp)
        weights = None if weights is None else weights[np.unique(group, return_index=True)[1]]
    errors = None if columns.se is None else table[columns.se].to_numpy()
    return reduce_rows(table["y"].to_numpy(), table["x"].to_numpy(), group=group, errors=errors, weights=weights)


def statistics(pieces: Sequence[Units], runner: Runner | None = None) -> MixtureStats:
    return (runner or Serial()).map_add(partial(summarise, POINT), pieces)


def assert_same(found: MixtureStats, expected: MixtureStats) -> None:
    for name in (
        "log_likelihood",
        "total",
        "counts",
        "quad",
        "trace",
        "score",
        "hessian",
        "outer",
        "rest",
        "rest_rows",
    ):
        left, right = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
        np.testing.assert_allclose(left, right, rtol=0.0, atol=ROUNDING * max(1.0, float(np.abs(right).max())))


def fitted(found: StreamReduction | Reduction, pieces: Sequence[Units], runner: Runner | None = None) -> Any:
    outcome = Climb(runner=runner or Serial()).run(pieces, POINT)
    return outcome.objective + found.log_jacobian, found.outward(outcome.params)


@MODELS
@pytest.mark.parametrize("cache", [True, False], ids=["held", "read again"])
@pytest.mark.parametrize("size", [1, 7, N])
def test_a_stream_says_what_the_rows_in_memory_say(
    table: pd.DataFrame, columns: Columns, size: int, cache: bool
) -> None:
    found, expected = stream_reduction(chunked(table, size), columns, cache=cache), in_memory(table, columns)
    assert found.scales == expected.scales
    assert found.groups == expected.groups
    assert found.log_jacobian == pytest.approx(expected.log_jacobian, rel=ROUNDING)
    assert_same(statistics(found.pieces), statistics([expected.units]))


@MODELS
def test_a_fit_to_a_stream_is_the_fit_in_memory(
    table: pd.DataFrame, columns: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (stream_pieces, stream_module):
        monkeypatch.setattr(module, "PIECE_ROWS", 64)
    expected = in_memory(table, columns)
    best, at = fitted(expected, [expected.units])
    for cache, runner in ((True, Threads(2)), (False, Serial()), (False, Threads(2))):
        found = stream_reduction(chunked(table, 7), columns, cache=cache)
        assert len(found.pieces) == len(list(found.pieces)) > (columns.group is None)
        reached, there = fitted(found, found.pieces, runner)
        # The certificate leaves 1e-8 standard errors to either of them.
        assert reached == pytest.approx(best, rel=ROUNDING)
        np.testing.assert_allclose(there, at, rtol=1e-6, atol=1e-9 * float(np.abs(at).max()))


def test_what_goes_through_the_pieces_again_and_again_finds_them(table: pd.DataFrame) -> None:
    found = stream_reduction(chunked(table, 50), Columns(), cache=False)
    units = in_memory(table, Columns()).units
    grid = variance_grid([units], POINT.residual)
    np.testing.assert_array_equal(variance_grid(found.pieces, POINT.residual), grid)
    np.testing.assert_allclose(directional(POINT, found.pieces, grid), directional(POINT, [units], grid), rtol=ROUNDING)


def test_pieces_that_are_read_again_can_be_asked_for_by_number(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (stream_pieces, stream_module):
        monkeypatch.setattr(module, "PIECE_ROWS", 64)
    held = stream_reduction(chunked(table, 7), Columns()).pieces
    again = stream_reduction(chunked(table, 7), Columns(), cache=False).pieces
    assert len(held) == len(again) == 5
    for piece, other in ((held[3], again[3]), (held[-1], again[-1]), (held[4], again[4:][0])):
        np.testing.assert_array_equal(piece.q, other.q)
    assert [len(piece) for piece in again[::-1]] == [len(piece) for piece in held[::-1]]
    with pytest.raises(IndexError):
        again[5]


def test_rows_beyond_the_memory_allowed_are_read_again_rather_than_held(table: pd.DataFrame) -> None:
    reads = 0

    def chunks() -> Iterator[pd.DataFrame]:
        nonlocal reads
        reads += 1
        yield from chunked(table, 50)

    held = stream_reduction(chunks, Columns(), cache_bytes=16 * N)
    statistics(held.pieces), statistics(held.pieces)
    assert reads == 1
    again = stream_reduction(chunks, Columns(), cache_bytes=16 * N - 1)
    assert_same(statistics(again.pieces), statistics(held.pieces))
    assert reads == 3


def test_what_is_held_does_not_keep_the_chunks_alive() -> None:
    rng = np.random.default_rng(2)

    def chunks() -> Iterator[dict[str, np.ndarray]]:
        for _ in range(8):
            wide = rng.normal(size=(20, 50_000))
            yield {"y": wide[0], "x": wide[1]}

    tracemalloc.start()
    found = stream_reduction(chunks, Columns())
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert found.facts.rows == 400_000
    assert size < 1.2 * 16 * 400_000


@pytest.mark.parametrize("classes", [2, 24])
def test_memory_grows_with_neither_rows_nor_classes_when_rows_are_read_again(classes: int) -> None:
    def chunks() -> Iterator[dict[str, np.ndarray]]:
        rng = np.random.default_rng(5)
        for _ in range(30):
            yield {"y": rng.normal(size=20_000), "x": rng.normal(size=20_000)}

    params = MixtureParams.free(np.linspace(0.0, 2.0, classes), 0.5, np.full(classes, 1.0 / classes))
    tracemalloc.start()
    found = stream_reduction(chunks, Columns(), cache=False)
    Serial().map_add(partial(summarise, params), found.pieces)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A piece of 131,072 rows and its ten temporaries; all rows times 24 classes are 115 MB.
    assert peak < 20e6


@pytest.mark.parametrize("cache", [True, False])
def test_chunks_without_rows_change_nothing(table: pd.DataFrame, cache: bool) -> None:
    chunks = [table.iloc[:0], *chunked(table, 90), table.iloc[:0]]
    for columns in (Columns(), Columns(group="gene", weights="weight")):
        found = stream_reduction(chunks, columns, cache=cache)
        assert found.facts.chunks == 6
        assert_same(statistics(found.pieces), statistics([in_memory(table, columns).units]))


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


def test_groups_of_numbers_then_text_stay_apart_and_equal_numbers_together() -> None:
    rows = {"y": np.ones(2), "x": np.ones(2)}
    chunks = [rows | {"g": np.array([1, 2])}, rows | {"g": np.array([2, 3])}, rows | {"g": np.array(["2", "X"])}]
    assert stream_reduction(chunks, Columns(group="g")).groups == 5


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


@pytest.mark.parametrize("size", [1e-200, 1e-6, 1e200])
@pytest.mark.parametrize("group", [None, "gene"])
def test_numbers_of_any_size_give_the_same_units(table: pd.DataFrame, size: float, group: str | None) -> None:
    columns = Columns(group=group)
    # One chunk is a thousandth of the others, so that chunks differ in their own scales.
    table.loc[100:199, ["y", "x"]] *= 1e-3
    scaled = table.assign(y=table["y"] * size, x=table["x"] * size)
    found, expected = stream_reduction(chunked(scaled, 50), columns), in_memory(scaled, columns)
    assert found.scales == expected.scales
    assert_same(statistics(found.pieces), statistics([expected.units]))


def test_a_group_in_two_chunks_keeps_the_digits_of_its_residual() -> None:
    """Differences of y'y and (x'y)^2 / q would have none left: the effect is 1e7 times the residual."""
    rng = np.random.default_rng(4)
    x, group = rng.normal(size=400), np.repeat(np.arange(20), 20)
    y = 1e7 * rng.normal(size=20)[group] * x + rng.normal(size=400)
    order = rng.permutation(400)
    table = pd.DataFrame({"y": y, "x": x, "g": group}).iloc[order]
    found = stream_reduction(chunked(table, 7), Columns(group="g"), cache=False)
    expected = reduce_rows(
        table["y"].to_numpy(), table["x"].to_numpy(), group=pd.factorize(table["g"])[0].astype(np.intp)
    )
    # Rounding of y itself is 1e-16 * 1e7 of a residual, in either way of adding up.
    assert sum(piece.rest for piece in found.pieces) == pytest.approx(expected.units.rest, rel=1e-7)


def test_rows_of_a_group_that_differ_in_weight_are_refused(table: pd.DataFrame) -> None:
    columns = Columns(group="gene", weights="weight")
    table.loc[290, "weight"] += 1.0
    for size in (7, N):
        with pytest.raises(DataError, match=rf"group '{table.loc[290, 'gene']}' have different weights"):
            stream_reduction(chunked(table, size), columns)


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0], [2.0, 0.0, -2.0], [1e-310], [1e308, 1e-308], [3.0, 4.0, 5.0]])
def test_the_size_of_parts_is_that_of_the_whole(values: list[float]) -> None:
    whole = np.array(values)
    parts = sum((Magnitude.of(whole[k : k + 1]) for k in range(len(whole))), start=Magnitude())
    assert parts.power_of_two == Magnitude.of(whole).power_of_two == power_of_two(whole)


def test_facts_say_how_many_values_of_x_there_are(table: pd.DataFrame) -> None:
    few = table.assign(x=np.where(np.arange(N) % 3, 2.0, -2.0))
    assert stream_reduction(chunked(few, 7), Columns()).distinct == 1
    few.loc[250, "x"] = 0.5
    assert stream_reduction(chunked(few, 7), Columns()).distinct == 2
    assert stream_reduction(chunked(table, 200), Columns()).distinct == 64
    large = pd.DataFrame({"y": 1.0, "x": np.arange(5000.0)[::-1]})
    np.testing.assert_array_equal(stream_reduction(large, Columns()).facts.distinct, np.arange(1.0, 65.0))
    assert stream_reduction(chunked(few.assign(x=0.0), 7), Columns()).distinct == 0


@MODELS
@pytest.mark.parametrize("cache", [True, False])
def test_a_sample_of_units_is_some_of_the_units(table: pd.DataFrame, columns: Columns, cache: bool) -> None:
    found = stream_reduction(chunked(table, 50), columns, cache=cache)
    units = in_memory(table, columns).units
    sample = found.units_sample(20, np.random.default_rng(1))
    assert len(sample) == 20 == len(np.unique(sample.q))
    for q, h2 in zip(sample.q, sample.h2, strict=True):
        at = int(np.argmin(np.abs(units.q - q)))
        np.testing.assert_allclose([units.q[at], units.h2[at]], [q, h2], rtol=ROUNDING)
    assert sample.rest == pytest.approx(20 / len(units) * units.rest)
    assert_same(statistics([found.units_sample(10**6, np.random.default_rng(1))]), statistics([units]))


@MODELS
def test_chunks_for_the_posterior_are_all_rows_or_groups_in_input_order(table: pd.DataFrame, columns: Columns) -> None:
    expected = in_memory(table, columns)
    kept = Columns(y="y", x="x", group=columns.group, se=columns.se, weights=columns.weights, keep=("snp",))
    chunks = list(stream_reduction(chunked(table, 7), kept).posterior_chunks())
    for name in ("q", "xy", "rows"):
        joined = np.concatenate([getattr(chunk.reduction, name) for chunk in chunks])
        np.testing.assert_allclose(joined, getattr(expected, name), rtol=1e-10, atol=1e-14)
    for chunk in chunks:
        part = chunk.reduction
        np.testing.assert_array_equal(part.informative, np.flatnonzero(part.q > 0.0))
        np.testing.assert_allclose(part.units.q, part.q[part.informative])
        assert part.scales == expected.scales
    labels = [label for chunk in chunks for label in chunk.labels]
    assert labels == (list(range(N)) if columns.group is None else list(dict.fromkeys(table["gene"])))
    if columns.group is None:
        assert [snp for chunk in chunks for snp in chunk.kept_columns["snp"]] == list(table["snp"])


def test_rows_that_were_dropped_leave_their_numbers_out_of_the_posterior(table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc[[3, 50], "x"] = np.nan
    table.to_csv(tmp_path / "rows.csv", index=False)
    for source in (chunked(table, 7), tmp_path / "rows.csv"):
        found = stream_reduction(source, Columns(keep=("snp",)), on_missing="drop")
        chunks = list(found.posterior_chunks())
        assert [label for chunk in chunks for label in chunk.labels] == [row for row in range(N) if row not in (3, 50)]
        assert [name for chunk in chunks for name in chunk.kept_columns["snp"]] == list(table["snp"].drop([3, 50]))


def test_many_groups_are_told_of_a_part_at_a_time(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stream_reduction([table], Columns(group="gene", weights="weight"))
    monkeypatch.setattr(stream_module, "PIECE_ROWS", 7)
    chunks = list(stream_reduction([table], Columns(group="gene", weights="weight")).posterior_chunks())
    assert [len(chunk.labels) for chunk in chunks] == [7] * 5 + [5]
    assert whole.grouped is not None
    # Here the records were merged 43 times.
    found = np.concatenate([chunk.reduction.units.h2 for chunk in chunks])
    np.testing.assert_allclose(found, whole.grouped.units.h2, rtol=1e-12)


def test_progress_is_told_in_rows(table: pd.DataFrame) -> None:
    ticks: list[int] = []
    stream_reduction(chunked(table, 90), Columns(), tick=ticks.append)
    assert ticks == [90, 90, 90, 30]
