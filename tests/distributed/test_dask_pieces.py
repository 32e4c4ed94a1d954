"""Partitions of a Dask collection give what the same rows give in memory, on whichever scheduler."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.errors import DataError, NotFiniteError, OptionError
from varmix.iteration import Serial
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.directional import directional
from varmix.models.random_effect_mixture.newton import Newton
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.statistics import MixtureStats, summarise
from varmix.models.random_effect_mixture.stream import Columns, StreamReduction, stream_reduction

dask = pytest.importorskip("dask")
from varmix.distributed import DaskPieces, DaskRunner, collection_reduction, pieces_of  # noqa: E402

N = 600
POINT = MixtureParams.free(np.array([0.01, 1.0]), 0.5, np.array([0.7, 0.3]))
ROUNDING = 1e-12  # sums of a few hundred terms of order one, added in another order
MODELS = pytest.mark.parametrize(
    "columns",
    [Columns(), Columns(se="se", weights="weight"), Columns(group="gene"), Columns(group="gene", weights="weight")],
    ids=["rows", "weights", "groups", "weighted groups"],
)


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(21)
    gene = rng.integers(0, 90, N)
    x = rng.normal(size=N)
    x[::13] = 0.0
    y = (np.where(rng.random(90) < 0.3, 1.0, 0.05) * rng.normal(size=90))[gene] * x + 0.7 * rng.normal(size=N)
    weight = rng.uniform(0.0, 3.0, 90)[gene]
    # The last partition is a thousandth of the others: scales must be those of all.
    x[500:], y[500:] = 1e-3 * x[500:], 1e-3 * y[500:]
    return pd.DataFrame({"y": y, "x": x, "se": rng.uniform(0.5, 2.0, N), "gene": gene, "weight": weight})


def delayed_parts(table: pd.DataFrame, size: int = 100) -> list[Any]:
    return [dask.delayed(table.iloc[start : start + size]) for start in range(0, len(table), size)]


def as_frame(table: pd.DataFrame) -> Any:
    return pytest.importorskip("dask.dataframe").from_pandas(table, npartitions=6, sort=False)


def statistics(found: StreamReduction) -> MixtureStats:
    return found.runner.map_add(partial(summarise, POINT), found.pieces)


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


@MODELS
@pytest.mark.parametrize("make", [delayed_parts, as_frame], ids=["delayed", "data frame"])
def test_a_collection_says_what_its_rows_say_in_memory(
    table: pd.DataFrame, columns: Columns, make: Callable[[pd.DataFrame], Any]
) -> None:
    found, expected = stream_reduction(make(table), columns), stream_reduction(table, columns)
    assert found.scales == expected.scales
    assert found.groups == expected.groups
    assert found.log_jacobian == pytest.approx(expected.log_jacobian, rel=ROUNDING)
    assert_same(statistics(found), statistics(expected))


@MODELS
def test_a_fit_to_a_collection_is_the_fit_in_memory(table: pd.DataFrame, columns: Columns) -> None:
    found, expected = stream_reduction(delayed_parts(table), columns), stream_reduction(table, columns)
    ends = [Climb(runner=each.runner).run(each.pieces, POINT) for each in (found, expected)]
    assert ends[0].status.arrived
    assert ends[0].objective == pytest.approx(ends[1].objective, rel=ROUNDING)
    # The certificate leaves 1e-8 standard errors to either of them.
    np.testing.assert_allclose(ends[0].params.vector(), ends[1].params.vector(), rtol=1e-6, atol=1e-9)


def test_units_stay_where_they_are_and_are_not_made_again(table: pd.DataFrame) -> None:
    reads: list[int] = []
    lock = threading.Lock()

    def load(number: int) -> pd.DataFrame:
        with lock:
            reads.append(number)
        return table.iloc[100 * number : 100 * number + 100]

    parts = [dask.delayed(load)(number) for number in range(6)]
    held = collection_reduction(parts, Columns())
    reads.clear()
    assert_same(statistics(held), statistics(held))
    assert not reads
    again = collection_reduction(parts, Columns(), cache=False)
    reads.clear()
    assert_same(statistics(again), statistics(held))
    assert sorted(reads) == list(range(6))


def test_the_sum_does_not_depend_on_who_was_first(table: pd.DataFrame) -> None:
    found = stream_reduction(delayed_parts(table, 37), Columns())
    sums = []
    for scheduler in ("threads", "threads", "synchronous"):
        with dask.config.set(scheduler=scheduler, num_workers=4):
            sums.append(statistics(found).log_likelihood)
    assert sums[0] == sums[1] == sums[2]


def test_pieces_can_be_gone_through_without_the_runner(table: pd.DataFrame) -> None:
    pieces = pieces_of(delayed_parts(table), Columns())
    expected = stream_reduction(table, Columns())
    assert isinstance(pieces, DaskPieces)
    assert [len(piece) for piece in pieces[:2]] == [len(pieces[0]), len(pieces[1])]
    assert_same(Serial().map_add(partial(summarise, POINT), pieces), statistics(expected))
    grid = np.array([0.0, 0.3, 3.0])
    np.testing.assert_allclose(
        directional(POINT, pieces, grid), directional(POINT, expected.pieces, grid), rtol=ROUNDING
    )


def test_the_runner_adds_up_pieces_that_are_here_too(table: pd.DataFrame) -> None:
    expected = stream_reduction(table, Columns())
    pieces = expected.pieces[0].split(5)
    assert_same(DaskRunner().map_add(partial(Newton().summarise, POINT), pieces), statistics(expected))
    with pytest.raises(OptionError, match="no pieces"):
        DaskRunner().map_add(partial(summarise, POINT), [])


def test_what_travels_to_workers_can_be_pickled(table: pd.DataFrame) -> None:
    sent = partial(Newton().summarise, POINT)
    units = stream_reduction(table, Columns()).pieces[0]
    assert_same(pickle.loads(pickle.dumps(sent))(pickle.loads(pickle.dumps(units))), sent(units))


@MODELS
def test_the_posterior_is_told_partition_by_partition_in_order(table: pd.DataFrame, columns: Columns) -> None:
    found, expected = stream_reduction(delayed_parts(table), columns), stream_reduction(table, columns)
    ours, theirs = list(found.posterior_chunks()), list(expected.posterior_chunks())
    assert [label for chunk in ours for label in chunk.labels] == [label for chunk in theirs for label in chunk.labels]
    for name in ("q", "xy", "rows"):
        left, right = (np.concatenate([getattr(c.reduction, name) for c in chunks]) for chunks in (ours, theirs))
        np.testing.assert_allclose(left, right, rtol=ROUNDING, atol=1e-15)
    sample = found.units_sample(50, np.random.default_rng(3))
    assert len(sample) == 50


def test_a_wrong_entry_is_named_with_its_partition_and_row(table: pd.DataFrame) -> None:
    table.loc[317, "y"] = np.nan
    with pytest.raises(NotFiniteError, match="'y' is missing in row 17 of chunk 3"):
        stream_reduction(delayed_parts(table), Columns())
    dropped = stream_reduction(delayed_parts(table), Columns(), on_missing="drop")
    assert (dropped.facts.rows, dropped.facts.dropped) == (599, 1)
    table.loc[599, "weight"] += 1.0
    with pytest.raises(DataError, match="different weights"):
        stream_reduction(delayed_parts(table), Columns(group="gene", weights="weight"), on_missing="drop")


def test_partitions_without_rows_change_nothing(table: pd.DataFrame) -> None:
    parts = [dask.delayed(table.iloc[:0]), *delayed_parts(table), dask.delayed(table.iloc[:0])]
    for columns in (Columns(), Columns(group="gene")):
        assert_same(statistics(stream_reduction(parts, columns)), statistics(stream_reduction(table, columns)))
        with pytest.raises(DataError, match="no rows"):
            stream_reduction(parts[:1], columns)


def test_collections_that_are_no_tables_are_refused(table: pd.DataFrame) -> None:
    array = pytest.importorskip("dask.array").ones((4, 2))
    with pytest.raises(OptionError, match="from_dask_array"):
        stream_reduction(array, Columns())
    with pytest.raises(OptionError, match="collection_reduction"):
        pieces_of(delayed_parts(table), Columns(group="gene"))
    with pytest.raises(OptionError, match="type list"):
        stream_reduction([*delayed_parts(table), table], Columns())


def test_a_client_runs_the_work(table: pd.DataFrame) -> None:
    distributed = pytest.importorskip("distributed")
    expected = stream_reduction(table, Columns())
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="inproc"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        found = collection_reduction(delayed_parts(table), Columns(), client=client)
        assert_same(statistics(found), statistics(expected))
        assert_same(Serial().map_add(partial(summarise, POINT), found.pieces), statistics(expected))
