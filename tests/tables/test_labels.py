"""Claims about what names the rows of a table, and how two tables are joined by it."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.errors import AlignmentError, DataError, RepairWarning, ShapeError
from varmix.tables.alignment import join, warn_of_loss
from varmix.tables.labels import Labels, column_labels, labelled

polars = pytest.importorskip("polars")


def labels(data: Any, **options: Any) -> Labels:
    return labelled(data, "table", **options)[0]


def series(index: Any) -> pd.Series[float]:
    return pd.Series(np.arange(float(len(index))), index=index)


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"FID": ["f", "g"], "IID": ["1", "2"], "y": [0.0, 1.0]}),
        pd.DataFrame({"#FID": ["f", "g"], "IID": [1, 2], "y": [0.0, 1.0]}),
        pd.DataFrame({"y": [0.0, 1.0], "iid": [1.0, 2.0], "fid": ["f", "g"]}),
        pd.DataFrame({"FID": ["f", "g"], "IID": ["1", "2"], "y": [0.0, 1.0]}).set_index(["FID", "IID"]),
        pd.DataFrame({"y": [0.0, 1.0], "IID": ["1", "2"], "FID": ["f", "g"]}).set_index(["IID", "FID"])["y"],
        polars.DataFrame({"FID": ["f", "g"], "IID": [1, 2], "y": [0.0, 1.0]}),
        {"FID": ["f", "g"], "IID": [1, 2], "y": [0.0, 1.0]},
    ],
)
def test_people_are_named_by_columns_or_levels_in_any_case(data: Any) -> None:
    known, rest = labelled(data, "table")
    assert known.ids is not None
    assert known.people.tolist() == ["f\t1", "g\t2"]
    assert [known.shown(row) for row in (0, 1)] == ["f 1", "g 2"]
    assert getattr(rest, "columns", ["y"])[0] == "y"
    assert np.asarray(rest).ravel().tolist() == [0.0, 1.0]


def test_a_column_may_be_named_as_that_of_the_ids() -> None:
    data = pd.DataFrame({"person": [3, 4], "y": [0.0, 1.0]})
    assert labels(data).ids is None
    known, rest = labelled(data, "table", "person")
    assert known.individuals.tolist() == ["3", "4"]
    assert rest.columns.tolist() == ["y"]


@pytest.mark.parametrize(
    ("index", "kind"),
    [
        (pd.RangeIndex(3), "counted"),
        (pd.RangeIndex(1, 4), "sliced"),
        (pd.RangeIndex(2, -1, -1), "sliced"),
        (pd.Index([0, 1, 2]), "sliced"),
        (pd.Index([2.0, 0.0, 1.0]), "sliced"),
        (pd.Index([7, 8, 9], name="id"), "named"),
        (pd.Index(["a", "b", "c"]), "named"),
        (pd.date_range("2020-01-01", periods=3), "named"),
        (pd.CategoricalIndex(["a", "b", "c"]), "named"),
    ],
)
def test_an_index_that_counts_is_no_label_and_one_that_slicing_left_is_less_than_a_name(index: Any, kind: str) -> None:
    known = labels(series(index))
    assert known.counted == (kind == "counted")
    assert (known.index is None) == (kind == "counted")
    assert known.sliced == (kind == "sliced")
    assert (known.table() is not None) == (kind == "named")


def test_families_without_individuals_and_missing_individuals_are_refused() -> None:
    with pytest.raises(AlignmentError, match="a column FID and no IID"):
        labels(pd.DataFrame({"FID": [1, 2], "y": [0.0, 1.0]}))
    with pytest.raises(AlignmentError, match="no IID in row 1"):
        labels(pd.DataFrame({"IID": ["a", None], "y": [0.0, 1.0]}))


@pytest.mark.parametrize("shape", [np.zeros(4), np.zeros((4, 2)), [1.0, 2.0, 3.0, 4.0], polars.Series([1, 2, 3, 4])])
def test_arrays_have_no_labels(shape: Any) -> None:
    known = labels(shape)
    assert (known.rows, known.known, known.counted) == (4, False, False)


def found(first: Any, second: Any) -> list[int]:
    return join({"first": labels(first), "second": labels(second)}).positions["second"].tolist()


A = ["a", "b", "c", "d"]
PERSON = pd.DataFrame({"FID": "f", "IID": A, "y": np.arange(4.0)})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (series(A), series(list("dcba"))),
        (PERSON, series(list("dcba"))),
        (series(A), PERSON.iloc[::-1]),
        (PERSON.set_index(["FID", "IID"]), PERSON.iloc[::-1].drop(columns="FID")),
        (series([4, 5, 6, 7]), series([7, 6, 5, 4])),
        (series(pd.Index([4, 5, 6, 7], name="id")), series([7, 6, 5, 4])),
        (PERSON.assign(IID=[11, 12, 13, 14]), series([14, 13, 12, 11])),
        (PERSON.assign(IID=["11", "12", "13", "14"]), series(pd.Index([14.0, 13.0, 12.0, 11.0], name="id"))),
        (series(pd.date_range("2020-01-01", periods=4)), series([dt.date(2020, 1, day) for day in (4, 3, 2, 1)])),
        # The index that slicing left agrees, and a better id says otherwise.
        (PERSON, PERSON.iloc[::-1].reset_index(drop=True)),
        # Without an id on one side what slicing left is all there is.
        (PERSON.set_index(pd.Index([7, 8, 9, 10])), series([10, 9, 8, 7])),
    ],
)
def test_rows_are_found_by_what_they_are_called(first: Any, second: Any) -> None:
    assert found(first, second) == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (series(A), np.zeros(4)),
        (series(A), series(range(4))),
        (np.zeros(4), series(A)),
        (PERSON, np.zeros((4, 2))),
        (series([5, 3, 8, 9]), series(range(4))),
        (series(pd.RangeIndex(10, 14)), series(range(4))),
        (series(list("aabb")), series(list("aabb"))),
    ],
)
def test_what_has_no_labels_goes_by_position(first: Any, second: Any) -> None:
    assert found(first, second) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("first", "second", "error", "words"),
    [
        (series(A), np.zeros(5), ShapeError, "'second' has 5 rows, the first 4.*its rows have labels"),
        (series(A), series(list("wxyz")), AlignmentError, "index: a; b; c.*index: w; x; y"),
        (series(list("aabb")), series(list("abab")), AlignmentError, "lists 'a' more than once"),
        (series(["a", None, "c", "d"]), series(list("dcba")), AlignmentError, "no label in row 1"),
        (series([3, 1, 0, 2]), series(range(4)), AlignmentError, "in another order.*would be a guess"),
        (series(range(4)), series(pd.RangeIndex(3, -1, -1)), AlignmentError, "in another order"),
        # 1 to 4 and what slicing left of 0 to 3 agree in three by accident.
        (PERSON.assign(IID=[1, 2, 3, 4]), series([3, 0, 1, 2]), AlignmentError, "Nobody is in both"),
        (PERSON, PERSON.assign(FID="g"), AlignmentError, "IIDs match and the FIDs do not"),
    ],
)
def test_labels_that_cannot_be_joined_are_refused(first: Any, second: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=f"(?i){words}"):
        found(first, second)


def test_sources_that_contradict_one_another_are_refused_beside_a_first_without_labels() -> None:
    sources = {"y": labels(np.zeros(4)), "x": labels(series(A)), "z": labels(series(list("abdc")))}
    with pytest.raises(AlignmentError, match=r"'x' and 'z' have theirs in\s+different orders \(row 2"):
        join(sources)
    sources["z"] = labels(series(A))
    assert join(sources).matched_by == "position"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name: name.upper(), "upper and lower case"),
        (lambda name: f"cohort_{name}", "'cohort_p?' that one side begins with"),
        (lambda name: name.replace("p", "p00"), None),
        (lambda name: name.removeprefix("p0"), "begins with"),
    ],
)
def test_a_loss_of_more_than_a_tenth_is_told_with_a_hint(change: Any, words: str | None) -> None:
    names = [f"p{number:03}" for number in range(20)]
    other = [change(name) if at >= 16 else name for at, name in enumerate(names)]
    alignment = join({"y": labels(series(names)), "x": labels(series(other))})
    assert (alignment.n, alignment.lost["y"], alignment.first_lost["y"]) == (16, 4, "p016")
    with pytest.warns(RepairWarning, match=r"4 of 20 rows of 'y' are not in 'x' \(first: 'p016'\)") as caught:
        warn_of_loss(alignment)
    assert re.search(words or r"left out\.$", str(caught[0].message))


def test_the_names_of_columns_are_labels_unless_a_library_counted_them() -> None:
    assert column_labels(pd.DataFrame(np.zeros((2, 2)), columns=["b", "a"]), "K").index.tolist() == ["b", "a"]
    assert not column_labels(pd.DataFrame(np.zeros((2, 2))), "K").known
    assert not column_labels(polars.DataFrame(np.zeros((2, 2))), "K").known
    assert column_labels(polars.DataFrame({"b": [1.0], "a": [2.0]}), "K").index.tolist() == ["b", "a"]


def test_floats_among_which_neighbours_are_one_are_no_ids() -> None:
    with pytest.raises(DataError, match=r"a float beyond 2\^53"):
        labels(pd.DataFrame({"IID": [2.0**60, 2.0**61], "y": [0.0, 1.0]}))
