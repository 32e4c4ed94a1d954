"""`weighted_random_effects`: data in, Fit out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from varmix.api.group_rows import read_group_rows
from varmix.errors import ConvergenceWarning, DataError, NotIdentifiedError, OptionError, VarmixWarning, warn
from varmix.inference.generator import generator_of
from varmix.iteration import Starts, Status, from_every_start
from varmix.linalg.threads import one_thread
from varmix.models.independent_groups.climb import SCHEMES, Climb
from varmix.models.independent_groups.confounding import confounded
from varmix.models.independent_groups.model import IndependentGroups
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.starting import good_starts, point, random_start
from varmix.results.fit import Fit
from varmix.results.weighted_random_effects.report import Estimation, Labels, WeightedRandomEffectsReport


def weighted_random_effects(
    y: Any,
    x: Any,
    weights: Any = None,
    *,
    group: Any = None,
    covariates: Any = None,
    intercept: bool = False,
    residual: float | None = None,
    data: Any = None,
    method: str = "newton",
    start: Any = "auto",
    starts: int = 1,
    rng: np.random.Generator | int | None = None,
    on_missing: str | None = None,
    **options: Any,
) -> Fit:
    """Fit `y_g ~ N(W_g w, sum_k v_k x_gk x_gk' + s I)` for independent groups with likelihood weights a_g [SLOPE-7].

    The log-likelihood is `sum_g a_g log f(y_g)`: a weight of 2 equals the same group twice. (Weights of lme4's `lmer`
    are precision weights: they divide the residual variance of a row, which is another model.) With a column of `x` per
    class and responsibilities as weights this is the exact M-step of a mixture of random effects.

    `y` has shape (n,); `x` (n,) or (n, K): each column has a random slope of its own variance v_k >= 0, drawn anew for
    every group; `group` (n,) labels rows (None: each row is its own group); `weights` (n,) are equal within a group;
    `covariates` (n, c), an array or a data frame, have fixed effects w, by maximum likelihood, with a constant only if
    they contain one or by intercept=True. All may be names of columns of `data`; series and data frames are joined by
    their index. `residual` is s where it is known. Rows of known error variances are divided by their roots first (y, x
    and covariates), with residual=1.

    `method` is "newton", "em", "pxem" or "mm". Options: `accelerate` ("none", "squarem", "anderson"; not for Newton),
    `polish` (finish with Newton where the scheme alone would not arrive; True), `max_iterations`, `tolerance` (standard
    errors from the optimum). `start` is "auto" (the maxima of a scan over the share of variance that the slopes have)
    or the variances, residual last; `starts` > 1 adds random starts drawn with `rng`. `on_missing` is "error" (arrays)
    or "drop" (the default with `data`).

    Returns a Fit; its standard errors and intervals take weights as counts of groups. Raises DataError, ShapeError,
    NotFiniteError for data that cannot be used, NotIdentifiedError where they say nothing of a variance, OptionError
    for options that are not known; warns when the certificate is not met or the design cannot tell variances apart.
    """
    climb = climb_of(method, options)
    rows = read_group_rows(
        y,
        x,
        weights,
        group=group,
        covariates=covariates,
        intercept=intercept,
        data=data,
        on_missing=on_missing,
    )
    model = IndependentGroups(
        rows=rows.rows,
        names=rows.names,
        fixed_names=() if rows.design is None else rows.design.names,
        response_name=rows.response_name,
        residual=known_residual(residual),
    )
    with one_thread():
        check_bounded(model)
        estimation = by_climbing(model, climb, start_points(model, start, starts, rng))
    labels = Labels(positions=rows.positions, groups=rows.labels, design=rows.design, sample=rows.sample)
    fit = Fit(WeightedRandomEffectsReport(model, estimation, labels))
    if not fit.status.arrived:
        warn(f"{fit.status.name}: {fit.facts['advice']}", ConvergenceWarning)
    for note in fit.facts.get("warnings", []):
        warn(note, VarmixWarning)
    return fit


def climb_of(method: str, options: Mapping[str, Any]) -> Climb:
    """The climb with its options. Raises OptionError for unknown ones."""
    known = {item.name for item in fields(Climb)} - {"scheme"}
    if method not in SCHEMES:
        raise OptionError(f"method={method!r} is not known. Use one of {', '.join(SCHEMES)}.")
    for name in options:
        if name not in known:
            raise OptionError(f"'{name}' is not an option of method='{method}'. It has: {', '.join(sorted(known))}.")
    return Climb(scheme=method, **options)


def known_residual(residual: float | None) -> float | None:
    """The residual variance where it is not estimated. Raises OptionError."""
    if residual is None:
        return None
    number = _number(residual)
    if not (math.isfinite(number) and number > 0.0):
        raise OptionError(f"residual={residual!r} must be one positive variance, or None to estimate it.")
    return number


def _number(value: Any) -> float:
    """A real number as float, NaN for anything else."""
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return float(value) if real and not np.iscomplexobj(value) else math.nan


def check_bounded(model: IndependentGroups) -> None:
    """Raise DataError where the likelihood is known to have no bound, or no known residual fits the scale of y."""
    if model.reduced.exact:
        raise DataError(
            "The covariates explain the response exactly: all variances are 0 and the likelihood has no bound. Leave "
            "covariates out, or check whether the response is among them."
        )
    if model.known is not None and not 1e-280 < model.known < 1e280:
        raise DataError(f"residual={model.residual:.3g} is out of all proportion to the responses. Check their units.")
    if model.known is None and model.unreached_is_exact:
        raise DataError(
            "What the slopes leave of the groups (and rows with x = 0) has no residual at all: the likelihood grows "
            "without bound as the residual variance goes to 0. Pass a known residual=, or check these rows."
        )


def start_points(
    model: IndependentGroups, start: Any, starts: int, rng: np.random.Generator | int | None
) -> list[GroupParams]:
    """The first starts, and random ones."""
    if not _number(starts).is_integer() or starts < 1:
        raise OptionError(f"starts={starts!r} must be a whole number of at least 1.")
    pieces, known = model.reduced.pieces, model.known
    if isinstance(start, str):
        if start != "auto":
            raise OptionError(f"start={start!r} is not known. Use 'auto' or the variances, residual last.")
        first = good_starts(pieces, known)
    else:
        try:
            values = np.asarray(start, dtype=np.float64)
        except (TypeError, ValueError):
            values = np.full(1, math.nan)
        names = model.components
        if values.shape != (len(names),) or not (np.isfinite(values) & (values >= 0.0)).all() or values[-1] <= 0.0:
            raise OptionError(f"start must be {len(names)} variances >= 0 ({', '.join(names)}), the residual positive.")
        first = [point(values / model.reduced.outward, known)]
    generator = generator_of(rng)
    return [*first, *(random_start(pieces, known, generator) for _ in range(starts - 1))]


def by_climbing(model: IndependentGroups, climb: Climb, points: list[GroupParams]) -> Estimation:
    """Climb from every start and keep the best; say where variances cannot be told apart."""
    starts: Starts[Any, Any] = from_every_start(lambda begin: model.climb(begin, climb), points)
    best = starts.best
    if not math.isfinite(best.objective):
        raise NotIdentifiedError("The model is undefined at the start: give a start further inside.")
    notes: dict[str, Any] = {"accelerate": climb.accelerate}
    mixed = confounded(points[0], model.reduced.pieces)
    if mixed:
        names = ", ".join(f"'{model.components[k]}'" for k in mixed)
        notes["warnings"] = [
            (
                f"This design cannot tell {names} apart (their kernels are linearly dependent): each estimate is "
                "arbitrary, what they add up to is not. Drop or merge columns, or pass a known residual."
            )
        ]
        if best.status.arrived:
            best = replace(best, status=Status.CONFOUNDED)
    return Estimation(method=climb.scheme, outcome=best, starts=starts, mixed=mixed, notes=notes)
