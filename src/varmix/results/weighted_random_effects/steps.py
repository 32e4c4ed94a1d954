"""The path of a fit and its starts as tables, in the units of the data."""

from __future__ import annotations

from typing import Any

import pandas as pd

from varmix.iteration import Outcome, Starts
from varmix.models.independent_groups.model import IndependentGroups


def progress_table(model: IndependentGroups, outcome: Outcome[Any, Any]) -> pd.DataFrame:
    """One row per step: scheme, evaluations so far, log-likelihood, certificate, and each variance."""
    rows = []
    for number, step in enumerate(outcome.progress.steps):
        row = {
            "step": number,
            "scheme": step.scheme,
            "evaluations": step.evaluations,
            "log_likelihood": model.log_likelihood_outward(step.objective),
            "projected_gradient": step.certificate.projected_gradient,
            "newton_decrement": step.certificate.newton_decrement,
        }
        rows.append(row | dict(zip(model.components, model.outward(step.vector), strict=True)))
    return pd.DataFrame(rows)


def starts_table(model: IndependentGroups, starts: Starts[Any, Any]) -> pd.DataFrame:
    """One row per start: where it began and ended, how, and whether it reached the best."""
    rows = []
    for number, run in enumerate(starts.runs):
        begin, end = model.outward(run.begin.vector()), model.outward(run.outcome.params.vector())
        row = {
            "start": number,
            "status": run.outcome.status.name,
            "log_likelihood": model.log_likelihood_outward(run.outcome.objective),
            "reached_best": starts.at_best(run),
            "steps": len(run.outcome.progress.steps) - 1,
            "seconds": run.seconds,
        }
        row |= {f"{name} (start)": value for name, value in zip(model.components, begin, strict=True)}
        rows.append(row | {f"{name} (end)": value for name, value in zip(model.components, end, strict=True)})
    return pd.DataFrame(rows)
