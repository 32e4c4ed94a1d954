"""Comparisons of nested fits of independent groups are those of their two log-likelihoods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import varmix as vm
from varmix.errors import NotAvailableError, OptionError

GROUPS, SIZE = 60, 4
ROWS = GROUPS * SIZE
rng = np.random.default_rng(11)
GROUP = np.repeat(np.arange(GROUPS), SIZE)
X = rng.standard_normal((ROWS, 3))
Z = rng.standard_normal((ROWS, 2))
Y = 0.3 * Z[:, 0] + (X * ([1.0, 0.4, 0.0] * rng.standard_normal((GROUPS, 3)))[GROUP]).sum(axis=1)
Y += rng.standard_normal(ROWS)
WEIGHTS = rng.uniform(0.2, 3.0, GROUPS)[GROUP]
# Certified maxima agree to about 1e-12 of a log-likelihood of order 1e3.
CLOSE = 1e-7


def fitted(columns: Any = (0, 1), covariates: Any = (), **changes: Any) -> vm.Fit:
    given: dict[str, Any] = {"weights": WEIGHTS, "group": GROUP, "y": Y, "x": X[:, list(columns)]}
    given |= {"covariates": Z[:, list(covariates)] if covariates else None}
    return vm.weighted_random_effects(**(given | changes))


@pytest.mark.parametrize("group", [GROUP, None])
@pytest.mark.parametrize("residual", [None, 1.1])
def test_an_added_column_has_half_the_p_value(group: Any, residual: float | None) -> None:
    large = fitted((0, 1), group=group, residual=residual)
    small = fitted((0,), group=group, residual=residual)
    test = large.compare(small)
    assert test.statistic == pytest.approx(2.0 * (large.log_likelihood - small.log_likelihood), abs=CLOSE)
    assert test.weights == (0.5, 0.5)
    assert test.tested == ("x2",)
    assert small.compare(large) == test


def test_two_added_columns_have_the_weights_of_their_test() -> None:
    large, small = fitted((0, 1, 2), (0,)), fitted((1,), (0,))
    test = large.compare(small)
    assert test.statistic == pytest.approx(2.0 * (large.log_likelihood - small.log_likelihood), abs=CLOSE)
    assert len(test.weights) == 3
    assert test.weights == large.test("x1", "x3").weights
    assert test.tested == ("x1", "x3")


def test_added_covariates_have_the_law_of_fixed_effects() -> None:
    fits = [fitted(), fitted(covariates=(0,)), fitted(covariates=(0, 1), intercept=True)]
    for large, small, count in ((fits[1], fits[0], 1), (fits[2], fits[1], 2), (fits[2], fits[0], 3)):
        test = small.compare(large)
        assert test.statistic == pytest.approx(2.0 * (large.log_likelihood - small.log_likelihood), abs=CLOSE)
        assert test.p_value == pytest.approx(stats.chi2.sf(test.statistic, count), rel=1e-9)
        assert len(test.tested) == count


def test_integer_weights_count_as_groups_seen_so_often() -> None:
    times = 1 + np.arange(GROUPS) % 3
    rows = np.concatenate([np.tile(np.flatnonzero(g == GROUP), times[g]) for g in range(GROUPS)])
    seen = {"y": Y[rows], "group": np.repeat(np.arange(times.sum()), SIZE), "weights": None}
    weighed = fitted((0, 1), weights=times[GROUP]).compare(fitted((0,), weights=times[GROUP]))
    repeated = fitted(x=X[rows][:, :2], **seen).compare(fitted(x=X[rows][:, :1], **seen))
    assert weighed.statistic == pytest.approx(repeated.statistic, abs=CLOSE)
    assert weighed.weights == repeated.weights


@pytest.mark.parametrize("size", [1e-90, -3.0, 1e90])
def test_units_and_codings_are_not_what_is_compared(size: float) -> None:
    expected = fitted((0, 1), (0, 1)).compare(fitted((1,), (0, 1)))
    turned = Z @ np.array([[1.0, 2.0], [-1.0, 0.5]]) * abs(size)
    small = vm.weighted_random_effects(Y, size * X[:, 1], WEIGHTS, group=GROUP, covariates=turned)
    found = fitted((0, 1), (0, 1)).compare(small)
    assert found.statistic == pytest.approx(expected.statistic, abs=CLOSE)
    assert found.tested == ("x1",)


def test_without_groups_the_signs_of_a_column_say_nothing() -> None:
    large = fitted((0, 1), group=None)
    assert large.compare(fitted(x=np.abs(X[:, 0]), group=None)).tested == ("x2",)
    with pytest.raises(OptionError, match="multiple of none"):
        fitted((0, 1)).compare(fitted(x=np.abs(X[:, 0])))


def test_a_variance_that_is_not_there_is_no_evidence() -> None:
    large = fitted(x=np.column_stack([X[:, 0], np.ones(ROWS)]), y=Y - Y.reshape(GROUPS, SIZE).mean(axis=1)[GROUP])
    small = fitted((0,), y=Y - Y.reshape(GROUPS, SIZE).mean(axis=1)[GROUP])
    assert large.components["estimate"][1] == 0.0
    assert (large.compare(small).statistic, large.compare(small).p_value) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"columns": (2,)}, "multiple of none"),
        ({"columns": (0, 1)}, "neither has all the covariates"),
        ({"columns": (0,), "covariates": (0,)}, "one at a time"),
        ({"columns": (0,), "y": 2.0 * Y}, "different responses"),
        ({"columns": (0,), "weights": None}, "different responses, rows, groups or weights"),
        ({"columns": (0,), "group": None}, "different responses, rows, groups or weights"),
        ({"columns": (0,), "residual": 1.0}, "known in one fit"),
    ],
)
def test_what_is_not_nested_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        fitted().compare(fitted(**changes))


def test_covariates_of_another_space_are_refused() -> None:
    with pytest.raises(OptionError, match="neither has all the covariates"):
        fitted(covariates=(0, 1)).compare(fitted(covariates=(), intercept=True))


def test_columns_that_cannot_be_told_apart_and_fits_short_of_the_maximum_are_refused() -> None:
    with pytest.warns(vm.errors.VarmixWarning, match="cannot tell"):
        mixed = fitted(x=np.column_stack([X[:, 0], -2.0 * X[:, 0]]))
    with pytest.raises(OptionError, match="cannot tell its variances apart"):
        mixed.compare(fitted((0,)))
    with pytest.warns(vm.errors.ConvergenceWarning, match="STEP_LIMIT"):
        short = fitted(method="em", polish=False, max_iterations=2)
    for pair in ((short, fitted((0,))), (fitted((0,)), short)):
        with pytest.raises(NotAvailableError, match="not at a maximum"):
            pair[0].compare(pair[1])


def test_other_models_and_options_are_refused() -> None:
    other = vm.variance_components(Y, kernels={"k": X @ X.T})
    with pytest.raises(OptionError, match="weighted random effects"):
        fitted().compare(other)
    with pytest.raises(OptionError, match="replicates"):
        fitted().compare(fitted((0,)), replicates=3)
