"""What `varmix vc` tells and writes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.datasets import load_demo

TABLES = ["components.tsv", "coefficients.tsv", "progress.tsv", "proportions.tsv", "sample.tsv", "tests.tsv"]


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t")


def demo_fit(**options):
    demo = load_demo()
    return vm.variance_components(
        "height ~ sex + age", demo.people, designs={"demo": vm.open_plink(demo.bfile)}, **options
    )


def test_files_hold_what_the_library_gives(vc, tmp_path):
    out = tmp_path / "new" / "out"
    result = vc("--out", out)
    assert result.exit_code == 0, result.stderr
    fit = demo_fit()
    saved = vm.load(out / "fit.json")
    assert saved.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)  # rounding of another thread count
    pd.testing.assert_frame_equal(read(out / "components.tsv"), fit.components, rtol=1e-6)
    proportions = read(out / "proportions.tsv")
    pd.testing.assert_frame_equal(proportions.drop(columns="ratio"), fit.proportions, rtol=1e-6)
    variances = fit.components["estimate"].to_numpy()
    np.testing.assert_allclose(proportions["ratio"], variances / variances.sum(), rtol=1e-9)
    coefficients = read(out / "coefficients.tsv").set_index("term")
    pd.testing.assert_frame_equal(coefficients, fit.coefficients, rtol=1e-6)
    assert read(out / "tests.tsv")["p"][0] == pytest.approx(fit.test("demo").p_value, rel=1e-6)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*TABLES, "fit.json", "summary.txt", "components.png", "progress.png", "profile.png"]
    )


def test_every_figure_is_a_png(vc, tmp_path):
    vc("--out", tmp_path / "out")
    figures = list((tmp_path / "out").glob("*.png"))
    assert len(figures) == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)


def test_the_table_fits_80_columns_and_tells_losses(vc):
    result = vc()
    assert result.exit_code == 0
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    told = " ".join(result.stdout.split())
    assert "12 with missing response; 588 used." in told
    assert "1,200 read; 1 monomorphic" in told
    assert "CONVERGED" in told
    assert result.stderr == ""
    assert not [line for line in result.stdout.splitlines() if line != line.rstrip()]


def test_a_long_trait_name_and_many_covariates_fit_80_columns(run, files):
    pheno, covar = files / "demo.pheno.tsv", files / "many.tsv"
    pheno.write_text(
        pheno.read_text().replace("height", "a trait with a name far longer than one line of a terminal has", 1)
    )
    people = read(files / "demo.covar.tsv")
    rng = np.random.default_rng(1)
    for number in range(30):
        people[f"principal component number {number}"] = rng.normal(size=len(people))
    people.to_csv(covar, sep="\t", index=False)
    name = "a trait with a name far longer than one line of a terminal has"
    result = run("vc", "--bfile", files / "demo", "--pheno", pheno, "--covar", covar, "--trait", name)
    assert result.exit_code == 0, result.stderr
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert "... and 13 more" in result.stdout


@pytest.mark.parametrize("method", ["newton", "em", "pxem", "mm", "reml"])
def test_every_method_arrives_at_one_optimum(vc, tmp_path, method):
    assert vc("--method", method, "--out", tmp_path, "--no-figures").exit_code == 0
    # The certificate of 1e-8 standard errors is 1e-9 of an estimate here.
    np.testing.assert_allclose(
        read(tmp_path / "components.tsv")["estimate"], demo_fit().components["estimate"], rtol=1e-7
    )


def test_method_ml_is_newton_by_ml(vc, tmp_path):
    assert vc("--method", "ml", "--out", tmp_path, "--no-figures").exit_code == 0
    fit = vm.load(tmp_path / "fit.json")
    assert (fit.facts["method"], fit.criterion) == ("newton", "ml")
    assert fit.log_likelihood == pytest.approx(demo_fit(criterion="ml").log_likelihood, abs=1e-8)


def test_moments_have_no_tests_and_no_path(vc, tmp_path):
    result = vc("--method", "moments", "--out", tmp_path)
    assert result.exit_code == 0
    assert not (tmp_path / "tests.tsv").exists()
    assert not (tmp_path / "progress.png").exists()
    fit = demo_fit(method="moments")
    np.testing.assert_allclose(read(tmp_path / "components.tsv")["estimate"], fit.components["estimate"], rtol=1e-9)


def test_randomised_moments_agree_with_exact_ones_and_repeat(vc, tmp_path):
    given = ["--method", "moments", "--traces", "randomised", "--probes", 200, "--no-figures", "--out"]
    result = vc(*given, tmp_path / "one", "--effects")
    assert result.exit_code == 0, result.stderr
    assert "note: No effects were written" in result.stderr
    assert vc(*given, tmp_path / "two").exit_code == 0
    one, two = (read(tmp_path / name / "components.tsv") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, rtol=1e-9)
    exact = demo_fit(method="moments").components
    # 200 probes leave a Monte-Carlo error far below the standard error.
    assert (np.abs(one["estimate"] - exact["estimate"]) < 0.3 * exact["se"]).all()
    jackknife = vc(*given, tmp_path / "three", "--errors", "jackknife", "--blocks", 20)
    assert jackknife.exit_code == 0
    assert vm.load(tmp_path / "three" / "fit.json").facts["errors"] == "jackknife"


def test_options_reach_the_fit(vc, tmp_path):
    result = vc(
        "--method", "mm", "--accelerate", "squarem", "--no-polish", "--max-iterations", 40, "--starts", 3, "--seed", 5,
        "--scaling", "allele_frequency", "--threads", 1, "--tolerance", 1e-5, "--out", tmp_path, "--no-figures",
        "--no-test",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    fit = vm.load(tmp_path / "fit.json")
    assert fit.facts["accelerate"] == "squarem"
    assert fit.facts["starts"] == 3
    assert fit.certificate.newton_decrement <= 1e-5
    assert len(read(tmp_path / "starts.tsv")) == 3
    assert not (tmp_path / "tests.tsv").exists()
    expected = demo_fit(scaling="allele_frequency")
    np.testing.assert_allclose(fit.components["estimate"], expected.components["estimate"], rtol=1e-3)
    assert fit.components["estimate"][0] != pytest.approx(demo_fit().components["estimate"][0], rel=1e-3)


def test_level_sets_every_interval(vc, tmp_path):
    assert vc("--level", 0.8, "--out", tmp_path, "--no-figures").exit_code == 0
    fit = demo_fit()
    ends = fit.interval("demo", level=0.8)
    row = read(tmp_path / "components.tsv").iloc[0]
    assert (row["lower"], row["upper"]) == pytest.approx(ends, rel=1e-6)
    narrow, wide = read(tmp_path / "coefficients.tsv"), fit.coefficients
    assert ((narrow["upper"] - narrow["lower"]).to_numpy() < (wide["upper"] - wide["lower"]).to_numpy()).all()


def test_an_annotation_splits_the_genotypes(vc, files, tmp_path):
    result = vc("--annotation", files / "demo.sets", "--rest", "other", "--out", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.stderr
    assert read(tmp_path / "components.tsv")["term"].tolist() == ["genic", "other", "residual"]
    assert read(tmp_path / "tests.tsv")["term"].tolist() == ["genic", "other"]
    assert "genic: 214 read" in result.stdout


def test_variants_in_no_group_are_counted(vc, files):
    result = vc("--annotation", files / "demo.sets")
    assert result.exit_code == 0
    assert "986 of 1,200 variants" in result.stderr
    assert "--rest other" in result.stderr


def test_several_files_are_several_kernels(run, files, tmp_path):
    grm = run("grm", "--bfile", files / "demo", "--out", tmp_path / "kin")
    assert grm.exit_code == 0, grm.stderr
    rng = np.random.default_rng(3)
    ids = vm.read_grm(tmp_path / "kin").sample_ids
    noise = rng.normal(size=(len(ids), 900)) / 30.0
    vm.write_grm(tmp_path / "noise", noise @ noise.T, ids)
    result = run(
        "vc", "--bfile", f"snps={files / 'demo'}", "--grm", tmp_path / "noise", "--pheno", files / "demo.pheno.tsv",
        "--trait", "bmi", "--out", tmp_path / "out", "--no-figures",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert read(tmp_path / "out" / "components.tsv")["term"].tolist() == ["snps", "noise", "residual"]


def test_a_written_relationship_matrix_gives_the_fit_of_its_genotypes(run, vc, files, tmp_path):
    # Without missing calls: the matrix has every pair over the calls that both have, the design puts means in.
    bed_reader = pytest.importorskip("bed_reader")
    calls = vm.open_plink(files / "demo").read(None, 0, 1200)
    bed_reader.to_bed(files / "demo.bed", np.where(np.isnan(calls), 1.0, calls))
    for end in ("bim", "fam"):  # to_bed writes its own beside
        shutil.copy(load_demo().bfile.with_suffix(f".{end}"), files / f"demo.{end}")
    made = run("grm", "--bfile", files / "demo", "--out", tmp_path / "kin", "--scaling", "allele_frequency")
    assert made.exit_code == 0, made.stderr
    options = ["--no-figures", "--out"]
    direct = vc("--scaling", "allele_frequency", "--reference", "all", *options, tmp_path / "direct")
    by_grm = run(
        "vc", "--grm", tmp_path / "kin", "--pheno", files / "demo.pheno.tsv", "--covar", files / "demo.covar.tsv",
        "--trait", "height", *options, tmp_path / "grm",
    )  # fmt: skip
    assert (direct.exit_code, by_grm.exit_code) == (0, 0)
    left, right = (read(tmp_path / name / "components.tsv")["estimate"] for name in ("direct", "grm"))
    np.testing.assert_allclose(left, right, rtol=1e-5)  # the files hold float32


def test_effects_are_written_for_every_variant_kept(vc, tmp_path):
    vc("--effects", "--out", tmp_path, "--no-figures")
    assert len(read(tmp_path / "effects.demo.tsv")) == 1199


def test_json_is_all_that_stdout_has(vc):
    result = vc("--json")
    document = json.loads(result.stdout)
    assert list(document) == ["height"]
    assert document["height"]["status"] == "CONVERGED"
    assert document["height"]["facts"]["log_likelihood"] == pytest.approx(demo_fit().log_likelihood, abs=1e-8)


def test_quiet_says_nothing(vc, tmp_path):
    result = vc("--quiet", "--out", tmp_path)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert (tmp_path / "fit.json").is_file()


def test_several_traits_have_folders_of_their_own(vc, tmp_path):
    result = vc("--trait", "bmi", "--out", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "files") == ["bmi", "height"]
    for trait in ("bmi", "height"):
        assert vm.load(tmp_path / trait / "fit.json").facts["response"] == trait


def test_a_trait_that_cannot_be_fitted_does_not_stop_the_others(vc, files, tmp_path):
    pheno = files / "demo.pheno.tsv"
    people = read(pheno).assign(flat=1.0)
    people.to_csv(pheno, sep="\t", index=False, na_rep="NA")
    result = vc("--trait", "flat", "--trait", "bmi", "--out", tmp_path / "out", "--no-figures")
    assert result.exit_code == 3
    assert "error: trait 'flat': Response 'flat' has no variance" in result.stderr
    assert (tmp_path / "out" / "bmi" / "fit.json").is_file()


def test_files_of_others_in_the_folder_stay(vc, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "fit.json").write_text("old")
    assert vc("--out", tmp_path, "--no-figures").exit_code == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert vm.load(tmp_path / "fit.json").facts["n"] == 588


def test_a_trait_without_heritability_ends_on_the_boundary_with_p_one(run, files, tmp_path):
    people = read(files / "demo.pheno.tsv")[["FID", "IID"]].assign(noise=np.random.default_rng(2).normal(size=600))
    people.to_csv(files / "noise.tsv", sep="\t", index=False)
    result = run("vc", "--bfile", files / "demo", "--pheno", files / "noise.tsv", "--out", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.stderr
    assert "ON_BOUNDARY" in result.stdout
    row = read(tmp_path / "components.tsv").iloc[0]
    assert (row["estimate"], row["lower"]) == (0.0, 0.0)
    assert row["upper"] > 0.0
    assert np.isnan(row["se"])
    assert read(tmp_path / "tests.tsv")["p"][0] == 1.0


def test_no_file_of_an_earlier_fit_stays(vc, tmp_path):
    assert vc("--effects", "--starts", 2, "--seed", 1, "--out", tmp_path).exit_code == 0
    (tmp_path / "effects.mine.tsv").write_text("mine")
    assert vc("--method", "moments", "--out", tmp_path).exit_code == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert not names & {"tests.tsv", "starts.tsv", "progress.png", "profile.png", "effects.demo.tsv"}
    assert {"effects.mine.tsv", "components.png", "components.tsv"} <= names


def test_a_fit_short_of_its_certificate_is_written_and_exits_4(vc, tmp_path):
    result = vc("--method", "em", "--no-polish", "--max-iterations", 3, "--out", tmp_path, "--no-figures")
    assert result.exit_code == 4
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: the fit of 'height' ended without its certificate, STEP_LIMIT")
    assert "--max-iterations" in last
    assert "--method newton" in last
    assert vm.load(tmp_path / "fit.json").status is vm.Status.STEP_LIMIT


@pytest.mark.parametrize(
    "options",
    [
        ("--method", "em", "--no-polish", "--max-iterations", 3),  # no intervals away from an optimum
        ("--method", "moments", "--traces", "randomised", "--errors", "jackknife", "--blocks", 10, "--probes", 20),
    ],
)
def test_figures_are_drawn_whatever_the_kind_of_interval(vc, tmp_path, options):
    result = vc(*options, "--out", tmp_path)
    assert result.exit_code == (4 if "em" in options else 0), result.stderr
    assert (tmp_path / "components.png").stat().st_size > 0
    assert (tmp_path / "progress.png").exists() == ("em" in options)


def test_one_file_may_hold_traits_and_covariates(run, files, tmp_path):
    both = read(files / "demo.pheno.tsv").merge(read(files / "demo.covar.tsv")[["FID", "IID", "age"]])
    both.to_csv(files / "both.tsv", sep="\t", index=False, na_rep="NA")
    given = ["--pheno", files / "both.tsv", "--covar", files / "both.tsv", "--trait", "height", "--covar-names", "age"]
    result = run("vc", "--bfile", files / "demo", *given, "--out", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.stderr
    assert read(tmp_path / "coefficients.tsv")["term"].tolist() == ["(Intercept)", "age"]


def test_categories_become_contrasts(vc, files, tmp_path):
    covar = files / "demo.covar.tsv"
    people = read(covar).assign(batch=np.arange(600) % 3)
    people.to_csv(covar, sep="\t", index=False)
    result = vc("--categorical", "batch", "--covar-names", "sex,batch", "--out", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.stderr
    assert read(tmp_path / "coefficients.tsv")["term"].tolist() == ["(Intercept)", "sexmale", "batch1", "batch2"]


def test_a_progress_bar_is_for_terminals_and_not_on_stdout(vc, monkeypatch):
    result = vc()
    assert not re.search(r"Reading|\x1b", result.stdout + result.stderr)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    shown = vc()
    assert shown.stdout == result.stdout
    assert "1200/1200" in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.stderr)


def test_summary_is_what_was_shown(vc, tmp_path):
    result = vc("--out", tmp_path, "--no-figures")
    assert result.stdout.startswith((tmp_path / "summary.txt").read_text())


def with_missing_calls(files, prefix):
    """A relationship matrix whose calls are missing pair by pair, as GCTA writes it; its lowest eigenvalue."""
    ids = pd.read_csv(files / "demo.pheno.tsv", sep="\t", dtype=str)[["FID", "IID"]]
    rng = np.random.default_rng(5)
    calls = rng.binomial(2, 0.3, size=(len(ids), 400)).astype(float)
    there = rng.random(calls.shape) > 0.05
    f = np.nanmean(np.where(there, calls, np.nan), axis=0) / 2.0
    values = np.where(there, (calls - 2.0 * f) / np.sqrt(2.0 * f * (1.0 - f)), 0.0)
    K = values @ values.T / (there.astype(float) @ there.T)
    vm.write_grm(prefix, K, ids)
    return float(np.linalg.eigvalsh(K)[0])


def test_negative_eigenvalues_are_kept_or_clipped_and_told(run, files, tmp_path):
    assert with_missing_calls(files, tmp_path / "kin") < -0.05
    fits = {}
    for choice, said in (("keep", "--negative-eigenvalues clip"), ("clip", "were set to 0")):
        result = run(
            "vc", "--grm", tmp_path / "kin", "--pheno", files / "demo.pheno.tsv", "--trait", "bmi",
            "--negative-eigenvalues", choice, "--out", tmp_path / choice, "--no-figures",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        assert said in " ".join((result.stdout + result.stderr).split())
        fits[choice] = vm.load(tmp_path / choice / "fit.json")
        table = tmp_path / f"{choice}.tsv"
        many = run(
            "many", "--grm", tmp_path / "kin", "--pheno", files / "demo.pheno.tsv", "--trait", "bmi",
            "--negative-eigenvalues", choice, "--out", table,
        )  # fmt: skip
        assert many.exit_code == 0, many.stderr
        assert said in " ".join(many.stderr.split())
        row = pd.read_csv(table, sep="\t").iloc[0]
        # Both certificates are below 1e-8 standard errors.
        assert row["log_likelihood"] == pytest.approx(fits[choice].log_likelihood, abs=1e-7)
        assert fits[choice].facts["negative_eigenvalues"][0]["treatment"] == choice
