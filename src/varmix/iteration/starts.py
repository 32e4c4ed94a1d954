"""Several starts of one fit, with what each of them reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic

from varmix.errors import OptionError
from varmix.iteration.iterate import Outcome
from varmix.iteration.scheme import P, S

SAME_OPTIMUM = 1e-6
"""Two ends whose log-likelihoods differ by less than this are one optimum: certified ends agree to about 1e-12."""

SAME_SHARE = 1e-10
"""The same relative to the log-likelihood: sums over millions of rows round to about this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Generic[P, S]):
    """One start: where it began, how it ended, and how long it took in seconds."""

    begin: P
    outcome: Outcome[P, S]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts(Generic[P, S]):
    """All starts in the order given."""

    runs: tuple[Start[P, S], ...]

    @property
    def best(self) -> Outcome[P, S]:
        """The highest optimum that was reached; only where no start arrived, the highest end.

        A run towards an unbounded edge of the likelihood stands as high as its steps took it: that is no optimum.
        """
        return max((run.outcome for run in self.runs), key=lambda outcome: (outcome.status.arrived, outcome.objective))

    def at_best(self, run: Start[P, S]) -> bool:
        """Whether a start ended at the best optimum."""
        best = self.best
        allowed = max(SAME_OPTIMUM, SAME_SHARE * abs(best.objective))
        same = abs(run.outcome.objective - best.objective) <= allowed
        return run.outcome is best or (same and run.outcome.status.arrived == best.status.arrived)

    @property
    def reached_best(self) -> int:
        """How many starts ended at the best optimum."""
        return sum(self.at_best(run) for run in self.runs)


def from_every_start(fit: Callable[[P], Outcome[Any, Any]], starts: Iterable[P]) -> Starts[Any, Any]:
    """Run `fit` from each start."""
    runs = []
    for begin in starts:
        clock = perf_counter()
        outcome = fit(begin)
        runs.append(Start(begin=begin, outcome=outcome, seconds=perf_counter() - clock))
    if not runs:
        raise OptionError("No starting point was given: pass at least one.")
    return Starts(runs=tuple(runs))
