"""The same people found in several tables, files and matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import AlignmentError, OptionError
from varmix.tables.identifiers import NO_FAMILY, SAMPLE_COLUMNS, sample_table
from varmix.typing import Index

OnMissing = Literal["drop", "error"]
SEPARATOR = "\t"
"""Between FID and IID in a joint key: ids are read from text split at blanks or tabs, so neither contains it."""
EXAMPLES = 3
"""Ids shown of each side when nothing matches."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """The people shared by all sources, in the order of the first.

    `positions[name]` are their rows in each source, shape (n,); `sample_ids` their FID and IID (those of the first
    source); `given[name]` how many each source had, `lost[name]` how many of these are not shared and
    `first_lost[name]` the first of them; `matched_by` is "FID and IID" or "IID".
    """

    positions: Mapping[str, Index]
    sample_ids: pd.DataFrame
    given: Mapping[str, int]
    lost: Mapping[str, int]
    first_lost: Mapping[str, str | None]
    matched_by: Literal["FID and IID", "IID"]

    @property
    def n(self) -> int:
        """People shared."""
        return len(self.sample_ids)


def align(tables: Mapping[str, pd.DataFrame], *, on_missing: OnMissing = "drop") -> Alignment:
    """Join sources by (FID, IID), or by IID when one of them has no family ids (absent, or all '0').

    `tables` maps a name to a data frame with IID and, if known, FID; other columns are ignored. Raises AlignmentError:
    a person listed twice, an IID that stands for several people when joined by IID, nobody shared, and with
    on_missing="error" anybody of the first source who is lost.
    """
    if on_missing not in get_args(OnMissing):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use one of {', '.join(get_args(OnMissing))}.")
    if not tables:
        raise AlignmentError("There is nothing to align. Give at least one table of sample ids.")
    ids = {name: sample_table(table, name) for name, table in tables.items()}
    joint = all(bool((table["FID"] != NO_FAMILY).any()) for table in ids.values())
    keys = {name: _keys(table, joint) for name, table in ids.items()}
    if not joint:
        for name, index in keys.items():
            _refuse_ambiguous(index, ids[name], name)
    first, *others = ids
    shared = np.ones(len(ids[first]), dtype=np.bool_)
    for other in others:
        found = keys[first].isin(keys[other])
        if not found.any():
            raise AlignmentError(_nobody(first, ids[first], other, ids[other], joint))
        if on_missing == "error" and not found.all():
            raise AlignmentError(_somebody(ids[first], found, other))
        shared &= found
    if not shared.any():
        raise AlignmentError(f"Nobody is in all of {', '.join(ids)} at once, although each two overlap. Check the ids.")
    chosen = keys[first][shared]
    positions: dict[str, Index] = {name: index.get_indexer(chosen).astype(np.intp) for name, index in keys.items()}
    return Alignment(
        positions=positions,
        sample_ids=ids[first].iloc[positions[first]].reset_index(drop=True),
        given={name: len(table) for name, table in ids.items()},
        lost={name: len(table) - int(shared.sum()) for name, table in ids.items()},
        first_lost={name: _first_lost(ids[name], positions[name]) for name in ids},
        matched_by="FID and IID" if joint else "IID",
    )


def _keys(table: pd.DataFrame, joint: bool) -> pd.Index:
    if joint:
        return pd.Index((table["FID"] + SEPARATOR + table["IID"]).to_numpy(dtype=object))
    return pd.Index(table["IID"].to_numpy(dtype=object))


def _refuse_ambiguous(index: pd.Index, table: pd.DataFrame, name: str) -> None:
    repeated = index.duplicated()
    if not repeated.any():
        return
    individual = str(index[int(repeated.argmax())])
    families = table.loc[(table["IID"] == individual).to_numpy(), "FID"].tolist()
    raise AlignmentError(
        f"IID '{individual}' stands for several people in '{name}' (FIDs {', '.join(families[:EXAMPLES])}), and "
        f"another source has no family ids to tell them apart ({int(repeated.sum()):,} such entries). Add FIDs to "
        "every source."
    )


def _first_lost(table: pd.DataFrame, used: Index) -> str | None:
    lost = np.ones(len(table), dtype=np.bool_)
    lost[used] = False
    return str(table["IID"].iloc[int(lost.argmax())]) if lost.any() else None


def _somebody(table: pd.DataFrame, found: NDArray[np.bool_], other: str) -> str:
    absent = int((~found).sum())
    return (
        f"{absent:,} of {len(table):,} people are not in '{other}' (first: "
        f"'{table['IID'].iloc[int((~found).argmax())]}'). "
        f'Pass on_missing="drop" to use the {int(found.sum()):,} shared people.'
    )


def _nobody(left: str, mine: pd.DataFrame, right: str, theirs: pd.DataFrame, joint: bool) -> str:
    def examples(table: pd.DataFrame) -> str:
        shown = table.head(EXAMPLES)
        return "; ".join(
            f"{family} {individual}" for family, individual in zip(shown["FID"], shown["IID"], strict=True)
        )

    return (
        f"Nobody is in both '{left}' (FID IID: {examples(mine)}) and '{right}' (FID IID: {examples(theirs)}), matched "
        f"by {'FID and IID' if joint else 'IID'}. {_hint(mine, theirs)}"
    )


def _hint(mine: pd.DataFrame, theirs: pd.DataFrame) -> str:
    family, individual = (set(mine[column]) for column in SAMPLE_COLUMNS)
    other_family, other_individual = (set(theirs[column]) for column in SAMPLE_COLUMNS)
    joined = set(mine["FID"] + "_" + mine["IID"])
    other_joined = set(theirs["FID"] + "_" + theirs["IID"])
    if individual & other_individual:
        return "The IIDs match and the FIDs do not: write the same FIDs, or 0 for all in one of them."
    if (individual & other_family) or (family & other_individual):
        return "The IIDs of one are the FIDs of the other: FID and IID seem to be swapped."
    if (individual & other_joined) or (joined & other_individual):
        return "One of them joins FID and IID with '_': split them into two columns."
    if {item.lstrip("0") for item in individual} & {item.lstrip("0") for item in other_individual}:
        return "They match without leading zeros: one of them was read as numbers."
    if {item.casefold() for item in individual} & {item.casefold() for item in other_individual}:
        return "They match apart from upper and lower case."
    return "Check that both describe the same people."
