"""Posterior of partitions and of cell types' means, held against dense conditional normals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal

from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.posterior import GenePosterior, gene_posterior

PARTITIONS = all_partitions(("a", "b", "c"))
SAMPLE_TYPE = np.repeat(np.arange(4), 2)
RNG = np.random.default_rng(0)
ROWS = RNG.dirichlet(np.ones(3), 4)
PARAMS = PartitionParams(
    mean=100.0, between=400.0, cell=25.0, measurement=9.0, shares=RNG.dirichlet(np.ones(5)), proportions=ROWS
)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    found = 100.0 + 20.0 * RNG.normal(size=(7, 8))
    found[2, :3] = np.nan
    found[5] = np.nan
    return found


def found_for(values: np.ndarray, likelihood: str = "joint"):
    model = PartitionMixture.of(values, SAMPLE_TYPE, PARTITIONS, ROWS, noise="both", likelihood=likelihood)
    return gene_posterior(model, model.point(model.inward(PARAMS)))


def test_partitions_and_means_equal_dense_conditionals(values):
    posterior = found_for(values)
    for g, gene in enumerate(values):
        seen = ~np.isnan(gene)
        rows = ROWS[SAMPLE_TYPE[seen]]
        noise = np.diag(25.0 * (rows**2).sum(axis=1) + 9.0)
        logs, means, covariances = [], [], []
        for together, share in zip(PARTITIONS.together, PARAMS.shares, strict=True):
            prior = 400.0 * together  # covariance of cell types
            covariance = rows @ prior @ rows.T + noise
            inverse, r = np.linalg.inv(covariance), gene[seen] - 100.0
            logs.append(np.log(share) + multivariate_normal.logpdf(r, cov=covariance) if seen.any() else np.log(share))
            means.append(100.0 + prior @ rows.T @ inverse @ r)
            covariances.append(prior - prior @ rows.T @ inverse @ rows @ prior)
        weight = softmax(logs)
        mean = weight @ np.array(means)
        away = np.array(means) - mean
        spread = np.einsum("j,jtu->tu", weight, np.array(covariances)) + np.einsum("j,jt,ju->tu", weight, away, away)
        assert_allclose(posterior.probabilities[g], weight, rtol=1e-9)
        assert_allclose(posterior.log_densities[g], logsumexp(logs), rtol=1e-11, atol=1e-12)
        assert_allclose(posterior.means[g], mean, rtol=1e-11)
        # Inverses of 8 x 8 matrices of condition 1e2; types that share a block have a singular prior.
        assert_allclose(posterior.covariances[g], spread, rtol=1e-9, atol=1e-9)
        assert_allclose(posterior.sds[g], np.sqrt(spread.diagonal()), rtol=1e-9)
    assert_allclose(posterior.scale, 1.0)


def test_a_gene_without_samples_has_its_prior(values):
    posterior = found_for(values)
    assert_allclose(posterior.probabilities[5], PARAMS.shares, rtol=1e-12)
    assert_allclose(posterior.means[5], 100.0)
    assert_allclose(posterior.sds[5], 20.0)


def test_co_membership_sums_the_partitions_that_join(values):
    posterior = found_for(values)
    together = posterior.together
    assert_allclose(together[:, range(3), range(3)], 1.0, rtol=1e-12)
    joined = [j for j, label in enumerate(PARTITIONS.labels) if label[0] == label[2]]
    assert_allclose(together[:, 0, 2], posterior.probabilities[:, joined].sum(axis=1), rtol=1e-12)
    assert_allclose(posterior.local_false_discovery_rate, posterior.probabilities[:, 0], rtol=1e-12)
    assert PARTITIONS.labels[0] == (0, 0, 0)


def test_composite_changes_partitions_alone(values):
    joint, composite = found_for(values), found_for(values, "composite")
    assert np.abs(joint.probabilities - composite.probabilities).max() > 0.01
    assert_allclose(composite.probabilities.sum(axis=1), 1.0, rtol=1e-12)


def test_the_sd_of_a_difference_knows_that_types_move_together(values):
    posterior = found_for(values)
    found = posterior.differences()
    assert found.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    contrast = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0], [0.0, 1.0, -1.0]])
    variances = np.einsum("kt,gtu,ku->gk", contrast, posterior.covariances, contrast)
    assert_allclose(found.estimates, posterior.means @ contrast.T, atol=1e-11)
    assert_allclose(found.sds**2, variances, rtol=1e-9, atol=1e-9)
    assert_allclose(found.together, posterior.together[:, [0, 0, 1], [1, 2, 2]])
    turned = posterior.differences([(2, 0)])
    assert_allclose(turned.estimates[:, 0], -found.estimates[:, 1])
    assert_allclose(turned.sds[:, 0], found.sds[:, 1])


def test_types_of_one_block_differ_by_nothing(values):
    one = PartitionParams(mean=100.0, between=400.0, cell=25.0, measurement=9.0, shares=np.eye(5)[0], proportions=ROWS)
    model = PartitionMixture.of(values, SAMPLE_TYPE, PARTITIONS, ROWS, noise="both")
    found = gene_posterior(model, model.point(model.inward(one))).differences()
    assert_allclose(found.estimates, 0.0, atol=1e-10)  # rounding of means of 100
    assert_allclose(found.sds, 0.0, atol=1e-6)  # the root of the rounding of variances of 400
    assert_allclose(found.together, 1.0)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_values_in_other_units_give_the_same_posterior_scaled(values, factor):
    before = found_for(values)
    scaled = PartitionParams(
        mean=100.0 * factor,
        between=400.0 * factor**2,
        cell=25.0 * factor**2,
        measurement=9.0 * factor**2,
        shares=PARAMS.shares,
        proportions=ROWS,
    )
    model = PartitionMixture.of(factor * values, SAMPLE_TYPE, PARTITIONS, ROWS, noise="both")
    after = gene_posterior(model, model.point(model.inward(scaled)))
    assert_allclose(after.probabilities, before.probabilities, rtol=1e-9)
    assert_allclose(after.means, factor * before.means, rtol=1e-11)
    assert_allclose(after.covariances, factor**2 * before.covariances, rtol=1e-8, atol=1e-11 * factor**2)
    seen = (~np.isnan(values)).sum(axis=1)
    assert_allclose(after.log_densities, before.log_densities - seen * np.log(factor), rtol=1e-9, atol=1e-10)


def test_a_variance_far_below_the_square_of_the_mean_keeps_its_digits():
    rows, quiet = np.eye(3)[[0, 1, 2, 0]], 1e-8
    params = PartitionParams(mean=0.0, between=1.0, cell=0.0, measurement=quiet, shares=np.eye(5)[4], proportions=rows)
    values = np.repeat(np.array([[3000.0, -2000.0, 1000.0, 3000.0]]), 2, axis=1)
    model = PartitionMixture.of(values, SAMPLE_TYPE, PARTITIONS, rows, noise="measurement")
    found = gene_posterior(model, model.point(model.inward(params)))
    expected = 1.0 / (1.0 + np.array([4.0, 2.0, 2.0]) / quiet)
    assert_allclose(found.sds[0] ** 2, expected, rtol=1e-9)  # 1e-15 of the square of the mean


def with_rates(rates: list[float]) -> GenePosterior:
    probabilities = np.zeros((len(rates), 5))
    probabilities[:, 0], probabilities[:, 4] = rates, 1.0 - np.array(rates)
    return GenePosterior(
        partitions=PARTITIONS,
        probabilities=probabilities,
        means=np.zeros((len(rates), 3)),
        covariances=np.zeros((len(rates), 3, 3)),
        log_densities=np.zeros(len(rates)),
        scale=np.ones(len(rates)),
    )


def test_q_values_are_running_means_of_sorted_rates():
    assert_allclose(with_rates([0.5, 0.0, 0.1, 0.9]).q_values, [0.2, 0.0, 0.05, 0.375], rtol=1e-12)
    assert_allclose(with_rates([0.3, 0.0, 0.3]).q_values, [0.2, 0.0, 0.2], rtol=1e-12)  # ties enter together


def test_a_list_cut_at_a_q_value_holds_that_share_of_false_discoveries():
    rng = np.random.default_rng(8)
    labels = np.array(PARTITIONS.labels)[rng.choice(5, p=[0.5, 0.1, 0.1, 0.1, 0.2], size=4000)]
    means = np.take_along_axis(rng.standard_normal((4000, 3)), labels, axis=1)
    values = means @ ROWS[SAMPLE_TYPE].T + 0.3 * rng.standard_normal((4000, 8))
    truth = PartitionParams(
        mean=0.0,
        between=1.0,
        cell=0.0,
        measurement=0.09,
        shares=np.array([0.5, 0.1, 0.1, 0.1, 0.2]),
        proportions=ROWS,
    )
    model = PartitionMixture.of(values, SAMPLE_TYPE, PARTITIONS, ROWS, noise="measurement")
    found = gene_posterior(model, model.point(model.inward(truth)))
    called = found.q_values <= 0.1
    false = (labels[called] == 0).all(axis=1).mean()
    # some hundreds are called: a binomial standard error near .01 about what the list itself expects
    assert false == pytest.approx(found.local_false_discovery_rate[called].mean(), abs=4.0 * 0.3 / called.sum() ** 0.5)
    assert called.sum() > 200
