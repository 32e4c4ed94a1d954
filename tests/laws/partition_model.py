"""The partition model as it is written down: dense covariances of samples, partition by partition, gene by gene."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions


def gene_densities(
    params: PartitionParams, partitions: Partitions, values: np.ndarray, sample_type: np.ndarray, *, composite: bool
) -> np.ndarray:
    """`log f(s_g | j)` of all genes (G, n) with NaN where missing, shape (G, J)."""
    missing = np.isnan(values)
    found = np.empty((len(values), len(partitions)))
    for pattern in np.unique(missing, axis=0):
        of = (missing == pattern).all(axis=1)
        found[of] = _densities(params, partitions, values[of][:, ~pattern], sample_type[~pattern], composite=composite)
    return found


def _densities(
    params: PartitionParams, partitions: Partitions, values: np.ndarray, sample_type: np.ndarray, *, composite: bool
) -> np.ndarray:
    """Genes that have the same samples have the same covariances."""
    rows = params.proportions[sample_type]
    at = np.full(len(rows), params.mean)
    noise = np.array([params.cell * row @ row + params.measurement for row in rows])
    found = []
    for label in partitions.labels:
        loads = np.stack([[row[np.equal(label, block)].sum() for block in range(max(label) + 1)] for row in rows])
        covariance = params.between * loads @ loads.T + np.diag(noise)
        if composite:
            found.append(norm(at, np.sqrt(covariance.diagonal())).logpdf(values).sum(axis=1))
        else:
            found.append(np.atleast_1d(multivariate_normal(at, covariance).logpdf(values)))
    return np.stack(found, axis=1)


def log_likelihood(
    params: PartitionParams,
    partitions: Partitions,
    values: np.ndarray,
    sample_type: np.ndarray,
    *,
    composite: bool = False,
) -> float:
    """Of all genes (G, n)."""
    densities = gene_densities(params, partitions, values, sample_type, composite=composite)
    return float(logsumexp(densities, b=params.shares, axis=1).sum())


def pattern_log_likelihood(
    log_values: np.ndarray,
    group: np.ndarray,
    patterns: list[list[list[int]]],
    shares: list[float],
    mu: float,
    between: float,
    within: float,
) -> float:
    """Lognormal-normal patterns of groups on the log scale: a pattern's sets of groups are independent of each other,
    and samples of a set have one mean, drawn from `N(mu, between)`."""
    total = 0.0
    for gene in log_values:
        terms = []
        for pattern, share in zip(patterns, shares, strict=True):
            term = np.log(share)
            for members in pattern:
                x = gene[np.isin(group, members)]
                covariance = between * np.ones((len(x), len(x))) + within * np.eye(len(x))
                term += multivariate_normal(np.full(len(x), mu), covariance).logpdf(x)
            terms.append(term)
        total += logsumexp(terms)
    return total


def draw(
    rng: np.random.Generator, params: PartitionParams, partitions: Partitions, sample_type: np.ndarray, genes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Values (G, n) and the partitions they come from."""
    chosen = rng.choice(len(partitions), p=params.shares, size=genes)
    rows = params.proportions[sample_type]
    values = np.empty((genes, len(sample_type)))
    for g, j in enumerate(chosen):
        label = partitions.labels[j]
        block = params.mean + np.sqrt(params.between) * rng.normal(size=max(label) + 1)
        cells = block[list(label)] + np.sqrt(params.cell) * rng.normal(size=rows.shape)
        values[g] = (rows * cells).sum(axis=1) + np.sqrt(params.measurement) * rng.normal(size=len(rows))
    return values, chosen
