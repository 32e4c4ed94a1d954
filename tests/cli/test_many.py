"""What `varmix many` tells and writes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import varmix as vm


@pytest.fixture
def many(run, files, tmp_path):
    """Run `varmix many` on the demonstration files; the result and its table."""

    def call(*options):
        given = ["--bfile", files / "demo", "--pheno", files / "demo.pheno.tsv", "--covar", files / "demo.covar.tsv"]
        result = run("many", *given, "--out", tmp_path / "new" / "many.tsv", *options)
        written = tmp_path / "new" / "many.tsv"
        return result, pd.read_csv(written, sep="\t").set_index("trait") if written.is_file() else None

    return call


def test_each_row_is_the_fit_of_one_trait(many, run, files, tmp_path):
    result, table = many("--reference", "all")
    assert result.exit_code == 0, result.stderr
    assert table.index.tolist() == ["height", "bmi"]
    for trait in table.index:
        run(
            "vc", "--bfile", files / "demo", "--pheno", files / "demo.pheno.tsv", "--covar", files / "demo.covar.tsv",
            "--trait", trait, "--reference", "all", "--out", tmp_path / trait, "--no-figures",
        )  # fmt: skip
        fit = vm.load(tmp_path / trait / "fit.json")
        row = table.loc[trait]
        # Both certificates are below 1e-8 standard errors.
        np.testing.assert_allclose(row[["s_kernel", "s_residual"]].astype(float), fit.components["estimate"], rtol=1e-7)
        assert row["proportion"] == pytest.approx(fit.proportions["estimate"][0], rel=1e-7)
        assert row["log_likelihood"] == pytest.approx(fit.log_likelihood, abs=1e-7)
        np.testing.assert_allclose(
            row[[f"fixed_{name}" for name in fit.coefficients.index]].astype(float),
            fit.coefficients["estimate"],
            rtol=1e-6,
        )


def test_the_table_on_the_screen_fits_80_columns(many):
    result, _ = many()
    assert max(len(line) for line in result.stdout.splitlines() if not line.startswith("Written")) <= 80
    assert "2 traits, 600 people (0 without any trait, 0 without a covariate left out)." in result.stdout


def test_traits_can_be_chosen(many):
    _, table = many("--trait", "bmi", "--quiet")
    assert table.index.tolist() == ["bmi"]


def test_a_trait_without_variance_is_told_and_left_out(many, files):
    people = pd.read_csv(files / "demo.pheno.tsv", sep="\t").assign(flat=3.0)
    people.to_csv(files / "demo.pheno.tsv", sep="\t", index=False, na_rep="NA")
    result, table = many()
    assert result.exit_code == 0
    assert "note: 1 traits without variance are left out (first: 'flat')" in result.stderr
    assert table.index.tolist() == ["height", "bmi"]


def test_people_without_covariates_are_counted(many, files):
    people = pd.read_csv(files / "demo.covar.tsv", sep="\t")
    people.iloc[:-7].to_csv(files / "demo.covar.tsv", sep="\t", index=False)
    result, table = many()
    assert result.exit_code == 0
    assert "593 people (0 without any trait, 7 without a covariate left out)" in result.stdout
    assert (table["rows"] < 593).all()


def test_only_flat_traits_are_an_error(many, files):
    people = pd.read_csv(files / "demo.pheno.tsv", sep="\t")[["FID", "IID"]].assign(flat=3.0)
    people.to_csv(files / "demo.pheno.tsv", sep="\t", index=False)
    result, table = many()
    assert result.exit_code == 3
    assert "error: None of the 1 traits of demo.pheno.tsv varies (first: 'flat')" in result.stderr
    assert table is None


def test_the_table_needs_a_file_name(many, tmp_path):
    result, _ = many("--out", tmp_path)
    assert result.exit_code == 2
    assert "is a folder" in result.stderr
