"""Rows of a model of independent groups from arrays or from the columns of a data frame, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, NotFiniteError, NotIdentifiedError, OptionError, ShapeError
from varmix.formula import Design, design_from_arrays
from varmix.formula.arrays import response_array
from varmix.models.independent_groups.model import RESIDUAL
from varmix.models.independent_groups.reduction import Rows
from varmix.tables.frame import try_frame
from varmix.tables.group_labels import group_labels, numbered
from varmix.tables.numbers import real_numbers
from varmix.tables.row_variables import complete_rows, real_vector, row_variables
from varmix.typing import Index, Mask, Matrix, Vector

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

    Series and data frames with an index are joined on it, everything else goes by position. Rows with missing entries
    are an error in arrays and dropped with a count in data frames, unless `on_missing` says
    otherwise ("error", "drop"). Raises ShapeError, NotFiniteError, DataError, OptionError, and NotIdentifiedError for a
    column of x that is 0 throughout.
    """
    if on_missing not in (None, "error", "drop"):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use 'error' or 'drop'.")
    drop = on_missing == "drop" or (on_missing is None and data is not None)
    given = {"y": y, "x": x, "weights": weights, "group": group, "covariates": covariates}
    if x is None:
        raise OptionError("Give x, the regressors whose slopes are random: shape (n,) or (n, K).")
    if np.ndim(x) > 2:
        raise ShapeError(f"x has shape {np.shape(x)}. Give n numbers, or n x K for K slopes.")
    found = row_variables(given, data, drop=drop, labels=("group",), several=("x", "covariates"))
    response, response_names = response_array(found.values["y"])
    if response.ndim != 1:
        raise ShapeError(f"y has shape {response.shape}. Give one response per row.")
    slopes, names = _slopes(found.values["x"])
    weight = real_vector(found.values["weights"], "weights") if "weights" in found.values else None
    _check_weights(weight)
    absent: dict[str, Mask] = {"y": np.isnan(response), "x": np.asarray(np.isnan(slopes).any(axis=1))}
    if weight is not None:
        absent["weights"] = np.isnan(weight)
    codes, labels = None, None
    if "group" in found.values:
        codes, absent["group"] = group_labels(found.values["group"], "group")
    kept, lost = complete_rows(absent, drop=drop, lost=found.lost)
    if weight is not None and (idle := kept & (weight == 0.0)).any():
        lost["weight 0"] = int(idle.sum())
        kept &= ~idle
    design = _design(response, found.values.get("covariates"), intercept, np.flatnonzero(kept), drop)
    used = np.flatnonzero(kept) if design is None else design.rows
    if len(used) < (total := int(kept.sum())):
        lost["covariates missing"] = total - len(used)
    if codes is not None:
        codes, labels = numbered(codes[used])
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
        positions=found.rows[used],
        lost={"given": len(response) + found.lost, **lost},
    )


def _slopes(x: Any) -> tuple[Matrix, tuple[str, ...]]:
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


def _design(response: Vector, covariates: Any, intercept: bool, rows: Index, drop: bool) -> Design | None:
    if covariates is None and not intercept:
        return None
    return design_from_arrays(
        response, covariates, intercept=intercept, on_missing="drop" if drop else "error", rows=rows
    )


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
