"""The one loop. It knows no model, never prints, and ends with a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

from varmix.iteration.accelerate import Accelerator, Plain
from varmix.iteration.progress import Progress, Step
from varmix.iteration.runners import Runner, Serial
from varmix.iteration.scheme import Certificate, P, Point, S, Scheme
from varmix.iteration.status import Status

Verdict = Callable[[Progress], Status | None]
SERIAL, PLAIN = Serial(), Plain()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[P, S]):
    """How a fit ended: the last point, its statistics, the path, and why it stopped."""

    params: P
    stats: S
    objective: float
    certificate: Certificate
    progress: Progress
    status: Status

    @property
    def scheme(self) -> str:
        """Name of the scheme that took the last step."""
        return self.progress.last.scheme

    def followed_by(self, later: Outcome[P, S]) -> Outcome[P, S]:
        """The outcome of a second scheme that went on from here: its end, with the path of both."""
        evaluations = self.progress.last.evaluations
        tail = [
            Step(
                scheme=step.scheme,
                evaluations=step.evaluations + evaluations,
                objective=step.objective,
                vector=step.vector,
                certificate=step.certificate,
            )
            for step in later.progress.steps[1:]
        ]
        return Outcome(
            params=later.params,
            stats=later.stats,
            objective=later.objective,
            certificate=later.certificate,
            progress=Progress([*self.progress.steps, *tail]),
            status=later.status,
        )


def iterate(
    scheme: Scheme[P, S],
    params: P,
    pieces: Sequence[Any],
    *,
    stopping: Verdict,
    accelerator: Accelerator = PLAIN,
    runner: Runner = SERIAL,
) -> Outcome[P, S]:
    """Repeat summarise-then-update until `stopping` gives a verdict.

    Raises AscentError when a scheme that promises ascent lowers its objective.
    """
    evaluations = 0

    def evaluate(at: P) -> Point[P, S]:
        nonlocal evaluations
        evaluations += 1
        stats = runner.map_add(partial(scheme.summarise, at), pieces)
        return Point(at, stats, scheme.objective(at, stats))

    accelerator, progress = accelerator.fresh(), Progress()
    point = evaluate(params)
    while True:
        step = Step(
            scheme=scheme.name,
            evaluations=evaluations,
            objective=point.objective,
            vector=point.params.vector(),
            certificate=scheme.certificate(point.params, point.stats),
        )
        progress.record(step, monotone=scheme.monotone)
        if verdict := stopping(progress):
            return Outcome(
                params=point.params,
                stats=point.stats,
                objective=point.objective,
                certificate=step.certificate,
                progress=progress,
                status=verdict,
            )
        reached = accelerator.step(scheme, point, evaluate)
        # Where rounding has made the model undefined there is nothing to climb: stay, and let the verdict say so.
        point = reached if reached.objective > -math.inf else point
