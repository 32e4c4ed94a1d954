"""The model with one variance of cells and of measurement for all genes, as a problem [PART-5]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from varmix.iteration import Outcome
from varmix.models.partition.climb import Climb
from varmix.models.partition.covariance import Quadratic
from varmix.models.partition.genes import Genes
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.problem import INSIDE, LENGTH, VARIANCE, Scalar, with_held_prior
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.remembered import Remembered
from varmix.models.partition.restriction import held_at
from varmix.models.partition.scheme import PartitionScheme
from varmix.models.partition.starting import default_starts
from varmix.typing import Mask, Square, Vector

COORDINATES = (
    Scalar(name="mean", power=LENGTH, words="of block means"),
    Scalar(name="blocks", power=VARIANCE, words="block means between genes"),
    Scalar(name="cell", power=VARIANCE, words="a type's cells between samples"),
    Scalar(name="measurement", power=VARIANCE, words="samples of a type"),
)

NEAR = 1e-5
"""Distance in standard errors of a restricted maximum that is near enough: its log-likelihood is right to 1e-10."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedProblem:
    """A `PartitionMixture` with its climb."""

    base: PartitionMixture
    options: Climb

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """mu_0, a, tau^2, omega^2."""
        return COORDINATES

    @property
    def held(self) -> Mask:
        """Known proportions, and the noise that the model leaves out."""
        return self.base.held

    def starts(self, count: int, rng: np.random.Generator) -> list[tuple[str, PartitionParams]]:
        """Moments or vertices, then random ones."""
        return default_starts(self.base, count, rng)

    def climb(self, start: PartitionParams) -> Outcome[Any, Any]:
        """By the scheme of the options."""
        return self.options.run(self.base, start)

    def vector(self, params: PartitionParams) -> Vector:
        """(mu_0, a, tau^2, omega^2, pi, P)."""
        return params.vector()

    def quadratic(self, outcome: Outcome[Any, Any]) -> Quadratic:
        """With the curvature of the prior."""
        base = self.base
        scheme = PartitionScheme(
            partitions=base.partitions, likelihood=base.likelihood, concentration=base.concentration
        )
        score, hessian, _ = scheme.derivatives(outcome.params, outcome.stats)
        frame = Reduced.at(outcome.params)
        return Quadratic(frame=frame, gradient=frame.pull(score), information=-frame.pull_square(hessian))

    def products(self, outcome: Outcome[Any, Any], frame: Reduced) -> Square:
        """Of all genes."""
        return frame.pull_square(outcome.stats.outer)

    def log_likelihood(self, outcome: Outcome[Any, Any]) -> float:
        """Without the prior."""
        return float(outcome.stats.log_likelihood)

    def remember(self, params: PartitionParams) -> Remembered:
        """The point without its genes."""
        return Remembered(
            kind="shared",
            partitions=self.base.partitions,
            likelihood=self.base.likelihood,
            scalars=params.vector()[:SCALARS],
            shares=params.shares,
            proportions=params.proportions,
            scale=self.base.scale,
        )

    def with_pieces(self, pieces: tuple[Genes, ...]) -> SharedProblem:
        """The same model of other genes."""
        return replace(self, base=replace(self.base, pieces=pieces))

    def nearby(self, params: PartitionParams) -> PartitionParams:
        """Nothing that may move at 0."""
        vector, held = params.vector(), params.held
        least = np.full(len(vector), INSIDE)
        least[1:SCALARS] = INSIDE * max(params.between, float(params.noise().max()))
        least[0] = -np.inf
        return self.base.point(params.moved_to(np.where(held, vector, np.maximum(vector, least))))

    def remarks(self, params: Any) -> tuple[str, ...]:
        """None."""
        return ()

    def restricted(self, params: PartitionParams, coordinate: int, value: float) -> Outcome[Any, Any]:
        """One coordinate held; the others of its simplex share what it leaves."""
        start = holding(params, coordinate, value)
        climb = replace(self.options, scheme="newton", accelerate="none", tolerance=NEAR)
        return with_held_prior(self, climb.run_held(self.base, start), start.vector(), start.held)


def holding(params: PartitionParams, coordinate: int, value: float) -> PartitionParams:
    """The point with `coordinate` held at `value`, the rest of its simplex rescaled to the rest of 1."""
    vector, held = held_at(params.vector(), params.held, params.simplexes, coordinate, value)
    count = len(params.shares)
    return replace(
        params,
        mean=float(vector[0]),
        between=float(vector[1]),
        cell=float(vector[2]),
        measurement=float(vector[3]),
        shares=vector[SCALARS : SCALARS + count],
        proportions=vector[SCALARS + count :].reshape(params.proportions.shape),
        fixed=held,
    )
