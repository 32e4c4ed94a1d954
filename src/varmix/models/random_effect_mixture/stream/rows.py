"""From a chunk of a table to checked rows, whitened by their known errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import DataError, NotFiniteError, OptionError, ShapeError
from varmix.tables.frame import try_frame
from varmix.tables.group_labels import group_labels, joined_labels
from varmix.typing import Mask, Vector

OnMissing = Literal["error", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the columns of a table that hold the model's variables; None for what it does not have.

    `keep` names columns that go along to the posterior, such as identifiers. Raises OptionError where one column is to
    be two things.
    """

    y: str = "y"
    x: str = "x"
    group: str | None = None
    se: str | None = None
    weights: str | None = None
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.wanted)) < len(self.wanted):
            raise OptionError(
                f"One column is named for two of y, x, group, se and weights: {', '.join(self.wanted)}. Name each once."
            )

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names, y and x first."""
        return tuple(name for name in (self.y, self.x, self.se, self.weights, self.group) if name is not None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows with finite entries, shape (n,) each: y and x over their known errors, likelihood weights, group labels."""

    y: Vector
    x: Vector
    weight: Vector | None = None
    group: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def total(self) -> float:
        """Sum of the weights."""
        return float(len(self.y)) if self.weight is None else float(self.weight.sum())

    def part(self, start: int, stop: int) -> Rows:
        """Some of them (views)."""
        return Rows(
            y=self.y[start:stop],
            x=self.x[start:stop],
            weight=None if self.weight is None else self.weight[start:stop],
            group=None if self.group is None else self.group[start:stop],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedChunk:
    """The rows of a chunk, and as they were given; the weighted sum of the logarithms of their errors; which rows of
    the chunk they are."""

    rows: Rows
    y: Vector
    x: Vector
    errors: Vector | None
    log_errors: float
    kept: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a chunk stands: its number and that of its first row where it is known, both counted from 0."""

    chunk: int = 0
    first: int | None = 0

    def row(self, index: int) -> str:
        """A row of the chunk in words."""
        whole = "" if self.first is None else f"row {self.first + index:,} of the whole; "
        return f"row {index:,} of chunk {self.chunk:,} ({whole}rows and chunks are counted from 0)"


def checked(chunk: Any, columns: Columns, place: Place, *, on_missing: OnMissing = "error") -> CheckedChunk:
    """The model's rows of a data frame of any kind, or of a mapping of arrays.

    Raises DataError (no table, a column that is not there or holds no numbers, se <= 0, weights < 0), NotFiniteError
    (infinity, or a missing entry unless `on_missing` is "drop"), ShapeError (columns of unequal length): with chunk
    and row.
    """
    values, labels, kept = _complete(_frame(chunk, columns, place), columns, place, on_missing)
    y, x = values[columns.y], values[columns.x]
    weight = None if columns.weights is None else values[columns.weights]
    if weight is not None:
        _refuse(weight < 0.0, weight, f"Weight column '{columns.weights}' is negative", kept, place)
    if columns.se is None:
        rows = Rows(y=y, x=x, weight=weight, group=labels)
        return CheckedChunk(rows=rows, y=y, x=x, errors=None, log_errors=0.0, kept=kept)
    errors = values[columns.se]
    _refuse(errors <= 0.0, errors, f"Standard errors '{columns.se}' must be positive:", kept, place)
    with np.errstate(over="ignore"):
        rows = Rows(y=y / errors, x=x / errors, weight=weight, group=labels)
    overflown = ~(np.isfinite(rows.y) & np.isfinite(rows.x))
    _refuse(overflown, errors, "y or x over its standard error overflows", kept, place)
    logs = np.log(errors)
    log_errors = float(logs.sum() if weight is None else weight @ logs)
    return CheckedChunk(rows=rows, y=y, x=x, errors=errors, log_errors=log_errors, kept=kept)


def _complete(
    frame: nw.DataFrame[Any], columns: Columns, place: Place, on_missing: OnMissing
) -> tuple[dict[str, Vector], NDArray[Any] | None, Mask]:
    """Columns of numbers and labels of the complete rows, and which these are."""
    values = {name: _numbers(frame[name], name, place) for name in columns.wanted if name != columns.group}
    missing = {name: np.isnan(column) for name, column in values.items()}
    labels = None
    if columns.group is not None:
        labels, missing[columns.group] = group_labels(frame[columns.group], f"group column '{columns.group}'")
    kept = ~np.logical_or.reduce(list(missing.values()))
    if kept.all():
        return values, labels, kept
    if on_missing == "error":
        _refuse_missing(missing, place)
    return {name: column[kept] for name, column in values.items()}, None if labels is None else labels[kept], kept


def regular(chunks: Iterable[Rows], size: int) -> Iterator[Rows]:
    """The same rows, `size` at a time whatever the chunks: many small ones cost no more than a large one."""
    waiting: list[Rows] = []
    held = 0
    for rows in chunks:
        start = 0
        while held + len(rows) - start >= size:
            stop = start + size - held
            yield _joined([*waiting, rows.part(start, stop)])
            waiting, held, start = [], 0, stop
        if start < len(rows):
            waiting.append(rows.part(start, len(rows)))
            held += len(rows) - start
    if held:
        yield _joined(waiting)


def _joined(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    weights = [part.weight for part in parts if part.weight is not None]
    groups = [part.group for part in parts if part.group is not None]
    return Rows(
        y=np.concatenate([part.y for part in parts]),
        x=np.concatenate([part.x for part in parts]),
        weight=np.concatenate(weights) if weights else None,
        group=joined_labels(groups) if groups else None,
    )


def _frame(chunk: Any, columns: Columns, place: Place) -> nw.DataFrame[Any]:
    if isinstance(chunk, Mapping):
        try:
            chunk = pd.DataFrame({name: chunk[name] for name in columns.wanted if name in chunk})
        except ValueError as error:
            raise ShapeError(
                f"The columns of chunk {place.chunk:,} do not make a table: {error}. Give columns of the same length."
            ) from error
    frame = try_frame(chunk)
    if frame is None:
        raise DataError(
            f"Chunk {place.chunk:,} (counted from 0) is of type {type(chunk).__name__}, not a table. Give data frames, "
            "or mappings from column names to arrays."
        )
    absent = [name for name in columns.wanted if name not in frame.columns]
    if absent:
        there = ", ".join(frame.columns[:12]) + (", ..." if len(frame.columns) > 12 else "")
        raise DataError(
            f"Chunk {place.chunk:,} (counted from 0) has no column '{absent[0]}'. It has {there or 'none'}. Name the "
            "columns of y, x, group, se and weights as they are in the table."
        )
    return frame


def _numbers(series: nw.Series[Any], name: str, place: Place) -> Vector:
    if not series.dtype.is_numeric() and series.dtype != nw.Boolean and len(series):
        values = _from_objects(series, name, place)
    else:
        values = np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        raise NotFiniteError(
            f"Column '{name}' is infinite in {place.row(int(infinite.argmax()))}. Correct it, or mark it missing."
        )
    return values


def _from_objects(series: nw.Series[Any], name: str, place: Place) -> Vector:
    """A column that is all missing is typed as text by most readers: only a real text is wrong."""
    cells = series.to_list()
    text = [at for at, cell in enumerate(cells) if cell is not None and not isinstance(cell, int | float | np.number)]
    if text:
        # One such cell makes a reader take the whole column for text: that one is told.
        index = next((at for at in text if not _is_number(cells[at])), text[0])
        raise DataError(
            f"Column '{name}' holds {cells[index]!r} in {place.row(index)}, which is not a number. Correct it, or "
            "leave the cell empty."
        )
    return np.array([np.nan if cell is None else float(cell) for cell in cells], dtype=np.float64)


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def _refuse_missing(missing: Mapping[str, Mask], place: Place) -> None:
    name, mask = next((name, mask) for name, mask in missing.items() if mask.any())
    raise NotFiniteError(
        f"Column '{name}' is missing in {place.row(int(mask.argmax()))}, one of {int(mask.sum()):,} such rows of the "
        'chunk. Pass on_missing="drop" to leave such rows out.'
    )


def _refuse(wrong: Mask, values: Vector, what: str, kept: Mask, place: Place) -> None:
    if wrong.any():
        index = int(wrong.argmax())
        row = int(np.flatnonzero(kept)[index])
        raise DataError(f"{what} ({values[index]:g}) in {place.row(row)}. Correct it, or leave the row out.")
