"""`plan_random_effect_mixture`: how many effects, and how many rows of each, before there are any data [SLOPE-10]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, NotFiniteError, NotIdentifiedError, OptionError, ShapeError
from varmix.models.random_effect_mixture.expected import expected
from varmix.models.random_effect_mixture.nodes import (
    Nodes,
    normal_nodes,
    product_nodes,
    repeated_nodes,
    sample_nodes,
)
from varmix.results.random_effect_mixture.design import TIMES, Plan, advise, plan_table, truth
from varmix.tables.numbers import real_numbers
from varmix.tables.row_variables import row_variables
from varmix.typing import Array, Vector

SUM_OF_SHARES = 1e-6
"""What shares may miss in their sum: they are often typed with a few digits."""

MOST_ROWS = 10_000
"""Rows per effect beyond which effects are as good as seen, and plans about shares end."""


def plan_random_effect_mixture(
    variances: Sequence[float] | Vector,
    residual: float | None,
    shares: Sequence[float] | Vector,
    *,
    x: Array | Sequence[float] | None = None,
    effects: int = 1000,
    rows_per_effect: int | Sequence[int] = TIMES,
    null: bool = False,
    se: float | Array | Sequence[float] | None = None,
    target_se: float | None = None,
) -> Plan:
    """Standard errors to expect from mixtures of random effects, at an assumed truth (v, s, pi) [SLOPE-10].

    `variances` and `shares` have one entry per class, `x` (n,) holds regressors that rows are drawn from (None:
    standard normal), `effects` is the number of groups and `rows_per_effect` one or more numbers of rows that share
    an effect. With `null` the first variance must be 0 and is known. `se` are known standard errors, one for all rows
    or one for each x; `residual` is then their inflation, to be estimated, or None: known to be 1. `target_se` asks
    how many effects bring the least certain share to it.

    The table's `information_kept` is the information on a share, all other parameters unknown, over what known classes
    would give (the least over the classes). Errors are those of a large sample: at a variance of 0 that is not held,
    the estimate is 0 half of the time.

    Raises DataError (ShapeError, NotFiniteError), OptionError, NotIdentifiedError (x is 0 everywhere).
    """
    variances, shares = _joined("variances", variances, "shares", shares)
    x, se = _joined("x", x, "se", se)
    v, pi = _truth(variances, shares, null)
    counts = _row_counts(rows_per_effect)
    if not _is_number(effects) or effects < 1 or effects != int(effects):
        raise OptionError(f"effects={effects!r} must be a whole number of at least 1.")
    if target_se is not None and not (_is_number(target_se) and target_se > 0.0):
        raise OptionError(f"target_se={target_se!r} must be a positive number, for instance 0.05.")
    s = _residual(residual, se is not None)
    errors = None if se is None else _errors(se)
    sample = None if x is None else _regressors(x, errors)
    params = truth(v, s, pi, null=null, residual_known=residual is None)
    pull = float(v.max()) / s
    if not math.isfinite(pull):
        raise DataError(
            f"Variances of {v.max():.3g} beside a residual of {s:.3g} overflow. Bring x and y to other units."
        )
    designs = {float(m): expected(params, _nodes(sample, errors, m, pull)) for m in counts}
    table = plan_table(designs, float(effects), target_se)
    return Plan(
        variances=tuple(v.tolist()), residual=s, shares=tuple(pi.tolist()), table=table, advice=advise(table)
    )  # fmt: skip


def _joined(first: str, one: Any, second: str, other: Any) -> tuple[Any, Any]:
    """Two series by their labels, anything else as it is."""
    if not (isinstance(one, pd.Series) and isinstance(other, pd.Series)):
        return one, other
    found = row_variables({first: one, second: other}, drop=False).values
    return found[first], found[second]


def _nodes(sample: Vector | None, errors: Vector | None, rows: int, pull: float) -> Nodes:
    """`q = sum x^2 / se^2` over that many rows: from the sample of x^2 / se^2, or for standard normal x."""
    if sample is not None:
        return repeated_nodes(sample_nodes(sample, pull=pull), rows, pull=pull)
    if errors is None or errors.size == 1:
        return normal_nodes(rows, pull=pull, scale=1.0 if errors is None else float(errors[0]) ** -2)
    precision = errors**-2.0
    finest = float(precision.max())
    one = product_nodes(
        normal_nodes(1, pull=pull, scale=finest), sample_nodes(precision / finest, pull=pull * finest), pull=pull
    )
    return repeated_nodes(one, rows, pull=pull)


def _truth(variances: Any, shares: Any, null: bool) -> tuple[Vector, Vector]:
    v, pi = _numbers(variances, "variances"), _numbers(shares, "shares")
    if len(v) != len(pi):
        raise ShapeError(f"There are {len(v)} variances and {len(pi)} shares. Give one of each per class.")
    if (v < 0.0).any():
        raise DataError(f"A variance is negative ({v.min():.6g}). Variances of effects are 0 or more.")
    if len(np.unique(v)) < len(v):
        twice = next(value for value in v if (v == value).sum() > 1)
        raise DataError(f"Two classes have the variance {twice:.6g}: they are one class. Give distinct variances.")
    if not ((pi > 0.0) & (pi <= 1.0)).all() or abs(float(pi.sum()) - 1.0) > SUM_OF_SHARES:
        told = ", ".join(f"{value:.6g}" for value in pi)
        raise DataError(f"The shares ({told}) sum to {pi.sum():.6g}. They must be positive and sum to 1.")
    if null and v[0] != 0.0:
        raise OptionError(
            f"null=True holds the first variance at 0, and it is {v[0]:.6g}. Give 0 first: (0, {v[0]:.6g}, ...)."
        )
    return v, pi / pi.sum()


def _row_counts(rows: Any) -> list[int]:
    values = [rows] if isinstance(rows, int | np.integer) and not isinstance(rows, bool) else rows
    try:
        listed = list(dict.fromkeys(values))
    except TypeError as error:
        raise OptionError(f"rows_per_effect={rows!r} must be whole numbers, for instance (1, 5, 10).") from error
    for count in listed:
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= MOST_ROWS:
            raise OptionError(
                f"rows_per_effect holds {count!r}. Give whole numbers from 1 to {MOST_ROWS:,}, for instance (1, 5, 10)."
            )
    if not listed:
        raise OptionError("rows_per_effect is empty. Give at least one number of rows, for instance 1.")
    return [int(count) for count in listed]


def _residual(residual: Any, known_errors: bool) -> float:
    if residual is None:
        if not known_errors:
            raise OptionError(
                "residual=None says that standard errors are known: pass them by se=, or give a residual."
            )
        return 1.0
    if not (_is_number(residual) and residual > 0.0):
        raise OptionError(f"residual={residual!r} must be a positive variance (with se: an inflation, or None for 1).")
    return float(residual)


def _errors(se: Any) -> Vector:
    errors = _numbers([se] if np.ndim(se) == 0 else se, "se")
    if not (errors > 0.0).all():
        raise DataError(f"se must be positive, and holds {errors.min():.6g}. Leave such rows out.")
    return errors


def _regressors(x: Any, errors: Vector | None) -> Vector:
    """`x^2 / se^2`."""
    values = _numbers(x, "x")
    if errors is not None and errors.size not in (1, len(values)):
        raise ShapeError(
            f"x has {len(values):,} entries and se {len(errors):,}. Give one se for all, or one for each x."
        )
    with np.errstate(over="ignore", under="ignore"):
        sample = (values if errors is None else values / errors) ** 2
    if not values.any():
        raise NotIdentifiedError("x is 0 everywhere, so that no row says anything about the effects. Give other x.")
    if not (np.isfinite(sample).all() and sample.any()):
        raise DataError("x^2 / se^2 is beyond the range of numbers. Bring x and y to other units.")
    return np.asarray(sample)


def _numbers(values: Any, what: str) -> Vector:
    array = np.asarray(real_numbers(values, what), dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ShapeError(f"{what} has shape {array.shape}. Give a list of numbers.")
    if not np.isfinite(array).all():
        first = int(np.flatnonzero(~np.isfinite(array))[0])
        raise NotFiniteError(f"{what} holds {array[first]} at position {first}. Give finite numbers.")
    return array


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
