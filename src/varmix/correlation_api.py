"""Public functions for the genetic correlation of two responses, from individual data [VC-8]."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
from scipy.stats import norm

from varmix.errors import OptionError
from varmix.genotype.design import StandardisedDesign
from varmix.iteration import Status
from varmix.marginal.piece import power_of_two
from varmix.models.linear.correlation.climb import climb_pair
from varmix.models.linear.correlation.cohorts import (
    Overlap,
    check_variation,
    checked_covariates,
    checked_response,
    joint_kernels,
    shared_people,
    variant_signs,
)
from varmix.models.linear.correlation.interval import likelihood_covariance, profile_interval, zero_ratio
from varmix.models.linear.correlation.jackknife import leave_variants_out
from varmix.models.linear.correlation.likelihood import correlation_of
from varmix.models.linear.correlation.moments import check_identified, correlation_error, pair_moments
from varmix.models.linear.correlation.pair import Criterion, Pair, build_pair
from varmix.models.linear.correlation.report import GeneticCorrelation
from varmix.typing import Array, Vector

Method: TypeAlias = Literal["newton", "pxem", "moments"]


def genetic_correlation(
    y1: Array,
    y2: Array,
    design1: StandardisedDesign,
    design2: StandardisedDesign,
    covariates1: Array | None = None,
    covariates2: Array | None = None,
    *,
    method: Method = "newton",
    criterion: Criterion = "reml",
    overlap: Overlap = "auto",
    intercept: bool = True,
    interval: Literal["profile", "wald"] = "profile",
    level: float = 0.95,
    blocks: int | None = None,
    max_iterations: int = 500,
) -> GeneticCorrelation:
    """Correlation of the effects of the same variants on y1 (n_1,) and y2 (n_2,), each with covariates (n_i, c_i).

    Two cohorts: designs of the same variants, each standardised in its own cohort. Two traits of one sample: the same
    design twice. `overlap` tells who is in both, so that their residuals may correlate: row positions (in y1, in y2),
    "none", or "auto": every row when the design is the same, else by sample id where both designs know theirs.
    Alleles counted the other way round in design2 are turned. Dense algebra of order n_1 + n_2: a few thousand people.
    Wald intervals of rho on the likelihood are cut at -1 and 1. With `blocks`, the moments are jackknifed over so many
    blocks of neighbouring variants (a few hundred at most), which also counts which variants carry effects.

    Raises ShapeError, NotFiniteError, AlignmentError, OptionError, NotIdentifiedError.
    """
    _check_options(method, criterion, interval, level)
    if blocks is not None and method != "moments":
        raise OptionError(
            f"blocks={blocks} asks for a jackknife, which method='moments' has; method={method!r} has not."
        )
    responses = (checked_response(y1, design1, "y1"), checked_response(y2, design2, "y2"))
    covariates = (
        checked_covariates(covariates1, design1.n, intercept, "covariates1"),
        checked_covariates(covariates2, design2.n, intercept, "covariates2"),
    )
    shared = shared_people(overlap, design1, design2)
    check_variation(responses, covariates, shared if method != "moments" else None)
    signs, flipped = variant_signs(design1, design2)
    kernels, widths = joint_kernels(design1, design2, signs)
    scales = (_unit(responses[0]), _unit(responses[1]))
    pair = build_pair(
        (responses[0] / scales[0], responses[1] / scales[1]),
        covariates,
        kernels,
        shared=shared,
        effects=design1.p,
        criterion="reml" if method == "moments" else criterion,
    )
    check_identified(pair.gram())
    unit = _parameter_units(scales, widths)[: pair.count]
    counts = {
        "rows in the first": design1.n,
        "rows in the second": design2.n,
        "people in both": int(shared[0].size),
        "variants": design1.p,
        "alleles flipped": flipped,
    }
    if method == "moments":
        fit = _by_moments(pair, unit, level, counts)
        if blocks is None:
            return fit
        left = leave_variants_out(pair, (design1, design2), covariates, signs, widths, blocks)
        return replace(fit, without_block=left * unit)
    result = _by_likelihood(pair, method, criterion, interval, level, max_iterations, counts)
    rows = [
        n - (z.shape[1] if criterion == "reml" else 0) for n, z in zip((design1.n, design2.n), covariates, strict=True)
    ]
    shift = sum(m * math.log(scale) for m, scale in zip(rows, scales, strict=True))
    test = result.test
    return replace(
        result,
        estimates=result.estimates * unit,
        covariance=result.covariance * np.outer(unit, unit),
        log_likelihood=result.log_likelihood - shift,
        test=None if test is None else replace(test, null_log_likelihood=test.null_log_likelihood - shift),
    )


def _by_moments(pair: Pair, unit: Vector, level: float, counts: dict[str, int]) -> GeneticCorrelation:
    fit = pair_moments(pair)
    values, covariance = fit.values * unit, fit.covariance * np.outer(unit, unit)
    rho, error = correlation_of(values), correlation_error(values, covariance)
    half = float(norm.ppf(0.5 + 0.5 * level)) * error
    outside = values[:2].min() < 0.0 or values[3:5].min() < 0.0 or abs(rho) > 1.0
    return GeneticCorrelation(
        rho=rho,
        se=error,
        interval=(rho - half, rho + half),
        interval_kind="Wald",
        level=level,
        estimates=values,
        covariance=covariance,
        method="moments",
        criterion=None,
        status=Status.OUTSIDE_CONE if outside else Status.CLOSED_FORM,
        certificate=None,
        log_likelihood=math.nan,
        test=None,
        counts=counts,
        iterations=0,
    )


def _by_likelihood(
    pair: Pair,
    method: Literal["newton", "pxem"],
    criterion: Criterion,
    interval: str,
    level: float,
    max_iterations: int,
    counts: dict[str, int],
) -> GeneticCorrelation:
    """In internal units."""
    outcome = climb_pair(pair, method=method, max_iterations=max_iterations)
    values, rho = outcome.params.values, outcome.params.correlation
    covariance = likelihood_covariance(pair, outcome.params)
    edge = math.isnan(rho) or abs(rho) >= 1.0 - 1e-12
    error = math.nan if edge else correlation_error(values, covariance)
    if interval == "profile":
        ends = profile_interval(pair, outcome, level)
    else:
        half = float(norm.ppf(0.5 + 0.5 * level)) * error
        ends = (max(rho - half, -1.0), min(rho + half, 1.0)) if not edge else (math.nan, math.nan)
    return GeneticCorrelation(
        rho=rho,
        se=error,
        interval=ends,
        interval_kind="profile" if interval == "profile" else "Wald",
        level=level,
        estimates=values,
        covariance=covariance,
        method=method,
        criterion=criterion,
        status=outcome.status,
        certificate=outcome.certificate,
        log_likelihood=outcome.objective,
        test=zero_ratio(pair, outcome),
        counts=counts,
        iterations=len(outcome.progress.steps) - 1,
    )


def _check_options(method: str, criterion: str, interval: str, level: float) -> None:
    for value, known, name in (
        (method, ("newton", "pxem", "moments"), "method"),
        (criterion, ("reml", "ml"), "criterion"),
        (interval, ("profile", "wald"), "interval"),
    ):
        if value not in known:
            raise OptionError(f"{name}={value!r} is not known. Use one of {', '.join(known)}.")
    if not 0.0 < level < 1.0:
        raise OptionError(f"level={level} must be between 0 and 1, such as 0.95.")


def _unit(y: Vector) -> float:
    return power_of_two(float(np.std(y)))


def _parameter_units(scales: tuple[float, float], widths: tuple[float, float]) -> Vector:
    """What internal parameters are multiplied with."""
    (u, v), (a, b) = scales, widths
    return np.array([(u / a) ** 2, (v / b) ** 2, u * v / (a * b), u * u, v * v, u * v])
