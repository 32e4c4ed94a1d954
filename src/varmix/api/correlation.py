"""`genetic_correlation`: two responses and the same variants in, Fit out [VC-8]."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from varmix.api.cohorts import Cohort, Recipe, gather_cohorts, people_in_both
from varmix.errors import ConvergenceWarning, OptionError, warn
from varmix.genotype import Reference, Scaling
from varmix.marginal.piece import power_of_two
from varmix.models.linear.correlation.climb import climb_pair
from varmix.models.linear.correlation.cohorts import Overlap, check_variation, joint_kernels, variant_signs
from varmix.models.linear.correlation.estimates import by_likelihood, by_moments
from varmix.models.linear.correlation.jackknife import leave_variants_out
from varmix.models.linear.correlation.moments import check_identified
from varmix.models.linear.correlation.pair import Criterion, build_pair
from varmix.results.correlation.report import CorrelationReport
from varmix.results.correlation.responses import PairedResponses, told_apart
from varmix.results.fit import Fit
from varmix.typing import Array, Index, Vector

Method: TypeAlias = Literal["newton", "pxem", "moments"]


def genetic_correlation(
    y1: Any,
    y2: Any,
    design1: Any,
    design2: Any,
    covariates1: Any = None,
    covariates2: Any = None,
    *,
    method: Method = "newton",
    criterion: Criterion = "reml",
    overlap: Overlap = "auto",
    scaling: Scaling = "sample",
    reference: Reference = "used",
    intercept: bool = True,
    sample_ids1: Any = None,
    sample_ids2: Any = None,
    on_missing: str | None = None,
    blocks: int | None = None,
    max_iterations: int = 500,
) -> Fit:
    """Fit the correlation of the effects of the same variants on y1 (n_1,) and y2 (n_2,) [VC-8].

    Two cohorts: a design each. Two traits of one sample: the same design twice. Designs are n_i x p arrays, data
    frames or genotype sources, standardised here in each cohort (`scaling`, `reference` as in `variance_components`)
    on the variants that both have (by id, or by position without ids) and that vary in both; or standardised designs,
    taken as they are. Alleles counted the other way round in design2 are turned. Covariates are (n_i, c_i) arrays or
    data frames; an intercept is added. Rows are joined by label as in `variance_components` (`sample_ids1` and
    `sample_ids2` are ids of the responses), else by position; `on_missing` is "error" or "drop".

    `overlap` tells who is in both, so that their residuals may correlate: row positions (in y1, in y2), "none", or
    "auto": the same rows of one design, else the same sample ids. `method` is "newton", "pxem" (finished by Newton
    where it would not arrive) or "moments" (unconstrained: |rho| may pass 1); `criterion` is "reml" or "ml". With
    `blocks`, the moments are jackknifed over so many blocks of neighbouring variants (a few hundred at most), which
    also counts which variants carry effects. Dense algebra of order n_1 + n_2: a few thousand people.

    The Fit has `fit.correlation`, `fit.components`, `fit.interval("correlation", kind="profile")` and
    `fit.test("correlation")`. Raises DataError and its subclasses for data that cannot be used, OptionError for
    options that are not known and NotIdentifiedError; warns when the certificate is not met or data were repaired.
    """
    _check_options(method, criterion, blocks)
    recipe = Recipe(scaling=scaling, reference=reference, intercept=intercept, on_missing=on_missing)
    cohorts = gather_cohorts(
        (y1, y2), (design1, design2), (covariates1, covariates2), (sample_ids1, sample_ids2), recipe
    )
    shared = people_in_both(overlap, cohorts, design1 is design2)
    first, second = cohorts
    y = (first.design.y, second.design.y)
    Z = (first.design.Z, second.design.Z)
    check_variation(y, Z, shared if method != "moments" else None)
    designs = (first.variants, second.variants)
    signs, flipped = variant_signs(*designs)
    kernels, widths = joint_kernels(*designs, signs)
    scales = (_unit(y[0]), _unit(y[1]))
    scaled = (y[0] / scales[0], y[1] / scales[1])
    by_rows = build_pair(scaled, Z, kernels, shared=shared, effects=designs[0].p, criterion="ml")
    rotates = method == "moments" or criterion == "reml"
    pair = by_rows
    if rotates:
        pair = build_pair(scaled, Z, kernels, shared=shared, effects=designs[0].p, criterion="reml")
    check_identified(pair.gram())
    unit = _parameter_units(scales, widths)[: pair.count]
    responses = PairedResponses(
        pair=pair,
        by_rows=by_rows,
        unit=unit,
        scales=scales,
        names=told_apart(first.design.response_names[0], second.design.response_names[0]),
        columns=(first.design.names, second.design.names),
        criterion=criterion,
        people=(first.people, second.people),
    )
    sample = _sample(cohorts, shared, flipped)
    if method == "moments":
        left: Array | None = None
        if blocks is not None:
            left = leave_variants_out(pair, designs, Z, signs, widths, blocks)
        return Fit(CorrelationReport(responses, by_moments(pair, unit, left), "moments", None, sample))
    outcome = climb_pair(pair, method=method, max_iterations=max_iterations)
    fit = Fit(CorrelationReport(responses, by_likelihood(pair, unit, outcome), method, outcome, sample))
    if not fit.status.arrived:
        warn(f"{fit.status.name}: {fit.status.advice}", ConvergenceWarning)
    return fit


def _check_options(method: str, criterion: str, blocks: int | None) -> None:
    for value, known, name in (
        (method, get_args(Method), "method"),
        (criterion, get_args(Criterion), "criterion"),
    ):
        if value not in known:
            raise OptionError(f"{name}={value!r} is not known. Use one of {', '.join(known)}.")
    if blocks is not None and method != "moments":
        raise OptionError(
            f"blocks={blocks} asks for a jackknife, which method='moments' has; method={method!r} has not."
        )


def _sample(cohorts: tuple[Cohort, Cohort], shared: tuple[Index, Index], flipped: int) -> pd.DataFrame:
    rows = [
        (f"{place} {what}", cause, count)
        for place, cohort in zip(("first", "second"), cohorts, strict=True)
        for what, cause, count in cohort.losses
    ]
    rows += [
        ("both", "people in both", int(shared[0].size)),
        ("both", "variants used", cohorts[0].variants.p),
        ("both", "alleles flipped", flipped),
    ]
    return pd.DataFrame(rows, columns=["what", "cause", "count"])


def _unit(y: Vector) -> float:
    return power_of_two(float(np.std(y)))


def _parameter_units(scales: tuple[float, float], widths: tuple[float, float]) -> Vector:
    """What internal parameters are multiplied with."""
    (u, v), (a, b) = scales, widths
    return np.array([(u / a) ** 2, (v / b) ** 2, u * v / (a * b), u * u, v * v, u * v])
