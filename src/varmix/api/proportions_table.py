"""What is known of proportions, joined to the types of samples [PART-7]."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.api.dirichlet import Dirichlet
from varmix.api.proportions_given import (
    Given,
    agreed,
    cell_type_names,
    read_cell_types,
    read_given,
    with_columns,
)
from varmix.errors import AlignmentError, DataError, NotIdentifiedError, RepairWarning, ShapeError, warn
from varmix.tables.identifiers import label_text
from varmix.tables.proportion_rows import checked_rows
from varmix.tables.sample_types import alike, number_types, refuse_twice, whole_numbers
from varmix.typing import Index, Matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProportionsTable:
    """Types of n samples and what is known of their proportions.

    `codes` (n,) number the `sample_types` (D names); `known` (D, T) has NaN for what is estimated; `concentration`
    (D, T) is that of a Dirichlet prior; `kind` is "known", "partly", "dirichlet" or "free"; `unsampled` counts rows
    given for types without a sample.
    """

    codes: Index
    sample_types: tuple[str, ...]
    cell_types: tuple[str, ...]
    known: Matrix
    concentration: Matrix | None
    kind: str
    unsampled: int
    notes: tuple[str, ...]


def read_proportions(
    proportions: Any,
    labels: Sequence[Hashable] | None,
    samples: pd.Index[Any],
    *,
    cell_types: Sequence[str] | int | None = None,
    partitions: Any = "all",
) -> ProportionsTable:
    """Proportions of the types of `samples` (n,), whose labels are `labels` (n,).

    Without labels samples with the same row of the table are of one type, and each is its own where there are no
    rows. Raises OptionError (what proportions cannot be), AlignmentError (types missing from the table, names twice),
    ShapeError, DataError (entries and sums), NotIdentifiedError (one cell type; more than sample types, all free).
    """
    prior = isinstance(proportions, Dirichlet)
    given = read_given(proportions)
    wanted = read_cell_types(cell_types)
    if prior:
        wanted = agreed(read_cell_types(proportions.cell_types), wanted)
    names = cell_type_names(given, wanted, partitions)
    given = with_columns(given, names)
    if len(names) < 2:
        raise NotIdentifiedError(
            f"There is one cell type ('{names[0]}'), which has one partition: nothing is hidden. Give two or more."
        )
    codes, types, at, unsampled = _joined(given, labels, samples, names, prior)
    rows = np.full((len(types), len(names)), np.nan) if given.values is None else given.values[at]
    _tell_unsampled(unsampled, given, at)
    if prior:
        alpha = np.full(rows.shape, float(proportions.concentration)) if given.values is None else rows
        return ProportionsTable(
            codes=codes,
            sample_types=types,
            cell_types=names,
            known=np.full(rows.shape, np.nan),
            concentration=alpha,
            kind="dirichlet",
            unsampled=unsampled,
            notes=(f"All {alpha.size:,} proportions are estimated, with a Dirichlet prior.",),
        )
    known, notes = checked_rows(rows, types, names)
    free = np.isnan(known)
    kind = "known" if not free.any() else "free" if free.all() else "partly"
    if kind == "free" and len(names) > len(types):
        raise NotIdentifiedError(
            f"There are {len(names)} cell types and {len(types)} sample types whose proportions are all free: fewer "
            "mixtures than cell types do not identify them. Give some of the proportions or a Dirichlet prior, or "
            f"assume at most {len(types)} cell types."
        )
    if kind != "known":
        notes = (*notes, f"{int(free.sum()):,} of {free.size:,} proportions are estimated.")
    return ProportionsTable(
        codes=codes,
        sample_types=types,
        cell_types=names,
        known=known,
        concentration=None,
        kind=kind,
        unsampled=unsampled,
        notes=notes,
    )


def _joined(
    given: Given, labels: Sequence[Hashable] | None, samples: pd.Index[Any], names: tuple[str, ...], prior: bool
) -> tuple[Index, tuple[str, ...], Index, int]:
    """Codes (n,), names of types (D,), the row of each type (D,), and how many rows are of types without a sample."""
    if labels is None:
        return (*_without_labels(given, samples, names, prior), 0)
    codes, types = number_types(labels)
    if given.values is None:
        return codes, types, np.arange(len(types)), 0
    if given.rows is None:
        codes, types, at = _numbered(given.values, labels, types)
        return codes, types, at, len(given.values) - len(at)
    absent = [name for name in types if name not in given.rows]
    position = {name: at for at, name in enumerate(given.rows)}
    if not absent:
        at = np.array([position[name] for name in types], dtype=np.intp)
        return codes, types, at, len(given.values) - len(at)
    if len(absent) == len(types) and all(label_text(name) in position for name in samples):
        rows = np.array([position[label_text(name)] for name in samples], dtype=np.intp)
        return codes, types, _of_samples(given.values, codes, types, rows), 0
    raise _absent_rows(given, absent, types)


def _absent_rows(given: Given, absent: list[str], types: tuple[str, ...]) -> AlignmentError:
    if given.columns is not None and all(name in given.columns for name in types):
        return AlignmentError(
            "The columns of the proportions are the sample types: the table looks transposed. It has one row per "
            "sample type and one column per cell type: pass its transpose."
        )
    rows = given.rows or ()
    return AlignmentError(
        f"{len(absent):,} of {len(types):,} sample types are missing from the proportions (first: '{absent[0]}'; rows: "
        f"{', '.join(rows[:6])}{', ...' if len(rows) > 6 else ''}). Add their rows, with NaN for what is to be "
        "estimated."
    )


def _numbered(
    values: Matrix, labels: Sequence[Hashable], types: tuple[str, ...]
) -> tuple[Index, tuple[str, ...], Index]:
    """Types are numbers of rows, in the order of the rows."""
    numbers = whole_numbers(labels)
    if numbers is None:
        raise AlignmentError(
            f"The rows of the proportions have no names, and the sample types have ('{types[0]}', ...): which is which "
            "would be a guess. Pass a data frame, for instance pd.DataFrame(P, index=[names of types], columns=[names "
            "of cell types])."
        )
    wrong = [number for number in numbers if not 0 <= number < len(values)]
    if wrong:
        raise AlignmentError(
            f"Sample type {wrong[0]} has no row among the {len(values):,} of the proportions. Number the types by the "
            "rows, from 0, or pass a data frame with named rows."
        )
    at, codes = np.unique(np.array(numbers, dtype=np.intp), return_inverse=True)
    return np.asarray(codes, dtype=np.intp), tuple(str(number) for number in at), at


def _without_labels(
    given: Given, samples: pd.Index[Any], names: tuple[str, ...], prior: bool
) -> tuple[Index, tuple[str, ...], Index]:
    """Samples are told apart by their rows; what is only expected of them does not make them replicates."""
    order = np.arange(len(samples))
    if given.values is None:
        return order, _own_names(samples), order
    if given.rows is None:
        if len(given.values) != len(samples):
            raise ShapeError(
                f"Without sample_type the proportions need one row per sample ({len(samples):,}), and have "
                f"{len(given.values):,}. Give sample_type, a label per sample, or one row per sample."
            )
    else:
        refuse_twice(
            [label_text(name) for name in samples],
            "samples",
            AlignmentError,
            "Give each a name of its own, or sample_type.",
        )
        position = {name: at for at, name in enumerate(given.rows)}
        absent = [label_text(name) for name in samples if label_text(name) not in position]
        if absent:
            raise AlignmentError(
                f"Without sample_type the rows of the proportions are samples, and {len(absent):,} of {len(samples):,} "
                f"samples have none (first: '{absent[0]}'; rows: {', '.join(given.rows[:4])}, ...). Add them, or give "
                "sample_type, a label per sample."
            )
        order = np.array([position[label_text(name)] for name in samples], dtype=np.intp)
    if prior:
        return np.arange(len(samples)), _own_names(samples), order
    codes, types, first = alike(given.values[order], samples, names)
    return codes, types, order[first]


def _own_names(samples: pd.Index[Any]) -> tuple[str, ...]:
    names = tuple(label_text(name) for name in samples)
    refuse_twice(names, "samples", AlignmentError, "Give each a name of its own, or sample_type.")
    return names


def _of_samples(values: Matrix, codes: Index, types: tuple[str, ...], rows: Index) -> Index:
    """The rows are those of samples: the same for all of a type. Positions of one row per type (D,)."""
    first = np.array([rows[int((codes == number).argmax())] for number in range(len(types))], dtype=np.intp)
    differs = ~((values[rows] == values[first[codes]]) | np.isnan(values[rows]) & np.isnan(values[first[codes]])).all(
        axis=1
    )
    if differs.any():
        raise DataError(
            f"The proportions have one row per sample, and samples of type '{types[codes[int(differs.argmax())]]}' "
            "differ in theirs: samples of a type have the same proportions. Leave sample_type out to tell types by "
            "their rows, or give one row per type."
        )
    return first


def _tell_unsampled(unsampled: int, given: Given, at: Index) -> None:
    if not unsampled or given.values is None:
        return
    first = next(row for row in range(len(given.values)) if row not in set(at.tolist()))
    warn(
        f"{unsampled:,} of {len(given.values):,} rows of the proportions are of types without a sample (first: "
        f"'{first if given.rows is None else given.rows[first]}') and are left out.",
        RepairWarning,
    )
