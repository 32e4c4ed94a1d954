"""What genes say about a point of the partition model: the sums that every scheme needs, for either likelihood."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from varmix.typing import Array, Index, Matrix, Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartitionStats:
    """Sums over genes with responsibilities R (G, J). Each score is `(quad - trace) / 2` where both are given.

    Sums over samples treat cell types' means x as missing: `E` is given the gene's samples and the partition.
    """

    log_likelihood: float
    counts: Vector
    """`sum_g R`, shape (J,)."""
    score_mean: float
    quad_between: float
    trace_between: float
    blocks: float
    """Expected number of block means that were drawn."""
    quad_noise: Vector
    """By the noise variance d of each type at constant P, shape (D,)."""
    trace_noise: Vector
    samples: Vector
    """Samples of each type in all genes, shape (D,)."""
    linear: Vector
    """`sum r`, shape (D,), with `r = s - mu_0`."""
    squares: Vector
    """`sum r^2`, shape (D,)."""
    firsts: Matrix
    """`sum E x`, shape (D, T)."""
    crossed: Matrix
    """`sum r E x`, shape (D, T)."""
    moments: Array
    """`sum E x x'`, shape (D, T, T)."""
    score: Vector
    """By (mu_0, a, tau^2, omega^2, pi, P), pi and P as free entries; without P where all of it is held."""
    hessian: Square
    """Second derivatives by the same."""
    outer: Square
    """Products of the genes' own scores, summed; of the same shape."""

    def __add__(self, other: PartitionStats) -> PartitionStats:
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        return PartitionStats(**sums)

    @property
    def score_between(self) -> float:
        """Derivative of the log-likelihood by a."""
        return 0.5 * (self.quad_between - self.trace_between)

    @property
    def score_noise(self) -> Vector:
        """Derivatives by the noise variance d of each type, shape (D,)."""
        return np.asarray(0.5 * (self.quad_noise - self.trace_noise))


def spread(values: Array, types: Index, every: int) -> Array:
    """Values of some types (D', ...) among those of all (D, ...): 0 elsewhere."""
    result = np.zeros((every, *values.shape[1:]))
    result[types] = values
    return result


def undefined(partitions: int, types: int, size: int, coordinates: int) -> PartitionStats:
    """Statistics where the model has no density: the log-likelihood is -inf, all else NaN."""
    return PartitionStats(
        log_likelihood=-np.inf,
        counts=np.full(partitions, np.nan),
        score_mean=np.nan,
        quad_between=np.nan,
        trace_between=np.nan,
        blocks=np.nan,
        quad_noise=np.full(types, np.nan),
        trace_noise=np.full(types, np.nan),
        samples=np.full(types, np.nan),
        linear=np.full(types, np.nan),
        squares=np.full(types, np.nan),
        firsts=np.full((types, size), np.nan),
        crossed=np.full((types, size), np.nan),
        moments=np.full((types, size, size), np.nan),
        score=np.full(coordinates, np.nan),
        hessian=np.full((coordinates, coordinates), np.nan),
        outer=np.full((coordinates, coordinates), np.nan),
    )
