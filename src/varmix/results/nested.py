"""What comparisons of nested fits share: spaces that covariates span, and the test of covariates that were added."""

from __future__ import annotations

import numpy as np

from varmix.errors import OptionError
from varmix.inference.likelihood_ratio import LikelihoodRatio, likelihood_ratio
from varmix.typing import Mask, Matrix

SAME = 1e-8
"""Relative difference below which two columns, or a column and its projection, are equal: well above the rounding of
reductions by different algebras, well below what different data give."""

LOWER = 1e-8
"""Share of 1 + |l| by which a larger model may seem to fit worse: certified maxima agree to about 1e-12."""


def spans(covariates: Matrix, columns: Matrix) -> bool:
    """Whether every one of `columns` (n, m) lies in the span of `covariates` (n, c)."""
    return not outside(covariates, columns).any()


def outside(covariates: Matrix, columns: Matrix) -> Mask:
    """Whether each of `columns` (n, m) lies outside the span of `covariates` (n, c), shape (m,)."""
    scaled, basis = _of_length_one(columns), np.linalg.qr(_of_length_one(covariates))[0]
    rest = scaled - basis @ (basis.T @ scaled)
    return np.asarray(np.linalg.norm(rest, axis=0) > SAME)


def _of_length_one(columns: Matrix) -> Matrix:
    """Columns of any size: their squares may be beyond numbers."""
    columns = columns / np.abs(columns).max(axis=0)
    return np.asarray(columns / np.linalg.norm(columns, axis=0))


def check_not_lower(large: float, small: float) -> None:
    """Raise OptionError where the larger model has the lower log-likelihood."""
    if large - small < -LOWER * (1.0 + abs(large)):
        raise OptionError(
            f"The larger model has the lower log-likelihood (by {small - large:.3g}): its fit ended at a local "
            "maximum. Refit it with starts=10 (and an rng), or from the smaller fit's variances by start=..., and "
            "compare again."
        )


def covariates_test(
    large: float, small: float, wide: Matrix, narrow: Matrix, names: tuple[str, ...]
) -> LikelihoodRatio:
    """Test of the columns of `wide` (n, c) that are not in the span of `narrow`, by chi-square with as many degrees.

    `large` and `small` are the log-likelihoods, `names` (c,) those of the columns of `wide`. Raises OptionError.
    """
    count = wide.shape[1] - narrow.shape[1]
    check_not_lower(large, small)
    added = tuple(name for name, is_new in zip(names, outside(narrow, wide), strict=True) if is_new)
    if len(added) != count:  # another coding: no column alone is what was added
        added = (f"{count} combination{'s' if count > 1 else ''} of {', '.join(added)}",)
    weights = np.zeros(count + 1)
    weights[-1] = 1.0
    return likelihood_ratio(large, small, weights, added)
