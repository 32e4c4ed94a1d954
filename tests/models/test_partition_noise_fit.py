"""Hyper-parameters of the noise by maximum likelihood: stationarity, zeros, and what would fool a climb."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.errors import NotIdentifiedError, OptionError
from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.partition.heteroscedastic import summarise
from varmix.models.partition.noise_coordinates import FREE, Coordinates
from varmix.models.partition.noise_fit import fit_noise
from varmix.models.partition.noise_starts import noise_start, vertex_start
from varmix.models.partition.partitions import all_partitions

PARTITIONS = all_partitions(["liver", "brain", "lung"])
SAMPLE = np.repeat(np.arange(7), 3)
PROPORTIONS = np.vstack([np.eye(3), np.random.default_rng(4).dirichlet(np.ones(3), 4)])
PRIOR = np.full(PROPORTIONS.shape, 1.05)


@pytest.fixture(scope="module")
def piece() -> Genes:
    """300 genes: replicate noise 2 + .05 x, lack of fit 6 % of the mean, no scatter."""
    rng = np.random.default_rng(9)
    labels = np.array(PARTITIONS.labels)[rng.integers(1, 5, 300)]
    blocks = np.abs(60.0 + 40.0 * rng.standard_normal((300, 3)))
    means = np.take_along_axis(blocks, labels, axis=1) @ PROPORTIONS.T
    means *= 1.0 + 0.06 * rng.standard_normal(means.shape)
    values = means[:, SAMPLE] + (2.0 + 0.05 * means[:, SAMPLE]) * rng.standard_normal((300, len(SAMPLE)))
    return reduce_samples(values, SAMPLE, 7)[0]


def test_gradient_in_the_coordinates_is_that_of_differences(piece):
    start = noise_start([piece], PARTITIONS, PROPORTIONS * 0.9 + 0.1 / 3.0, spread=0.3)
    coordinates = Coordinates.of(start, FREE)
    vector = coordinates.vector + 0.05 * np.random.default_rng(0).standard_normal(len(coordinates.vector))

    def value(at: np.ndarray) -> float:
        return summarise(coordinates.params(at), PARTITIONS, piece).log_likelihood

    params = coordinates.params(vector)
    gradient = coordinates.pull(vector, params, summarise(params, PARTITIONS, piece))
    step = 1e-5
    found = [(value(vector + e) - value(vector - e)) / (2.0 * step) for e in step * np.eye(len(vector))]
    assert_allclose(gradient, found, rtol=1e-5, atol=1e-4 * np.abs(gradient).max())  # differences of 1e4 at 1e-5


def test_lack_of_fit_and_replicate_noise_are_told_apart(piece):
    start = noise_start([piece], PARTITIONS, PROPORTIONS)
    fit = fit_noise([piece], PARTITIONS, start, free=FREE - {"proportions", "spread"})
    assert fit.converged
    assert fit.log_likelihood > summarise(start, PARTITIONS, piece).log_likelihood
    noise, unit = fit.params.noise, fit.params.trend.reference
    # about 1,200 effective misfits: a standard error of 2 %, and what the power law does not catch
    assert np.sqrt(noise.misfit_proportional) / unit == pytest.approx(0.06, rel=0.15)
    at_median = np.sqrt(noise.measurement + noise.proportional)
    assert at_median == pytest.approx(2.0 + 0.05 * unit, rel=0.06)
    assert np.sqrt(noise.scatter_proportional) / unit < 0.02


def test_a_variance_given_as_zero_stays_zero(piece):
    start = noise_start([piece], PARTITIONS, PROPORTIONS)
    start = replace(start, noise=replace(start.noise, scatter_proportional=0.0))
    fit = fit_noise([piece], PARTITIONS, start, free=FREE - {"proportions", "spread"}, max_iterations=30)
    assert fit.params.noise.scatter_proportional == 0.0
    assert fit.params.spread == 0.0


def test_lack_of_fit_cannot_explain_everything():
    rng = np.random.default_rng(6)
    level = np.exp(rng.normal(4.0, 1.5, (200, 3)))  # skewed: sd in proportion to the mean fits these best of all
    values = level[:, np.repeat(np.arange(3), 3)] * np.exp(0.03 * rng.standard_normal((200, 9)))
    piece = reduce_samples(values, np.repeat(np.arange(3), 3), 3)[0]
    start = noise_start([piece], PARTITIONS, np.eye(3))
    fit = fit_noise([piece], PARTITIONS, start, free=FREE - {"proportions", "spread"})
    for name in ("misfit_proportional", "scatter_proportional"):
        assert np.sqrt(getattr(fit.params.noise, name)) <= 0.25 * start.trend.reference * (1.0 + 1e-9)


def test_free_proportions_are_found_from_vertices(piece):
    start = vertex_start([piece], 3, 7, np.random.default_rng(0))
    assert_allclose(start.sum(axis=1), 1.0, rtol=1e-12)
    assert (start > 0.0).all()
    params = noise_start([piece], PARTITIONS, start)
    first = fit_noise(
        [piece], PARTITIONS, params, free=frozenset({"proportions", "shares", "mean"}), concentration=PRIOR
    )
    fit = fit_noise([piece], PARTITIONS, first.params, free=FREE - {"spread"}, concentration=PRIOR)
    assert fit.objective > first.objective
    gaps = np.abs(fit.params.proportions[:, :, None] - PROPORTIONS[:, None, :]).mean(axis=0)
    assert gaps.min(axis=0).max() < 0.05  # columns up to their order; three vertices are among the sample types


def test_fewer_sample_types_than_cell_types_is_told():
    piece = reduce_samples(np.ones((4, 6)), np.repeat(np.arange(2), 3), 2)[0]
    with pytest.raises(NotIdentifiedError, match="3 cell types in 2 sample types"):
        vertex_start([piece], 3, 2, np.random.default_rng(0))


def test_unknown_parameters_and_priors_without_a_maximum_are_refused(piece):
    start = noise_start([piece], PARTITIONS, PROPORTIONS)
    with pytest.raises(OptionError, match="tau is no parameter"):
        fit_noise([piece], PARTITIONS, start, free=frozenset({"tau"}))
    with pytest.raises(OptionError, match="at least 1"):
        fit_noise([piece], PARTITIONS, start, free=FREE, concentration=0.5 * PRIOR)
