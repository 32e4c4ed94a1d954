"""The test that the smallest class variance is 0 is that of two fits, where it is regular."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import varmix as vm
from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError
from varmix.iteration import Serial
from varmix.results.random_effect_mixture.smallest_variance import smallest_variance_test
from varmix.typing import Index, Vector

FEWER = "fit fewer classes"


def rows(seed: int, variances: tuple[float, float], n: int = 400) -> tuple[Vector, Vector, Index]:
    """Two rows per effect, half of the effects of each variance."""
    rng = np.random.default_rng(seed)
    effects = np.sqrt(np.where(rng.random(n) < 0.5, *variances)) * rng.standard_normal(n)
    group, x = np.repeat(np.arange(n), 2), rng.standard_normal(2 * n)
    return effects[group] * x + 0.5 * rng.standard_normal(2 * n), x, group


@pytest.mark.parametrize("unit", [1.0, 1e40])
@pytest.mark.parametrize("known", [None, 0.25])
def test_the_statistic_is_that_of_two_fits(unit: float, known: float | None) -> None:
    y, x, group = rows(1, (0.1, 3.0))
    residual = None if known is None else known * unit**2
    fit = vm.random_effect_mixture(unit * y, x, group, residual=residual, rng=1)
    null = vm.random_effect_mixture(unit * y, x, group, residual=residual, null=True, rng=1)
    assert fit.shares["estimate"].min() > 0.1
    test = fit.test("v_1")
    # Two certified maxima of a log-likelihood of order 1e3 (1e5 with its Jacobian), subtracted.
    assert test.statistic == pytest.approx(2.0 * (fit.log_likelihood - null.log_likelihood), abs=1e-6)
    assert test.statistic > 1.0
    assert test.weights == (0.5, 0.5)
    assert test.p_value == pytest.approx(0.5 * stats.chi2.sf(test.statistic, 1), rel=1e-9)
    assert fit.test("v_1") == test


def test_the_statistic_is_that_of_two_fits_in_chunks_and_with_known_errors() -> None:
    y, x, _ = rows(7, (0.3, 6.0))
    columns = {"y": y, "x": x, "e": np.where(np.arange(len(y)) % 2, 0.4, 0.6)}
    table = vm.random_effect_mixture("y", "x", se="e", data=columns, rng=1)
    null = vm.random_effect_mixture("y", "x", se="e", data=columns, null=True, rng=1)
    frame = pd.DataFrame(columns)
    chunks = vm.random_effect_mixture("y", "x", se="e", data=[frame.iloc[:300], frame.iloc[300:]], rng=1)
    expected = 2.0 * (table.log_likelihood - null.log_likelihood)
    assert expected > 0.1
    assert table.test("v_1").statistic == pytest.approx(expected, abs=1e-6)
    assert chunks.test("v_1").statistic == pytest.approx(expected, abs=1e-6)


def test_a_single_class_is_tested_against_no_effects() -> None:
    rng = np.random.default_rng(3)
    x, e = rng.standard_normal(300), rng.standard_normal(300)
    fit = vm.random_effect_mixture(0.5 * rng.standard_normal(300) * x + e, x, classes=1)
    without = stats.norm.logpdf(fit.augment()["y"], scale=np.sqrt(np.mean(fit.augment()["y"] ** 2))).sum()
    assert fit.test("v_1").statistic == pytest.approx(2.0 * (fit.log_likelihood - without), abs=1e-8)


def test_a_variance_estimated_at_zero_has_no_evidence_against_it() -> None:
    y, x, group = rows(1, (0.0, 3.0))
    fits = (vm.random_effect_mixture(y, x, group, rng=1), vm.random_effect_mixture(-y, 2.0 * x, group, rng=1))
    for fit in fits:
        assert fit.components["estimate"][0] == 0.0
        assert fit.status is vm.Status.ON_BOUNDARY
        assert (fit.test("v_1").statistic, fit.test("v_1").p_value) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("pi_1",), FEWER),
        (("pi",), FEWER),
        (("v_2",), FEWER),
        (("v_1", "v_2"), FEWER),
        (("s",), "cannot be tested"),
        (("x",), "There is no parameter 'x'"),
        ((), r"fit.test\('v_1'\)"),
    ],
)
def test_what_has_no_regular_test_is_refused_with_advice(names: tuple[str, ...], told: str) -> None:
    y, x, group = rows(1, (0.1, 3.0), n=60)
    with pytest.raises(OptionError, match=told):
        vm.random_effect_mixture(y, x, group, starts=2, rng=1).test(*names)


def test_a_null_class_is_not_tested_again() -> None:
    y, x, group = rows(1, (0.1, 3.0), n=60)
    with pytest.raises(OptionError, match="null=False"):
        vm.random_effect_mixture(y, x, group, null=True, starts=2, rng=1).test("v_1")


@pytest.mark.parametrize(
    ("seed", "told"), [(2, "A class of the fit with v_1 = 0 has no share"), (3, "of this fit apart")]
)
def test_one_class_fitted_as_two_is_refused(seed: int, told: str) -> None:
    fit = vm.random_effect_mixture(*rows(seed, (1.0, 1.0)), rng=1, starts=4)
    with pytest.raises(NotAvailableError, match=f"{told}.*{FEWER}"):
        fit.test("v_1")


def test_short_of_the_maximum_nothing_is_tested() -> None:
    with pytest.warns(ConvergenceWarning):
        short = vm.random_effect_mixture(*rows(1, (1.0, 1.0)), method="em", polish=False, max_iterations=2, starts=1)
    with pytest.raises(NotAvailableError, match="This fit is not at a maximum"):
        short.test("v_1")


def test_a_fit_below_the_one_with_the_variance_at_zero_says_so() -> None:
    report: Any = vm.random_effect_mixture(*rows(1, (0.1, 3.0)), rng=1).report
    low = report.estimation.outcome.objective - 100.0
    with pytest.warns(ConvergenceWarning, match="above the fit's"):
        test = smallest_variance_test(report.model, report.params, report.status, low, Serial())
    assert (test.statistic, test.p_value) == (0.0, 1.0)
