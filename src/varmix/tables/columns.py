"""Columns of a table in a file that options of a command name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from varmix.errors import FileFormatError, OptionError
from varmix.tables.table_file import TableFile, open_table

LABEL = "label:"
"""Put before the names of label columns: one column may be both, numbers for a variance and a label."""
SHOWN_NAMES = 20
"""Columns of a file that an error lists."""


def read_columns(path: Path, numbers: Mapping[str, str | None], labels: Mapping[str, str | None]) -> pd.DataFrame:
    """The columns named by options, rows in the order of the file: float64 for `numbers`, text for `labels`.

    Both map options to names, None where an option was not given. Tabs, commas or blanks separate, as the header line
    has them; NA, nan, '.' and nothing are missing; a '#' before the first name is ignored, and so are lines before it
    that start with '##'. Raises MissingFileError, FileFormatError (empty, ragged, damaged), OptionError (a column that
    is not there, or is there twice), DataError (a cell that is not a finite number: line, column, value),
    MissingExtraError (Parquet without pyarrow).
    """
    file = open_table(path)
    wanted = {option: name for option, name in {**numbers, **labels}.items() if name is not None}
    _check_columns(wanted, file)
    as_numbers = [name for name in dict.fromkeys(numbers.values()) if name is not None]
    as_text = [name for name in dict.fromkeys(labels.values()) if name is not None]
    parts = [pd.concat([values, text.add_prefix(LABEL)], axis=1) for values, text in file.frames(as_numbers, as_text)]
    if not any(len(part) for part in parts):
        raise FileFormatError(f"{path} has a header and no further line.")
    return pd.concat(parts, ignore_index=True)


def column_names(path: Path) -> list[str]:
    """Names of the columns. Raises MissingFileError, FileFormatError, MissingExtraError."""
    return list(open_table(path).names)


def _check_columns(wanted: Mapping[str, str], file: TableFile) -> None:
    names, path = list(file.names), file.path
    shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
    for option, name in wanted.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise OptionError(f"{option} {name}: {path} has no such column.{hint} It has: {shown}.")
        if names.count(name) > 1:
            raise OptionError(
                f"{option} {name}: {path} has {names.count(name)} columns of this name. Give every column its own name."
            )
