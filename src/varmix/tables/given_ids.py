"""Ids that are given beside a table, in place of what its own rows are called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, ShapeError
from varmix.tables.alignment import join
from varmix.tables.frame import mapping_frame
from varmix.tables.identifiers import sample_table
from varmix.tables.labels import Labels, labelled

MOSTLY = 0.5
"""Share of rows that are called as some id is from which they are called by these ids, and not by other numbers."""


def named_column(sample_ids: Any) -> str | None:
    """The column that `sample_ids` names in every table; None where it holds the ids themselves."""
    return sample_ids if isinstance(sample_ids, str) else None


def with_ids(labels: Labels, sample_ids: Any, name: str) -> Labels:
    """The labels of `name` with the ids given: joined to its rows by the index where both have one, else row by row.

    Raises ShapeError (another number of ids), AlignmentError (an index that does not name every row; rows that the
    table itself calls by these ids in another order).
    """
    sample_ids = mapping_frame(sample_ids)
    ids = sample_table(sample_ids, name)
    if len(ids) != labels.rows:
        raise ShapeError(
            f"There are {len(ids):,} sample ids for {labels.rows:,} rows of '{name}'. Give one id per row."
        )
    own = replace(labelled(sample_ids, "sample_ids")[0], ids=None)
    places = join({name: replace(labels, ids=None), "sample_ids": own}, on_missing="error", remedy="Name them all.")
    if places.matched_by == "position":
        _refuse_another_order(labels, ids, name)
    return replace(labels, ids=ids.iloc[places.positions["sample_ids"]].reset_index(drop=True))


def _refuse_another_order(labels: Labels, ids: pd.DataFrame, name: str) -> None:
    given = pd.Index(ids["IID"].to_numpy(dtype=object))
    called = labels.individuals if labels.ids is not None else labels.index
    if called is None:
        return
    shared = np.asarray(called.isin(given))
    needed = labels.rows if labels.ids is None and labels.sliced else MOSTLY * labels.rows
    moved = shared & np.asarray(called != given)
    if labels.rows and shared.sum() >= needed and moved.any():
        at = int(moved.argmax())
        raise AlignmentError(
            f"Row {at} of '{name}' (counted from 0) is called '{called[at]}' in the table and '{given[at]}' in "
            "sample_ids, which list the same people in another order. Leave sample_ids out to go by the table, or drop "
            "its ids or index (.reset_index(drop=True)) to go by sample_ids."
        )
