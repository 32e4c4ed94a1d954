"""Masks are obeyed; what is not made of real numbers is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from varmix.errors import DataError
from varmix.genotype import ArraySource
from varmix.tables.numbers import real_numbers


@pytest.mark.parametrize("values", [np.array([1, 2, 3]), np.array([1.0, 2.0, 3.0]), np.array([1, 2, 3], dtype=object)])
def test_masked_entries_become_missing(values: Any) -> None:
    masked = np.ma.array(values, mask=[False, True, False])
    np.testing.assert_array_equal(real_numbers(masked, "y"), [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(real_numbers(np.ma.array(values), "y"), values.astype(float))


def test_a_masked_design_has_missing_calls() -> None:
    X = np.ma.array([[0, 1], [2, 1], [1, 2]], mask=[[0, 0], [1, 0], [0, 0]])
    np.testing.assert_array_equal(ArraySource(X).read(None, 0, 2), [[0, 1], [np.nan, 1], [1, 2]])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (sparse.csr_matrix(np.eye(3)), "toarray"),
        (sparse.coo_array(np.eye(3)), "toarray"),
        (np.array([1.0 + 0.0j, 2.0]), "complex"),
        (np.array([1.0 + 0.0j, 2.0], dtype=object), "complex"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "dates or times"),
        (np.array([5], dtype="timedelta64[s]"), "dates or times"),
        (["1.5", "2.5"], "holds text"),
        (np.array([1.0, "2"], dtype=object), "holds text"),
        (np.array([{}], dtype=object), "objects"),
        ([[1.0], [1.0, 2.0]], "cannot be read as numbers"),
    ],
)
def test_what_is_not_made_of_real_numbers_is_refused(values: Any, reason: str) -> None:
    with pytest.raises(DataError, match=f"^The response.*{reason}"):
        real_numbers(values, "The response")


def test_nothing_is_copied_that_need_not_be() -> None:
    values = np.arange(6, dtype=np.int8)
    assert np.shares_memory(real_numbers(values, "y"), values)
