"""Densities with a variance per block, and the climb over these variances: derivatives, ascent, bounds, scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from varmix.errors import OptionError
from varmix.models.partition import block_climb
from varmix.models.partition.block_density import BLOCK_DENSITIES, Setting
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.noise_per_gene_block import fit_block_variances
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions

SAMPLES = np.repeat(np.arange(5), [3, 2, 1, 4, 2])
PARTITIONS = all_partitions(["liver", "brain", "lung"])
RNG = np.random.default_rng(1)
PROPORTIONS = np.vstack([np.eye(3), RNG.dirichlet(np.ones(3), 2)])
VALUES = 1.0 + 2.0 * RNG.standard_normal((8, 3)) @ PROPORTIONS[SAMPLES].T + 0.7 * RNG.standard_normal((8, 12))
GENES = reduce_samples(VALUES, SAMPLES, 5)[0]
LIKELIHOODS = ("joint", "composite")


def point(between: float = 1.3, measurement: float = 0.0) -> PartitionParams:
    return PartitionParams(
        mean=0.7,
        between=between,
        cell=0.0,
        measurement=measurement,
        shares=np.full(5, 0.2),
        proportions=PROPORTIONS,
    )


def dense(params: PartitionParams, gene: int, indicator: np.ndarray, variances: np.ndarray, likelihood: str) -> float:
    """The covariance of a gene's samples written out, of which the product keeps the diagonal."""
    noise = ((PROPORTIONS**2) @ indicator @ variances + params.measurement)[SAMPLES]
    shown = (PROPORTIONS @ indicator)[SAMPLES]
    covariance = np.diag(noise) + params.between * shown @ shown.T
    if likelihood == "composite":
        covariance = np.diag(covariance.diagonal())
    return float(multivariate_normal.logpdf(VALUES[gene], np.full(12, params.mean), covariance))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("measurement", [0.0, 0.2])
@pytest.mark.parametrize("between", [0.0, 1.3])
def test_derivatives_are_those_of_differences_of_dense_densities(likelihood, between, measurement):
    params, density = point(between, measurement), BLOCK_DENSITIES[likelihood]
    for indicator in PARTITIONS.indicators:
        size = indicator.shape[1]
        variances = np.exp(RNG.standard_normal((8, size)))

        def at(move: np.ndarray, indicator: np.ndarray = indicator, variances: np.ndarray = variances):
            moved = replace(params, mean=params.mean + move[-2], between=params.between + move[-1])
            return density.at(Setting.of(moved, indicator, GENES), variances + move[:-2])

        expected = [dense(params, g, indicator, variances[g], likelihood) for g in range(8)]
        assert_allclose(at(np.zeros(size + 2)).log_density, expected, rtol=1e-11)
        found = at(np.zeros(size + 2)).derivatives()
        assert_allclose(found.seen - found.predicted, 2.0 * found.gradient[:, :size], rtol=1e-9, atol=1e-9)
        for k, step in enumerate(1e-5 * np.eye(size + 2)):
            # steps of 1e-5 leave 1e-6 of densities near 100; a = 0 has one side only
            if k == size + 1 and between == 0.0:

                def slope(of: Callable, step: np.ndarray = step):
                    return (-3.0 * of(at(0.0 * step)) + 4.0 * of(at(step)) - of(at(2.0 * step))) / 2e-5
            else:

                def slope(of: Callable, step: np.ndarray = step):
                    return (of(at(step)) - of(at(-step))) / 2e-5

            assert_allclose(found.gradient[:, k], slope(lambda here: here.log_density), rtol=1e-5, atol=1e-5)
            bend = slope(lambda here: here.derivatives().gradient)
            assert_allclose(found.hessian[:, k], bend, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_no_optimiser_improves_on_the_variances(likelihood):
    params = point()
    found = fit_block_variances(params, PARTITIONS, GENES, likelihood=likelihood)
    assert found.converged
    for gene in range(8):
        for j, indicator in enumerate(PARTITIONS.indicators):
            variances = found.variances[j][gene]
            value = found.log_densities[gene, j]
            assert value == pytest.approx(dense(params, gene, indicator, variances, likelihood), rel=1e-9)
            better = minimize(
                lambda log, g=gene, c=indicator: -dense(params, g, c, np.exp(log), likelihood),
                np.log(np.maximum(variances, 1e-6)),
                method="Nelder-Mead",
                options={"xatol": 1e-6, "fatol": 1e-10},
            )
            assert -better.fun <= value + 1e-6  # what a variance at its floor of 1e-8 costs beside one of 0


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_no_step_lowers_a_density_from_bad_starts(likelihood, monkeypatch):
    params = point()
    for factor in (1e-6, 1.0, 1e6):
        start = tuple(factor * np.exp(RNG.standard_normal((8, c.shape[1]))) for c in PARTITIONS.indicators)
        previous = None
        for steps in (0, 1, 2, 3, 5, 8, 30):
            monkeypatch.setattr(block_climb, "STEPS", steps)
            values = fit_block_variances(params, PARTITIONS, GENES, likelihood=likelihood, start=start).log_densities
            if previous is not None:
                assert (values >= previous - 1e-9 * (1.0 + np.abs(previous))).all()  # squares over 1e-6 cancel
            previous = values
        monkeypatch.undo()
        assert fit_block_variances(params, PARTITIONS, GENES, likelihood=likelihood, start=start).converged


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_without_newton_mm_alone_climbs_to_the_same_densities(likelihood, monkeypatch):
    params = point()
    direct = fit_block_variances(params, PARTITIONS, GENES, likelihood=likelihood)
    monkeypatch.setattr(block_climb, "HALVINGS", 0)
    monkeypatch.setattr(block_climb, "STEPS", 3000)
    slow = fit_block_variances(params, PARTITIONS, GENES, likelihood=likelihood)
    assert_allclose(slow.log_densities, direct.log_densities, atol=1e-4)  # MM creeps towards variances at the floor


def test_a_block_that_no_sample_holds_keeps_its_variance():
    proportions = PROPORTIONS.copy()
    proportions[:, 1] += proportions[:, 2]
    proportions[:, 2] = 0.0
    params = replace(point(), proportions=proportions)
    for likelihood in LIKELIHOODS:
        found = fit_block_variances(params, PARTITIONS, GENES, likelihood=likelihood)
        assert found.converged
        finest, two = PARTITIONS.words.index("liver | brain | lung"), PARTITIONS.words.index("liver | brain = lung")
        # the third type is nowhere: its block changes nothing
        assert_allclose(found.log_densities[:, finest], found.log_densities[:, two], rtol=1e-9)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_genes_constant_within_types_end_at_the_floor_and_stay_finite(likelihood):
    values = np.stack([PROPORTIONS[SAMPLES] @ np.array([1.0, 5.0, 9.0]), np.full(12, 0.7), np.full(12, 3.0)])
    genes = reduce_samples(values, SAMPLES, 5)[0]
    found = fit_block_variances(point(), PARTITIONS, genes, likelihood=likelihood)
    assert np.isfinite(found.log_densities).all()
    assert found.converged
    if likelihood == "joint":  # the finest partition explains the first gene without error
        floor = 1e-8 * ((values[0] - 0.7) ** 2).mean()
        assert_allclose(found.variances[-1][0], floor, rtol=1e-9)
    usual = ((values - 0.7) ** 2).mean()
    assert_allclose(found.variances[0][1], 1e-16 * usual, rtol=1e-9)  # at mu_0: nothing of its own to go by


def test_an_unknown_likelihood_is_told():
    with pytest.raises(OptionError, match="'joint' or 'composite'"):
        fit_block_variances(point(), PARTITIONS, GENES, likelihood="pairwise")
