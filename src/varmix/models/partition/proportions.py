"""Rows of proportions that raise the expected complete-data log-likelihood, one small simplex problem each [PART-4]."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import xlogy

from varmix.models.partition.params import PartitionParams
from varmix.models.partition.simplex import simplex_maximum
from varmix.models.partition.statistics import PartitionStats
from varmix.typing import Array, Mask, Matrix, Vector

HALVINGS = 30
"""Times a step is halved: 1e-9 of it is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowSums:
    """What a sample type says about its proportions, given the deviations x of cell types from mu_0."""

    samples: Vector
    linear: Vector
    squares: Vector
    firsts: Matrix
    crossed: Matrix
    moments: Array

    @classmethod
    def of(cls, stats: PartitionStats) -> RowSums:
        """From the statistics of all genes."""
        return cls(
            samples=stats.samples,
            linear=stats.linear,
            squares=stats.squares,
            firsts=stats.firsts,
            crossed=stats.crossed,
            moments=stats.moments,
        )

    def moved(self, shift: float, stretch: float) -> RowSums:
        """The same sums for cell types at `shift + stretch x`: of `r - shift` and `stretch x`."""
        return replace(
            self,
            linear=self.linear - shift * self.samples,
            squares=self.squares - 2.0 * shift * self.linear + shift**2 * self.samples,
            firsts=stretch * self.firsts,
            crossed=stretch * (self.crossed - shift * self.firsts),
            moments=stretch**2 * self.moments,
        )

    def left(self, proportions: Matrix) -> Vector:
        """`sum E (r - p'x)^2` of each type, shape (D,)."""
        fitted = np.einsum("dtu,du->dt", self.moments, proportions)
        return np.asarray(self.squares - (proportions * (2.0 * self.crossed - fitted)).sum(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One type's part of the expected log-likelihood, `-(n log d + left / d) / 2 + sum (alpha - 1) log p`."""

    samples: float
    square: float
    crossed: Vector
    moment: Matrix
    cell: float
    measurement: float
    excess: Vector

    def value(self, p: Vector) -> float:
        """At p; -inf where the prior has no density."""
        d = self.cell * float(p @ p) + self.measurement
        if not d > 0.0:
            return -np.inf
        left = self.square - float(p @ (2.0 * self.crossed - self.moment @ p))
        return float(-0.5 * (self.samples * np.log(d) + left / d) + xlogy(self.excess, p).sum())

    def improved(self, p: Vector, free: Mask) -> Vector:
        """The maximiser on the simplex of a quadratic model with the row's own gradient, halved until it climbs."""
        d = self.cell * float(p @ p) + self.measurement
        if not d > 0.0:
            return p
        left = self.square - float(p @ (2.0 * self.crossed - self.moment @ p))
        with np.errstate(divide="ignore", invalid="ignore"):
            prior = np.where(self.excess > 0.0, self.excess / p, 0.0)
            bend = np.where(self.excess > 0.0, prior / p, 0.0)
        gradient = (self.crossed - self.moment @ p) / d - self.cell * (self.samples - left / d) / d * p + prior
        curvature = self.moment / d + np.diag(self.cell * self.samples / d + bend)
        if not (np.isfinite(gradient).all() and np.isfinite(curvature).all()):
            return p
        inner = curvature[np.ix_(free, free)]
        target = p.copy()
        target[free] = simplex_maximum(gradient[free] + inner @ p[free], inner, float(p[free].sum()))
        before = self.value(p)
        for halving in range(HALVINGS):
            candidate = p + 0.5**halving * (target - p)
            if self.value(candidate) >= before:
                return np.asarray(candidate if halving else target)
        return p


def improved_rows(params: PartitionParams, sums: RowSums, concentration: Matrix | None) -> Matrix:
    """Each row that has a sample and two entries or more to move, one step up; noise variances stay."""
    proportions, free = params.proportions.copy(), ~params.held_proportions
    rows = np.flatnonzero((free.sum(axis=1) > 1) & (sums.samples > 0.0))
    for s in rows:
        excess = np.zeros(proportions.shape[1]) if concentration is None else concentration[s] - 1.0
        row = Row(
            samples=float(sums.samples[s]),
            square=float(sums.squares[s]),
            crossed=sums.crossed[s],
            moment=sums.moments[s],
            cell=params.cell,
            measurement=params.measurement,
            excess=np.where(free[s], excess, 0.0),
        )
        proportions[s] = row.improved(proportions[s], free[s])
    return proportions
