"""Rat liver, brain and lung RNA in known mixtures: partitions and proportions with estimated noise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.partition.heteroscedastic_posterior import noise_posterior
from varmix.models.partition.noise_fit import NoiseFit, fit_noise
from varmix.models.partition.noise_starts import free_names, noise_start, vertex_start
from varmix.models.partition.noise_terms import MARGIN, SETS
from varmix.models.partition.partitions import all_partitions

pytestmark = pytest.mark.slow

PARTITIONS = all_partitions(["liver", "brain", "lung"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixtures:
    proportions: np.ndarray
    pure: Genes
    mixed: Genes
    every: Genes


@pytest.fixture(scope="module")
def mixtures(reference: Path) -> Mixtures:
    expression = pd.read_csv(reference / "partition" / "shen_orr_expression.csv", index_col=0)
    known = pd.read_csv(reference / "partition" / "shen_orr_proportions.csv", index_col=0).loc[expression.columns]
    proportions, sample_type = np.unique(known.to_numpy(), axis=0, return_inverse=True)
    pure = proportions.max(axis=1)[sample_type] == 1.0

    def reduced(chosen: np.ndarray) -> Genes:
        return reduce_samples(expression.to_numpy()[:, chosen], sample_type[chosen], len(proportions))[0]

    return Mixtures(
        proportions=proportions, pure=reduced(pure), mixed=reduced(~pure), every=reduced(np.full(len(pure), True))
    )


def best_partitions(fit: NoiseFit, genes: Genes) -> np.ndarray:
    return noise_posterior(fit.params, PARTITIONS, [genes]).best


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_partitions_from_mixed_samples_alone_are_those_of_pure_samples(mixtures, spread):
    start = noise_start([mixtures.mixed], PARTITIONS, mixtures.proportions, spread=spread, margin=MARGIN)
    fit = fit_noise([mixtures.mixed], PARTITIONS, start, free=free_names(SETS["full"], moderated=spread > 0.0))
    assert fit.converged
    agreement = best_partitions(fit, mixtures.mixed) == best_partitions(fit, mixtures.pure)
    assert agreement.mean() > 0.945  # .958 and .963 when this was written; what was asked is .93


def test_partitions_agree_where_nothing_is_shared_between_the_fits(mixtures):
    fits = [
        fit_noise(
            [genes],
            PARTITIONS,
            noise_start([genes], PARTITIONS, mixtures.proportions, margin=MARGIN),
            free=free_names(SETS["full"], moderated=False),
        )
        for genes in (mixtures.mixed, mixtures.pure)
    ]
    agreement = best_partitions(fits[0], mixtures.mixed) == best_partitions(fits[1], mixtures.pure)
    assert agreement.mean() > 0.945


@pytest.mark.parametrize(("spread", "starts", "correlation", "error"), [(0.0, 4, 0.975, 0.05), (0.3, 1, 0.95, 0.06)])
def test_free_proportions_are_the_known_ones_at_the_highest_posterior(mixtures, spread, starts, correlation, error):
    genes, found = mixtures.every, []
    free = free_names(SETS["full"], moderated=spread > 0.0) | {"proportions"}
    prior = np.full(mixtures.proportions.shape, 1.05)
    for seed in range(starts):
        vertices = vertex_start([genes], 3, len(mixtures.proportions), np.random.default_rng(seed))
        start = noise_start([genes], PARTITIONS, vertices, spread=spread)
        found.append(fit_noise([genes], PARTITIONS, start, free=free, concentration=prior, staged=True))
    highest = max(found, key=lambda fit: fit.objective)
    assert highest.converged
    best = highest.params.proportions
    assert (highest.proportion_errors < 0.1).all()  # a prior keeps all of P inside; 600 genes tell every entry
    orders = [best[:, order] for order in permutations(range(3))]
    matched = min(orders, key=lambda P: np.abs(P - mixtures.proportions).sum())
    assert np.corrcoef(matched.ravel(), mixtures.proportions.ravel())[0, 1] > correlation
    assert np.abs(matched - mixtures.proportions).mean() < error
