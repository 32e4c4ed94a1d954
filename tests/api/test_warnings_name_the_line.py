"""Every warning points at the line of the user's own call, however deep inside it came up."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

import varmix as vm
from varmix.errors import VarmixWarning, warn
from varmix.inference import bootstrap
from varmix.results.partition_mixture import intervals as partition_intervals
from varmix.results.random_effect_mixture import intervals as mixture_intervals
from varmix.results.variance_components import restricted
from varmix.tables.people import read_table

rng = np.random.default_rng(8)
N, P = 60, 40
G1, G2 = rng.binomial(2, 0.4, size=(2, N, P)).astype(float)
IDS = [f"rs{j}" for j in range(P)]
SOURCE = vm.ArraySource(G1, names=IDS)
b = rng.normal(size=P) / 5.0
Y1, Y2 = (G @ b + rng.normal(size=N) for G in (G1, G2))
TWICE = np.column_stack([np.arange(N), 2.0 * np.arange(N)])
STUDY = pd.DataFrame({"SNP": IDS, "A1": "A", "A2": "G", "Z": 2.0 * rng.normal(size=P), "N": 1e4})
HOLED = STUDY.assign(Z=[np.nan, *STUDY["Z"][1:]])
ROWS = pd.DataFrame({"x": rng.normal(size=90), "g": np.arange(90) // 3})
ROWS["y"] = ROWS["x"] * np.where(np.arange(90) % 3 == 0, 1.0, 0.1) * rng.normal(size=90) + 0.1 * rng.normal(size=90)
GAP = ROWS.assign(y=[np.nan, *ROWS["y"][1:]])
MIXED = pd.DataFrame([(0.8, 0.2), (0.3, 0.7), (0.5, 0.5)], columns=["liver", "brain"], index=list("ABC"))
TYPES = np.repeat(MIXED.index, 3)
S = pd.DataFrame(rng.normal(5.0, 1.0, size=(40, 2)) @ MIXED.loc[TYPES].to_numpy().T)
S = S + 0.1 * rng.normal(size=S.shape)
LACKING = S.mask(S.iloc[0, 0] == S)
LOGS = S * 2.5 + np.linspace(-8.0, 2.0, len(S))[:, None]


def heard(call: Callable[[], object]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [item for item in caught if issubclass(item.category, VarmixWarning)]


def check(call: Callable[[], object]) -> None:
    """`call` is written on one line: all of its warnings are of this file and that line."""
    found = heard(call)
    assert found
    places = {(Path(item.filename).name, item.lineno) for item in found}
    assert places == {(Path(__file__).name, call.__code__.co_firstlineno)}


CALLS: dict[str, Callable[[], object]] = {
    "variance_components": lambda: vm.variance_components(Y1, designs={"g": G1}, max_iterations=1, start="equal"),
    "dropped covariate": lambda: vm.variance_components(Y1, designs={"g": G1}, covariates=TWICE),
    "moments": lambda: vm.variance_components(Y1, designs={"g": np.repeat(G1[:6], 10, 0)}, method="moments"),
    "variance_components_many": lambda: vm.variance_components_many(np.c_[Y1, Y2], kernels=G1 @ G1.T, covariates=TWICE),
    "genetic_correlation": lambda: vm.genetic_correlation(Y1, Y2, G1, G2, max_iterations=1),
    "genetic_correlation_from_summaries": lambda: vm.genetic_correlation_from_summaries(HOLED, STUDY, SOURCE, blocks=5),
    "random_effect_mixture": lambda: vm.random_effect_mixture("y", "x", data=GAP, starts=1, rng=1),
    "its climb": lambda: vm.random_effect_mixture("y", "x", data=ROWS, starts=1, rng=1, max_iterations=1),
    "its stream": lambda: vm.random_effect_mixture("y", "x", data=[GAP, ROWS], starts=1, rng=1),
    "its ratios": lambda: vm.random_effect_mixture(np.exp(ROWS["y"] / 9.0), ROWS["x"], starts=1, rng=1),
    "its grid": lambda: vm.random_effect_mixture(np.exp(ROWS["y"] / 9.0), ROWS["x"], method="npmle", points=8),
    "weighted_random_effects": lambda: vm.weighted_random_effects("y", ["x"], group="g", data=GAP),
    "partition_mixture": lambda: vm.partition_mixture(LACKING, TYPES, proportions=MIXED, starts=1, rng=1),
    "its chunks": lambda: vm.partition_mixture([LACKING], TYPES, proportions=MIXED, starts=1, rng=1),
    "its types": lambda: vm.partition_mixture(S, TYPES, proportions=MIXED * 1.001, starts=1, rng=1),
    "its logarithms": lambda: vm.partition_mixture(LOGS, TYPES, proportions=MIXED, starts=1, rng=1, noise="cell"),
    "split_by_annotation": lambda: vm.split_by_annotation(SOURCE, {"one": IDS[:9], "two": [*IDS[9:20], "other"]}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_function_that_warns_names_the_line_that_called_it(name: str) -> None:
    check(CALLS[name])


def quietly(make: Callable[[], vm.Fit]) -> vm.Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: check(lambda: fit.components),
        lambda fit: check(lambda: fit.proportions),
        lambda fit: check(lambda: fit.summary()),
        lambda fit: check(lambda: fit.interval("g", kind="profile", level=0.9)),
        lambda fit: check(lambda: fit.interval("g", of="proportion", kind="profile")),
        lambda fit: check(lambda: fit.profile("g", points=3)),
        lambda fit: check(lambda: fit.test("g")),
    ],
    ids=["components", "proportions", "summary", "interval", "proportion", "profile", "test"],
)
def test_what_is_derived_from_variances_names_the_line(
    ask: Callable[[vm.Fit], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = quietly(lambda: vm.variance_components(Y1, designs={"g": G1, "h": G2}))
    monkeypatch.setattr(restricted, "reached", lambda outcome: False)  # as if no restricted maximum were reached
    ask(fit)


def test_bootstraps_name_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "FAILED", -1.0)  # as if none failing were too many
    fit = quietly(lambda: vm.variance_components(Y1, designs={"g": G1}))
    check(lambda: fit.bootstrap(3, rng=1))
    check(lambda: fit.interval("g", kind="bootstrap", replicates=3, rng=1))
    mixture = quietly(lambda: vm.random_effect_mixture("y", "x", data=ROWS, starts=2, rng=1))
    check(lambda: mixture.bootstrap(2, rng=1))


def test_intervals_of_mixtures_and_partitions_name_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = quietly(lambda: vm.random_effect_mixture("y", "x", data=ROWS, starts=2, rng=1))
    parts = quietly(lambda: vm.partition_mixture(S, TYPES, proportions=MIXED, starts=1, rng=1))
    # As if every maximum with one parameter held were above the fit's.
    monkeypatch.setattr(mixture_intervals, "max", lambda *values: -np.inf, raising=False)
    monkeypatch.setattr(partition_intervals, "HIGHER", -np.inf)
    check(lambda: parts.interval("mean", kind="profile"))
    check(lambda: mixture.interval("s", kind="profile"))


def test_readers_of_tables_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "pheno.tsv"
    path.write_text("FID\tIID\ttrait\n" + "".join(f"f{k}\ti{k}\t-9\n" for k in range(9)))
    check(lambda: read_table(path, kind="phenotype"))


def test_predictions_name_the_line() -> None:
    fit = quietly(lambda: vm.partition_mixture(S, TYPES, proportions=MIXED, starts=1, rng=1))
    check(lambda: fit.predict(LOGS))


def test_frames_of_other_packages_in_between_do_not_matter() -> None:
    lines = ["def inner(x):", "    warn('told')", "    return x", "def outer():", "    return brentq(inner, -1.0, 2.0)"]
    space: dict[str, Any] = {"__name__": "varmix.somewhere", "warn": warn, "brentq": brentq}
    exec("\n".join(lines), space)
    check(lambda: space["outer"]())
