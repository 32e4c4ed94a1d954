"""Which of two fits of independent groups is nested in the other, judged by their data and not by names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from varmix.errors import OptionError
from varmix.inference.likelihood_ratio import LikelihoodRatio, likelihood_ratio
from varmix.models.independent_groups.model import IndependentGroups
from varmix.results.nested import SAME, check_not_lower, covariates_test, spans
from varmix.typing import Index, Matrix

if TYPE_CHECKING:
    from varmix.results.weighted_random_effects.report import WeightedRandomEffectsReport


def compare_fits(first: WeightedRandomEffectsReport, second: WeightedRandomEffectsReport) -> LikelihoodRatio:
    """Likelihood-ratio test of the smaller of two nested fits of the same rows, with columns or covariates added.

    Columns are the same where one is a multiple of the other, covariates where they span the same space. Added columns
    have the chi-bar-square law, added covariates that of chi-square; weights count as numbers of groups. Raises
    OptionError where neither fit is nested in the other, the larger one ended at a lower maximum or cannot tell its
    variances apart; NotAvailableError for a fit without its certificate.
    """
    for report in (first, second):
        _ = report.intervals
    _check_same_data(first.model, second.model)
    large, small = sorted((first, second), key=_size, reverse=True)
    wide, narrow = large.model.rows.W, small.model.rows.W
    added = _added(large.model, small.model)
    if not added:
        if wide.shape[1] == narrow.shape[1] or not spans(wide, narrow):
            raise OptionError("The fits have the same columns x, and neither has all the covariates of the other.")
        names = large.model.fixed_names
        return covariates_test(_log_likelihood(large), _log_likelihood(small), wide, narrow, names)
    if not (spans(wide, narrow) and spans(narrow, wide)):
        raise OptionError("The fits differ in covariates and in columns x: change one at a time.")
    if large.estimation.mixed:
        raise OptionError(
            "The design of the larger fit cannot tell its variances apart, so that the test has no known law. Drop or "
            "merge columns that say the same."
        )
    higher, lower = _log_likelihood(large), _log_likelihood(small)
    check_not_lower(higher, lower)
    test = large.intervals.test(added)
    if test.statistic <= 2.0 * (higher - lower):
        return test
    # The smaller fit, from its own start, found a higher maximum than the restriction of the larger one did.
    return replace(likelihood_ratio(higher, lower, np.array(test.weights), added), tested=added)


def _size(report: WeightedRandomEffectsReport) -> tuple[int, int]:
    return len(report.model.names), report.model.rows.W.shape[1]


def _log_likelihood(report: WeightedRandomEffectsReport) -> float:
    return report.model.log_likelihood_outward(report.estimation.outcome.objective)


def _check_same_data(one: IndependentGroups, other: IndependentGroups) -> None:
    mine, theirs = one.rows, other.rows
    same = np.array_equal(mine.y, theirs.y) and np.array_equal(mine.weight, theirs.weight)
    if not same or not np.array_equal(_groups(one), _groups(other)):
        raise OptionError("The fits are of different responses, rows, groups or weights and cannot be compared.")
    if one.residual != other.residual:
        raise OptionError(
            "The residual variance is known in one fit and not, or to be another, in the other: compare fits that "
            "agree in it."
        )


def _groups(model: IndependentGroups) -> Index:
    group = model.rows.group
    return np.arange(len(model.rows.y)) if group is None else group


def _added(large: IndependentGroups, small: IndependentGroups) -> tuple[str, ...]:
    """Names of the larger model's columns that the smaller one lacks. Raises OptionError."""
    mine, theirs = _kernels(large), _kernels(small)
    matched: set[int] = set()
    for column, name in zip(theirs.T, small.names, strict=True):
        order = sorted(range(len(large.names)), key=lambda k: large.names[k] != name)
        same = [k for k in order if k not in matched and np.linalg.norm(mine[:, k] - column) <= SAME]
        if not same:
            raise OptionError(
                f"The fits are not nested: neither has all the columns x of the other. '{name}' is a multiple of none "
                f"of {', '.join(large.names)} in the other fit."
            )
        matched.add(same[0])
    return tuple(name for k, name in enumerate(large.names) if k not in matched)


def _kernels(model: IndependentGroups) -> Matrix:
    """Per column of x what its kernel is made of, shape (n, K), of length 1: without groups the sign says nothing."""
    X = model.rows.X / np.abs(model.rows.X).max(axis=0)
    if model.rows.group is None:
        X = np.abs(X)
    first = np.sign(X[np.argmax(X != 0.0, axis=0), np.arange(X.shape[1])])
    return np.asarray(X * first / np.linalg.norm(X, axis=0))
