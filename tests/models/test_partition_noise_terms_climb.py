"""Every choice of noise terms starts at what it names and climbs to a certificate."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.errors import OptionError
from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.partition.noise import EXPONENTS, NAMES
from varmix.models.partition.noise_fit import NoiseFit, fit_noise
from varmix.models.partition.noise_starts import free_names, noise_start
from varmix.models.partition.noise_terms import SAMPLED, TERMS
from varmix.models.partition.partitions import all_partitions

PARTITIONS = all_partitions(["liver", "brain", "lung"])
SAMPLE = np.repeat(np.arange(8), 3)
PROPORTIONS = np.vstack([np.eye(3), np.random.default_rng(4).dirichlet(np.full(3, 3.0), 5)])
CHOICES = [
    frozenset(chosen)
    for size in range(1, len(TERMS) + 1)
    for chosen in combinations(sorted(TERMS), size)
    if SAMPLED & set(chosen)
]
PARTS = {
    "cell": {"cell"},
    "measurement": {"measurement"},
    "trend": {"proportional", "exponent"},
    "misfit": {"misfit", "misfit_proportional"},
    "scatter": {"scatter", "scatter_proportional"},
}


def told(terms: frozenset[str]) -> str:
    return "+".join(sorted(terms))


def simulated(terms: frozenset[str], *, genes: int = 100, seed: int = 7, base: float = 60.0) -> np.ndarray:
    """Levels near `base` with an sd of 25 between blocks; each term of the noise as asked for."""
    rng = np.random.default_rng(seed)
    labels = np.array(PARTITIONS.labels)[rng.integers(0, 5, genes)]
    types = np.take_along_axis(base + 25.0 * rng.standard_normal((genes, 3)), labels, axis=1)
    if "scatter" in terms:
        types = types + 3.0 * rng.standard_normal(types.shape)
    means = types @ PROPORTIONS.T
    if "misfit" in terms:
        means = means + 3.0 * rng.standard_normal(means.shape)
    variance = np.full(means.shape, 1e-3)
    variance = variance + (9.0 if "measurement" in terms else 0.0)
    variance = variance + ((16.0 * (PROPORTIONS**2).sum(axis=1)) if "cell" in terms else 0.0)
    variance = variance + ((0.06 * means) ** 2 if "trend" in terms else 0.0)
    return means[:, SAMPLE] + np.sqrt(variance)[:, SAMPLE] * rng.standard_normal((genes, len(SAMPLE)))


def fitted(values: np.ndarray, terms: frozenset[str], *, spread: float = 0.0) -> NoiseFit:
    piece = reduce_samples(values, SAMPLE, 8)[0]
    start = noise_start([piece], PARTITIONS, PROPORTIONS, terms=terms, spread=spread)
    return fit_noise([piece], PARTITIONS, start, free=free_names(terms, moderated=spread > 0.0))


@pytest.mark.parametrize("terms", CHOICES, ids=told)
def test_every_choice_of_terms_reaches_a_certificate(terms):
    fit = fitted(simulated(terms), terms)
    assert fit.converged, fit.status
    assert fit.certificate.newton_decrement <= 1e-6
    named = set().union(*(PARTS[term] for term in terms))
    for name in set(NAMES) - named - set(EXPONENTS):
        assert getattr(fit.params.noise, name) == 0.0


@pytest.mark.parametrize("terms", [frozenset({"cell"}), frozenset({"cell", "trend"}), frozenset(TERMS)], ids=told)
def test_moderated_scales_reach_a_certificate_too(terms):
    fit = fitted(simulated(terms, genes=60), terms, spread=0.3)
    assert fit.converged, fit.status


@pytest.mark.parametrize("terms", CHOICES, ids=told)
def test_a_start_is_positive_for_its_terms_and_exactly_zero_for_all_others(terms):
    piece = reduce_samples(simulated(terms, genes=30), SAMPLE, 8)[0]
    start = noise_start([piece], PARTITIONS, PROPORTIONS, terms=terms)
    positive = {name for name in NAMES if name not in EXPONENTS and getattr(start.noise, name) > 0.0}
    assert positive == (free_names(terms, moderated=False) & set(NAMES)) - set(EXPONENTS)


def test_cells_and_measurement_are_told_apart_by_how_samples_are_mixed():
    terms = frozenset({"cell", "measurement"})
    noise = fitted(simulated(terms, genes=400), terms).params.noise
    # 6,400 degrees of freedom: standard errors of 2 % of a variance, three times that for two that share it
    assert noise.cell == pytest.approx(16.0, rel=0.2)
    assert noise.measurement == pytest.approx(9.0, rel=0.2)


@pytest.mark.parametrize(
    "terms",
    [frozenset({"cell"}), frozenset({"measurement", "misfit"}), frozenset({"cell", "misfit", "scatter"})],
    ids=told,
)
def test_without_a_trend_values_may_be_negative_and_only_differences_count(terms):
    values = simulated(terms)
    fits = [fitted(values - shift, terms) for shift in (0.0, 60.0, 500.0)]
    for fit in fits[1:]:
        assert fit.converged
        assert fit.objective == pytest.approx(fits[0].objective, abs=1e-6)  # certified; sums of 1e4
        # certified to a millionth of a standard error, which is below the variance
        assert_allclose(fit.params.noise.misfit, fits[0].params.noise.misfit, rtol=1e-4, atol=1e-4)
        assert_allclose(fit.params.shares, fits[0].params.shares, atol=1e-5)


@pytest.mark.parametrize("unit", [1e6, 1e-6])
@pytest.mark.parametrize("terms", [frozenset({"cell", "misfit"}), frozenset(TERMS)], ids=told)
def test_units_of_the_values_do_not_matter(unit, terms):
    values = simulated(terms)
    one, other = fitted(values, terms), fitted(unit * values, terms)
    assert other.status is one.status
    assert other.objective == pytest.approx(one.objective - values.size * np.log(unit), abs=1e-5)  # sums of 3e4
    assert other.params.between == pytest.approx(unit**2 * one.params.between, rel=1e-5)
    assert_allclose(other.params.shares, one.params.shares, atol=1e-5)


def without_replicates() -> Genes:
    return reduce_samples(simulated(frozenset({"measurement", "trend"}))[:, ::3], np.arange(8), 8)[0]


def test_lack_of_fit_without_replicates_is_refused_with_advice():
    with pytest.raises(OptionError, match=r"Leave 'misfit' out"):
        noise_start([without_replicates()], PARTITIONS, PROPORTIONS)


@pytest.mark.parametrize(
    "terms", [frozenset({"cell"}), frozenset({"measurement"}), frozenset({"measurement", "trend"})], ids=told
)
def test_without_replicates_partitions_tell_the_noise(terms):
    piece = without_replicates()
    start = noise_start([piece], PARTITIONS, PROPORTIONS, terms=terms)
    fit = fit_noise([piece], PARTITIONS, start, free=free_names(terms, moderated=False))
    assert fit.converged, fit.status


def test_terms_that_leave_no_error_or_are_unknown_are_refused():
    piece = without_replicates()
    with pytest.raises(OptionError, match="would have no error"):
        noise_start([piece], PARTITIONS, PROPORTIONS, terms=frozenset({"scatter"}))
    with pytest.raises(OptionError, match="dropout is no term"):
        noise_start([piece], PARTITIONS, PROPORTIONS, terms=frozenset({"dropout", "cell"}))


def test_a_trend_needs_levels_above_zero():
    piece = reduce_samples(simulated(frozenset({"cell"})) - 1e4, SAMPLE, 8)[0]
    with pytest.raises(OptionError, match="must be positive"):
        noise_start([piece], PARTITIONS, PROPORTIONS, terms=frozenset({"trend"}))
