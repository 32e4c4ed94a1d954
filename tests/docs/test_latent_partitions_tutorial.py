"""Figures that the tutorial on latent partitions prints as text are those of the real mixtures."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varmix as vm

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "latent_partitions.md"
KNOWN = re.compile(r"^\| ([a-z][^|]*) \| (-[\d.]+) \| ([\d.]+|none) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
FREE = re.compile(r"^\| ([a-z]+) \| (0?\.\d+) \| (0?\.\d+) \|$", re.MULTILINE)
# The last digit printed, and as much again for one gene of 600 at an edge between two partitions.
PRINTED = 2.2e-3

MODELS: dict[str, dict[str, Any]] = {
    "cell": {"noise": "cell"},
    "both": {"noise": "both"},
    "full, no margin": {"noise": "full", "margin": 0},
    "full": {"noise": "full"},
    "both, moderated": {"noise": "both", "variance": "moderated"},
    "full, moderated": {"noise": "full", "variance": "moderated"},
}
SLOW = ("both, moderated", "full, moderated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixtures:
    S: pd.DataFrame
    types: Any
    P: pd.DataFrame
    pure: Any

    def fit(self, part: Any, **model: Any) -> Any:
        types = self.types[part]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of noise that misses what these data show
            return vm.partition_mixture(self.S.loc[:, part], types, proportions=self.P.loc[pd.unique(types)], **model)


@pytest.fixture(scope="module")
def mixtures(reference: Path) -> Mixtures:
    S = pd.read_csv(reference / "partition" / "shen_orr_expression.csv", index_col=0)
    known = pd.read_csv(reference / "partition" / "shen_orr_proportions.csv", index_col=0).loc[S.columns]
    pure = (known.max(axis=1) == 1.0).to_numpy()
    number = known.groupby(list(known.columns), sort=False).ngroup()
    types = np.where(pure, known.idxmax(axis=1), [f"mixture {k - 2}" for k in number])
    return Mixtures(S=S, types=types, P=known.groupby(types, sort=False).first(), pure=pure)


def agreement(one: pd.DataFrame, two: pd.DataFrame) -> float:
    return float((one["partition"].to_numpy() == two["partition"].to_numpy()).mean())


def test_every_noise_model_of_the_page_is_checked_here() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert {row[0] for row in KNOWN.findall(text)} == set(MODELS)
    assert {row[0] for row in FREE.findall(text)} == {"both", "full"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in MODELS])
def test_the_agreement_quoted_is_that_of_the_real_mixtures(mixtures: Mixtures, name: str) -> None:
    log_likelihood, nothing_shared, noise_of_mixtures, noise_shared = {
        row[0]: row[1:] for row in KNOWN.findall(PAGE.read_text(encoding="utf-8"))
    }[name]
    whole, mixed, pure = (mixtures.fit(part, **MODELS[name]) for part in (slice(None), ~mixtures.pure, mixtures.pure))
    judged = [
        whole.predict(mixtures.S.loc[:, part], sample_type=mixtures.types[part]).classes
        for part in (~mixtures.pure, mixtures.pure)
    ]
    assert whole.log_likelihood == pytest.approx(float(log_likelihood), abs=0.051)
    if nothing_shared == "none":  # where the fit of pure samples ends is an accident
        assert agreement(mixed.classes, pure.classes) < 0.5
    else:
        assert agreement(mixed.classes, pure.classes) == pytest.approx(float(nothing_shared), abs=PRINTED)
    of_pure = mixed.predict(
        mixtures.S.loc[:, mixtures.pure], sample_type=mixtures.types[mixtures.pure], proportions=mixtures.P
    ).classes
    assert agreement(mixed.classes, of_pure) == pytest.approx(float(noise_of_mixtures), abs=PRINTED)
    assert agreement(*judged) == pytest.approx(float(noise_shared), abs=PRINTED)


def test_the_expression_quoted_is_that_of_the_real_mixtures(mixtures: Mixtures) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert (
        "1.31 times that of pure samples for genes of the brain, 1.05 for those of the liver and 1.05 for those" in text
    )
    assert "standard deviations of them for 26 % of genes" in text
    table = mixtures.fit(~mixtures.pure, noise="full").table("expression")
    means = mixtures.S.T.groupby(mixtures.types, sort=False).mean().T[["Liver", "Brain", "Lung"]]
    top = means.to_numpy().argmax(axis=1)
    rows = np.arange(len(means))
    estimate = table[list(means)].to_numpy()[rows, top]
    sd = table[[f"sd({tissue})" for tissue in means]].to_numpy()[rows, top]
    truth = means.to_numpy()[rows, top]
    ratios = [np.median((estimate / truth)[top == k]) for k in range(3)]
    assert ratios == pytest.approx([1.05, 1.31, 1.05], abs=6e-3)
    assert np.mean(np.abs(estimate - truth) < 2 * sd) == pytest.approx(0.26, abs=6e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "correlation", "error"), [(1, 0.54, 0.146), (4, 0.96, 0.049)])
def test_mixtures_alone_do_not_tell_free_proportions(
    mixtures: Mixtures, seed: int, correlation: float, error: float
) -> None:
    types = mixtures.types[~mixtures.pure]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = vm.partition_mixture(
            mixtures.S.loc[:, ~mixtures.pure], types, proportions=vm.Dirichlet(1.05, cell_types=3), rng=seed
        )
    assert any("Of 8 starts 1 ended at the best" in caution for caution in fit.facts["cautions"])
    known = mixtures.P.loc[pd.unique(types)]
    found = vm.match_cell_types(fit, known).proportions["estimate"].to_numpy()
    assert np.corrcoef(found, known.to_numpy().ravel())[0, 1] == pytest.approx(correlation, abs=6e-3)
    assert np.abs(found - known.to_numpy().ravel()).mean() == pytest.approx(error, abs=6e-4)


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["both", "full"])
def test_the_free_proportions_quoted_are_those_of_the_real_mixtures(mixtures: Mixtures, noise: str) -> None:
    printed = {row[0]: [float(x) for x in row[1:]] for row in FREE.findall(PAGE.read_text(encoding="utf-8"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prior = vm.Dirichlet(1.05, cell_types=3)
        fit = vm.partition_mixture(mixtures.S, mixtures.types, proportions=prior, noise=noise, starts=5, rng=1)
    found = vm.match_cell_types(fit, mixtures.P).proportions["estimate"].to_numpy()
    known = mixtures.P.to_numpy().ravel()
    if noise == "full":
        shift = (found - known).reshape(-1, 3).mean(axis=0)
        assert shift == pytest.approx([-0.044, 0.047, -0.002], abs=6e-4)
    assert [np.corrcoef(found, known)[0, 1], np.abs(found - known).mean()] == pytest.approx(printed[noise], abs=6e-4)
