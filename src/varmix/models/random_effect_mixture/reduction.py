"""Rows to units: whiten by known errors, bring to order one, and give each group its two numbers [SLOPE-2]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.linalg.powers import power_of_two
from varmix.models.random_effect_mixture.number_range import without_vanishing
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Index, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Powers of two between the data and order one: `y = response * y_internal`, `x = regressor * x_internal`.

    Variances of effects scale with `(response / regressor)^2`, the residual with `response^2`.
    """

    response: float
    regressor: float

    @property
    def variance(self) -> float:
        """Factor from internal to outward class variances."""
        return (self.response / self.regressor) ** 2

    @property
    def residual(self) -> float:
        """Factor from the internal to the outward residual variance."""
        return self.response**2

    def outward(self, vector: Vector) -> Vector:
        """(v, s, pi) in the units of the data; the last axis holds the coordinates."""
        return np.asarray(vector * self.factors((np.shape(vector)[-1] - 1) // 2))

    def inward(self, vector: Vector) -> Vector:
        """(v, s, pi) in internal units."""
        return np.asarray(vector / self.factors((np.shape(vector)[-1] - 1) // 2))

    def factors(self, classes: int) -> Vector:
        """Factor per coordinate, shape (2K + 1,)."""
        return np.concatenate([np.full(classes, self.variance), [self.residual], np.ones(classes)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduction:
    """All groups in input order, and the units that inform their effects, in internal units.

    `q = x'x`, `xy = x'y` and `rows` have shape (G,); `informative` are the positions of the groups with q > 0, in the
    order of `units`. `log_jacobian` is what to add to the internal log-likelihood for that of the data.
    """

    units: Units
    q: Vector
    xy: Vector
    rows: Vector
    informative: Index
    scales: Scales
    log_jacobian: float

    @property
    def groups(self) -> int:
        """G."""
        return len(self.q)

    def outward(self, params: MixtureParams) -> Vector:
        """(v, s, pi) of a point in the units of the data."""
        return self.scales.outward(params.vector())


def reduce_rows(
    y: Vector,
    x: Vector,
    *,
    group: Index | None = None,
    errors: Vector | None = None,
    weights: Vector | None = None,
    scales: Scales | None = None,
) -> Reduction:
    """Units of rows with finite entries. A group whose x is nothing beside that of the others counts as without x.

    `group` (n,) numbers the groups 0, 1, ... in the order of their first row; `errors` (n,) are known standard errors,
    by which rows are divided; `weights` are likelihood weights per group (G,). `scales` are those of larger data of
    which the rows are a part; by default they are the rows' own.
    """
    jacobian = 0.0
    count = len(y) if group is None else int(group.max()) + 1
    if errors is not None:
        logs = np.log(errors)
        jacobian -= _weighted(logs, group, weights)
        y, x = y / errors, x / errors
    scales = scales or Scales(response=power_of_two(y), regressor=power_of_two(x))
    y, x = y / scales.response, x / scales.regressor
    total_rows = float(count if weights is None else weights.sum())
    if group is None:
        rows, q, xy = np.ones(count), without_vanishing(x * x), x * y
        rest = np.where(q > 0.0, 0.0, y * y)
        left = np.where(q > 0.0, 0.0, 1.0)
    else:
        rows = _sums(group, np.ones(len(y)), count)
        q = without_vanishing(_sums(group, x * x, count))
        xy = _sums(group, x * y, count)
        slope = np.divide(xy, q, out=np.zeros(count), where=q > 0.0)
        residual = y - slope[group] * x
        rest = _sums(group, residual * residual, count)
        left = np.where(q > 0.0, rows - 1.0, rows)
        total_rows = float(rows.sum() if weights is None else rows @ weights)
    jacobian -= total_rows * math.log(scales.response)
    informative = np.flatnonzero(q > 0.0)
    units = Units(
        q=q[informative],
        h2=xy[informative] ** 2 / q[informative],
        weight=None if weights is None else weights[informative],
        rest=float(rest.sum() if weights is None else rest @ weights),
        rest_rows=float(left.sum() if weights is None else left @ weights),
    )
    return Reduction(
        units=units,
        q=q,
        xy=xy,
        rows=rows,
        informative=informative,
        scales=scales,
        log_jacobian=jacobian,
    )


def _sums(group: Index, values: Vector, count: int) -> Vector:
    return np.asarray(np.bincount(group, values, minlength=count), dtype=np.float64)


def _weighted(values: Vector, group: Index | None, weights: Vector | None) -> float:
    if weights is None:
        return float(values.sum())
    return float(values @ (weights if group is None else weights[group]))
