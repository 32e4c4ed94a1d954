"""The same rows found in several tables, files and matrices, by what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, OptionError, RepairWarning, ShapeError, warn
from varmix.tables.hints import hint
from varmix.tables.identifiers import sample_table
from varmix.tables.labels import Labels
from varmix.typing import Index, Mask

OnMissing = Literal["drop", "error"]
EXAMPLES = 3
"""Labels shown of each side when nothing matches."""
MUCH = 0.1
"""Share of the first source's rows that may be lost without a warning: some people always are."""
BY_POSITION = "To pair rows by position pass what has no labels: .to_numpy(), or .reset_index(drop=True) of both."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """The rows shared by all sources, in the order of the first.

    `positions[name]` are their rows in each source, shape (n,); `sample_ids` their FID and IID (those of the first
    source; None where it has none). Of the first source and those joined by label: `given[name]` is how many rows each
    had, `lost[name]` how many of these are not shared and `first_lost[name]` the first of them. `matched_by` is "FID
    and IID", "IID", "labels", or "position" where nothing is joined by label.
    """

    positions: Mapping[str, Index]
    sample_ids: pd.DataFrame | None
    given: Mapping[str, int]
    lost: Mapping[str, int]
    first_lost: Mapping[str, str | None]
    matched_by: str
    advice: str = ""
    """What may be wrong with the labels where more than a tenth of the first source is lost."""

    @property
    def n(self) -> int:
        """Rows shared."""
        return len(next(iter(self.positions.values())))


def align(tables: Mapping[str, pd.DataFrame], *, on_missing: OnMissing = "drop") -> Alignment:
    """Join tables of ids: `tables` maps a name to a data frame with IID and, if known, FID; see `join`."""
    sources = {
        name: Labels(rows=len(ids), ids=ids)
        for name, ids in ((name, sample_table(table, name)) for name, table in tables.items())
    }
    return join(sources, on_missing=on_missing)


def join(
    sources: Mapping[str, Labels], *, on_missing: OnMissing = "drop", remedy: str = 'Pass on_missing="drop".'
) -> Alignment:
    """Find the rows of the first source in the others, by the best labels that both have.

    People by FID and IID, or by IID where one of two sources has no family ids (absent, or all '0'); an index by its
    text, also with IIDs. A source without labels goes by position with the first and must have as many rows. `remedy`
    ends the error of on_missing="error".

    Raises AlignmentError: labels on both sides that do not match or are not unique, sources that have labels in
    different orders beside a first source that has none, nobody shared, and with on_missing="error" any row of the
    first source that is lost; ShapeError: other numbers of rows without labels; OptionError.
    """
    if on_missing not in get_args(OnMissing):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use one of {', '.join(get_args(OnMissing))}.")
    if not sources:
        raise AlignmentError("There is nothing to align. Give at least one table of sample ids.")
    first, *others = sources
    anchor = sources[first]
    places: dict[str, Index] = {}
    ways: dict[str, str] = {}
    for other in others:
        found = _found(first, anchor, other, sources[other])
        if found is not None:
            ways[other], places[other] = found
    _refuse_contradictions({name: sources[name] for name in sources if name not in places}, first)
    shared: Mask = np.ones(anchor.rows, dtype=np.bool_)
    for other, place in places.items():
        there: Mask = place >= 0
        if on_missing == "error" and not there.all():
            raise AlignmentError(_somebody(anchor, sources[other], there, other, remedy))
        shared &= there
    if anchor.rows and not shared.any():
        raise AlignmentError(f"Nobody is in all of {', '.join(sources)} at once, although each two overlap. Check ids.")
    rows = np.flatnonzero(shared)
    positions = {name: places[name][rows] if name in places else rows for name in sources}
    joined = [name for name in sources if name == first or name in places]
    absent = {name: place < 0 for name, place in places.items()}
    table = anchor.table()
    return Alignment(
        positions=positions,
        sample_ids=None if table is None else table.iloc[rows].reset_index(drop=True),
        given={name: sources[name].rows for name in joined},
        lost={name: sources[name].rows - len(rows) for name in joined},
        first_lost={name: _first_lost(sources[name], positions[name]) for name in joined},
        matched_by=next((way for way in ("labels", "IID", "FID and IID") if way in ways.values()), "position"),
        advice=next(
            (
                told
                for name, gone in absent.items()
                if gone.mean() > MUCH and (told := hint(anchor, sources[name], gone))
            ),
            "",
        ),
    )


def warn_of_loss(alignment: Alignment) -> None:
    """A RepairWarning where more than a tenth of the first source is lost, with what may be wrong."""
    first, *others = alignment.given
    lost, given = alignment.lost[first], alignment.given[first]
    if lost > MUCH * given:
        warn(
            f"{lost:,} of {given:,} rows of '{first}' are not in {' and '.join(map(repr, others))} (first: "
            f"'{alignment.first_lost[first]}') and are left out. {alignment.advice}".rstrip(),
            RepairWarning,
        )


def _found(left: str, mine: Labels, right: str, theirs: Labels) -> tuple[str, Index] | None:
    """How two sources are joined, and the row of the second for each of the first (n,), -1 where it has none.

    None where they go by position.
    """
    ways = list(_ways(mine, theirs))
    met = [(way, one, other) for way, one, other in ways if _meet(way, one, other)]
    if met:
        way, one, other = next((item for item in met if _same(*item[1:])), met[0])
        same = _same(one, other)
        if not same or way != "labels":
            _refuse_twice(one, mine, left, way)
            _refuse_twice(other, theirs, right, way)
        place = np.arange(len(one)) if same else other.get_indexer(one)
        _refuse_second_meaning(left, right, place, [item[1:] for item in met if item[0] != way])
        return way.replace("index and ", ""), place.astype(np.intp)
    if ways:
        raise AlignmentError(_nobody(left, mine, right, theirs, ways[0][0]))
    refuse_renumbered(left, mine, right, theirs)
    if mine.rows != theirs.rows:
        why = " Its rows have labels and those of the other have none." if mine.known or theirs.known else ""
        raise ShapeError(
            f"'{right}' has {theirs.rows:,} rows, the {left} {mine.rows:,}, and they cannot be joined by label.{why} "
            "Give the same rows in the same order, or ids in both (sample_ids=, columns FID and IID, an index)."
        )
    return None


def _ways(mine: Labels, theirs: Labels) -> Iterator[tuple[str, pd.Index[Any], pd.Index[Any]]]:
    """Pairs of labels that two sources have in common, the best first."""
    if mine.ids is not None and theirs.ids is not None:
        if mine.families and theirs.families:
            yield "FID and IID", mine.people, theirs.people
        else:
            yield "IID", mine.individuals, theirs.individuals
        return
    if mine.index is not None and theirs.index is not None and mine.sliced == theirs.sliced:
        yield "labels", mine.index, theirs.index
    if mine.ids is not None and theirs.index is not None:
        yield "index and IID" if theirs.sliced else "IID", mine.individuals, theirs.index
    if mine.index is not None and theirs.ids is not None:
        yield "index and IID" if mine.sliced else "IID", mine.index, theirs.individuals
    if mine.index is not None and theirs.index is not None and mine.sliced != theirs.sliced:
        yield "labels", mine.index, theirs.index


def _meet(way: str, one: pd.Index[Any], other: pd.Index[Any]) -> bool:
    """Whether any label is in both; whole numbers that slicing left must all be there, since some agree by accident."""
    shared = one.isin(other)
    return bool(shared.any()) and (way != "index and IID" or bool(shared.all()) or bool(other.isin(one).all()))


def _same(one: pd.Index[Any], other: pd.Index[Any]) -> bool:
    """Whether they are the same labels in the same order."""
    return len(one) == len(other) and bool((one == other).all()) and not one.isna().any()


def _refuse_second_meaning(left: str, right: str, place: Index, met: list[tuple[pd.Index[Any], pd.Index[Any]]]) -> None:
    """Ids of one that match the index of the other, whose own indexes match as well, must say the same."""
    for one, other in met:
        if not (one.is_unique and other.is_unique):
            continue
        again = other.get_indexer(one)
        differs = (again >= 0) & (place >= 0) & (again != place)
        if differs.any():
            at = int(differs.argmax())
            raise AlignmentError(
                f"The rows of '{left}' and '{right}' can be joined by their indexes and by IID against index, and the "
                f"two disagree (row {at} of '{left}', counted from 0, is row {place[at]} or {again[at]} of '{right}'). "
                "Name the level of the index that holds the ids IID, or drop an index by .reset_index(drop=True)."
            )


def _refuse_twice(labels: pd.Index[Any], source: Labels, name: str, way: str) -> None:
    absent = labels.isna()
    if absent.any():
        raise AlignmentError(
            f"'{name}' has no label in row {int(absent.argmax())} (counted from 0), and its rows are joined by label. "
            "Name every row, or leave such rows out."
        )
    repeated = labels.duplicated()
    if not repeated.any():
        return
    label = labels[int(repeated.argmax())]
    at = np.flatnonzero(labels == label)
    count = int(repeated.sum())
    if source.families and way != "FID and IID":
        families = [source.ids["FID"].iloc[row] for row in at] if source.ids is not None else []
        raise AlignmentError(
            f"IID '{label}' stands for several people in '{name}' (FIDs {', '.join(families[:EXAMPLES])}), and "
            f"another source has no family ids to tell them apart ({count:,} such entries). Add FIDs to every source."
        )
    raise AlignmentError(
        f"'{name}' lists {source.shown(int(at[0]))!r} more than once (rows {at[0]} and {at[1]}, counted from 0; "
        f"{count:,} such entries), so its rows cannot be joined by label. Keep one row each. {BY_POSITION}"
    )


def refuse_renumbered(left: str, mine: Labels, right: str, theirs: Labels) -> None:
    """Raise AlignmentError for a data frame numbered from 0 beside one whose numbers are the same in another order:
    which is meant is a guess."""
    for name, other, kept, moved in ((left, right, mine, theirs), (right, left, theirs, mine)):
        if not kept.counted or moved.counted or not moved.known or kept.rows != moved.rows:
            continue
        counted = np.arange(kept.rows) if kept.numbers is None else kept.numbers
        numbers = pd.Index(counted.astype(str).astype(object))
        names = moved.individuals if moved.index is None else moved.index
        if not (names == numbers).all() and set(names) == set(numbers):
            raise AlignmentError(
                f"The {'IIDs' if moved.index is None else 'labels'} of '{other}' are the numbers "
                f"{', '.join(names[:EXAMPLES])}, ..., those of '{name}' in another order: whether its rows go by "
                f"number or by position would be a guess. {BY_POSITION} To join them by label name the index of "
                "both."
            )


def _refuse_contradictions(sources: Mapping[str, Labels], first: str) -> None:
    """Sources that go by position must not have labels that say otherwise."""
    named = {name: labels for name, labels in sources.items() if labels.known and name != first}
    for (left, mine), (right, theirs) in combinations(named.items(), 2):
        found = _found(left, mine, right, theirs) if mine is not theirs else None  # columns of one table
        if found is not None and not (found[1] == np.arange(mine.rows)).all():
            at = int((found[1] != np.arange(mine.rows)).argmax())
            raise AlignmentError(
                f"'{first}' has no labels, so its rows go by position, and '{left}' and '{right}' have theirs in "
                f"different orders (row {at}, counted from 0, is '{mine.shown(at)}' and '{theirs.shown(at)}'). Give "
                f"'{first}' labels, too: sample_ids=, columns FID and IID, or an index."
            )


def _first_lost(source: Labels, used: Index) -> str | None:
    lost = np.ones(source.rows, dtype=np.bool_)
    lost[used] = False
    return source.shown(int(lost.argmax())) if lost.any() else None


def _somebody(anchor: Labels, theirs: Labels, found: Mask, other: str, remedy: str) -> str:
    absent = int((~found).sum())
    advice = hint(anchor, theirs, ~found) if absent > MUCH * anchor.rows else ""
    return (
        f"{absent:,} of {anchor.rows:,} rows are not in '{other}' (first: '{anchor.shown(int((~found).argmax()))}'). "
        f"{advice or remedy}"
    )


def _nobody(left: str, mine: Labels, right: str, theirs: Labels, way: str) -> str:
    def examples(source: Labels) -> str:
        kind = "FID IID" if source.families else "IID" if source.ids is not None else "index"
        return f"{kind}: {'; '.join(source.shown(row) for row in range(min(EXAMPLES, source.rows)))}"

    advice = hint(mine, theirs, np.ones(mine.rows, dtype=np.bool_)) or "Check that both describe the same people."
    how = way.replace("index and ", "")
    also = "" if mine.ids is not None and theirs.ids is not None else f" {BY_POSITION}"
    return (
        f"Nobody is in both '{left}' ({examples(mine)}) and '{right}' ({examples(theirs)}), matched by {how}. "
        f"{advice}{also}"
    )
