"""Paths and starts of a fit of partitions as tables, in the units of the data."""

from __future__ import annotations

from typing import Any

import pandas as pd

from varmix.iteration import Outcome, Starts
from varmix.models.partition.problem import log_prior
from varmix.results.partition_mixture.estimates import Estimates
from varmix.typing import Vector

WIDEST = 60
"""Coordinates up to which a path shows all; beyond, those before the shares."""


def progress_table(estimates: Estimates, outcome: Outcome[Any, Any]) -> pd.DataFrame:
    """One row per step: scheme, evaluations so far, log-likelihood, certificate, and the coordinates; with a prior also
    the `objective`, which is what climbs."""
    names = shown(estimates)
    rows = []
    for number, step in enumerate(outcome.progress.steps):
        row = {
            "step": number,
            "scheme": step.scheme,
            "evaluations": step.evaluations,
            **_heights(estimates, step.objective, step.vector),
            "projected_gradient": step.certificate.projected_gradient,
            "newton_decrement": step.certificate.newton_decrement,
        }
        rows.append(row | dict(zip(names, step.vector * estimates.factors, strict=False)))
    return pd.DataFrame(rows)


def paths_table(estimates: Estimates, starts: Starts[Any, Any]) -> pd.DataFrame:
    """The progress of every start, one below the other, with the number of the start in front."""
    parts = [progress_table(estimates, run.outcome) for run in starts.runs]
    for number, part in enumerate(parts):
        part.insert(0, "start", number)
    return pd.concat(parts, ignore_index=True)


def starts_table(estimates: Estimates, starts: Starts[Any, Any], kinds: tuple[str, ...]) -> pd.DataFrame:
    """One row per start: what it was, how it ended, in which time, and whether at the best."""
    rows = []
    for number, (run, kind) in enumerate(zip(starts.runs, kinds, strict=True)):
        inner = estimates.problem.vector(run.outcome.params)
        row = {
            "start": number,
            "kind": kind,
            "status": run.outcome.status.name,
            **_heights(estimates, run.outcome.objective, inner),
            "reached_best": starts.at_best(run),
            "steps": len(run.outcome.progress.steps) - 1,
            "seconds": run.seconds,
        }
        end = zip(shown(estimates), inner * estimates.factors, strict=False)
        rows.append(row | {f"{name} (end)": value for name, value in end})
    return pd.DataFrame(rows)


def shown(estimates: Estimates) -> tuple[str, ...]:
    """Names of the first coordinates, which paths show: without proportions that are known, and if all are few."""
    count = len(estimates.names)
    if estimates.held[estimates.first_share + len(estimates.shares) :].all():
        count = estimates.first_share + len(estimates.shares)
    return tuple(estimates.names[: count if count <= WIDEST else estimates.first_share])


def _heights(estimates: Estimates, objective: float, vector: Vector) -> dict[str, float]:
    """The log-likelihood of the data, and where there is a prior the objective."""
    base = estimates.problem.base
    if base.concentration is None:
        return {"log_likelihood": base.log_likelihood_outward(objective)}
    likelihood = objective - log_prior(estimates.problem, vector)
    return {
        "log_likelihood": base.log_likelihood_outward(likelihood),
        "objective": base.log_likelihood_outward(objective),
    }
