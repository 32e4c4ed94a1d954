"""A point of the model with noise that differs, in parameters themselves: 0 is an ordinary value of a coordinate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import EXPONENTS, NAMES
from varmix.models.partition.params import groups, rescaled
from varmix.typing import Index, Mask, Vector

SCALARS = ("mean", "between", "spread", *NAMES)
"""Coordinates before the shares."""

ROUNDING = 1e-12
"""Relative distance from an upper bound that counts as none."""

SLOPES = {"exponent": "proportional", "misfit_exponent": "misfit_proportional"}
"""The variance without which an exponent says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoisePoint:
    """`params`, `fixed` coordinates that no step moves and the `upper` bounds of all, both (K,).

    Coordinates are (`SCALARS`, pi, P row by row), K = 12 + J + DT; all but the mean have 0 as their lower bound.
    """

    params: HeteroscedasticParams
    fixed: Mask
    upper: Vector

    @property
    def held(self) -> Mask:
        """`fixed`, and what says nothing: exponents of terms that are 0, shares where block means do not vary."""
        held = self.fixed.copy()
        held[self.simplexes[0]] |= self.params.between == 0.0
        for exponent, slope in SLOPES.items():
            held[SCALARS.index(exponent)] |= getattr(self.params.noise, slope) == 0.0
        return held

    @property
    def simplexes(self) -> list[Index]:
        """Positions of the shares and of each row of P."""
        return groups(len(SCALARS), len(self.params.shares), self.params.proportions.shape)

    @property
    def at_upper(self) -> Mask:
        """Coordinates at their upper bounds, up to rounding."""
        return np.asarray(self.vector() >= self.upper * (1.0 - ROUNDING))

    @property
    def at_edge(self) -> Mask:
        """Coordinates that may move and are at a bound."""
        vector = self.vector()
        edge = vector == 0.0
        edge[0] = False
        edge |= self.at_upper
        return np.asarray(edge & ~self.held)

    def vector(self) -> Vector:
        """All coordinates."""
        params = self.params
        scalars = [scalar(params, name) for name in SCALARS]
        return np.concatenate([scalars, params.shares, params.proportions.ravel()])

    def moved_to(self, vector: Vector) -> NoisePoint:
        """The point with these coordinates, cut at their bounds; held ones stay, simplexes are rescaled."""
        held, before = self.held, self.vector()
        target = np.where(held, before, np.minimum(vector, self.upper))
        target[1:] = np.maximum(target[1:], 0.0)
        for group in self.simplexes:
            target[group] = rescaled(target[group], before[group], held[group])
        return self.placed(target)

    def placed(self, target: Vector) -> NoisePoint:
        """The point with exactly these coordinates: nothing is cut, held or rescaled."""
        params = self.params
        values = dict(zip(SCALARS, target.tolist(), strict=False))
        return replace(
            self,
            params=replace(
                params,
                mean=values["mean"],
                between=values["between"],
                spread=values["spread"],
                noise=replace(params.noise, **{name: values[name] for name in NAMES}),
                shares=target[self.simplexes[0]],
                proportions=target[len(SCALARS) + len(params.shares) :].reshape(params.proportions.shape),
            ),
        )

    @property
    def unit(self) -> Vector:
        """Size by which a coordinate near 0 is judged small, (K,)."""
        params, noise = self.params, self.params.noise
        total = sum(getattr(noise, name) for name in NAMES if name not in EXPONENTS)
        variance = total if total > 0.0 else params.between  # a product of samples may have no noise at all [PART-6]
        sizes = dict.fromkeys(SCALARS, variance) | dict.fromkeys(EXPONENTS, 1.0)
        sizes |= {"mean": max(params.between, variance) ** 0.5, "between": max(params.between, variance), "spread": 1.0}
        return np.concatenate(
            [[sizes[name] for name in SCALARS], np.ones(len(params.shares) + params.proportions.size)]
        )


def scalar(params: HeteroscedasticParams, name: str) -> float:
    """A coordinate of `SCALARS`."""
    return float(getattr(params.noise if name in NAMES else params, name))
