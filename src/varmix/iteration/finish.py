"""A scheme, and another that finishes what the first would not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from varmix.iteration.accelerate import Accelerator, Plain
from varmix.iteration.iterate import Outcome, iterate
from varmix.iteration.runners import Runner, Serial
from varmix.iteration.stopping import Stopping

PLAIN, SERIAL = Plain(), Serial()


def iterate_and_finish(
    scheme: Any,
    params: Any,
    pieces: Sequence[Any],
    *,
    finish: Any | None,
    tolerance: float,
    max_iterations: int,
    accelerator: Accelerator = PLAIN,
    finisher: Accelerator = PLAIN,
    runner: Runner = SERIAL,
) -> Outcome[Any, Any]:
    """`scheme` with `accelerator` until it arrives or its rate shows that it will not; then `finish` with `finisher`.

    Without `finish` the scheme goes on to the step limit, however slow it is.
    """
    stopping = Stopping(tolerance=tolerance, max_iterations=max_iterations, give_up_when_slow=finish is not None)
    outcome = iterate(scheme, params, pieces, stopping=stopping, accelerator=accelerator, runner=runner)
    if outcome.status.arrived or finish is None:
        return outcome
    stopping = Stopping(tolerance=tolerance, max_iterations=max_iterations)
    ending = iterate(finish, outcome.params, pieces, stopping=stopping, accelerator=finisher, runner=runner)
    return outcome.followed_by(ending)
