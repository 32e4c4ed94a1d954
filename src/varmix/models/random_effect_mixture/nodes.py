"""A design as a few weighted values of `q = x'x`, over which what a unit tells is averaged [SLOPE-10]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammainccinv, gammaincinv, gammaln

from varmix.typing import Vector

NODES = 500
"""Bins of a sample of q, equal on the scale on which information is smooth: their width changes it by parts in 1e5."""

LEGENDRE = 128
"""Nodes over a chi distribution: enough for 1e-10 of the average up to variances of 1e8 times the residual."""

NEVER = 1e-18
"""Probability of either tail of q that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nodes:
    """Values of `q = x'x` of an effect, shape (n,), with weights that sum to 1, and the mean number of rows m."""

    q: Vector
    weight: Vector
    rows: float


def sample_nodes(q: Vector, *, pull: float, weight: Vector | None = None, rows: float = 1.0) -> Nodes:
    """A sample of q (G,) thinned to at most `NODES` values; `pull` is the largest class variance over the residual.

    Bins are equal in `log(1 + q pull)`, on which scale what a unit tells is smooth; each stands at its mean.
    """
    weight = np.ones(len(q)) if weight is None else weight
    if len(q) > NODES:
        mean = float(weight @ q / weight.sum())
        place = np.log1p(q * max(pull, 1.0 / mean if mean > 0.0 else 0.0))
        low, high = float(place.min()), float(place.max())
        width = (high - low) / NODES if high > low else 1.0
        bins = np.minimum(((place - low) / width).astype(np.intp), NODES - 1)
        mass: Vector = np.asarray(np.bincount(bins, weight), dtype=np.float64)
        total: Vector = np.asarray(np.bincount(bins, weight * q), dtype=np.float64)
        full = mass > 0.0
        q, weight = total[full] / mass[full], mass[full]
    return Nodes(q=q, weight=weight / weight.sum(), rows=rows)


def normal_nodes(times: int, *, pull: float, scale: float = 1.0) -> Nodes:
    """`q = scale chi2` on `times` degrees of freedom: that many rows of standard normal x times the root of `scale`.

    Gauss-Legendre in `asinh(sqrt(q) / b)`, with b where an effect of the largest variance begins to show.
    """
    half = 0.5 * times
    begin = min(1.0, 1.0 / math.sqrt(scale * pull)) if pull > 0.0 else 1.0
    low, high = (math.asinh(math.sqrt(2.0 * float(tail(half, NEVER))) / begin) for tail in (gammaincinv, gammainccinv))
    point, weight = np.polynomial.legendre.leggauss(LEGENDRE)
    place = low + 0.5 * (high - low) * (point + 1.0)
    radius = begin * np.sinh(place)
    # The constants of the chi density and of the interval cancel where the weights are made to sum to 1.
    log_density = (times - 1.0) * np.log(radius) - 0.5 * radius * radius - (half - 1.0) * math.log(2.0) - gammaln(half)
    weight = weight * np.exp(log_density) * np.cosh(place)
    return Nodes(q=scale * radius * radius, weight=weight / weight.sum(), rows=float(times))


def repeated_nodes(nodes: Nodes, times: int, *, pull: float) -> Nodes:
    """Effects seen `times` as often: the distribution of sums of that many independent q, thinned as it grows."""
    answer: Nodes | None = None
    power = nodes
    while True:
        if times & 1:
            answer = power if answer is None else _sum(answer, power, pull)
        times >>= 1
        if not times:
            return power if answer is None else answer
        power = _sum(power, power, pull)


def product_nodes(nodes: Nodes, factors: Nodes, *, pull: float) -> Nodes:
    """Nodes of q times an independent factor, such as that of known standard errors, `1 / se^2`."""
    q, weight = np.multiply.outer(nodes.q, factors.q).ravel(), np.multiply.outer(nodes.weight, factors.weight).ravel()
    return sample_nodes(q, pull=pull, weight=weight, rows=nodes.rows)


def _sum(one: Nodes, other: Nodes, pull: float) -> Nodes:
    q, weight = np.add.outer(one.q, other.q).ravel(), np.multiply.outer(one.weight, other.weight).ravel()
    return sample_nodes(q, pull=pull, weight=weight, rows=one.rows + other.rows)
