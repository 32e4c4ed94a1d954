"""Odds ratios given as effects are warned of, and positive responses that are none are not."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import VarmixWarning

WORDS = r"Every y is positive with a median of (0\.99|1\.0[01]): are these odds ratios.*take logarithms \(np\.log\)"


def effects(rows: int = 300, seed: int = 7) -> pd.DataFrame:
    """Log odds `y = b x + e`, seven tenths of b null, with known errors."""
    rng = np.random.default_rng(seed)
    x, se = 0.05 * rng.normal(size=rows), 0.01 + 0.005 * np.abs(rng.normal(size=rows))
    b = np.where(rng.random(rows) < 0.7, 0.0, 0.8 * rng.normal(size=rows))
    return pd.DataFrame({"y": b * x + se * rng.normal(size=rows), "x": x, "se": se, "gene": np.arange(rows) // 3})


def heard(data: object, **options: object) -> tuple[list[str], vm.Fit]:
    options = {"starts": 1, "rng": 1, **options}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = vm.random_effect_mixture("y", "x", data=data, **options)
    return [str(item.message) for item in caught if "odds ratios" in str(item.message)], fit


def test_odds_ratios_are_warned_of_and_noted_in_memory_and_in_streams(tmp_path: Path) -> None:
    logs = effects()
    ratios = logs.assign(y=np.exp(logs["y"]))
    path = tmp_path / "effects.tsv"
    ratios.to_csv(path, sep="\t", index=False)
    assert heard(logs, se="se")[0] == []
    with pytest.warns(VarmixWarning, match=WORDS):
        vm.random_effect_mixture(ratios["y"], ratios["x"], se=ratios["se"], starts=1, rng=1)
    first, fit = heard(ratios, se="se")
    assert len(first) == 1
    assert first[0] in fit.facts["warnings"]
    for stream in (path, [ratios.iloc[:100], ratios.iloc[100:]], lambda: iter([ratios])):
        assert heard(stream, se="se")[0] == first
    for options in ({"group": "gene", "se": "se"}, {}, {"method": "npmle", "se": "se", "starts": 3, "points": 10}):
        assert heard(ratios, **options)[0] == first


@pytest.mark.parametrize("spread", [0.02, 0.3, 0.7])
def test_odds_ratios_are_told_whatever_their_spread(spread: float) -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": np.exp(spread * rng.normal(size=2000)), "x": rng.normal(size=2000)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vm.random_effect_mixture("y", "x", data=data, starts=1, rng=1)
    assert any("odds ratios" in str(item.message) for item in caught)


@pytest.mark.parametrize(
    "change",
    [
        lambda y: np.abs(y) / np.median(np.abs(y)),  # sizes of effects, scaled to a median of 1
        lambda y: np.exp(y) * 1.2,
        lambda y: np.exp(y) * 1e-6,
        lambda y: np.exp(y) - 1.0,
        lambda y: np.where(np.arange(len(y)) == 5, -1.0, np.exp(y)),
        lambda y: np.where(np.arange(len(y)) == 250, 0.0, np.exp(y)),
    ],
    ids=["sizes", "median 1.2", "median 1e-6", "less one", "one negative", "one zero"],
)
def test_other_responses_are_silent(change: object) -> None:
    data = effects()
    assert callable(change)
    changed = data.assign(y=change(data["y"].to_numpy()))
    assert heard(changed)[0] == []
    assert heard([changed.iloc[:100], changed.iloc[100:]])[0] == []


def test_few_rows_and_intercepts_are_silent() -> None:
    data = effects()
    ratios = data.assign(y=np.exp(data["y"]))
    assert heard(ratios.iloc[:19], classes=1)[0] == []
    assert heard(ratios.assign(x=1.0), group="gene", classes=1)[0] == []
