"""Claims about labels of samples: a series goes by its index, and in order only where that counts from 0."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from varmix.errors import AlignmentError
from varmix.tables.sample_types import read_labels

TYPES = ["liver", "liver", "brain", "lung", "brain"]
ORDER = [3, 1, 4, 0, 2]


@pytest.mark.parametrize(
    ("series", "samples"),
    [
        (pd.Series(TYPES, pd.RangeIndex(10, 15))[::-1], pd.RangeIndex(10, 15)),
        (pd.Series(TYPES, list("abcde")).iloc[ORDER], pd.Index(list("abcde"))),
        (pd.Series(TYPES), pd.Index(list("abcde"))),
        (pd.Series(TYPES), pd.RangeIndex(5)),
    ],
)
def test_a_series_names_samples_unless_its_index_counts_from_0(series: pd.Series[Any], samples: pd.Index[Any]) -> None:
    assert read_labels(series, samples, None) == TYPES


@pytest.mark.parametrize("series", [pd.Series(TYPES)[::-1], pd.Series(TYPES, pd.RangeIndex(10, 15))])
def test_an_index_of_numbers_that_are_no_samples_is_refused(series: pd.Series[Any]) -> None:
    with pytest.raises(AlignmentError, match="5 of 5 samples have no entry in sample_type"):
        read_labels(series, pd.Index(list("abcde")), None)


def test_a_default_index_beside_the_same_numbers_in_another_order_is_refused() -> None:
    for series, samples in (
        (pd.Series(TYPES), pd.Index(ORDER)),
        (pd.Series(TYPES)[::-1], pd.RangeIndex(5)),
        (pd.Series(TYPES).iloc[ORDER], pd.RangeIndex(5)),
    ):
        with pytest.raises(AlignmentError, match=r"by\s+number or by position would be a guess"):
            read_labels(series, samples, None)
    assert read_labels(pd.Series(TYPES).to_numpy(), pd.Index(ORDER), None) == TYPES
