"""Phenotype and covariate files: text with a header FID IID and one column per variable."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import DataError, FileFormatError, OptionError, RepairWarning, warn
from varmix.tables.identifiers import NO_FAMILY, SAMPLE_COLUMNS, id_columns, id_text, refuse_duplicates
from varmix.tables.table_file import TableFile, open_table

TableKind = Literal["phenotype", "covariate"]
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

    Text (tabs, commas or blanks; quotes are taken off; .gz, .bz2 and .xz too) or Parquet. The header names FID and IID
    in any case and place (without FID it is '0'; '#' before the first name, PLINK 2's SID and columns without a name,
    which hold row numbers, are left out); header=False takes a file without one and names its columns trait_1,
    trait_2, .... NA, nan, '.' and nothing are missing; -9 only when asked. Of a file with other columns besides,
    `wanted` names those to convert; the others stay as they are. A covariate column without any number is categorical;
    `categorical` names further ones. Raises
    MissingFileError, FileFormatError (header, ragged lines), DataError (a cell that is not a number: column, line,
    value), AlignmentError (a person listed twice), OptionError. Gives a RepairWarning for a trait with many exact -9.
    """
    path = Path(path)
    if kind not in get_args(TableKind):
        raise OptionError(f"kind={kind!r} is not known. Use one of {', '.join(get_args(TableKind))}.")
    file, ids = _opened(path, header)
    # A column without a name holds row numbers (pandas, R), or nothing behind a last separator.
    names = [name for name in file.names if name and name not in ids.values() and not _is_plink_sid(name, file)]
    titles = dict(
        zip(names, names if header else [f"trait_{number}" for number in range(1, len(names) + 1)], strict=True)
    )
    unknown = [name for name in categorical if name not in titles.values()]
    if unknown:
        raise OptionError(
            f"{path} has no column '{unknown[0]}' to treat as categories. It has {', '.join(titles.values())}."
        )
    labels = [*ids.values(), *(name for name, title in titles.items() if title in categorical)]
    cells, lines = _cells(file, [name for name in names if name not in labels], labels)
    people = pd.DataFrame(
        {
            key: cells[ids[key]] if key in ids else pd.Series([NO_FAMILY] * len(cells), dtype=object)
            for key in SAMPLE_COLUMNS
        },
        dtype=object,
    )
    _refuse_empty_ids(people, path, lines)
    refuse_duplicates(people, path.name)
    values: dict[str, pd.Series] = {}
    for name, title in titles.items():
        if wanted is not None and title not in wanted:
            values[title] = cells[name]
            continue
        allowed = kind == "covariate" or title in categorical
        given = cells[name].to_numpy(dtype=object)
        column = _convert(given, title, path, lines, allow_text=allowed, force_text=title in categorical)
        is_number = column.dtype == np.float64
        values[title] = pd.Series(
            _treat_minus_nine(column, title, path, minus_nine_is_missing) if is_number else column, dtype=column.dtype
        )
    return pd.concat([people, pd.DataFrame(values)], axis=1)


def _opened(path: Path, header: bool) -> tuple[TableFile, dict[str, str]]:
    """The file, and which of its columns are FID and IID."""
    file = open_table(path, header=header)
    if not header:
        if len(file.names) < 3:
            raise FileFormatError(
                f"{path} has {len(file.names)} columns; without a header it needs FID, IID and at least one trait."
            )
        return file, {"FID": file.names[0], "IID": file.names[1]}
    ids = id_columns(file.names)
    if "IID" not in ids:
        raise FileFormatError(
            f"{path} starts with '{' '.join(file.names[:3])}', not with the header FID IID (or #FID IID, or #IID). "
            "Add a header, or pass header=False for a file without one."
        )
    file.refuse_twice()
    return file, ids


def _is_plink_sid(name: str, file: TableFile) -> bool:
    """PLINK 2 writes a third id beside FID and IID, of the sample; it is no trait."""
    at = file.names.index(name)
    return name.casefold() == "sid" and at > 0 and file.names[at - 1].casefold() == "iid"


def _cells(file: TableFile, variables: Sequence[str], labels: Sequence[str]) -> tuple[pd.DataFrame, list[int]]:
    """Cells as text, variables of Parquet as they are, and the numbers of their lines (of Parquet rows, from 1)."""
    if file.parquet:
        frames = file.frames(variables, labels, strict=False)
        parts = [pd.concat([values.apply(_text_or_numbers), text], axis=1) for values, text in frames]
        lines = list(range(1, sum(len(part) for part in parts) + 1))
    else:
        blocks = list(file.blocks())
        parts = [block.columns((), (*labels, *variables), strict=True)[1] for block in blocks]
        lines = [number for block in blocks for number, _ in block.numbered()]
    if not lines:
        raise FileFormatError(f"{file.path} has a header and no further line.")
    return pd.concat(parts, ignore_index=True), lines


def _text_or_numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    return column if column.dtype == np.float64 else pd.Series(id_text(column.tolist(), str(column.name)), dtype=object)


def _refuse_empty_ids(people: pd.DataFrame, path: Path, lines: list[int]) -> None:
    for name in SAMPLE_COLUMNS:
        empty = people[name].isna().to_numpy()
        if empty.any():
            raise FileFormatError(
                f"{path}, line {lines[int(empty.argmax())]}: {name} is empty. Give every person an id."
            )


def _convert(
    cells: NDArray[np.object_], name: str, path: Path, lines: list[int], *, allow_text: bool, force_text: bool
) -> NDArray[Any]:
    missing = np.asarray(pd.isna(cells), dtype=np.bool_)
    text = cells
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
