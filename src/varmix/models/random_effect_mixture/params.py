"""A point of the mixture: variances of the classes, residual variance, shares; and which of them are held."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from varmix.typing import Index, Mask, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixtureParams:
    """Class variances v >= 0, shape (K,), the residual variance s >= 0 and shares pi on the simplex, shape (K,).

    `held` marks the coordinates (v, s, pi), shape (2K + 1,), that no step moves: a null class, a known residual,
    a point of a profile, the variances of a grid. Steps are taken in the parameters themselves: 0 is an ordinary point.
    """

    variances: Vector
    residual: float
    shares: Vector
    held: Mask

    @classmethod
    def free(cls, variances: Vector, residual: float, shares: Vector) -> MixtureParams:
        """A point at which every coordinate may move."""
        variances, shares = np.asarray(variances, dtype=np.float64), np.asarray(shares, dtype=np.float64)
        held = np.zeros(2 * len(variances) + 1, dtype=np.bool_)
        return cls(variances=variances, residual=float(residual), shares=shares, held=held)

    @property
    def classes(self) -> int:
        """K."""
        return len(self.variances)

    @property
    def free_shares(self) -> Mask:
        """Classes whose share may move, shape (K,)."""
        return ~self.held[self.classes + 1 :]

    def vector(self) -> Vector:
        """(v, s, pi), shape (2K + 1,)."""
        return np.concatenate([self.variances, [self.residual], self.shares])

    def moved_to(self, vector: Vector) -> MixtureParams:
        """The point with these coordinates: held ones stay, variances are cut at 0, free shares rescaled to sum to what
        the held ones leave."""
        count = self.classes
        target = np.where(self.held, self.vector(), np.maximum(vector, 0.0))
        shares, free = target[count + 1 :], self.free_shares
        total = float(shares[free].sum())
        if total > 0.0 and np.isfinite(total):
            shares[free] *= (1.0 - float(shares[~free].sum())) / total
        elif free.any():
            shares[free] = self.shares[free]
        return replace(self, variances=target[:count], residual=float(target[count]), shares=shares)

    def holding(self, coordinate: int, value: float) -> MixtureParams:
        """The point with one more coordinate held, at `value`; free shares are rescaled."""
        target = self.vector()
        target[coordinate] = value
        held = self.held.copy()
        held[coordinate] = True
        count = self.classes
        point = replace(
            self, variances=target[:count], residual=float(target[count]), shares=target[count + 1 :], held=held
        )
        return point.moved_to(target)

    @property
    def order(self) -> Index:
        """Positions of the coordinates (2K + 1,) with classes in ascending order of variance; a held one is first where
        it ties."""
        count = self.classes
        order = np.lexsort((~self.held[:count], self.variances))
        return np.concatenate([order, [count], count + 1 + order])

    def ordered(self) -> MixtureParams:
        """The same point with classes in ascending order of variance."""
        order, count = self.order, self.classes
        classes = order[:count]
        return replace(self, variances=self.variances[classes], shares=self.shares[classes], held=self.held[order])
