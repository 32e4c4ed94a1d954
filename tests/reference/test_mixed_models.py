"""Random intercepts are variance components with kernel XX': mixedlm 1.3.0 and glmm 0.6.2 fit the same model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varmix as vm

OPTIMUM = 1e-6
"""Both stop where the deviance is right to rounding: variances are then right to the root of that, 1e-8 in these
cases, and what follows from them no worse."""


@dataclass(frozen=True, kw_only=True)
class Case:
    table: pd.DataFrame
    designs: dict[str, np.ndarray]
    formula: str

    def fit(self, criterion: Any) -> vm.Fit:
        return vm.variance_components(
            self.table["y"].to_numpy(),
            designs=self.designs,
            covariates=self.table[["z"]].to_numpy(),
            scaling="none",
            criterion=criterion,
        )


def simulate(seed: int, groupings: int) -> Case:
    rng = np.random.default_rng(seed)
    n = 90
    codes = [rng.integers(0, levels, n) for levels in (12, 9)[:groupings]]
    designs = {f"g{k}": np.eye(code.max() + 1)[code] for k, code in enumerate(codes)}
    table = pd.DataFrame({"z": rng.standard_normal(n)})
    table["y"] = 1.0 + 2.0 * table["z"] + rng.standard_normal(n)
    for name, code in zip(designs, codes, strict=True):
        table["y"] += designs[name] @ rng.standard_normal(designs[name].shape[1])
        table[name] = [f"{name}-{level:02d}" for level in code]
    return Case(table=table, designs=designs, formula="y ~ z + " + " + ".join(f"(1|{name})" for name in designs))


@pytest.fixture(params=[(15, 1), (16, 1), (17, 2)], ids=["one", "one again", "crossed"])
def case(request: pytest.FixtureRequest) -> Case:
    return simulate(*request.param)


@pytest.mark.parametrize("criterion", ["reml", "ml"])
def test_random_intercepts_are_those_of_mixedlm(case: Case, criterion: str) -> None:
    mixedlm = pytest.importorskip("mixedlm")
    theirs = mixedlm.lmer(case.formula, case.table, REML=criterion == "reml")
    fit = case.fit(criterion)
    expected = np.append((np.asarray(theirs.theta) * theirs.sigma) ** 2, theirs.sigma**2)
    order = [list(case.designs).index(name) for name in theirs.ngrps()] if len(case.designs) > 1 else [0]
    np.testing.assert_allclose(fit.components["estimate"].to_numpy()[[*order, -1]], expected, rtol=OPTIMUM)
    deviance = theirs.REMLcrit() if criterion == "reml" else theirs.get_deviance()
    assert fit.deviance == pytest.approx(deviance, abs=1e-8)
    np.testing.assert_allclose(fit.coefficients["estimate"], list(theirs.fixef().values()), rtol=OPTIMUM)
    np.testing.assert_allclose(fit.coefficients["se"], np.sqrt(np.diag(theirs.vcov())), rtol=OPTIMUM)


@pytest.mark.parametrize("criterion", ["reml", "ml"])
def test_random_intercepts_are_those_of_glmm(case: Case, criterion: str) -> None:
    glmm = pytest.importorskip("glmm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks of theirs on small-sample degrees of freedom
        theirs = glmm.fit(case.table, case.formula, family="gaussian", reml=criterion == "reml")
    fit = case.fit(criterion)
    variances = {block["group"]: variance for block, variance in zip(theirs.ranef_blocks, theirs.tau2, strict=True)}
    expected = [*(variances[name] for name in case.designs), theirs.dispersion]
    np.testing.assert_allclose(fit.components["estimate"], expected, rtol=OPTIMUM)
    assert fit.log_likelihood == pytest.approx(theirs.loglik, abs=1e-8)
    np.testing.assert_allclose(fit.coefficients["estimate"], theirs.beta, rtol=OPTIMUM)
    np.testing.assert_allclose(fit.coefficients["se"], theirs.se, rtol=OPTIMUM)
    np.testing.assert_allclose(fit.predict(), theirs.fitted, rtol=OPTIMUM, atol=OPTIMUM)
    for block in theirs.ranef_blocks:
        # Levels in the order of their names, as the columns of the designs are.
        ours = fit.effects(block["group"])["estimate"]
        np.testing.assert_allclose(ours, np.asarray(block["values"])[:, 0], rtol=OPTIMUM, atol=OPTIMUM)
