"""Rows of proportions checked: between 0 and 1, summing to 1, NaN for those to estimate [PART-7]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from varmix.errors import DataError, NotFiniteError, RepairWarning, warn
from varmix.typing import Mask, Matrix

EXACT = 1e-12
"""Distance of a sum from 1 that is rounding of float64."""

QUIET = 1e-8
"""Distance of a sum from 1 that is made 1 without a word."""

ROUNDED = 1e-3
"""Distance of a sum from 1 that proportions written with a few digits can have."""

PERCENT = 0.01
"""Relative distance from 100 of sums of percentages."""


def checked_rows(values: Matrix, names: Sequence[str], cell_types: Sequence[str]) -> tuple[Matrix, tuple[str, ...]]:
    """Rows (D, T) on the simplex, and notes. An entry that the others of its row determine is filled in.

    Rows that miss 1 by rounding are rescaled, with a RepairWarning beyond 1e-8. Raises NotFiniteError (infinity) and
    DataError (percentages, entries outside of 0 to 1, sums other than 1), naming row and column.
    """
    if np.isinf(values).any():
        row, column = (int(at) for at in np.argwhere(np.isinf(values))[0])
        raise NotFiniteError(f"The proportion of '{cell_types[column]}' in '{names[row]}' is infinite. Correct it.")
    unknown: Mask = np.asarray(np.isnan(values))
    known = np.where(unknown, 0.0, values)
    sums = known.sum(axis=1)
    complete: Mask = np.asarray(~unknown.any(axis=1))
    if complete.any() and (np.abs(sums[complete] - 100.0) <= 100.0 * PERCENT).all():
        first = int(complete.argmax())
        raise DataError(
            f"Rows of the proportions sum to 100 ('{names[first]}': {sums[first]:.6g}): they are percentages. Divide "
            "them by 100."
        )
    _refuse_outside(known, names, cell_types)
    known = np.clip(known, 0.0, 1.0)
    sums = known.sum(axis=1)
    excess = np.where(complete, np.abs(sums - 1.0), sums - 1.0)
    wrong: Mask = np.asarray(excess > ROUNDED)
    if wrong.any():
        row = int(wrong.argmax())
        least = "" if complete[row] else f" without the {int(unknown[row].sum())} to estimate"
        raise DataError(
            f"The proportions of '{names[row]}' sum to {sums[row]:.6g}{least}, not 1 ({int(wrong.sum()):,} of "
            f"{len(values):,} rows do not). Correct them, or give NaN for those to estimate."
        )
    return _completed(known, unknown, sums, names)


def _completed(known: Matrix, unknown: Mask, sums: Matrix, names: Sequence[str]) -> tuple[Matrix, tuple[str, ...]]:
    rows = np.where(unknown, np.nan, known)
    notes, rescaled = [], []
    filled = 0
    for at, missing in enumerate(unknown):
        left = 1.0 - sums[at]
        count = int(missing.sum())
        if count and (count == 1 or left <= QUIET):
            rows[at, missing] = max(left, 0.0) if count == 1 else 0.0
            filled += count
        if not np.isnan(rows[at]).any():
            total = float(rows[at].sum())
            if abs(total - 1.0) > EXACT:
                rows[at] /= total
            if abs(total - 1.0) > QUIET:
                rescaled.append((abs(total - 1.0), names[at], total))
    if rescaled:
        _, name, total = max(rescaled)
        warn(
            f"{len(rescaled):,} of {len(rows):,} rows of the proportions miss 1 by rounding (most: '{name}', "
            f"{total:.8g}) and were divided by their sums.",
            RepairWarning,
        )
        notes.append(
            f"{len(rescaled):,} rows of the proportions were divided by their sums, which rounding kept from 1."
        )
    if filled:
        notes.append(f"{filled:,} missing proportions follow from the others of their rows.")
    return rows, tuple(notes)


def _refuse_outside(known: Matrix, names: Sequence[str], cell_types: Sequence[str]) -> None:
    outside = (known < -QUIET) | (known > 1.0 + ROUNDED)
    if outside.any():
        row, column = (int(at) for at in np.argwhere(outside)[0])
        raise DataError(
            f"The proportion of '{cell_types[column]}' in '{names[row]}' is {known[row, column]:.6g} "
            f"({int(outside.sum()):,} such entries): proportions are between 0 and 1. Correct them."
        )
