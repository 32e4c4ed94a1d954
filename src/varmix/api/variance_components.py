"""`variance_components`: data in, Fit out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from varmix.api.inputs import Inputs, gather
from varmix.api.kernel_eigenvalues import NegativeChoice, clipped, kernel_notes, with_notes
from varmix.api.moments import Moments, by_moments, fit_randomised
from varmix.errors import (
    ConvergenceWarning,
    FragileMomentsWarning,
    NotIdentifiedError,
    OptionError,
    RepairWarning,
    VarmixWarning,
    warn,
)
from varmix.genotype import Reference, Scaling
from varmix.iteration import Starts, Status, from_every_start
from varmix.linalg.indefinite import NegativeEigenvalues
from varmix.linalg.threads import threads_for
from varmix.marginal.build import Kernels, build_structure
from varmix.marginal.with_covariates import negative_with_covariates
from varmix.models.linear.climb import SCHEMES, Climb
from varmix.models.linear.confounding import confounded
from varmix.models.linear.model import VarianceComponents
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.starting import equal_start, good_starts, random_start
from varmix.models.linear.statistics import Criterion
from varmix.results.fit import Fit
from varmix.results.variance_components.report import Estimation, VarianceComponentsReport
from varmix.typing import Tick


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
    negative_eigenvalues: NegativeChoice = "keep",
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

    `y` is a response of shape (n,), or a formula such as "height ~ age + sex" with its `data`. `designs` are n x p
    arrays, data frames or genotype sources (kernel XX' of the standardised columns: `scaling` "sample",
    "allele_frequency" or "none"; `reference` "used" takes means and scales from the rows used, "all" from all rows of
    the source); `kernels` are n x n symmetric arrays, data frames or relationship matrices. `covariates` is n x c; an
    intercept is added. Rows are joined by label where both sides have any (columns or index levels FID and IID, an
    index that is not the default one, ids of files), else by position; `sample_ids` are ids of the response's rows, or
    the name of a column that holds them in every table. Columns of ids are never covariates.

    Kernels whose calls are missing pair by pair may have negative eigenvalues: with `negative_eigenvalues` "keep" they
    are used as they are and theta is sought where V is positive definite, with "clip" the negative ones become 0 (on
    the rows used); both are told, in `fit.facts["warnings"]` too. EM, PX-EM and MM need "clip". A kernel that is
    further from a covariance is a KernelError.

    `method` is "newton", "em", "pxem", "mm" or "moments"; `criterion` "reml" or "ml". Options of the likelihood
    methods: `accelerate` ("none", "squarem", "anderson"), `polish` (finish with Newton where the scheme alone would
    not arrive; True), `max_iterations`, `tolerance` (standard errors from the optimum). `start` is "auto", "equal" or
    the variances, residual last; `starts` > 1 adds random starts drawn with `rng`. Options of the moments: `traces`
    ("exact", "randomised": no n x n matrix, designs read block by block), `errors` ("sandwich", "approximate",
    "jackknife"), `probes`, `blocks`, `workers`; see `Moments`.

    Returns a Fit: `fit.status` says whether the certificate is met. Raises subclasses of DataError for data that
    cannot be used and OptionError for options that are not known; warns when the certificate is not met or data were
    repaired.
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
    if method == "moments" and (starts != 1 or not (isinstance(start, str) and start == "auto")):
        raise OptionError("Moments are solved in closed form and have no start: leave start and starts out.")
    climb = None if method == "moments" else climb_of(method, criterion, options)
    repaired = clipped(inputs, negative_eigenvalues)
    if climb is None:
        fit = _by_moments(inputs, criterion, options, rng, repaired)
    else:
        fit = _by_likelihood(inputs, climb, start, starts, rng, repaired)
    _warn(fit)
    return fit


def _by_moments(
    inputs: Inputs,
    criterion: Criterion,
    options: Mapping[str, Any],
    rng: np.random.Generator | int | None,
    repaired: list[NegativeEigenvalues],
) -> Fit:
    moments = Moments(**_checked(options, Moments, "moments"))
    if moments.traces == "randomised":
        return fit_randomised(inputs, moments, np.random.default_rng(rng), kernel_notes(repaired, ()))
    model = build_model(inputs, criterion)
    estimation = by_moments(model, moments)
    notes = with_notes(estimation.notes, kernel_notes(repaired, model.piece.negative, model.criterion))
    return Fit(VarianceComponentsReport(model, replace(estimation, notes=notes), inputs.sample))


def _by_likelihood(
    inputs: Inputs,
    climb: Climb,
    start: Any,
    starts: int,
    rng: np.random.Generator | int | None,
    repaired: list[NegativeEigenvalues],
) -> Fit:
    model = build_model(inputs, climb.criterion)
    system = model.piece.system
    with threads_for(0.0 if system.pairs_are_cheap else float(system.size) ** 3):
        estimation = by_climbing(model, climb, start_points(model, start, starts, rng))
    notes = with_notes(estimation.notes, kernel_notes(repaired, model.piece.negative, model.criterion))
    return Fit(VarianceComponentsReport(model, replace(estimation, notes=notes), inputs.sample))


def build_model(inputs: Inputs, criterion: Criterion) -> VarianceComponents:
    """Rotate and reduce."""
    names = [term.name for term in inputs.terms if term.kind == "kernel"]
    kernels = Kernels(designs=inputs.standardised, matrices=inputs.kernels, matrix_names=names)
    structure = build_structure(inputs.design.Z, kernels)
    if criterion == "ml":
        structure = negative_with_covariates(structure, kernels.names)
    return VarianceComponents.of(inputs.design, inputs.terms, structure, criterion)


def climb_of(method: str, criterion: Criterion, options: Mapping[str, Any]) -> Climb:
    """The climb with its options. Raises OptionError for unknown ones."""
    if method not in SCHEMES:
        raise OptionError(f"method={method!r} is not known. Use one of {', '.join(SCHEMES)} or moments.")
    return Climb(scheme=method, criterion=criterion, **_checked(options, Climb, method))


def _checked(options: Mapping[str, Any], of: type[Climb] | type[Moments], method: str) -> Mapping[str, Any]:
    known = {item.name for item in fields(of)} - {"scheme", "criterion"}
    for name in options:
        if name not in known:
            raise OptionError(f"'{name}' is not an option of method='{method}'. It has: {', '.join(sorted(known))}.")
    return options


def start_points(
    model: VarianceComponents, start: Any, starts: int, rng: np.random.Generator | int | None
) -> list[VarianceParams]:
    """The first start, and random ones."""
    if int(starts) != starts or starts < 1:
        raise OptionError(f"starts={starts!r} must be a whole number of at least 1.")
    if isinstance(start, str):
        if start not in ("auto", "equal"):
            raise OptionError(f"start={start!r} is not known. Use 'auto', 'equal' or the variances, residual last.")
        piece = model.piece
        first = good_starts(piece, model.criterion) if start == "auto" else [equal_start(piece)]
    else:
        try:
            values = np.asarray(start, dtype=np.float64)
        except (TypeError, ValueError):
            values = np.full(1, math.nan)
        if values.shape != (len(model.names),) or not (np.isfinite(values) & (values >= 0.0)).all() or values[-1] <= 0:
            raise OptionError(
                f"start must be {len(model.names)} variances >= 0 ({', '.join(model.names)}), the residual positive."
            )
        first = [VarianceParams(model.units.inward(values))]
    generator = np.random.default_rng(rng)
    return [*first, *(random_start(model.piece, generator) for _ in range(starts - 1))]


def by_climbing(model: VarianceComponents, climb: Climb, points: list[VarianceParams]) -> Estimation:
    """Climb from every start and keep the best."""
    starts: Starts[Any, Any] = from_every_start(lambda begin: climb.run_inside([model.piece], begin), points)
    best = starts.best
    if not math.isfinite(best.objective):
        raise NotIdentifiedError(
            "V is not positive definite at the start: give a start with a positive residual variance, a larger one "
            "beside the kernels' where a kernel has negative eigenvalues."
        )
    notes: dict[str, Any] = {"accelerate": climb.accelerate, "starts": len(points)}
    if len(points) > 1:
        notes["starts_at_best"] = starts.reached_best
    mixed = confounded(best.params.values, best.stats) if best.status.arrived else ()
    if mixed:
        best = replace(best, status=Status.CONFOUNDED)
        names = ", ".join(f"'{model.names[k]}'" for k in mixed)
        notes["warnings"] = [
            (
                f"The data cannot tell {names} apart (their information is singular): each estimate is arbitrary, "
                "what they add up to is not. Drop or merge them."
            )
        ]
    return Estimation(method=climb.scheme, outcome=best, starts=starts, notes=notes)


def _warn(fit: Fit) -> None:
    if not fit.status.arrived:
        warn(f"{fit.status.name}: {fit.facts['advice']}", ConvergenceWarning)
    facts = fit.facts
    about_kernels = facts.get("negative_eigenvalues", [])
    category = FragileMomentsWarning if fit.criterion == "moments" else VarmixWarning
    notes = list(facts.get("warnings", []))
    for note, kernel in zip(notes, about_kernels, strict=False):  # they stand first
        warn(note, RepairWarning if kernel["treatment"] == "clip" else VarmixWarning)
    for note in notes[len(about_kernels) :]:
        warn(note, category)
