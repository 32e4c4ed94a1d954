"""`variance_components`: data in, Fit out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from varmix.api.inputs import Inputs, gather
from varmix.errors import ConvergenceWarning, FragileMomentsWarning, NotIdentifiedError, OptionError, RepairWarning
from varmix.genotype import Reference, Scaling
from varmix.iteration import Certificate, Outcome, Progress, Starts, Status, Step, from_every_start
from varmix.marginal.build import Kernels, build_structure
from varmix.models.linear.climb import SCHEMES, Climb, equal_start, good_start, random_start
from varmix.models.linear.model import VarianceComponents
from varmix.models.linear.moments import MomentStats, project_moments, sandwich_covariance, solve_moments, summarise_moments
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.statistics import Criterion, summarise_linear
from varmix.results.fit import Fit
from varmix.results.variance_components.report import Estimation, VarianceComponentsReport
from varmix.typing import Tick, Vector

FRAGILE = 1.0
"""Variance of the kernel's eigenvalues above which moments are called fragile: 0.06 for unrelated people, 17.7 for the
mice on which exact moments give a heritability of 1.26 where REML gives 0.59 [MOM-7]."""


def variance_components(
    y: Any,
    data: Any = None,
    *,
    designs: Mapping[str, Any] | None = None,
    kernels: Mapping[str, Any] | None = None,
    covariates: Any = None,
    method: str = "newton",
    criterion: Criterion = "reml",
    scaling: Scaling = "sample",
    reference: Reference = "used",
    intercept: bool = True,
    sample_ids: Any = None,
    on_missing: str | None = None,
    start: Any = "auto",
    starts: int = 1,
    rng: np.random.Generator | int | None = None,
    tick: Tick | None = None,
    **options: Any,
) -> Fit:
    """Fit `y ~ N(Zw, sum_k s_k K_k + s_e I)` [VC-1].

    `y` is a response of shape (n,), or a formula such as "height ~ age + sex" with its `data`. `designs` are n x p arrays,
    data frames or genotype sources (kernel XX' of the standardised columns: `scaling` "sample", "allele_frequency" or
    "none"; `reference` "used" takes means and scales from the rows used, "all" from all rows of the source); `kernels`
    are n x n symmetric arrays or relationship matrices. Rows are joined on sample ids where both sides have them
    (columns FID and IID of `data`, or `sample_ids`), else by position. `covariates` is n x c; an intercept is added.

    `method` is "newton", "em", "pxem", "mm" or "moments"; `criterion` "reml" or "ml". Options of the likelihood methods:
    `accelerate` ("none", "squarem", "anderson"), `polish` (finish with Newton where the scheme alone would not arrive;
    True), `max_iterations`, `tolerance` (standard errors from the optimum). `start` is "auto", "equal" or the variances,
    residual last; `starts` > 1 adds random starts drawn with `rng`.

    Returns a Fit: `fit.status` says whether the certificate is met. Raises subclasses of DataError for data that cannot be
    used and OptionError for options that are not known; warns when the certificate is not met or data were repaired.
    """
    inputs = gather(
        y,
        data,
        designs=designs,
        kernels=kernels,
        covariates=covariates,
        sample_ids=sample_ids,
        intercept=intercept,
        on_missing=on_missing,
        scaling=scaling,
        reference=reference,
        tick=tick,
    )
    if inputs.design.r > 1:
        raise OptionError(
            f"There are {inputs.design.r} responses: use variance_components_many, which fits them as one batch."
        )
    if not inputs.terms:
        raise OptionError("Pass at least one design or kernel: designs={'snps': X} or kernels={'kin': K}.")
    if criterion not in ("reml", "ml"):
        raise OptionError(f"criterion={criterion!r} is not known. Use 'reml' or 'ml'.")
    model = build_model(inputs, criterion)
    if method == "moments":
        estimation = by_moments(model, **options)
    else:
        climb = climb_of(method, criterion, options)
        estimation = by_climbing(model, climb, start_points(model, start, starts, rng))
    fit = Fit(VarianceComponentsReport(model, estimation, inputs.sample))
    _warn(fit, inputs)
    return fit


def build_model(inputs: Inputs, criterion: Criterion) -> VarianceComponents:
    """Rotate and reduce."""
    names = [term.name for term in inputs.terms if term.kind == "kernel"]
    kernels = Kernels(designs=inputs.standardised, matrices=inputs.kernels, matrix_names=names)
    return VarianceComponents.of(
        inputs.design, inputs.terms, build_structure(inputs.design.Z, kernels), criterion
    )


def climb_of(method: str, criterion: Criterion, options: Mapping[str, Any]) -> Climb:
    """The climb with its options. Raises OptionError for unknown ones."""
    if method not in SCHEMES:
        raise OptionError(f"method={method!r} is not known. Use one of {', '.join(SCHEMES)} or moments.")
    known = {item.name for item in fields(Climb)} - {"scheme", "criterion"}
    for name in options:
        if name not in known:
            raise OptionError(f"'{name}' is not an option of method='{method}'. It has: {', '.join(sorted(known))}.")
    return Climb(scheme=method, criterion=criterion, **options)


def start_points(
    model: VarianceComponents, start: Any, starts: int, rng: np.random.Generator | int | None
) -> list[VarianceParams]:
    """The first start, and random ones."""
    if starts < 1:
        raise OptionError(f"starts={starts} must be at least 1.")
    if isinstance(start, str):
        if start not in ("auto", "equal"):
            raise OptionError(f"start={start!r} is not known. Use 'auto', 'equal' or the variances, residual last.")
        piece = model.piece
        first = good_start(piece, model.criterion) if start == "auto" else equal_start(piece)
    else:
        values = np.asarray(start, dtype=np.float64)
        if values.shape != (len(model.names),) or not (np.isfinite(values) & (values >= 0.0)).all() or values[-1] <= 0:
            raise OptionError(
                f"start must be {len(model.names)} variances >= 0 ({', '.join(model.names)}), the residual positive."
            )
        first = VarianceParams(model.units.inward(values))
    generator = np.random.default_rng(rng)
    return [first, *(random_start(model.piece, generator) for _ in range(starts - 1))]


def by_climbing(model: VarianceComponents, climb: Climb, points: list[VarianceParams]) -> Estimation:
    """Climb from every start and keep the best."""
    starts: Starts[Any, Any] = from_every_start(lambda begin: climb.run([model.piece], begin), points)
    best = starts.best
    if not math.isfinite(best.objective):
        raise NotIdentifiedError(
            "V is not positive definite at the start: give a start with a positive residual variance."
        )
    notes: dict[str, Any] = {"accelerate": climb.accelerate, "starts": len(points)}
    if len(points) > 1:
        notes["starts_at_best"] = starts.reached_best
    return Estimation(method=climb.scheme, outcome=best, starts=starts, notes=notes)


def by_moments(model: VarianceComponents, **options: Any) -> Estimation:
    """Solve the moment equations [MOM-1] with sandwich errors [MOM-2]."""
    if options:
        raise OptionError(f"'{next(iter(options))}' is not an option of method='moments' with exact traces.")
    stats = summarise_moments(model.piece)
    values = solve_moments(stats)
    projected = project_moments(stats)
    status = Status.OUTSIDE_CONE if (values < 0.0).any() else Status.CLOSED_FORM
    covariance = sandwich_covariance(stats.equations, model.piece.system.moment_covariance(values))
    fragility = _fragility(stats)
    warned = []
    if fragility > FRAGILE:
        warned.append(
            f"The eigenvalues of a kernel have variance {fragility:.3g} (0.06 for unrelated people): the sample is "
            f"structured and moments are fragile on it. Prefer method='newton'."
        )
    notes = {
        "fragility": fragility,
        "projected": [float(value) for value in model.units.outward(projected)],
        "warnings": warned,
    }
    return Estimation(
        method="moments", outcome=_solved(model, values, status), covariance=covariance, notes=notes
    )


def _fragility(stats: MomentStats) -> float:
    """Largest variance of a kernel's eigenvalues in the complement of the covariates, mean eigenvalue 1 [MOM-7]."""
    count = float(stats.equations[-1, -1])
    means = stats.equations[:-1, -1] / count
    squares = stats.equations.diagonal()[:-1] / count
    return float((squares / means**2 - 1.0).max())


def _solved(model: VarianceComponents, values: Vector, status: Status) -> Outcome[Any, Any]:
    """An outcome of one step, with the (restricted) log-likelihood at the estimate where V is positive definite."""
    stats = summarise_linear(model.piece, values, model.criterion) if values[-1] > 0.0 and (values >= 0.0).all() else None
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


def _warn(fit: Fit, inputs: Inputs) -> None:
    if not fit.status.arrived:
        warnings.warn(f"{fit.status.name}: {fit.status.advice}", ConvergenceWarning, stacklevel=3)
    for note in fit.facts.get("warnings", []):
        warnings.warn(note, FragileMomentsWarning, stacklevel=3)
    if inputs.design.dropped_columns:
        dropped = ", ".join(inputs.design.dropped_columns)
        warnings.warn(
            f"Collinear covariates were dropped: {dropped} (each a combination of the columns before it).",
            RepairWarning,
            stacklevel=3,
        )
