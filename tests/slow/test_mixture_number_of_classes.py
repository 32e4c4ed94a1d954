"""The bootstrap test of the number of classes holds its level and finds a class that is there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from slope_model import SlopeModel

from varmix.models.random_effect_mixture.climb import Climb
from varmix.results.random_effect_mixture.number_of_classes import classes_test

pytestmark = pytest.mark.slow

DATA_SETS, REPLICATES, LEVEL = 400, 19, 0.05
TRUTHS = {1: ([0.5], [1.0]), 2: ([0.01, 2.0], [0.6, 0.4])}


def draw(rng: np.random.Generator, classes: int, effects: int = 150, rows: int = 3) -> SlopeModel:
    variances, shares = (np.array(part) for part in TRUTHS[classes])
    x, group = rng.standard_normal(effects * rows), np.repeat(np.arange(effects), rows)
    slope = np.sqrt(variances[rng.choice(classes, size=effects, p=shares)]) * rng.standard_normal(effects)
    y = slope[group] * x + np.sqrt(0.5) * rng.standard_normal(x.size)
    return SlopeModel(y=y, x=x, group=group, classes=classes)


def rejections(truth: int, tested: int, data_sets: int) -> int:
    rng = np.random.default_rng(truth)
    count = 0
    for _ in range(data_sets):
        small = draw(rng, truth).model().with_classes(tested)
        test = classes_test(small, [], small.with_classes(tested + 1), [], Climb(), REPLICATES, rng)
        count += test.p_value <= LEVEL
    return count


@pytest.mark.parametrize("classes", [1, 2])
def test_the_level_is_held(classes: int) -> None:
    """At the true number of classes rejections are Binomial(400, .05) up to the estimation of the rest.

    The band holds 98 % of them: a level of .02 or less, or of .10 and more, is found out nine times in ten.
    """
    count = rejections(classes, classes, DATA_SETS)
    assert stats.binom.ppf(0.01, DATA_SETS, LEVEL) <= count <= stats.binom.ppf(0.99, DATA_SETS, LEVEL)


def test_a_second_class_that_is_there_is_found() -> None:
    count = rejections(2, 1, 20)
    assert count >= 18  # each is some ten standard errors away
