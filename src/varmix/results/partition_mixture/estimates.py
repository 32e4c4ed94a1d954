"""Estimates of a fit of partitions in the units of the data, with their covariance, computed once for all tables."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from varmix.errors import OptionError
from varmix.inference.information import standard_errors
from varmix.iteration import Outcome
from varmix.models.partition.covariance import Quadratic
from varmix.models.partition.problem import Problem, covariance, factors, names
from varmix.typing import Mask, Matrix, Square, Vector


class Estimates:
    """Coordinates (`problem.scalars`, pi, P row by row) at the end of a fit; `types` name the sample types."""

    def __init__(self, problem: Problem, outcome: Outcome[Any, Any], types: tuple[str, ...]) -> None:
        self.problem = problem
        self.outcome = outcome
        self.names = names(problem, types)
        self.factors = factors(problem)
        self.inner = problem.vector(outcome.params)
        self.held: Mask = problem.held

    @property
    def values(self) -> Vector:
        """In the units of the data, (K,)."""
        return np.asarray(self.inner * self.factors)

    @property
    def kind(self) -> str:
        """What the covariance rests on: a product over samples that are not independent asks for the sandwich."""
        return "sandwich" if self.problem.base.likelihood == "composite" else "observed"

    @cached_property
    def quadratic(self) -> Quadratic:
        """Gradient and information at the end, in internal units."""
        return self.problem.quadratic(self.outcome)

    @cached_property
    def inner_covariance(self) -> Square:
        """In internal units, (K, K); NaN for what is held or at an edge, infinite for what is not told apart."""
        return covariance(self.problem, self.outcome, self.kind, self.quadratic)

    def covariance(self, kind: str) -> Square:
        """In the units of the data."""
        known = kind == self.kind
        inner = self.inner_covariance if known else covariance(self.problem, self.outcome, kind, self.quadratic)
        return np.asarray(inner * self.factors * self.factors[:, None])

    def reach(self, drop: float) -> Vector:
        """How far an estimate at an edge may be from it until the log-likelihood has fallen by `drop`, (K,), in the
        units of the data; NaN for those inside."""
        return np.asarray(self.quadratic.reach(drop) * self.factors)

    @cached_property
    def standard_errors(self) -> Vector:
        """In the units of the data, (K,)."""
        return np.asarray(standard_errors(self.inner_covariance) * self.factors)

    def position(self, name: str) -> int:
        """Position of a coordinate; a partition in words is its share. Raises OptionError."""
        for candidate in (name, f"share[{name}]"):
            if candidate in self.names:
                return self.names.index(candidate)
        few = ", ".join(f"'{known}'" for known in self.names[:8])
        raise OptionError(f"There is no parameter '{name}'. There are: {few}{', ...' if len(self.names) > 8 else ''}.")

    @property
    def first_share(self) -> int:
        """Coordinates before the shares."""
        return len(self.problem.scalars)

    @property
    def shares(self) -> Vector:
        """Shape (J,)."""
        return self.inner[self.first_share : self.first_share + len(self.problem.base.partitions)]

    @property
    def proportions(self) -> Matrix:
        """Shape (D, T)."""
        first = self.first_share + len(self.problem.base.partitions)
        return self.inner[first:].reshape(self.problem.base.known.shape)
