"""Posterior of partitions and of cell types' means, held against dense conditional normals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.posterior import gene_posterior

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
        logs, means, squares = [], [], []
        for together, share in zip(PARTITIONS.together, PARAMS.shares, strict=True):
            prior = 400.0 * together  # covariance of cell types
            covariance = rows @ prior @ rows.T + noise
            inverse, r = np.linalg.inv(covariance), gene[seen] - 100.0
            logs.append(np.log(share) - 0.5 * (np.linalg.slogdet(covariance)[1] + r @ inverse @ r))
            mean = 100.0 + prior @ rows.T @ inverse @ r
            means.append(mean)
            squares.append((prior - prior @ rows.T @ inverse @ rows @ prior).diagonal() + mean**2)
        weight = softmax(logs)
        assert_allclose(posterior.probabilities[g], weight, rtol=1e-9)
        assert_allclose(posterior.means[g], weight @ np.array(means), rtol=1e-11)
        # The square of a mean of 100 takes digits from a variance of some units.
        assert_allclose(posterior.sds[g] ** 2, weight @ np.array(squares) - (weight @ np.array(means)) ** 2, rtol=1e-7)


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
