"""A model small enough to know everything about: climb a known function of one or two coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.iteration import Certificate


@dataclass(frozen=True, slots=True)
class Place:
    values: np.ndarray

    def vector(self) -> np.ndarray:
        return self.values

    def moved_to(self, vector: np.ndarray) -> Place:
        return Place(np.asarray(vector, dtype=float))


@dataclass(frozen=True, slots=True)
class Height:
    """`-sum w (x - peak)^2`; pieces add."""

    height: float
    slope: np.ndarray

    def __add__(self, other: Height) -> Height:
        return Height(self.height + other.height, self.slope + other.slope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hill:
    """Each step goes the share `rates` of the way to the peak at 0; pieces are weights."""

    rates: tuple[float, ...] = (0.2, 0.5)
    monotone: bool = True
    name: str = "hill"

    def summarise(self, place: Place, weight: float, /) -> Height:
        return Height(-weight * float(place.values @ place.values), -2.0 * weight * place.values)

    def update(self, place: Place, stats: Height, /) -> Place:
        return Place(place.values * (1.0 - np.array(self.rates)))

    def objective(self, place: Place, stats: Height, /) -> float:
        return stats.height

    def certificate(self, place: Place, stats: Height, /) -> Certificate:
        return Certificate(
            projected_gradient=float(np.abs(stats.slope).max()), newton_decrement=float(np.linalg.norm(place.values))
        )
