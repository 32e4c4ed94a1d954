"""What reports, starts and replicates need of a partition model, whichever noise and likelihood it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.special import xlogy

from varmix.errors import NotAvailableError, OptionError
from varmix.iteration import Outcome
from varmix.models.partition.covariance import Quadratic, covariance_of
from varmix.models.partition.genes import Genes
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.remembered import Remembered
from varmix.typing import Mask, Square, Vector

INSIDE = 1e-3
"""Share, proportion and relative variance to which a start at an edge is moved inside."""

VARIANCE, LENGTH, PURE = 2, 1, 0
"""Powers of the unit of expression that a coordinate is measured in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A coordinate before the shares: its name, the power of the unit of expression, and what it is in words."""

    name: str
    power: int
    words: str


class Problem(Protocol):
    """Data, partitions and likelihood, with the way to climb. Points and objectives are in internal units.

    Coordinates of a point are (`scalars`, pi, P row by row), K = len(scalars) + J + DT.
    """

    @property
    def base(self) -> PartitionMixture:
        """Reduced genes, partitions, what is known of P, the prior and the scale of internal units."""
        ...

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """Coordinates before the shares."""
        ...

    @property
    def held(self) -> Mask:
        """Coordinates that are not estimated, (K,)."""
        ...

    def starts(self, count: int, rng: np.random.Generator) -> list[tuple[str, Any]]:
        """Named starting points."""
        ...

    def climb(self, start: Any) -> Outcome[Any, Any]:
        """From one of them to the certificate, or as far as it goes."""
        ...

    def vector(self, params: Any) -> Vector:
        """Coordinates (K,) of an outcome's point."""
        ...

    def quadratic(self, outcome: Outcome[Any, Any]) -> Quadratic:
        """Gradient and observed information at an outcome."""
        ...

    def products(self, outcome: Outcome[Any, Any], frame: Reduced) -> Square:
        """Products of the genes' scores in the moving coordinates of `frame`, summed, (k, k)."""
        ...

    def log_likelihood(self, outcome: Outcome[Any, Any]) -> float:
        """Of the data in internal units, without the prior."""
        ...

    def remember(self, params: Any) -> Remembered:
        """What posteriors of genes need of an outcome's point [PART-8]."""
        ...

    def with_pieces(self, pieces: tuple[Genes, ...]) -> Problem:
        """The same problem with other genes, in the same internal units."""
        ...

    def nearby(self, params: Any) -> Any:
        """A start at a point of an outcome, with nothing that may move at an edge."""
        ...

    def remarks(self, params: Any) -> tuple[str, ...]:
        """What a point leaves in doubt, in sentences."""
        ...

    def restricted(self, params: Any, coordinate: int, value: float) -> Outcome[Any, Any]:
        """The maximum with one coordinate held, climbed from `params`. Raises NotAvailableError where it is not
        offered."""
        ...


def factors(problem: Problem) -> Vector:
    """From internal units to those of the data, (K,)."""
    base = problem.base
    powers = np.array([scalar.power for scalar in problem.scalars], dtype=np.float64)
    return np.concatenate([base.scale**powers, np.ones(len(base.partitions) + base.known.size)])


def names(problem: Problem, types: Sequence[str]) -> tuple[str, ...]:
    """Names of all coordinates; `types` (D,) are those of the sample types."""
    base = problem.base
    shares = (f"share[{word}]" for word in base.partitions.words)
    proportions = (f"proportion[{row}, {name}]" for row in types for name in base.partitions.types)
    return (*(scalar.name for scalar in problem.scalars), *shares, *proportions)


def free_parameters(problem: Problem) -> int:
    """Coordinates that are estimated; the shares and each row of P lose one to their sum."""
    base, free = problem.base, ~problem.held
    first, count = len(problem.scalars), len(base.partitions)
    rows = free[first + count :].reshape(base.known.shape).sum(axis=1)
    shares = int(free[first : first + count].sum())
    return int(free[:first].sum()) + max(shares - 1, 0) + int(np.maximum(rows - 1, 0).sum())


def covariance(problem: Problem, outcome: Outcome[Any, Any], kind: str, quadratic: Quadratic | None = None) -> Square:
    """Of the estimates (K, K): by the "observed" information, or the "sandwich", which needs independent genes alone
    [PART-6].

    NaN for what is held or at an edge, infinite variances for what the data do not tell apart. Raises OptionError.
    """
    if kind not in ("observed", "sandwich"):
        raise OptionError(f"information={kind!r} is not there. Use 'observed' or 'sandwich'.")
    found = quadratic or problem.quadratic(outcome)
    middle = problem.products(outcome, found.frame) if kind == "sandwich" else None
    return covariance_of(found.frame, found.information, middle, flat=found.flat)


def log_prior(problem: Problem, vector: Vector, entries: Mask | None = None) -> float:
    """`sum (alpha - 1) log p` at coordinates (K,) over `entries` (K,) of the proportions, None: those that are
    estimated; 0 without a prior."""
    alpha = problem.base.concentration
    if alpha is None:
        return 0.0
    counted = (~problem.held if entries is None else entries)[-alpha.size :]
    return float(xlogy(alpha.ravel() - 1.0, vector[-alpha.size :])[counted].sum())


def with_held_prior(problem: Problem, outcome: Outcome[Any, Any], vector: Vector, fixed: Mask) -> Outcome[Any, Any]:
    """A restricted outcome with the log prior of the proportions that it alone holds: climbs count what moves."""
    prior = log_prior(problem, vector, fixed & ~problem.held)
    return replace(outcome, objective=outcome.objective + prior)


def refuse_restricted(what: str) -> NotAvailableError:
    """The error of a problem that offers no profiles."""
    return NotAvailableError(
        f"Profiles are not available with {what}: each of their points would be a fit of its own. Use kind='wald' "
        "inside the range of a parameter, kind='bootstrap' at its edge."
    )
