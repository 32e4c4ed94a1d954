"""Mixtures of random effects climbed to their optimum, with their intervals."""

from __future__ import annotations

from slope_model import SlopeModel

from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.starting import moment_start
from varmix.results.random_effect_mixture.estimates import Estimates
from varmix.results.random_effect_mixture.intervals import Intervals


def start_of(model: RandomEffectMixture) -> MixtureParams:
    return model.point(moment_start(model.pieces, model.classes, model.null, model.inner_residual))


def intervals_of(model: RandomEffectMixture) -> Intervals:
    outcome = Climb().run(model.pieces, start_of(model))
    assert outcome.status.arrived
    return Intervals(Estimates(model, outcome.params.ordered()), outcome.objective, Climb())


def intervals_to(data: SlopeModel, pieces: int = 1) -> Intervals:
    return intervals_of(data.model(pieces))
