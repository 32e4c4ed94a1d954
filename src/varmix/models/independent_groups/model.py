"""The model with its data: rows, reduced pieces, names; and from internal points to numbers of the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from varmix.iteration import Outcome
from varmix.models.independent_groups.climb import Climb
from varmix.models.independent_groups.closed import Closed, close
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.reduction import Reduced, Rows, reduce_rows
from varmix.models.independent_groups.starting import evaluate
from varmix.typing import Vector

RESIDUAL = "residual"
"""Name of the last component."""

NOTHING = 1e-26
"""Mean square, beside responses of order one, that is the rounding of an exact fit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class IndependentGroups:
    """`names` of the K slopes and of the c fixed effects; `residual` is the known variance, None where estimated."""

    rows: Rows
    names: tuple[str, ...]
    fixed_names: tuple[str, ...]
    response_name: str
    residual: float | None

    @cached_property
    def reduced(self) -> Reduced:
        """The pieces."""
        return reduce_rows(self.rows)

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the variances, residual last."""
        return (*self.names, RESIDUAL)

    @property
    def known(self) -> float | None:
        """The known residual variance in internal units."""
        return None if self.residual is None else self.residual / float(self.reduced.outward[-1])

    @property
    def unreached_is_exact(self) -> bool:
        """Whether there are rows that no slope reaches and fixed effects explain all of them exactly."""
        rest = self.reduced.rest
        if rest.rows == 0.0:
            return False
        spread, last = np.asarray(rest.total), len(rest.total) - 1
        share = np.linalg.lstsq(spread[:last, :last], spread[:last, last], rcond=1e-10)[0] if last else np.zeros(0)
        left = np.append(-share, 1.0)
        return float(left @ spread @ left) <= NOTHING * rest.rows

    def outward(self, values: Vector) -> Vector:
        """Variances of the data, shape (K + 1,)."""
        return np.asarray(values * self.reduced.outward)

    def log_likelihood_outward(self, internal: float) -> float:
        """Log-likelihood of the data."""
        return self.reduced.weight * internal + self.reduced.log_jacobian

    def closed(self, params: GroupParams) -> Closed:
        """Fixed effects and derivatives at a point."""
        return close(params.values, evaluate(params, self.reduced.pieces))

    def climb(self, start: GroupParams, climb: Climb | None = None) -> Outcome[Any, Any]:
        """Run a scheme from a start (internal units)."""
        return (climb or Climb()).run(self.reduced.pieces, start)

    def draw(self, values: Vector, fixed: Vector, rng: np.random.Generator) -> Vector:
        """A response drawn at variances (K + 1,) and fixed effects (c,) of the data, shape (n,)."""
        rows = self.rows
        slopes = rng.standard_normal((rows.groups, rows.X.shape[1])) * np.sqrt(values[:-1])
        own = slopes if rows.group is None else slopes[rows.group]
        noise = np.sqrt(values[-1]) * rng.standard_normal(len(rows.y))
        return np.asarray(rows.W @ fixed + (rows.X * own).sum(axis=1) + noise)
