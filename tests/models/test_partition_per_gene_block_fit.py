"""The whole fit with a variance per gene, partition and block: scores, optimum, edges, scale, posterior."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp
from scipy.stats import multivariate_normal

from varmix.errors import NotIdentifiedError, OptionError
from varmix.iteration import Status
from varmix.models.partition.block_fit import fit_per_gene_block
from varmix.models.partition.block_posterior import block_posterior
from varmix.models.partition.block_profile import BlockPiece, BlockPoint, profile
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.noise_per_gene_block import pooled_variances, variance_floors
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions, all_partitions

LIKELIHOODS = ("joint", "composite")
PARTITIONS = all_partitions(["liver", "brain", "lung"])
PROPORTIONS = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]])
SAMPLES = np.repeat(np.arange(5), 4)


def drawn(count: int, seed: int, noise: float = 0.4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    label = np.array(PARTITIONS.labels)[rng.choice(5, count, p=[0.35, 0.2, 0.15, 0.15, 0.15])]
    means = np.take_along_axis(5.0 + rng.standard_normal((count, 3)), label, axis=1) @ PROPORTIONS.T
    return means[:, SAMPLES] + noise * rng.standard_normal((count, len(SAMPLES)))


def start(partitions: Partitions = PARTITIONS, proportions: np.ndarray = PROPORTIONS, size: float = 1.0):
    count = len(partitions)
    return PartitionParams(
        mean=4.5 * size,
        between=1.5 * size**2,
        cell=0.0,
        measurement=0.0,
        shares=np.full(count, 1.0 / count),
        proportions=proportions,
    )


def fitted(values: np.ndarray, likelihood: str = "joint", size: float = 1.0):
    return fit_per_gene_block(
        reduce_samples(values, SAMPLES, 5), PARTITIONS, PROPORTIONS, start(size=size), likelihood=likelihood
    )


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_derivatives_of_the_profile_are_those_of_differences(likelihood):
    genes = reduce_samples(drawn(12, 0), SAMPLES, 5)[0]
    piece = BlockPiece(genes=genes, floor=variance_floors(genes, 5.0))
    fixed = np.zeros(4 + 5 + 15, dtype=np.bool_)
    fixed[2:4] = fixed[9:] = True
    params = replace(start(), shares=np.array([0.1, 0.3, 0.2, 0.25, 0.15]), fixed=fixed)
    point = BlockPoint(params=params, seeds=tuple(pooled_variances(genes, c.shape[1]) for c in PARTITIONS.indicators))
    here = profile(point, PARTITIONS, piece, likelihood)
    seeded = replace(point, seeds=here.variances)

    def at(move: np.ndarray):
        mean, between = params.mean + move[0], params.between + move[1]
        moved = replace(params, mean=mean, between=between, shares=params.shares + move[2:])
        return profile(replace(seeded, params=moved), PARTITIONS, piece, likelihood)

    for k in range(7):
        move = np.zeros(7)
        move[k] = 1e-5
        up, down = at(move), at(-move)
        # differences of 300 at 1e-5; scores of best variances are good to the square root of what the climbs leave
        assert here.score[k] == pytest.approx((up.log_likelihood - down.log_likelihood) / 2e-5, rel=1e-6, abs=1e-5)
        bend = (up.score - down.score) / 2e-5
        assert_allclose(here.hessian[k], bend, rtol=1e-4, atol=1e-4)


def test_no_optimiser_improves_on_the_fit():
    two = all_partitions(["liver", "brain"])
    proportions = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    samples = np.repeat(np.arange(3), 3)
    rng = np.random.default_rng(5)
    values = (2.0 + rng.standard_normal((3, 2))) @ proportions[samples].T + 0.5 * rng.standard_normal((3, 9))
    values[0] = 2.5 + 0.5 * rng.standard_normal(9)
    begin = replace(start(two, proportions), mean=2.0)
    for likelihood in LIKELIHOODS:
        fit = fit_per_gene_block(reduce_samples(values, samples, 3), two, proportions, begin, likelihood=likelihood)

        def negative(x: np.ndarray, likelihood: str = likelihood) -> float:
            mean, between, logits = x[0], np.exp(x[1]), log_softmax([0.0, x[2]])
            one, each = np.exp(x[3:6]), np.exp(x[6:12]).reshape(3, 2)
            total = 0.0
            for g in range(3):
                terms = []
                for j, (indicator, own) in enumerate(zip(two.indicators, (one[g : g + 1], each[g]), strict=True)):
                    shown = (proportions @ indicator)[samples]
                    covariance = np.diag(((proportions**2) @ indicator @ own)[samples]) + between * shown @ shown.T
                    if likelihood == "composite":
                        covariance = np.diag(covariance.diagonal())
                    terms.append(logits[j] + multivariate_normal.logpdf(values[g], np.full(9, mean), covariance))
                total += logsumexp(terms)
            return -float(total)

        P = fit.params
        ratio = np.log(max(P.shares[1], 1e-12)) - np.log(max(P.shares[0], 1e-12))
        found = np.concatenate(
            [
                [P.mean, np.log(max(P.between, 1e-10)), ratio],
                np.log(np.maximum(fit.variances[0][:, 0], 1e-7)),
                np.log(np.maximum(fit.variances[1].ravel(), 1e-7)),
            ]
        )
        away = found + 0.2 * rng.standard_normal(12)
        better = minimize(negative, away, method="L-BFGS-B", options={"maxfun": 1200})
        assert -better.fun <= fit.log_likelihood + 1e-5  # floors, and shares and a of 0 at 1e-12 and 1e-10
        assert fit.status.arrived


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_it_climbs_to_a_certificate(likelihood):
    fit = fitted(drawn(150, 1), likelihood)
    assert fit.converged
    assert fit.certificate.newton_decrement <= 1e-6
    assert fit.residual <= 1e-7
    heights = [step.objective for step in fit.progress.steps]
    assert all(after >= before - 1e-9 * abs(before) for before, after in pairwise(heights))
    assert fit.params.cell == fit.params.measurement == 0.0
    assert fit.params.shares.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("size", [1e6, 1e-6])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_scaled_data_have_scaled_estimates(likelihood, size):
    values = drawn(60, 2)
    if likelihood == "joint":  # constant genes: floors scale with the data
        values[0], values[1] = 3.0, values.mean()
    mine, other = fitted(values, likelihood), fitted(values * size, likelihood, size)
    assert other.params.mean == pytest.approx(mine.params.mean * size, rel=1e-6)  # both within 1e-6 of an optimum
    assert other.params.between == pytest.approx(mine.params.between * size**2, rel=1e-5, abs=1e-9 * size**2)
    assert_allclose(other.params.shares, mine.params.shares, atol=1e-6)
    assert other.log_likelihood == pytest.approx(mine.log_likelihood - values.size * np.log(size), rel=1e-9)
    assert other.status is mine.status


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_genes_constant_within_types_leave_the_fit_finite(likelihood):
    values = drawn(12, 3)
    for g in range(5):
        values[g] = (PROPORTIONS @ np.array([3.0, 5.0, 5.0 + g]))[SAMPLES]
    values[5] = 5.0
    fit = fitted(values, likelihood)
    assert np.isfinite(fit.log_likelihood)
    assert all(np.isfinite(found).all() for found in fit.variances)
    assert fit.floored > 0.0


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_missing_samples_and_genes_without_any(likelihood):
    values = drawn(30, 4)
    values[3, 2:9] = np.nan  # no sample of the second type is left
    values[7, 5] = np.nan
    values[10] = np.nan
    pieces = reduce_samples(values, SAMPLES, 5)
    fit = fit_per_gene_block(pieces, PARTITIONS, PROPORTIONS, start(), likelihood=likelihood)
    assert fit.converged
    found = block_posterior(fit, PARTITIONS, pieces)
    assert_allclose(found.probabilities[10], fit.params.shares, atol=1e-12)
    assert_allclose(found.means[10], fit.params.mean)
    assert np.isfinite(found.sds).all()
    without = fit_per_gene_block(
        reduce_samples(np.delete(values, 10, axis=0), SAMPLES, 5),
        PARTITIONS,
        PROPORTIONS,
        start(),
        likelihood=likelihood,
    )
    assert without.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-9)


def test_posterior_is_that_of_dense_normals():
    values = drawn(30, 6)
    pieces = reduce_samples(values, SAMPLES, 5)
    fit = fit_per_gene_block(pieces, PARTITIONS, PROPORTIONS, start())
    found = block_posterior(fit, PARTITIONS, pieces, scale=4.0)
    mean, between = fit.params.mean, fit.params.between
    for g in (0, 11):
        terms, firsts, seconds = [], [], []
        for j, indicator in enumerate(PARTITIONS.indicators):
            shown = (PROPORTIONS @ indicator)[SAMPLES]
            noise = ((PROPORTIONS**2) @ indicator @ fit.variances[j][g])[SAMPLES]
            V = np.diag(noise) + between * shown @ shown.T
            with np.errstate(divide="ignore"):
                terms.append(np.log(fit.params.shares[j]) + multivariate_normal.logpdf(values[g], np.full(20, mean), V))
            cross = between * indicator @ shown.T
            firsts.append(mean + cross @ np.linalg.solve(V, values[g] - mean))
            seconds.append(between * indicator @ indicator.T - cross @ np.linalg.solve(V, cross.T))
        weights = np.exp(np.array(terms) - logsumexp(terms))
        first = weights @ np.array(firsts)
        second = sum(w * (c + np.outer(m - first, m - first)) for w, m, c in zip(weights, firsts, seconds, strict=True))
        assert_allclose(found.probabilities[g], weights, atol=1e-9)
        assert_allclose(found.means[g], 4.0 * first, rtol=1e-9)
        assert_allclose(found.covariances[g], 16.0 * second, rtol=1e-7, atol=1e-9)  # solves with 20 x 20 matrices
        assert found.log_densities[g] == pytest.approx(logsumexp(terms) - 20.0 * np.log(4.0), rel=1e-10)


def test_where_the_product_cannot_tell_between_from_the_variances_it_is_told():
    rng = np.random.default_rng(8)
    samples = np.repeat(np.arange(3), 6)
    values = 5.0 + rng.standard_normal((50, 3))[:, samples] + 0.8 * rng.standard_normal((50, 18))
    fit = fit_per_gene_block(
        reduce_samples(values, samples, 3), PARTITIONS, np.eye(3), start(proportions=np.eye(3)), likelihood="composite"
    )
    # pure samples have v = a + tau_B^2: below all of these variances nothing changes with a
    assert fit.status is Status.CONFOUNDED
    assert np.isfinite(fit.log_likelihood)


def test_a_constant_gene_gives_the_product_a_spike_at_its_value():
    values = drawn(25, 2)
    values[0] = 4.6
    pieces = reduce_samples(values, SAMPLES, 5)
    heights = [
        fit_per_gene_block(
            pieces,
            PARTITIONS,
            PROPORTIONS,
            replace(start(), mean=mean, between=0.0),
            likelihood="composite",
            max_iterations=40,
        ).log_likelihood
        for mean in (4.6001, 4.7)
    ]
    # with a = 0 nothing but the floor bounds the density of a gene that equals mu_0 in all samples
    assert heights[0] > heights[1] + 20.0
    assert np.isfinite(heights).all()


def test_unknown_proportions_are_refused():
    unknown = PROPORTIONS.copy()
    unknown[1] = np.nan
    with pytest.raises(NotIdentifiedError, match="1 sample types have unknown proportions"):
        fit_per_gene_block(reduce_samples(drawn(5, 0), SAMPLES, 5), PARTITIONS, unknown, start())


def test_without_replicates_and_with_unknown_likelihoods_it_is_refused():
    pieces = reduce_samples(drawn(5, 0)[:, ::4], SAMPLES[::4], 5)
    with pytest.raises(OptionError, match="two samples or more"):
        fit_per_gene_block(pieces, PARTITIONS, PROPORTIONS, start())
    with pytest.raises(OptionError, match="pairwise"):
        fit_per_gene_block(pieces, PARTITIONS, PROPORTIONS, start(), likelihood="pairwise")
