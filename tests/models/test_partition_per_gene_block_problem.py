"""A variance per gene, partition and block as a problem: coordinates, starts, covariance, what is remembered."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.errors import NotAvailableError, NotIdentifiedError, OptionError
from varmix.models.partition import problem as of_problems
from varmix.models.partition.block_fit import fit_per_gene_block
from varmix.models.partition.block_posterior import block_posterior
from varmix.models.partition.block_problem import BlockProblem
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.problem import free_parameters

PARTITIONS = all_partitions(["liver", "brain"])
PROPORTIONS = np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
SAMPLES = np.repeat(np.arange(3), 4)


def drawn(size: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    means = 5.0 + 2.0 * rng.standard_normal((80, 2))
    means[:40, 1] = means[:40, 0]
    return size * (means @ PROPORTIONS[SAMPLES].T + 0.5 * rng.standard_normal((80, 12)))


def problem(size: float = 1.0, known: np.ndarray = PROPORTIONS) -> BlockProblem:
    return BlockProblem(base=PartitionMixture.of(drawn(size), SAMPLES, PARTITIONS, known))


def test_starts_at_and_near_the_optimum_lead_to_it():
    task = problem()
    (_, first), (_, second) = task.starts(2, np.random.default_rng(0))
    best = task.climb(first)
    assert best.status.arrived
    # certified to 1e-6 standard errors
    for start in (second, task.nearby(best.params)):
        assert_allclose(task.vector(task.climb(start).params)[:4], task.vector(best.params)[:4], rtol=1e-5)


def test_coordinates_are_what_genes_share():
    task = problem()
    outcome = task.climb(task.starts(1, np.random.default_rng(0))[0][1])
    vector = task.vector(outcome.params)
    assert len(vector) == len(task.held) == 2 + 2 + 6
    assert_allclose(vector[4:], PROPORTIONS.ravel())
    assert free_parameters(task) == 3
    for kind in ("observed", "sandwich"):
        covariance = of_problems.covariance(task, outcome, kind)
        assert covariance.shape == (10, 10)
        assert (np.diag(covariance)[:4] > 0.0).all()
        assert np.isnan(covariance[4:]).all()
    with pytest.raises(OptionError, match="observed"):
        of_problems.covariance(task, outcome, "expected")
    with pytest.raises(NotAvailableError, match="per_gene_block"):
        task.restricted(outcome.params, 1, 0.5)


@pytest.mark.parametrize("likelihood", ["joint", "composite"])
def test_what_is_remembered_gives_the_posterior_of_the_fit(likelihood):
    base = PartitionMixture.of(drawn(), SAMPLES, PARTITIONS, PROPORTIONS, likelihood=likelihood)
    task = BlockProblem(base=base)
    start = task.starts(1, np.random.default_rng(0))[0][1]
    fit = fit_per_gene_block(base.pieces, PARTITIONS, PROPORTIONS, start, likelihood=likelihood)
    direct = block_posterior(fit, PARTITIONS, base.pieces, scale=base.scale)
    again = task.remember(fit.outcome.params).posterior(base.pieces)
    # variances climbed afresh end where those of the fit are
    assert_allclose(again.probabilities, direct.probabilities, atol=1e-6)
    assert_allclose(again.means, direct.means, rtol=1e-6)
    assert_allclose(again.sds, direct.sds, rtol=1e-5, atol=1e-8)
    assert again.log_densities.sum() + base.samples * np.log(base.scale) == pytest.approx(fit.log_likelihood, rel=1e-9)


def test_data_in_other_units_have_the_same_posterior():
    found = []
    for size in (1.0, 1e6):
        task = problem(size)
        outcome = task.climb(task.starts(1, np.random.default_rng(0))[0][1])
        found.append(task.remember(outcome.params).posterior(task.base.pieces))
    assert_allclose(found[1].probabilities, found[0].probabilities, atol=1e-5)
    assert_allclose(found[1].means, 1e6 * found[0].means, rtol=1e-5)


def test_unknown_proportions_are_refused():
    known = PROPORTIONS.copy()
    known[0] = np.nan
    with pytest.raises(NotIdentifiedError, match="unbounded"):
        problem(known=known)
