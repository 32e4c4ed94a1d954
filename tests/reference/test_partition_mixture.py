"""Rat liver, brain and lung and eleven mixtures of their RNA (Shen-Orr et al. 2010, GSE19830): 600 genes, 42 arrays.

The mixtures were made in known proportions, and the pure tissues were measured: what mixtures say of a gene can be
held against what the tissues say. The README of the reference data tells how the genes were chosen.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import ConvergenceWarning, VarmixWarning


@dataclass(frozen=True)
class Tissues:
    """`S` genes x samples, proportions of each sample, which samples are pure, and the type of each."""

    S: pd.DataFrame
    proportions: pd.DataFrame
    pure: np.ndarray

    @property
    def sample_type(self) -> list[str]:
        return ["/".join(f"{value:g}" for value in row) for row in self.proportions.to_numpy()]

    @property
    def by_type(self) -> pd.DataFrame:
        return self.proportions.set_axis(self.sample_type, axis=0).loc[lambda table: ~table.index.duplicated()]


@pytest.fixture(scope="module")
def tissues(reference: Path) -> Tissues:
    S = pd.read_csv(reference / "partition" / "shen_orr_expression.csv", index_col=0)
    known = pd.read_csv(reference / "partition" / "shen_orr_proportions.csv", index_col=0).loc[S.columns]
    return Tissues(S=S, proportions=known, pure=(known.max(axis=1) == 1.0).to_numpy())


def fitted(*args, **options) -> vm.Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        warnings.simplefilter("error", ConvergenceWarning)
        return vm.partition_mixture(*args, **options)


@pytest.fixture(scope="module")
def of_mixtures(tissues: Tissues) -> vm.Fit:
    return fitted(tissues.S.loc[:, ~tissues.pure], proportions=tissues.proportions[~tissues.pure])


def test_the_data_show_that_noise_grows_and_that_mixtures_miss(of_mixtures):
    assert of_mixtures.facts["noise"] == ["measurement", "trend", "misfit"]
    assert of_mixtures.facts["margin"] == 0.05
    assert of_mixtures.status.arrived


def test_mixtures_alone_name_the_partitions_that_the_pure_tissues_do(tissues, of_mixtures):
    """At the mixtures' estimates, .958 of 600 genes: .94 leaves two standard errors."""
    pure = of_mixtures.predict(tissues.S.loc[:, tissues.pure], proportions=tissues.proportions[tissues.pure])
    agree = pure.classes["partition"].to_numpy() == of_mixtures.classes["partition"].to_numpy()
    assert agree.mean() >= 0.94
    confident = of_mixtures.classes["probability"].to_numpy() > 0.99
    assert confident.mean() > 0.3  # .41: within the margin a gene is in two partitions at a time
    assert agree[confident].mean() > agree[~confident].mean()


def test_a_fit_of_the_pure_tissues_alone_agrees(tissues, of_mixtures):
    """Each with its own noise and shares, .958: three sample types show no lack of fit, so that theirs has no term for
    it. .94 leaves two standard errors."""
    own = fitted(tissues.S.loc[:, tissues.pure], proportions=tissues.proportions[tissues.pure])
    agree = own.classes["partition"].to_numpy() == of_mixtures.classes["partition"].to_numpy()
    assert agree.mean() >= 0.94


def test_the_typical_gene_is_nearer_to_the_pure_tissues_than_least_squares_has_it(tissues, of_mixtures):
    """In each tissue: median errors of 44, 94 and 21 against 106, 105 and 28; correlations of .991, .860 and .983
    against .980, .852 and .982. (Means of errors, which the highest genes make, are larger in brain and lung: there
    lack of fit grows most and the posterior trusts the mixtures least.)"""
    S, known = tissues.S, tissues.proportions
    found = of_mixtures.table("expression").set_index("gene")
    mixed = ~tissues.pure
    squares = np.linalg.lstsq(known[mixed].to_numpy(), S.loc[:, mixed].to_numpy().T, rcond=None)[0]
    for tissue, least in zip(known.columns, squares, strict=True):
        measured = S.loc[:, (known[tissue] == 1.0).to_numpy()].mean(axis=1)
        assert np.abs(found[tissue] - measured).median() < np.median(np.abs(least - measured))
        assert np.corrcoef(found[tissue], measured)[0, 1] > np.corrcoef(least, measured)[0, 1]


@pytest.mark.parametrize("prior", [None, 1.05])
def test_proportions_are_found_from_expression_alone(tissues, prior):
    """Three of the default eight starts, to save time: correlation .986 and mean error .039 with either."""
    given = "free" if prior is None else vm.Dirichlet(prior)
    fit = fitted(tissues.S, tissues.sample_type, proportions=given, cell_types=3, starts=3, rng=0)
    assert fit.status.arrived
    assert fit.facts["starts_at_best"] >= 2
    assert fit.facts["labels_arbitrary"]
    named = vm.match_cell_types(fit, tissues.by_type)
    assert named.facts["cell_types"] == ["Liver", "Brain", "Lung"]
    assert named.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12)  # sums in another order
    found = named.report.estimates.proportions
    known = tissues.by_type.loc[list(named.report.labels.sample_types)].to_numpy()
    assert np.corrcoef(found.ravel(), known.ravel())[0, 1] > 0.975
    assert np.abs(found - known).mean() < 0.05
    if prior is not None:
        assert (found > 0.0).all()
