"""Genetic correlation from z scores and LD: sums over blocks of variants, solved and jackknifed [VC-8]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from varmix.errors import NotIdentifiedError, OptionError
from varmix.iteration.runners import Serial
from varmix.models.linear.correlation.ld import LdScores
from varmix.models.linear.moment_jackknife import jackknife_covariance
from varmix.typing import Array, Square, Vector

Intercept = float | Literal["estimate"]
FLOOR = 1.0
"""LD scores below 1, possible after correction for the size of a panel, weigh like 1 (a variant's own square)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSums:
    """Sums of one block, shape (1, 3, 5) for (z_1^2, z_2^2, z_1 z_2) times (w, wu, wu^2, wm, wum); blocks stack."""

    blocks: Array

    def __add__(self, other: ScoreSums) -> ScoreSums:
        return ScoreSums(blocks=np.concatenate([self.blocks, other.blocks]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Products:
    """Per variant, shape (3, p): products of z, their regressors `sqrt(n_i n_j) l_ij / p`, and weights."""

    products: Array
    regressors: Array
    weights: Array


def summarise_products(data: Products, part: slice) -> ScoreSums:
    """One block of neighbouring variants."""
    m, u, w = data.products[:, part], data.regressors[:, part], data.weights[:, part]
    sums = np.stack([w.sum(1), (w * u).sum(1), (w * u * u).sum(1), (w * m).sum(1), (w * u * m).sum(1)], axis=1)
    return ScoreSums(blocks=sums[None])


def solve_products(sums: Array, intercepts: tuple[Intercept, Intercept, Intercept]) -> tuple[Vector, Vector]:
    """Slopes (h_1, h_2, cov) and intercepts, shape (3,) each, from sums (3, 5).

    A fixed intercept a: the ratio `sum w (m - a) / sum w u`, that is the moment equation; an estimated one: least
    squares. Raises NotIdentifiedError.
    """
    slopes, levels = np.empty(3), np.empty(3)
    for k, intercept in enumerate(intercepts):
        w, u, uu, m, um = sums[k]
        if intercept == "estimate":
            spread = uu - u * u / w
            if not spread > 1e-12 * uu:
                raise NotIdentifiedError(
                    "LD scores do not vary, so an intercept cannot be told from the slope. Fix the intercepts."
                )
            slopes[k] = (um - u * m / w) / spread
            levels[k] = (m - slopes[k] * u) / w
        else:
            if not u > 0.0:
                raise NotIdentifiedError("LD scores sum to 0 or less: there is nothing to divide by. Check the panel.")
            slopes[k] = (m - intercept * w) / u
            levels[k] = intercept
    return slopes, levels


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryCorrelation:
    """Estimates from z scores for responses of variance 1: h_1, h_2 (shares of variance), covariance, and rho.

    `estimates` (4,) and `covariance` (4, 4, jackknife) follow (h_1, h_2, cov, rho); `without_block` (J, 4) are the
    estimates without each block; `intercepts` (3,) belong to z_1^2, z_2^2, z_1 z_2; `intercept_errors` are 0 if fixed.
    `rho` is NaN where h_1 or h_2 is not positive; it is not cut at -1 and 1.
    """

    estimates: Vector
    covariance: Square
    without_block: Array
    intercepts: Vector
    intercept_errors: Vector

    @property
    def rho(self) -> float:
        """Genetic correlation."""
        return float(self.estimates[3])

    @property
    def se(self) -> float:
        """Its jackknife standard error."""
        return math.sqrt(float(self.covariance[3, 3]))

    @property
    def within_cone(self) -> bool:
        """Whether the estimates are those of a covariance."""
        first, second, cross = self.estimates[:3]
        return bool(first >= 0.0 and second >= 0.0 and cross**2 <= first * second)


def correlate_summaries(
    z1: Vector,
    z2: Vector,
    n1: Vector,
    n2: Vector,
    ld: LdScores,
    *,
    intercepts: tuple[Intercept, Intercept, Intercept],
    blocks: int,
) -> SummaryCorrelation:
    """Solve, then leave out each of `blocks` blocks of neighbouring variants; all vectors have shape (p,).

    With an estimated intercept the variants weigh as in LD score regression; weights stay those of the whole in the
    jackknife. Raises OptionError, NotIdentifiedError.
    """
    if not 2 <= blocks <= z1.size:
        raise OptionError(f"blocks={blocks} must be from 2 to the number of variants, {z1.size:,}.")
    data = products_of(z1, z2, n1, n2, ld, weighted="estimate" in intercepts)
    edges = np.linspace(0, z1.size, blocks + 1).round().astype(int)
    parts = [slice(int(edges[i]), int(edges[i + 1])) for i in range(blocks)]
    sums = Serial().map_add(partial(summarise_products, data), parts).blocks
    total = sums.sum(axis=0)
    slopes, levels = solve_products(total, intercepts)
    left = [solve_products(total - block, intercepts) for block in sums]
    without = np.array([_with_rho(part[0]) for part in left])
    estimates, covariance = _with_rho(slopes), jackknife_covariance(without)
    return SummaryCorrelation(
        estimates=estimates,
        covariance=covariance,
        without_block=without,
        intercepts=levels,
        intercept_errors=np.sqrt(jackknife_covariance(np.array([part[1] for part in left])).diagonal()),
    )


def products_of(z1: Vector, z2: Vector, n1: Vector, n2: Vector, ld: LdScores, *, weighted: bool) -> Products:
    """`E z_i z_j = a_ij + sqrt(n_i n_j) s_ij l_ij / p`, with `a = 1` for i = j and 0 for different people [VC-8]."""
    products = np.stack([z1 * z1, z2 * z2, z1 * z2])
    regressors = np.stack([n1 * ld.first, n2 * ld.second, np.sqrt(n1 * n2) * ld.cross]) / ld.variants
    flat = np.ones_like(products)
    if not weighted:
        return Products(products=products, regressors=regressors, weights=flat)
    whole = summarise_products(Products(products=products, regressors=regressors, weights=flat), slice(None)).blocks[0]
    slopes = solve_products(whole, (1.0, 1.0, 0.0))[0]
    first = 1.0 + np.clip(slopes[0], 0.0, 1.0) * np.maximum(regressors[0], 0.0)
    second = 1.0 + np.clip(slopes[1], 0.0, 1.0) * np.maximum(regressors[1], 0.0)
    cross = slopes[2] * regressors[2]
    spread = np.stack([2.0 * first**2, 2.0 * second**2, first * second + cross**2])
    crowd = np.maximum(np.stack([ld.first, ld.second, ld.cross]), FLOOR)
    return Products(products=products, regressors=regressors, weights=1.0 / (spread * crowd))


def _with_rho(slopes: Vector) -> Vector:
    first, second, cross = slopes
    rho = cross / math.sqrt(first * second) if first > 0.0 and second > 0.0 else math.nan
    return np.append(slopes, rho)
