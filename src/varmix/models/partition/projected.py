"""The joint likelihood of genes seen in many sample types, proportions known: quadratic forms in T numbers [PART-3].

With `E^-1/2 P = Q R` partitions see of whitened residuals `x = E^-1/2 r` their projections `b = Q'x` alone. What is
left, `x - Q b`, is the same for all partitions. Two kinds of noise weigh sample types differently: `D_w = E_w / E`, so
that scores by noise mix the two parts in `c_w = Q' D_w (x - Q b)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.partition.genes import Genes
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.quadratic import (
    CACHED,
    Forms,
    Moments,
    bends,
    common,
    exact,
    pairs_of,
    root_of,
    told,
    trace_of,
)
from varmix.models.partition.statistics import PartitionStats
from varmix.models.partition.weighted_scores import WeightedScores, posterior_of
from varmix.typing import Array, Matrix, Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """Q (D, T), R (T, T), and the kinds of noise in Q: `Q'D_w Q` and `Q'D_w D_v Q`, (T, T) each.

    `pull` (D, T (m + pairs)) holds `D_w Q` and `D_w D_v Q` side by side, `weights` (D, 1 + m + pairs) a column of ones
    and the diagonals of `D_w` and `D_w D_v`, for the pairs w <= v.
    """

    basis: Matrix
    triangle: Square
    pairs: tuple[tuple[int, int], ...]
    inside: Array
    pull: Matrix
    weights: Matrix

    @classmethod
    def at(cls, basis: Matrix, triangle: Square, relative: Matrix) -> Basis:
        """From Q, R and the derivatives of log d by the kinds of noise (m, D)."""
        kinds = len(relative)
        pairs = tuple((w, v) for w in range(kinds) for v in range(w, kinds))
        each = [*relative, *(relative[w] * relative[v] for w, v in pairs)]
        weighted = np.stack([one[:, None] * basis for one in each])
        return cls(
            basis=basis,
            triangle=triangle,
            pairs=pairs,
            inside=basis.T @ weighted,
            pull=np.concatenate(list(weighted), axis=1),
            weights=np.stack([np.ones(len(basis)), *each], axis=1),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class Crossed:
    """Sums over genes of what both parts make together, filled block by block."""

    first: Array
    """`sum_g R c_w`, shape (m, J, T)."""
    mixed: Array
    """`sum_g R b c_w'`, shape (m, J, T, T)."""
    square: Array
    """`sum_g R c_w c_v'`, shape (pairs, J, T, T)."""
    beside: Vector
    """`sum_gj R 2 (M b)'c_wv + z_wv` with `z_wv` the squares of the rest in `D_w D_v`, shape (pairs,)."""

    @classmethod
    def empty(cls, kinds: int, pairs: int, count: int, size: int) -> Crossed:
        """Before any gene."""
        return cls(
            first=np.zeros((kinds, count, size)),
            mixed=np.zeros((kinds, count, size, size)),
            square=np.zeros((pairs, count, size, size)),
            beside=np.zeros(pairs),
        )


ROUNDING = 1e-12
"""Distance of a row's sum from 1 that is rounding."""


def serves(params: PartitionParams, genes: Genes) -> bool:
    """Whether there are more sample types than cell types, proportions sum to 1 and some noise may move."""
    P = params.proportions[genes.types]
    if not exact(params, genes) or len(P) <= P.shape[1] or bool(params.held[2:4].all()):
        return False
    return float(np.abs(P.sum(axis=1) - 1.0).max()) <= ROUNDING


def summarise(params: PartitionParams, partitions: Partitions, genes: Genes) -> PartitionStats:
    """Statistics of one piece with proportions that sum to 1; the score by a noise that is held is left at 0.

    Raises numpy's LinAlgError where noise is rounding beside a.
    """
    root = root_of(params, genes)
    basis, triangle = np.linalg.qr(root)
    forms = Forms.at(params, partitions, genes, triangle)
    frame = Basis.at(basis, triangle, forms.relative)
    count, size, types, kinds = len(partitions), root.shape[1], len(genes.types), len(forms.kinds)
    upper = np.triu_indices(size)
    twice = np.where(upper[0] == upper[1], 1.0, 2.0)

    def flat(matrices: Array) -> Array:
        return np.asarray(matrices[..., upper[0], upper[1]] * twice)

    inside = [forms.left @ one @ forms.left for one in frame.inside[:kinds]]
    of_density, of_between = -0.5 * flat(forms.left), 0.5 * flat(forms.between)
    of_noise = [0.5 * flat(one) for one in inside]
    of_mixed = forms.left.reshape(count, size * size)
    of_mean = forms.applied.sum(axis=2)  # M Q'E^-1/2 1 where rows sum to 1
    gone = np.eye(size) - forms.left
    traces = [frame.weights[:, 1 + w].sum() - (gone * frame.inside[w].T).sum(axis=(1, 2)) for w in range(kinds)]
    toward = params.between * forms.indicators @ forms.applied.transpose(0, 2, 1)  # deviations from b
    spare = 0.5 * (genes.counts - 1.0) / forms.noise
    sums = WeightedScores.empty(2 + kinds, params.shares)
    crossed = Crossed.empty(kinds, len(frame.pairs), count, size)
    first, second = np.zeros((count, size)), np.zeros((count, len(twice)))
    linear, diagonal, deviated = np.zeros(types), np.zeros(types), np.zeros((types, size))
    for part in genes.blocks(max(64, CACHED // max(count, types))):
        x = (part.means - params.mean) * forms.ones
        b = np.ascontiguousarray((x @ basis).T)  # (T, G)
        rest = x - b.T @ basis.T
        pulled = np.ascontiguousarray((rest @ frame.pull).T).reshape(kinds + len(frame.pairs), size, len(part))
        squares = frame.weights.T @ np.ascontiguousarray((rest * rest).T)
        products = pairs_of(b, len(twice))
        densities = of_density @ products
        densities -= forms.half_log_determinants[:, None]
        densities += common(forms, part) - 0.5 * squares[0]
        scores = np.empty((2 + kinds, count, len(part)))
        np.matmul(of_mean, b, out=scores[0])
        np.matmul(of_between, products, out=scores[1])
        scores[1] -= 0.5 * np.trace(forms.turned, axis1=1, axis2=2)[:, None]
        within = part.within @ ((0.5 / forms.noise**2)[:, None] * forms.by_noise) - spare @ forms.by_noise
        posterior, log_density = posterior_of(densities, params.shares)
        for w in range(kinds):
            mixed = (b[:, None] * pulled[w]).reshape(size * size, len(part))
            np.matmul(of_noise[w], products, out=scores[2 + w])
            scores[2 + w] += of_mixed @ mixed
            scores[2 + w] += within[:, w] + 0.5 * squares[1 + w]
            scores[2 + w] -= 0.5 * traces[w][:, None]
            crossed.first[w] += posterior @ pulled[w].T
            crossed.mixed[w] += (posterior @ mixed.T).reshape(count, size, size)
        sums.add(scores, densities, posterior, log_density)
        by_gene = (toward.reshape(count, -1).T @ posterior).reshape(size, size, len(part))
        deviation = np.einsum("tug,ug->tg", by_gene, b)
        left = b - triangle @ deviation
        for k, (w, v) in enumerate(frame.pairs):
            mixed = (pulled[w][:, None] * pulled[v]).reshape(size * size, len(part))
            crossed.square[k] += (posterior @ mixed.T).reshape(count, size, size)
            crossed.beside[k] += 2.0 * float((left * pulled[kinds + k]).sum()) + float(squares[1 + kinds + k].sum())
        first += posterior @ b.T
        second += posterior @ products.T
        linear += x.sum(axis=0)
        diagonal += np.einsum("gd,gd->d", x, x)
        deviated += (deviation @ x).T
    square = np.empty((count, size, size))
    square[:, upper[0], upper[1]] = second
    square[:, upper[1], upper[0]] = second
    curved = _second(forms, frame, sums.counts, first, square, crossed)
    curved[2:, 2:] += bends(forms, genes, len(genes))
    moments = Moments(first=first, square=square, linear=linear, diagonal=diagonal, crossed=deviated)
    return told(forms, sums, moments, curved, float((of_mean * first).sum()), partitions)


def _second(forms: Forms, frame: Basis, counts: Vector, first: Matrix, square: Array, crossed: Crossed) -> Square:
    """`sum_gj R` times second derivatives of `log f(s_g | j)` by (mu_0, a, noise), as `Forms.second` has them."""
    kinds = len(forms.kinds)
    result = np.empty((2 + kinds, 2 + kinds))
    mean, ones = forms.applied.sum(axis=2), frame.triangle.sum(axis=1)
    gone, gap = np.eye(len(ones)) - forms.left, forms.left @ square
    result[0, 0] = -float(counts @ (mean @ ones))
    result[0, 1] = -float(((ones @ forms.between) * first).sum())
    inner = forms.applied.transpose(0, 2, 1) @ square @ forms.applied
    result[1, 1] = 0.5 * float(counts @ (forms.turned**2).sum(axis=(1, 2))) - float((inner * forms.turned).sum())
    pulled = np.matmul(forms.left, first[:, :, None])[:, :, 0]
    for w in range(kinds):
        one = frame.inside[w]
        result[0, 2 + w] = -float((mean * (pulled @ one + crossed.first[w])).sum())
        trace = (forms.between * one).sum(axis=(1, 2))
        told = trace_of(forms.between @ one, gap) + float((forms.between * crossed.mixed[w]).sum())
        result[1, 2 + w] = 0.5 * float(counts @ trace) - told
    for k, (w, v) in enumerate(frame.pairs):
        one, other, both = frame.inside[w], frame.inside[v], frame.inside[kinds + k]
        turned, back = forms.left @ one @ gone, forms.left @ other @ gone
        trace = frame.weights[:, 1 + kinds + k].sum() - 2.0 * (gone * both).sum(axis=(1, 2))
        trace = trace + ((gone @ one) * (gone @ other).transpose(0, 2, 1)).sum(axis=(1, 2))
        lost = trace_of(turned @ other, gap) + float((gone * crossed.square[k]).sum())
        lost += float((turned * crossed.mixed[v]).sum() + (back * crossed.mixed[w]).sum())
        kept = trace_of(forms.left @ both, gap) + float(crossed.beside[k])
        result[2 + w, 2 + v] = 0.5 * float(counts @ trace) - kept + lost
    lower = np.tril_indices(len(result), -1)
    result[lower] = result.T[lower]
    return result
