"""A point of the partition model: mean and variance of block means, noise, shares of partitions, proportions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from varmix.typing import Index, Mask, Matrix, Vector

SCALARS = 4
"""Coordinates before the shares: mu_0, a, tau^2, omega^2."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartitionParams:
    """`mean` mu_0, `between` a, `cell` tau^2, `measurement` omega^2, `shares` pi (J,), `proportions` P (D, T).

    `fixed` marks the coordinates (mu_0, a, tau^2, omega^2, pi, P row by row), shape (4 + J + DT,), that no step moves:
    known proportions, a noise that the model leaves out. None: all may move. Steps are taken in the parameters
    themselves: a variance, a share or a proportion of 0 is an ordinary point.
    """

    mean: float
    between: float
    cell: float
    measurement: float
    shares: Vector
    proportions: Matrix
    fixed: Mask | None = None

    def noise(self) -> Vector:
        """Variance of a sample about its type's mean, shape (D,): `tau^2 sum_t p^2 + omega^2` [PART-2]."""
        return np.asarray(self.cell * (self.proportions**2).sum(axis=1) + self.measurement)

    @property
    def held(self) -> Mask:
        """`fixed`, or a mask that holds nothing."""
        if self.fixed is not None:
            return self.fixed
        return np.zeros(SCALARS + self.shares.size + self.proportions.size, dtype=np.bool_)

    @property
    def held_proportions(self) -> Mask:
        """Entries of P that are known, shape (D, T)."""
        return np.asarray(self.held[SCALARS + len(self.shares) :].reshape(self.proportions.shape))

    @property
    def simplexes(self) -> list[Index]:
        """Positions of the shares and of each row of P among the coordinates."""
        return groups(SCALARS, len(self.shares), self.proportions.shape)

    def vector(self) -> Vector:
        """(mu_0, a, tau^2, omega^2, pi, P row by row), shape (4 + J + DT,)."""
        scalars = [self.mean, self.between, self.cell, self.measurement]
        return np.concatenate([scalars, self.shares, self.proportions.ravel()])

    def moved_to(self, vector: Vector) -> PartitionParams:
        """The point with these coordinates: held ones stay, others but mu_0 are cut at 0, and what is free of the
        shares and of each row of P is rescaled to sum to what the held part leaves."""
        held, count = self.held, len(self.shares)
        target = np.where(held, self.vector(), vector)
        target[1:] = np.maximum(target[1:], 0.0)
        shares = rescaled(target[SCALARS : SCALARS + count], self.shares, held[SCALARS : SCALARS + count])
        rows = target[SCALARS + count :].reshape(self.proportions.shape)
        mask = self.held_proportions
        proportions = [rescaled(*row) for row in zip(rows, self.proportions, mask, strict=True)]
        return replace(
            self,
            mean=float(target[0]),
            between=float(target[1]),
            cell=float(target[2]),
            measurement=float(target[3]),
            shares=shares,
            proportions=np.stack(proportions),
        )


def groups(before: int, shares: int, proportions: tuple[int, ...]) -> list[Index]:
    """Positions of the shares and of each row of P, shape (D, T), that follow `before` other coordinates."""
    types, size = proportions
    rows = before + shares + np.arange(types * size).reshape(types, size)
    return [before + np.arange(shares), *rows]


def rescaled(values: Vector, before: Vector, held: Mask) -> Vector:
    """`values` with the entries that are not held in proportion to what the held ones leave of 1."""
    free = ~held
    if not free.any():
        return before
    total, left = float(values[free].sum()), 1.0 - float(before[held].sum())
    if not (total > 0.0 and np.isfinite(total)):
        return before
    return np.where(held, before, values * (left / total))
