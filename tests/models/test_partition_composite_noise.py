"""The product over samples with noise that differs: densities against dense normals, scores against differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import gamma, norm

from varmix.models.partition import composite, heteroscedastic
from varmix.models.partition.composite_heteroscedastic import log_densities, spread_score, summarise
from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.heteroscedastic_posterior import noise_posterior
from varmix.models.partition.noise import NAMES, Noise
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.trend import Trend

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


def all_densities(params: HeteroscedasticParams, pieces: tuple[Genes, ...]) -> np.ndarray:
    found = np.empty((sum(len(piece) for piece in pieces), len(PARTITIONS)))
    for piece in pieces:
        found[piece.positions] = log_densities(params, PARTITIONS, piece)
    return found


def dense(params: HeteroscedasticParams, row: np.ndarray, scale: float, partitions: Sequence[int]) -> np.ndarray:
    """One gene in these partitions, sample by sample: the levels, the misfit and the scatter by hand."""
    noise, seen = params.noise, ~np.isnan(row)
    levels = {s: max(row[seen & (s == TYPES)].mean() / params.trend.reference, 1e-3) for s in set(TYPES[seen])}
    scatter = noise.scatter + noise.scatter_proportional * max(levels.values()) ** 2
    out = np.zeros(len(partitions))
    for at, j in enumerate(partitions):
        indicator = PARTITIONS.indicators[j]
        for value, s in zip(row[seen], TYPES[seen], strict=True):
            p = params.proportions[s]
            error = noise.cell * p @ p + noise.measurement + noise.proportional * levels[s] ** noise.exponent
            error += noise.misfit + noise.misfit_proportional * levels[s] ** noise.misfit_exponent + scatter * p @ p
            variance = params.between * ((p @ indicator) ** 2).sum() + scale * error
            out[at] += norm.logpdf(value, params.mean, np.sqrt(variance))
    return out


def test_density_is_the_product_of_normals(values, pieces):
    params = point()
    found = all_densities(params, pieces)
    for g, row in enumerate(values):
        assert_allclose(found[g], dense(params, row, 1.0, range(5)), rtol=1e-12)  # rounding of eight terms


@pytest.mark.parametrize("spread", [0.02, 0.5, 2.0])
def test_scale_integrated_by_nodes_equals_adaptive_quadrature(values, pieces, spread):
    params = point(spread)
    found = all_densities(params, pieces)
    prior = gamma(1.0 / spread, scale=spread)
    for g, j in ((0, 0), (4, 4), (5, 2)):

        def integrand(eta: float, g: int = g, j: int = j) -> float:
            (density,) = dense(params, values[g], np.exp(eta), [j])
            return float(np.exp(density - found[g, j]) * prior.pdf(np.exp(-eta)) * np.exp(-eta))

        total = sum(quad(integrand, low, low + 1.5, epsabs=1e-11)[0] for low in np.arange(-6.0, 12.0, 1.5))
        assert total == pytest.approx(1.0, abs=1e-7)  # the tails beyond the range and the nodes' own error


def test_it_keeps_the_diagonal_of_the_joint_covariance(values):
    # one sample per gene: nothing is shared, and the two likelihoods are one
    alone = np.full_like(values, np.nan)
    alone[:, 3] = values[:, 3]
    params = point(0.4)
    for piece in reduce_samples(alone[2:], TYPES, 4):
        mine, other = summarise(params, PARTITIONS, piece), heteroscedastic.summarise(params, PARTITIONS, piece)
        assert mine.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-9)  # two sets of nodes
        for name in ("score_mean", "score_between", "score_spread", "score_noise", "score_shares"):
            assert_allclose(getattr(mine, name), getattr(other, name), rtol=1e-6, atol=1e-9)
        assert_allclose(mine.score_proportions, other.score_proportions, rtol=1e-6, atol=1e-9)


def test_with_one_noise_for_all_it_is_the_shared_composite(pieces):
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
            log_densities(params, PARTITIONS, piece), composite.log_densities(shared, PARTITIONS, piece), rtol=1e-12
        )
        mine, other = summarise(params, PARTITIONS, piece), composite.summarise(shared, PARTITIONS, piece)
        assert mine.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
        found = [mine.score_mean, mine.score_between, *mine.score_noise[:2], *mine.score_shares]
        assert_allclose([*found, *mine.score_proportions.ravel()], other.score, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("spread", [0.0, 0.4])
@pytest.mark.parametrize("between", [0.0, 1.7])
def test_scores_are_those_of_differences(pieces, spread, between):
    params = replace(point(spread), between=between)

    def value(at: HeteroscedasticParams) -> float:
        return sum(summarise(at, PARTITIONS, piece).log_likelihood for piece in pieces)

    def slope(change, step: float = 1e-5) -> float:
        if change is lifted:  # a variance at 0 has one side only: a rule of third order
            terms = zip((-11.0, 18.0, -9.0, 2.0), range(4), strict=True)
            return sum(weight * value(change(k * step)) for weight, k in terms) / (6.0 * step)
        return (value(change(step)) - value(change(-step))) / (2.0 * step)

    def lifted(h: float) -> HeteroscedasticParams:
        return replace(params, between=params.between + h)

    parts = [summarise(params, PARTITIONS, piece) for piece in pieces]
    stats = sum(parts[1:], parts[0])
    # differences of log-likelihoods near 100 at steps of 1e-5 lose about 1e-8
    assert stats.score_mean == pytest.approx(slope(lambda h: replace(params, mean=params.mean + h)), rel=1e-6)
    assert stats.score_between == pytest.approx(slope(lifted, 1e-4), rel=1e-6)
    for k, name in enumerate(NAMES):

        def moved(h: float, name: str = name) -> HeteroscedasticParams:
            return replace(params, noise=replace(params.noise, **{name: getattr(params.noise, name) + h}))

        assert stats.score_noise[k] == pytest.approx(slope(moved), rel=1e-6, abs=1e-6)
    if spread:
        assert stats.score_spread == pytest.approx(slope(lambda h: replace(params, spread=spread + h)), rel=1e-6)
    for j, unit in enumerate(np.eye(len(PARTITIONS))):
        found = slope(lambda h, unit=unit: replace(params, shares=params.shares + h * unit))
        assert stats.score_shares[j] == pytest.approx(found, rel=1e-6)
    for s, t in np.ndindex(4, 3):
        unit = np.zeros((4, 3))
        unit[s, t] = 1.0
        found = slope(lambda h, unit=unit: replace(params, proportions=params.proportions + h * unit))
        assert stats.score_proportions[s, t] == pytest.approx(found, rel=1e-6, abs=1e-6)


def test_score_at_no_spread_is_the_slope_of_small_ones(pieces):
    params = point()
    start = sum(summarise(params, PARTITIONS, piece).log_likelihood for piece in pieces)
    small = [
        (sum(summarise(replace(params, spread=h), PARTITIONS, piece).log_likelihood for piece in pieces) - start) / h
        for h in (2e-4, 1e-4)
    ]
    found = sum(spread_score(params, PARTITIONS, piece) for piece in pieces)
    assert found == pytest.approx(2.0 * small[1] - small[0], rel=1e-3)  # extrapolated; nodes are exact to 1e-9


def test_a_share_of_zero_has_a_score(pieces):
    params = replace(point(0.3), shares=np.array([0.0, 0.3, 0.3, 0.2, 0.2]))
    raised = replace(params, shares=np.array([1e-7, 0.3, 0.3, 0.2, 0.2]))

    def value(at: HeteroscedasticParams) -> float:
        return sum(summarise(at, PARTITIONS, piece).log_likelihood for piece in pieces)

    found = sum(summarise(params, PARTITIONS, piece).score_shares[0] for piece in pieces)
    assert found == pytest.approx((value(raised) - value(params)) / 1e-7, rel=1e-4)  # rounding of 100 over 1e-7


def test_no_noise_at_all_is_an_ordinary_point(pieces):
    params = point(0.2, Noise())
    bare = point(0.0, Noise())
    for piece in pieces:
        # without noise its scale changes nothing: the prior integrates to 1 (of a spread of 0.5 the nodes lose 1e-8)
        assert_allclose(
            log_densities(params, PARTITIONS, piece), log_densities(bare, PARTITIONS, piece), rtol=0.0, atol=1e-9
        )
        stats = summarise(params, PARTITIONS, piece)
        assert np.isfinite(stats.score_noise).all()
        assert stats.score_spread == pytest.approx(0.0, abs=1e-7)


def test_scaled_data_have_scaled_answers(values):
    params = point(0.4)
    for size in (1e6, 1e-6):
        larger = replace(
            params,
            mean=params.mean * size,
            between=params.between * size**2,
            trend=Trend(reference=2.5 * size),
            noise=replace(
                params.noise,
                **{n: getattr(params.noise, n) * size**2 for n in NAMES if not n.endswith("exponent")},
            ),
        )
        pieces, others = reduce_samples(values, TYPES, 4), reduce_samples(values * size, TYPES, 4)
        mine = noise_posterior(params, PARTITIONS, pieces, densities=log_densities)
        same = noise_posterior(larger, PARTITIONS, others, densities=log_densities)
        assert_allclose(same.probabilities, mine.probabilities, rtol=1e-9)
        assert_allclose(same.scale, mine.scale, rtol=1e-9)
        shift = (~np.isnan(values)).sum(axis=1) * np.log(size)
        assert_allclose(same.log_densities, mine.log_densities - shift, rtol=1e-9)
