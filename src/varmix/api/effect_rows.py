"""Rows of `y = b x + e` from arrays or from the columns of a data frame, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, NotFiniteError, OptionError, RepairWarning, ShapeError, warn
from varmix.models.random_effect_mixture.number_range import check_scales, check_weight
from varmix.models.random_effect_mixture.ratios import ResponseRatios
from varmix.models.random_effect_mixture.reduction import Reduction, reduce_rows
from varmix.tables.frame import column_names, select_columns, try_frame
from varmix.tables.numbers import real_numbers
from varmix.typing import Index, Mask, Vector

SMALLEST = 1e-150
"""Entries below this share of the largest cannot be squared beside it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectRows:
    """Complete rows in input order.

    `rows` are their positions in the input, `group` numbers groups from 0 in the order of their first row (None: each
    row has its own effect), `labels` are the groups' own names.
    """

    y: Vector
    x: Vector
    group: Index | None
    labels: pd.Index[Any] | None
    errors: Vector | None
    weights: Vector | None
    """Likelihood weights of the groups (G,), or of the rows without groups."""
    rows: Index
    dropped: Mapping[str, int]
    name: str

    @property
    def groups(self) -> int:
        """Number of effects."""
        return len(self.y) if self.labels is None else len(self.labels)

    def reduced(self) -> Reduction:
        """Units in internal units. Raises DataError where the variances would leave the range of numbers."""
        reduction = reduce_rows(self.y, self.x, group=self.group, errors=self.errors, weights=self.weights)
        check_scales(reduction.scales.response, reduction.scales.regressor)
        return reduction

    def ratios(self) -> ResponseRatios:
        """Whether y look like ratios."""
        return ResponseRatios.of(self.y, self.x)

    def sample(self) -> pd.DataFrame:
        """What was used and lost: columns `what`, `cause`, `count`."""
        table = [{"what": "rows", "cause": "used", "count": len(self.y)}]
        table += [{"what": "rows", "cause": cause, "count": count} for cause, count in self.dropped.items()]
        if self.labels is not None:
            table.append({"what": "groups", "cause": "used", "count": len(self.labels)})
        zero = int((self.x == 0.0).sum())
        if zero:
            table.append({"what": "rows", "cause": "used for the residual only (x = 0)", "count": zero})
        return pd.DataFrame(table)


def read_rows(
    y: Any,
    x: Any,
    *,
    group: Any = None,
    se: Any = None,
    weights: Any = None,
    data: Any = None,
    on_missing: str | None = None,
) -> EffectRows:
    """Rows from arrays of shape (n,), or from columns of `data` by name.

    Rows with missing entries are an error in arrays and dropped with a count in data frames, unless `on_missing` says
    otherwise ("error", "drop"). Raises ShapeError, NotFiniteError, DataError, OptionError.
    """
    if on_missing not in (None, "error", "drop"):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use 'error' or 'drop'.")
    given = {"y": y, "x": x, "group": group, "se": se, "weights": weights}
    named = {role: value for role, value in given.items() if isinstance(value, str)}
    name = y if isinstance(y, str) else str(getattr(y, "name", None) or "y")
    if data is None and named:
        role, value = next(iter(named.items()))
        raise OptionError(f"{role}={value!r} names a column: pass the data frame that has it by data=.")
    if data is not None:
        if not named:
            raise OptionError("data= is a data frame whose columns y, x, ... name: give at least y= and x= as names.")
        given = {**given, **_columns(data, named)}
    if given["y"] is None or given["x"] is None:
        raise OptionError("Give y and x, the responses and their regressors.")
    columns = {
        role: _vector(value, role) for role, value in given.items() if value is not None and role not in ("group",)
    }
    codes = None if given["group"] is None else _cells(given["group"])
    _check_lengths(columns, codes)
    drop = on_missing == "drop" or (on_missing is None and data is not None)
    used, dropped = _complete(columns, codes, drop)
    columns = {role: values[used] for role, values in columns.items()}
    group_of, labels = (None, None) if codes is None else _numbered(codes[used])
    _check_values(columns, used)
    return EffectRows(
        y=columns["y"],
        x=columns["x"],
        group=group_of,
        labels=labels,
        errors=columns.get("se"),
        weights=_group_weights(columns.get("weights"), group_of, labels),
        rows=used,
        dropped=dropped,
        name=name,
    )


def _columns(data: Any, named: Mapping[str, str]) -> dict[str, Any]:
    if try_frame(data) is None and not isinstance(data, Mapping):
        raise DataError(f"data= must be a data frame (pandas, polars, pyarrow, ...), not {type(data).__name__}.")
    known = column_names(data)
    for role, column in named.items():
        if column not in known:
            raise OptionError(f"{role}={column!r} is no column of data. It has: {', '.join(known[:20])}.")
    table = select_columns(data, list(dict.fromkeys(named.values())))
    for role, column in named.items():
        if role != "group" and table[column].dtype.kind not in "fiub":
            raise DataError(f"Column '{column}' ({role}) is not numeric. Give a column of numbers.")
    return {role: table[column] for role, column in named.items()}


def _vector(values: Any, role: str) -> Vector:
    array = np.asarray(real_numbers(values, role), dtype=np.float64)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim == 0 and role == "se":
        raise ShapeError("se is one number. Give one per row, for instance np.full(len(y), 0.1).")
    if array.ndim != 1 or not array.size:
        raise ShapeError(f"{role} has shape {array.shape}. Give one number per row.")
    return np.ascontiguousarray(array)


def _cells(values: Any) -> pd.Series[Any]:
    if getattr(values, "ndim", 1) > 1:
        raise ShapeError(f"group has shape {values.shape}. Give one label per row.")
    cells = pd.Series(values).reset_index(drop=True)
    return cells.astype(object) if isinstance(cells.dtype, pd.CategoricalDtype) else cells


def _check_lengths(columns: Mapping[str, Vector], codes: pd.Series[Any] | None) -> None:
    lengths = {role: len(values) for role, values in columns.items()}
    if codes is not None:
        lengths["group"] = len(codes)
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{role} {length:,}" for role, length in lengths.items())
        raise ShapeError(f"The columns have different numbers of rows: {told}. Give one entry per row in each.")


def _complete(columns: Mapping[str, Vector], codes: pd.Series[Any] | None, drop: bool) -> tuple[Index, dict[str, int]]:
    absent: dict[str, Mask] = {role: np.isnan(values) for role, values in columns.items()}
    if codes is not None:
        absent["group"] = codes.isna().to_numpy().astype(np.bool_)
    for role, values in columns.items():
        infinite = np.isinf(values)
        if infinite.any():
            raise NotFiniteError(
                f"{role} is infinite in row {int(infinite.argmax())} (counted from 0; {int(infinite.sum()):,} such "
                "rows). Correct it, or mark it missing with NaN."
            )
    wrong = np.logical_or.reduce(list(absent.values()))
    if not wrong.any():
        return np.arange(len(wrong)), {}
    causes = {f"{role} missing": int(mask.sum()) for role, mask in absent.items() if mask.any()}
    told = ", ".join(f"{cause} in {count:,}" for cause, count in causes.items())
    if not drop:
        raise NotFiniteError(
            f"{int(wrong.sum()):,} of {len(wrong):,} rows are incomplete ({told}; first: row {int(wrong.argmax())}, "
            f'counted from 0). Pass on_missing="drop" to use the {int((~wrong).sum()):,} complete rows.'
        )
    if wrong.all():
        raise DataError(f"No row is complete ({told}). Check which columns are y, x, se, weights and group.")
    warn(f"{int(wrong.sum()):,} of {len(wrong):,} rows were dropped ({told}).", RepairWarning)
    return np.flatnonzero(~wrong), {"dropped, incomplete": int(wrong.sum())}


def _numbered(codes: pd.Series[Any]) -> tuple[Index, pd.Index[Any]]:
    try:
        numbers, labels = pd.factorize(codes, sort=False)
    except TypeError as error:
        raise DataError(f"group holds values that cannot be compared ({error}). Give numbers or text.") from error
    return np.asarray(numbers, dtype=np.intp), pd.Index(labels)


def _check_values(columns: Mapping[str, Vector], rows: Index) -> None:
    if "se" in columns and not (columns["se"] > 0.0).all():
        wrong = ~(columns["se"] > 0.0)
        raise DataError(
            f"se must be positive: it is {columns['se'][wrong][0]:.6g} in row {int(rows[wrong.argmax()])} (counted "
            f"from 0; {int(wrong.sum()):,} such rows). Drop them, or leave se out to estimate a residual variance."
        )
    if "weights" in columns:
        weights = columns["weights"]
        if (weights < 0.0).any():
            raise DataError(
                f"weights must not be negative: {weights.min():.6g} in row {int(rows[weights.argmin()])} (counted "
                "from 0). Likelihood weights count how often a row stands for itself."
            )
        largest = float(weights.max())
        if not largest > 0.0:
            raise DataError("All weights are 0: no row counts. Give at least one positive weight.")
        check_weight(largest)
    errors = columns.get("se")
    if not columns["y"].any():
        unbounded = "" if errors is not None else " and the likelihood has no bound"
        raise DataError(f"Every response y is 0: all variances are estimated 0{unbounded}. Check the column.")
    for role in ("y", "x"):
        with np.errstate(over="ignore", under="ignore"):
            size = np.abs(columns[role] if errors is None else columns[role] / errors)
        largest = float(size.max())
        what = role if errors is None else f"{role} / se"
        if not np.isfinite(largest):
            raise DataError(f"{what} overflows in row {int(rows[size.argmax()])}. Bring the columns to one scale.")
        small = (size > 0.0) & (size < SMALLEST * largest)
        if role == "y" and small.any():
            raise DataError(
                f"{what} ranges from {float(size[small].min()):.3g} to {largest:.3g} in size: such entries cannot be "
                f"squared beside one another (row {int(rows[size.argmax()])}, counted from 0, holds the largest)."
            )


def _group_weights(weights: Vector | None, group: Index | None, labels: pd.Index[Any] | None) -> Vector | None:
    if weights is None or group is None or labels is None:
        return weights
    first = np.zeros(len(labels))
    first[group[::-1]] = weights[::-1]
    differs = weights != first[group]
    if differs.any():
        raise DataError(
            f"weights differ within group '{labels[group[int(differs.argmax())]]}' "
            f"({len(np.unique(group[differs])):,} such groups): a group has one likelihood and one weight. "
            "Give every row of a group the same weight."
        )
    return first
