"""Expression of cell types in one sample: against the dense joint normal of types, cells and samples."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import gamma, multivariate_normal

from varmix.errors import ShapeError
from varmix.models.partition.deconvolution import sample_expression
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
CELL, MEASUREMENT = 0.5, 0.2


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    found = 2.0 * np.random.default_rng(3).standard_normal((6, len(TYPES))) + 3.0
    found[0, 3] = found[1, 5] = np.nan
    found[4] = np.nan
    return found


def dense(
    gene: np.ndarray, sample: int, *, other: np.ndarray, lack: np.ndarray, k: float, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of the cell types in `sample`, from one joint normal of what they are in it and all samples shown.

    `other` (D,) is the variance of measurement, `lack` (D,) of lack of fit, `k` of scatter.
    """
    seen = ~np.isnan(gene)
    rows, at = ROWS[TYPES], TYPES
    eta = np.linspace(-4.0, 9.0, 201) if spread else np.zeros(1)
    prior = np.zeros(1)
    if spread:
        prior = gamma(1.0 / spread, scale=spread).logpdf(np.exp(-eta)) - eta
    logs, means, covariances = [], [], []
    for together, share in zip(PARTITIONS.together, SHARES, strict=True):
        for scale, weight in zip(np.exp(eta), prior, strict=True):
            types = 1.7 * together + scale * k * np.eye(3)
            inside = types + scale * CELL * np.eye(3)
            noise = np.diag(CELL * (rows**2).sum(axis=1) + other[at]) + (at[:, None] == at) * lack[at]
            full = (rows @ types @ rows.T + scale * noise)[np.ix_(seen, seen)]
            cross = types @ rows.T
            cross[:, sample] += scale * CELL * rows[sample]
            gain = np.linalg.solve(full, cross[:, seen].T).T
            logs.append(np.log(share) + weight + multivariate_normal.logpdf(gene[seen], np.full(seen.sum(), 2.0), full))
            means.append(2.0 + gain @ (gene[seen] - 2.0))
            covariances.append((inside - gain @ cross[:, seen].T).diagonal())
    weights = np.exp(np.array(logs) - max(logs))
    weights /= weights.sum()
    mean = weights @ np.array(means)
    return mean, np.sqrt(weights @ (np.array(covariances) + (np.array(means) - mean) ** 2))


def test_one_noise_for_all_is_the_dense_conditional(values):
    model = PartitionMixture.of(values, TYPES, PARTITIONS, ROWS, noise="both")
    params = PartitionParams(mean=2.0, between=1.7, cell=CELL, measurement=MEASUREMENT, shares=SHARES, proportions=ROWS)
    inner = model.point(model.inward(params))
    posterior = gene_posterior(model, inner)
    for sample in (0, 3, 5):
        found = sample_expression(
            posterior, inner, model.pieces, values[:, sample], int(TYPES[sample]), scale=model.scale
        )
        for g in (0, 1, 2):  # with genes that are missing in this sample
            mean, sd = dense(values[g], sample, other=np.full(4, MEASUREMENT), lack=np.zeros(4), k=0.0, spread=0.0)
            assert_allclose(found.means[g], mean, rtol=1e-10)  # rounding of 8 x 8 matrices
            assert_allclose(found.sds[g], sd, rtol=1e-10)
        assert_allclose(found.means[4], 2.0)
        assert_allclose(found.sds[4], np.sqrt(1.7 + CELL))


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_lack_of_fit_shared_by_replicates_is_told_from_cells(values, spread):
    noise = Noise(
        cell=CELL, measurement=MEASUREMENT, proportional=0.15, exponent=1.4, misfit=0.3, misfit_proportional=0.1,
        misfit_exponent=1.8, scatter=0.07, scatter_proportional=0.04,
    )  # fmt: skip
    params = HeteroscedasticParams(
        mean=2.0, between=1.7, noise=noise, trend=Trend(reference=2.5), spread=spread, shares=SHARES, proportions=ROWS
    )
    pieces, size = reduce_samples(values / 4.0, TYPES, 4), 4.0
    inner = HeteroscedasticParams(
        mean=0.5,
        between=1.7 / 16.0,
        noise=Noise(
            **{
                name: getattr(noise, name) / (1.0 if name.endswith("exponent") else 16.0)
                for name in Noise.__dataclass_fields__
            }
        ),
        trend=Trend(reference=2.5 / 4.0),
        spread=spread,
        shares=SHARES,
        proportions=ROWS,
    )
    posterior = noise_posterior(inner, PARTITIONS, pieces, scale=size)
    for sample in (0, 2, 5):
        found = sample_expression(posterior, inner, pieces, values[:, sample], int(TYPES[sample]), scale=size)
        for g in (1, 2, 3):
            shown = np.array([np.nanmean(values[g, s == TYPES]) if g != 1 or s != 2 else 0.0 for s in range(4)])
            level = np.maximum(shown / 2.5, 1e-3)
            mean, sd = dense(
                values[g],
                sample,
                other=MEASUREMENT + 0.15 * level**1.4,
                lack=0.3 + 0.1 * level**1.8,
                k=0.07 + 0.04 * level.max() ** 2,
                spread=spread,
            )
            tolerance = 1e-6 if spread else 1e-10  # nodes against a fine rule, or rounding
            assert_allclose(found.means[g], mean, rtol=tolerance)
            assert_allclose(found.sds[g], sd, rtol=tolerance)
    plain = sample_expression(
        noise_posterior(params, PARTITIONS, reduce_samples(values, TYPES, 4)),
        params,
        reduce_samples(values, TYPES, 4),
        values[:, 0],
        0,
    )
    other = sample_expression(posterior, inner, pieces, values[:, 0], 0, scale=size)
    assert_allclose(plain.means, other.means, rtol=1e-9)
    assert_allclose(plain.sds, other.sds, rtol=1e-9)


def test_without_noise_of_cells_all_samples_of_a_type_express_the_same(values):
    params = HeteroscedasticParams(
        mean=2.0,
        between=1.7,
        noise=Noise(measurement=0.3, misfit=0.1),
        trend=Trend(reference=2.5),
        spread=2.5,
        shares=SHARES,
        proportions=ROWS,
    )
    pieces = reduce_samples(values, TYPES, 4)
    posterior = noise_posterior(params, PARTITIONS, pieces)
    found = sample_expression(posterior, params, pieces, values[:, 0], 0)
    assert_allclose(found.means, posterior.means, rtol=1e-12)
    assert_allclose(found.sds, posterior.sds, rtol=1e-12)


def test_a_pure_sample_without_measurement_error_is_its_cell_type():
    rows = np.vstack([np.eye(3), ROWS])
    types = np.arange(7).repeat(2)
    values = 3.0 + np.random.default_rng(0).standard_normal((5, 14))
    model = PartitionMixture.of(values, types, PARTITIONS, rows, noise="cell")
    params = PartitionParams(mean=2.0, between=1.7, cell=0.5, measurement=0.0, shares=SHARES, proportions=rows)
    inner = model.point(model.inward(params))
    found = sample_expression(gene_posterior(model, inner), inner, model.pieces, values[:, 2], 1, scale=model.scale)
    assert_allclose(found.means[:, 1], values[:, 2], rtol=1e-12)
    assert_allclose(found.sds[:, 1], 0.0, atol=1e-7)  # the root of the rounding of a variance of 1


def test_a_sample_that_was_not_fitted_is_refused(values):
    model = PartitionMixture.of(values, TYPES, PARTITIONS, ROWS, noise="cell")
    params = PartitionParams(mean=2.0, between=1.7, cell=0.5, measurement=0.0, shares=SHARES, proportions=ROWS)
    posterior = gene_posterior(model, params)
    with pytest.raises(ShapeError, match=r"\(3,\) for 6 genes"):
        sample_expression(posterior, params, model.pieces, values[:3, 0], 0)
    with pytest.raises(ShapeError, match="gene 5, of which its type 1 has no sample"):
        sample_expression(posterior, params, model.pieces, np.ones(6), 0)
