"""Block means of all partitions at once: the same sums as by eigenvectors, one partition after another."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.models.partition.block_systems import BlockSystems
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.heteroscedastic import Prepared, _at_one_scale, _over_scales
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import Noise
from varmix.models.partition.partitions import Partitions, all_partitions
from varmix.models.partition.trend import Trend

PARTITIONS = all_partitions(["a", "b", "c", "d", "e"])
SAMPLE = np.repeat(np.arange(6), [2, 3, 1, 2, 2, 1])
NOISE = Noise(measurement=0.3, proportional=0.2, misfit_proportional=0.05, scatter_proportional=0.04)


def point(between: float, partitions: Partitions, noise: Noise = NOISE) -> HeteroscedasticParams:
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(len(partitions)))
    if len(partitions) > 1:
        shares[0] = 0.0  # a partition without a share takes part in the scores
    return HeteroscedasticParams(
        mean=4.0,
        between=between,
        noise=noise,
        trend=Trend(reference=4.0),
        shares=shares / shares.sum(),
        proportions=rng.dirichlet(np.ones(5), 6),
    )


@pytest.mark.parametrize("between", [0.0, 1e-6, 2.0, 1e8])
@pytest.mark.parametrize("chosen", [slice(None), slice(3, 20, 4), slice(0, 1)])
@pytest.mark.parametrize("noise", [NOISE, Noise(cell=0.4)])
def test_densities_moments_and_score_are_those_by_eigenvectors(between, chosen, noise):
    values = 4.0 + 2.0 * np.random.default_rng(5).standard_normal((11, len(SAMPLE)))
    values[:4, 2:5] = np.nan  # a sample type that some genes lack
    partitions = Partitions(types=PARTITIONS.types, labels=PARTITIONS.labels[chosen])
    params = point(between, partitions, noise)
    for piece in reduce_samples(values, SAMPLE, 6):
        prepared = Prepared.at(params, partitions, piece)
        mine, (first, second, score) = _at_one_scale(params, partitions, prepared)
        other, (expected, products, slope) = _over_scales(params, partitions, prepared)
        # rounding of 5 x 5 systems, of which a = 1e8 makes the condition 1e8
        tight = 1e-9 if between < 1e3 else 1e-6
        assert_allclose(mine.densities, other.densities, rtol=tight, atol=tight)
        assert_allclose(first, expected, rtol=tight, atol=tight * np.abs(expected).max(initial=1e-300))
        assert_allclose(second, products, rtol=tight, atol=tight * np.abs(products).max(initial=1e-300))
        assert score == pytest.approx(slope, rel=tight, abs=tight * len(piece) / max(between, 1.0))
        assert_allclose(mine.share_products(params.shares), other.share_products(params.shares), rtol=1e-6)


def test_an_inverse_is_the_inverse_of_its_matrix():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((7, 5, 5))
    information = root @ root.transpose(0, 2, 1)
    for system in BlockSystems.of(0.7, information, rng.standard_normal((7, 5)), PARTITIONS):
        count = len(system.pull)
        low = [(b, c) for b in range(count) for c in range(b + 1)]
        for at, j in enumerate(system.positions):
            indicator = PARTITIONS.indicators[j]
            K = np.eye(count) + 0.7 * indicator.T @ information @ indicator
            found = system.inverse[:, at]
            expected = np.stack([np.linalg.inv(K)[:, b, c] for b, c in low])
            assert_allclose(found, expected, rtol=1e-10, atol=1e-12)  # well conditioned: rounding
