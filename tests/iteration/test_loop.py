"""The loop ends with the right verdict, keeps its promises and tells its path."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hill import Height, Hill, Place

from varmix.errors import AscentError, OptionError
from varmix.iteration import (
    Anderson,
    Backtracking,
    Certificate,
    Plain,
    Progress,
    Serial,
    Squarem,
    Status,
    Step,
    Stopping,
    Threads,
    from_every_start,
    iterate,
)

START = Place(np.array([3.0, -2.0]))
PIECES = [1.0, 0.5]


def stopping(limit: int = 500, **options: object) -> Stopping:
    return Stopping(max_iterations=limit, **options)  # type: ignore[arg-type]


def step_of(objective: float, vector: list[float], decrement: float = 1.0, scheme: str = "hill") -> Step:
    return Step(
        scheme=scheme, evaluations=1, objective=objective, vector=np.array(vector),
        certificate=Certificate(projected_gradient=decrement, newton_decrement=decrement),
    )  # fmt: skip


def test_the_loop_ends_at_the_certificate_and_not_before() -> None:
    outcome = iterate(Hill(), START, PIECES, stopping=stopping())
    distances = [step.certificate.newton_decrement for step in outcome.progress.steps]
    assert outcome.status is Status.CONVERGED
    assert distances[-1] <= 1e-8 < distances[-2]
    assert outcome.certificate == outcome.progress.last.certificate
    assert outcome.objective == outcome.progress.last.objective
    np.testing.assert_array_equal(outcome.params.values, outcome.progress.last.vector)


def test_a_start_at_the_optimum_takes_no_step() -> None:
    outcome = iterate(Hill(), Place(np.zeros(2)), PIECES, stopping=stopping())
    assert outcome.status is Status.CONVERGED
    assert len(outcome.progress.steps) == 1
    assert outcome.progress.last.evaluations == 1


def test_a_falling_scheme_is_a_defect_and_not_a_result() -> None:
    with pytest.raises(AscentError, match="hill step 1 lowered"):
        iterate(Hill(rates=(-0.5, 0.1)), START, PIECES, stopping=stopping())


def test_a_scheme_without_the_promise_may_fall() -> None:
    outcome = iterate(Hill(rates=(2.5, 0.1), monotone=False), START, PIECES, stopping=stopping(limit=5))
    assert outcome.status is Status.STEP_LIMIT


def test_a_fall_within_rounding_is_none() -> None:
    progress = Progress()
    progress.record(step_of(-1e6, [1.0]), monotone=True)
    progress.record(step_of(-1e6 - 1e-4, [1.1]), monotone=True)
    with pytest.raises(AscentError):
        progress.record(step_of(-1e6 - 1e-2, [1.2]), monotone=True)


@pytest.mark.parametrize("accelerator", [Plain(), Squarem(), Anderson(), Backtracking()])
def test_a_point_where_the_model_is_undefined_is_neither_progress_nor_a_start_of_a_step(accelerator: object) -> None:
    outcome = iterate(Cliff(), START, PIECES, stopping=stopping(), accelerator=accelerator)  # type: ignore[arg-type]
    assert outcome.status is Status.STALLED
    assert math.isfinite(outcome.objective)
    assert not outcome.status.arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Cliff(Hill):
    """Undefined close to the peak, as a covariance that rounding makes singular."""

    def update(self, place: Place, stats: Height, /) -> Place:
        assert stats.height < -1.0, "no step can be taken from where nothing is known"
        return Place(place.values * 0.6)

    def objective(self, place: Place, stats: Height, /) -> float:
        return stats.height if stats.height < -1.0 else -math.inf


def test_the_step_limit_counts_steps() -> None:
    outcome = iterate(Hill(), START, PIECES, stopping=stopping(limit=7))
    assert outcome.status is Status.STEP_LIMIT
    assert len(outcome.progress.steps) == 8


def test_a_point_that_does_not_move_is_stalled() -> None:
    outcome = iterate(Hill(rates=(0.0, 0.0)), START, PIECES, stopping=stopping())
    assert outcome.status is Status.STALLED
    assert len(outcome.progress.steps) == 2


def test_slow_schemes_are_given_up_as_soon_as_their_rate_shows() -> None:
    slow = Hill(rates=(0.01, 0.01))
    given_up = iterate(slow, START, PIECES, stopping=stopping(give_up_when_slow=True))
    assert given_up.status is Status.SUBLINEAR
    # 0.99^k = 1e-8 / 3.6 takes 1960 steps: known after the window of 20.
    assert len(given_up.progress.steps) == 21
    assert iterate(slow, START, PIECES, stopping=stopping()).status is Status.STEP_LIMIT
    enough = stopping(limit=3000, give_up_when_slow=True)
    assert iterate(slow, START, PIECES, stopping=enough).status is Status.CONVERGED


def test_parameters_at_the_edge_are_told_by_the_status() -> None:
    class Edge(Hill):
        def certificate(self, place: Place, stats: Height, /) -> Certificate:
            return Certificate(projected_gradient=0.0, newton_decrement=0.0, on_boundary=(1,))

    assert iterate(Edge(), START, PIECES, stopping=stopping()).status is Status.ON_BOUNDARY


def test_a_second_scheme_goes_on_where_the_first_ended() -> None:
    first = iterate(Hill(), START, PIECES, stopping=stopping(limit=4))
    later = iterate(Hill(rates=(0.9, 0.9), name="fast"), first.params, PIECES, stopping=stopping())
    both = first.followed_by(later)
    assert both.status is later.status
    assert both.scheme == "fast"
    assert len(both.progress.steps) == len(first.progress.steps) + len(later.progress.steps) - 1
    counts = [step.evaluations for step in both.progress.steps]
    assert counts == sorted(set(counts))
    # The second run evaluates its start once more, which counts although it is no step.
    assert counts[-1] == first.progress.last.evaluations + later.progress.last.evaluations
    heights = [step.objective for step in both.progress.steps]
    assert heights == sorted(heights)
    assert [step.scheme for step in both.progress.steps][:5] == ["hill"] * 5


@pytest.mark.parametrize("accelerator", [Plain(), Squarem(), Anderson(), Anderson(1), Backtracking()])
@pytest.mark.parametrize("rates", [(0.2, 0.5), (0.01, 0.9), (0.3, 0.3), (1.0, 0.5)])
def test_accelerators_climb_at_least_as_far_as_one_plain_step(accelerator: object, rates: tuple[float, float]) -> None:
    scheme = Hill(rates=rates)
    outcome = iterate(scheme, START, PIECES, stopping=stopping(limit=3000), accelerator=accelerator)  # type: ignore[arg-type]
    assert outcome.status is Status.CONVERGED
    steps = outcome.progress.steps
    for before, after in pairwise(steps):
        plain = before.vector * (1.0 - np.array(rates))
        assert after.objective >= -1.5 * float(plain @ plain) * (1.0 + 1e-12)


def test_accelerators_save_evaluations_on_slow_schemes() -> None:
    slow = Hill(rates=(0.01, 0.02))

    def evaluations(accelerator: object) -> int:
        run = iterate(slow, START, PIECES, stopping=stopping(limit=5000), accelerator=accelerator)  # type: ignore[arg-type]
        return run.progress.last.evaluations

    plain = evaluations(Plain())
    assert evaluations(Squarem()) < plain / 5
    assert evaluations(Anderson()) < plain / 5


def test_an_accelerator_has_no_memory_of_an_earlier_fit() -> None:
    accelerator = Anderson()
    runs = [iterate(Hill(), START, PIECES, stopping=stopping(), accelerator=accelerator) for _ in range(2)]
    assert [step.objective for step in runs[0].progress.steps] == [step.objective for step in runs[1].progress.steps]
    assert accelerator._points == []


def test_backtracking_halves_until_the_objective_rises_and_then_falls_back() -> None:
    too_long = Hill(rates=(5.0, 5.0))
    # Closer than this the falls of the long steps are within what counts as rounding of an objective of order 1.
    outcome = iterate(too_long, START, PIECES, stopping=stopping(tolerance=1e-5), accelerator=Backtracking())
    assert outcome.status is Status.CONVERGED
    downhill = Hill(rates=(-1.0, -1.0))
    stuck = iterate(downhill, START, PIECES, stopping=stopping(), accelerator=Backtracking())
    assert stuck.status is Status.STALLED
    fallback = Backtracking(fallback=Hill())
    saved = iterate(downhill, START, PIECES, stopping=stopping(tolerance=1e-4), accelerator=fallback)
    assert saved.status is Status.CONVERGED


def test_runners_add_in_order_whatever_finishes_first() -> None:
    for runner in (Serial(), Threads(1), Threads(3)):
        assert runner.map_add(lambda letter: letter * 2, "abcdefgh") == "aabbccddeeffgghh"
        with pytest.raises(OptionError, match="no pieces"):
            runner.map_add(str, [])


def test_threads_pass_errors_on_and_keep_few_pieces_in_flight() -> None:
    drawn = []

    def pieces():  # type: ignore[no-untyped-def]
        for number in range(100):
            drawn.append(number)
            yield number

    def fail_at_ten(number: int) -> int:
        if number == 10:
            raise ZeroDivisionError("piece 10")
        return number

    with pytest.raises(ZeroDivisionError, match="piece 10"):
        Threads(2).map_add(fail_at_ten, pieces())
    assert len(drawn) < 20


def test_the_best_of_several_starts_is_one_that_arrived() -> None:
    limits = iter([2, 500, 500])
    starts = from_every_start(
        lambda begin: iterate(Hill(), begin, PIECES, stopping=stopping(limit=next(limits))),
        [START, Place(np.array([1.0, 1.0])), Place(np.array([-5.0, 0.5]))],
    )
    assert starts.best.status is Status.CONVERGED
    assert starts.reached_best == 2
    assert [run.outcome.status.arrived for run in starts.runs] == [False, True, True]
    assert all(run.seconds >= 0.0 for run in starts.runs)
    with pytest.raises(OptionError, match="starting point"):
        from_every_start(lambda begin: iterate(Hill(), begin, PIECES, stopping=stopping()), [])


def test_every_status_gives_advice() -> None:
    assert {status for status in Status if status.arrived} == {
        Status.CONVERGED, Status.ON_BOUNDARY, Status.CONFOUNDED, Status.CLOSED_FORM, Status.OUTSIDE_CONE
    }  # fmt: skip
    assert len({status.advice for status in Status}) == len(Status)
    assert all(len(status.advice) > 40 for status in Status)
