"""Every bad input has one clear line, or a repair that is counted: what, where, what next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm


def refused(result, code: int, *parts: str) -> None:
    """One `error:` line with all parts, nothing on stdout, no traceback."""
    assert result.exit_code == code, result.stderr or result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    for part in parts:
        assert part in lines[0]
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def rewrite(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, sep="\t", index=False)


@pytest.mark.parametrize("end", [".bed", ".bim", ".fam"])
def test_missing_plink_file(vc, files, end):
    (files / f"demo{end}").unlink()
    refused(vc(), 3, f"demo{end} is not in", str(files), "Similar files there")


def test_missing_phenotype_file_names_the_similar_one(vc, files):
    refused(vc("--pheno", files / "demo.phen.tsv"), 3, "demo.phen.tsv is not there", "demo.pheno.tsv")


def test_missing_covariate_file(vc, files):
    refused(vc("--covar", files / "none.tsv"), 3, "none.tsv is not there", "Check the path")


def test_missing_relationship_matrix(vc, files):
    refused(vc("--grm", files / "kin"), 3, "kin.grm.bin is not in", str(files), "No .grm file is there")


def test_missing_annotation(vc, files):
    refused(vc("--annotation", files / "sets.txt"), 3, "sets.txt is not there", "Check the path")


def test_a_trait_among_its_covariates(vc, files):
    given = ["--covar", files / "demo.pheno.tsv", "--covar-names", "height"]
    refused(vc(*given), 2, "'height' is the trait and a covariate", "--covar-names")


def test_ids_that_do_not_match_say_which_files_and_why(run, files):
    pheno = files / "demo.pheno.tsv"
    rewrite(
        pheno,
        table(pheno).rename(columns={"FID": "IID", "IID": "FID"})[["FID", "IID", "height"]].drop_duplicates("IID"),
    )
    result = run("vc", "--bfile", files / "demo", "--pheno", pheno)
    refused(result, 3, "Nobody is in both", "demo.pheno.tsv", "demo.fam", "FID and IID seem to be swapped")


def test_people_not_in_every_file_are_counted(vc, files, tmp_path):
    pheno, covar = files / "demo.pheno.tsv", files / "demo.covar.tsv"
    people = table(pheno)
    people.loc[:4, "IID"] = [f"stranger{number}" for number in range(5)]
    rewrite(pheno, people)
    rewrite(covar, table(covar).iloc[:-7])
    result = vc("--out", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.stderr
    assert (
        "12 of 600 people of demo.pheno.tsv have no line in demo.covar.tsv (first: 'F001 stranger0')" in result.stderr
    )
    assert "5 of 600 people of demo.pheno.tsv are not in every file (first: 'F001 stranger0')" in result.stderr
    counts = pd.read_csv(tmp_path / "sample.tsv", sep="\t").set_index(["what", "cause"])["count"]
    assert counts["response", "samples not in all sources"] == 5
    assert counts["rows", "missing covariate"] == 7
    assert counts["rows", "used"] == vm.load(tmp_path / "fit.json").facts["n"]


def test_nobody_in_the_covariate_file(vc, files):
    covar = files / "demo.covar.tsv"
    people = table(covar)
    rewrite(covar, people.assign(IID=people["FID"] + "_" + people["IID"]))
    refused(vc(), 3, "Nobody is in both", "demo.pheno.tsv", "demo.covar.tsv", "split them into two columns")


def test_a_trait_without_variance(vc, files):
    pheno = files / "demo.pheno.tsv"
    rewrite(pheno, table(pheno).assign(height="170"))
    refused(vc(), 3, "'height' has no variance: it is 170 in all 600 rows", "Check the column")


@pytest.mark.parametrize("missing", ["NA", "nan", "NaN", ".", ""])
def test_every_coding_of_missing_is_counted(vc, files, tmp_path, missing):
    pheno = files / "demo.pheno.tsv"
    people = table(pheno)
    people.loc[people["height"] == "NA", "height"] = missing
    rewrite(pheno, people)
    assert vc("--out", tmp_path, "--no-figures").exit_code == 0
    counts = pd.read_csv(tmp_path / "sample.tsv", sep="\t").set_index(["what", "cause"])["count"]
    assert counts["rows", "missing response"] == 12


def test_another_coding_of_missing_says_where(vc, files):
    pheno = files / "demo.pheno.tsv"
    pheno.write_text(pheno.read_text().replace("NA", "unknown"))
    refused(vc(), 3, "demo.pheno.tsv, line ", "column 'height': 'unknown' is not a finite number", "written NA")


def test_minus_nine_is_asked_about_and_can_be_missing(vc, files, tmp_path):
    pheno = files / "demo.pheno.tsv"
    pheno.write_text(pheno.read_text().replace("NA", "-9"))
    asked = vc()
    assert asked.exit_code == 0
    assert "column 'height' is exactly -9 for 12 of 600 people" in asked.stderr
    assert "--minus-nine-missing" in asked.stderr
    assert "bmi" not in asked.stderr
    told = vc("--minus-nine-missing", "--out", tmp_path, "--no-figures")
    assert told.stderr == ""
    assert vm.load(tmp_path / "fit.json").facts["n"] == 588


def test_infinity_in_a_table(vc, files):
    covar = files / "demo.covar.tsv"
    people = table(covar)
    people.loc[3, "age"] = "inf"
    rewrite(covar, people)
    refused(vc(), 3, "demo.covar.tsv, line 5, column 'age': 'inf' is not a finite number")


@pytest.mark.parametrize("name", ["demo.pheno.tsv", "demo.covar.tsv"])
def test_duplicated_ids_in_a_table(vc, files, name):
    people = table(files / name)
    rewrite(files / name, pd.concat([people, people.iloc[[6]]]))
    refused(vc(), 3, f"'{name}' lists 1 people more than once", "'P007' (entries 7 and 601)", "Keep one entry")


def test_duplicated_ids_in_the_fam(vc, files):
    fam = files / "demo.fam"
    lines = fam.read_text().splitlines()
    fam.write_text("\n".join([*lines[:-1], lines[0]]) + "\n")
    refused(vc(), 3, "'demo.fam' lists 1 people more than once", "'P001'", "Keep one entry per person")


def test_truncated_bed(vc, files):
    bed = files / "demo.bed"
    bed.write_bytes(bed.read_bytes()[:-1000])
    refused(vc(), 3, "demo.bed is truncated", "180,003 bytes, and it has 179,003", "Copy it again")


def test_bed_of_other_people(vc, files):
    fam = files / "demo.fam"
    fam.write_text("\n".join(fam.read_text().splitlines()[:400]) + "\n")
    refused(vc(), 3, "demo.bed is too long", "belongs to another file")


def test_wrong_magic_bytes(vc, files):
    bed = files / "demo.bed"
    bed.write_bytes(b"\x00\x00" + bed.read_bytes()[2:])
    refused(vc(), 3, "demo.bed starts with the bytes 0000, not 6c1b", "plink --make-bed")


def test_bed_stored_person_by_person(vc, files):
    bed = files / "demo.bed"
    bed.write_bytes(b"\x6c\x1b\x00" + bed.read_bytes()[3:])
    refused(vc(), 3, "person by person", "plink --make-bed")


def test_collinear_covariates_are_dropped_and_named(vc, files, tmp_path):
    covar = files / "demo.covar.tsv"
    people = table(covar)
    rewrite(covar, people.assign(months=(people["age"].astype(int) * 12).astype(str)))
    result = vc("--out", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.stderr
    assert "months" in result.stderr
    assert "Covariates dropped as collinear: months." in result.stdout
    assert pd.read_csv(tmp_path / "coefficients.tsv", sep="\t")["term"].tolist() == ["(Intercept)", "sexmale", "age"]


def test_no_more_people_than_covariates(vc, files):
    pheno, covar = files / "demo.pheno.tsv", files / "demo.covar.tsv"
    rewrite(pheno, table(pheno).iloc[20:30])
    rng = np.random.default_rng(1)
    people = table(covar)
    extra = {f"pc{number}": np.round(rng.normal(size=len(people)), 4).astype(str) for number in range(12)}
    rewrite(covar, people.assign(**extra))
    refused(vc(), 3, "'height' has 10 complete rows for", "columns of covariates", "Use fewer covariates")


def test_not_a_number_in_a_relationship_matrix(run, files, tmp_path):
    people = table(files / "demo.pheno.tsv")[["FID", "IID"]]
    matrix = np.eye(len(people))
    vm.write_grm(tmp_path / "kin", matrix, people)
    matrix[30, 4] = np.nan  # as other programs write two people without a shared variant
    matrix[np.tril_indices(len(people))].astype("<f4").tofile(tmp_path / "kin.grm.bin")
    refused(
        run("vc", "--grm", tmp_path / "kin", "--pheno", files / "demo.pheno.tsv", "--trait", "bmi"),
        3, "Kernel 'kin': entry (4, 30) is nan", "Drop that row and column",
    )  # fmt: skip


def test_relationship_matrix_of_the_wrong_size(run, files, tmp_path):
    people = table(files / "demo.pheno.tsv")[["FID", "IID"]]
    vm.write_grm(tmp_path / "kin", np.eye(len(people)), people)
    ids = tmp_path / "kin.grm.id"
    ids.write_text("\n".join(ids.read_text().splitlines()[:-1]) + "\n")
    refused(
        run("vc", "--grm", tmp_path / "kin", "--pheno", files / "demo.pheno.tsv", "--trait", "bmi"),
        3, "kin.grm.bin has 721,200 bytes", "it fits 600 people",
    )  # fmt: skip


def test_a_line_with_too_few_cells(vc, files):
    pheno = files / "demo.pheno.tsv"
    lines = pheno.read_text().splitlines()
    lines[9] = "\t".join(lines[9].split("\t")[:-1])
    pheno.write_text("\n".join(lines) + "\n")
    refused(vc(), 3, "demo.pheno.tsv, line 10: 3 columns where the header has 4")


def test_a_table_without_header(vc, files):
    pheno = files / "demo.pheno.tsv"
    pheno.write_text("\n".join(pheno.read_text().splitlines()[1:]) + "\n")
    refused(vc(), 3, "not with the header FID IID", "pass --no-header")


def test_a_bim_with_too_few_columns(vc, files):
    bim = files / "demo.bim"
    lines = bim.read_text().splitlines()
    lines[2] = lines[2].rsplit("\t", 1)[0]
    bim.write_text("\n".join(lines) + "\n")
    refused(vc(), 3, "demo.bim, line 3: 5 columns")


def test_a_file_that_is_not_text(vc, files):
    refused(vc("--pheno", files / "demo.bed"), 3, "demo.bed is not text in UTF-8", "Check that it is the right file")


def test_a_trait_that_is_not_there(vc):
    refused(vc("--trait", "hight"), 2, "--trait hight", "demo.pheno.tsv has no such column", "Did you mean 'height'?")


def test_a_covariate_that_is_not_there(vc):
    refused(vc("--covar-names", "ages"), 2, "--covar-names ages", "demo.covar.tsv has no such column", "'age'")


def test_several_traits_and_none_chosen(run, files):
    result = run("vc", "--bfile", files / "demo", "--pheno", files / "demo.pheno.tsv")
    refused(result, 2, "has 2 traits: height, bmi", "Choose with --trait")


def test_nothing_to_fit(run, files):
    refused(run("vc", "--pheno", files / "demo.pheno.tsv", "--trait", "bmi"), 2, "--bfile PREFIX", "--grm PREFIX")


def test_two_kernels_of_one_name(vc, files):
    refused(vc("--bfile", files / "demo"), 2, "Two kernels are named 'demo'", "--bfile first=PREFIX")


def test_options_that_exclude_each_other(vc):
    refused(vc("--method", "ml", "--criterion", "reml"), 2, "--method ml", "--criterion reml", "give one of them")


def test_acceleration_is_no_option_of_moments(vc):
    refused(vc("--method", "moments", "--accelerate", "squarem"), 2, "accelerate", "--method moments")


def test_starts_are_no_option_of_moments(vc):
    refused(vc("--method", "moments", "--starts", 2), 2, "--starts has no meaning with --method moments")


def test_options_of_moments_need_moments(vc):
    refused(vc("--traces", "randomised"), 2, "--traces is an option of --method moments, not of --method reml")
    refused(vc("--method", "moments", "--traces", "randomised", "--errors", "sandwich"), 2, "--errors sandwich")


def test_a_tolerance_that_is_none(vc):
    refused(vc("--tolerance", -1), 2, "--tolerance -1.0 must be positive")


@pytest.mark.parametrize("prefix", [".", "", "=demo", "name="])
def test_a_prefix_that_is_none(run, files, prefix):
    result = run("vc", "--bfile", prefix, "--pheno", files / "demo.pheno.tsv", "--trait", "bmi")
    refused(result, 2, f"'{prefix}' is not PREFIX or NAME=PREFIX", "coding=data/chr1")


@pytest.mark.parametrize("name", ["1", "008.6", "a|b~c", "a`b", "[T.a]"])
def test_a_trait_and_a_covariate_may_have_any_name(run, files, tmp_path, name):
    expected, out = tmp_path / "expected", tmp_path / "out"
    call = ["vc", "--bfile", files / "demo", "--pheno", files / "demo.pheno.tsv", "--covar", files / "demo.covar.tsv"]
    call += ["--no-test", "--no-figures"]
    assert run(*call, "--trait", "bmi", "--covar-names", "age", "--out", expected).exit_code == 0
    for path, word in ((files / "demo.pheno.tsv", "bmi"), (files / "demo.covar.tsv", "age")):
        path.write_text(path.read_text().replace(word, name if word == "bmi" else f"age {name}", 1))
    result = run(*call, "--trait", name, "--covar-names", f"age {name}", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert (out / "components.tsv").read_text() == (expected / "components.tsv").read_text()
    assert pd.read_csv(out / "coefficients.tsv", sep="\t")["term"].tolist() == ["(Intercept)", f"age {name}"]


def test_a_level_that_is_none(vc):
    refused(vc("--level", 95), 2, "--level 95 is not between 0 and 1", "0.95")


def test_an_unknown_method_is_a_usage_error(vc):
    result = vc("--method", "magic")
    assert result.exit_code == 2
    assert "pxem" in result.stderr


def test_a_file_in_the_way_of_the_folder_is_found_before_the_fit(vc, tmp_path):
    (tmp_path / "out").write_text("mine")
    refused(vc("--out", tmp_path / "out"), 2, "is a file, not a folder", "Give another folder")


def test_debug_shows_where(vc, files):
    (files / "demo.bed").unlink()
    result = vc("--debug")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")


def test_interruption_exits_130(vc, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("varmix.cli.vc.variance_components", interrupt)
    refused(vc(), 130, "interrupted")


def test_a_defect_is_not_called_bad_data(vc, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("varmix.cli.vc.variance_components", fail)
    refused(vc(), 1, "ZeroDivisionError", "defect of varmix", "--debug")


@pytest.mark.parametrize("end", ["bim", "fam"])
def test_a_header_in_a_plink_file(vc, files, end):
    path = files / f"demo.{end}"
    path.write_text(f"{'#CHROM ID CM POS ALT REF' if end == 'bim' else '#FID IID PAT MAT SEX'}\n{path.read_text()}")
    refused(vc(), 3, f"demo.{end}, line 1 is a header", "Remove the line")
