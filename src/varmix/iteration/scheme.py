"""What the loop asks of a model: statistics that add, a scheme that climbs, and a certificate of arrival."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from varmix.typing import Vector


class Stats(Protocol):
    """What a piece of data says about the parameters; statistics of independent pieces add."""

    def __add__(self, other: Self, /) -> Self: ...


class Params(Protocol):
    """A point in the parameter space that is also a free vector."""

    def vector(self) -> Vector:
        """Coordinates in which schemes and accelerators step, shape (k,)."""
        ...

    def moved_to(self, vector: Vector) -> Self:
        """The point with these coordinates, projected onto the parameter space."""
        ...


P = TypeVar("P", bound=Params)
S = TypeVar("S", bound=Stats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Distance from a stationary point of the constrained problem.

    `projected_gradient` is the largest change in log-likelihood, to first order, for a relative change of a parameter
    that is free to move (at an edge of its space: of the parameter's typical scale). `newton_decrement` is the root of
    twice the log-likelihood that a quadratic model still has to gain within the space: inside it, sqrt(g' I^-1 g), the
    distance to the optimum in standard errors. `on_boundary` lists the coordinates that are at an edge of their space:
    a variance or a share at 0, a correlation at 1.
    """

    projected_gradient: float
    newton_decrement: float
    on_boundary: tuple[int, ...] = ()


class Scheme(Protocol[P, S]):
    """How to climb: options only. `monotone` promises that no update lowers the objective."""

    @property
    def name(self) -> str:
        """Short name shown in progress tables."""
        ...

    @property
    def monotone(self) -> bool:
        """Whether every update is guaranteed not to lower the objective."""
        ...

    def summarise(self, params: P, piece: Any, /) -> S:
        """Statistics of one piece at `params`."""
        ...

    def update(self, params: P, stats: S, /) -> P:
        """The next point."""
        ...

    def objective(self, params: P, stats: S, /) -> float:
        """What is maximised, a prior or penalty on `params` included; -inf where the model is undefined."""
        ...

    def certificate(self, params: P, stats: S, /) -> Certificate:
        """Distance from the optimum."""
        ...


@dataclass(frozen=True, slots=True)
class Point(Generic[P, S]):
    """Parameters with the statistics of all pieces at them."""

    params: P
    stats: S
    objective: float


Evaluate = Callable[[P], Point[P, S]]
