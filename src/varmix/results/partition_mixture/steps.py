"""Paths and starts of a fit of partitions as tables, in the units of the data."""

from __future__ import annotations

from typing import Any

import pandas as pd

from varmix.iteration import Outcome, Starts
from varmix.results.partition_mixture.estimates import Estimates

WIDEST = 60
"""Coordinates up to which a path shows all; beyond, those before the shares."""


def progress_table(estimates: Estimates, outcome: Outcome[Any, Any]) -> pd.DataFrame:
    """One row per step: scheme, evaluations so far, objective, certificate, and the coordinates."""
    base = estimates.problem.base
    names = shown(estimates)
    rows = []
    for number, step in enumerate(outcome.progress.steps):
        row = {
            "step": number,
            "scheme": step.scheme,
            "evaluations": step.evaluations,
            "log_likelihood": base.log_likelihood_outward(step.objective),
            "projected_gradient": step.certificate.projected_gradient,
            "newton_decrement": step.certificate.newton_decrement,
        }
        rows.append(row | dict(zip(names, step.vector * estimates.factors, strict=False)))
    return pd.DataFrame(rows)


def paths_table(estimates: Estimates, starts: Starts[Any, Any]) -> pd.DataFrame:
    """The progress of every start, one below the other, with the number of the start in front."""
    parts = [
        progress_table(estimates, run.outcome).assign(start=number)[["start", *_columns(estimates)]]
        for number, run in enumerate(starts.runs)
    ]
    return pd.concat(parts, ignore_index=True)


def starts_table(estimates: Estimates, starts: Starts[Any, Any], kinds: tuple[str, ...]) -> pd.DataFrame:
    """One row per start: what it was, how it ended, in which time, and whether at the best."""
    base = estimates.problem.base
    rows = []
    for number, (run, kind) in enumerate(zip(starts.runs, kinds, strict=True)):
        end = estimates.problem.vector(run.outcome.params) * estimates.factors
        row = {
            "start": number,
            "kind": kind,
            "status": run.outcome.status.name,
            "log_likelihood": base.log_likelihood_outward(run.outcome.objective),
            "reached_best": starts.at_best(run),
            "steps": len(run.outcome.progress.steps) - 1,
            "seconds": run.seconds,
        }
        rows.append(row | {f"{name} (end)": value for name, value in zip(shown(estimates), end, strict=False)})
    return pd.DataFrame(rows)


def shown(estimates: Estimates) -> tuple[str, ...]:
    """Names of the first coordinates, which paths show: without proportions that are known, and if all are few."""
    count = len(estimates.names)
    if estimates.held[estimates.first_share + len(estimates.shares) :].all():
        count = estimates.first_share + len(estimates.shares)
    return tuple(estimates.names[: count if count <= WIDEST else estimates.first_share])


def _columns(estimates: Estimates) -> list[str]:
    head = ["step", "scheme", "evaluations", "log_likelihood", "projected_gradient", "newton_decrement"]
    return [*head, *shown(estimates)]
