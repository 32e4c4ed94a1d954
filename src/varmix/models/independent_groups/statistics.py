"""What pieces say about the variances: sums that add, from which every scheme and every derivative follows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.typing import Array, Square, Vector

LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupStats:
    """Sums over groups, weighted by a, at theta = (v, s); `Y = [W, y]` has C columns, kernels K_k = x_k x_k', K_s = I.

    Fixed effects are left open: every quadratic form is a C x C matrix, closed once their values are known.
    """

    rows: float
    """`sum a m`: coordinates with a density."""
    log_determinant: float
    """`sum a log det V`; NaN where some V is singular."""
    trace: Vector
    """`tr(V^-1 K_k)`, shape (K + 1,)."""
    pairs: Square
    """`tr(V^-1 K_k V^-1 K_l)`, shape (K + 1, K + 1)."""
    quad: Array
    """`Y' V^-1 K_k V^-1 Y`, shape (K + 1, C, C)."""
    curve: Array
    """`Y' V^-1 K_k V^-1 K_l V^-1 Y`, symmetric part, shape (K + 1, K + 1, C, C)."""
    total: Square
    """`Y'Y`, shape (C, C)."""
    effects: Vector
    """`sum a` over the groups in which column k is not 0, shape (K,)."""

    def __add__(self, other: GroupStats) -> GroupStats:
        return GroupStats(
            rows=self.rows + other.rows,
            log_determinant=self.log_determinant + other.log_determinant,
            trace=self.trace + other.trace,
            pairs=self.pairs + other.pairs,
            quad=self.quad + other.quad,
            curve=self.curve + other.curve,
            total=self.total + other.total,
            effects=self.effects + other.effects,
        )

    @classmethod
    def blank(cls, slopes: int, columns: int) -> GroupStats:
        """Sums over nothing."""
        size = slopes + 1
        return cls(
            rows=0.0,
            log_determinant=0.0,
            trace=np.zeros(size),
            pairs=np.zeros((size, size)),
            quad=np.zeros((size, columns, columns)),
            curve=np.zeros((size, size, columns, columns)),
            total=np.zeros((columns, columns)),
            effects=np.zeros(slopes),
        )

    @classmethod
    def undefined(cls, slopes: int, columns: int) -> GroupStats:
        """Of a piece that has no density."""
        blank = cls.blank(slopes, columns)
        return cls(
            rows=math.nan,
            log_determinant=math.nan,
            trace=blank.trace + math.nan,
            pairs=blank.pairs + math.nan,
            quad=blank.quad + math.nan,
            curve=blank.curve + math.nan,
            total=blank.total,
            effects=blank.effects,
        )
