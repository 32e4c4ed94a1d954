"""What `varmix effects` and `varmix effects-plan` tell and write."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm

ROWS = 400
TABLES = ["classes", "components", "design", "paths", "sample", "shares", "starts"]


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t")


def drawn(rows: int = ROWS) -> pd.DataFrame:
    """Summary statistics with known errors: 60 % of the effects are null, the others have variance 0.5."""
    rng = np.random.default_rng(20)
    x, errors = rng.normal(size=rows), rng.uniform(0.1, 0.3, size=rows)
    effect = np.sqrt(0.5) * rng.normal(size=rows) * (rng.random(rows) < 0.4)
    y = effect * x + errors * rng.normal(size=rows)
    snp = [f"rs{number}" for number in range(rows)]
    return pd.DataFrame({"SNP": snp, "bx": x, "by": y, "sy": errors, "gene": np.arange(rows) // 4})


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "table.csv"
    drawn().to_csv(path, index=False)
    return path


@pytest.fixture
def effects(run, table):
    """Run `varmix effects` on this table with known errors and a null class."""
    given = ["--table", table, "--y", "by", "--x", "bx", "--se", "sy", "--null", "--starts", 3]
    return lambda *arguments: run("effects", *given, *arguments)


def null_fit(**options):
    return vm.random_effect_mixture("by", "bx", se="sy", data=drawn(), null=True, starts=3, rng=1, **options)


def test_files_hold_what_the_library_gives(effects, tmp_path):
    out = tmp_path / "new" / "out"
    result = effects("--out", out, "--id", "SNP", "--no-figures")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    fit, saved = null_fit(), vm.load(out / "fit.json")
    assert saved.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)
    for name in ("shares", "components", "design", "paths", "sample"):
        # The file has 17 digits; the starts are those of the same seed.
        pd.testing.assert_frame_equal(read(out / f"{name}.tsv"), fit.table(name), rtol=1e-9, check_dtype=False)
    classes = read(out / "classes.tsv")
    assert classes.pop("id").tolist() == drawn()["SNP"].tolist()
    pd.testing.assert_frame_equal(classes, fit.classes, rtol=1e-9)
    assert read(out / "starts.tsv")["log_likelihood"].to_numpy() == pytest.approx(fit.starts["log_likelihood"])
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*(f"{name}.tsv" for name in TABLES), "fit.json", "summary.txt"]
    )


def test_every_figure_is_a_png(effects, tmp_path):
    result = effects("--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    figures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert figures == [f"{n}.png" for n in ("components", "mixing", "posterior", "profile", "scatter", "starts")]
    assert all((tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG") for name in figures)


def test_the_text_fits_80_columns_and_tells_the_essentials(effects):
    result = effects("--plan", "--classes", 4, "--interval", "wald")
    assert result.exit_code == 0, result.stderr
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert not [line for line in result.stdout.splitlines() if line != line.rstrip()]
    told = " ".join(result.stdout.split())
    for part in ("Shares of the classes", "What the design can tell", "Starts: ", "Rows: 400 used.", "BIC", "known"):
        assert part in told
    assert "design can tell" not in effects().stdout


@pytest.mark.parametrize("method", ["newton", "em", "pxem", "mm", "glm"])
def test_every_method_arrives_at_one_optimum(effects, tmp_path, method):
    assert effects("--method", method, "--out", tmp_path, "--no-figures").exit_code == 0
    # Certificates of 1e-8 standard errors; the log-likelihood is flat to second order there.
    assert vm.load(tmp_path / "fit.json").log_likelihood == pytest.approx(null_fit().log_likelihood, abs=1e-9)


def test_options_reach_the_fit(effects, tmp_path):
    result = effects(
        "--method", "em", "--accelerate", "squarem", "--no-polish", "--max-iterations", 400, "--tolerance", 1e-5,
        "--starts", 2, "--seed", 7, "--workers", 2, "--classes", 3, "--residual", "estimated", "--out", tmp_path,
        "--no-figures", "--interval", "wald",
    )  # fmt: skip
    assert result.exit_code in (0, 4), result.stderr
    facts = vm.load(tmp_path / "fit.json").facts
    asked = {"method": "em", "accelerate": "squarem", "classes": 3, "null": True, "residual": "estimated", "starts": 2}
    assert {name: facts[name] for name in asked} == asked
    assert facts["finished_by"] == "em"


def test_a_known_residual_is_held(run, table, tmp_path):
    given = ["--table", table, "--y", "by", "--x", "bx", "--residual", 0.04, "--out", tmp_path, "--no-figures"]
    assert run("effects", *given).exit_code == 0
    row = read(tmp_path / "components.tsv").iloc[-1]
    assert (row["estimate"], row["interval"]) == (0.04, "known")


def test_a_seed_repeats_and_is_the_only_randomness(effects, tmp_path):
    options = ["--bootstrap", 10, "--max-classes", 2, "--replicates", 5, "--no-figures", "--seed"]
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        assert effects(*options, seed, "--out", tmp_path / name).exit_code == 0
    for file in ("summary.txt", "bootstrap.tsv", "number_of_classes.tsv", "classes.tsv"):
        assert (tmp_path / "one" / file).read_text() == (tmp_path / "two" / file).read_text()
    assert (tmp_path / "one" / "bootstrap.tsv").read_text() != (tmp_path / "three" / "bootstrap.tsv").read_text()


def test_groups_and_weights_are_columns(run, table, tmp_path):
    data = drawn().assign(w=1.0 + drawn()["gene"] % 2)
    data.to_csv(table, index=False)
    given = ["--table", table, "--y", "by", "--x", "bx", "--group", "gene", "--weights", "w", "--starts", 3]
    assert run("effects", *given, "--out", tmp_path, "--no-figures").exit_code == 0
    fit = vm.random_effect_mixture("by", "bx", "gene", weights="w", data=data, starts=3, rng=1)
    saved = vm.load(tmp_path / "fit.json")
    assert saved.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)
    assert read(tmp_path / "classes.tsv")["group"].tolist() == list(range(ROWS // 4))


def test_one_column_may_group_and_weigh(run, table):
    result = run("effects", "--table", table, "--y", "by", "--x", "bx", "--group", "gene", "--weights", "gene")
    assert result.exit_code == 0, result.stderr


def test_labels_of_groups_are_text_as_written(run, tmp_path):
    path, data = tmp_path / "table.tsv", drawn()
    data["gene"] = [f"{gene:03d}" for gene in data["gene"]]
    data.to_csv(path, sep="\t", index=False)
    out = tmp_path / "out"
    run("effects", "--table", path, "--y", "by", "--x", "bx", "--group", "gene", "--out", out, "--no-figures")
    assert pd.read_csv(out / "classes.tsv", sep="\t", dtype={"group": str})["group"][:2].tolist() == ["000", "001"]


@pytest.mark.parametrize("kind", ["profile", "wald"])
def test_interval_and_level_choose_every_interval(effects, tmp_path, kind):
    assert effects("--interval", kind, "--level", 0.8, "--out", tmp_path, "--no-figures").exit_code == 0
    fit = null_fit()
    components, shares = read(tmp_path / "components.tsv"), read(tmp_path / "shares.tsv")
    for name, row in (("v_2", components.iloc[1]), ("pi_1", shares.iloc[0]), ("pi_2", shares.iloc[1])):
        # Ends are found to a share of a standard error.
        assert (row["lower"], row["upper"]) == pytest.approx(fit.interval(name, kind=kind, level=0.8), rel=1e-6)
        assert row["interval"] == kind
    assert components["interval"].tolist() == ["known", kind, "known"]


def test_bootstrap_intervals_are_the_librarys(effects, tmp_path):
    result = effects("--interval", "bootstrap", "--bootstrap", 12, "--seed", 5, "--out", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.stderr
    found = vm.random_effect_mixture("by", "bx", se="sy", data=drawn(), null=True, starts=3, rng=5).bootstrap(12, 5)
    lower, upper = found.interval()
    table = read(tmp_path / "bootstrap.tsv").set_index("term")
    assert table.loc["pi_1", ["lower", "upper"]].tolist() == pytest.approx([lower[3], upper[3]], rel=1e-9)
    assert table.loc["v_1", ["se", "lower", "upper"]].isna().all()  # the null class is known, not drawn
    shares = read(tmp_path / "shares.tsv")
    assert shares["interval"].tolist() == ["bootstrap", "bootstrap"]
    assert shares["se"].to_numpy() == pytest.approx(found.standard_errors[3:], rel=1e-9)
    assert read(tmp_path / "components.tsv")["interval"].tolist() == ["known", "bootstrap", "known"]


def test_numbers_of_classes_are_tested_one_after_the_other(effects, tmp_path):
    result = effects("--max-classes", 3, "--replicates", 19, "--out", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.stderr
    table = read(tmp_path / "number_of_classes.tsv")
    assert table["classes"].tolist()[:2] == [1, 2]
    assert table["p_value"][0] == 0.05  # no effects at all is 100s below in log-likelihood: 1 of 20
    assert "Number of classes" in result.stdout


def test_npmle_writes_a_mixing_distribution(effects, tmp_path, run, table):
    given = ["--table", table, "--y", "by", "--x", "bx", "--se", "sy", "--method", "npmle", "--points", 15]
    result = run("effects", *given, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    mixing = read(tmp_path / "mixing.tsv")
    assert mixing["share"].sum() == pytest.approx(1.0, abs=1e-9)
    assert len(mixing) <= 15
    assert (tmp_path / "mixing.png").is_file()
    assert not (tmp_path / "shares.tsv").exists()
    assert "Mixing distribution" in result.stdout


def test_no_file_of_an_earlier_fit_stays(effects, run, table, tmp_path):
    out = tmp_path / "out"
    assert effects("--bootstrap", 5, "--max-classes", 2, "--replicates", 2, "--out", out).exit_code == 0
    (out / "notes.txt").write_text("mine")
    given = ["--table", table, "--y", "by", "--x", "bx", "--method", "npmle", "--out", out, "--no-figures"]
    assert run("effects", *given).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["classes.tsv", "components.tsv", "fit.json", "mixing.tsv", "notes.txt", "paths.tsv", "sample.tsv"]
        + ["summary.txt"]
    )


def test_files_that_are_not_of_a_fit_stay(effects, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "fit.json").write_text("{}")
    (out / "mixing.tsv").write_text("mine")
    assert effects("--out", out, "--no-figures").exit_code == 0
    assert (out / "mixing.tsv").read_text() == "mine"


def test_json_is_all_that_stdout_has(effects):
    document = json.loads(effects("--json").stdout)
    assert list(document) == ["by"]
    assert document["by"]["facts"]["log_likelihood"] == pytest.approx(null_fit().log_likelihood, abs=1e-9)


def test_quiet_says_nothing(effects, table, tmp_path):
    data = drawn()
    data.loc[3, "by"] = np.nan
    data.to_csv(table, index=False)
    result = effects("--quiet", "--out", tmp_path / "out", "--no-figures")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_summary_is_what_was_shown(effects, tmp_path):
    result = effects("--out", tmp_path, "--no-figures")
    assert result.stdout.startswith((tmp_path / "summary.txt").read_text())


def test_a_fit_short_of_its_certificate_is_written_and_exits_4(effects, tmp_path):
    result = effects("--method", "em", "--no-polish", "--max-iterations", 2, "--out", tmp_path)
    assert result.exit_code == 4
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: the fit of 'by' ended without its certificate, STEP_LIMIT")
    assert "--max-iterations" in last
    assert vm.load(tmp_path / "fit.json").status is vm.Status.STEP_LIMIT
    assert set(read(tmp_path / "shares.tsv")["interval"]) == {"none"}


@pytest.mark.parametrize("form", ["tsv", "blanks", "csv.gz", "parquet", "quoted", "comments"])
def test_tables_of_all_kinds_give_one_fit(run, tmp_path, form):
    data, path = drawn(), tmp_path / f"table.{form if form in ('tsv', 'csv.gz', 'parquet') else 'txt'}"
    if form == "parquet":
        pytest.importorskip("pyarrow")
        data.to_parquet(path)
    elif form == "quoted":
        data.assign(SNP=[f"a, {name}" for name in data["SNP"]]).to_csv(path, index=False, quoting=2)
    elif form == "comments":
        text = data.rename(columns={"SNP": "#SNP"}).to_csv(sep="\t", index=False)
        path.write_text("##source=a\n##cells, with commas\n" + text.replace("\n", "\r\n"))
    elif form == "csv.gz":
        path.write_bytes(gzip.compress(data.to_csv(index=False).encode()))
    else:
        data.to_csv(path, sep="\t" if form == "tsv" else " ", index=False)
    out = tmp_path / "out"
    given = ["--table", path, "--y", "by", "--x", "bx", "--se", "sy", "--id", "SNP", "--out", out, "--no-figures"]
    result = run("effects", *given, "--null", "--starts", 3)
    assert result.exit_code == 0, result.stderr
    # Decimal text is read back to the last bit or so.
    assert vm.load(out / "fit.json").log_likelihood == pytest.approx(null_fit().log_likelihood, abs=1e-10)
    assert read(out / "classes.tsv")["id"][5] == ("a, rs5" if form == "quoted" else "rs5")


@pytest.mark.parametrize("group", [(), ("--group", "gene")])
def test_a_stream_gives_the_fit_of_the_table(run, table, tmp_path, group):
    data = drawn().astype({"by": object})
    data.loc[[5, 9], "by"] = [".", "NA"]
    data.to_csv(table, index=False)
    given = ["--table", table, "--y", "by", "--x", "bx", "--se", "sy", "--starts", 3, *group, "--out"]
    assert run("effects", *given, tmp_path / "whole", "--no-figures").exit_code == 0
    streamed = run("effects", *given, tmp_path / "pieces", "--stream")
    assert streamed.exit_code == 0, streamed.stderr
    for name in ("classes", "components", "shares"):
        # Sums over pieces are rounded in another order.
        left, right = (read(tmp_path / folder / f"{name}.tsv") for folder in ("whole", "pieces"))
        pd.testing.assert_frame_equal(left, right, rtol=1e-5, check_dtype=False)
    assert not (tmp_path / "pieces" / "fit.json").exists()
    assert (tmp_path / "pieces" / "starts.png").exists()


def test_columns_that_nobody_asked_for_may_hold_anything(effects, table):
    drawn().assign(notes="a b", by2=np.inf, chr=["X", "1"] * (ROWS // 2)).to_csv(table, index=False)
    assert effects().exit_code == 0


def test_incomplete_rows_are_dropped_and_told(effects, table, tmp_path):
    data = drawn()
    data["by"] = data["by"].astype(object)
    data.loc[[0, 7], "by"], data.loc[7, "sy"], data.loc[9, "bx"] = ".", np.nan, np.nan
    data.to_csv(table, index=False, na_rep="NA")
    result = effects("--out", tmp_path / "out", "--no-figures", "--id", "SNP")
    assert result.exit_code == 0
    assert "note: 3 of 400 rows were dropped (y missing in 2, x missing in 1, se missing in 1)." in result.stderr
    assert "397 used" in result.stdout
    classes = read(tmp_path / "out" / "classes.tsv")
    assert classes["row"][:2].tolist() == [1, 2]
    assert (classes["id"] == [f"rs{row}" for row in classes["row"]]).all()


def test_responses_of_exactly_0_are_told_once(run, table):
    data = drawn()
    data.loc[:3, "by"] = 0.0
    data.to_csv(table, index=False)
    result = run("effects", "--table", table, "--y", "by", "--x", "bx", "--starts", 2)
    assert "effects have responses of exactly 0" in " ".join(result.stdout.split())
    assert "(--se)" in result.stdout
    assert "exactly 0" not in result.stderr.split("error:")[0]


def test_a_progress_bar_is_for_terminals_and_not_on_stdout(effects, monkeypatch):
    result = effects()
    assert not re.search(r"Climbing|\x1b", result.stdout + result.stderr)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    shown = effects()
    assert shown.stdout == result.stdout
    assert "3/3" in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.stderr)


def test_a_plan_is_the_librarys(run, tmp_path):
    given = ["--variances", "0.001,1", "--residual", 0.5, "--shares", "0.7,0.3", "--effects", 5000, "--rows", "1,5"]
    result = run("effects-plan", *given, "--target-se", 0.02, "--out", tmp_path / "plan.tsv")
    assert result.exit_code == 0, result.stderr
    plan = vm.plan_random_effect_mixture(
        [0.001, 1.0], 0.5, [0.7, 0.3], effects=5000, rows_per_effect=[1, 5], target_se=0.02
    )
    pd.testing.assert_frame_equal(read(tmp_path / "plan.tsv"), plan.table, rtol=1e-9)
    *told, written = result.stdout.splitlines()
    assert max(len(line) for line in told) <= 80
    assert written == f"Written: {tmp_path / 'plan.tsv'}"
    assert plan.advice[0].split()[-1] in result.stdout


def test_a_plan_takes_regressors_and_errors_from_a_table(run, table, tmp_path):
    given = ["--variances", "0,0.5", "--shares", "0.6,0.4", "--null", "--table", table, "--x", "bx"]
    result = run("effects-plan", *given, "--se-column", "sy", "--out", tmp_path / "plan.tsv", "--rows", "1")
    assert result.exit_code == 0, result.stderr
    plan = vm.plan_random_effect_mixture(
        [0.0, 0.5], None, [0.6, 0.4], x=drawn()["bx"], se=drawn()["sy"], null=True, rows_per_effect=1
    )
    assert read(tmp_path / "plan.tsv")["se_share_1"][0] == pytest.approx(plan.table["se_share_1"][0], rel=1e-9)
