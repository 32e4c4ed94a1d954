"""A point of the partition model: mean and variance of block means, noise, shares of partitions, proportions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.typing import Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartitionParams:
    """`mean` mu_0, `between` a, `cell` tau^2, `measurement` omega^2, `shares` pi (J,), `proportions` P (D, T)."""

    mean: float
    between: float
    cell: float
    measurement: float
    shares: Vector
    proportions: Matrix

    def noise(self) -> Vector:
        """Variance of a sample about its type's mean, shape (D,): `tau^2 sum_t p^2 + omega^2` [PART-2]."""
        return np.asarray(self.cell * (self.proportions**2).sum(axis=1) + self.measurement)
