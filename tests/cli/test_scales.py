"""The command line says where data look like they are on another scale than effects and mixtures are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

MIXED = pd.DataFrame(
    [(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8), (0.5, 0.4, 0.1)],
    index=pd.Index(list("abcd"), name="type"),
    columns=["liver", "brain", "lung"],
)
TYPES = np.repeat(MIXED.index, 3)


def expression(genes: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    levels = np.exp(rng.normal(6.0, 1.3, size=(genes, 3))) @ MIXED.loc[TYPES].to_numpy().T
    values = levels * np.exp(0.05 * rng.standard_normal(levels.shape))
    names = pd.Index([f"g{k}" for k in range(genes)], name="gene")
    return pd.DataFrame(values, index=names, columns=[f"s{k}" for k in range(12)])


@pytest.mark.parametrize("logs", [False, True])
def test_expression_that_looks_like_logarithms_is_noted(run: Any, tmp_path: Path, logs: bool) -> None:
    table = expression(60, 1)
    (np.log2(table) if logs else table).to_csv(tmp_path / "expression.tsv", sep="\t")
    MIXED.to_csv(tmp_path / "proportions.tsv", sep="\t")
    pd.DataFrame({"sample": table.columns, "type": TYPES}).to_csv(tmp_path / "types.tsv", sep="\t", index=False)
    given = [tmp_path / "expression.tsv", "--proportions", tmp_path / "proportions.tsv", "--noise", "cell"]
    result = run("partitions", *given, "--sample-type", tmp_path / "types.tsv", "--starts", 1, "--no-figures")
    assert result.exit_code == 0, result.stderr
    told = " ".join(result.stdout.split())
    assert told.count("these look like logarithms") == int(logs)


def test_new_genes_that_look_like_logarithms_are_told(run: Any, tmp_path: Path) -> None:
    expression(60, 1).to_csv(tmp_path / "expression.tsv", sep="\t")
    np.log2(expression(60, 2)).to_csv(tmp_path / "new.tsv", sep="\t")
    MIXED.loc[TYPES].set_axis([f"s{k}" for k in range(12)]).to_csv(tmp_path / "proportions.tsv", sep="\t")
    given = [tmp_path / "expression.tsv", "--proportions", tmp_path / "proportions.tsv", "--noise", "cell"]
    given += ["--predict", tmp_path / "new.tsv", "--starts", 1, "--no-figures", "--out", tmp_path / "out"]
    result = run("partitions", *given)
    assert result.exit_code == 0, result.stderr
    told = " ".join((result.stdout + result.stderr).split())
    assert told.count("these look like logarithms") == 1, (result.stdout, result.stderr)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ratios", [False, True])
def test_odds_ratios_are_noted(run: Any, tmp_path: Path, ratios: bool, stream: bool) -> None:
    rng = np.random.default_rng(7)
    x, se = 0.05 * rng.normal(size=200), np.full(200, 0.01)
    y = np.where(rng.random(200) < 0.7, 0.0, 0.8 * rng.normal(size=200)) * x + se * rng.normal(size=200)
    table = pd.DataFrame({"x": x, "y": np.exp(y) if ratios else y, "se": se})
    table.to_csv(tmp_path / "table.tsv", sep="\t", index=False)
    given = ["--table", tmp_path / "table.tsv", "--y", "y", "--x", "x", "--se", "se", "--starts", 1]
    result = run("effects", *given, *(["--stream"] if stream else []))
    told = " ".join(result.stdout.split())
    assert told.count("are these odds ratios") == int(ratios), (told, result.stderr)
