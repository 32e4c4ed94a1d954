"""The mice of Valdar et al. (2006), from the bed file by the command line.

Numbers: glimix-core 3.1.14, FaST-LMM 0.6.13 and a dense computation, which agree; one kernel, intercept only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm

DIGITS = 1.1e-6
"""The numbers are given to seven digits after the point and held to 1e-6."""


@pytest.fixture
def mouse(run, reference, tmp_path):
    """Fit traits and give the folder of the results."""

    def fit(*options: str) -> Path:
        files = reference / "genotype" / "mouse_hs1940"
        given = ["--bfile", f"hs={files}", "--pheno", f"{files}.pheno.tsv", "--trait", "CD8", "--trait", "MCH"]
        result = run("vc", *given, *options, "--out", tmp_path, "--quiet", "--no-figures", "--no-test")
        assert result.exit_code == 0, result.stderr
        return tmp_path

    return fit


def column(path: Path, name: str) -> np.ndarray:
    return pd.read_csv(path, sep="\t")[name].to_numpy()


def test_reml_standardised_on_all_mice(mouse):
    out = mouse("--method", "reml", "--reference", "all")
    known = {
        "CD8": ([0.5070246, 0.3456021], 0.5946619, -1598.19627, 1410),
        "MCH": ([0.7412964, 0.4290670], 0.6333900, -1983.21603, 1580),
    }
    for trait, (variances, ratio, log_likelihood, n) in known.items():
        np.testing.assert_allclose(column(out / trait / "components.tsv", "estimate"), variances, atol=DIGITS)
        assert column(out / trait / "proportions.tsv", "ratio")[0] == pytest.approx(ratio, abs=DIGITS)
        fit = vm.load(out / trait / "fit.json")
        assert fit.log_likelihood == pytest.approx(log_likelihood, abs=6e-6)  # given to five digits
        assert fit.facts["n"] == n


def test_reml_standardised_on_the_phenotyped_mice(mouse):
    out = mouse("--method", "reml", "--reference", "used")
    for trait, ratio, variants in (("CD8", 0.5928699, 9282), ("MCH", 0.6313412, 9266)):
        assert column(out / trait / "proportions.tsv", "ratio")[0] == pytest.approx(ratio, abs=DIGITS)
        counts = pd.read_csv(out / trait / "sample.tsv", sep="\t").set_index(["what", "cause"])["count"]
        assert counts["hs", "variants used"] == variants


def test_exact_moments(mouse):
    out = mouse("--method", "moments", "--reference", "all")
    for trait, variances in (("CD8", [1.2657358, -0.2634068]), ("MCH", [0.3183541, 0.6822602])):
        np.testing.assert_allclose(column(out / trait / "components.tsv", "estimate"), variances, atol=DIGITS)
    fit = vm.load(out / "CD8" / "fit.json")
    assert fit.status is vm.Status.OUTSIDE_CONE
    assert "structured" in fit.facts["warnings"][0]
