"""`random_effect_mixture` of data that come in chunks is the fit of the same data frame."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.api import random_effect_mixture
from varmix.errors import DataError, NotAvailableError, NotIdentifiedError, OptionError, RepairWarning
from varmix.models.random_effect_mixture.identification import check_identified, unbounded_rows
from varmix.models.random_effect_mixture.reduction import reduce_rows
from varmix.models.random_effect_mixture.stream import Columns, stream_reduction
from varmix.models.random_effect_mixture.stream import pieces as stream_pieces
from varmix.models.random_effect_mixture.stream.posterior import posterior_tables
from varmix.results import Fit, load

# Held rows are reduced to the same digits; merged groups are added in another order.
CLOSE = 1e-8


def simulated(n: int = 1200, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    gene = rng.integers(0, n // 3, n)
    x = rng.normal(size=n)
    effect = np.where(rng.random(n // 3) < 0.3, 1.0, 0.05) * rng.normal(size=n // 3)
    se = rng.uniform(0.3, 1.0, n)
    y = effect[gene] * x + se * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "se": se, "gene": gene, "w": rng.uniform(0.5, 2.0, n // 3)[gene]})


def chunks_of(table: pd.DataFrame, size: int = 100) -> list[pd.DataFrame]:
    return [table.iloc[start : start + size] for start in range(0, len(table), size)]


def as_list(table: pd.DataFrame, folder: Path) -> Any:
    return chunks_of(table)


def as_function(table: pd.DataFrame, folder: Path) -> Any:
    def read() -> Iterator[pd.DataFrame]:
        yield from chunks_of(table, 77)

    return read


def as_files(table: pd.DataFrame, folder: Path) -> Any:
    table.iloc[:500].to_parquet(folder / "a.parquet")
    table.iloc[500:].to_csv(folder / "b.csv", index=False, float_format="%.17g")
    return [folder / "a.parquet", str(folder / "b.csv")]


def as_dask(table: pd.DataFrame, folder: Path) -> Any:
    return pytest.importorskip("dask.dataframe").from_pandas(table, npartitions=3, sort=False)


SOURCES = pytest.mark.parametrize("make", [as_list, as_function, as_files, as_dask])


def assert_same_fit(found: Fit, expected: Fit) -> None:
    assert found.status is expected.status
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-10)
    for name in ("shares", "components", "design", "sample"):
        pd.testing.assert_frame_equal(found.table(name), expected.table(name), rtol=1e-5, atol=CLOSE)
    pd.testing.assert_frame_equal(found.classes, expected.classes, rtol=1e-5, atol=1e-7, check_dtype=False)


@SOURCES
@pytest.mark.parametrize(
    "columns",
    [{}, {"se": "se", "residual": "estimated"}, {"group": "gene", "weights": "w"}],
    ids=["rows", "se", "groups"],
)
def test_a_fit_in_chunks_is_the_fit_of_the_frame(make: Any, columns: dict[str, Any], tmp_path: Path) -> None:
    table = simulated()
    if make is as_files and "group" in columns:
        table["gene"] = "g" + table["gene"].astype(str)
    fit = partial(random_effect_mixture, "y", "x", **columns, starts=2, rng=1)
    assert_same_fit(fit(data=make(table, tmp_path)), fit(data=table))


def test_the_certificate_is_met_when_rows_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    table = simulated()
    expected = random_effect_mixture("y", "x", data=table, starts=2, rng=1)
    monkeypatch.setattr(stream_pieces, "PIECE_ROWS", 500)
    import varmix.api.effect_stream as module

    read = module.stream_reduction
    monkeypatch.setattr(module, "stream_reduction", partial(read, cache=False))
    for workers in (1, 2):
        found = random_effect_mixture("y", "x", data=chunks_of(table, 600), starts=2, rng=1, workers=workers)
        assert_same_fit(found, expected)


def test_the_grid_mixture_is_that_of_the_frame() -> None:
    table = simulated()
    found, expected = (
        random_effect_mixture("y", "x", data=data, method="npmle", points=15) for data in (chunks_of(table), table)
    )
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-9)


def test_the_posterior_is_written_chunk_by_chunk_with_the_columns_kept() -> None:
    table = simulated().assign(snp=lambda frame: [f"rs{row}" for row in range(len(frame))])
    fit = random_effect_mixture("y", "x", data=table, starts=1)
    stream = stream_reduction(chunks_of(table), Columns(keep=("snp",)))
    tables = list(posterior_tables(stream, fit.report.params))
    assert [len(part) for part in tables] == [100] * 12
    joined = pd.concat(tables, ignore_index=True)
    assert list(joined.pop("snp")) == list(table["snp"])
    pd.testing.assert_frame_equal(joined, fit.classes, rtol=1e-9)


def test_rows_dropped_are_counted_as_in_a_frame() -> None:
    table = simulated()
    table.loc[[5, 700], "x"] = np.nan
    with pytest.warns(RepairWarning, match="2 of 1,200 rows were dropped"):
        found = random_effect_mixture("y", "x", data=chunks_of(table), starts=1)
    with pytest.warns(RepairWarning):
        expected = random_effect_mixture("y", "x", data=table, starts=1)
    assert_same_fit(found, expected)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"x": 0.0}, NotIdentifiedError),
        ({"x": 2.0}, NotIdentifiedError),
        ({"y": 0.0}, DataError),
        ({"w": 0.0}, DataError),
    ],
    ids=["x zero", "x constant", "y zero", "weights zero"],
)
def test_what_a_frame_does_not_identify_chunks_do_not_either(change: dict[str, float], error: type[Exception]) -> None:
    table = simulated().assign(**change)
    if change == {"x": 2.0}:
        table.loc[::2, "x"] = -2.0
    for data in (table, chunks_of(table)):
        with pytest.raises(error) as caught:
            random_effect_mixture("y", "x", weights="w", data=data)
        assert "Check" in str(caught.value) or "Give" in str(caught.value)


# What squares to nothing beside 1 counts as x = 0.
NOTHING = 1e-150


@pytest.mark.parametrize("reread", [False, True])
@pytest.mark.parametrize(
    ("y", "x", "w"),
    [
        ([1.0, -2.0, 0.5, 0.3], [1.0, -1.0, 1.0, NOTHING], None),
        ([1.0, -2.0, 0.5, 0.3], [1.0, -1.0, 1.0, NOTHING], [1.0, 2.0, 1.0, 0.0]),
        ([1.0, -2.0, 0.5, 0.0], [1.0, -1.0, 2.0, NOTHING], None),
        ([1.0, -2.0, 0.0, 0.0, 0.0], [1.0, -1.0, 2.0, NOTHING, 0.0], None),
        ([1.0, -2.0, 0.5, 0.3], [1.0, 2.0, 1.0 / NOTHING, 1.0], [1.0, 2.0, 0.0, 1.0]),
        (np.arange(1.0, 104.0), [1.0, 1.0, 1.0, *(NOTHING * np.linspace(0.5, 1.0, 100))], None),
    ],
    ids=["constant", "weight 0", "y 0", "two y 0", "all beside weight 0", "more than are told apart"],
)
def test_x_that_vanishes_beside_the_others_identifies_as_in_a_frame(y: Any, x: Any, w: Any, reread: bool) -> None:
    weights = None if w is None else np.array(w)
    frame = reduce_rows(np.array(y), np.array(x), weights=weights)
    table = pd.DataFrame({"y": y, "x": x, "w": 1.0 if w is None else w})
    columns = Columns(y="y", x="x", weights=None if w is None else "w")
    stream = stream_reduction(chunks_of(table, 2), columns, cache=not reread).outline()
    q = frame.units.q if w is None else frame.units.q[frame.units.weight > 0.0]
    assert len(stream.units.q) == len(q)
    assert {*stream.units.q[[0, -1]]} == {q.min(), q.max()} if q.size else True
    assert stream.units.rest_rows == frame.units.rest_rows
    assert stream.units.rest == pytest.approx(frame.units.rest, rel=1e-12)
    for classes in range(1, 5):
        for known in (None, 1.0):
            said = [_refusal(check_identified, reduction, classes, False, known) for reduction in (frame, stream)]
            assert said[0] == said[1]
            assert unbounded_rows(frame, classes, known) == unbounded_rows(stream, classes, known)


def _refusal(check: Any, *given: Any) -> str:
    try:
        check(*given)
    except (DataError, NotIdentifiedError) as error:
        return str(error)
    return ""


def test_rows_without_a_response_are_told_as_in_a_frame() -> None:
    table = simulated()
    table.loc[10:40, "y"] = 0.0
    told = []
    for data in (table, chunks_of(table)):
        with pytest.warns(UserWarning, match="31 effects have responses of exactly 0"):
            told.append(random_effect_mixture("y", "x", data=data, starts=1).facts["warnings"])
    assert told[0] == told[1]


def test_more_classes_than_effects_are_refused_and_few_values_of_x_are_not() -> None:
    table = simulated()
    with pytest.raises(DataError, match="5 classes need at least as many effects"):
        random_effect_mixture("y", "x", data=chunks_of(table.iloc[:4], 1), classes=5)
    table["x"] = np.where(np.arange(len(table)) % 2, 1.0, 3.0)
    fit = partial(random_effect_mixture, "y", "x", starts=1, classes=2)
    assert fit(data=chunks_of(table)).log_likelihood == pytest.approx(fit(data=table).log_likelihood, rel=1e-10)


def test_new_responses_for_refits_need_rows_in_memory_or_groups() -> None:
    fit = random_effect_mixture("y", "x", data=chunks_of(simulated()), starts=1)
    with pytest.raises(NotAvailableError, match="stream"):
        fit.interval("pi_1", kind="bootstrap", replicates=2, rng=1)
    grouped = random_effect_mixture("y", "x", group="gene", data=chunks_of(simulated()), starts=1)
    lower, upper = grouped.interval("pi_1", kind="bootstrap", replicates=5, rng=1)
    assert 0.0 <= lower <= upper <= 1.0


@pytest.mark.parametrize("columns", [{}, {"se": "se", "group": "gene"}], ids=["rows", "groups"])
def test_fitted_values_and_draws_are_those_of_the_frame(columns: dict[str, str]) -> None:
    table = simulated()
    table.loc[[5, 700], "x"] = np.nan
    with pytest.warns(RepairWarning):
        found, expected = (
            random_effect_mixture("y", "x", **columns, data=data, starts=1) for data in (chunks_of(table), table)
        )
    tables = (fit.table("augment") for fit in (found, expected))
    pd.testing.assert_frame_equal(*tables, rtol=1e-6, atol=CLOSE, check_dtype=False)
    draws = [fit.simulate(np.random.default_rng(4)) for fit in (found, expected)]
    np.testing.assert_allclose(draws[0], draws[1], rtol=1e-6, atol=CLOSE)


def test_columns_of_chunks_are_named_not_given() -> None:
    table = simulated()
    with pytest.raises(OptionError, match="x must name a column"):
        random_effect_mixture("y", table["x"], data=chunks_of(table))
    with pytest.raises(OptionError, match="read only once"):
        random_effect_mixture("y", "x", data=iter(chunks_of(table)))


@pytest.mark.parametrize("make", [as_list, as_files])
def test_a_fit_in_chunks_is_pickled_and_saved_like_any_other(make: Any, tmp_path: Path) -> None:
    fit = random_effect_mixture("y", "x", data=make(simulated(), tmp_path), starts=1)
    again = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_frame_equal(again.classes, fit.classes)
    fit.save(tmp_path / "fit.json")
    pd.testing.assert_frame_equal(load(tmp_path / "fit.json").shares, fit.shares)
