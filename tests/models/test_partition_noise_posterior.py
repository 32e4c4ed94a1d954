"""Posterior of genes whose noise differs: against dense conditionals integrated over the scale by quadrature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import gamma, multivariate_normal

from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.heteroscedastic_posterior import noise_posterior
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.noise import Noise
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.posterior import gene_posterior
from varmix.models.partition.trend import Trend

PARTITIONS = all_partitions(["liver", "brain", "lung"])
TYPES = np.repeat(np.arange(4), [2, 3, 1, 2])
ROWS = np.random.default_rng(1).dirichlet(np.ones(3), 4)
SHARES = np.random.default_rng(2).dirichlet(np.ones(5))
FULL = Noise(
    cell=0.2,
    measurement=0.1,
    proportional=0.15,
    exponent=1.4,
    misfit=0.05,
    misfit_proportional=0.03,
    misfit_exponent=1.8,
    scatter=0.07,
    scatter_proportional=0.04,
)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    found = 2.0 * np.random.default_rng(3).standard_normal((6, len(TYPES))) + 3.0
    found[0, 1] = found[1, 5] = np.nan
    found[4] = np.nan
    return found


def point(noise: Noise = FULL, spread: float = 0.0) -> HeteroscedasticParams:
    return HeteroscedasticParams(
        mean=2.0,
        between=1.7,
        noise=noise,
        trend=Trend(reference=2.5),
        spread=spread,
        shares=SHARES,
        proportions=ROWS,
    )


def dense(params: HeteroscedasticParams, gene: np.ndarray) -> tuple[np.ndarray, ...]:
    """Probabilities, mean, covariance, log density and scale of one gene, from the joint normal of its cell types and
    samples at each partition and at 601 scales."""
    noise, P = params.noise, params.proportions
    seen = ~np.isnan(gene)
    levels = np.full(4, 1e-3)
    for s in range(4):
        if (seen & (s == TYPES)).any():
            levels[s] = max(gene[seen & (s == TYPES)].mean() / params.trend.reference, 1e-3)
    k = noise.scatter + noise.scatter_proportional * levels.max() ** 2
    sample = noise.cell * (P**2).sum(axis=1) + noise.measurement + noise.proportional * levels**noise.exponent
    lack = noise.misfit + noise.misfit_proportional * levels**noise.misfit_exponent
    rows, at = P[TYPES[seen]], TYPES[seen]
    error = np.diag(sample[at]) + (at[:, None] == at) * lack[at]
    eta = np.linspace(-4.0, 9.0, 601) if params.spread else np.zeros(1)
    if params.spread:
        prior = gamma(1.0 / params.spread, scale=params.spread).logpdf(np.exp(-eta)) - eta + np.log(eta[1] - eta[0])
    else:
        prior = np.zeros(1)
    logs, means, covariances = [], [], []
    for together, share in zip(PARTITIONS.together, params.shares, strict=True):
        for scale, weight in zip(np.exp(eta), prior, strict=True):
            types = params.between * together + scale * k * np.eye(3)
            full = rows @ types @ rows.T + scale * error
            gain = np.linalg.solve(full, rows @ types).T
            logs.append(np.log(share) + weight + multivariate_normal.logpdf(gene[seen], rows.sum(1) * 2.0, full))
            means.append(2.0 + gain @ (gene[seen] - 2.0))
            covariances.append(types - gain @ rows @ types)
    top = max(logs)
    weights = np.exp(np.array(logs) - top)
    total = weights.sum()
    weights /= total
    mean = weights @ np.array(means)
    away = np.array(means) - mean
    covariance = np.einsum("i,itu->tu", weights, np.array(covariances)) + (weights[:, None] * away).T @ away
    by_partition = weights.reshape(len(PARTITIONS), -1)
    return by_partition.sum(1), mean, covariance, top + np.log(total), by_partition.sum(0) @ np.exp(eta)


@pytest.mark.parametrize("spread", [0.0, 0.3])
@pytest.mark.parametrize("noise", [FULL, Noise(measurement=0.5), Noise(cell=0.3, scatter=0.2)])
def test_moments_are_those_of_the_dense_joint_normal(values, spread, noise):
    params = point(noise, spread)
    found = noise_posterior(params, PARTITIONS, reduce_samples(values, TYPES, 4))
    for g in (0, 1, 3):
        probabilities, mean, covariance, density, scale = dense(params, values[g])
        tolerance = 1e-6 if spread else 1e-10  # nodes against a fine rule, or rounding of 8 x 8 matrices
        assert_allclose(found.probabilities[g], probabilities, rtol=tolerance, atol=1e-9)
        assert_allclose(found.means[g], mean, rtol=tolerance)
        assert_allclose(found.covariances[g], covariance, rtol=tolerance, atol=1e-9)
        assert_allclose(found.log_densities[g], density, rtol=tolerance)
        assert_allclose(found.scale[g], scale, rtol=tolerance)


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_a_gene_without_samples_has_its_prior(values, spread):
    found = noise_posterior(point(spread=spread), PARTITIONS, reduce_samples(values, TYPES, 4))
    assert_allclose(found.probabilities[4], SHARES)
    assert_allclose(found.means[4], 2.0)
    scatter = (0.07 + 0.04 * 0.8**2) / (1.0 - spread)
    shared = np.einsum("j,jtu->tu", SHARES, PARTITIONS.together)
    assert_allclose(found.covariances[4], 1.7 * shared + scatter * np.eye(3))
    assert found.scale[4] == pytest.approx(1.0 / (1.0 - spread))
    assert found.log_densities[4] == 0.0


def test_one_noise_for_all_gives_what_shared_variances_give(values):
    model = PartitionMixture.of(values, TYPES, PARTITIONS, ROWS, noise="both")
    shared = PartitionParams(mean=2.0, between=1.7, cell=0.4, measurement=0.2, shares=SHARES, proportions=ROWS)
    expected = gene_posterior(model, model.point(model.inward(shared)))
    found = noise_posterior(point(Noise(cell=0.4, measurement=0.2)), PARTITIONS, reduce_samples(values, TYPES, 4))
    for name in ("probabilities", "means", "covariances", "log_densities", "scale"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])
def test_internal_units_are_told_in_those_of_the_data(values, factor):
    params = point(spread=0.3)
    before = noise_posterior(params, PARTITIONS, reduce_samples(values, TYPES, 4))
    after = noise_posterior(params, PARTITIONS, reduce_samples(values, TYPES, 4), scale=factor)
    assert_allclose(after.means, factor * before.means)
    assert_allclose(after.sds, factor * before.sds)
    seen = (~np.isnan(values)).sum(axis=1)
    assert_allclose(after.log_densities, before.log_densities - seen * np.log(factor))
    assert_allclose(after.scale, before.scale)


def test_types_of_one_block_differ_by_their_scatter_alone(values):
    params = replace(point(), shares=np.eye(5)[0])
    pieces = reduce_samples(values, TYPES, 4)
    assert (noise_posterior(params, PARTITIONS, pieces).differences().sds > 0.1).all()
    still = replace(params, noise=replace(FULL, scatter=0.0, scatter_proportional=0.0))
    found = noise_posterior(still, PARTITIONS, pieces).differences()
    assert_allclose(found.sds, 0.0, atol=1e-7)  # the root of the rounding of a variance of 1
    assert_allclose(found.estimates, 0.0, atol=1e-12)


def test_another_likelihood_moves_partitions_and_leaves_means_given_them(values):
    pieces, params = reduce_samples(values, TYPES, 4), point(spread=0.3)

    def third(params: HeteroscedasticParams, partitions: object, genes: object) -> np.ndarray:
        return np.where(np.arange(5) == 2, 0.0, -np.inf) + np.full((len(genes), 1), -7.0)  # type: ignore[arg-type]

    found = noise_posterior(params, PARTITIONS, pieces, densities=third)
    alone = noise_posterior(replace(params, shares=np.eye(5)[2]), PARTITIONS, pieces)
    seen = np.arange(6) != 4
    assert_allclose(found.probabilities[seen], np.tile(np.eye(5)[2], (5, 1)))
    # the range of the nodes is that of the mixture of partitions, so that the rule's error differs
    assert_allclose(found.means[seen], alone.means[seen], rtol=1e-6)
    assert_allclose(found.covariances[seen], alone.covariances[seen], rtol=1e-5, atol=1e-9)
    assert_allclose(found.log_densities[seen], np.log(SHARES[2]) - 7.0)


def test_scale_of_a_noisy_gene_is_above_that_of_a_quiet_one():
    rng = np.random.default_rng(5)
    truth = np.repeat([0.2, 5.0], 30)
    params = point(Noise(measurement=1.0), 1.0)
    mean = (3.0 + rng.standard_normal((60, 3)) * 2.0) @ ROWS[TYPES].T
    noisy = mean + np.sqrt(truth)[:, None] * rng.standard_normal((60, len(TYPES)))
    found = noise_posterior(params, PARTITIONS, reduce_samples(noisy, TYPES, 4))
    assert_allclose(found.probabilities.sum(axis=1), 1.0, rtol=1e-12)
    # eight samples, five of them left by the blocks, against a prior worth two: shrunk, and still far apart
    assert np.median(found.scale[:30]) < 0.8
    assert np.median(found.scale[30:]) > 2.0


def test_the_mean_of_the_scale_is_infinite_where_its_tail_is_too_heavy():
    one = reduce_samples(np.array([[3.0]]), np.zeros(1, dtype=int), 4)
    found = noise_posterior(point(Noise(measurement=1.0), 2.5), PARTITIONS, one)
    assert np.isinf(found.scale[0])
    assert np.isfinite(found.sds).all()  # blocks alone: their variance is bounded by a
    scattered = noise_posterior(point(Noise(measurement=1.0, scatter=0.1), 2.5), PARTITIONS, one)
    assert np.isinf(scattered.sds).all()
