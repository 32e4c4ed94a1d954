"""What is given a probability of p happens with frequency p, at the parameters that each fit has found."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
from mixed_samples import CELL_TYPES, PARTITIONS, PLAIN, PROPORTIONS, mixed

import varmix as vm
from varmix.errors import VarmixWarning
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import Noise
from varmix.models.partition.trend import Trend

pytestmark = pytest.mark.slow

SETS, GENES = 10, 1_000
GROWING = HeteroscedasticParams(
    mean=9.0,
    between=6.0,
    noise=Noise(
        measurement=0.1, proportional=0.3, exponent=1.8, misfit_proportional=0.1, scatter_proportional=(0.05 * 9.0) ** 2
    ),  # scatter of the default margin
    trend=Trend(reference=9.0),
    shares=PLAIN.shares,
    proportions=PROPORTIONS,
)
MODERATED = HeteroscedasticParams(
    mean=5.0,
    between=1.0,
    noise=Noise(cell=0.16, measurement=0.04),
    trend=Trend(reference=5.0),
    shares=PLAIN.shares,
    proportions=PROPORTIONS,
    spread=0.4,
)
MODELS = {
    "shared": (PLAIN, {"noise": "both"}),
    "full": (GROWING, {"noise": "full"}),
    "moderated": (MODERATED, {"noise": "both", "variance": "moderated"}),
}


@dataclass(frozen=True)
class Told:
    """Of all genes of all sets: probabilities of partitions (N, J) and of pairs together (N, K), and what was true;
    local false discovery rates, q-values; posterior means and sds of cell types with their truth (N, T)."""

    partitions: np.ndarray
    true_partitions: np.ndarray
    together: np.ndarray
    true_together: np.ndarray
    rates: np.ndarray
    q_values: np.ndarray
    means: np.ndarray
    sds: np.ndarray
    true_means: np.ndarray


@pytest.fixture(scope="module", params=MODELS)
def told(request) -> Told:
    params, options = MODELS[request.param]
    rows = []
    for seed in range(SETS):
        data = mixed([71, seed], GENES, params=params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VarmixWarning)
            fit = vm.partition_mixture(data.S, data.sample_type, proportions=data.proportions, **options)
        assert fit.status.arrived
        pairs = np.array([PARTITIONS.together[j][np.triu_indices(3, 1)] for j in data.partition])
        classes, expression = fit.classes, fit.table("expression")
        rows.append(
            (
                classes[list(PARTITIONS.words)].to_numpy(),
                np.eye(5)[data.partition],
                fit.table("together").iloc[:, 1:].to_numpy(),
                pairs,
                classes["lfdr"].to_numpy(),
                classes["q_value"].to_numpy(),
                expression[CELL_TYPES].to_numpy(),
                expression[[f"sd({name})" for name in CELL_TYPES]].to_numpy(),
                data.means,
            )
        )
    return Told(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def reliability(probability: np.ndarray, happened: np.ndarray, bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Frequency less mean probability by bins of equal width, and its binomial standard error."""
    number = np.minimum((probability.ravel() * bins).astype(int), bins - 1)
    p, x = probability.ravel(), happened.ravel()
    gaps, errors = [], []
    for k in range(bins):
        at = number == k
        if at.sum() >= 50:
            gaps.append(x[at].mean() - p[at].mean())
            errors.append(np.sqrt((p[at] * (1.0 - p[at])).sum()) / at.sum())
    return np.array(gaps), np.array(errors)


PARAMETERS = 0.015
"""What estimates from 1,000 genes, ten times over, add to the gap of a bin beside binomial chance."""


@pytest.mark.parametrize("kind", ["partitions", "together"])
def test_probabilities_are_frequencies(told, kind):
    """50,000 pairs of a gene and a partition; a band is left once in 16,000 bins."""
    probability, happened = getattr(told, kind), getattr(told, f"true_{kind}")
    assert probability.size >= 30_000
    gaps, errors = reliability(probability, happened)
    assert len(gaps) >= 9
    assert (np.abs(gaps) < 4.0 * errors + PARAMETERS).all(), np.column_stack([gaps, errors])
    assert np.abs(gaps).mean() < 0.02


def test_lists_hold_the_share_of_false_discoveries_that_they_expect(told):
    called = told.q_values <= 0.05
    equal = told.true_partitions[:, 0] == 1.0
    expected = told.rates[called].mean()
    realised = equal[called].mean()
    assert called.sum() > 1_000
    error = np.sqrt((told.rates[called] * (1.0 - told.rates[called])).sum()) / called.sum()
    assert realised == pytest.approx(expected, abs=4.0 * error + 0.005)
    assert realised < 0.06


def test_intervals_of_expression_cover(told):
    """Mean +- 1.96 sd of a mixture of normals: 95 % up to a point or so, as such mixtures are peaked or two-humped."""
    inside = np.abs(told.true_means - told.means) <= 1.96 * told.sds
    assert 0.93 <= inside.mean() <= 0.97
    ratio = ((told.true_means - told.means) ** 2 / told.sds**2).mean()
    assert ratio == pytest.approx(1.0, abs=0.06)


def test_probabilities_say_more_than_the_shares(told):
    """Sharpness beside calibration: the mean log probability of the truth exceeds that of the shares themselves."""
    right = told.partitions[told.true_partitions == 1.0]
    share = told.true_partitions.mean(axis=0)
    assert np.log(np.maximum(right, 1e-12)).mean() > (share * np.log(share)).sum() + 0.3


def test_a_product_of_samples_is_surer_than_it_should_be():
    """Beside the same measure: its probabilities are no frequencies."""
    probability, happened = [], []
    for seed in range(4):
        data = mixed([72, seed], GENES, params=replace(PLAIN, measurement=0.0))
        fit = vm.partition_mixture(data.S, data.sample_type, proportions=data.proportions, likelihood="composite")
        probability.append(fit.classes[list(PARTITIONS.words)].to_numpy())
        happened.append(np.eye(5)[data.partition])
    gaps, _ = reliability(np.concatenate(probability), np.concatenate(happened))
    assert np.abs(gaps).max() > 0.2
