"""Phenotype and covariate files: text with a header FID IID and one column per variable."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import DataError, FileFormatError, MissingFileError, OptionError, RepairWarning, warn
from varmix.tables.identifiers import NO_FAMILY, refuse_duplicates

TableKind = Literal["phenotype", "covariate"]
MISSING_TOKENS = ("NA", "nan", "NaN", "NAN", ".", "")
PLINK_MISSING = -9.0
"""PLINK 1 writes -9 for a missing phenotype, which is also a number that a trait can have."""
SUSPICIOUS_COUNT = 3
"""Fewer cells of exactly -9 happen by chance in rounded traits."""
SUSPICIOUS_SHARE = 1e-3
"""Share of cells of exactly -9 from which a warning is due."""


def read_table(
    path: str | PathLike[str],
    kind: TableKind = "phenotype",
    *,
    header: bool = True,
    minus_nine_is_missing: bool = False,
    categorical: Sequence[str] = (),
    wanted: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Columns FID and IID (text), then one column per variable: float64, or text for categories.

    Tabs, commas or blanks separate; the header starts FID IID, #FID IID or #IID (FID is then '0'); header=False takes a
    file without one and names its columns trait_1, trait_2, .... NA, nan, '.' and nothing are missing; -9 only when
    asked. Of a file with other columns besides, `wanted` names those to convert; the others stay text as they are. A
    covariate column without any number is categorical; `categorical` names further ones. Raises
    MissingFileError, FileFormatError (header, ragged lines), DataError (a cell that is not a number: column, line,
    value), AlignmentError (a person listed twice), OptionError. Gives a RepairWarning for a trait with many exact -9.
    """
    path = Path(path)
    if kind not in get_args(TableKind):
        raise OptionError(f"kind={kind!r} is not known. Use one of {', '.join(get_args(TableKind))}.")
    names, lines, cells = _read_cells(path, header)
    first = 1 if names[0] == "IID" else 2
    unknown = [name for name in categorical if name not in names[first:]]
    if unknown:
        raise OptionError(
            f"{path} has no column '{unknown[0]}' to treat as categories. It has {', '.join(names[first:])}."
        )
    columns = {
        name: np.array(values, dtype=object) for name, values in zip(names, zip(*cells, strict=True), strict=True)
    }
    family = columns["FID"] if first == 2 else np.full(len(cells), NO_FAMILY, dtype=object)
    ids = {"FID": family, "IID": columns["IID"]}
    _refuse_empty_ids(ids, path, lines)
    refuse_duplicates(pd.DataFrame(ids, dtype=object), path.name)
    values: dict[str, pd.Series] = {}
    for name in names[first:]:
        if wanted is not None and name not in wanted:
            values[name] = pd.Series(columns[name], dtype=object)
            continue
        allowed = kind == "covariate" or name in categorical
        column = _convert(columns[name], name, path, lines, allow_text=allowed, force_text=name in categorical)
        is_number = column.dtype == np.float64
        values[name] = pd.Series(
            _treat_minus_nine(column, name, path, minus_nine_is_missing) if is_number else column, dtype=column.dtype
        )
    return pd.concat([pd.DataFrame(ids, dtype=object), pd.DataFrame(values)], axis=1)


def _read_cells(path: Path, header: bool) -> tuple[list[str], list[int], list[list[str]]]:
    if not path.is_file():
        there = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, there, n=3)
        hint = f"Similar files there: {', '.join(near)}." if near else "Check the path."
        raise MissingFileError(f"{path} is not there. {hint}")
    numbered = [(number, row) for number, row in _split(path) if row]
    if not numbered:
        raise FileFormatError(f"{path} is empty. It needs a header FID IID ... and one line per person.")
    width = len(numbered[0][1])
    names = _header_names(numbered[0][1], path) if header else _default_names(width, path)
    body = numbered[1:] if header else numbered
    if not body:
        raise FileFormatError(f"{path} has a header and no further line.")
    for number, row in body:
        if len(row) != width:
            raise FileFormatError(f"{path}, line {number}: {len(row)} columns where the first line has {width}.")
    return names, [number for number, _ in body], [row for _, row in body]


def _split(path: Path) -> list[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        first = handle.readline()
        handle.seek(0)
        mark = "\t" if "\t" in first else "," if "," in first else None
        if mark is None:
            return [(number, line.split()) for number, line in enumerate(handle, start=1)]
        reader = csv.reader(handle, delimiter=mark)
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader]


def _header_names(fields: list[str], path: Path) -> list[str]:
    names = [fields[0].removeprefix("#"), *fields[1:]]
    if names[0] != "IID" and names[:2] != ["FID", "IID"]:
        raise FileFormatError(
            f"{path} starts with '{' '.join(fields[:3])}', not with the header FID IID (or #FID IID, or #IID). "
            "Add a header, or pass header=False for a file without one."
        )
    repeated = [name for at, name in enumerate(names) if name in names[:at]]
    if repeated:
        raise FileFormatError(f"{path} has two columns named '{repeated[0]}'. Give every column its own name.")
    return names


def _default_names(width: int, path: Path) -> list[str]:
    if width < 3:
        raise FileFormatError(f"{path} has {width} columns; without a header it needs FID, IID and at least one trait.")
    return ["FID", "IID", *(f"trait_{number}" for number in range(1, width - 1))]


def _refuse_empty_ids(ids: dict[str, NDArray[np.object_]], path: Path, lines: list[int]) -> None:
    for name, values in ids.items():
        empty = values == ""
        if empty.any():
            raise FileFormatError(
                f"{path}, line {lines[int(empty.argmax())]}: {name} is empty. Give every person an id."
            )


def _convert(
    cells: NDArray[np.object_], name: str, path: Path, lines: list[int], *, allow_text: bool, force_text: bool
) -> NDArray[Any]:
    missing = np.isin(cells.astype(str), MISSING_TOKENS)
    text = cells.copy()
    text[missing] = None
    if force_text:
        return text
    numbers = np.full(cells.size, np.nan)
    numbers[~missing] = pd.to_numeric(pd.Series(cells[~missing], dtype=object), errors="coerce").to_numpy(np.float64)
    wrong = ~missing & ~np.isfinite(numbers)
    if not wrong.any():
        return numbers
    if allow_text and not (np.isfinite(numbers) & ~missing).any():
        return text
    at = int(wrong.argmax())
    advice = f" To use it as categories pass categorical=('{name}',)." if allow_text else ""
    raise DataError(
        f"{path}, line {lines[at]}, column '{name}': '{cells[at]}' is not a finite number ({int(wrong.sum()):,} such "
        f"cells). Missing values are written NA.{advice}"
    )


def _treat_minus_nine(values: NDArray[Any], name: str, path: Path, missing: bool) -> NDArray[Any]:
    exact = values == PLINK_MISSING
    count = int(exact.sum())
    if missing:
        return np.where(exact, np.nan, values)
    if count >= max(SUSPICIOUS_COUNT, SUSPICIOUS_SHARE * values.size):
        warn(
            f"{path}: column '{name}' is exactly -9 for {count:,} of {values.size:,} people, and these are used as "
            "numbers. If -9 stands for missing, as PLINK writes it, pass minus_nine_is_missing=True.",
            RepairWarning,
        )
    return values
