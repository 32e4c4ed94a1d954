"""Rows of a model of independent groups from arrays or from the columns of a data frame, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, NotFiniteError, NotIdentifiedError, OptionError, RepairWarning, ShapeError, warn
from varmix.formula import Design, design_from_arrays
from varmix.formula.arrays import response_array
from varmix.models.independent_groups.model import RESIDUAL
from varmix.models.independent_groups.reduction import Rows
from varmix.tables.frame import column_names, select_columns, try_frame
from varmix.tables.numbers import real_numbers
from varmix.typing import Array, Index, Mask, Matrix, Vector

SMALLEST, LARGEST = 1e-140, 1e140
"""Responses of a size outside of these have squares that float64 cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupRows:
    """Complete rows of positive weight in input order; `positions` (n,) are theirs in the input."""

    rows: Rows
    names: tuple[str, ...]
    response_name: str
    design: Design | None
    """How the covariates are coded; None without any."""
    labels: pd.Index[Any] | None
    """Names of the groups."""
    positions: Index
    lost: Mapping[str, int]

    def sample(self) -> pd.DataFrame:
        """What was used and lost: columns `what`, `cause`, `count`."""
        table = [("rows", cause, count) for cause, count in self.lost.items()]
        table.append(("rows", "used", len(self.positions)))
        if self.labels is not None:
            table.append(("groups", "used", len(self.labels)))
        for name, column in zip(self.names, self.rows.X.T, strict=True):
            table.append((name, "rows with 0", int((column == 0.0).sum())))
        for name in () if self.design is None else self.design.dropped_columns:
            table.append(("covariates", f"dropped, collinear: {name}", 1))
        return pd.DataFrame(table, columns=["what", "cause", "count"])


def read_group_rows(
    y: Any,
    x: Any,
    weights: Any = None,
    *,
    group: Any = None,
    covariates: Any = None,
    intercept: bool = False,
    data: Any = None,
    on_missing: str | None = None,
) -> GroupRows:
    """Rows from arrays y (n,), x (n,) or (n, K), weights (n,), group (n,), covariates (n, c); or from names of columns.

    Rows with missing entries are an error in arrays and dropped with a count in data frames, unless `on_missing` says
    otherwise ("error", "drop"). Raises ShapeError, NotFiniteError, DataError, OptionError, and NotIdentifiedError for a
    column of x that is 0 throughout.
    """
    if on_missing not in (None, "error", "drop"):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use 'error' or 'drop'.")
    drop = on_missing == "drop" or (on_missing is None and data is not None)
    y, x, weights, group, covariates = _looked_up(
        data, {"y": y, "x": x, "weights": weights, "group": group, "covariates": covariates}
    )
    response, response_names = response_array(y)
    if response.ndim != 1:
        raise ShapeError(f"y has shape {response.shape}. Give one response per row.")
    slopes, names = _slopes(x)
    weight = None if weights is None else _vector(weights, "weights")
    cells = None if group is None else pd.Series(_flat(group)).reset_index(drop=True)
    _check_lengths({"y": response, "x": slopes, "weights": weight, "group": cells})
    _check_weights(weight)
    absent: dict[str, Mask] = {"y": np.isnan(response), "x": np.asarray(np.isnan(slopes).any(axis=1))}
    if weight is not None:
        absent["weights"] = np.isnan(weight)
    if cells is not None:
        absent["group"] = cells.isna().to_numpy().astype(np.bool_)
    kept, lost = _complete(absent, drop)
    if weight is not None and (idle := kept & (weight == 0.0)).any():
        lost["weight 0"] = int(idle.sum())
        kept &= ~idle
    design = _design(response, covariates, intercept, np.flatnonzero(kept), drop)
    used = np.flatnonzero(kept) if design is None else design.rows
    if len(used) < (total := int(kept.sum())):
        lost["covariates missing"] = total - len(used)
    codes, labels = _numbered(cells, used)
    rows = Rows(
        y=np.ascontiguousarray(response[used]),
        X=np.ascontiguousarray(slopes[used]),
        W=np.zeros((len(used), 0)) if design is None else design.Z,
        weight=np.ones(len(used)) if weight is None else weight[used],
        group=codes,
    )
    _check_values(rows, names, labels)
    return GroupRows(
        rows=rows,
        names=names,
        response_name=response_names[0],
        design=design,
        labels=labels,
        positions=used,
        lost={"given": len(response), **lost},
    )


def _looked_up(data: Any, given: dict[str, Any]) -> list[Any]:
    """Names of columns replaced by the columns."""
    wanted = {role: value for role, value in given.items() if _is_names(value)}
    if data is None:
        if wanted:
            role, value = next(iter(wanted.items()))
            raise OptionError(f"{role}={value!r} names columns: pass the data frame that has them by data=.")
        return list(given.values())
    if try_frame(data) is None and not isinstance(data, Mapping):
        raise DataError(f"data= must be a data frame (pandas, polars, pyarrow, ...), not {type(data).__name__}.")
    known = column_names(data)
    for role, value in wanted.items():
        for name in [value] if isinstance(value, str) else value:
            if name not in known:
                raise OptionError(f"{role}={name!r} is no column of data. It has: {', '.join(known[:20])}.")
    for role, value in wanted.items():
        if isinstance(value, str):
            column = select_columns(data, [value])
            given[role] = column[value] if role == "group" else column
        else:
            given[role] = select_columns(data, list(value))
    return list(given.values())


def _is_names(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, Sequence) and len(value) > 0 and all(isinstance(item, str) for item in value)


def _slopes(x: Any) -> tuple[Matrix, tuple[str, ...]]:
    if x is None:
        raise OptionError("Give x, the regressors whose slopes are random: shape (n,) or (n, K).")
    if try_frame(x) is not None:
        values, names = response_array(x)
        values = values.reshape(len(values), -1)
    else:
        values = np.asarray(real_numbers(x, "x"), dtype=np.float64)
        own = getattr(x, "name", None)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or not values.size:
            raise ShapeError(f"x has shape {values.shape}. Give n numbers, or n x K for K slopes.")
        count = values.shape[1]
        names = (str(own or "x"),) if count == 1 else tuple(f"x{number}" for number in range(1, count + 1))
    if RESIDUAL in names or len(set(names)) < len(names):
        raise OptionError(
            f"The columns of x are called {', '.join(names)}: each needs a name of its own, not 'residual'."
        )
    if np.isinf(values).any():
        row, column = (int(at) for at in np.argwhere(np.isinf(values))[0])
        raise NotFiniteError(f"x '{names[column]}' is infinite in row {row} (counted from 0). Correct it.")
    return values, tuple(names)


def _flat(values: Any) -> Any:
    if try_frame(values) is None and getattr(values, "ndim", 1) != 1:
        raise ShapeError(f"group has shape {values.shape}. Give one label per row.")
    series = values.iloc[:, 0] if isinstance(values, pd.DataFrame) else pd.Series(values)
    return series.astype(object) if isinstance(series.dtype, pd.CategoricalDtype) else series


def _vector(values: Any, role: str) -> Vector:
    array: Array = response_array(values)[0] if try_frame(values) is not None else np.asarray(
        real_numbers(values, role), dtype=np.float64
    )  # fmt: skip
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ShapeError(f"{role} has shape {array.shape}. Give one number per row.")
    return array


def _check_lengths(columns: Mapping[str, Any]) -> None:
    lengths = {role: len(values) for role, values in columns.items() if values is not None}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{role} {length:,}" for role, length in lengths.items())
        raise ShapeError(f"The columns have different numbers of rows: {told}. Give one entry per row in each.")


def _check_weights(weight: Vector | None) -> None:
    if weight is None:
        return
    if np.isinf(weight).any():
        raise NotFiniteError(
            f"weights is infinite in row {int(np.isinf(weight).argmax())} (counted from 0). Correct it."
        )
    if (weight < 0.0).any():
        at = int((weight < 0.0).argmax())
        raise DataError(
            f"weights must not be negative: {weight[at]:.6g} in row {at} (counted from 0). Likelihood weights "
            "count how often a group stands for itself."
        )
    if not (weight > 0.0).any():
        raise DataError("All weights are 0: no row counts. Give at least one positive weight.")


def _complete(absent: Mapping[str, Mask], drop: bool) -> tuple[Mask, dict[str, int]]:
    wrong = np.logical_or.reduce(list(absent.values()))
    if not wrong.any():
        return ~wrong, {}
    told = ", ".join(f"{role} missing in {int(mask.sum()):,}" for role, mask in absent.items() if mask.any())
    if not drop:
        raise NotFiniteError(
            f"{int(wrong.sum()):,} of {len(wrong):,} rows are incomplete ({told}; first: row {int(wrong.argmax())}, "
            f'counted from 0). Pass on_missing="drop" to use the {int((~wrong).sum()):,} complete rows.'
        )
    if wrong.all():
        raise DataError(f"No row is complete ({told}). Check which columns are y, x, weights and group.")
    warn(f"{int(wrong.sum()):,} of {len(wrong):,} rows were dropped ({told}).", RepairWarning)
    return ~wrong, {"dropped, incomplete": int(wrong.sum())}


def _design(response: Vector, covariates: Any, intercept: bool, rows: Index, drop: bool) -> Design | None:
    if covariates is None and not intercept:
        return None
    return design_from_arrays(
        response, covariates, intercept=intercept, on_missing="drop" if drop else "error", rows=rows
    )


def _numbered(cells: pd.Series[Any] | None, used: Index) -> tuple[Index | None, pd.Index[Any] | None]:
    if cells is None:
        return None, None
    try:
        numbers, labels = pd.factorize(cells.iloc[used], sort=False)
    except TypeError as error:
        raise DataError(f"group holds values that cannot be compared ({error}). Give numbers or text.") from error
    return np.asarray(numbers, dtype=np.intp), pd.Index(labels)


def _check_values(rows: Rows, names: tuple[str, ...], labels: pd.Index[Any] | None) -> None:
    largest = float(np.abs(rows.y).max())
    if largest == 0.0:
        raise DataError(
            "Every response y is 0: all variances are estimated 0 and the likelihood has no bound. Check the column."
        )
    if not SMALLEST <= largest <= LARGEST:
        raise DataError(
            f"The largest response is {largest:.3g} in size, and its square is beyond what float64 can hold. Rescale "
            "y, for instance to a standard deviation of 1."
        )
    for name, column in zip(names, rows.X.T, strict=True):
        size = float(np.abs(column).max())
        if size == 0.0:
            raise NotIdentifiedError(
                f"x '{name}' is 0 in every row used: nothing is known of the variance of its slopes. Leave it out."
            )
        with np.errstate(over="ignore", under="ignore"):
            unit = (largest / size) ** 2 if SMALLEST <= size <= LARGEST else np.inf
        if not np.finfo(float).tiny < unit < np.finfo(float).max:
            raise DataError(
                f"x '{name}' is up to {size:.3g} in size and y up to {largest:.3g}: variances of slopes of this size "
                "are beyond what float64 can hold. Rescale the column."
            )
    if rows.group is not None and labels is not None:
        first = np.zeros(len(labels))
        first[rows.group[::-1]] = rows.weight[::-1]
        differs = rows.weight != first[rows.group]
        if differs.any():
            groups = rows.group[differs]
            raise DataError(
                f"weights differ within group '{labels[groups[0]]}' ({len(np.unique(groups)):,} such groups): a group "
                "has one likelihood and one weight. Give every row of a group the same weight."
            )
