"""Every command that takes --grm takes every form of relationship matrix."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

import varmix as vm


@pytest.fixture
def forms(files, tmp_path):
    """The matrix of the demonstration as single.grm.bin, list.grm.gz and square.rel, all with nine digits or more."""
    matrix = vm.relationship_matrix(vm.open_plink(files / "demo"))
    vm.write_grm(tmp_path / "single", matrix.values, matrix.sample_ids)
    values = vm.read_grm(tmp_path / "single").values
    rows, columns = np.tril_indices(len(values))
    pairs = zip(rows + 1, columns + 1, values[rows, columns], strict=True)
    text = "".join(f"{row}\t{column}\t1199\t{value:.9e}\n" for row, column, value in pairs)
    (tmp_path / "list.grm.gz").write_bytes(gzip.compress(text.encode()))
    np.savetxt(tmp_path / "square.rel", values, fmt="%.9e", delimiter="\t")
    ids = (tmp_path / "single.grm.id").read_text()
    (tmp_path / "list.grm.id").write_text(f"\ufeff{ids}", encoding="utf-8")
    (tmp_path / "square.rel.id").write_text(f"#FID\tIID\n{ids}")
    return tmp_path


def test_vc_and_many_fit_the_same_from_every_form(run, files, forms):
    people = ["--pheno", files / "demo.pheno.tsv", "--trait", "bmi"]
    found = {}
    for name in ("single", "list", "square"):
        result = run("vc", "--grm", forms / name, *people, "--out", forms / f"vc-{name}", "--no-figures", "--no-test")
        assert result.exit_code == 0, result.stderr
        fitted = pd.read_csv(forms / f"vc-{name}" / "components.tsv", sep="\t")["estimate"]
        result = run("many", "--grm", f"kin={forms / name}", *people, "--out", forms / f"{name}.tsv")
        assert result.exit_code == 0, result.stderr
        many = pd.read_csv(forms / f"{name}.tsv", sep="\t").select_dtypes("number").iloc[0]
        found[name] = np.concatenate([fitted, many])
    for name in ("list", "square"):
        # Text of nine digits moves entries by 1e-10, and estimates not much more; distances from the optimum are
        # rounding of no size.
        np.testing.assert_allclose(found[name], found["single"], rtol=1e-6, atol=1e-9)
