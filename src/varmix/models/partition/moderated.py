"""A gene's own scale of noise: its inverse-gamma prior, and the nodes over which it is integrated [PART-5].

`lambda = exp(eta)`; `1 / lambda` is gamma with mean 1 and variance `spread`. Given its samples, eta has one steep
exponential side and a smooth peak, so equidistant nodes (the trapezoidal rule) over the range that matters converge
faster than any power of their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import digamma, gammaln

from varmix.typing import Matrix, Vector

LOG_2PI = math.log(2.0 * math.pi)

NODES = 41
"""Nodes per gene. With eight samples, log densities are exact to 1e-9 for spreads up to 8 (29 nodes: to 2e-6), to
rounding for 0.02; more samples make the integrand more normal and the rule more exact."""

DEPTH = 32.0
"""Where the log integrand is this far below its peak, what is cut off is below rounding."""

PASSES = 4
"""Times at most that the range is narrowed to what is above `DEPTH`."""

NARROWED = 0.8
"""Ranges that all keep this part are narrow enough: nodes are then spaced about as if they were exact."""

LARGE = 20.0
"""Shape from which Stirling's series serves: it is exact to rounding there, where differences of the gamma function's
logarithm from what grows as fast lose digits in the same way for all genes."""

BERNOULLI = (1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0)
"""B_2, B_4, ..., of that series."""


def log_prior(eta: Matrix, spread: float) -> Matrix:
    """Log density of eta = log lambda."""
    shape = 1.0 / spread
    return np.asarray(_log_normaliser(shape) - shape * (eta + np.expm1(-eta)))


def prior_score(eta: Matrix, spread: float) -> Matrix:
    """Derivative of `log_prior` by the spread."""
    shape = 1.0 / spread
    by_shape = _log_less_digamma(shape) - (eta + np.expm1(-eta))
    return np.asarray(-by_shape / spread**2)


def scale_nodes(log_integrand: Callable[[Matrix], Matrix], squares: Vector, shape: float, spread: float) -> Matrix:
    """Equidistant nodes eta (G, `NODES`) over the range of each gene's integrand.

    `squares` (G,) are sums of squares over variances without any block, `shape` the gamma shape of 1/lambda given them:
    the peak lies between that of the prior and that of these squares.
    """
    prior = 1.0 / spread
    width = 8.0 / np.sqrt(shape) + DEPTH / shape
    upper = np.log((prior + 0.5 * squares) / prior) + width
    lower = np.full_like(upper, np.log(prior / shape) - width)
    unit = np.linspace(0.0, 1.0, NODES)
    for _ in range(PASSES):
        eta = lower[:, None] + (upper - lower)[:, None] * unit
        values = log_integrand(eta)
        above = values > values.max(axis=1, keepdims=True) - DEPTH
        first = np.maximum(np.argmax(above, axis=1) - 1, 0)
        last = np.minimum(NODES - np.argmax(above[:, ::-1], axis=1), NODES - 1)
        rows, before = np.arange(len(eta)), upper - lower
        lower, upper = eta[rows, first], eta[rows, last]
        if (upper - lower > NARROWED * before).all():
            break
    return np.asarray(lower[:, None] + (upper - lower)[:, None] * unit)


def _log_normaliser(shape: float) -> float:
    """`shape log shape - shape - log Gamma(shape)`."""
    if shape < LARGE:
        return float(shape * np.log(shape) - shape - gammaln(shape))
    rest = sum(B / (2 * k * (2 * k - 1) * shape ** (2 * k - 1)) for k, B in enumerate(BERNOULLI, start=1))
    return float(0.5 * (np.log(shape) - LOG_2PI) - rest)


def _log_less_digamma(shape: float) -> float:
    """`log shape - psi(shape)`, the derivative of `_log_normaliser`."""
    if shape < LARGE:
        return float(np.log(shape) - digamma(shape))
    return float(0.5 / shape + sum(B / (2 * k * shape ** (2 * k)) for k, B in enumerate(BERNOULLI, start=1)))
