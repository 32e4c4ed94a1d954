"""Moments by one pass over variant blocks: exact quadratics, random traces, no n x n matrix [MOM-3] [MOM-5]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from varmix.errors import NotFiniteError, OptionError, ShapeError
from varmix.genotype.design import StandardisedDesign
from varmix.iteration.runners import Runner, Serial
from varmix.linalg.householder import CovariateBasis
from varmix.linalg.symmetric import check_symmetric
from varmix.linalg.traces import rademacher
from varmix.models.linear.moment_blocks import (
    AnnotatedDesign,
    Block,
    Probes,
    ResponseSums,
    VariantBlock,
    cross_block,
    cut_blocks,
    response_block,
    summarise_block,
)
from varmix.models.linear.moment_jackknife import Jackknife, leave_blocks_out
from varmix.models.linear.moment_totals import MomentTotals
from varmix.models.linear.moments import sandwich_covariance
from varmix.typing import Array, Matrix, Square

FIRST_PROBES = 50
"""Probes of the first pass: for unrelated people the Monte-Carlo share is then usually below 5 % already."""

MOST_PROBES = 800
"""Where "auto" gives up: beyond, the error falls by less than a quarter for every doubling of a pass of this size."""

SHARE = 0.05
"""Monte-Carlo share of the variance above which "auto" draws more probes [MOM-6]."""

BLOCKS = 100
"""Blocks of the jackknife: its own relative error is then 1 / sqrt(2 x 99), 7 %."""

SERIAL = Serial()


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomisedMoments:
    """Moment estimates of T responses for K kernels and the residual, which is last.

    `estimates` has shape (T, K + 1), unconstrained. `covariance` (T, K + 1, K + 1) is the approximate sandwich (effects
    drawn anew, genotypes fixed), `monte_carlo` (same shape) what the random probes add to it, and `share` (T, K + 1)
    the part monte_carlo / (monte_carlo + covariance) of each variance. `jackknife` also counts which variants carry the
    effects; None when not asked for. `fragility` (K,) is D_kk / ((n - c) kbar_k^2), the variance of the kernel's
    eigenvalues in units of their mean: far above 1, the sample is structured and the estimates hang on a few directions
    [MOM-7]; the caller warns.
    `traces` are tr(M K_k), exact, shape (K,). `equations` (K + 1, K + 1) and `quadratics` (T, K + 1) are S and q.
    """

    estimates: Matrix
    equations: Square
    quadratics: Matrix
    traces: Array
    covariance: Array
    monte_carlo: Array
    share: Matrix
    fragility: Array
    probes: int
    degrees_of_freedom: int
    jackknife: Jackknife | None

    @property
    def enough_probes(self) -> bool:
        """Whether the random probes add less than 5 % to every variance."""
        return bool((self.share <= SHARE).all())


def randomised_moments(
    responses: Array,
    covariates: Matrix,
    sources: Sequence[StandardisedDesign | AnnotatedDesign],
    *,
    rng: np.random.Generator,
    kernels: Sequence[Square] = (),
    probes: int | Literal["auto"] = "auto",
    blocks: int = BLOCKS,
    jackknife: bool = True,
    runner: Runner = SERIAL,
) -> RandomisedMoments:
    """Fit responses (n,) or (n, T) on covariates (n, c), designs and dense kernels (n x n) [MOM-4].

    Components are numbered as given: the designs' (one each, or one per column of weights), kernels, the residual. The
    genotypes are read once for the estimates, once for standard errors, and once for the jackknife over `blocks`
    blocks of variants; `probes="auto"` reads them again until the Monte-Carlo share is below 5 %. Memory is n x B
    numbers per component. Raises ShapeError, NotFiniteError, OptionError,
    KernelError, NotIdentifiedError.
    """
    y = _check_responses(responses, covariates)
    basis = CovariateBasis(covariates)
    _check_rows(basis.rows, sources, kernels)
    first = FIRST_PROBES if probes == "auto" else probes
    if first < 2:
        raise OptionError(f"probes={probes!r} must be 'auto' or a number of at least 2, for the spread over probes.")
    if blocks < 2:
        raise OptionError(f"blocks={blocks}: the jackknife needs at least 2 blocks of variants.")
    frame = np.zeros((basis.rows, basis.columns), order="F")
    frame[: basis.columns] = np.eye(basis.columns)
    basis.rotate_back_into(frame)
    pieces = cut_blocks(sources, kernels, blocks)
    drawn = _probes(frame, y, int(first), rng)
    totals = MomentTotals.collect(drawn, runner.map_add(partial(summarise_block, drawn), pieces))
    responses_sums = _response_sums(totals, pieces, runner)
    result = _result(totals, responses_sums, None)
    while probes == "auto" and not result.enough_probes and totals.probes < MOST_PROBES:
        more = _probes(frame, y[:, :0], min(_wanted(result), MOST_PROBES) - totals.probes, rng)
        totals = totals.joined(more, runner.map_add(partial(summarise_block, more), pieces))
        result = _result(totals, responses_sums, None)
    if not jackknife:
        return result
    return _result(totals, responses_sums, _jackknife(totals, pieces, runner))


def _probes(frame: Matrix, y: Matrix, count: int, rng: np.random.Generator) -> Probes:
    bare = Probes(signs=np.empty((len(y), 0)), responses=np.empty((len(y), 0)), basis=frame)
    return Probes(signs=bare.project(rademacher(rng, len(y), count)), responses=bare.project(y), basis=frame)


def _wanted(result: RandomisedMoments) -> int:
    """Probes that bring the share a little below the limit: the Monte-Carlo variance falls as 1/B."""
    odds = float((result.share / (1.0 - np.minimum(result.share, 0.999))).max())
    return max(int(np.ceil(result.probes * odds / (0.8 * SHARE))), result.probes + 10)


def _response_sums(totals: MomentTotals, pieces: Sequence[Block], runner: Runner) -> ResponseSums:
    images = totals.response_images
    return runner.map_add(partial(response_block, images, totals.kinds), pieces)


def _jackknife(totals: MomentTotals, pieces: Iterable[Block], runner: Runner) -> Jackknife | None:
    variants = [piece for piece in pieces if isinstance(piece, VariantBlock)]
    if not variants:
        return None
    images = np.concatenate(list(totals.images), axis=1)
    crosses = runner.map_add(partial(cross_block, totals.signs, images), variants)
    return leave_blocks_out(totals, crosses)


def _result(totals: MomentTotals, sums: ResponseSums, jackknife: Jackknife | None) -> RandomisedMoments:
    solution = totals.solve()
    estimates, D = solution.estimates, solution.centred
    equations = totals.equations(D)
    covariance, noise = [], []
    images = totals.response_images
    for t, values in enumerate(estimates):
        # V must be a covariance: a negative estimate counts as 0 in it.
        plug = np.maximum(values, 0.0)
        residual = images[:, t].T @ images[:, t]
        spread = 2.0 * (np.einsum("m,mkl->kl", plug[:-1], sums.values[t]) + plug[-1] * residual)
        covariance.append(sandwich_covariance(equations, spread))
        noise.append(totals.monte_carlo(values))
    analytic, random = np.array(covariance), np.array(noise)
    own, added = np.diagonal(analytic, axis1=1, axis2=2), np.diagonal(random, axis1=1, axis2=2)
    return RandomisedMoments(
        estimates=estimates,
        equations=equations,
        quadratics=np.column_stack([totals.quadratic.T, totals.squares]),
        traces=totals.trace,
        covariance=analytic,
        monte_carlo=random,
        share=added / np.maximum(own + added, np.finfo(float).tiny),
        fragility=D.diagonal() * totals.freedom / totals.trace**2,
        probes=totals.probes,
        degrees_of_freedom=totals.freedom,
        jackknife=jackknife,
    )


def _check_responses(responses: Array, covariates: Matrix) -> Matrix:
    y = np.asarray(responses, dtype=np.float64)
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or y.shape[1] == 0 or y.shape[0] != covariates.shape[0]:
        raise ShapeError(
            f"Responses have shape {y.shape} and covariates {covariates.shape}: pass (n,) or (n, T), and (n, c)."
        )
    if not np.isfinite(y).all():
        row, column = (int(item) for item in np.argwhere(~np.isfinite(y))[0])
        raise NotFiniteError(
            f"Response {column} is {y[row, column]} in row {row}. Drop the row; filling it in would bias the shares."
        )
    return y


def _check_rows(rows: int, sources: Sequence[StandardisedDesign | AnnotatedDesign], kernels: Sequence[Square]) -> None:
    if not sources and not kernels:
        raise OptionError("There is no design and no kernel: the moments need at least one.")
    for source in sources:
        design = source.design if isinstance(source, AnnotatedDesign) else source
        if design.n != rows:
            raise ShapeError(f"Design '{design.name}' has {design.n:,} rows, the covariates have {rows:,}. Align them.")
    for number, kernel in enumerate(kernels):
        if kernel.shape != (rows, rows):
            raise ShapeError(f"Kernel {number} has shape {kernel.shape}; it must be ({rows}, {rows}) like the data.")
        check_symmetric(kernel, f"kernel {number}")
