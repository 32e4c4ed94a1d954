"""Claims about labels of groups: exact, whatever they are made of."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.errors import DataError, ShapeError
from varmix.tables.group_labels import group_labels, group_positions, joined_labels, numbered

polars = pytest.importorskip("polars")
BIG = 2**53
WANTED = [0, 1, 0, 2]
"""Numbers of the groups below, each in the order of its first row."""

COLUMNS: dict[str, Any] = {
    "integers": np.array([BIG, BIG + 1, BIG, BIG + 2]),
    "small integers": np.array([1, 2, 1, 3], dtype=np.uint8),
    "unsigned": np.array([2**63, 2**63 + 1, 2**63, 2**63 + 2], dtype=np.uint64),
    "beyond 64 bits": [2**70, 2**70 + 1, 2**70, 2**70 + 2],
    "whole floats": [7.0, 8.0, 7.0, 9.0],
    "floats": [0.5, 1.5, 0.5, 2.0],
    "text": ["a", "b", "a", "c"],
    "bytes": [b"a", b"b", b"a", b"c"],
    "categories": pd.Categorical(["b", "a", "b", "c"], categories=["z", "a", "b", "c"]),
    "nullable": pd.array([BIG, BIG + 1, BIG, BIG + 2], dtype="Int64"),
    "arrow": pd.Series([BIG, BIG + 1, BIG, BIG + 2], dtype="int64[pyarrow]"),
    "polars": polars.Series([BIG, BIG + 1, BIG, BIG + 2]),
    "polars enumeration": polars.Series(["b", "a", "b", "c"], dtype=polars.Enum(["a", "b", "c"])),
    "dates": [dt.date(2020, 1, day) for day in (2, 1, 2, 3)],
    "times": pd.Series(
        pd.DatetimeIndex(["2020-01-02 00:02", "2020-01-02 00:01", "2020-01-02 00:02", "2020-01-03 00:00"])
    ),
    "numpy dates": np.array(["2020-01-02", "2020-01-01", "2020-01-02", "2020-01-03"], dtype="M8[D]"),
    "uuids": [uuid.UUID(int=number) for number in (5, 4, 5, 6)],
    "decimals": [decimal.Decimal(text) for text in ("1.10", "1.1e1", "1.10", "3")],
    "mixed": [1, "2", "1", 3.0],
    "truth values and text": [True, "b", True, "c"],
    "leading zeros": ["1", "01", "1", "001"],
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS.keys())
def test_groups_are_told_apart_exactly(column: Any) -> None:
    labels, absent = group_labels(column, "group")
    numbers, names = numbered(labels)
    assert numbers.tolist() == WANTED
    assert not absent.any()
    assert len(set(map(str, names))) == 3


@pytest.mark.parametrize("kind", ["Int64", "int64[pyarrow]", "object", "polars"])
def test_a_missing_label_makes_no_float_of_integers(kind: str) -> None:
    cells = [BIG + 1, None, BIG, BIG + 1]
    labels, absent = group_labels(polars.Series(cells) if kind == "polars" else pd.Series(cells, dtype=kind), "group")
    assert absent.tolist() == [False, True, False, False]
    assert labels[~absent].tolist() == [BIG + 1, BIG, BIG + 1]


def test_numbers_and_their_text_are_one_label() -> None:
    parts = [group_labels(part, "group")[0] for part in ([1, 2], [2.0, 3.0], ["2", "x"])]
    assert joined_labels(parts).tolist() == ["1", "2", "2", "3", "2", "x"]
    assert joined_labels(parts[:2]).tolist() == [1, 2, 2, 3]
    known = pd.Index(["1", "2", "x"])
    assert group_positions(known, parts[0]).tolist() == [0, 1]
    assert group_positions(pd.Index(parts[0]), parts[2]).tolist() == [1, -1]


def test_what_is_no_label_is_refused() -> None:
    with pytest.raises(DataError, match=r"float beyond 2\^53"):
        group_labels([2.0**60, np.nan], "group")
    with pytest.raises(DataError, match="holds a list"):
        group_labels([[1], [2]], "group")
    with pytest.raises(ShapeError, match=r"\(2, 2\)"):
        group_labels(np.zeros((2, 2)), "group")
    with pytest.raises(ShapeError, match="one value"):
        group_labels(3, "group")


def test_integers_within_and_beyond_int64_stay_apart_when_parts_are_joined() -> None:
    small = np.array([2**60 + 1, 2**60 + 2], dtype=np.int64)
    large = np.array([2**63 + 1, 2**63 + 2], dtype=np.uint64)
    joined = joined_labels([small, large])
    assert joined.tolist() == [str(number) for number in (*small, *large)]
