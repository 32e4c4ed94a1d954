"""Figures that the tutorial on mixtures of random effects prints as text are those of the real table."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "random_effect_mixtures.md"
ROW = re.compile(
    r"^\| ([a-z][^|]*) \| ([-\d.]+)(?: \(([\d.]+) to ([\d.]+)\))? \| ([-\d.]+)(?: \(([\d.]+) to ([\d.]+)\))? \|$"
)


@pytest.fixture(scope="module")
def printed() -> dict[str, list[float]]:
    text = PAGE.read_text(encoding="utf-8")
    lines = text[text.index("On the real table this page shows:") :].splitlines()
    found = [match for line in lines if (match := ROW.match(line))]
    return {match[1]: [float(number) for number in match.groups()[1:] if number] for match in found}


def test_the_figures_quoted_are_those_of_the_real_table(reference: Path, printed: dict[str, list[float]]) -> None:
    cad = pd.read_csv(reference / "mixture" / "bmi_cad.csv")
    y, x, se = (cad[name].to_numpy() for name in ("beta.outcome", "beta.exposure", "se.outcome"))
    slope = np.sum(x * y / se**2) / np.sum(x**2 / se**2)
    assert slope == pytest.approx(0.315, abs=5e-4)
    known, inflated = (
        vm.random_effect_mixture(y - slope * x, x, se=se, null=True, residual=residual, rng=1)
        for residual in (None, "estimated")
    )
    shares = [known.shares.iloc[0], inflated.shares.iloc[0]]
    actual = {
        "null class": [row[name] for row in shares for name in ("estimate", "lower", "upper")],
        "variance of the others": [fit.components["estimate"][1] for fit in (known, inflated)],
        "inflation of squared standard errors": [1.0, inflated.components["estimate"][2]],
        "log-likelihood": [known.log_likelihood, inflated.log_likelihood],
    }
    assert printed.keys() == actual.keys()
    for name, numbers in printed.items():
        assert numbers == pytest.approx(actual[name], abs=6e-4), name  # the last of three digits
    assert inflated.facts["gain_bound"] < 5e-4
    ranked = inflated.classes.assign(SNP=cad["SNP"]).sort_values("lfsr")
    assert ranked["SNP"].iloc[0] == "rs4409766"
    assert ranked["lfsr"].iloc[0] == pytest.approx(0.04, abs=5e-3)
    assert ranked["SNP"].iloc[2] == "rs7903146"
