"""Claims about finding the same people in several sources."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varmix.errors import AlignmentError, OptionError
from varmix.tables.alignment import align


def people(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["FID", "IID"])


def by_iid(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"IID": list(names)})


def test_the_order_of_the_first_source_is_kept() -> None:
    first = people(("f", "c"), ("f", "a"), ("g", "a"), ("f", "x"))
    second = people(("g", "a"), ("f", "a"), ("f", "b"), ("f", "c"))
    result = align({"traits": first, "genotypes": second})
    assert result.positions["traits"].tolist() == [0, 1, 2]
    assert result.positions["genotypes"].tolist() == [3, 1, 0]
    assert result.matched_by == "FID and IID"
    assert dict(result.given) == {"traits": 4, "genotypes": 4}
    assert dict(result.lost) == {"traits": 1, "genotypes": 1}
    assert dict(result.first_lost) == {"traits": "f x", "genotypes": "f b"}
    assert result.sample_ids["IID"].tolist() == ["c", "a", "a"]
    assert result.n == 3


@given(st.lists(st.lists(st.integers(0, 12), unique=True, min_size=1), min_size=1, max_size=4))
def test_positions_point_at_the_same_person_everywhere(drawn: list[list[int]]) -> None:
    tables = {f"t{at}": by_iid(*map(str, numbers)) for at, numbers in enumerate(drawn)}
    shared = set.intersection(*map(set, drawn))
    if not shared:
        with pytest.raises(AlignmentError):
            align(tables)
        return
    result = align(tables)
    expected = [str(number) for number in drawn[0] if number in shared]
    for name, table in tables.items():
        assert table["IID"].to_numpy()[result.positions[name]].tolist() == expected


@pytest.mark.parametrize("family", [None, "0"])
def test_without_families_people_are_matched_by_iid(family: str | None) -> None:
    plain = by_iid("b", "a") if family is None else people((family, "b"), (family, "a"))
    result = align({"traits": people(("f", "a"), ("g", "b")), "genotypes": plain})
    assert result.matched_by == "IID"
    assert result.positions["genotypes"].tolist() == [1, 0]
    assert result.sample_ids["FID"].tolist() == ["f", "g"]
    with pytest.raises(AlignmentError, match=r"IID 'a' stands for several people in 'traits' \(FIDs f, g\)"):
        align({"traits": people(("f", "a"), ("g", "a")), "genotypes": plain})


def test_numbers_and_text_are_the_same_id() -> None:
    result = align({"a": pd.DataFrame({"FID": [1, 2], "IID": [1, 2]}), "b": people(("2", "2"), ("1", "1"))})
    assert result.positions["b"].tolist() == [1, 0]


def test_duplicates_are_refused_naming_the_first() -> None:
    with pytest.raises(AlignmentError, match=r"'t' lists 1 people .* FID 'f', IID 'b' \(entries 2 and 4\)"):
        align({"t": people(("f", "a"), ("f", "b"), ("f", "c"), ("f", "b"))})


@pytest.mark.parametrize(
    ("other", "hint"),
    [
        (people(("a1", "f"), ("a2", "f2")), "swapped"),
        (people(("x", "a1"), ("x", "a2")), "FIDs do not"),
        (people(("q", "f_a1"), ("q", "f_a2")), "'_'"),
        (people(("f", "A1"), ("f", "A2")), "upper and lower"),
        (people(("f", "z")), "same people"),
    ],
)
def test_nobody_shared_shows_both_sides_and_a_hint(other: pd.DataFrame, hint: str) -> None:
    with pytest.raises(AlignmentError, match=hint) as caught:
        align({"traits": people(("f", "a1"), ("f", "a2")), "genotypes": other})
    assert "f a1" in str(caught.value)
    assert f"{other['FID'][0]} {other['IID'][0]}" in str(caught.value)


def test_lost_leading_zeros_are_recognised() -> None:
    with pytest.raises(AlignmentError, match="leading zeros"):
        align({"traits": by_iid("1", "2"), "genotypes": by_iid("001", "002")})


def test_loss_is_an_error_when_asked() -> None:
    tables = {"traits": by_iid("a", "b", "c"), "genotypes": by_iid("c", "a", "d")}
    assert align(tables).n == 2
    with pytest.raises(AlignmentError, match=r"1 of 3 rows are not in 'genotypes' \(first: 'b'\)"):
        align(tables, on_missing="error")
    with pytest.raises(OptionError):
        align(tables, on_missing="ignore")  # type: ignore[arg-type]
    with pytest.raises(AlignmentError, match="nothing"):
        align({})
    with pytest.raises(AlignmentError, match="IID is needed"):
        align({"a": pd.DataFrame({"id": ["x"]})})
    with pytest.raises(AlignmentError, match="all of a, b, c"):
        align({"a": by_iid("1", "2"), "b": by_iid("1", "3"), "c": by_iid("2", "3")})


def test_positions_are_integers_for_indexing() -> None:
    result = align({"a": by_iid("x", "y")})
    assert result.positions["a"].dtype == np.intp
