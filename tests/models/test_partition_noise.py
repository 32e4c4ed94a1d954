"""Noise that differs between genes and types: densities against dense normals, scores against differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import gamma, multivariate_normal

from varmix.errors import OptionError
from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.partition.heteroscedastic import log_densities, summarise
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.joint import log_densities as shared_log_densities
from varmix.models.partition.joint import summarise as shared_summarise
from varmix.models.partition.moderated import log_prior, prior_score
from varmix.models.partition.noise import NAMES, Noise
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.trend import Trend, replicate_trend

TYPES = np.repeat(np.arange(4), [2, 3, 1, 2])
PARTITIONS = all_partitions(["liver", "brain", "lung"])
NOISE = Noise(
    cell=0.2,
    measurement=0.1,
    proportional=0.15,
    exponent=1.4,
    misfit=0.05,
    misfit_proportional=0.03,
    misfit_exponent=1.8,
    scatter=0.07,
    scatter_proportional=0.04,
)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(3)
    values = 2.0 * rng.standard_normal((9, len(TYPES))) + 3.0
    values[0, 1] = values[1, 5] = np.nan
    return values


@pytest.fixture(scope="module")
def pieces(values: np.ndarray) -> tuple[Genes, ...]:
    return reduce_samples(values, TYPES, 4)


def point(spread: float = 0.0, noise: Noise = NOISE) -> HeteroscedasticParams:
    rng = np.random.default_rng(1)
    return HeteroscedasticParams(
        mean=2.0,
        between=1.7,
        noise=noise,
        trend=Trend(reference=2.5),
        spread=spread,
        shares=rng.dirichlet(np.ones(len(PARTITIONS))),
        proportions=rng.dirichlet(np.ones(3), 4),
    )


def all_stats(params: HeteroscedasticParams, pieces: Sequence[Genes]):
    parts = [summarise(params, PARTITIONS, piece) for piece in pieces]
    return sum(parts[1:], parts[0])


def dense(params: HeteroscedasticParams, values: np.ndarray, scale: float, partitions: Sequence[int]) -> np.ndarray:
    """The full covariance of a gene's samples, written out: misfit shared by the samples of a type, levels by hand."""
    out = np.empty((len(values), len(partitions)))
    noise, P = params.noise, params.proportions
    for g, row in enumerate(values):
        seen = ~np.isnan(row)
        means = np.array([row[seen & (s == TYPES)].mean() if (seen & (s == TYPES)).any() else 1.0 for s in range(4)])
        there = np.array([(seen & (s == TYPES)).any() for s in range(4)])
        level = np.maximum(means / params.trend.reference, 1e-3)
        scatter = noise.scatter + noise.scatter_proportional * level[there].max() ** 2
        sample = noise.cell * (P**2).sum(axis=1) + noise.measurement + noise.proportional * level**noise.exponent
        misfit = noise.misfit + noise.misfit_proportional * level**noise.misfit_exponent
        member = np.eye(4)[TYPES]
        error = np.diag(sample[TYPES]) + member @ np.diag(misfit) @ member.T
        error += scatter * P[TYPES] @ P[TYPES].T
        for at, j in enumerate(partitions):
            shown = (P @ PARTITIONS.indicators[j])[TYPES]
            full = scale * error + params.between * shown @ shown.T
            out[g, at] = multivariate_normal.logpdf(
                row[seen], np.full(seen.sum(), params.mean), full[np.ix_(seen, seen)]
            )
    return out


def test_density_is_the_dense_normal_with_misfit_and_scatter_shared_by_replicates(values, pieces):
    params = point()
    found = np.empty((len(values), len(PARTITIONS)))
    for piece in pieces:
        found[piece.positions] = log_densities(params, PARTITIONS, piece)
    assert_allclose(found, dense(params, values, 1.0, range(5)), rtol=1e-11)  # rounding of 8 x 8 factorisations


def test_without_trend_it_is_the_shared_variance_model(pieces):
    params = point(noise=Noise(cell=0.4, measurement=0.2))
    shared = PartitionParams(
        mean=params.mean,
        between=params.between,
        cell=0.4,
        measurement=0.2,
        shares=params.shares,
        proportions=params.proportions,
    )
    for piece in pieces:
        assert_allclose(
            log_densities(params, PARTITIONS, piece), shared_log_densities(shared, PARTITIONS, piece), rtol=1e-12
        )
        mine, other = summarise(params, PARTITIONS, piece), shared_summarise(shared, PARTITIONS, piece)
        found = [mine.score_mean, mine.score_between, *mine.score_noise[:2]]
        assert_allclose(found, other.score[:4], rtol=1e-9)


@pytest.mark.parametrize("spread", [0.02, 0.5, 2.0])
def test_scale_integrated_by_nodes_equals_adaptive_quadrature(values, pieces, spread):
    params = point(spread)
    found = np.empty((len(values), len(PARTITIONS)))
    for piece in pieces:
        found[piece.positions] = log_densities(params, PARTITIONS, piece)
    prior = gamma(1.0 / spread, scale=spread)
    for g in (0, 4):
        for j in (0, 4):
            top = found[g, j]

            def integrand(eta: float, g: int = g, j: int = j, top: float = top) -> float:
                density = dense(params, values[g : g + 1], np.exp(eta), [j])[0, 0]
                return float(np.exp(density - top) * prior.pdf(np.exp(-eta)) * np.exp(-eta))

            centre = 0.0
            total = sum(
                quad(integrand, centre + low, centre + low + 1.5, epsabs=1e-11)[0] for low in np.arange(-6, 12, 1.5)
            )
            assert total == pytest.approx(1.0, abs=1e-7)  # what the trapezoidal rule leaves at gamma shapes of 4


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_scores_are_differences_of_the_log_likelihood(pieces, spread):
    params, step = point(spread), 1e-5
    stats = all_stats(params, pieces)

    def slope(up: HeteroscedasticParams, down: HeteroscedasticParams) -> float:
        return (all_stats(up, pieces).log_likelihood - all_stats(down, pieces).log_likelihood) / (2.0 * step)

    def moved(name: str, by: float) -> HeteroscedasticParams:
        return replace(params, **{name: getattr(params, name) + by})

    names = {"mean": stats.score_mean, "between": stats.score_between}
    if spread:
        names["spread"] = stats.score_spread
    for name, score in names.items():
        assert score == pytest.approx(slope(moved(name, step), moved(name, -step)), rel=1e-6, abs=1e-6), name
    for name, score in zip(NAMES, stats.score_noise, strict=True):
        up, down = (replace(NOISE, **{name: getattr(NOISE, name) + by}) for by in (step, -step))
        found = slope(replace(params, noise=up), replace(params, noise=down))
        assert score == pytest.approx(found, rel=1e-6, abs=1e-6), name
    for k in (0, 5, 11):
        change = np.zeros(12)
        change[k] = step
        up, down = (replace(params, proportions=params.proportions + s * change.reshape(4, 3)) for s in (1.0, -1.0))
        assert stats.score_proportions.flat[k] == pytest.approx(slope(up, down), rel=1e-6, abs=1e-6)


def test_a_spread_near_zero_is_one_scale(pieces):
    limit, near, nearer = (all_stats(point(spread), pieces) for spread in (0.0, 1e-6, 1e-7))
    gap = near.log_likelihood - limit.log_likelihood
    # what is left is linear in the spread; the next term is a hundredth of a per cent of it
    assert nearer.log_likelihood - limit.log_likelihood == pytest.approx(gap / 10.0, rel=0.01)
    assert_allclose(nearer.score_noise, limit.score_noise, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("spread", [0.03, 1e-4, 1e-7, 1e-10])
def test_density_of_scales_keeps_its_digits_where_they_hardly_differ(spread):
    # By Stirling's series; what rounding takes would be the same for all genes, and add up over them.
    eta, tail = np.zeros((1, 1)), spread**2 * (1.0 / 120.0 - spread**2 / 252.0 + spread**4 / 240.0)
    assert_allclose(prior_score(eta, spread), -(0.5 / spread + 1.0 / 12.0 - tail), rtol=1e-15)
    tail = spread**3 * (1.0 / 360.0 - spread**2 / 1260.0 + spread**4 / 1680.0)
    height = -0.5 * np.log(2.0 * np.pi * spread) - spread / 12.0 + tail
    assert_allclose(log_prior(eta, spread), height, rtol=1e-14)


@pytest.mark.parametrize("shape", [19.9, 20.1])
def test_density_of_scales_is_that_of_an_inverse_gamma(shape):
    eta = np.linspace(-1.0, 1.0, 5)[None, :]
    expected = gamma(shape, scale=1.0 / shape).logpdf(np.exp(-eta)) - eta
    assert_allclose(log_prior(eta, 1.0 / shape), expected, atol=1e-12)


def test_blocks_of_genes_do_not_change_the_sums(pieces, monkeypatch):
    params = point(0.4)
    whole = all_stats(params, pieces)
    monkeypatch.setattr("varmix.models.partition.heteroscedastic.BLOCK", 2)
    parts = all_stats(params, pieces)
    assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    assert_allclose(parts.score_proportions, whole.score_proportions, rtol=1e-9, atol=1e-10)


def test_replicates_tell_the_trend():
    rng = np.random.default_rng(2)
    level = np.exp(rng.uniform(0.0, 6.0, (800, 4)))
    spread = np.sqrt(0.5 + 0.02 * level**1.5)
    piece = reduce_samples(
        level[:, TYPES] * 10.0 + 10.0 * spread[:, TYPES] * rng.standard_normal((800, len(TYPES))), TYPES, 4
    )
    found = replicate_trend(piece, Trend(reference=10.0), Noise())
    # 3,200 degrees of freedom: standard errors of about 3 % of a variance and .01 of the exponent
    assert found.exponent == pytest.approx(1.5, abs=0.06)
    assert found.proportional == pytest.approx(2.0, rel=0.2)


def test_a_negative_variance_is_refused():
    with pytest.raises(OptionError, match="cell = -1"):
        Noise(cell=-1.0)
