"""EM with one redundant scale for all slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.independent_groups.closed import close
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.scheme import GroupScheme, without_vestiges
from varmix.models.independent_groups.statistics import GroupStats

LEAST = 1e-10
"""Share of `r'r` below which the expected slopes are lost in rounding, and the step is plain EM's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PXEM(GroupScheme):
    """The data, regressed on their expected slopes, say by how much all of these are too small or too large."""

    name: str = "pxem"
    monotone: bool = True

    def update(self, params: GroupParams, stats: GroupStats, /) -> GroupParams:
        """`d = E[(Xb)'r] / E|Xb|^2`, `v_k <- d^2 v_k(EM)`, s from `E|r - d Xb|^2` [SLOPE-4]; a slope held: d = 1.

        With u = V^-1 r: `Xb = r - s u` in expectation, and its covariance has the trace `s rows - s^2 tr(V^-1)`.
        """
        closed, values, s = close(params.values, stats), params.values, float(params.values[-1])
        straight = float(values @ closed.quad)  # r'u
        explained = closed.squares - s * straight
        second = explained - s * (straight - s * float(closed.quad[-1]))
        spread = s * (stats.rows - s * float(stats.trace[-1]))
        known = not params.held[:-1].any() and min(explained, second) > LEAST * closed.squares and spread >= 0.0
        scale = explained / (second + spread) if known else 1.0
        moment = values[:-1] + values[:-1] ** 2 * (closed.quad - stats.trace)[:-1] / stats.effects
        if known:
            residual = (closed.squares - scale * explained) / stats.rows
        else:
            residual = s + s * s * float(closed.quad[-1] - stats.trace[-1]) / stats.rows
        return without_vestiges(params.moved_to(np.append(scale**2 * moment, residual)), params, closed)
