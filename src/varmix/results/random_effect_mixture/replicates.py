"""Parametric bootstrap of a mixture: draws from the fit, refitted, with classes matched to those of the fit."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from varmix.inference.bootstrap import Bootstrap, parametric_bootstrap
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.drawing import draw_units
from varmix.models.random_effect_mixture.fitting import fit_from
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.starting import moment_start
from varmix.models.random_effect_mixture.statistics import ratios
from varmix.models.random_effect_mixture.units import Units
from varmix.results.random_effect_mixture.estimates import Estimates
from varmix.typing import Index, Matrix, Vector

INSIDE = 1e-3
"""Share and relative variance to which a start at an edge is moved inside."""


def bootstrap(estimates: Estimates, climb: Climb, replicates: int, rng: np.random.Generator) -> Bootstrap:
    """Refits of draws from the fit; statistics are (v, s, pi) in the units of the data, named as in `model.names`.

    Each draw is fitted from the parameters it was drawn from and from its moments, and its classes take the numbers of
    the fit's classes whose units they hold [SLOPE-10]. Held coordinates stay at their value. Raises OptionError,
    NotAvailableError and warns (ConvergenceWarning) as `parametric_bootstrap` does.
    """
    return parametric_bootstrap(
        lambda generator: replicate(estimates, climb, generator), estimates.model.names, replicates, rng
    )


def replicate(estimates: Estimates, climb: Climb, rng: np.random.Generator) -> Vector:
    """(v, s, pi) of one refit, shape (2K + 1,), in the units of the data; NaN throughout where no start arrived."""
    model, truth = estimates.model, estimates.params
    drawn = model.with_units(draw_units(model, truth, rng))
    starts = [inside(drawn, truth)]
    if model.classes > 1:
        starts.append(drawn.point(moment_start(drawn.pieces, model.classes, model.null, model.inner_residual)))
    best = fit_from(drawn, climb, starts).best
    if not best.status.arrived:
        return np.full(2 * model.classes + 1, np.nan)
    found: MixtureParams = best.params.ordered()
    return model.reduction.scales.outward(renumbered(found, matching(drawn, truth, found)).vector())


def inside(model: RandomEffectMixture, params: MixtureParams) -> MixtureParams:
    """A start near `params` with nothing that may move at 0, where shares could not tell what they lack."""
    least = INSIDE * max(float(params.variances.max()), params.residual)
    shares = np.maximum(params.shares, INSIDE)
    start = MixtureParams.free(np.maximum(params.variances, least), params.residual, shares / shares.sum())
    return model.point(start)


def matching(model: RandomEffectMixture, truth: MixtureParams, found: MixtureParams) -> Index:
    """For each class of `truth`, the class of `found` that holds its units, shape (K,).

    The assignment maximises the covariance, over the units of the draw, of the two sets of responsibilities. Covariance
    and not plain agreement: of units that say little about their class, plain agreement matches the large
    share to the large share whatever the classes are. Distances of variances would never change the order, since on a
    line the sorted assignment is always the nearest; they would match a class that caught one outlier to the largest.
    A null class is itself.
    """
    agreement = np.zeros((truth.classes, truth.classes))
    means, total = np.zeros((2, truth.classes)), 0.0
    for piece in model.pieces:
        one, other = responsibilities(truth, piece), responsibilities(found, piece)
        weighted = other if piece.weight is None else other * piece.weight
        agreement += one @ weighted.T
        means += [one.sum(axis=1) if piece.weight is None else one @ piece.weight, weighted.sum(axis=1)]
        total += piece.total
    agreement -= np.outer(means[0], means[1]) / max(total, np.finfo(float).tiny)
    first = int(model.null)
    order = np.arange(truth.classes)
    order[first:] = first + linear_sum_assignment(agreement[first:, first:], maximize=True)[1]
    return order


def responsibilities(params: MixtureParams, units: Units) -> Matrix:
    """Posterior class probabilities of the informative units, shape (K, n) [SLOPE-2]."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return np.asarray(ratios(params, units.q, units.h2)[0] * params.shares[:, None])


def renumbered(params: MixtureParams, order: Index) -> MixtureParams:
    """The same point with class `order[k]` as class k."""
    count = params.classes
    places = np.concatenate([order, [count], count + 1 + order])
    return MixtureParams(
        variances=params.variances[order],
        residual=params.residual,
        shares=params.shares[order],
        held=params.held[places],
    )
