"""Maxima with one coordinate held, over the classes in ascending order of variance."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from varmix.errors import ConvergenceWarning, warn
from varmix.iteration import Backtracking, Outcome, Status, Stopping, iterate
from varmix.iteration.progress import Progress
from varmix.models.random_effect_mixture.climb import Climb, reseated
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
"""Distance of two variances, relative to the upper one, below which the mixture with both made one is tried as well."""

SMALL = 1e-3
"""The same relative to the largest variance: near 0 two classes are one whatever their ratio."""

MET = 1e-9
"""Distance relative to the largest variance at which a climb towards a tie ends: the tie itself is climbed to then."""

BRANCH = 1e-6
"""A maximum this far above one found before at the same value is on another branch of the profile."""

ROUNDING = 1e-9
"""Two maxima closer than this are one."""

APART = 0.25
"""Least relative distance between variances at a start."""

FURTHER = 3
"""Random starts of a thorough search of two classes, times (K - 1)^2 of K; they come from a fixed seed, so that an
interval does not change from call to call."""

SEED = 1

ACCELERATOR = Backtracking(fallback=EM())
PLAIN = Stopping(tolerance=TOLERANCE, max_iterations=MAX_ITERATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class UntilTied:
    """Ends a climb at its certificate, or where two classes have all but met."""

    classes: int
    plain: Stopping = PLAIN

    def __call__(self, progress: Progress) -> Status | None:
        """The verdict on the newest step, or None to go on."""
        verdict = self.plain(progress)
        if verdict is not None or self.classes == 1:
            return verdict
        vector = progress.last.vector
        gaps = np.diff(vector[: self.classes])
        return Status.STALLED if gaps.min() <= MET * vector[: self.classes + 1].max() else None


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
            return max(self._unordered(start).objective for start in smaller)
        estimate = (float(self.params.vector()[coordinate]), self.params, self.log_likelihood)
        known = self._known.setdefault(coordinate, [estimate])
        starts = [self._between(coordinate, value)]
        if thorough:
            starts += [holding(start, coordinate, value) for start in self._elsewhere()]
        best = max((self._climb(start) for start in starts), key=_height)
        if thorough and (seated := self._seated(best.params, coordinate)) is not None:
            best = max(best, self._climb(seated), key=_height)
        place = bisect_left(known, value, key=lambda entry: entry[0])
        beside = known[max(place - 1, 0) : place + 1]
        if best.objective < min(entry[2] for entry in beside) - ROUNDING:  # it lost the branch of one of them
            ends = [self._climb(holding(entry[1], coordinate, value)) for entry in beside]
            best = max([best, *ends], key=_height)
        objective, arrived = best.objective, _reached(best)
        for tied in self._tied(best.params, coordinate, value):
            end = self._climb(tied)
            if end.objective >= objective - BRANCH:
                objective, arrived = max(end.objective, objective), _reached(end)
        if not arrived and np.isfinite(objective):
            _tell(best)
        self._remember(coordinate, place, (value, best.params, objective))
        return objective

    def _remember(self, coordinate: int, place: int, found: tuple[float, MixtureParams, float]) -> None:
        """Keep what was found; where it is on a higher branch than before, what was known of the lower one goes."""
        known = self._known[coordinate]
        if place == len(known) or known[place][0] != found[0]:
            known.insert(place, found)
        elif found[2] > known[place][2] + BRANCH and known[place][1] is not self.params:
            known[:] = sorted(
                [*(entry for entry in known if entry[1] is self.params), found], key=lambda entry: entry[0]
            )
        elif found[2] > known[place][2]:
            known[place] = found

    def _climb(self, start: MixtureParams) -> Outcome[Any, Any]:
        return iterate(
            OrderedNewton(),
            start,
            self.model.pieces,
            stopping=UntilTied(classes=start.classes),
            accelerator=ACCELERATOR,
            runner=self.climb.runner,
        )

    def _unordered(self, start: MixtureParams) -> Outcome[Any, Any]:
        """A climb where no class is singled out: idle classes are moved to where they help."""
        return Climb(runner=self.climb.runner).run(self.model.pieces, start)

    def _seated(self, params: MixtureParams, coordinate: int) -> MixtureParams | None:
        """The point with an idle class where it is wanted, if that leaves the class of `coordinate` its number."""
        point = reseated(params, self.model.pieces)
        if point is None or (np.diff(point.variances) > 0.0).all():
            return point
        return point.ordered() if coordinate == params.classes else None

    def _between(self, coordinate: int, value: float) -> MixtureParams:
        """A start between the two nearest known points, or at the nearest."""
        known = self._known[coordinate]
        place = bisect_left(known, value, key=lambda entry: entry[0])
        inside = 0 < place < len(known) and known[place][0] != value
        if not inside:
            return holding(known[min(place, len(known) - 1)][1], coordinate, value)
        (left, below, _), (right, above, _) = known[place - 1], known[place]
        part = (value - left) / (right - left)
        return holding(below.moved_to((1.0 - part) * below.vector() + part * above.vector()), coordinate, value)

    def _elsewhere(self) -> Iterator[MixtureParams]:
        """The estimate, moments and random points."""
        model, generator = self.model, np.random.default_rng(SEED)
        setting = (model.pieces, model.classes, model.null, model.inner_residual)
        yield self.params
        yield model.point(moment_start(*setting))
        for _ in range(FURTHER * (model.classes - 1) ** 2):
            yield model.point(random_start(*setting, generator))

    def _tied(self, params: MixtureParams, coordinate: int, value: float) -> Iterator[MixtureParams]:
        """Mixtures with a class less, where two classes of the maximum nearly coincide."""
        count = params.classes
        close = np.maximum(TIED * params.variances[1:], SMALL * max(params.variances.max(), params.residual))
        for lower in np.flatnonzero(np.diff(params.variances) <= close):
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
    if coordinate == count and value == 0.0:  # a class without a variance has no density then
        least = np.maximum(base.variances, SMALL * base.variances.max())
        base = base.moved_to(np.concatenate([least, [base.residual], base.shares]))
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


def _height(outcome: Outcome[Any, Any]) -> float:
    return outcome.objective


def _reached(outcome: Outcome[Any, Any]) -> bool:
    return outcome.status.arrived or outcome.certificate.newton_decrement <= NEAR


def _tell(outcome: Outcome[Any, Any]) -> None:
    warn(
        f"A maximum with one parameter held was not reached ({outcome.status.name}, "
        f"{outcome.certificate.newton_decrement:.1e} standard errors away): the profile interval resting on it may be "
        "off. Compare it with a bootstrap.",
        ConvergenceWarning,
    )
