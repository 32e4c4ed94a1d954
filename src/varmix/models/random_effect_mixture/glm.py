"""EM whose M-step keeps only the classes missing and is solved exactly: a weighted Gamma regression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from varmix.iteration import Runner, Serial
from varmix.models.cone import certify, quadratic_step
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import MixtureScheme, stepped
from varmix.models.random_effect_mixture.statistics import BLOCK, LOG_2PI, SMALLEST_BLOCK, MixtureStats, ratios
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Square, Vector

INNER_TOLERANCE = 1e-9
"""Distance in standard errors at which the regression is solved: well below what a step of EM moves."""

INNER_STEPS = 50
"""Scoring steps of one regression; three to eight are usual."""

HALVINGS = 20
"""Halvings of a scoring step: the regression is smooth and the step points upwards."""

SERIAL = Serial()


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaStats:
    """Weighted Gamma log-likelihood of `h^2` on `q`, identity link: value, score, expected information in (v, s)."""

    value: float
    score: Vector
    information: Square

    def __add__(self, other: GammaStats) -> GammaStats:
        return GammaStats(
            value=self.value + other.value,
            score=self.score + other.score,
            information=self.information + other.information,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GLM(MixtureScheme):
    """Needs the data again inside its step, so it holds the pieces; responsibilities are recomputed, never stored."""

    pieces: Sequence[Units]
    runner: Runner = SERIAL
    name: str = "glm"
    monotone: bool = True

    def update(self, params: MixtureParams, stats: MixtureStats, /) -> MixtureParams:
        """Maximiser over (v, s) >= 0 of `sum a r_gk log N(h_g; 0, q_g v_k + s)` with r at `params` [SLOPE-7]."""
        count = params.classes
        vector = params.vector()[: count + 1]
        free = np.flatnonzero(~params.held[: count + 1])
        here = self._regress(params, params)
        for _ in range(INNER_STEPS if free.size else 0):
            inner = here.information[np.ix_(free, free)]
            if certify(vector[free], here.score[free], inner).newton_decrement <= INNER_TOLERANCE:
                break
            step = np.zeros(count + 1)
            step[free] = quadratic_step(vector[free], here.score[free], inner)
            reached = self._climbed(params, vector, step, here)
            if reached is None:
                break
            vector, here = reached
        return stepped(params, vector[:count], float(vector[count]), stats.counts)

    def _climbed(
        self, anchor: MixtureParams, vector: Vector, step: Vector, here: GammaStats
    ) -> tuple[Vector, GammaStats] | None:
        for halving in range(HALVINGS):
            candidate = np.maximum(vector + 0.5**halving * step, 0.0)
            there = self._regress(anchor, replace(anchor, variances=candidate[:-1], residual=float(candidate[-1])))
            if there.value > here.value:
                return candidate, there
        return None

    def _regress(self, anchor: MixtureParams, params: MixtureParams) -> GammaStats:
        return self.runner.map_add(partial(regression_statistics, anchor, params), self.pieces)


def regression_statistics(anchor: MixtureParams, params: MixtureParams, units: Units) -> GammaStats:
    """Statistics of the regression at `params` with responsibilities of `anchor`; value -inf where it is undefined."""
    count, residual = params.classes, params.residual
    score, information = np.zeros(count + 1), np.zeros((count + 1, count + 1))
    value = 0.0
    index = np.arange(count)
    if not residual > 0.0 and (units.rest_rows > 0.0 or not (params.variances > 0.0).all()):
        return GammaStats(value=-math.inf, score=score, information=information)
    if units.rest_rows > 0.0:
        value = -0.5 * (units.rest_rows * (LOG_2PI + math.log(residual)) + units.rest / residual)
        score[count] = 0.5 * (units.rest / residual - units.rest_rows) / residual
        information[count, count] = 0.5 * units.rest_rows / residual**2
    size = max(SMALLEST_BLOCK, BLOCK // count)
    work = np.empty((4 * count + 1, min(size, len(units))))
    for q, h2, weight in units.blocks(size):
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            responsibility = ratios(anchor, q, h2, work[:, : len(q)])[0]
        responsibility *= anchor.shares[:, None]
        if weight is not None:
            responsibility *= weight
        tau = np.multiply.outer(params.variances, q) + residual
        scaled = h2 / tau
        value -= 0.5 * float((responsibility * (np.log(tau) + scaled + LOG_2PI)).sum())
        powers = np.stack([np.ones(len(q)), q, q * q], axis=1)
        responsibility /= tau
        slope = 0.5 * ((responsibility * (scaled - 1.0)) @ powers[:, :2])
        curvature = 0.5 * ((responsibility / tau) @ powers)
        score[:count] += slope[:, 1]
        score[count] += slope[:, 0].sum()
        information[index, index] += curvature[:, 2]
        information[index, count] += curvature[:, 1]
        information[count, index] += curvature[:, 1]
        information[count, count] += curvature[:, 0].sum()
    return GammaStats(value=value, score=score, information=information)
