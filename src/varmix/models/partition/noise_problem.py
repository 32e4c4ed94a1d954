"""The model with noise that grows with expression, or with a scale for each gene, as a problem [PART-5]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from varmix.iteration import Outcome
from varmix.models.partition.covariance import Quadratic
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.noise_coordinates import MOST_EXPONENT, MOST_LACK, RELATIVE, with_known
from varmix.models.partition.noise_curvature import NoisePosterior, likelihood_score
from varmix.models.partition.noise_fit import fit_noise
from varmix.models.partition.noise_newton import FLAT, Curvature, polish
from varmix.models.partition.noise_point import SCALARS as NAMES
from varmix.models.partition.noise_point import NoisePoint
from varmix.models.partition.noise_starts import free_names, noise_start, vertex_start
from varmix.models.partition.params import SCALARS
from varmix.models.partition.problem import INSIDE, LENGTH, PURE, VARIANCE, Scalar, with_held_prior
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.remembered import Remembered
from varmix.models.partition.restriction import held_at
from varmix.models.partition.starting import prior_rows
from varmix.typing import Mask, Matrix, Square, Vector

VARIANCES = ("cell", "measurement", "proportional", "misfit", "misfit_proportional", "scatter", "scatter_proportional")

COORDINATES = tuple(
    Scalar(name=name, power=power, words=words)
    for name, power, words in (
        ("mean", LENGTH, "of block means"),
        ("blocks", VARIANCE, "block means between genes"),
        ("spread", PURE, "variance of 1 / a gene's scale of noise"),
        ("cell", VARIANCE, "a type's cells between samples"),
        ("measurement", VARIANCE, "samples of a type"),
        ("trend", VARIANCE, "the same, at the median level"),
        ("trend_exponent", PURE, "it grows with this power of the level"),
        ("misfit", VARIANCE, "sample types about linear mixing"),
        ("misfit_trend", VARIANCE, "the same, at the median level"),
        ("misfit_exponent", PURE, "it grows with this power of the level"),
        ("scatter", VARIANCE, "cell types about their block"),
        ("scatter_trend", VARIANCE, "the same, at the median level"),
    )
)
"""In the order of the coordinates of a `NoisePoint`."""

MARGIN = Scalar(name="margin", power=VARIANCE, words="cell types of a block, as set")

SPREAD = 0.3
"""Where the spread of the genes' scales starts: a coefficient of variation of about a half."""

GROUPS = 200
"""Groups of genes for the products of scores: their sum is known to a tenth then."""

RESTRICTED, NEAR = 60, 1e-4
"""Steps to a maximum with a coordinate held, and its distance in standard errors: right to 1e-8 then."""

DECADES = 0.5
"""Random starts have noise within so many decades of its moments."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseProblem:
    """`terms` of the noise; `margin` by which cell types of a block may differ; `moderated` gives each gene a scale of
    its own. `seed` draws the genes of a first climb."""

    base: PartitionMixture
    terms: frozenset[str]
    margin: float = 0.0
    moderated: bool = False
    seed: int = 0
    max_iterations: int = 500

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """Mean, variance of block means, spread, noise; scatter that is held is the margin."""
        if not self.margin:
            return COORDINATES
        return tuple(MARGIN if scalar.name == "scatter_trend" else scalar for scalar in COORDINATES)

    @property
    def free(self) -> frozenset[str]:
        """Names of what climbs."""
        estimated = {"proportions"} if np.isnan(self.base.known).any() else set[str]()
        return free_names(self.terms, moderated=self.moderated) | estimated

    @property
    def held(self) -> Mask:
        """Terms that the noise has not, and known proportions."""
        scalars = [name not in self.free for name in NAMES]
        return np.concatenate([scalars, self.base.held[SCALARS:]])

    def starts(self, count: int, rng: np.random.Generator) -> list[tuple[str, HeteroscedasticParams]]:
        """Known proportions: moments, then noise that is larger or smaller. Else proportions from sample types drawn as
        vertices, and before them those of a prior that tells cell types apart."""
        base, known = self.base, self.base.known
        if not np.isnan(known).any():
            first = self._start(known)
            return [("moments", first), *(("random", _shaken(first, self.free, rng)) for _ in range(count - 1))]
        types, size = known.shape
        rows = prior_rows(base)
        named = [] if rows is None else [("prior", self._start(with_known(rows, known)))]
        drawn = [vertex_start(base.pieces, size, types, rng) for _ in range(count - len(named))]
        return [*named, *(("vertices", self._start(with_known(P, known))) for P in drawn)]

    def climb(self, start: HeteroscedasticParams) -> Outcome[Any, Any]:
        """Where proportions are estimated, they first, with the noise of the start; then all."""
        base, partly = self.base, bool(np.isnan(self.base.known).any())
        fit = fit_noise(
            base.pieces,
            base.partitions,
            start,
            free=self.free,
            known=base.known if partly else None,
            concentration=base.concentration,
            likelihood=base.likelihood,
            staged=partly,
            rng=np.random.default_rng(self.seed),
            max_iterations=self.max_iterations,
        )
        return fit.outcome

    def vector(self, params: NoisePoint) -> Vector:
        """All coordinates."""
        return params.vector()

    def quadratic(self, outcome: Outcome[Any, Any]) -> Quadratic:
        """With the curvature of the prior; the information is by differences but for the shares [PART-3]."""
        posterior = self._posterior
        curvature = Curvature.at(posterior, outcome.params, self.base.pieces)
        gradient = curvature.frame.pull(posterior.score(outcome.params, outcome.stats))
        return Quadratic(frame=curvature.frame, gradient=gradient, information=curvature.information, flat=FLAT)

    def products(self, outcome: Outcome[Any, Any], frame: Reduced) -> Square:
        """Of the sums over some `GROUPS` groups of genes, which are independent of one another."""
        size = max(1, -(-self.base.genes // GROUPS))
        parts = [part for piece in self.base.pieces for part in piece.blocks(size)]
        scores = [frame.pull(likelihood_score(self._posterior.summarise(outcome.params, part))) for part in parts]
        stacked = np.stack(scores)
        return np.asarray(stacked.T @ stacked)

    def log_likelihood(self, outcome: Outcome[Any, Any]) -> float:
        """Without the prior."""
        return float(outcome.stats.log_likelihood)

    def remember(self, params: NoisePoint) -> Remembered:
        """The point without its genes."""
        point = params.params
        return Remembered(
            kind="noise",
            partitions=self.base.partitions,
            likelihood=self.base.likelihood,
            scalars=params.vector()[: len(NAMES)],
            shares=point.shares,
            proportions=point.proportions,
            scale=self.base.scale,
            reference=point.trend.reference,
        )

    def with_pieces(self, pieces: tuple[Genes, ...]) -> NoiseProblem:
        """The same model of other genes."""
        return replace(self, base=replace(self.base, pieces=pieces))

    def nearby(self, params: NoisePoint) -> HeteroscedasticParams:
        """Nothing that may move at 0."""
        vector, held = params.vector(), self.held
        least = INSIDE * params.unit
        least[0] = -np.inf
        return params.moved_to(np.where(held, vector, np.maximum(vector, least))).params

    def remarks(self, params: NoisePoint) -> tuple[str, ...]:
        """Lack of fit and scatter that end at the bound set to them."""
        at = params.at_upper & ~params.held
        capped = [name for name in RELATIVE if at[NAMES.index(name)]]
        told = {"misfit_proportional": "'misfit'", "scatter_proportional": "'scatter'"}
        return tuple(
            f"The term {told[name]} is at its bound, {MOST_LACK:.0%} of the level of expression: it would explain more "
            "if it could, in the place of partitions. Compare shares and partitions with a fit without it."
            for name in capped
        )

    def restricted(self, params: NoisePoint, coordinate: int, value: float) -> Outcome[Any, Any]:
        """Newton from `params` with one coordinate held."""
        vector, fixed = held_at(params.vector(), params.fixed, params.simplexes, coordinate, value)
        start = replace(params, fixed=fixed).placed(vector)
        pieces = self.base.pieces
        outcome = polish(self._posterior, start, pieces, max_iterations=RESTRICTED, tolerance=NEAR)[0]
        return with_held_prior(self, outcome, vector, fixed)

    @property
    def _posterior(self) -> NoisePosterior:
        alpha = self.base.concentration
        excess = None if alpha is None else alpha - 1.0
        return NoisePosterior(partitions=self.base.partitions, excess=excess, likelihood=self.base.likelihood)

    def _start(self, proportions: Matrix) -> HeteroscedasticParams:
        spread = SPREAD if self.moderated else 0.0
        return noise_start(
            self.base.pieces, self.base.partitions, proportions, spread=spread, terms=self.terms, margin=self.margin
        )


def _shaken(start: HeteroscedasticParams, free: frozenset[str], rng: np.random.Generator) -> HeteroscedasticParams:
    noise = start.noise
    times = 10.0 ** rng.uniform(-DECADES, DECADES, 8)
    names = [name for name in VARIANCES if name in free]
    shaken = replace(noise, **{name: getattr(noise, name) * by for name, by in zip(names, times, strict=False)})
    shares = rng.dirichlet(np.ones(len(start.shares)))
    if {"measurement", "proportional"} <= free:  # little that grows steeply and much that hardly grows are two maxima
        total, part = shaken.measurement + shaken.proportional, rng.uniform()
        steep = rng.uniform(0.0, MOST_EXPONENT)
        shaken = replace(shaken, measurement=part * total, proportional=(1.0 - part) * total, exponent=steep)
    return replace(start, noise=shaken, shares=shares, between=start.between * float(times[-1]))
