"""Paths of all starts as tables, in the units of the data, each with its classes in the order of its end."""

from __future__ import annotations

from typing import Any

import pandas as pd

from varmix.iteration import Outcome, Starts
from varmix.models.random_effect_mixture.model import RandomEffectMixture


def progress_table(model: RandomEffectMixture, outcome: Outcome[Any, Any]) -> pd.DataFrame:
    """One row per step: scheme, evaluations so far, log-likelihood, certificate, and each parameter."""
    order = outcome.params.order
    names = coordinate_names(outcome.params.classes)
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
        values = model.reduction.scales.outward(step.vector)[order]
        rows.append(row | dict(zip(names, values, strict=True)))
    return pd.DataFrame(rows)


def paths_table(model: RandomEffectMixture, starts: Starts[Any, Any]) -> pd.DataFrame:
    """The progress of every start, one below the other, with the number of the start in front."""
    parts = []
    for number, run in enumerate(starts.runs):
        part = progress_table(model, run.outcome)
        part.insert(0, "start", number)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def starts_table(model: RandomEffectMixture, starts: Starts[Any, Any], kinds: tuple[str, ...]) -> pd.DataFrame:
    """One row per start: what it was, where it began and ended, how, in which time, and whether at the best."""
    rows = []
    names = coordinate_names(model.classes)
    for number, (run, kind) in enumerate(zip(starts.runs, kinds, strict=True)):
        begin, end = model.reduction.outward(run.begin.ordered()), model.reduction.outward(run.outcome.params.ordered())
        row = {
            "start": number,
            "kind": kind,
            "status": run.outcome.status.name,
            "log_likelihood": model.log_likelihood_outward(run.outcome.objective),
            "reached_best": starts.at_best(run),
            "steps": len(run.outcome.progress.steps) - 1,
            "seconds": run.seconds,
        }
        row |= {f"{name} (start)": value for name, value in zip(names, begin, strict=True)}
        rows.append(row | {f"{name} (end)": value for name, value in zip(names, end, strict=True)})
    return pd.DataFrame(rows)


def coordinate_names(classes: int) -> tuple[str, ...]:
    """Names of (v_1, ..., v_K, s, pi_1, ..., pi_K)."""
    numbers = range(1, classes + 1)
    return (*(f"v_{k}" for k in numbers), "s", *(f"pi_{k}" for k in numbers))
