"""Rows that come in chunks give what the same rows give in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamed_rows import MODELS, POINT, ROUNDING, N, assert_same, chunked, in_memory, many_rows, statistics

from varmix.errors import DataError
from varmix.iteration import Runner, Serial, Threads
from varmix.linalg.powers import power_of_two
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.directional import directional, variance_grid
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.reduction import Reduction, reduce_rows
from varmix.models.random_effect_mixture.statistics import summarise
from varmix.models.random_effect_mixture.stream import Columns, StreamReduction, stream_reduction
from varmix.models.random_effect_mixture.stream import pieces as stream_pieces
from varmix.models.random_effect_mixture.stream import reduction as stream_module
from varmix.models.random_effect_mixture.stream.facts import Magnitude
from varmix.models.random_effect_mixture.units import Units


@pytest.fixture
def table() -> pd.DataFrame:
    return many_rows()


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
