"""Real mixtures of rat liver, brain and lung (Shen-Orr et al. 2010), from the tables by the command line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import varmix as vm

TYPES = ["Liver", "Brain", "Lung"]


@pytest.fixture
def mixtures(reference) -> tuple[Path, Path]:
    """Give the tables of expression and of proportions per sample."""
    folder = reference / "partition"
    return folder / "shen_orr_expression.csv", folder / "shen_orr_proportions.csv"


def test_replicates_are_found_by_their_proportions_and_the_noise_by_the_data(run, mixtures, tmp_path):
    expression, proportions = mixtures
    out = tmp_path / "out"
    result = run("partitions", expression, "--proportions", proportions, "--out", out, "--no-figures")
    assert result.exit_code == 0, result.stderr
    facts = vm.load(out / "fit.json").facts
    assert (facts["n"], facts["sample_types"], facts["cell_types"]) == (600, 14, TYPES)
    assert {"trend", "misfit"} <= set(facts["noise"])
    genes, expressed = (pd.read_csv(out / f"{name}.tsv", sep="\t") for name in ("genes", "expression"))
    assert len(genes) == 600
    # The genes were chosen to be high in one tissue: the block of its own is that tissue's, nearly always.
    alone = genes["partition"].str.extract(r"^(\w+) \| \w+ = \w+$|^\w+ = \w+ \| (\w+)$").bfill(axis=1)[0]
    alone = alone.mask(genes["partition"] == "Liver = Lung | Brain", "Brain")
    known = alone.notna()
    assert known.mean() > 0.9
    assert (expressed[TYPES].idxmax(axis=1)[known] == alone[known]).mean() > 0.95


def test_pure_samples_predict_the_genes_that_mixtures_were_fitted_without(run, mixtures, tmp_path):
    expression, proportions = mixtures
    data = pd.read_csv(expression, index_col=0)
    data.iloc[::2].to_csv(tmp_path / "fitted.csv")
    data.iloc[1::2].to_csv(tmp_path / "new.csv")
    given = [tmp_path / "fitted.csv", "--proportions", proportions, "--predict", tmp_path / "new.csv", "--no-figures"]
    assert run("partitions", *given, "--noise", "measurement,trend,misfit", "--out", tmp_path).exit_code in (0, 4)
    predicted = pd.read_csv(tmp_path / "predicted.expression.tsv", sep="\t", index_col=0)
    pure = data.iloc[1::2, :9].T.groupby([t for t in TYPES for _ in range(3)]).mean().T
    assert predicted.index.tolist() == pure.index.tolist()
    # Genes range over four decades; pure samples are three of a type beside twelve times as many mixed ones.
    assert predicted[TYPES].corrwith(pure, method="spearman").min() > 0.9
