"""A table of variant ids with labels or columns of 0 and 1, made groups of ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import DataError, RepairWarning, warn
from varmix.tables.frame import try_frame
from varmix.tables.identifiers import id_text
from varmix.tables.roles import VARIANT_ID_NAMES
from varmix.tables.table_file import MISSING_TOKENS
from varmix.typing import Mask

MAP_NAMES = frozenset(
    {"chr", "chrom", "chromosome", "bp", "pos", "position", "cm", "morgans", "a1", "a2", "ref", "alt"}
)
"""Headings of columns that say where a variant is, as in LDSC's .annot; left out beside others, for a file of one
chromosome has 1 throughout."""


def groups_of(annotation: Any) -> dict[str, list[str]]:
    """Variant ids per group, each id once in a group.

    `annotation` is a mapping of groups to ids; a data frame of any kind with a column of ids (or, pandas, ids as the
    index) and a column of labels or several of 0 and 1; or a pandas Series of labels by id. An id may be in several
    groups; where two rows of labels do that, a RepairWarning counts it. Labels and marks that are missing (None, NaN,
    NA, '.', nothing) put an id in no group. Rows without an id are left out with a RepairWarning. Raises DataError (no
    table, no column besides ids, marks other than 0 and 1, a group without ids).
    """
    if isinstance(annotation, Mapping):
        return _of_mapping(annotation)
    names, columns = _columns(annotation)
    at = next((at for at, name in enumerate(names) if _heading(name) in VARIANT_ID_NAMES), 0)
    rest = [other for other in range(len(names)) if other != at]
    rest = [other for other in rest if _heading(names[other]) not in MAP_NAMES] or rest
    if not rest:
        raise DataError(f"The annotation table has only the column '{names[at]}'. Add a column of labels.")
    known = ~_missing(columns[at])
    if not known.all():
        warn(f"{int((~known).sum()):,} rows of the annotation have no variant id and are left out.", RepairWarning)
    ids = id_text(columns[at])[known]
    cells = {names[other]: columns[other][known] for other in rest}
    if len(rest) == 1:
        labels = cells[names[rest[0]]]
        if _marks(labels) is None:
            return _of_labels(ids, labels)
    return _of_marks(ids, cells)


def _of_mapping(groups: Mapping[Any, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, ids in groups.items():
        if isinstance(ids, str | bytes) or not np.iterable(ids):
            raise DataError(f"Annotation '{name}' is {ids!r}, one value. Give a list of variant ids per annotation.")
        found[str(name)] = [item for item in dict.fromkeys(id_text(list(ids))) if item is not None]
        if not found[str(name)]:
            raise DataError(f"Annotation '{name}' names no variant. Remove it.")
    if not found:
        raise DataError("There is no annotation. Give a list of variant ids for each.")
    return found


def _of_labels(ids: NDArray[np.object_], labels: NDArray[np.object_]) -> dict[str, list[str]]:
    text = id_text(labels)
    groups: dict[str, dict[str, None]] = {}
    labelled: dict[str, str] = {}
    several: dict[str, tuple[str, str]] = {}
    for item, label, absent in zip(ids, text, _missing(labels), strict=True):
        if absent:
            continue
        groups.setdefault(label, {})[item] = None
        first = labelled.setdefault(item, label)
        if first != label:
            several.setdefault(item, (first, label))
    if several:
        item, (one, other) = next(iter(several.items()))
        warn(
            f"{len(several):,} variants have more than one label (first: '{item}', '{one}' and '{other}') and are in "
            "each of these annotations.",
            RepairWarning,
        )
    return {label: list(members) for label, members in groups.items()}


def _of_marks(ids: NDArray[np.object_], cells: Mapping[str, NDArray[np.object_]]) -> dict[str, list[str]]:
    groups = {}
    for name, column in cells.items():
        marks = _marks(column)
        if marks is None:
            raise DataError(
                f"Annotation column '{name}' holds more than 0 and 1. Give one column of labels, or 0/1 columns."
            )
        groups[name] = list(dict.fromkeys(ids[marks]))
        if not groups[name]:
            raise DataError(f"Annotation column '{name}' puts no variant in a group. Remove it, or fill it in.")
    return groups


def _columns(table: Any) -> tuple[list[str], list[NDArray[np.object_]]]:
    """Names and cells of the columns; an index of ids is the first of them."""
    if isinstance(table, pd.Series):
        table = table.to_frame("label")
        table.index.name = "id"
    if isinstance(table, pd.DataFrame) and not any(_heading(name) in VARIANT_ID_NAMES for name in table.columns):
        index = table.index
        if _heading(index.name) in VARIANT_ID_NAMES or index.map(lambda item: isinstance(item, str)).all():
            table = table.rename_axis(index="id").reset_index()
    frame = try_frame(table)
    if frame is None:
        raise DataError(
            f"The annotation is a {type(table).__name__}. Give a data frame, or a mapping of names to lists of variant "
            "ids."
        )
    cells = []
    for column in frame.iter_columns():
        held = np.empty(len(frame), dtype=object)
        held[:] = column.to_list()
        cells.append(held)
    return [str(name) for name in frame.columns], cells


def _heading(name: Any) -> str:
    return str(name).strip().lower().lstrip("#")


def _missing(cells: NDArray[np.object_]) -> Mask:
    return np.asarray(pd.isna(cells) | np.isin(cells.astype(str), MISSING_TOKENS))


def _marks(cells: NDArray[np.object_]) -> Mask | None:
    """Which cells are 1, where all are 0, 1 or missing; None for other columns."""
    there = ~_missing(cells)
    numbers = pd.to_numeric(pd.Series(cells[there], dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    if not np.isin(numbers, (0.0, 1.0)).all():
        return None
    marks = there.copy()
    marks[there] = numbers == 1.0
    return marks
