"""Which of two fits is nested in the other, judged by what the models say and not by names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from varmix.errors import OptionError
from varmix.inference.likelihood_ratio import LikelihoodRatio, likelihood_ratio
from varmix.models.linear.model import VarianceComponents
from varmix.results.nested import SAME, check_not_lower, covariates_test, spans
from varmix.typing import Vector

if TYPE_CHECKING:
    from varmix.results.variance_components.report import VarianceComponentsReport

SEED = 20
"""The probe is fixed, so that a comparison does not change from call to call."""


def compare_fits(first: VarianceComponentsReport, second: VarianceComponentsReport) -> LikelihoodRatio:
    """Likelihood-ratio test of the smaller of two nested fits of the same rows.

    Kernels are told apart by their product with a fixed vector (in REML within the complement of the covariates, all
    that REML sees), covariates by the space they span. Raises OptionError where neither fit is nested in the other or
    the larger one ended at a lower maximum, NotAvailableError for a fit without its certificate.
    """
    for report in (first, second):
        _ = report.intervals
    large, small = sorted((first, second), key=lambda report: len(report.model.names), reverse=True)
    _check_same_data(large.model, small.model)
    if len(large.model.names) == len(small.model.names):
        return _added_columns(first, second)
    if not (spans(large.model.design.Z, small.model.design.Z) and spans(small.model.design.Z, large.model.design.Z)):
        raise OptionError("The fits differ in covariates and in components: change one at a time.")
    matched = _matched(large.model, small.model)
    added = tuple(name for name in large.model.names if name not in matched)
    gap = _comparable(large) - _comparable(small)
    check_not_lower(large.log_likelihood, large.log_likelihood - gap)
    test = large.intervals.test(added)
    if test.statistic <= 2.0 * gap:
        return test
    # The smaller fit, from its own start, found a higher maximum than the restriction of the larger one did.
    return replace(
        likelihood_ratio(large.log_likelihood, large.log_likelihood - gap, np.array(test.weights), added),
        tested=added,
    )


def _check_same_data(large: VarianceComponents, small: VarianceComponents) -> None:
    if not np.array_equal(large.design.y, small.design.y):
        raise OptionError("The fits are of different responses or rows and cannot be compared.")
    if large.criterion != small.criterion:
        raise OptionError("One fit is by REML, the other by ML: compare fits of one criterion.")


def _matched(large: VarianceComponents, small: VarianceComponents) -> set[str]:
    """Names of the larger model's components that are in the smaller one, the residual included."""
    images = [kernel_image(large, component) for component in range(len(large.terms))]
    matched = {large.names[-1]}
    for component, term in enumerate(small.terms):
        image = kernel_image(small, component)
        order = sorted(range(len(large.terms)), key=lambda k: large.terms[k].name != term.name)
        same = [k for k in order if large.names[k] not in matched and _alike(images[k], image)]
        if not same:
            raise OptionError(
                f"The fits are not nested: neither has all the components of the other. The kernel of '{term.name}' is "
                f"none of {', '.join(item.name for item in large.terms)} in the other fit."
            )
        matched.add(large.names[same[0]])
    return matched


def kernel_image(model: VarianceComponents, component: int) -> Vector:
    """`K_k v` for a fixed pseudo-random v, of length 1, shape (n,); `M K_k M v` in REML."""
    piece = model.piece
    probe = np.random.default_rng(SEED).standard_normal((piece.rows, 1))
    upper, lower = piece.coordinates.columns_from_rows(probe)
    if model.criterion == "reml":
        fixed, complement = np.zeros(piece.columns), piece.system.multiply(component, lower)[:, 0]
    else:
        fixed = (piece.corner[component] @ upper + piece.cross[component].T @ lower)[:, 0]
        complement = (piece.cross[component] @ upper + piece.system.multiply(component, lower))[:, 0]
    image = piece.coordinates.to_rows(fixed, complement, piece.response.rest)
    length = float(np.linalg.norm(image))
    return np.asarray(image / length if length > 0.0 else image)


def _alike(left: Vector, right: Vector) -> bool:
    return bool(np.linalg.norm(left - right) <= SAME)


def _comparable(report: VarianceComponentsReport) -> float:
    """The log-likelihood, for REML without what depends on the coding of the covariates."""
    shift = 0.5 * report.model.piece.log_determinant_covariates if report.model.criterion == "reml" else 0.0
    return report.log_likelihood + shift


def _added_columns(first: VarianceComponentsReport, second: VarianceComponentsReport) -> LikelihoodRatio:
    large, small = sorted((first, second), key=lambda report: report.model.design.c, reverse=True)
    wide, narrow = large.model.design, small.model.design
    if wide.c == narrow.c or not spans(wide.Z, narrow.Z):
        raise OptionError("The fits have the same components, and neither has all the covariates of the other.")
    if large.model.criterion == "reml":
        raise OptionError("REML likelihoods with different covariates cannot be compared: refit with criterion='ml'.")
    _matched(large.model, small.model)
    return covariates_test(large.log_likelihood, small.log_likelihood, wide.Z, narrow.Z, tuple(wide.names))
