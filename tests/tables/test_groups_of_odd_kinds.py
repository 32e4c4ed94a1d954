"""Claims about labels of groups: rows of one group stay together, others stay apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.api.effect_rows import read_rows
from varmix.errors import DataError
from varmix.tables.group_labels import group_labels

CODES = np.array([0, 1, 1, 2, 0, 3])


def float32_ids() -> list[Any]:
    polars = pytest.importorskip("polars")
    narrow = (2**24 + CODES).astype(np.float32)  # 2^24 + 1 is not a float32
    return [narrow, pd.Series(narrow), polars.Series(narrow), [*narrow], pd.DataFrame({"g": narrow})]


@pytest.mark.parametrize("number", range(5))
def test_floats_beyond_what_their_width_tells_apart_are_refused(number: int) -> None:
    with pytest.raises(DataError, match=r"a float beyond 2\^24, among which neighbouring ids are one number"):
        group_labels(float32_ids()[number], "group")


def test_narrow_floats_that_are_exact_are_groups_and_gaps_are_missing() -> None:
    polars = pytest.importorskip("polars")
    narrow = np.where(CODES == 1, np.nan, CODES).astype(np.float32)
    for values in (narrow, pd.Series(narrow), polars.Series([None if np.isnan(item) else item for item in narrow])):
        labels, absent = group_labels(values, "group")
        assert absent.tolist() == (CODES == 1).tolist()
        assert labels[~absent].tolist() == CODES[CODES != 1].tolist()


def test_masked_labels_are_missing() -> None:
    labels, absent = group_labels(np.ma.array(CODES, mask=CODES == 1), "group")
    assert absent.tolist() == (CODES == 1).tolist()
    assert labels[~absent].tolist() == CODES[CODES != 1].tolist()


def test_a_frame_of_one_column_is_that_column_even_where_it_is_called_like_ids() -> None:
    y = np.arange(1.0, 7.0)
    rows = read_rows(y, y, group=pd.DataFrame({"IID": CODES}))
    assert rows.group is not None
    assert rows.group.tolist() == CODES.tolist()
    named = read_rows(y, "x", group="IID", data=pd.DataFrame({"x": y, "IID": CODES}))
    assert named.group is not None
    assert named.group.tolist() == CODES.tolist()
