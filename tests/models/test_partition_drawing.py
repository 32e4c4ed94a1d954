"""Genes drawn from the model have the moments that the densities are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.errors import NotIdentifiedError, OptionError, ShapeError
from varmix.models.partition.drawing import draw_genes
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.heteroscedastic_posterior import noise_posterior
from varmix.models.partition.noise import Noise
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.trend import Trend

PARTITIONS = all_partitions(["liver", "brain", "lung"])
TYPES = np.repeat(np.arange(4), [2, 3, 1, 2])
ROWS = np.random.default_rng(1).dirichlet(np.ones(3), 4)
SHARES = np.array([0.3, 0.2, 0.1, 0.15, 0.25])
PLAIN = PartitionParams(mean=2.0, between=1.7, cell=0.5, measurement=0.2, shares=SHARES, proportions=ROWS)
NOISE = Noise(
    cell=0.2,
    measurement=0.1,
    proportional=0.3,
    exponent=1.4,
    misfit=0.2,
    misfit_proportional=0.1,
    misfit_exponent=1.8,
    scatter=0.1,
    scatter_proportional=0.15,
)
DIFFERENT = HeteroscedasticParams(
    mean=2.0, between=1.7, noise=NOISE, trend=Trend(reference=2.5), shares=SHARES, proportions=ROWS
)
COUNT = 60_000


def joint_covariance(together: np.ndarray, noise: np.ndarray, lack: np.ndarray, k: float) -> np.ndarray:
    """Of the cell types' means and the samples [PART-2]."""
    lift = np.vstack([np.eye(3), ROWS[TYPES]])
    types = 1.7 * together + k * np.eye(3)
    error = np.diag(noise[TYPES]) + (TYPES[:, None] == TYPES) * lack[TYPES]
    full = lift @ types @ lift.T
    full[3:, 3:] += error
    return full


def deviations(values: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Second moments about mu_0 in standard errors of a normal sample."""
    away = values - 2.0
    found = away.T @ away / len(away)
    variances = expected.diagonal()
    return (found - expected) / np.sqrt((np.outer(variances, variances) + expected**2) / len(away))


@pytest.mark.parametrize("given", [True, False])
def test_second_moments_of_types_and_samples_are_those_of_the_density(given):
    rng = np.random.default_rng(4)
    if given:
        means = np.array([4.0, -1.0, 2.5, 7.0])
        drawn = draw_genes(DIFFERENT, PARTITIONS, TYPES, COUNT, rng, levels=np.tile(means, (COUNT, 1)))
        level = np.maximum(means / 2.5, 1e-3)
        noise = 0.2 * (ROWS**2).sum(axis=1) + 0.1 + 0.3 * level**1.4
        lack, k = 0.2 + 0.1 * level**1.8, 0.1 + 0.15 * 2.8**2
    else:
        drawn = draw_genes(PLAIN, PARTITIONS, TYPES, COUNT, rng)
        noise, lack, k = 0.5 * (ROWS**2).sum(axis=1) + 0.2, np.zeros(4), 0.0
    for j, together in enumerate(PARTITIONS.together):
        at = drawn.partition == j
        both = np.hstack([drawn.means[at], drawn.values[at]])
        expected = joint_covariance(together, noise, lack, k)
        assert np.abs(deviations(both, expected)).max() < 4.5  # 330 numbers: above once in 400 draws
        assert np.abs((both.mean(axis=0) - 2.0) / np.sqrt(expected.diagonal() / at.sum())).max() < 4.5
    share = np.bincount(drawn.partition, minlength=5) / COUNT
    assert_allclose(share, SHARES, atol=4.5 * 0.5 / COUNT**0.5)


def test_noise_of_new_genes_follows_their_expected_level():
    quiet = replace(DIFFERENT, mean=50.0, noise=Noise(proportional=0.04 * 2.5**2, misfit_proportional=0.01 * 2.5**2))
    drawn = draw_genes(quiet, PARTITIONS, np.repeat(np.arange(4), 4), 4000, np.random.default_rng(5))
    relative = drawn.values.reshape(4000, 4, 4) / (drawn.means @ ROWS.T)[:, :, None] - 1.0
    within = relative.var(axis=2, ddof=1).mean()
    assert within == pytest.approx(0.04, rel=0.05)  # 48,000 degrees of freedom
    assert relative.mean(axis=2).var() - within / 4.0 == pytest.approx(0.01, rel=0.1)


def test_types_that_a_gene_was_not_seen_in_do_not_set_its_scatter():
    levels = np.tile([4.0, np.nan, 2.5, np.nan], (COUNT, 1))
    one = replace(DIFFERENT, shares=np.eye(5)[0], noise=Noise(scatter_proportional=1.0))
    drawn = draw_genes(one, PARTITIONS, TYPES, COUNT, np.random.default_rng(6), levels=levels)
    variance = (drawn.means[:, 0] - drawn.means[:, 1]).var() / 2.0
    assert variance == pytest.approx(1.6**2, rel=4.5 * (2.0 / COUNT) ** 0.5)


def test_the_posterior_of_a_draw_is_calibrated_for_its_scale_partition_and_means():
    rng = np.random.default_rng(7)
    params = replace(
        DIFFERENT, spread=0.4, noise=Noise(measurement=0.4, misfit=0.1, scatter=0.1)
    )  # without levels: the model is then exact for new genes
    drawn = draw_genes(params, PARTITIONS, TYPES, 4000, rng)
    found = noise_posterior(params, PARTITIONS, reduce_samples(drawn.values, TYPES, 4))
    told = found.probabilities[np.arange(4000), found.best]
    error = 4.0 * np.sqrt((told * (1.0 - told)).sum()) / 4000
    assert (found.best == drawn.partition).mean() == pytest.approx(told.mean(), abs=error)
    ratio = np.mean((drawn.means - found.means) ** 2 / found.sds**2)
    assert ratio == pytest.approx(1.0, abs=0.1)  # about 4,000 x 3 correlated, heavy-tailed squares
    # 1 / lambda has a standard deviation of .63, lambda a heavy right tail
    assert drawn.scale.mean() == pytest.approx(found.scale.mean(), abs=0.1)
    assert np.corrcoef(drawn.scale, found.scale)[0, 1] > 0.3


def test_variances_of_zero_draw_exact_mixtures():
    still = replace(PLAIN, cell=0.0, measurement=0.0)
    drawn = draw_genes(still, PARTITIONS, TYPES, 20, np.random.default_rng(0))
    assert_allclose(drawn.values, drawn.means @ ROWS[TYPES].T, rtol=1e-12)
    flat = draw_genes(replace(still, between=0.0), PARTITIONS, TYPES, 20, np.random.default_rng(0))
    assert_allclose(flat.values, 2.0)


def test_other_units_draw_the_same_genes_scaled():
    size = 1e6
    before = draw_genes(DIFFERENT, PARTITIONS, TYPES, 50, np.random.default_rng(3))
    noise = {
        name: getattr(NOISE, name) * (1.0 if name.endswith("exponent") else size**2)
        for name in Noise.__dataclass_fields__
    }
    larger = replace(
        DIFFERENT, mean=2.0 * size, between=1.7 * size**2, noise=Noise(**noise), trend=Trend(reference=2.5 * size)
    )
    after = draw_genes(larger, PARTITIONS, TYPES, 50, np.random.default_rng(3))
    assert_allclose(after.values, size * before.values, rtol=1e-10)
    assert (after.partition == before.partition).all()


def test_what_cannot_be_drawn_is_told():
    rng = np.random.default_rng(0)
    with pytest.raises(OptionError, match="0 genes"):
        draw_genes(PLAIN, PARTITIONS, TYPES, 0, rng)
    with pytest.raises(ShapeError, match="from 0 to 3"):
        draw_genes(PLAIN, PARTITIONS, TYPES + 1, 5, rng)
    with pytest.raises(OptionError, match="has no levels"):
        draw_genes(PLAIN, PARTITIONS, TYPES, 5, rng, levels=np.ones((5, 4)))
    with pytest.raises(ShapeError, match=r"\(5, 3\) for 5 genes"):
        draw_genes(DIFFERENT, PARTITIONS, TYPES, 5, rng, levels=np.ones((5, 3)))
    with pytest.raises(NotIdentifiedError, match="not known"):
        draw_genes(replace(PLAIN, proportions=np.full((4, 3), np.nan)), PARTITIONS, TYPES, 5, rng)
