"""Restrictions of the variances: which part of the cone is left, and how it moves with the value that is held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.typing import Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """`theta = offset + directions t`, t >= 0, at one value of what is held."""

    offset: Vector
    directions: Matrix
    """Shape (K, number of free coordinates), entries >= 0."""

    @property
    def is_ray(self) -> bool:
        """Whether the scale alone is free, whose best value is known."""
        return self.directions.shape[1] == 1 and not self.offset.any()


def variance_held(component: int, value: float, count: int) -> Restriction:
    """One of `count` variances at a value."""
    offset = np.zeros(count)
    offset[component] = value
    return Restriction(offset=offset, directions=np.delete(np.eye(count), component, axis=1))


def proportion_held(component: int, value: float, traces: Vector) -> Restriction:
    """One proportion of variance at a value [VC-9].

    Free are the contributions tau_j of the other components, scaled so that theta_k t_k = value * sum tau.
    """
    count = len(traces)
    zero = np.zeros(count)
    if value >= 1.0:
        alone = np.zeros((count, 1))
        alone[component] = 1.0 / traces[component]
        return Restriction(offset=zero, directions=alone)
    others = [k for k in range(count) if k != component]
    directions = np.zeros((count, len(others)))
    for column, k in enumerate(others):
        directions[k, column] = (1.0 - value) / traces[k]
        directions[component, column] = value / traces[component]
    return Restriction(offset=zero, directions=directions)


def shrunk(components: list[int], factor: float, estimate: Vector) -> Restriction:
    """Several variances at `factor` times their estimates."""
    offset = np.zeros(len(estimate))
    offset[components] = factor * estimate[components]
    return Restriction(offset=offset, directions=np.delete(np.eye(len(estimate)), components, axis=1))
