"""Claims about what rows are called, whatever carries the names."""

from __future__ import annotations

from typing import Any

import narwhals
import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import AlignmentError, DataError, ShapeError
from varmix.tables.frame import mapping_frame
from varmix.tables.labels import labelled
from varmix.tables.numbers import real_numbers

ROWS = 24
rng = np.random.default_rng(12)
ORDER = rng.permutation(ROWS)
NAMES = np.array([f"p{number}" for number in range(ROWS)], dtype=object)
X, NOISE = rng.normal(size=(ROWS, 9)), rng.normal(size=ROWS)
Y = X @ rng.normal(size=9) + NOISE
WHOLE = pd.DataFrame(X, index=NAMES, columns=[f"v{column}" for column in range(9)])


def fitted(y: Any, design: Any, **options: Any) -> float:
    return float(vm.variance_components(y, designs={"x": design}, **options).log_likelihood)


def same_as_arrays(found: float) -> None:
    # The same people in another order: sums in another order.
    np.testing.assert_allclose(found, fitted(Y, X), rtol=1e-9)


def test_the_index_of_a_pandas_frame_in_narwhals_is_read() -> None:
    y = narwhals.from_native(pd.Series(Y, NAMES).iloc[ORDER], series_only=True)
    same_as_arrays(fitted(y, narwhals.from_native(WHOLE)))


def test_family_and_individual_may_be_a_column_and_a_level() -> None:
    people = pd.DataFrame({"FID": "f", "y": Y}, index=pd.Index(NAMES, name="IID")).iloc[ORDER]
    other = people.reset_index().set_index("FID")
    for table in (people, other):
        labels, rest = labelled(table, "people")
        assert labels.ids is not None
        assert labels.ids["FID"].unique().tolist() == ["f"]
        assert labels.ids["IID"].tolist() == NAMES[ORDER].tolist()
        assert rest.columns.tolist() == ["y"]
        same_as_arrays(fitted(table, WHOLE))


@pytest.mark.parametrize("index", [["a", "b"] * (ROWS // 2), [None, *NAMES[1:]]])
def test_an_index_that_names_no_row_of_its_own_does_no_harm_beside_arrays(index: list[Any]) -> None:
    y = pd.Series(Y, index)
    same_as_arrays(fitted(y, X))
    same_as_arrays(fitted(pd.Series(Y, ["a", "b"] * (ROWS // 2)), WHOLE.set_axis(["a", "b"] * (ROWS // 2), axis=0)))


def test_an_empty_id_is_a_missing_one() -> None:
    with pytest.raises(AlignmentError, match="no IID in row 1"):
        labelled(pd.DataFrame({"IID": ["a", " ", "b"], "y": 1.0}), "people")
    labels, _ = labelled(pd.DataFrame({"FID": ["", "f"], "IID": ["a", "b"], "y": 1.0}), "people")
    assert labels.ids is not None
    assert labels.ids["FID"].tolist() == ["0", "f"]


def test_bytes_that_are_not_utf_8_stay_apart() -> None:
    ids = [f"é{name}".encode("latin1") for name in NAMES]
    same_as_arrays(fitted(pd.Series(Y, ids).iloc[ORDER], WHOLE.set_axis(ids, axis=0)))


def test_series_of_different_indexes_beside_a_plain_column_are_refused() -> None:
    first, second = pd.Series(Y, NAMES), pd.Series(NOISE, NAMES[::-1])
    with pytest.raises(AlignmentError, match="'a' and 'b' are series with different indexes, and 'c' has none"):
        mapping_frame({"a": first, "b": second, "c": list(Y)})
    joined = mapping_frame({"a": first, "b": second, "c": pd.Series(Y, NAMES)})
    np.testing.assert_array_equal(joined.loc[NAMES, "b"], NOISE[::-1])
    with pytest.raises(ShapeError, match="do not make a table"):
        mapping_frame({"a": pd.Series([1.0, 2.0], ["p", "p"]), "b": pd.Series([1.0, 2.0], ["p", "q"])})


@pytest.mark.parametrize("ids", [pd.Series(NAMES), pd.DataFrame({"IID": NAMES})])
def test_sample_ids_beside_a_sorted_response_are_refused_unless_both_are_sorted(ids: Any) -> None:
    y = pd.Series(Y)
    for response, names in ((y.iloc[ORDER], ids), (y, ids.iloc[ORDER])):
        with pytest.raises(AlignmentError, match="would be a guess"):
            fitted(response, WHOLE, sample_ids=names)
    same_as_arrays(fitted(y.iloc[ORDER], WHOLE, sample_ids=ids.iloc[ORDER[::-1]]))


def test_sample_ids_of_a_design_are_joined_to_its_rows_by_index() -> None:
    design = vm.ArraySource(WHOLE.iloc[ORDER], sample_ids=pd.Series(NAMES, NAMES))
    same_as_arrays(fitted(pd.Series(Y, NAMES), design))
    with pytest.raises(AlignmentError, match="1 of 24 rows are not in 'sample_ids'"):
        vm.ArraySource(WHOLE, sample_ids=pd.Series(NAMES, ["other", *NAMES[1:]]))


def test_columns_of_an_arrow_table_name_the_rows_of_a_kernel() -> None:
    arrow = pytest.importorskip("pyarrow")
    kernel = X @ X.T
    table = arrow.table({name: kernel[:, at] for at, name in enumerate(NAMES)})
    found = vm.variance_components(pd.Series(Y, NAMES).iloc[ORDER], kernels={"k": table})
    expected = vm.variance_components(Y, kernels={"k": kernel})
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-9)


def test_missing_entries_of_pandas_among_objects_are_nan() -> None:
    np.testing.assert_array_equal(real_numbers(pd.Series([1, pd.NA, 2.5], dtype=object), "y"), [1.0, np.nan, 2.5])
    hidden = np.ma.array([1, pd.NA, 2.5], mask=[True, False, False], dtype=object)
    np.testing.assert_array_equal(real_numbers(hidden, "y"), [np.nan, np.nan, 2.5])
    with pytest.raises(DataError, match="y holds text"):
        real_numbers(np.array([1, pd.NA, "a"], dtype=object), "y")


def test_float32_ids_are_refused_beyond_two_to_the_24() -> None:
    narrow = (2**24 + 4 * np.arange(ROWS)).astype(np.float32)
    for table in (pd.Series(Y, narrow), pd.DataFrame({"IID": narrow, "y": Y})):
        with pytest.raises(DataError, match=r"a float beyond 2\^24"):
            labelled(table, "people")
