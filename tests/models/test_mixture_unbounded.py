"""Responses of exactly 0 that leave the likelihood without a maximum are counted, and only those."""

from __future__ import annotations

import numpy as np
import pytest

from varmix.models.random_effect_mixture.identification import unbounded_rows
from varmix.models.random_effect_mixture.reduction import reduce_rows

X = np.array([1.0, -0.5, 2.0, 0.7])
Y = np.array([0.3, 1.0, -0.4, 0.2])


@pytest.mark.parametrize(
    ("x", "y", "classes", "residual", "count"),
    [
        (X, Y, 2, None, 0),
        (X, np.append(Y[:3], 0.0), 2, None, 1),
        (X, np.append(Y[:3], 0.0), 1, None, 0),  # one class with v > 0 explains the other rows and has no spike
        (X, np.append(Y[:3], 0.0), 2, 1.0, 0),
        (np.append(X[:3], 0.0), np.append(Y[:3], 0.0), 2, None, 1),
        (np.append(X[:3], 0.0), np.append(Y[:3], 0.0), 1, None, 1),  # a left-over of 0 needs no second class
        (np.append(X, 0.0), np.append(Y, 0.1), 2, None, 0),
    ],
)
def test_exact_zeros_count_where_the_likelihood_is_unbounded(
    x: np.ndarray, y: np.ndarray, classes: int, residual: float | None, count: int
) -> None:
    assert unbounded_rows(reduce_rows(y, x), classes, residual) == count


def test_left_over_rows_of_a_weight_below_one_count() -> None:
    reduction = reduce_rows(np.append(Y[:3], 0.0), np.append(X[:3], 0.0), weights=np.full(4, 0.4))
    assert unbounded_rows(reduction, 1, None) == 1


def test_a_null_class_alone_has_a_maximum() -> None:
    """All responses are then N(0, s): the others keep s up."""
    reduction = reduce_rows(np.append(Y[:3], 0.0), np.append(X[:3], 0.0))
    assert unbounded_rows(reduction, 1, None, null=True) == 0
    assert unbounded_rows(reduction, 2, None, null=True) == 1
