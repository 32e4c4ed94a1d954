"""Every scheme on every algebra: the likelihood never falls, and all reach the one optimum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dense_model import DenseModel
from structures import ALGEBRAS, UNBOUNDED, case

from varmix.iteration import Status
from varmix.marginal.piece import Structure
from varmix.models.linear.climb import ACCELERATORS, SCHEMES, Climb
from varmix.models.linear.starting import equal_start, good_start, random_start

CRITERIA = pytest.mark.parametrize("criterion", ["ml", "reml"])
WAYS = [(scheme, accelerate) for scheme in SCHEMES for accelerate in ACCELERATORS if scheme != "newton"]
WAYS = [("newton", "none"), *WAYS]
# Sums of 40 logarithms and squares: a fall below this is the rounding of a log-likelihood near 100.
ROUNDING = 1e-11


PROBLEMS = [(name, "reml") for name in ALGEBRAS] + [(name, "ml") for name in ALGEBRAS if name not in UNBOUNDED]
Problem = tuple[DenseModel, Structure, str, np.ndarray, float]


@pytest.fixture(scope="module", params=PROBLEMS, ids="-".join)
def problem(request: pytest.FixtureRequest) -> Problem:
    algebra, criterion = request.param
    dense, structure = case(algebra, seed=11)
    return dense, structure, criterion, *dense.maximum(criterion)


@pytest.mark.parametrize(("scheme", "accelerate"), WAYS)
def test_all_schemes_reach_the_dense_optimum_by_ascent(problem: Problem, scheme: str, accelerate: str) -> None:
    dense, structure, criterion, best, top = problem
    piece, units = structure.piece(dense.y)
    climb = Climb(scheme=scheme, criterion=criterion, accelerate=accelerate)  # type: ignore[arg-type]
    outcome = climb.run([piece], equal_start(piece))
    assert outcome.status.arrived
    path = np.array([step.objective for step in outcome.progress.steps])
    assert np.diff(path).min() > -ROUNDING
    errors = dense.n - (dense.c if criterion == "reml" else 0)
    assert outcome.objective - errors * np.log(units.response) == pytest.approx(top, abs=1e-9)
    found = units.outward(outcome.params.values)
    # Relative to the spread: the certificate is 1e-8 standard errors, the dense optimiser about 1e-7.
    np.testing.assert_allclose(found, best, rtol=1e-6, atol=1e-6 * best.max())
    np.testing.assert_array_equal(found == 0.0, best == 0.0)
    assert (outcome.status is Status.ON_BOUNDARY) == bool((found == 0.0).any())


@CRITERIA
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("algebra", ["kernel given", "narrow", "several given"])
def test_the_optimum_does_not_depend_on_the_start(algebra: str, scheme: str, criterion: Any) -> None:
    dense, structure = case(algebra, seed=12)
    piece, units = structure.piece(dense.y)
    best, _ = dense.maximum(criterion)
    rng = np.random.default_rng(5)
    climb = Climb(scheme=scheme, criterion=criterion, accelerate="none")
    for start in [good_start(piece), *(random_start(piece, rng) for _ in range(3))]:
        outcome = climb.run([piece], start)
        assert outcome.status.arrived
        np.testing.assert_allclose(units.outward(outcome.params.values), best, rtol=1e-6, atol=1e-6 * best.max())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_starts_far_away_are_no_obstacle(scheme: str) -> None:
    dense, structure = case("tridiagonal", seed=13)
    piece, units = structure.piece(dense.y)
    best, _ = dense.maximum("reml")
    for values in ([1e-6, 1e4], [1e4, 1e-6], [1e-8, 1e-8], [1e8, 1e8]):
        start = equal_start(piece).moved_to(np.array(values))
        outcome = Climb(scheme=scheme, max_iterations=2000).run([piece], start)
        assert outcome.status.arrived, (values, outcome.status)
        np.testing.assert_allclose(units.outward(outcome.params.values), best, rtol=1e-6, atol=1e-6 * best.max())


@pytest.mark.parametrize("scheme", ["em", "pxem", "mm"])
def test_px_em_and_mm_need_no_more_steps_than_em(scheme: str) -> None:
    dense, structure = case("several", seed=14)
    piece, _ = structure.piece(dense.y)

    def steps(name: str) -> int:
        climb = Climb(scheme=name, polish=False, max_iterations=20_000, tolerance=1e-4)
        return len(climb.run([piece], equal_start(piece)).progress.steps)

    if scheme != "em":
        assert steps(scheme) <= steps("em")


@pytest.mark.parametrize("scheme", ["em", "pxem", "mm"])
def test_without_polish_a_scheme_that_does_not_arrive_says_so(scheme: str) -> None:
    dense, structure = case("tridiagonal", seed=11)
    piece, _ = structure.piece(dense.y)
    outcome = Climb(scheme=scheme, polish=False, max_iterations=3).run([piece], equal_start(piece))
    assert outcome.status is Status.STEP_LIMIT
    assert not outcome.status.arrived
    assert outcome.certificate.newton_decrement > 1e-8
    assert len(outcome.progress.steps) == 4
    assert {step.scheme for step in outcome.progress.steps} == {scheme}


@pytest.mark.parametrize("scheme", ["em", "pxem", "mm"])
def test_with_polish_newton_finishes_and_the_path_tells_it(scheme: str) -> None:
    dense, structure = case("tridiagonal", seed=11)
    piece, _ = structure.piece(dense.y)
    outcome = Climb(scheme=scheme, max_iterations=30).run([piece], equal_start(piece))
    assert outcome.status.arrived
    assert outcome.progress.steps[0].scheme == scheme
    assert outcome.scheme == "newton"
    counts = [step.evaluations for step in outcome.progress.steps]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("algebra", UNBOUNDED)
def test_a_likelihood_without_maximum_is_not_called_converged_at_its_edge(algebra: str, scheme: str) -> None:
    dense, structure = case(algebra, seed=11)
    piece, _ = structure.piece(dense.y)
    # ML: V loses the direction of the intercept, whose fit is exact, so that -1/2 log s_e grows without bound.
    edge = equal_start(piece).values.copy()
    edge[-1] = 1e-9
    outcome = Climb(scheme=scheme, criterion="ml", max_iterations=200).run([piece], equal_start(piece).moved_to(edge))
    inside = outcome.params.values[-1] > 1e-3
    assert inside == outcome.status.arrived
