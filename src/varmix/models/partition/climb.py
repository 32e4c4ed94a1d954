"""Run a scheme to its certificate, from one start or several."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from varmix.errors import OptionError
from varmix.iteration import (
    ACCELERATORS,
    Backtracking,
    Outcome,
    Runner,
    Scheme,
    Serial,
    Status,
    check_choices,
    iterate_and_finish,
)
from varmix.iteration.stopping import DECREMENT_TOLERANCE
from varmix.linalg.threads import one_thread
from varmix.models.cone import smallest_eigenvalue
from varmix.models.partition.compressed import compressed
from varmix.models.partition.em import EM
from varmix.models.partition.genes import Genes
from varmix.models.partition.mm import MM
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.newton import Newton
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.pxem import PXEM
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.scheme import PartitionScheme

SCHEMES: dict[str, type[Any]] = {"newton": Newton, "em": EM, "pxem": PXEM, "mm": MM}

FLAT = 1e-9
"""Smallest eigenvalue of the scaled observed information below which parameters cannot be told apart."""

SERIAL = Serial()


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """How to climb. With `polish`, a scheme that would not arrive within `max_iterations` is finished by Newton."""

    scheme: str = "newton"
    accelerate: str = "none"
    polish: bool = True
    max_iterations: int = 500
    tolerance: float = DECREMENT_TOLERANCE
    runner: Runner = SERIAL

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise OptionError(f"method={self.scheme!r} is not known. Use one of {', '.join(SCHEMES)}.")
        check_choices(
            accelerate=self.accelerate,
            polish=self.polish,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
        )
        if self.accelerate != "none" and self.scheme == "newton":
            raise OptionError("accelerate is for em, pxem and mm: Newton's steps need no extrapolation.")

    def run(self, model: PartitionMixture, start: PartitionParams) -> Outcome[Any, Any]:
        """Climb from `start` (internal units)."""
        return self.run_held(model, model.point(start))

    def run_held(self, model: PartitionMixture, start: PartitionParams) -> Outcome[Any, Any]:
        """Climb from `start`, which says itself which of its coordinates are held."""
        with one_thread() if start.held_proportions.all() else nullcontext():  # products of a block of genes are small
            if (few := compressed(model, start)) is None:
                return self._climb(model, start, model.pieces)
            return few.outward(self._climb(model, few.inward(start), few.pieces), start)

    def _climb(self, model: PartitionMixture, start: PartitionParams, pieces: Sequence[Genes]) -> Outcome[Any, Any]:
        newton, finish = self.scheme == "newton", scheme_of("newton", model)
        backtracking = Backtracking(fallback=scheme_of("em", model))
        outcome = iterate_and_finish(
            scheme_of(self.scheme, model),
            start,
            pieces,
            finish=finish if self.polish and not newton else None,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            accelerator=backtracking if newton else ACCELERATORS[self.accelerate],
            finisher=backtracking,
            runner=self.runner,
        )
        return _diagnosed(outcome, model)


def scheme_of(name: str, model: PartitionMixture) -> Scheme[Any, Any]:
    """A scheme by name, with the model's partitions, likelihood and prior."""
    scheme: Scheme[Any, Any] = SCHEMES[name](
        partitions=model.partitions, likelihood=model.likelihood, concentration=model.concentration
    )
    return scheme


def _diagnosed(outcome: Outcome[Any, Any], model: PartitionMixture) -> Outcome[Any, Any]:
    """Tell an optimum at which the data cannot tell parameters apart."""
    if not outcome.status.arrived:
        return outcome
    scheme = PartitionScheme(partitions=model.partitions, concentration=model.concentration)
    score, hessian, _ = scheme.derivatives(outcome.params, outcome.stats)
    reduced = Reduced.at(outcome.params)
    free = np.flatnonzero(reduced.free(reduced.pull(score)))
    information = -reduced.pull_square(hessian)[np.ix_(free, free)]
    if free.size and smallest_eigenvalue(information) < FLAT:
        return replace(outcome, status=Status.CONFOUNDED)
    return outcome
