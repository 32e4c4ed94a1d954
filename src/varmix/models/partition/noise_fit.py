"""Hyper-parameters of the noise by maximum marginal likelihood, with the proportions held or free [PART-3] [PART-5]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from varmix.errors import OptionError
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import HeteroscedasticStats, summarise
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import EXPONENTS, NAMES, Noise
from varmix.models.partition.partitions import Partitions
from varmix.typing import Matrix, Vector

SCALARS = ("mean", "between", "spread", *NAMES)
FREE = frozenset({*SCALARS, "shares", "proportions"})

LOWEST_SHARE = 1e-12
"""Share or proportion at which logits start that are given as 0: softmax cannot leave 0."""

MOST_LACK = 0.25
"""Misfit and scatter stay below this share of the mean. The levels are observed: were they allowed to be of the size of
the mean itself, all that is observed would be lack of fit, sd in proportion to what it is to explain, and block means
constant. That point can have the higher likelihood, and says nothing."""

MOST_EXPONENT = 4.0
"""Noise that grows faster than the square of the mean is not sought beyond this."""

TOLERANCE = 1e-10
"""Relative gain in the objective below which L-BFGS-B ends: hundredths of a standard error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseFit:
    """`objective` is `log_likelihood` plus the Dirichlet log density (up to its constant) where P is free."""

    params: HeteroscedasticParams
    log_likelihood: float
    objective: float
    iterations: int
    converged: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coordinates:
    """Free parameters as one vector: standard deviations in units of the start, exponents, logits.

    Standard deviations are bounded by 0 below, so that a variance can be 0; what starts at 0 stays there.
    """

    start: HeteroscedasticParams
    scalars: tuple[str, ...]
    shares: bool
    proportions: bool

    @classmethod
    def of(cls, start: HeteroscedasticParams, free: frozenset[str]) -> Coordinates:
        """Raises OptionError for a name that is no parameter."""
        if unknown := free - FREE:
            raise OptionError(f"{', '.join(sorted(unknown))} is no parameter. Free can be: {', '.join(sorted(FREE))}.")
        moving = [name for name in SCALARS if name in free and (name in ADDITIVE or _scalar(start, name) > 0.0)]
        return cls(start=start, scalars=tuple(moving), shares="shares" in free, proportions="proportions" in free)

    @property
    def vector(self) -> Vector:
        """The start."""
        parts = [np.array([_scalar(self.start, n) / self._unit(n) if n in ADDITIVE else 1.0 for n in self.scalars])]
        if self.shares:
            parts.append(np.log(np.maximum(self.start.shares, LOWEST_SHARE)))
        if self.proportions:
            parts.append(np.log(np.maximum(self.start.proportions, LOWEST_SHARE)).ravel())
        return np.concatenate(parts)

    @property
    def bounds(self) -> list[tuple[float | None, float | None]]:
        """One pair per coordinate."""
        kinds: dict[str, tuple[float | None, float | None]] = dict.fromkeys(SCALARS, (0.0, None))
        kinds |= {"mean": (None, None)} | dict.fromkeys(EXPONENTS, (0.0, MOST_EXPONENT))
        kinds |= {n: (0.0, self._most(n)) for n in RELATIVE if n in self.scalars}
        return [kinds[n] for n in self.scalars] + [(None, None)] * (len(self.vector) - len(self.scalars))

    def params(self, vector: Vector) -> HeteroscedasticParams:
        """The point of a vector."""
        count, size = len(self.scalars), len(self.start.shares)
        values = {
            n: float(self._unit(n) * x if n in ADDITIVE else _scalar(self.start, n) * x * x)
            for n, x in zip(self.scalars, vector[:count], strict=True)
        }
        changes: dict[str, float | Vector | Matrix | Noise] = {n: x for n, x in values.items() if n not in NAMES}
        changes["noise"] = replace(self.start.noise, **{n: x for n, x in values.items() if n in NAMES})
        if self.shares:
            changes["shares"] = softmax(vector[count : count + size])
        if self.proportions:
            logits = vector[count + size * self.shares :].reshape(self.start.proportions.shape)
            changes["proportions"] = softmax(logits, axis=1)
        return replace(self.start, **changes)  # type: ignore[arg-type]

    def pull(self, vector: Vector, params: HeteroscedasticParams, stats: HeteroscedasticStats) -> Vector:
        """Gradient of the log-likelihood in these coordinates."""
        scores = self._scores(stats)
        parts = [
            np.array(
                [
                    scores[n] * (self._unit(n) if n in ADDITIVE else 2.0 * _scalar(self.start, n) * x)
                    for n, x in zip(self.scalars, vector[: len(self.scalars)], strict=True)
                ]
            )
        ]
        if self.shares:
            parts.append(stats.counts - stats.counts.sum() * params.shares)
        if self.proportions:
            P, score = params.proportions, stats.score_proportions
            parts.append((P * (score - (P * score).sum(axis=1, keepdims=True))).ravel())
        return np.concatenate(parts)

    def released(self, vector: Vector, stats: HeteroscedasticStats) -> Vector:
        """With standard deviations at 0 a little above it where the likelihood rises with the variance.

        The derivative by a standard deviation is 0 at 0 whatever that by its variance is.
        """
        scores = self._scores(stats)
        out = vector.copy()
        for k, name in enumerate(self.scalars):
            value = _scalar(self.start, name) if name not in ADDITIVE else 0.0
            if name not in ADDITIVE and name != "spread" and vector[k] < RELEASED and scores[name] * value > WORTH:
                out[k] = 2.0 * RELEASED
        return out

    def _scores(self, stats: HeteroscedasticStats) -> dict[str, float]:
        return dict(zip(NAMES, stats.score_noise.tolist(), strict=True)) | {
            "mean": stats.score_mean,
            "between": stats.score_between,
            "spread": stats.score_spread,
        }

    def _most(self, name: str) -> float:
        return max(MOST_LACK * self.start.trend.reference / math.sqrt(_scalar(self.start, name)), 1.0)

    def _unit(self, name: str) -> float:
        return math.sqrt(self.start.between) or 1.0 if name == "mean" else 1.0


ADDITIVE = frozenset({"mean", *EXPONENTS})
RELATIVE = ("misfit_proportional", "scatter_proportional")


def fit_noise(
    pieces: Sequence[Genes],
    partitions: Partitions,
    start: HeteroscedasticParams,
    *,
    free: frozenset[str],
    concentration: float = 1.0,
    max_iterations: int = 500,
) -> NoiseFit:
    """Climb from `start` by L-BFGS-B with exact gradients; `free` names parameters of `FREE`.

    `concentration` is that of a symmetric Dirichlet prior on each row of P where P is free; 1 is none. Raises
    OptionError for names that are no parameters and a concentration below 1 (its density has no maximum inside).
    """
    if not concentration >= 1.0:
        raise OptionError(f"concentration={concentration} must be at least 1: below, the prior is unbounded at 0.")
    coordinates = Coordinates.of(start, free)
    prior = concentration - 1.0 if "proportions" in free else 0.0

    def negative(vector: Vector) -> tuple[float, Vector]:
        params = coordinates.params(vector)
        stats = _total(params, partitions, pieces)
        value, gradient = stats.log_likelihood, coordinates.pull(vector, params, stats)
        if prior:
            P = params.proportions
            logits = vector[-P.size :].reshape(P.shape)
            value += prior * float(log_softmax(logits, axis=1).sum())
            gradient[-P.size :] += prior * (1.0 - P.shape[1] * P).ravel()
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            return UNREACHABLE, np.zeros_like(vector)
        return -value, -gradient

    vector, iterations = coordinates.vector, 0
    for _ in range(1 + RELEASES):
        found = minimize(
            negative,
            vector,
            jac=True,
            method="L-BFGS-B",
            bounds=coordinates.bounds,
            options={"maxiter": max_iterations, "maxfun": 2 * max_iterations, "ftol": TOLERANCE, "maxcor": 30},
        )
        iterations += int(found.nit)
        stats = _total(coordinates.params(found.x), partitions, pieces)
        vector = coordinates.released(found.x, stats)
        if (vector == found.x).all():
            break
    return NoiseFit(
        params=coordinates.params(found.x),
        log_likelihood=stats.log_likelihood,
        objective=-float(found.fun),
        iterations=iterations,
        converged=bool(found.success),
    )


RELEASES = 3
"""Times that variances at 0 are let go."""

RELEASED = 1e-3
"""Standard deviation, in units of the start, below which a variance counts as 0 when it is looked at again."""

WORTH = 1.0
"""Slope of the log-likelihood by a variance in units of its start that makes letting it go worth a climb: what it can
gain is of the order of the slope times the small variance that it came to rest from."""

UNREACHABLE = 1e300
"""Objective where the densities are not finite: line searches turn back from it."""


def _scalar(params: HeteroscedasticParams, name: str) -> float:
    return float(getattr(params.noise if name in NAMES else params, name))


def _total(params: HeteroscedasticParams, partitions: Partitions, pieces: Sequence[Genes]) -> HeteroscedasticStats:
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        parts = [summarise(params, partitions, piece) for piece in pieces]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
