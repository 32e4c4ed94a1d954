"""Rows of `y = b x + e` from arrays or from the columns of a data frame, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, OptionError
from varmix.models.random_effect_mixture.number_range import check_scales, check_weight
from varmix.models.random_effect_mixture.ratios import ResponseRatios
from varmix.models.random_effect_mixture.reduction import Reduction, reduce_rows
from varmix.tables.group_labels import group_labels, numbered
from varmix.tables.row_variables import complete_rows, real_vector, refuse_infinity, row_variables
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

    Series and data frames with an index are joined on it, everything else goes by position. Rows with missing entries
    are an error in arrays and dropped with a count in data frames, unless `on_missing` says
    otherwise ("error", "drop"). Raises ShapeError, NotFiniteError, DataError, OptionError.
    """
    if on_missing not in (None, "error", "drop"):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use 'error' or 'drop'.")
    given = {"y": y, "x": x, "group": group, "se": se, "weights": weights}
    name = y if isinstance(y, str) else str(getattr(y, "name", None) or "y")
    if y is None or x is None:
        raise OptionError("Give y and x, the responses and their regressors.")
    drop = on_missing == "drop" or (on_missing is None and data is not None)
    found = row_variables(given, data, drop=drop, labels=("group",))
    columns = {role: real_vector(values, role) for role, values in found.values.items() if role != "group"}
    absent: dict[str, Mask] = {role: np.isnan(values) for role, values in columns.items()}
    codes = None
    if "group" in found.values:
        codes, absent["group"] = group_labels(found.values["group"], "group")
    for role, values in columns.items():
        refuse_infinity(values, role)
    kept, dropped = complete_rows(absent, drop=drop, lost=found.lost)
    rows = found.rows[kept]
    columns = {role: values[kept] for role, values in columns.items()}
    group_of, labels = (None, None) if codes is None else numbered(codes[kept])
    _check_values(columns, rows)
    return EffectRows(
        y=columns["y"],
        x=columns["x"],
        group=group_of,
        labels=labels,
        errors=columns.get("se"),
        weights=_group_weights(columns.get("weights"), group_of, labels),
        rows=rows,
        dropped=dropped,
        name=name,
    )


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
