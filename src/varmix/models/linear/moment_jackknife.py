"""The jackknife over variant blocks of randomised moments, from the sums of two passes [MOM-5] [MOM-6]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.errors import NotIdentifiedError
from varmix.models.linear.moment_blocks import BlockSums, CrossSums
from varmix.models.linear.moment_totals import MomentTotals, solve_centred
from varmix.typing import Array, Matrix, Square


@dataclass(frozen=True, slots=True, kw_only=True)
class Jackknife:
    """Estimates without each block, shape (J, T, K + 1), and the covariance they give, (T, K + 1, K + 1).

    Kernels without a block are scaled to the whole one's weight (p columns of variance 1/p count as p - p_j columns of
    variance 1/(p - p_j)), so that every estimate is of the same variance.
    """

    estimates: Array
    covariance: Array

    @property
    def blocks(self) -> int:
        """J."""
        return int(self.estimates.shape[0])


def leave_blocks_out(totals: MomentTotals, crosses: CrossSums) -> Jackknife:
    """Solve the equations without each block: equal to a fit without it with the same probes, to rounding."""
    products = dict(zip(crosses.labels, crosses.products, strict=True))
    gram = _gram(totals)
    along = totals.along.mean(axis=1)
    length = float((totals.signs**2).sum()) / totals.probes
    estimates = []
    for block in totals.blocks:
        if block.label is not None:
            estimates.append(_without(totals, block, products[block.label], gram, along, length))
    values = np.array(estimates)
    return Jackknife(estimates=values, covariance=jackknife_covariance(values))


def jackknife_covariance(estimates: Array) -> Array:
    """`(J - 1)/J sum_j (e_j - mean)(e_j - mean)'` from estimates (J, .., K): shape (.., K, K)."""
    count = estimates.shape[0]
    deviations = estimates - estimates.mean(axis=0)
    return np.asarray((count - 1) / count * np.einsum("j...k,j...l->...kl", deviations, deviations))


def _gram(totals: MomentTotals) -> Square:
    """`<S_k, S_l>/B`, shape (K, K)."""
    return np.array([[np.vdot(left, right) for right in totals.images] for left in totals.images]) / totals.probes


def _without(
    totals: MomentTotals, block: BlockSums, cross: Matrix, gram: Square, along: Array, length: float
) -> Matrix:
    part = list(block.components)
    products = np.zeros_like(gram)
    products[part] = cross
    products = gram - products - products.T  # full - A_j'l_j - transpose + within_j  [MOM-5]
    products[np.ix_(part, part)] += block.within.mean(axis=-1)
    left, trace = along.copy(), totals.trace.copy()
    quadratic, weight = totals.quadratic.copy(), totals.weight.copy()
    left[part] -= block.along.mean(axis=1)
    trace[part] -= block.trace
    quadratic[part] -= block.quadratic
    weight[part] -= block.weight
    if not (weight[part] > 1e-12 * totals.weight[part]).all():
        raise NotIdentifiedError(
            f"Block {block.label} of the variants holds all the weight of a component, so the jackknife cannot leave "
            "it out. Use more blocks, or jackknife=False."
        )
    scale = totals.weight / weight
    kbar = trace / totals.freedom
    D = products - np.outer(kbar, left) - np.outer(left, kbar) + length * np.outer(kbar, kbar)
    return solve_centred(
        D * np.outer(scale, scale), trace * scale, quadratic * scale[:, None], totals.squares, totals.freedom
    ).estimates
