"""Public functions for the genetic correlation of two responses, from individual data [VC-8]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.stats import norm

from varmix.errors import AlignmentError, NotFiniteError, NotIdentifiedError, OptionError, ShapeError
from varmix.genotype.design import StandardisedDesign
from varmix.genotype.matching import match_variants
from varmix.iteration import Status
from varmix.linalg.householder import pivoted_columns
from varmix.marginal.piece import power_of_two
from varmix.models.linear.correlation.climb import climb_pair
from varmix.models.linear.correlation.interval import likelihood_covariance, profile_interval, zero_ratio
from varmix.models.linear.correlation.likelihood import correlation_of
from varmix.models.linear.correlation.moments import check_identified, correlation_error, pair_moments
from varmix.models.linear.correlation.pair import Criterion, Pair, build_pair
from varmix.models.linear.correlation.report import GeneticCorrelation
from varmix.typing import Array, Index, Matrix, Vector

Method: TypeAlias = Literal["newton", "pxem", "moments"]
Overlap: TypeAlias = Literal["auto", "none"] | tuple[Sequence[int], Sequence[int]]


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
    max_iterations: int = 500,
) -> GeneticCorrelation:
    """Correlation of the effects of the same variants on y1 (n_1,) and y2 (n_2,), each with covariates (n_i, c_i).

    Two cohorts: designs of the same variants, each standardised in its own cohort. Two traits of one sample: the same
    design twice. `overlap` tells who is in both, so that their residuals may correlate: row positions (in y1, in y2),
    "none", or "auto": every row when the design is the same, else by sample id where both designs know theirs.
    Alleles counted the other way round in design2 are turned. Dense algebra of order n_1 + n_2: a few thousand people.
    Wald intervals of rho on the likelihood are cut at -1 and 1. Raises ShapeError, NotFiniteError, AlignmentError,
    OptionError, NotIdentifiedError.
    """
    _check_options(method, criterion, interval, level)
    responses = (_response(y1, design1, "y1"), _response(y2, design2, "y2"))
    covariates = (
        _covariates(covariates1, design1.n, intercept, "covariates1"),
        _covariates(covariates2, design2.n, intercept, "covariates2"),
    )
    shared = _shared(overlap, design1, design2)
    signs, flipped = variant_signs(design1, design2)
    kernels, widths = _kernels(design1, design2, signs)
    scales = (_unit(responses[0]), _unit(responses[1]))
    pair = build_pair(
        (responses[0] / scales[0], responses[1] / scales[1]),
        covariates,
        kernels,
        shared=shared,
        effects=design1.p,
        criterion="reml" if method == "moments" else criterion,
    )
    check_identified(pair.pairs(np.eye(pair.rows)))
    unit = _parameter_units(scales, widths)[: pair.count]
    counts = {
        "rows in the first": design1.n,
        "rows in the second": design2.n,
        "people in both": int(shared[0].size),
        "variants": design1.p,
        "alleles flipped": flipped,
    }
    if method == "moments":
        return _by_moments(pair, unit, level, counts)
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


def _response(y: Array, design: StandardisedDesign, name: str) -> Vector:
    values = np.asarray(y, dtype=np.float64)
    if values.shape != (design.n,):
        raise ShapeError(
            f"{name} has shape {values.shape}; its design '{design.name}' has {design.n:,} rows. Align them."
        )
    _check_finite(values[:, None], name)
    return values


def _check_finite(values: Matrix, name: str) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise NotFiniteError(
            f"{name} has {int(bad.sum()):,} values that are NaN or infinite (first in row {row}). Drop those rows from "
            "the response, the covariates and the design."
        )


def _covariates(covariates: Array | None, rows: int, intercept: bool, name: str) -> Matrix:
    given = np.empty((rows, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    given = given[:, None] if given.ndim == 1 else given
    if given.ndim != 2 or given.shape[0] != rows:
        raise ShapeError(f"{name} has shape {given.shape} for {rows:,} rows. Align them with the design.")
    _check_finite(given, name)
    Z = np.column_stack([np.ones(rows), given]) if intercept else given
    kept = pivoted_columns(Z)[0]
    if kept.size > rows - 2:
        raise NotIdentifiedError(f"{name} has {kept.size} independent columns for {rows} rows: nothing is left to fit.")
    return Z[:, kept]


def _shared(overlap: Overlap, design1: StandardisedDesign, design2: StandardisedDesign) -> tuple[Index, Index]:
    nobody = (np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))
    if isinstance(overlap, str):
        if overlap not in ("auto", "none"):
            raise OptionError(f"overlap={overlap!r} is not known. Use 'auto', 'none' or two arrays of row positions.")
        if overlap == "none":
            return nobody
        if design1 is design2:
            rows = np.arange(design1.n, dtype=np.intp)
            return rows, rows
        return _same_people(design1, design2) or nobody
    if len(overlap) != 2:
        raise OptionError("overlap must be two arrays: positions in y1 and in y2 of the same people.")
    first, second = (np.asarray(part, dtype=np.intp) for part in overlap)
    if first.shape != second.shape or first.ndim != 1:
        raise ShapeError(f"overlap has arrays of shapes {first.shape} and {second.shape}; they must be equal vectors.")
    for part, design, name in ((first, design1, "y1"), (second, design2, "y2")):
        if part.size and (part.min() < 0 or part.max() >= design.n or np.unique(part).size < part.size):
            raise AlignmentError(
                f"overlap names rows of {name} that are repeated or outside 0 to {design.n - 1}. Name each once."
            )
    return first, second


def _same_people(design1: StandardisedDesign, design2: StandardisedDesign) -> tuple[Index, Index] | None:
    first, second = design1.sample_ids, design2.sample_ids
    if first is None or second is None:
        return None
    first, second = (table.assign(row=np.arange(len(table))) for table in (first, second))
    both: Any = first.merge(second, on=["FID", "IID"], suffixes=("_1", "_2"))
    return both["row_1"].to_numpy(dtype=np.intp), both["row_2"].to_numpy(dtype=np.intp)


def variant_signs(design1: StandardisedDesign, design2: StandardisedDesign) -> tuple[Vector, int]:
    """-1 where design2 counts the other allele, and their number. Raises AlignmentError for other variants."""
    if design1.p != design2.p:
        raise AlignmentError(
            f"Design '{design1.name}' has {design1.p:,} variants and '{design2.name}' {design2.p:,}. Restrict both to "
            "the variants that vary in both cohorts."
        )
    if design1 is design2:
        return np.ones(design1.p), 0
    match = match_variants(design1.source, design1.kept, design2.source)
    if not np.array_equal(match.positions, design2.kept):
        at = int(np.flatnonzero(match.positions != design2.kept)[0])
        raise AlignmentError(
            f"Column {at} of design '{design2.name}' is another variant than in '{design1.name}'. Give both designs "
            "the same variants in the same order."
        )
    turned = match.flipped.copy()
    for design in (design1, design2):
        if design.flipped is not None:
            turned ^= design.flipped
    return np.where(turned, -1.0, 1.0), int(turned.sum())


def _kernels(
    design1: StandardisedDesign, design2: StandardisedDesign, signs: Vector
) -> tuple[tuple[Matrix, Matrix, Matrix], tuple[float, float]]:
    """`K_11, K_12, K_22` of columns divided by powers of two, and those powers."""
    own = []
    for design in (design1, design2):
        K = np.zeros((design.n, design.n), order="F")
        design.gram_into(K)
        own.append(K)
    cross = np.zeros((design1.n, design2.n))
    aligned = replace(design2, block_size=design1.block_size)
    for (part, left), (_, right) in zip(design1.blocks(), aligned.blocks(), strict=True):
        cross += (left * signs[part]) @ right.T
    widths = tuple(power_of_two(math.sqrt(float(K.trace()) / len(K))) for K in own)
    return (own[0] / widths[0] ** 2, cross / (widths[0] * widths[1]), own[1] / widths[1] ** 2), (widths[0], widths[1])


def _unit(y: Vector) -> float:
    return power_of_two(float(np.std(y)))


def _parameter_units(scales: tuple[float, float], widths: tuple[float, float]) -> Vector:
    """What internal parameters are multiplied with."""
    (u, v), (a, b) = scales, widths
    return np.array([(u / a) ** 2, (v / b) ** 2, u * v / (a * b), u * u, v * v, u * v])
