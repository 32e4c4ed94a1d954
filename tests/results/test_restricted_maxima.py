"""Maxima under restrictions that are not reached are looked for again, and told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dense_model import simulate
from scipy import stats

import varmix as vm
from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError
from varmix.inference.bootstrap import parametric_bootstrap
from varmix.iteration import Status
from varmix.models.linear.climb import Climb
from varmix.models.linear.starting import good_starts
from varmix.results.variance_components import restricted


@pytest.fixture(scope="module")
def fit() -> vm.Fit:
    data = simulate(44, 60, (20, 80), (0.8, 0.9, 1.0))
    return vm.variance_components(data.y, designs=data.designs, covariates=data.covariates)


@pytest.mark.parametrize("of", ["variance", "proportion"])
def test_a_climb_that_gets_stuck_is_tried_from_elsewhere(fit: vm.Fit, monkeypatch: Any, of: str) -> None:
    expected = fit.interval("x1", of=of, kind="profile")
    climb, calls = restricted.Restricted._climb, []

    def stuck_first(self: Any, *arguments: Any) -> Any:
        outcome, variances = climb(self, *arguments)
        calls.append(arguments)
        if len(calls) % 2:  # every first try ends nowhere
            certificate = replace(outcome.certificate, newton_decrement=1.0)
            lost = replace(outcome, status=Status.STALLED, objective=outcome.objective - 1.0, certificate=certificate)
            return lost, variances
        return outcome, variances

    monkeypatch.setattr(restricted.Restricted, "_climb", stuck_first)
    # Ends are right to 1e-7 of their distance from the estimate, maxima to 1e-12.
    np.testing.assert_allclose(fit.interval("x1", of=of, kind="profile"), expected, rtol=1e-5)
    assert len(calls) > 2


def test_a_maximum_that_no_start_reaches_is_told(fit: vm.Fit, monkeypatch: Any) -> None:
    monkeypatch.setattr(restricted, "MAX_ITERATIONS", 1)
    report: Any = fit.report
    for ask in (
        lambda: report.intervals.test(("x1",)),
        lambda: report.intervals.profile(0, "variance", 0.95),
    ):
        with pytest.warns(ConvergenceWarning, match="restriction"):
            ask()


def test_a_path_ends_where_the_profile_has_fallen_by_reach_times_half_the_quantile(fit: vm.Fit) -> None:
    half = 0.5 * stats.chi2.ppf(0.95, 1)
    for reach in (0.2, 1.0, 3.0):
        path = fit.profile("residual", points=5, reach=reach)
        # Ends are right to 1e-7 of their distance from the estimate: the fall to twice that.
        assert path["log_likelihood"].iloc[-1] == pytest.approx(-reach * half, rel=1e-5)
    assert np.isfinite(fit.profile("residual", points=3, reach=100.0)).all(axis=None)
    for options in ({"reach": 0.0}, {"reach": -1.0}, {"points": 1}):
        with pytest.raises(OptionError, match="reach"):
            fit.profile("residual", **options)


def test_failed_refits_are_counted_and_told() -> None:
    def replicate(rng: np.random.Generator) -> np.ndarray:
        draw = rng.normal(size=2)
        return draw if rng.uniform() > 0.2 else np.full(2, np.nan)

    with pytest.warns(ConvergenceWarning, match="of 100 refits"):
        boot = parametric_bootstrap(replicate, ("a", "b"), 100, np.random.default_rng(3))
    assert boot.failed == np.isnan(boot.replicates[:, 0]).sum() > 5
    assert np.isfinite(boot.standard_errors).all()
    with pytest.raises(NotAvailableError, match="5 of 5"):
        parametric_bootstrap(lambda rng: np.full(1, np.nan), ("a",), 5, np.random.default_rng(3))


def test_a_refit_by_ml_fails_only_where_a_fit_of_the_draw_would() -> None:
    data = simulate(43, 30, (60,), (1.5, 0.7), covariates=1)
    fit = vm.variance_components(data.y, designs=data.designs, covariates=data.covariates, criterion="ml")
    with pytest.warns(ConvergenceWarning, match="refits"):
        boot = fit.bootstrap(40, rng=4)
    report: Any = fit.report
    model, climb, failed = report.model, Climb(criterion="ml"), 0
    for child in np.random.default_rng(4).spawn(40):
        piece = model.piece.with_complement(model.piece.system.draw(report.estimates.variances, child))
        outcomes = [climb.run_inside([piece], begin) for begin in good_starts(piece, "ml")]
        failed += not any(outcome.status.arrived for outcome in outcomes)
    assert boot.failed <= failed
    # With more columns than rows ML has no maximum for some draws, from wherever it starts.
    assert 0 < boot.failed < 8
