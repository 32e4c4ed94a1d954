"""One variance per gene, partition and block: its density, its maximum, and why it is not recommended."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from varmix.errors import OptionError
from varmix.models.partition import block_climb
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.joint import log_densities
from varmix.models.partition.noise_per_gene_block import fit_block_variances
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions

TYPES = np.repeat(np.arange(5), 3)
PARTITIONS = all_partitions(["liver", "brain", "lung"])
RNG = np.random.default_rng(8)
PARAMS = PartitionParams(
    mean=1.0,
    between=4.0,
    cell=0.5,
    measurement=0.05,
    shares=np.full(5, 0.2),
    proportions=np.vstack([np.eye(3), RNG.dirichlet(np.ones(3), 2)]),
)
VALUES = (1.0 + 2.0 * RNG.standard_normal((6, 3))) @ PARAMS.proportions[TYPES].T + 0.6 * RNG.standard_normal((6, 15))
PIECE = reduce_samples(VALUES, TYPES, 5)[0]


def dense(gene: int, partition: int, variances: np.ndarray) -> float:
    P, indicator = PARAMS.proportions, PARTITIONS.indicators[partition]
    noise = ((P**2) @ indicator @ variances + PARAMS.measurement)[TYPES]
    shown = (P @ indicator)[TYPES]
    covariance = np.diag(noise) + PARAMS.between * shown @ shown.T
    return float(multivariate_normal.logpdf(VALUES[gene], np.full(15, PARAMS.mean), covariance))


def test_densities_are_dense_normals_at_variances_no_optimiser_improves():
    found = fit_block_variances(PARAMS, PARTITIONS, PIECE)
    assert found.converged
    for gene in range(6):
        for j in range(len(PARTITIONS)):
            variances = found.variances[j][gene]
            assert found.log_densities[gene, j] == pytest.approx(dense(gene, j, variances), rel=1e-10)
            better = minimize(
                lambda log, g=gene, j=j: -dense(g, j, np.exp(log)), np.log(variances), method="Nelder-Mead"
            )
            # what a variance at its floor of 1e-8 costs beside one of 0
            assert -better.fun <= found.log_densities[gene, j] + 1e-6


def test_every_step_raises_every_density(monkeypatch):
    previous = None
    for steps in (1, 2, 3, 5, 9):
        monkeypatch.setattr(block_climb, "STEPS", steps)
        values = fit_block_variances(PARAMS, PARTITIONS, PIECE).log_densities
        if previous is not None:
            assert (values >= previous - 1e-10).all()  # rounding of the density
        previous = values


def test_free_variances_fit_every_gene_at_least_as_well_as_one_for_all():
    assert (
        fit_block_variances(PARAMS, PARTITIONS, PIECE).log_densities >= log_densities(PARAMS, PARTITIONS, PIECE) - 1e-9
    ).all()


def test_a_constant_gene_ends_at_the_floor_and_stays_finite():
    piece = reduce_samples(np.full((2, 15), 3.0), TYPES, 5)[0]
    found = fit_block_variances(PARAMS, PARTITIONS, piece)
    assert np.isfinite(found.log_densities).all()
    assert_allclose(found.variances[0], 1e-8 * 4.0)


def test_without_replicates_it_is_refused():
    with pytest.raises(OptionError, match="two samples or more"):
        fit_block_variances(PARAMS, PARTITIONS, reduce_samples(VALUES[:, ::3], TYPES[::3], 5)[0])
