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
        scores = dict(zip(NAMES, stats.score_noise, strict=True)) | {
            "mean": stats.score_mean,
            "between": stats.score_between,
            "spread": stats.score_spread,
        }
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

    def _unit(self, name: str) -> float:
        return math.sqrt(self.start.between) or 1.0 if name == "mean" else 1.0


ADDITIVE = frozenset({"mean", *EXPONENTS})


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

    found = minimize(
        negative,
        coordinates.vector,
        jac=True,
        method="L-BFGS-B",
        bounds=coordinates.bounds,
        options={
            "maxiter": max_iterations,
            "maxfun": 2 * max_iterations,
            "ftol": TOLERANCE,
            "gtol": 1e-4,
            "maxcor": 30,
        },
    )
    params = coordinates.params(found.x)
    return NoiseFit(
        params=params,
        log_likelihood=_total(params, partitions, pieces).log_likelihood,
        objective=-float(found.fun),
        iterations=int(found.nit),
        converged=bool(found.success),
    )


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
