"""Coordinates that are independent of one another: variances `tau = sum_k v_k A_k + s`, a weighted Gamma regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.independent_groups.statistics import GroupStats
from varmix.typing import Index, Matrix, Vector

BLOCK = 16_384
"""Coordinates worked on at a time: some ten arrays of this length fit a megabyte of cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scalars:
    """N coordinates. A row of its own group is one; so is each direction of a group whose columns do not meet.

    `squares` (p, N) are the A of the slopes `columns` (p,), all others are 0; `responses` (C, N) the coordinates of
    [W, y]; `weight` (N,) the likelihood weights; `slopes` the K of the model.
    """

    slopes: int
    columns: Index
    squares: Matrix
    responses: Matrix
    weight: Vector

    def __len__(self) -> int:
        return len(self.weight)

    def part(self, start: int, stop: int) -> Scalars:
        """Some of the coordinates (views)."""
        return Scalars(
            slopes=self.slopes,
            columns=self.columns,
            squares=self.squares[:, start:stop],
            responses=self.responses[:, start:stop],
            weight=self.weight[start:stop],
        )


def scalar_statistics(values: Vector, units: Scalars) -> GroupStats:
    """Statistics at theta, shape (K + 1,), in O(N) [SLOPE-7]."""
    sums = GroupStats.blank(units.slopes, len(units.responses))
    for start in range(0, len(units), BLOCK):
        sums = sums + _block(values, units.part(start, start + BLOCK))
    return sums


def _block(values: Vector, units: Scalars) -> GroupStats:
    slopes, columns, weight, responses = units.slopes, units.columns, units.weight, units.responses
    tau = values[columns] @ units.squares
    tau += values[-1]
    if not tau.min(initial=1.0) > 0.0:
        return GroupStats.undefined(slopes, len(responses))
    inverse = 1.0 / tau
    kernels = np.empty((len(columns) + 1, len(units)))  # K_k / tau
    np.multiply(units.squares, inverse, out=kernels[:-1])
    kernels[-1] = inverse
    first, second = np.triu_indices(len(responses))
    products = responses[first] * responses[second] * weight  # entries of Y'Y
    whitened = products * inverse
    quad = kernels @ whitened.T
    curve = np.stack([(kernels * kernel) @ whitened.T for kernel in kernels])
    at = np.append(columns, slopes)
    result = GroupStats.blank(slopes, len(responses))
    result.trace[at] = kernels @ weight
    result.pairs[np.ix_(at, at)] = (kernels * weight) @ kernels.T
    for row, position in enumerate(at):
        for rows, others in ((first, second), (second, first)):
            result.quad[position, rows, others] = quad[row]
            result.curve[position, at[:, None], rows, others] = curve[row]
    result.total[first, second] = result.total[second, first] = products.sum(axis=1)
    result.effects[columns] = (units.squares > 0.0) @ weight
    return GroupStats(
        rows=float(weight.sum()),
        log_determinant=float(weight @ np.log(tau)),
        trace=result.trace,
        pairs=result.pairs,
        quad=result.quad,
        curve=result.curve,
        total=result.total,
        effects=result.effects,
    )
