"""What `varmix partitions` tells and writes."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.api.partition_mixture import partition_mixture

GENES = 80
TYPES = ["liver", "brain", "lung"]
MIXED = pd.DataFrame(
    [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]],
    index=pd.Index(["a", "b", "c", "d", "e"], name="type"),
    columns=TYPES,
)
SAMPLES = {f"{name}{number}": name for name in MIXED.index for number in range(3)}
LABELS = np.array([[0, 0, 0], [0, 1, 1], [0, 0, 1], [0, 1, 0], [0, 1, 2]])
WORDS = ["liver = brain = lung", "liver | brain = lung", "liver = brain | lung", "liver = lung | brain"]
BY_GENE = {"genes": "classes", "expression": "expression", "together": "together", "differences": "differences"}
WRITTEN = ["coefficients", "components", "differences", "expression", "genes", "progress", "proportions", "sample"]
WRITTEN += ["shares", "starts", "together"]


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", na_values="NA", keep_default_na=False)


def drawn(genes: int = GENES, seed: int = 3) -> pd.DataFrame:
    """Genes x samples: block means about 20 with variance 4, noise of cells with variance 0.3."""
    rng = np.random.default_rng(seed)
    label = LABELS[rng.choice(5, size=genes, p=[0.3, 0.2, 0.15, 0.15, 0.2])]
    means = np.take_along_axis(rng.normal(20.0, 2.0, size=(genes, 3)), label, axis=1)
    shares = MIXED.loc[list(SAMPLES.values())].to_numpy()
    cells = means[:, None, :] + np.sqrt(0.3) * rng.normal(size=(genes, len(SAMPLES), 3))
    values = np.einsum("gnt,nt->gn", cells, shares)
    return pd.DataFrame(values, index=pd.Index([f"g{k}" for k in range(genes)], name="gene"), columns=list(SAMPLES))


@pytest.fixture
def tables(tmp_path) -> Path:
    """Give a folder with expression.csv, proportions.tsv (of types), mixed.tsv (of samples) and types.tsv."""
    folder = tmp_path / "tables"
    folder.mkdir()
    drawn().to_csv(folder / "expression.csv")
    MIXED.to_csv(folder / "proportions.tsv", sep="\t")
    mixed = MIXED.loc[list(SAMPLES.values())].set_axis(pd.Index(list(SAMPLES), name="sample"), axis=0)
    mixed.to_csv(folder / "mixed.tsv", sep="\t")
    mixed.assign(mix=list(SAMPLES.values())).to_csv(folder / "both.tsv", sep="\t")
    types = pd.DataFrame({"sample": list(SAMPLES), "mix": list(SAMPLES.values())})
    types[::-1].to_csv(folder / "types.tsv", sep="\t", index=False)
    return folder


@pytest.fixture
def partitions(run, tables):
    """Run `varmix partitions` on these tables from one start, noise of cells, without figures."""
    given = [tables / "expression.csv", "--proportions", tables / "proportions.tsv", "--sample-type"]
    given += [tables / "types.tsv", "--noise", "cell", "--no-figures", "--starts", 1]
    return lambda *arguments: run("partitions", *given, *arguments)


@cache
def fitted():
    return partition_mixture(drawn(), SAMPLES, proportions=MIXED, noise="cell", starts=1)


def test_files_hold_what_the_library_gives(partitions, tmp_path):
    out = tmp_path / "new" / "out"
    result = partitions("--out", out)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    fit, saved = fitted(), vm.load(out / "fit.json")
    # The table in the file has 16 or 17 digits.
    assert saved.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-8)
    for name in ("shares", "components", "proportions", "sample"):
        pd.testing.assert_frame_equal(read(out / f"{name}.tsv"), fit.table(name), rtol=1e-6, check_dtype=False)
    for name, table in BY_GENE.items():
        pd.testing.assert_frame_equal(read(out / f"{name}.tsv"), fit.table(table), rtol=1e-6, atol=1e-9)
    assert list(read(out / "starts.tsv").columns) == list(fit.starts.columns)
    assert len(read(out / "progress.tsv")) == len(fit.progress)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*(f"{name}.tsv" for name in WRITTEN), "fit.json", "summary.txt"]
    )


def test_every_figure_is_a_png(run, tables, tmp_path):
    given = [tables / "expression.csv", "--proportions", tables / "mixed.tsv", "--noise", "cell"]
    result = run("partitions", *given, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 0, result.stderr
    figures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert figures == [f"{n}.png" for n in ("components", "expression", "partitions", "progress", "shares")]
    assert all((tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG") for name in figures)


def test_the_text_fits_80_columns_and_tells_the_essentials(partitions):
    result = partitions()
    assert result.exit_code == 0, result.stderr
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert not [line for line in result.stdout.splitlines() if line != line.rstrip()]
    told = " ".join(result.stdout.split())
    for part in ("Shares of the partitions", *WORDS, "Variances", "Noise: cell", "Starts: 1 of 1", "Genes: 80 used."):
        assert part in told
    assert "Proportions" not in told


@pytest.mark.parametrize("method", ["em", "pxem", "mm"])
def test_every_method_arrives_at_one_optimum(partitions, tmp_path, method):
    assert partitions("--method", method, "--out", tmp_path / "out").exit_code == 0
    saved = vm.load(tmp_path / "out" / "fit.json")
    # The log-likelihood is flat to second order where the certificate is met.
    assert saved.log_likelihood == pytest.approx(fitted().log_likelihood, abs=1e-8)
    assert saved.facts["method"] == method


def test_options_reach_the_fit(partitions, tmp_path):
    result = partitions(
        "--method", "em", "--accelerate", "squarem", "--no-polish", "--max-iterations", 300, "--tolerance", 1e-4,
        "--starts", 2, "--seed", 7, "--workers", 2, "--likelihood", "composite", "--noise", "both", "--out",
        tmp_path / "out", "--partitions", "one_vs_rest",
    )  # fmt: skip
    assert result.exit_code in (0, 4), result.stderr
    facts = vm.load(tmp_path / "out" / "fit.json").facts
    asked = {"method": "em", "likelihood": "composite", "partitions": 4, "starts": 2, "finished_by": "em"}
    assert {name: facts[name] for name in asked} == asked
    assert facts["noise"] == ["cell", "measurement"]


@pytest.mark.parametrize("noise", ["measurement,trend", "full"])
def test_terms_of_noise_are_a_list_or_a_name(partitions, tmp_path, noise):
    result = partitions("--noise", noise, "--max-iterations", 2, "--out", tmp_path / "out")
    assert result.exit_code == 4, result.stderr
    full = ["measurement", "trend", "misfit"]
    assert vm.load(tmp_path / "out" / "fit.json").facts["noise"] == (full if noise == "full" else full[:2])
    assert "Shapes of the noise" in result.stdout


def test_the_margin_is_handed_on_and_told(partitions, tmp_path):
    result = partitions("--noise", "trend", "--margin", 0.1, "--out", tmp_path / "out")
    assert result.exit_code in (0, 4), result.stderr
    assert vm.load(tmp_path / "out" / "fit.json").facts["margin"] == 0.1
    assert "Noise: trend (margin 0.1)" in result.stdout


def test_partitions_of_ones_own(partitions, tmp_path):
    given = ["--partition", WORDS[0], "--partition", "brain=lung|liver"]
    assert partitions(*given, "--out", tmp_path / "out").exit_code == 0
    assert read(tmp_path / "out" / "shares.tsv")["partition"].tolist() == WORDS[:2]


@pytest.mark.parametrize(
    "given",
    [
        ["--proportions", "proportions.tsv", "--sample-type", "types.tsv", "--sample-type-column", "mix"],
        ["--proportions", "mixed.tsv", "--sample-type", "types.tsv"],
        ["--proportions", "both.tsv", "--sample-type-column", "mix"],
        ["--proportions", "mixed.tsv"],
    ],
)
def test_types_of_samples_are_told_in_four_ways(run, tables, tmp_path, given):
    paths = [tables / item if item.endswith(".tsv") else item for item in given]
    out = tmp_path / "out"
    result = run("partitions", tables / "expression.csv", *paths, "--noise", "cell", "--no-figures", "--out", out)
    assert result.exit_code == 0, result.stderr
    saved, fit = vm.load(out / "fit.json"), fitted()
    assert saved.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-8)
    assert saved.facts["sample_types"] == 5
    pd.testing.assert_frame_equal(saved.classes, fit.classes, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("form", ["tsv", "blanks", "csv.gz", "parquet", "quoted", "unnamed"])
def test_tables_of_all_kinds_give_one_fit(run, tables, tmp_path, form):
    data, path = drawn(), tmp_path / f"table.{form if form in ('tsv', 'csv.gz', 'parquet') else 'txt'}"
    if form == "parquet":
        pytest.importorskip("pyarrow")
        data.to_parquet(path)
    elif form == "csv.gz":
        path.write_bytes(gzip.compress(data.to_csv().encode()))
    elif form == "unnamed":  # as R's write.table does: the header has no name for the first column
        text = data.rename_axis(None).to_csv(sep="\t")
        path.write_text(text.removeprefix("\t"))
    else:
        data.to_csv(path, sep={"tsv": "\t", "blanks": " ", "quoted": ","}[form], quoting=2 if form == "quoted" else 0)
    out = tmp_path / "out"
    given = ["--proportions", tables / "mixed.tsv", "--noise", "cell", "--no-figures", "--out", out]
    result = run("partitions", path, *given)
    assert result.exit_code == 0, result.stderr
    # Decimal text is read back to the last bit or so.
    assert vm.load(out / "fit.json").log_likelihood == pytest.approx(fitted().log_likelihood, abs=1e-8)
    assert read(out / "genes.tsv")["gene"].tolist() == data.index.tolist()


def test_a_stream_gives_the_fit_of_the_table(partitions, tables, tmp_path):
    data = drawn()
    data.iloc[5, 2] = np.nan
    data.to_csv(tables / "expression.csv", na_rep="NA")
    assert partitions("--out", tmp_path / "whole").exit_code == 0
    streamed = partitions("--out", tmp_path / "pieces", "--stream")
    assert streamed.exit_code == 0, streamed.stderr
    for name in (*BY_GENE, "shares", "components", "sample"):
        # Sums over pieces are rounded in another order; certificates stand for 1e-8 standard errors.
        left, right = (read(tmp_path / folder / f"{name}.tsv") for folder in ("whole", "pieces"))
        pd.testing.assert_frame_equal(left, right, rtol=1e-6, atol=1e-8, check_dtype=False)


def test_missing_values_are_masked_or_their_genes_dropped(partitions, tables, tmp_path):
    data = drawn()
    data.iloc[5, 2] = data.iloc[7, 0] = np.nan
    data.to_csv(tables / "expression.csv", na_rep="NA")
    masked = partitions("--out", tmp_path / "masked")
    assert masked.exit_code == 0
    assert masked.stderr.startswith("note: ")
    assert len(read(tmp_path / "masked" / "genes.tsv")) == GENES
    assert partitions("--out", tmp_path / "dropped", "--on-missing", "drop").exit_code == 0
    genes = read(tmp_path / "dropped" / "genes.tsv")["gene"]
    assert len(genes) == GENES - 2
    assert not {"g5", "g7"} & set(genes)
    refused = partitions("--on-missing", "error")
    assert refused.exit_code == 3
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_the_unit_of_expression_does_not_matter(partitions, tables, tmp_path, factor):
    assert partitions("--out", tmp_path / "one").exit_code == 0
    (drawn() * factor).to_csv(tables / "expression.csv")
    assert partitions("--out", tmp_path / "other").exit_code == 0
    left, right = (read(tmp_path / name / "genes.tsv") for name in ("one", "other"))
    pd.testing.assert_frame_equal(left, right, rtol=1e-6, atol=1e-8)
    left, right = (read(tmp_path / name / "components.tsv")["estimate"] for name in ("one", "other"))
    assert right.to_numpy() == pytest.approx(left.to_numpy() * factor**2, rel=1e-6)


def test_predictions_of_the_same_genes_are_the_fits(partitions, tables, tmp_path):
    drawn()[::-1].iloc[:7].to_csv(tables / "new.csv")
    result = partitions("--predict", tables / "new.csv", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "Predicted: 7 new genes." in result.stdout
    for name in BY_GENE:
        fit = read(tmp_path / "out" / f"{name}.tsv")[::-1].iloc[:7].reset_index(drop=True)
        new = read(tmp_path / "out" / f"predicted.{name}.tsv")
        columns = [column for column in fit.columns if column != "q_value"]  # q-values depend on the other genes
        pd.testing.assert_frame_equal(new[columns], fit[columns], rtol=1e-8, atol=1e-10)


def test_new_samples_have_the_types_that_the_table_tells(partitions, tables, tmp_path):
    new = drawn(genes=9, seed=8)[["a0", "b1", "c2", "e0"]]
    new.to_csv(tables / "new.csv")
    assert partitions("--predict", tables / "new.csv", "--out", tmp_path / "out").exit_code == 0
    expected = fitted().predict(new, sample_type=["a", "b", "c", "e"]).classes
    found = read(tmp_path / "out" / "predicted.genes.tsv")
    pd.testing.assert_frame_equal(found, expected, rtol=1e-6, atol=1e-9)


def test_json_is_all_that_stdout_has(partitions):
    document = json.loads(partitions("--json").stdout)
    assert list(document) == ["expression"]
    found = document["expression"]["facts"]["log_likelihood"]
    assert found == pytest.approx(fitted().log_likelihood, abs=1e-8)


def test_quiet_says_nothing_and_the_summary_is_what_was_shown(partitions, tmp_path):
    shown = partitions("--out", tmp_path / "out")
    summary = (tmp_path / "out" / "summary.txt").read_text()
    assert shown.stdout.startswith(summary)
    quiet = partitions("--quiet", "--out", tmp_path / "out")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
    assert (tmp_path / "out" / "summary.txt").read_text() == summary


def test_a_fit_short_of_its_certificate_is_written_and_exits_4(partitions, tmp_path):
    result = partitions("--method", "em", "--no-polish", "--max-iterations", 2, "--out", tmp_path / "out")
    assert result.exit_code == 4
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: the fit of 'expression' ended without its certificate, STEP_LIMIT")
    assert "--max-iterations" in last
    assert vm.load(tmp_path / "out" / "fit.json").status is vm.Status.STEP_LIMIT
    assert set(read(tmp_path / "out" / "shares.tsv")["interval"]) == {"none"}
    assert len(read(tmp_path / "out" / "genes.tsv")) == GENES


def test_a_later_fit_leaves_nothing_of_an_earlier_one(partitions, tables, tmp_path):
    out = tmp_path / "out"
    drawn()[:3].to_csv(tables / "new.csv")
    assert partitions("--predict", tables / "new.csv", "--bootstrap", 4, "--out", out).exit_code == 0
    assert {"bootstrap.tsv", "predicted.genes.tsv"} <= {path.name for path in out.iterdir()}
    (out / "notes.txt").write_text("mine")
    assert partitions("--out", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*(f"{name}.tsv" for name in WRITTEN), "fit.json", "notes.txt", "summary.txt"]
    )


def test_files_that_are_not_of_a_fit_stay(partitions, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "fit.json").write_text("{}")
    (out / "bootstrap.tsv").write_text("mine")
    assert partitions("--out", out).exit_code == 0
    assert (out / "bootstrap.tsv").read_text() == "mine"


def test_a_bootstrap_gives_errors_and_intervals(partitions, tmp_path):
    assert partitions("--bootstrap", 20, "--level", 0.8, "--seed", 4, "--out", tmp_path / "out").exit_code == 0
    draws = fitted().bootstrap(20, 4)
    table = read(tmp_path / "out" / "bootstrap.tsv").set_index("term")
    assert table.index.tolist() == list(draws.names)
    shares = read(tmp_path / "out" / "shares.tsv")
    assert set(shares["interval"]) == {"bootstrap"}
    lower = pd.Series(draws.interval(level=0.8)[0], index=draws.names)
    expected = [lower[f"share[{word}]"] for word in shares["partition"]]
    # Refits end at certificates of 1e-8 standard errors.
    assert shares["lower"].to_numpy() == pytest.approx(expected, rel=1e-5, abs=1e-8)
    assert set(read(tmp_path / "out" / "proportions.tsv")["interval"]) == {"known"}
    assert np.isnan(table.loc["proportion[a, liver]", "se"])


def test_level_chooses_every_interval(partitions, tmp_path):
    assert partitions("--level", 0.8, "--out", tmp_path / "out").exit_code == 0
    fit = fitted()
    row = read(tmp_path / "out" / "components.tsv").iloc[0]
    assert (row["lower"], row["upper"]) == pytest.approx(fit.interval(row["term"], level=0.8), rel=1e-5)


def test_a_progress_bar_is_for_terminals_and_not_on_stdout(partitions, monkeypatch):
    result = partitions("--starts", 2)
    assert not re.search(r"Climbing|\x1b", result.stdout + result.stderr)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    shown = partitions("--starts", 2)
    assert shown.stdout == result.stdout
    assert "2/2" in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.stderr)
