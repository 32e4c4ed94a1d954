"""The z scores of one study from a table: variants with their alleles, scores and sample sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import AlignmentError, DataError, NotFiniteError, OptionError, RepairWarning, ShapeError, warn
from varmix.tables.columns import LABEL, column_names, read_columns
from varmix.tables.frame import try_frame
from varmix.tables.identifiers import id_text
from varmix.tables.numbers import real_numbers
from varmix.tables.roles import VARIANT_ID_NAMES, columns_by_role
from varmix.tables.table_file import MISSING_TOKENS
from varmix.tables.variant_labels import is_numbered, labels_of, positions_of
from varmix.typing import Mask, Vector

ROLES = {
    "id": VARIANT_ID_NAMES,
    "a1": ("a1", "effect_allele"),
    "a2": ("a2", "other_allele"),
    "z": ("z",),
    "n": ("n",),
}
"""Columns of a study by what they hold: those of LDSC's .sumstats files (SNP, A1, A2, Z, N), and synonyms."""

LABELS: tuple[str, ...] = ("id", "a1", "a2")
NUMBERS: tuple[str, ...] = ("z", "n")

NO_ALLELE = "0"
"""PLINK's code for an allele that was never seen."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyScores:
    """Complete rows of a study in the order of its table, shape (p,): ids as text, alleles in capitals (a1 is the one
    that z counts), z, and sample sizes; `given` rows were there, `dropped` of them incomplete."""

    ids: NDArray[np.object_]
    a1: NDArray[np.object_]
    a2: NDArray[np.object_]
    z: Vector
    n: Vector
    given: int
    dropped: int


def is_study_table(study: Any) -> bool:
    """Whether it is a table or the path of one, and not a vector."""
    return isinstance(study, str | PathLike | Mapping) or try_frame(study) is not None


def study_scores(study: Any, name: str, sizes: Any = None) -> StudyScores:
    """Read a data frame of any kind, a mapping of columns, or the path of a table (LDSC's .sumstats, also .gz).

    Columns are found by `ROLES`; ids may also be the index of a pandas frame, if that is named so. `sizes` are sample
    sizes for a table without n: a number, one for each row, or a Series with ids. Rows without an id, an allele ('.' or
    'NA' too), z or n (NaN; in files '.' and 'NA' too) are dropped with a RepairWarning that counts them.

    Raises, with study, column and row: AlignmentError (a column that is not there, an id twice), DataError (two columns
    of one role, cells that are not numbers), NotFiniteError (z infinite, n not positive), OptionError (n twice); for
    files MissingFileError, FileFormatError.
    """
    what = f"The {name} study"
    table = _read_file(Path(study), what) if isinstance(study, str | PathLike) else _read_frame(study, what)
    if "n" in table and sizes is not None:
        raise OptionError(
            f"{what} has sample sizes in its column n, and others were passed (n1= or n2=). Give one of them."
        )
    absent = [role for role in ROLES if role not in table and not (role == "n" and sizes is not None)]
    if absent:
        raise AlignmentError(
            f"{what} has no column {', '.join(absent)}. It needs {', '.join(ROLES)}; known names are "
            + "; ".join(", ".join(names) for names in ROLES.values())
            + " (capitals or not)."
        )
    text = {role: _text(table[role], role) for role in LABELS}
    numbers: dict[str, Vector] = {role: _numbers(table[role], role, what) for role in NUMBERS if role in table}
    if sizes is not None:
        numbers["n"] = _sizes(sizes, text["id"], what)
    absences: dict[str, Mask] = {role: _absent(cells) for role, cells in text.items()}
    absences |= {role: np.isnan(values) for role, values in numbers.items()}
    kept, dropped = _complete(absences, what)
    _check_numbers(numbers, text["id"], kept, what)
    _refuse_twice(text["id"], kept, what)
    return StudyScores(
        ids=text["id"][kept],
        a1=text["a1"][kept],
        a2=text["a2"][kept],
        z=numbers["z"][kept],
        n=numbers["n"][kept],
        given=len(kept),
        dropped=dropped,
    )


def _read_file(path: Path, what: str) -> dict[str, Any]:
    found = columns_by_role(column_names(path), ROLES, f"{what} ({path})")
    numbers = {role: found[role] for role in NUMBERS if role in found}
    labels = {role: found[role] for role in LABELS if role in found}
    if not numbers:
        raise AlignmentError(f"{what} ({path}) has no column z. It needs {', '.join(ROLES)}.")
    table = read_columns(path, numbers, labels)
    return {role: table[name] for role, name in numbers.items()} | {
        role: table[LABEL + name] for role, name in labels.items()
    }


def _read_frame(study: Any, what: str) -> dict[str, Any]:
    if isinstance(study, Mapping):
        try:
            study = pd.DataFrame(dict(study))
        except ValueError as error:
            raise ShapeError(
                f"The columns of {what.lower()} do not make a table: {error}. Give columns of the same length."
            ) from error
    frame = try_frame(study)
    if frame is None:
        raise DataError(f"{what} is a {type(study).__name__}. Give a data frame (pandas, polars, pyarrow, ...).")
    text = {str(name): name for name in frame.columns}
    found = columns_by_role(text, ROLES, what)
    columns = {role: frame[text[name]] for role, name in found.items()}
    if "id" not in columns and isinstance(study, pd.DataFrame) and not is_numbered(study.index):
        named = columns_by_role([str(study.index.name)], {"id": VARIANT_ID_NAMES}, what)
        if named:
            columns["id"] = nw.from_native(pd.Series(list(study.index), dtype=object), series_only=True)
    return columns


def _text(series: Any, role: str) -> NDArray[np.object_]:
    """Cells as text, None where missing; alleles in capitals."""
    cells = id_text(series.to_list())
    missing = MISSING_TOKENS if role == "id" else (*MISSING_TOKENS, NO_ALLELE)
    out = np.empty(len(cells), dtype=object)
    for at, cell in enumerate(cells):
        word = None if cell is None else cell.strip()
        out[at] = None if word is None or word in missing else word if role == "id" else word.upper()
    return out


def _numbers(series: Any, role: str, what: str) -> Vector:
    """Cells as float64, NaN where missing. Raises DataError: row and value."""
    if isinstance(series, pd.Series):
        return np.asarray(series, dtype=np.float64)
    if series.dtype.is_numeric():
        return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    values = np.full(len(series), np.nan)
    for at, cell in enumerate(series.to_list()):
        if cell is None or cell is pd.NA or cell is pd.NaT:
            continue
        number = _number(cell)
        if number is None:
            raise DataError(
                f"{what}, column {role} ('{series.name}'), row {at} (counted from 0): {cell!r} is not a number. "
                "Correct it, or mark it missing with NaN."
            )
        values[at] = number
    return values


def _number(cell: Any) -> float | None:
    """A cell of a column that is not typed as numbers, or None for what is none; '1_000' is none, as in a file."""
    if isinstance(cell, bool | np.bool_ | np.complexfloating) or not isinstance(cell, str | int | float | np.number):
        return None
    if isinstance(cell, str) and (not cell.isascii() or "_" in cell):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def _sizes(sizes: Any, ids: NDArray[np.object_], what: str) -> Vector:
    """Sample sizes for the rows of a table, shape (rows,). Raises AlignmentError, ShapeError, DataError."""
    values = np.asarray(real_numbers(sizes, f"n of {what.lower()}"), dtype=np.float64)
    labels = labels_of(sizes)
    if labels is not None:
        named = ~_absent(ids)
        out = np.full(len(ids), np.nan)
        place = positions_of(ids[named], labels, what, "the index of its n")
        out[named] = np.where(place >= 0, values[place], np.nan)
        return out
    if values.shape not in ((), (len(ids),)):
        raise ShapeError(f"Sample sizes of {what.lower()} have shape {values.shape}; give one number or {len(ids):,}.")
    return np.broadcast_to(values, (len(ids),)).copy()


def _absent(cells: NDArray[np.object_]) -> Mask:
    return np.array([cell is None for cell in cells], dtype=np.bool_)


def _complete(absences: Mapping[str, Mask], what: str) -> tuple[Mask, int]:
    wrong: Mask = np.logical_or.reduce(list(absences.values())).astype(np.bool_)
    lost = int(wrong.sum())
    if lost:
        told = ", ".join(f"{role} missing in {int(mask.sum()):,}" for role, mask in absences.items() if mask.any())
        if lost == len(wrong):
            raise DataError(f"{what} has no complete row ({told}). Check how it was read.")
        warn(f"{what}: {lost:,} of {len(wrong):,} rows were dropped ({told}).", RepairWarning)
    return ~wrong, lost


def _check_numbers(numbers: Mapping[str, Vector], ids: NDArray[np.object_], kept: Mask, what: str) -> None:
    infinite = np.isinf(numbers["z"]) & kept
    if infinite.any():
        at = int(infinite.argmax())
        raise NotFiniteError(
            f"{what}, column z, row {at} (counted from 0, id '{ids[at]}'): z is infinite ({int(infinite.sum()):,} such "
            "rows). Correct it, or drop those variants."
        )
    sizes = numbers["n"]
    wrong = ~(np.isfinite(sizes) & (sizes > 0.0)) & kept
    if wrong.any():
        at = int(wrong.argmax())
        raise NotFiniteError(
            f"{what}, column n, row {at} (counted from 0, id '{ids[at]}'): sample sizes must be positive numbers, and "
            f"this is {sizes[at]:g} ({int(wrong.sum()):,} such rows). Correct it, or drop those variants."
        )


def _refuse_twice(ids: NDArray[np.object_], kept: Mask, what: str) -> None:
    rows = np.flatnonzero(kept)
    repeated = pd.Series(ids[kept], dtype=object).duplicated().to_numpy()
    if repeated.any():
        at = int(rows[repeated.argmax()])
        raise AlignmentError(
            f"{what} lists {int(repeated.sum()):,} variants twice (first: '{ids[at]}', in row {at}, counted from 0). "
            "Keep one row each."
        )
