"""Claims about rows that could be joined in two ways: such a choice is never made without a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.errors import AlignmentError
from varmix.tables.alignment import join
from varmix.tables.labels import Labels, labelled

ROWS = 12
ORDER = np.random.default_rng(8).permutation(ROWS)
VALUES = np.random.default_rng(9).normal(size=ROWS)


def joined(left: Any, right: Any) -> Any:
    return join({"left": labelled(left, "left")[0], "right": labelled(right, "right")[0]}).positions["right"]


def test_ids_that_match_an_index_are_not_passed_over_for_row_numbers() -> None:
    people = pd.DataFrame({"IID": np.arange(1, ROWS + 1), "y": VALUES}).iloc[ORDER]  # row numbers 0 to n - 1, shuffled
    numbered = pd.DataFrame({"x": VALUES}, index=np.arange(1, ROWS + 1))  # numbers that are ids
    for left, right in ((people, numbered), (numbered, people)):
        with pytest.raises(AlignmentError, match="can be joined by their indexes and by IID"):
            joined(left, right)
    named = numbered.rename_axis("IID")
    assert joined(people, named).tolist() == ORDER.tolist()
    assert joined(people.reset_index(drop=True), numbered).tolist() == ORDER.tolist()


def test_indexes_and_ids_that_agree_are_joined() -> None:
    names = [f"p{number}" for number in range(ROWS)]
    people = pd.DataFrame({"IID": names, "y": VALUES}, index=names).iloc[ORDER]
    assert joined(people, pd.DataFrame({"x": VALUES}, index=names)).tolist() == ORDER.tolist()
    with pytest.raises(AlignmentError, match="the two disagree"):
        joined(people.set_axis(names[::-1], axis=0), pd.DataFrame({"x": VALUES}, index=names))


@pytest.mark.parametrize(
    "index",
    [
        pd.Index(ORDER),
        pd.Index(ORDER, name="id"),
        pd.Index(ORDER * 1.0),
        pd.Index(ORDER.astype(str)),
        pd.Index(ORDER.tolist(), dtype=object),
        pd.RangeIndex(ROWS - 1, -1, -1),
    ],
)
def test_a_default_index_beside_the_same_numbers_in_another_order_is_refused(index: pd.Index[Any]) -> None:
    counted, moved = pd.Series(VALUES), pd.Series(VALUES, index=index)
    for left, right in ((counted, moved), (moved, counted)):
        with pytest.raises(AlignmentError, match="whether its rows go by number or by position would be a guess"):
            joined(left, right)
    assert joined(VALUES, moved).tolist() == list(range(ROWS))


def test_a_default_index_beside_a_file_of_the_same_numbers_in_another_order_is_refused() -> None:
    ids = pd.DataFrame({"FID": "0", "IID": ORDER.astype(str)})
    with pytest.raises(AlignmentError, match="The IIDs of 'file' are the numbers"):
        join({"response": labelled(pd.Series(VALUES), "response")[0], "file": Labels(rows=ROWS, ids=ids)})
