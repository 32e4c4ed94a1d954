"""What one effect of a design can be expected to tell of variances, residual and shares [SLOPE-10]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varmix.models.random_effect_mixture.nodes import Nodes
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import Reduced
from varmix.models.random_effect_mixture.statistics import LOG_2PI, ratios
from varmix.typing import Mask, Square, Vector

BEYOND = 9.5
"""Standard deviations of the widest class after which nothing is left: exp(-45) of its density."""

DIGITS = 32.0
"""The trapezoidal rule errs by exp of minus this: 1e-14."""

WIDEST_STRIP = math.pi / 4.0
"""Off the real line by more than this in w, a normal density of sinh w grows."""

MOST_POINTS = 4_000
"""Points of the rule where shares are so extreme that its error is no longer held to `DIGITS`."""

ALIKE = 50
"""Values of q that share a rule: each takes as many points as the hardest of them."""

UNSEEN = 1e-12
"""Eigenvalues of the scaled information below this share of the largest are rounding: the design does not see them."""

TOUCHED = 1e-10
"""Squared part of a parameter within the unseen directions from which on its variance is infinite."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """What a design promises, per effect.

    `standard_errors` of (v, s, pi), shape (2K + 1,), for one effect (divide by the root of their number): NaN for what
    is held and for classes without a share, infinite for what the design does not identify. `kept`, shape (K,): the
    information on each share, all else unknown, over that of known classes, `1 / (pi (1 - pi))`.
    """

    standard_errors: Vector
    kept: Vector


def expected(params: MixtureParams, nodes: Nodes) -> Expected:
    """Standard errors and kept information at a truth, in its units [SLOPE-10].

    The residual variance must be above 0. Computed with residual 1 and mean q 1, whatever the units of the data.
    """
    count = params.classes
    size = float(nodes.weight @ nodes.q)
    size = size if size > 0.0 else 1.0
    alive = params.shares > 0.0
    shown = np.concatenate([alive, [True], alive])
    unit = MixtureParams(
        variances=params.variances[alive] / params.residual * size,
        residual=1.0,
        shares=params.shares[alive],
        held=params.held[shown],
    )
    inner = Nodes(q=nodes.q / size, weight=nodes.weight, rows=nodes.rows)
    factors = np.concatenate([np.full(count, params.residual / size), [params.residual], np.ones(count)])
    errors = np.full(2 * count + 1, np.nan)
    errors[shown] = np.sqrt(variances(unit, expected_information(unit, inner)))
    errors *= factors
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = params.shares * (1.0 - params.shares) / errors[count + 1 :] ** 2
    return Expected(standard_errors=errors, kept=np.where(params.shares < 1.0, kept, np.nan))


def expected_information(params: MixtureParams, nodes: Nodes) -> Square:
    """Expected product of the scores of one effect in (v, s, pi), shape (2K + 1, 2K + 1) [SLOPE-6].

    Shares must be above 0 and s > 0. The m - 1 coordinates without an effect add `(m - 1) / (2 s^2)` at (s, s).
    """
    count = params.classes
    total = np.zeros((2 * count + 1, 2 * count + 1))
    order = np.argsort(nodes.q)  # effects that see the classes alike share a rule
    for start in range(0, len(order), ALIKE):
        alike = order[start : start + ALIKE]
        q, weight = nodes.q[alike], nodes.weight[alike]
        place, step = _places(params, q)
        measure = 2.0 * step * np.cosh(place)
        measure[0] *= 0.5  # the two halves of the line share their first point
        width = np.sqrt(q * float(params.variances.min()) + params.residual)
        total += _block(params, q, np.outer(width, np.sinh(place)) ** 2, np.outer(weight * width, measure))
    total[count, count] += 0.5 * (nodes.rows - 1.0) / params.residual**2
    return total


def variances(params: MixtureParams, information: Square) -> Vector:
    """Diagonal of the inverse information on the simplex, shape (2K + 1,): one over the efficient information.

    NaN for held coordinates, 0 for the only free share, infinite for what the information does not see.
    """
    reduced = Reduced.at(params)
    inner = reduced.pull_square(information)
    answer = np.zeros(len(information))
    if len(inner):
        diagonal = inner.diagonal()
        scale = np.where(diagonal > 0.0, 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0)), 1.0)
        eigenvalues, basis = np.linalg.eigh(inner * np.outer(scale, scale))
        parts = ((reduced.directions * scale) @ basis) ** 2
        unseen: Mask = eigenvalues <= UNSEEN * max(float(eigenvalues[-1]), 0.0)
        answer = parts[:, ~unseen] @ (1.0 / eigenvalues[~unseen])
        length = ((reduced.directions * scale) ** 2).sum(axis=1)
        answer[parts[:, unseen].sum(axis=1) > TOUCHED * length] = np.inf
    answer[params.held] = np.nan
    return np.asarray(answer)


def _block(params: MixtureParams, q: Vector, h2: Square, measure: Square) -> Square:
    """Sum of `measure f S S'` over points (n, p) of h^2 for each q (n,), S the score of a unit."""
    count = params.classes
    flat = np.repeat(q, h2.shape[1])
    with np.errstate(over="ignore", under="ignore"):
        ratio, inverse, scaled, log_density = ratios(params, flat, h2.ravel())
        root = np.exp(0.5 * (log_density - 0.5 * LOG_2PI)) * np.sqrt(measure.ravel())
        scores = np.empty((2 * count + 1, len(flat)))
        np.multiply(ratio, root, out=scores[count + 1 :])
        change = (scaled - 1.0) * inverse * 0.5
        change *= scores[count + 1 :]
        change *= params.shares[:, None]
        np.sum(change, axis=0, out=scores[count])
        np.multiply(change, flat, out=scores[:count])
        return np.asarray(scores @ scores.T)


def _places(params: MixtureParams, q: Vector) -> tuple[Vector, float]:
    """Points w >= 0 and their distance for the trapezoidal rule in `h = a sinh w`, a the least of the classes' widths.

    The rule converges as exp(-2 pi strip / step), where no class's responsibility has a pole within the strip around
    the real line: those of two classes are where their terms cancel, `h^2 (1/tau_i - 1/tau_j) / 2 = L + i pi`.
    """
    tau = np.sort(np.multiply.outer(params.variances, q) + params.residual, axis=0)
    log_share = np.log(params.shares)[np.argsort(params.variances, kind="stable")]
    strip = WIDEST_STRIP
    for narrow in range(params.classes):
        for wide in range(narrow + 1, params.classes):
            excess = 0.5 * (1.0 / tau[narrow] - 1.0 / tau[wide])
            told = excess > 0.0
            if told.any():
                ratio = tau[wide, told] / tau[narrow, told]
                level = log_share[narrow] - log_share[wide] + 0.5 * np.log(ratio)
                pole = np.arcsinh(np.sqrt((level + 1j * math.pi) / (excess[told] * tau[0, told])))
                strip = min(strip, float(pole.imag.min()))
    end = math.asinh(BEYOND * math.sqrt(float((tau[-1] / tau[0]).max())))
    points = min(MOST_POINTS, 1 + math.ceil(end * DIGITS / (2.0 * math.pi * strip)))
    step = end / (points - 1)
    return np.asarray(step * np.arange(points), dtype=np.float64), step
