"""From every start to its end: all of them on the units, or, of very many units, on a part of them first [SLOPE-9]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from varmix.iteration import Outcome, Serial, Start, Starts, from_every_start
from varmix.models.random_effect_mixture.climb import SEATED_SHARE, Climb
from varmix.models.random_effect_mixture.directional import directional_peak
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.starting import moment_start, random_start
from varmix.models.random_effect_mixture.units import Units

SERIAL = Serial()

SCREENED = 40_000
"""Units from which starts are screened on a part of the data: below, a climb costs less than it takes to notice."""

PART = 10_000
"""Units of that part; its optimum is within a few standard errors of that of the data, times sqrt(n / 10,000)."""

GROWING = 50
"""Steps between two classes of a growing mixture: it need not be at its optimum when the next is added."""

MIXED = 2_500
"""Units on which the grid mixture of a start is found: its classes are merged afterwards anyway."""

QUIET = 0.02
"""Part of the best residual variance at which a second grid mixture starts: few effects with heavy tails have their
maximum where small effects take the place of the noise."""

SAME_END = 1e-6
"""Two ends of the screening closer than this, relative to 1 + |l|, go on as one."""


def default_starts(model: RandomEffectMixture, count: int, rng: np.random.Generator) -> list[tuple[str, MixtureParams]]:
    """Named starts: moments, two merged grid mixtures, one grown class by class, and random ones [SLOPE-9]."""
    from varmix.models.random_effect_mixture.atoms import merged
    from varmix.models.random_effect_mixture.npmle import npmle

    units = sum(len(piece) for piece in model.pieces)
    part = screening_part(model, rng) if units > SCREENED else model.pieces
    known = model.inner_residual
    named = [("moments", moment_start(part, model.classes, model.null, known))]
    if count > 1 and model.classes > 1:
        few = screening_part(model, rng, MIXED) if units > 2 * MIXED else part
        typical = sum(float(piece.q.sum()) for piece in few) / sum(len(piece) for piece in few)
        mixing = npmle(few, residual=known, points=20)
        mixtures = [mixing]
        if count > 3 and known is None and mixing.residual > 0.0:
            mixtures.append(npmle(few, residual=QUIET * mixing.residual, points=20))
        for found in mixtures:
            variances, shares = merged(found, model.classes, model.null, scale=found.residual / typical)
            named.append(("npmle", MixtureParams.free(variances, found.residual, shares)))
    if count > 2 and model.classes > 1:
        named.append(("grown", grown_start(model, part)))
    while len(named) < count:
        named.append(("random", random_start(part, model.classes, model.null, known, rng)))
    return [(name, model.point(start)) for name, start in named[:count]]


def grown_start(model: RandomEffectMixture, part: Sequence[Units]) -> MixtureParams:
    """The best single class, to which classes are added where the directional derivative is largest, one at a time."""
    single = moment_start(part, 1, model.null, model.inner_residual)
    params = model.with_classes(1).point(single)
    climb = Climb(max_iterations=GROWING)
    for classes in range(2, model.classes + 1):
        params = climb.run(part, params).params
        added = directional_peak(params, part).variance
        grown = MixtureParams.free(
            np.append(params.variances, added),
            params.residual,
            np.append((1.0 - SEATED_SHARE) * params.shares, SEATED_SHARE),
        )
        params = model.with_classes(classes).point(grown)
    return params


def screening_part(model: RandomEffectMixture, rng: np.random.Generator, size: int = PART) -> tuple[Units, ...]:
    """Every so-manyth unit of all pieces, from a random one on, with the same part of what is left over."""
    step = max(1, sum(len(piece) for piece in model.pieces) // size)
    offset = int(rng.integers(step))
    parts = []
    for piece in model.pieces:
        weight = None if piece.weight is None else piece.weight[offset::step]
        part = Units(
            q=np.ascontiguousarray(piece.q[offset::step]),
            h2=np.ascontiguousarray(piece.h2[offset::step]),
            weight=weight,
            rest=piece.rest / step,
            rest_rows=piece.rest_rows / step,
        )
        parts.append(part)
    return tuple(part for part in parts if len(part) or part.rest_rows) or model.pieces


def fit_from(
    model: RandomEffectMixture,
    climb: Climb,
    begins: Sequence[MixtureParams],
    *,
    part: tuple[Units, ...] | None = None,
    tick: Callable[[int], Any] | None = None,
) -> Starts[Any, Any]:
    """Climb from every start (internal units); with `part`, on the part first, and from each of its different ends on
    the data once."""

    def on_data(begin: MixtureParams) -> Outcome[Any, Any]:
        outcome = climb.run(model.pieces, begin)
        if tick is not None:
            tick(1)
        return outcome

    if part is None:
        return from_every_start(on_data, begins)
    runs: list[Start[Any, Any]] = []
    ends: list[tuple[Outcome[Any, Any], Outcome[Any, Any]]] = []
    for begin in begins:
        clock = perf_counter()
        screened = replace(climb, runner=SERIAL).run(part, begin)
        known = next((whole for rough, whole in ends if _same_end(rough, screened)), None)
        if known is None:
            known = climb.run(model.pieces, model.point(replace(screened.params, held=model.held)))
            ends.append((screened, known))
        runs.append(Start(begin=begin, outcome=known, seconds=perf_counter() - clock))
        if tick is not None:
            tick(1)
    return Starts(runs=tuple(runs))


def _same_end(one: Outcome[Any, Any], other: Outcome[Any, Any]) -> bool:
    if abs(one.objective - other.objective) > SAME_END * (1.0 + abs(one.objective)):
        return False
    return bool(np.allclose(one.params.ordered().vector(), other.params.ordered().vector(), rtol=1e-3, atol=1e-6))
