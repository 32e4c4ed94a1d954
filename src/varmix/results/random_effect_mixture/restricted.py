"""Maxima with one coordinate held, over the classes in ascending order of variance."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from varmix.errors import ConvergenceWarning
from varmix.iteration import Backtracking, Outcome, Stopping, iterate
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.em import EM
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.ordered import OrderedNewton, merge, without_class
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.starting import moment_start, random_start
from varmix.typing import Vector

TOLERANCE = 1e-5
"""Distance from the restricted optimum in standard errors: its log-likelihood is then right to 1e-10."""

NEAR = 1e-3
"""Distance at which a climb that rounding has stopped is good enough: its log-likelihood is right to 5e-7."""

MAX_ITERATIONS = 60
"""Newton takes about five; more only towards a tie of two classes, which is then looked at by itself."""

TIED = 0.02
"""Relative distance of two variances below which the mixture with both made one is tried as well."""

APART = 0.25
"""Least relative distance between variances at a start."""

FURTHER = 3
"""Random starts of a thorough search; they come from a fixed seed, so that an interval does not change from call to
call."""

SEED = 1

ACCELERATOR = Backtracking(fallback=EM())


class Restricted:
    """Profile log-likelihoods in internal units. Each maximum starts from those found at neighbouring values.

    The numbers of the classes mean their order, so a restricted maximum is one over v_1 <= ... <= v_K; without that the
    profile of pi_1 would be that of every other share as well.
    """

    def __init__(self, model: RandomEffectMixture, params: MixtureParams, log_likelihood: float, climb: Climb) -> None:
        self.model = model
        self.params = params
        self.log_likelihood = log_likelihood
        self.climb = climb
        self._known: dict[int, list[tuple[float, MixtureParams, float]]] = {}

    def maximum(self, coordinate: int, value: float, *, thorough: bool = False) -> float:
        """The highest log-likelihood with `coordinate` of (v, s, pi) held at `value`.

        `thorough` climbs from moments and random points too, and not only from what is known nearby. Warns
        (ConvergenceWarning) where no climb arrived.
        """
        smaller = self._smaller(coordinate, value)
        if smaller is not None:
            return max(self._climb(start).objective for start in smaller)
        known = self._known.setdefault(coordinate, [(float(self.params.vector()[coordinate]), self.params, np.nan)])
        starts = list(self._nearby(coordinate, value))
        if thorough:
            starts += [holding(start, coordinate, value) for start in self._elsewhere()]
        best = max((self._climb(start) for start in starts), key=lambda outcome: outcome.objective)
        objective, arrived = best.objective, _reached(best)
        for tied in self._tied(best.params, coordinate, value):
            end = self._climb(tied)
            if end.objective >= objective:
                objective, arrived = end.objective, _reached(end)
        if not arrived:
            _tell(best)
        place = bisect_left(known, value, key=lambda entry: entry[0])
        if place < len(known) and known[place][0] == value:
            if not objective <= known[place][2]:
                known[place] = (value, best.params, objective)
        else:
            known.insert(place, (value, best.params, objective))
        return objective

    def _climb(self, start: MixtureParams) -> Outcome[Any, Any]:
        return iterate(
            OrderedNewton(),
            start,
            self.model.pieces,
            stopping=Stopping(tolerance=TOLERANCE, max_iterations=MAX_ITERATIONS),
            accelerator=ACCELERATOR,
            runner=self.climb.runner,
        )

    def _nearby(self, coordinate: int, value: float) -> Iterator[MixtureParams]:
        """The point between the two nearest known ones, or the nearest."""
        known = self._known[coordinate]
        place = bisect_left(known, value, key=lambda entry: entry[0])
        if place < len(known) and known[place][0] == value:
            yield holding(known[place][1], coordinate, value)
        elif 0 < place < len(known):
            (left, below, _), (right, above, _) = known[place - 1], known[place]
            part = (value - left) / (right - left)
            between = below.moved_to((1.0 - part) * below.vector() + part * above.vector())
            yield holding(between, coordinate, value)
        else:
            yield holding(known[min(place, len(known) - 1)][1], coordinate, value)

    def _elsewhere(self) -> Iterator[MixtureParams]:
        """The estimate, moments and random points."""
        model, generator = self.model, np.random.default_rng(SEED)
        setting = (model.pieces, model.classes, model.null, model.inner_residual)
        yield self.params
        yield model.point(moment_start(*setting))
        for _ in range(FURTHER):
            yield model.point(random_start(*setting, generator))

    def _tied(self, params: MixtureParams, coordinate: int, value: float) -> Iterator[MixtureParams]:
        """Mixtures with a class less, where two classes of the maximum nearly coincide."""
        count = params.classes
        for lower in np.flatnonzero(np.diff(params.variances) <= TIED * params.variances[1:]):
            merged = merge(params, int(lower))
            share = coordinate - count - 1
            if share not in (lower, lower + 1):
                yield merged
                continue
            end = self._climb(merged).params  # the held share is a part of that of the new class
            new = count + int(lower)
            yield end if end.vector()[new] >= value else merged.holding(new, value)

    def _smaller(self, coordinate: int, value: float) -> list[MixtureParams] | None:
        """Starts of the mixture with fewer classes that a share of 0 or 1, or a second variance of 0, amounts to."""
        params, count = self.params, self.params.classes
        share = coordinate - count - 1
        if share >= 0 and value == 0.0:
            reduce = partial(without_class, index=share)
        elif share >= 0 and value == 1.0:
            reduce = partial(only_class, index=share)
        elif 0 < coordinate < count and value == 0.0:
            reduce = partial(merged_at_zero, index=coordinate)
        else:
            return None
        return [spread_out(reduce(start)) for start in (params, *self._elsewhere())]


def holding(params: MixtureParams, coordinate: int, value: float) -> MixtureParams:
    """The point with `coordinate` held at `value` and the other variances moved aside, strictly ordered."""
    count, base = params.classes, params
    known = base.held.copy()
    if coordinate < count:
        vector = base.vector()
        lower, upper = vector[:coordinate], vector[coordinate + 1 : count]
        vector[:coordinate] = np.minimum(lower, value * (1.0 - APART))
        vector[coordinate + 1 : count] = np.maximum(upper, value * (1.0 + APART))
        base = base.moved_to(np.where(known, base.vector(), vector))
    return spread_out(base.holding(coordinate, value))


def spread_out(params: MixtureParams) -> MixtureParams:
    """The point with variances that coincide moved apart, upwards where they may move, else downwards."""
    variances, count = params.variances, params.classes
    if (np.diff(variances) > 0.0).all():
        return params
    held = params.held[:count]
    least = 1e-3 * max(float(variances.max(initial=0.0)), params.residual)
    apart: Vector = variances.copy()
    for k in range(1, count):
        if apart[k] <= apart[k - 1] and not held[k]:
            apart[k] = max(apart[k - 1] * (1.0 + APART), least)
    for k in range(count - 2, -1, -1):
        if apart[k] >= apart[k + 1] and not held[k]:
            apart[k] = apart[k + 1] * (1.0 - APART)
    return params.moved_to(np.concatenate([apart, [params.residual], params.shares]))


def only_class(params: MixtureParams, index: int) -> MixtureParams:
    """The mixture of this class alone."""
    for other in reversed([k for k in range(params.classes) if k != index]):
        params = without_class(params, other)
    return params


def merged_at_zero(params: MixtureParams, index: int) -> MixtureParams:
    """Classes up to `index` made one, whose variance is held at 0."""
    params = params.holding(index, 0.0)
    for lower in reversed(range(index)):
        params = merge(params.holding(lower, 0.0), lower)
    return params


def _reached(outcome: Outcome[Any, Any]) -> bool:
    return outcome.status.arrived or outcome.certificate.newton_decrement <= NEAR


def _tell(outcome: Outcome[Any, Any]) -> None:
    warnings.warn(
        f"A maximum with one parameter held was not reached ({outcome.status.name}, "
        f"{outcome.certificate.newton_decrement:.1e} standard errors away): the profile interval resting on it may be "
        "off. Compare it with a bootstrap.",
        ConvergenceWarning,
        stacklevel=4,
    )
