"""Draws from the model: reduced units for refits, rows for simulation [SLOPE-1], [SLOPE-2]."""

from __future__ import annotations

import numpy as np

from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Index, Vector


def draw_units(model: RandomEffectMixture, params: MixtureParams, rng: np.random.Generator) -> Units:
    """Units of the same design and weights with new responses: `h ~ N(0, q v_k + s)`, `R ~ s chi2` (internal units).

    A unit of weight a stands for itself, drawn once and weighted as before.
    """
    before = model.reduction.units
    label = rng.choice(params.classes, size=len(before), p=params.shares / params.shares.sum())
    h = np.sqrt(before.q * params.variances[label] + params.residual) * rng.standard_normal(len(before))
    return Units(
        q=before.q,
        h2=h * h,
        weight=before.weight,
        rest=_draw_rest(model, params.residual, rng),
        rest_rows=before.rest_rows,
    )


def _draw_rest(model: RandomEffectMixture, residual: float, rng: np.random.Generator) -> float:
    """Weighted sum of what is left of the groups; those with q = 0 are left with all their rows.

    The weights of the latter are known by their sum alone: each gets the mean weight.
    """
    reduction, units = model.reduction, model.reduction.units
    if units.rest_rows <= 0.0:
        return 0.0
    left = reduction.rows[reduction.informative] - 1.0
    if units.weight is None:
        return residual * float(rng.chisquare(units.rest_rows))
    several = left > 0.0
    rest = float(units.weight[several] @ rng.chisquare(left[several])) if several.any() else 0.0
    rows = float(reduction.rows.sum() - reduction.rows[reduction.informative].sum())
    others = units.rest_rows - float(units.weight @ left)  # weighted rows of the groups with q = 0
    if rows > 0.0 and others > 0.0:
        rest += others / rows * float(rng.chisquare(rows))
    return residual * rest


def draw_rows(
    point: Vector, x: Vector, rng: np.random.Generator, *, group: Index | None = None, errors: Vector | None = None
) -> Vector:
    """A response of shape (n,) at `point` = (v, s, pi), all in the units of the data.

    `group` (n,) numbers the groups that share an effect from 0; `errors` (n,) are known standard errors, of which
    sqrt(s) is then the inflation.
    """
    classes = (len(point) - 1) // 2
    variances, residual, shares = point[:classes], float(point[classes]), point[classes + 1 :]
    effects = len(x) if group is None else int(group.max(initial=-1)) + 1
    label = rng.choice(classes, size=effects, p=shares / shares.sum())
    effect = np.sqrt(variances[label]) * rng.standard_normal(effects)
    noise = np.sqrt(residual) * rng.standard_normal(len(x))
    return np.asarray((effect if group is None else effect[group]) * x + (noise if errors is None else errors * noise))
