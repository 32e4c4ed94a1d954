"""`random_effect_mixture`: data in, Fit out."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from varmix.api.effect_rows import EffectRows, read_rows
from varmix.api.effect_stream import EffectStream, is_stream, read_stream, stream_model
from varmix.errors import ConvergenceWarning, OptionError, VarmixWarning, warn
from varmix.inference.generator import generator_of
from varmix.iteration import Runner, Serial, Threads
from varmix.linalg.threads import one_thread
from varmix.models.random_effect_mixture.climb import SCHEMES, Climb
from varmix.models.random_effect_mixture.drawing import draw_rows
from varmix.models.random_effect_mixture.fitting import SCREENED, default_starts, fit_from, screening_part
from varmix.models.random_effect_mixture.identification import check_identified, unbounded_rows
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.number_range import check_residual
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.posterior import posterior_table
from varmix.results.fit import Fit
from varmix.results.random_effect_mixture.advice import advice_on
from varmix.results.random_effect_mixture.report import Estimation, RandomEffectMixtureReport
from varmix.results.random_effect_mixture.rows import Rows
from varmix.typing import Tick, Vector

STARTS = 10
"""Starts unless told: moments, two merged grid mixtures, one grown class by class, and six random ones; all together
take less than a second up to a hundred thousand effects."""

FAR = 1e12
"""Times the scale of the data beyond which no start lies: a class out there has no unit, and its gradient no digit."""

THREADED = 200_000
"""Effects from which an evaluation is shared among threads: below, handing it out costs more than it saves."""

MOST_THREADS = 4
"""More gain little: one evaluation of a million effects is a few ms then."""


def random_effect_mixture(
    y: Any,
    x: Any,
    group: Any = None,
    *,
    classes: int = 2,
    null: bool = False,
    se: Any = None,
    residual: float | str | None = None,
    weights: Any = None,
    data: Any = None,
    method: str = "auto",
    starts: Any = STARTS,
    rng: np.random.Generator | int | None = None,
    workers: int | None = None,
    on_missing: str | None = None,
    tick: Tick | None = None,
    **options: Any,
) -> Fit:
    """Fit `y = b x + e`, b from a mixture of `classes` normals `N(0, v_k)` with shares pi_k, `e ~ N(0, s)` [SLOPE-1].

    `y`, `x`, `group`, `se` and `weights` are arrays of shape (n,), series, which are joined by their index, or names of
    columns of `data`. Rows of one `group` share their effect [SLOPE-2]; its labels are numbers, text, dates, ..., and
    compare as text. `null` holds v_1 = 0. `se` are known standard errors of y: `e_i ~ N(0, s se_i^2)` with
    s held at 1, or with residual="estimated" as an inflation; `residual` is a number where the residual variance is
    known. `weights` are likelihood weights, one per group: 2 counts as the same effect seen twice.

    `data` is a data frame, or read in chunks and never held whole: a path or list of paths (text or Parquet), a list of
    data frames, a function that returns an iterator of them, or a Dask data frame.

    `method` is "auto" (Newton from every start [SLOPE-6] [SLOPE-9]), "newton", "em", "pxem", "mm", "glm", or "npmle":
    the mixing distribution on a grid of `points` variances, without a number of classes [SLOPE-8]. Options of the
    likelihood methods: `accelerate` ("none", "squarem", "anderson"; not for Newton), `polish` (finish with Newton where
    the scheme alone would not arrive; True), `max_iterations`, `tolerance` (standard errors from the optimum). `starts`
    is their number, or a list of (variances, residual, shares); random ones are drawn with `rng`. Above 40,000 effects
    "auto" screens its starts on some 10,000 of them: those that end at the same place there go on as one, so that they
    share a path in `fit.table("paths")`. `workers` are threads.

    Classes are reported in ascending order of variance. Returns a Fit: `fit.shares`, `fit.components`, `fit.classes`
    (posterior of every effect in input order), `fit.starts`, `fit.table("design")`, `fit.test("v_1")`;
    `fit.facts["gain_bound"]` is what any number of classes could still gain. Raises DataError for data that cannot be
    used, NotIdentifiedError where the design does not identify the model, OptionError for options that are not known;
    warns when the certificate is not met, and where y look like odds ratios, of which effects are the logarithms.
    """
    rows: EffectRows | EffectStream
    if is_stream(data):
        rows = read_stream(y, x, group=group, se=se, weights=weights, data=data, on_missing=on_missing)
    else:
        rows = read_rows(y, x, group=group, se=se, weights=weights, data=data, on_missing=on_missing)
    _check_choices(classes, null, method, workers)
    known = known_residual(residual, se is not None)
    with one_thread():
        model = build_model(rows, classes=classes, null=null, residual=known, workers=workers)
        if method == "npmle":
            from varmix.api.mixing_distribution import fit_npmle

            fit = fit_npmle(model, rows_of(rows, model), rows.sample, rows.name, options, tick)
            for sentence in rows.ratios().told():  # which other fits note, and warn of with their notes
                warn(sentence, VarmixWarning)
        else:
            runner = rows.runner(workers) if isinstance(rows, EffectStream) else runner_of(model)
            climb = climb_of(method, options, runner)
            fit = _fit(rows, model, climb, method, starts, generator_of(rng), tick)
    _warn(fit)
    return fit


def known_residual(residual: float | str | None, errors: bool) -> float | None:
    """The residual variance (with known errors: their inflation) that is not estimated, or None."""
    if residual is None:
        return 1.0 if errors else None
    if isinstance(residual, str):
        if residual != "estimated":
            raise OptionError(f"residual={residual!r} is not known. Use 'estimated' or a positive number.")
        return None
    if isinstance(residual, bool) or not isinstance(residual, Real):
        raise OptionError(f"residual is a {type(residual).__name__}. Give a positive variance, or 'estimated'.")
    if not (math.isfinite(residual) and residual > 0.0):
        raise OptionError(f"residual={residual!r} must be a positive variance, or 'estimated'.")
    return float(residual)


def build_model(
    rows: EffectRows | EffectStream,
    *,
    classes: int,
    null: bool,
    residual: float | None,
    workers: int | None = None,
) -> RandomEffectMixture:
    """Reduce and check. Raises NotIdentifiedError and DataError."""
    if isinstance(rows, EffectStream):
        return stream_model(rows, classes=classes, null=null, residual=residual)
    reduction = rows.reduced()
    check_residual(residual, reduction.scales.residual)
    check_identified(reduction, classes, null, residual)
    if workers is None:
        workers = min(MOST_THREADS, os.cpu_count() or 1) if len(reduction.units) > THREADED else 1
    return RandomEffectMixture(
        reduction=reduction, classes=classes, null=null, residual=residual, pieces=reduction.units.split(workers)
    )


def runner_of(model: RandomEffectMixture) -> Runner:
    """Threads where the units are in several pieces."""
    return Threads(len(model.pieces)) if len(model.pieces) > 1 else Serial()


def climb_of(method: str, options: Mapping[str, Any], runner: Runner) -> Climb:
    """The climb with its options. Raises OptionError for unknown ones."""
    known = {item.name for item in fields(Climb)} - {"scheme", "runner"}
    for name in options:
        if name not in known:
            raise OptionError(f"'{name}' is not an option of method='{method}'. It has: {', '.join(sorted(known))}.")
    return Climb(scheme="newton" if method == "auto" else method, runner=runner, **options)


def _fit(
    rows: EffectRows | EffectStream,
    model: RandomEffectMixture,
    climb: Climb,
    method: str,
    starts: Any,
    rng: np.random.Generator,
    tick: Tick | None,
) -> Fit:
    named = start_points(model, starts, rng)
    screened = method == "auto" and len(named) > 1 and sum(len(piece) for piece in model.pieces) > SCREENED
    part = screening_part(model, rng) if screened else None
    found = fit_from(model, climb, [start for _, start in named], part=part, tick=tick)
    notes: dict[str, Any] = {"accelerate": climb.accelerate}
    told = list(rows.ratios().told())
    reduction = rows.outline() if isinstance(rows, EffectStream) else model.reduction
    if zeros := unbounded_rows(reduction, model.classes, model.residual, null=model.null):
        told.append(
            f"{zeros:,} effects have responses of exactly 0: the likelihood has no global maximum, since it "
            "grows without bound as the residual variance and the variance of a class go to 0 together. This is its "
            "best maximum inside. Values that were rounded to 0 ask for known standard errors (se=)."
        )
    if screened:
        notes["screened_on"] = sum(len(piece) for piece in part or ())
    if told:
        notes["warnings"] = told
    estimation = Estimation(
        method=method,
        outcome=found.best,
        starts=found,
        kinds=tuple(name for name, _ in named),
        climb=climb,
        notes=notes,
    )
    return Fit(RandomEffectMixtureReport(model, estimation, rows_of(rows, model), rows.sample, rows.name))


def start_points(model: RandomEffectMixture, starts: Any, rng: np.random.Generator) -> list[tuple[str, MixtureParams]]:
    """Named starts in internal units. Raises OptionError for a number below 1 or points outside the model."""
    if isinstance(starts, (int, np.integer)) and not isinstance(starts, bool):
        if starts < 1:
            raise OptionError(f"starts={starts!r} must be a whole number of at least 1, or a list of starting points.")
        return default_starts(model, int(starts), rng)
    if isinstance(starts, str) or not isinstance(starts, Sequence) or not starts:
        raise OptionError("starts must be a number, or a list of (variances, residual, shares) in the data's units.")
    return [("given", _given(model, number, item)) for number, item in enumerate(starts)]


def _given(model: RandomEffectMixture, number: int, item: Any) -> MixtureParams:
    count = model.classes
    try:
        if isinstance(item, Mapping):
            item = (item["variances"], item["residual"], item["shares"])
        variances, residual, shares = (np.asarray(part, dtype=np.float64) for part in item)
    except (TypeError, ValueError, KeyError) as error:
        raise OptionError(
            f"Start {number} is not (variances, residual, shares): {error}. For two classes give for instance "
            "([0.01, 1.0], 0.5, [0.7, 0.3])."
        ) from error
    fine = variances.shape == (count,) and shares.shape == (count,) and residual.size == 1
    if fine:
        values = np.concatenate([variances, residual.reshape(1), shares])
        fine = bool(np.isfinite(values).all() and (values >= 0.0).all() and residual > 0.0 and shares.sum() > 0.0)
    if not fine:
        raise OptionError(
            f"Start {number} must have {count} variances >= 0, a residual variance > 0 and {count} shares >= 0 that "
            "are not all 0."
        )
    start = model.point_of(variances, float(residual.reshape(())), shares / shares.sum())
    if max(start.residual, float(start.variances.max())) > FAR or start.residual < 1.0 / FAR:
        raise OptionError(
            f"Start {number} is far from anything the data can say: a variance of effects above "
            f"{FAR * model.reduction.scales.variance:.3g}, or a residual variance outside "
            f"{model.reduction.scales.residual / FAR:.3g} to {FAR * model.reduction.scales.residual:.3g}. Start nearer."
        )
    return start


def rows_of(rows: EffectRows | EffectStream, model: RandomEffectMixture) -> Rows:
    """What the report needs of rows."""
    if isinstance(rows, EffectStream):
        return rows.rows()
    return Rows(
        count=len(rows.y),
        posterior=partial(_posterior, rows, model),
        augment=partial(_augment, rows),
        draw=partial(_draw, rows, model),
    )


def _posterior(rows: EffectRows, model: RandomEffectMixture, params: MixtureParams) -> pd.DataFrame:
    labels = pd.DataFrame({"row": rows.rows} if rows.labels is None else {"group": rows.labels})
    reduction = model.reduction
    scale = reduction.scales.response / reduction.scales.regressor
    return pd.concat([labels, posterior_table(params, reduction.q, reduction.xy, scale=scale)], axis=1)


def _draw(rows: EffectRows, model: RandomEffectMixture, params: MixtureParams, rng: np.random.Generator) -> Vector:
    return draw_rows(model.reduction.outward(params), rows.x, rng, group=rows.group, errors=rows.errors)


def _augment(rows: EffectRows, effects: Vector) -> pd.DataFrame:
    fitted = (effects if rows.group is None else effects[rows.group]) * rows.x
    table = pd.DataFrame({"row": rows.rows, "y": rows.y, "x": rows.x})
    if rows.group is not None and rows.labels is not None:
        table["group"] = rows.labels[rows.group]
    return table.assign(fitted=fitted, resid=rows.y - fitted)


def _check_choices(classes: Any, null: Any, method: str, workers: Any) -> None:
    whole = isinstance(classes, (int, np.integer)) and not isinstance(classes, bool)
    if not whole or classes < 1:
        raise OptionError(f"classes={classes!r} must be a whole number of at least 1.")
    if not isinstance(null, (bool, np.bool_)):
        raise OptionError(f"null={null!r} must be True (the first class has variance 0) or False.")
    counts = isinstance(workers, (int, np.integer)) and not isinstance(workers, bool)
    if workers is not None and not (counts and workers >= 1):
        raise OptionError(f"workers={workers!r} must be a whole number of at least 1.")
    if method not in ("auto", "npmle", *SCHEMES):
        raise OptionError(f"method={method!r} is not known. Use 'auto', 'npmle' or one of {', '.join(SCHEMES)}.")


def _warn(fit: Fit) -> None:
    # Not by the facts of a mixture: they include the bound on further classes, as dear as a few evaluations.
    mixture = isinstance(fit.report, RandomEffectMixtureReport)
    if not fit.status.arrived:
        advice = advice_on(fit.status) if mixture else fit.facts["advice"]
        warn(f"{fit.status.name}: {advice}", ConvergenceWarning)
    if isinstance(fit.report, RandomEffectMixtureReport):
        for note in fit.report.estimation.notes.get("warnings", []):
            warn(note, VarmixWarning)
