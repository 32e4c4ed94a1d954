"""Ids are text: what was read as numbers is written as its digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.errors import AlignmentError
from varmix.tables.identifiers import sample_table

polars = pytest.importorskip("polars")
BIG = 2**53


@pytest.mark.parametrize(
    "ids",
    [
        [7, 8, 10],
        np.array([7, 8, 10], dtype=np.uint8),
        np.array([7.0, 8.0, 10.0]),
        pd.DataFrame({"IID": pd.array([7, 8, 10], dtype="Int64")}),
        pd.DataFrame({"IID": pd.Categorical(["7", "8", "10"])}),
        polars.DataFrame({"IID": [7, 8, 10]}),
        pd.Series([7, 8, 10], index=[3, 3, 3]),
    ],
)
def test_numeric_ids_of_any_kind_become_their_digits(ids: Any) -> None:
    table = sample_table(ids, "the response")
    assert table["IID"].tolist() == ["7", "8", "10"]
    assert table["FID"].tolist() == ["0"] * 3


def test_integers_that_float64_cannot_tell_apart_stay_apart() -> None:
    ids = pd.DataFrame({"FID": [np.nan, 4.0, 5.5], "IID": [BIG, BIG + 1, BIG + 2]})
    table = sample_table(ids, "the response")
    assert table["IID"].tolist() == [str(BIG), str(BIG + 1), str(BIG + 2)]
    assert table["FID"].tolist() == ["0", "4", "5.5"]


@pytest.mark.parametrize("ids", [[1, None, 2, None], pd.DataFrame({"IID": [1.0, np.nan, 2.0, np.nan]})])
def test_people_without_an_id_are_pointed_at(ids: Any) -> None:
    with pytest.raises(AlignmentError, match=r"no IID in row 1 .*2 such rows"):
        sample_table(ids, "the response")


def test_a_matrix_of_ids_is_refused() -> None:
    with pytest.raises(AlignmentError, match="shape"):
        sample_table(np.array([["f", "i"], ["f", "j"]]), "the response")
