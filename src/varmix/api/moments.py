"""`method="moments"`: exact moments on a reduced structure, or randomised ones on variants read block by block."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from varmix.api.inputs import Inputs
from varmix.api.kernel_eigenvalues import with_notes
from varmix.errors import OptionError
from varmix.iteration import Certificate, Outcome, Progress, Serial, Status, Step, Threads
from varmix.marginal.piece import power_of_two
from varmix.models.linear.feasible import defined
from varmix.models.linear.fixed_block import coefficient_covariance
from varmix.models.linear.model import VarianceComponents
from varmix.models.linear.moment_errors import approximate_covariance, exact_covariance
from varmix.models.linear.moments import MomentStats, project_moments, solve_moments, summarise_moments
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.randomised_moments import BLOCKS, RandomisedMoments, randomised_moments
from varmix.models.linear.statistics import summarise_linear
from varmix.results.fit import Fit
from varmix.results.moments.report import MomentEstimates, MomentsReport
from varmix.results.variance_components.report import Estimation
from varmix.typing import Square, Vector

FRAGILE = 1.0
"""Variance of the kernel's eigenvalues above which moments are called fragile: 0.06 for unrelated people, 17.7 for the
mice on which exact moments give a heritability of 1.26 where REML gives 0.59 [MOM-7]."""

Traces = Literal["exact", "randomised"]
Errors = Literal["sandwich", "approximate", "jackknife"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Options of the method of moments.

    `traces` "exact" reduces the kernels; "randomised" reads designs block by block with `probes` ("auto": until their
    share of every variance is below 5 %) and never makes an n x n matrix. `errors`: "sandwich" (exact traces),
    "approximate" (the response stands for one of two covariances; the default of randomised traces, plus their
    Monte-Carlo part), or "jackknife" over `blocks` blocks of variants (randomised), which also counts the draw of the
    effects [MOM-6].
    """

    traces: Traces = "exact"
    errors: Errors | None = None
    probes: int | Literal["auto"] = "auto"
    blocks: int = BLOCKS
    workers: int = 1

    def __post_init__(self) -> None:
        if self.traces not in get_args(Traces):
            raise OptionError(f"traces={self.traces!r} is not known. Use 'exact' or 'randomised'.")
        allowed = ("sandwich", "approximate") if self.traces == "exact" else ("approximate", "jackknife")
        if self.errors is not None and self.errors not in allowed:
            raise OptionError(
                f"errors={self.errors!r} does not go with traces={self.traces!r}: use {' or '.join(allowed)}."
            )
        if self.workers < 1:
            raise OptionError(f"workers={self.workers} must be at least 1.")


def by_moments(model: VarianceComponents, options: Moments) -> Estimation:
    """Solve the moment equations exactly [MOM-1] with sandwich errors [MOM-2], V at the estimate (negative counts as
    0)."""
    stats = summarise_moments(model.piece)
    values = solve_moments(stats)
    status = Status.OUTSIDE_CONE if (values < 0.0).any() else Status.CLOSED_FORM
    covariance_of = approximate_covariance if options.errors == "approximate" else exact_covariance
    notes: dict[str, Any] = {
        **fragility_notes(_fragility(stats)),
        "errors": options.errors or "sandwich",
        "projected": [float(value) for value in model.units.outward(project_moments(stats))],
    }
    covariance = covariance_of(model.piece, values, stats.equations)
    if model.piece.negative and not defined(model.piece, np.maximum(values, 0.0), "reml"):
        covariance = np.full_like(covariance, math.nan)
        notes["warnings"].append(
            "V is not positive definite at the moment estimates (a kernel has negative eigenvalues), so that they have "
            "no standard errors. Use method='newton', or negative_eigenvalues='clip'."
        )
    return Estimation(
        method="moments",
        outcome=_solved(model, values, status),
        covariance=covariance,
        notes=notes,
    )


def fragility_notes(fragility: float) -> dict[str, Any]:
    """The diagnostic of [MOM-7], with a warning where it is large."""
    told = []
    if fragility > FRAGILE:
        told.append(
            f"The eigenvalues of a kernel have variance {fragility:.3g} (mean 1; 0.06 for unrelated people): the "
            f"sample is structured and moments are fragile on it. Prefer method='newton'."
        )
    return {"fragility": fragility, "warnings": told}


def _fragility(stats: MomentStats) -> float:
    """Largest variance of a kernel's eigenvalues in the complement of the covariates, mean eigenvalue 1 [MOM-7]."""
    count = float(stats.equations[-1, -1])
    means = stats.equations[:-1, -1] / count
    squares = stats.equations.diagonal()[:-1] / count
    return float((squares / means**2 - 1.0).max())


def _solved(model: VarianceComponents, values: Vector, status: Status) -> Outcome[Any, Any]:
    """An outcome of one step, with the (restricted) log-likelihood at the estimate where V is positive definite."""
    inside = values[-1] > 0.0 and bool((values >= 0.0).all())
    stats = summarise_linear(model.piece, values, model.criterion) if inside else None
    objective = stats.log_likelihood if stats is not None else math.nan
    certificate = Certificate(projected_gradient=math.nan, newton_decrement=math.nan)
    step = Step(scheme="moments", evaluations=1, objective=objective, vector=values, certificate=certificate)
    return Outcome(
        params=VarianceParams(values),
        stats=stats,
        objective=objective,
        certificate=certificate,
        progress=Progress([step]),
        status=status,
    )


def fit_randomised(
    inputs: Inputs, options: Moments, rng: np.random.Generator, further: Mapping[str, Any] | None = None
) -> Fit:
    """Randomised moments of one response [MOM-3] [MOM-4] [MOM-5], with `further` notes."""
    design = inputs.design
    if options.errors == "jackknife" and inputs.kernels:
        raise OptionError(
            "The jackknife leaves out blocks of variants, and a matrix kernel has none: its part of the error would be "
            "missing. Use errors='approximate', or pass the kernel as a design."
        )
    spread = power_of_two(float(np.abs(design.y).max(initial=0.0)))
    result = randomised_moments(
        design.y / spread,
        design.Z,
        inputs.standardised,
        kernels=inputs.kernels,
        rng=rng,
        probes=options.probes,
        blocks=options.blocks,
        jackknife=options.errors == "jackknife",
        runner=Serial() if options.workers == 1 else Threads(options.workers),
    )
    values, noise = result.estimates[0], result.monte_carlo[0]
    covariance = result.covariance[0] + noise
    if result.jackknife is not None:
        covariance = result.jackknife.covariance[0] + noise
    plug, traces = np.maximum(values, 0.0), np.append(result.traces, float(result.degrees_of_freedom))
    total = float(plug @ traces) / result.degrees_of_freedom
    fixed, fixed_covariance = _least_squares(inputs, design.y / spread, plug, total)
    stats = MomentStats(equations=result.equations, quadratics=result.quadratics[0])
    estimates = MomentEstimates(
        variances=values,
        covariance=covariance,
        traces=traces,
        projected=project_moments(stats),
        fixed=fixed,
        fixed_covariance=fixed_covariance,
        unit=spread,
    )
    names = tuple(term.name for term in inputs.terms)
    notes = _notes(result, options)
    lost = [name for name, row in zip(design.names, fixed_covariance, strict=True) if np.isnan(row).all()]
    if lost:
        notes["warnings"].append(
            f"The residual variance is estimated at 0 or below, so that V is 0 in the direction of {', '.join(lost)}: "
            "no standard error is given, because no data can show that it is known exactly. Prefer method='newton'."
        )
    return Fit(MomentsReport(design, names, estimates, inputs.sample, with_notes(notes, further or {})))


def _notes(result: RandomisedMoments, options: Moments) -> dict[str, Any]:
    notes = fragility_notes(float(result.fragility.max()))
    if not result.enough_probes:
        notes["warnings"].append(
            f"{result.probes} random probes still add {100 * float(result.share.max()):.0f} % to a variance: raise "
            f"probes, or use traces='exact' if an n x n matrix fits."
        )
    return {
        **notes,
        "errors": options.errors or "approximate",
        "probes": result.probes,
        "monte_carlo_share": [float(value) for value in result.share[0]],
    }


def _least_squares(inputs: Inputs, y: Vector, variances: Vector, total: float) -> tuple[Vector, Square]:
    """Least-squares fixed effects with covariance `(Z'Z)^-1 Z'VZ (Z'Z)^-1`, V at the estimate (negative counts as 0).

    `total` is the size of V's diagonal. Coefficients in whose direction V is 0 have NaN, as in `FixedEffects`.
    """
    Z = inputs.design.Z
    if not Z.shape[1]:
        return np.zeros(0), np.zeros((0, 0))
    scale = np.abs(Z).max(axis=0)
    Q, R = np.linalg.qr(Z / scale)
    middle = variances[-1] * np.eye(Z.shape[1])
    images = [design.cross(Q) for design in inputs.standardised]
    quadratics = [image.T @ image for image in images] + [Q.T @ kernel @ Q for kernel in inputs.kernels]
    for variance, quadratic in zip(variances[:-1], quadratics, strict=True):
        middle += variance * quadratic
    rounding = 4.0 * np.finfo(float).eps * np.sqrt(len(y)) * total
    inverse = np.linalg.solve(R, np.eye(Z.shape[1]))
    covariance = coefficient_covariance(inverse, middle, rounding)
    return np.linalg.solve(R, Q.T @ y) / scale, covariance / np.outer(scale, scale)
