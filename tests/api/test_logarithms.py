"""A fit of mixed samples that look like logarithms says so, and what to do, wherever they come in."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import VarmixWarning

PROPORTIONS = pd.DataFrame(
    [(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8), (0.5, 0.4, 0.1), (0.2, 0.3, 0.5)],
    columns=["liver", "brain", "lung"],
    index=list("ABCDE"),
)
TYPES = np.repeat(PROPORTIONS.index, 3)
WORDS = r"largest value is 1\d\.\d and .*: these look like logarithms.*2 \*\* x"


def linear(genes: int, seed: int = 3) -> pd.DataFrame:
    """Lognormal levels of cell types, mixed, with noise of 5 %: maxima beyond 1,000."""
    rng = np.random.default_rng(seed)
    levels = np.exp(rng.normal(6.0, 1.2, size=(genes, 3)))
    S = levels @ PROPORTIONS.loc[TYPES].to_numpy().T * np.exp(0.05 * rng.standard_normal((genes, len(TYPES))))
    return pd.DataFrame(S, index=[f"gene{g}" for g in range(genes)], columns=[f"s{j}" for j in range(len(TYPES))])


def heard(S: object, **options: object) -> tuple[list[str], vm.Fit]:
    options = {"proportions": PROPORTIONS, "sample_type": TYPES, "rng": 1, "starts": 1, **options}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = vm.partition_mixture(S, **options)
    return [str(item.message) for item in caught if "look like logarithms" in str(item.message)], fit


def test_logarithms_are_warned_of_and_noted_in_memory_and_in_streams(tmp_path: Path) -> None:
    logs = np.log2(linear(150))
    path = tmp_path / "logs.tsv"
    logs.to_csv(path, sep="\t")
    with pytest.warns(VarmixWarning, match=WORDS):
        vm.partition_mixture(logs, TYPES, proportions=PROPORTIONS, rng=1, starts=1)
    first, fit = heard(logs)
    assert len(first) == 1
    assert first[0] in fit.facts["warnings"]
    assert "these look like logarithms" in " ".join(fit.summary().split())
    for stream in (path, [logs.iloc[:70], logs.iloc[70:]], lambda: iter([logs])):
        assert heard(stream)[0] == first


@pytest.mark.parametrize("noise", ["cell", "measurement", "full"])
def test_logarithms_are_told_whatever_the_noise(noise: str) -> None:
    assert len(heard(np.log2(linear(60)), noise=noise)[0]) == 1


@pytest.mark.parametrize("unit", [1.0, 1e-2, 1e-3, 1e-6, 1e6])
def test_linear_values_in_any_unit_are_silent(unit: float) -> None:
    for genes in (20, 150):
        assert heard(linear(genes) * unit)[0] == []


def test_pure_samples_may_be_logarithms() -> None:
    pure = pd.DataFrame(np.eye(3), columns=PROPORTIONS.columns, index=list("ABC"))
    logs = np.log2(linear(60)).iloc[:, :9]
    assert heard(logs, sample_type=TYPES[:9], proportions=pure)[0] == []


def test_new_genes_that_are_logarithms_are_warned_of() -> None:
    S = linear(60)
    _, fit = heard(S)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit.predict(linear(60, seed=5))
        fit.predict(linear(1, seed=6))
    with pytest.warns(VarmixWarning, match=WORDS):
        fit.predict(np.log2(linear(60, seed=5)))
