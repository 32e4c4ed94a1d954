"""`varmix partitions` where proportions are estimated: freely, in part, with a prior; and held against known ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm

TYPES = ["liver", "brain"]
MIXED = pd.DataFrame(
    [[0.9, 0.1], [0.65, 0.35], [0.3, 0.7], [0.1, 0.9]], index=pd.Index(["a", "b", "c", "d"], name="mix"), columns=TYPES
)
SAMPLES = {f"{name}{number}": name for name in MIXED.index for number in range(3)}


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", na_values="NA", keep_default_na=False)


@pytest.fixture
def tables(tmp_path) -> Path:
    """Give a folder with expression.tsv (two cell types that differ in half of 150 genes), known.tsv and types.tsv."""
    rng = np.random.default_rng(5)
    means = rng.normal(10.0, 2.0, size=(150, 2))
    means[:75, 1] = means[:75, 0]
    shares = MIXED.loc[list(SAMPLES.values())].to_numpy()
    values = means @ shares.T + 0.3 * rng.normal(size=(150, len(SAMPLES)))
    folder = tmp_path / "tables"
    folder.mkdir()
    frame = pd.DataFrame(values, index=pd.Index([f"g{k}" for k in range(150)], name="gene"), columns=list(SAMPLES))
    frame.to_csv(folder / "expression.tsv", sep="\t")
    MIXED.to_csv(folder / "known.tsv", sep="\t")
    by_sample = MIXED.loc[list(SAMPLES.values())].set_axis(pd.Index(list(SAMPLES), name="sample"), axis=0)
    by_sample.to_csv(folder / "of_samples.tsv", sep="\t")
    types = pd.DataFrame({"sample": list(SAMPLES), "mix": list(SAMPLES.values())})
    types.to_csv(folder / "types.tsv", sep="\t", index=False)
    return folder


@pytest.fixture
def partitions(run, tables, tmp_path):
    """Run on these tables, types of the samples known, and write without figures."""
    given = [tables / "expression.tsv", "--sample-type", tables / "types.tsv", "--noise", "measurement"]
    return lambda *arguments: run("partitions", *given, "--out", tmp_path / "out", "--no-figures", *arguments)


def estimates(folder: Path) -> pd.DataFrame:
    table = read(folder / "proportions.tsv")
    return table.pivot(index="sample_type", columns="cell_type", values="estimate")


@pytest.mark.parametrize("known", ["known.tsv", "of_samples.tsv"])
@pytest.mark.parametrize("given", [("--free", "2"), ("--free", "x,y"), ("--dirichlet", 1.05, "--cell-types", 2)])
def test_estimated_cell_types_get_the_names_of_known_ones(partitions, tables, tmp_path, given, known):
    result = partitions(*given, "--starts", 3, "--known-proportions", tables / known)
    assert result.exit_code in (0, 4), result.stderr
    assert "Against the known proportions (8): correlation 0.9" in result.stdout
    out = tmp_path / "out"
    assert read(out / "shares.tsv")["partition"].tolist() == ["liver = brain", "liver | brain"]
    # Standard errors are about 0.02; an edge of the simplex may take more.
    found = estimates(out)[TYPES]
    assert found.to_numpy() == pytest.approx(MIXED.to_numpy(), abs=0.12)
    table = read(out / "known.tsv")
    assert table["difference"].to_numpy() == pytest.approx(table["estimate"] - table["known"], abs=1e-12)
    assert list(read(out / "expression.tsv").columns[1:3]) == TYPES
    correlation = np.corrcoef(table["estimate"], table["known"])[0, 1]
    assert f"correlation {correlation:.4g}" in result.stdout


def test_starts_are_drawn_by_the_seed_alone(partitions, tmp_path):
    tables = []
    for seed in (3, 3, 4):
        assert partitions("--free", 2, "--starts", 2, "--seed", seed).exit_code in (0, 4)
        tables.append(read(tmp_path / "out" / "starts.tsv").drop(columns="seconds"))
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])


def test_missing_proportions_are_estimated_and_the_others_kept(partitions, tables, tmp_path):
    partly = MIXED.copy()
    partly.loc[["b", "c"]] = np.nan
    partly.to_csv(tables / "partly.tsv", sep="\t", na_rep="NA")
    result = partitions("--proportions", tables / "partly.tsv", "--known-proportions", tables / "known.tsv")
    assert result.exit_code == 0, result.stderr
    found = read(tmp_path / "out" / "proportions.tsv").set_index("sample_type")
    assert set(found.loc[["a", "d"], "interval"]) == {"known"}
    assert found.loc["a", "estimate"].tolist() == [0.9, 0.1]
    # Standard errors are about 0.02.
    assert estimates(tmp_path / "out").loc[["b", "c"], TYPES].to_numpy() == pytest.approx(
        MIXED.loc[["b", "c"]].to_numpy(), abs=0.1
    )
    assert set(read(tmp_path / "out" / "known.tsv")["sample_type"]) == {"b", "c"}
    assert "0.9 known" in result.stdout


def test_a_prior_around_proportions_holds_them_by_its_strength(partitions, tables, tmp_path):
    off = MIXED.copy()
    off.loc["b"] = [0.2, 0.8]
    off.to_csv(tables / "off.tsv", sep="\t")
    found = []
    for strength in (1.0, 1e6):
        assert partitions("--proportions", tables / "off.tsv", "--strength", strength).exit_code in (0, 4)
        found.append(estimates(tmp_path / "out").loc["b", "liver"])
    # A million cells outweigh 150 genes, of whose standard error of 0.02 they are worth some thousand.
    assert found[1] == pytest.approx(0.2, abs=5e-3)
    assert abs(found[0] - 0.65) < abs(found[1] - 0.65)
    assert vm.load(tmp_path / "out" / "fit.json").facts["criterion"] == "posterior"


def test_figures_show_the_estimated_proportions(run, tables, tmp_path):
    given = [tables / "expression.tsv", "--sample-type", tables / "types.tsv", "--free", 2, "--starts", 2]
    given += ["--noise", "measurement", "--known-proportions", tables / "known.tsv", "--out", tmp_path / "figures"]
    result = run("partitions", *given)
    assert result.exit_code in (0, 4), result.stderr
    assert (tmp_path / "figures" / "proportions.png").read_bytes().startswith(b"\x89PNG")
    assert max(len(line) for line in result.stdout.split("\nWritten to")[0].splitlines()) <= 80
