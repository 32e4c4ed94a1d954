"""REML on 1,940 heterogeneous-stock mice: glimix-core 3.1.14, FaST-LMM 0.6.13 and dense NumPy agree on this."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm

# trait: n, s_b, s_e, s_b / (s_b + s_e), restricted log-likelihood, moments (s_b, s_e). Seven digits are printed.
PRINTED = {
    "CD8": (1410, 0.5070246, 0.3456021, 0.5946619, -1598.19627, (1.2657358, -0.2634068)),
    "MCH": (1580, 0.7412964, 0.4290670, 0.6333900, -1983.21603, (0.3183541, 0.6822602)),
}


@pytest.fixture(scope="module")
def mice(reference: Path) -> tuple[str, pd.DataFrame]:
    folder = reference / "genotype"
    table = pd.read_csv(folder / "mouse_hs1940.pheno.tsv", sep="\t", dtype={"FID": str, "IID": str})
    return str(folder / "mouse_hs1940"), table


@pytest.mark.parametrize("trait", ["CD8", pytest.param("MCH", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::varmix.errors.FragileMomentsWarning")
def test_reml_and_moments_are_those_of_the_outside_programs(mice: tuple[str, pd.DataFrame], trait: str) -> None:
    prefix, table = mice
    n, s_b, s_e, share, log_likelihood, moments = PRINTED[trait]
    people = table.dropna(subset=[trait])
    source = {"designs": {"snps": vm.open_plink(prefix)}, "reference": "all"}
    fit = vm.variance_components(f"{trait} ~ 1", people, **source)
    found = fit.components["estimate"].to_numpy()
    assert fit.facts["n"] == n
    np.testing.assert_allclose(found, [s_b, s_e], rtol=1e-6)
    assert found[0] / found.sum() == pytest.approx(share, abs=1e-7)
    assert fit.log_likelihood == pytest.approx(log_likelihood, abs=5e-6)
    by_moments = vm.variance_components(f"{trait} ~ 1", people, method="moments", **source)
    np.testing.assert_allclose(by_moments.components["estimate"], moments, rtol=1e-6)
    assert by_moments.facts["fragility"] > 5.0
