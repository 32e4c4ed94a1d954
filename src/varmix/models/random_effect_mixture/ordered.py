"""Newton's method that keeps the classes in ascending order of variance, which is what their numbers mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.random_effect_mixture.newton import Newton
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import MixtureScheme
from varmix.models.random_effect_mixture.statistics import MixtureStats

KEPT_GAP = 0.1
"""Part of the distance between neighbouring variances that one step must leave."""

NEWTON = Newton()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedNewton(MixtureScheme):
    """Newton's steps, cut short of two classes changing places [SLOPE-6].

    Needed where one coordinate is held: free classes could then meet the restriction by swapping numbers, which is
    the maximum of another question. The start must be strictly ordered. Where the restricted maximum lies on a tie
    it is approached by a factor of ten a step.
    """

    name: str = "newton"
    monotone: bool = True

    def update(self, params: MixtureParams, stats: MixtureStats, /) -> MixtureParams:
        """The step of `Newton`, or the part of it that keeps the order."""
        proposal = NEWTON.update(params, stats)
        gaps, wanted = np.diff(params.variances), np.diff(proposal.variances)
        crossing = wanted < KEPT_GAP * gaps
        if not crossing.any():
            return proposal
        part = float(((1.0 - KEPT_GAP) * gaps[crossing] / (gaps - wanted)[crossing]).min())
        here = params.vector()
        return params.moved_to(here + part * (proposal.vector() - here))


def merge(params: MixtureParams, lower: int) -> MixtureParams:
    """The same mixture with classes `lower` and `lower + 1` made one: variance of the held one, else their mean.

    The share of the new class is the sum; it is held only where both were.
    """
    count, upper = params.classes, lower + 1
    held_variances, held_shares = params.held[:count].copy(), params.held[count + 1 :].copy()
    variances, shares = params.variances.copy(), params.shares.copy()
    total = float(shares[lower] + shares[upper])
    if held_variances[lower]:
        together = float(variances[lower])
    elif held_variances[upper]:
        together = float(variances[upper])
    else:
        pair = slice(lower, upper + 1)
        together = float(shares[pair] @ variances[pair] / total) if total > 0.0 else float(variances[lower])
    variances[upper], shares[upper] = together, total
    held_variances[upper] |= held_variances[lower]
    held_shares[upper] &= held_shares[lower]
    keep = np.arange(count) != lower
    held = np.concatenate([held_variances[keep], [params.held[count]], held_shares[keep]])
    return MixtureParams(variances=variances[keep], residual=params.residual, shares=shares[keep], held=held)


def without_class(params: MixtureParams, index: int) -> MixtureParams:
    """The mixture of the other classes, their free shares rescaled to sum to what the held ones leave."""
    count = params.classes
    keep = np.arange(count) != index
    held_shares = params.held[count + 1 :][keep]
    held = np.concatenate([params.held[:count][keep], [params.held[count]], held_shares])
    shares = params.shares[keep]
    if not shares[~held_shares].any():
        shares = np.where(held_shares, shares, 1.0)
    reduced = MixtureParams(variances=params.variances[keep], residual=params.residual, shares=shares, held=held)
    return reduced.moved_to(reduced.vector())
