"""Newton's step where classes coincide or are empty: the likelihood is flat or curves upwards there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

LAWS = str(Path(__file__).resolve().parents[1] / "laws")
if LAWS not in sys.path:
    sys.path.insert(0, LAWS)

from slope_model import simulated  # noqa: E402

from varmix.models.random_effect_mixture.climb import Climb  # noqa: E402
from varmix.models.random_effect_mixture.model import RandomEffectMixture  # noqa: E402
from varmix.models.random_effect_mixture.newton import Newton  # noqa: E402
from varmix.models.random_effect_mixture.params import MixtureParams  # noqa: E402
from varmix.models.random_effect_mixture.starting import moment_start, random_start  # noqa: E402
from varmix.models.random_effect_mixture.statistics import summarise  # noqa: E402

STEPS = 80
"""Newton's climbs in regular models take ten or so; before ties were cared for, these took 500 and did not arrive."""


def climbs(model: RandomEffectMixture, seed: int) -> list[MixtureParams]:
    rng = np.random.default_rng(seed)
    setting = (model.pieces, model.classes, model.null, model.inner_residual)
    return [model.point(moment_start(*setting)), *(model.point(random_start(*setting, rng)) for _ in range(3))]


@pytest.mark.parametrize("seed", range(20, 30))
@pytest.mark.parametrize("rows", [1, 3])
def test_a_class_too_many_does_not_keep_a_climb_from_arriving(seed: int, rows: int) -> None:
    two = simulated(seed, 200, rows).model()
    best = max(Climb().run(two.pieces, start).objective for start in climbs(two, seed))
    for start in climbs(two.with_classes(3), seed):
        outcome = Climb(max_iterations=STEPS).run(two.pieces, start)
        assert outcome.status.arrived
        # A mixture of three never fits worse than one of two; certificates leave 1e-16, sums round to 1e-12.
        assert outcome.objective >= best - 1e-8


def test_the_variance_of_an_empty_class_waits_for_its_share() -> None:
    units = simulated(2, 120, 4).model().reduction.units
    point = MixtureParams.free(np.array([0.01, 0.2, 2.0]), 0.1, np.array([0.6, 0.0, 0.4]))
    reached = Newton().update(point, summarise(point, units))
    assert reached.variances[1] == 0.2
    assert np.isfinite(reached.vector()).all()


def test_the_share_between_two_classes_that_coincide_waits_until_they_part() -> None:
    units = simulated(2, 120, 4).model().reduction.units
    point = MixtureParams.free(np.array([0.0, 0.0, 2.0]), 0.1, np.array([0.3, 0.3, 0.4]))
    reached = Newton().update(point, summarise(point, units))
    assert np.isfinite(reached.vector()).all()
    assert (reached.shares[:2] > 0.0).all()
