"""A fit as text for a terminal."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd

from varmix.iteration import Status

if TYPE_CHECKING:
    from varmix.results.fit import Fit

WIDTH = 100


def summary(fit: Fit) -> str:
    """Headline, status with advice, certificate, tables, and what was dropped."""
    facts = fit.report.facts
    lines = [headline(fit), ""]
    for name, title in fit.report.titles.items():
        lines += [title, textwrap.indent(as_text(fit.table(name)), "  "), ""]
    lines += textwrap.wrap(advice_line(fit), WIDTH)
    lines += textwrap.wrap(certificate_line(fit), WIDTH)
    lines += [f"Algebra: {facts['algebra']}."] if "algebra" in facts else []
    lines += [textwrap.fill(f"Note: {note}", WIDTH) for note in facts.get("warnings", [])]
    return "\n".join(lines).rstrip() + "\n"


def headline(fit: Fit) -> str:
    """Model, method, criterion, size and log-likelihood."""
    facts = fit.report.facts
    names = {"reml": "REML", "ml": "ML", "moments": "moments"}
    likelihood = facts["log_likelihood"]
    told = f"log-likelihood {likelihood:.6f}" if math.isfinite(likelihood) else "no log-likelihood at this estimate"
    criterion = names.get(facts["criterion"], facts["criterion"])
    by = facts["method"] if facts["method"] == criterion else f"{facts['method']} ({criterion})"
    return f"{str(facts['model']).capitalize()} of {facts['response']} by {by}: n = {facts['n']:,}, {told}"


def advice_line(fit: Fit) -> str:
    """The status with its advice, or with the model's own where the general one says too little."""
    return f"{fit.status.name}: {fit.report.facts.get('advice', fit.status.advice)}"


def certificate_line(fit: Fit) -> str:
    """How far from the optimum the fit ended, and after how many steps."""
    facts, certificate = fit.report.facts, fit.certificate
    if fit.status in (Status.CLOSED_FORM, Status.OUTSIDE_CONE):
        return "Solved in closed form."
    finished = ""
    if facts["finished_by"] != facts["scheme"]:
        finished = f", finished by {facts['finished_by']}"
    return (
        f"{facts['steps']} steps, {facts['evaluations']} evaluations{finished}; {certificate.newton_decrement:.1e} "
        f"standard errors from the optimum, projected gradient {certificate.projected_gradient:.1e}."
    )


def as_text(table: pd.DataFrame) -> str:
    """A data frame with six significant digits; an index that only counts is left out."""
    shown = table.copy()
    for column in shown.columns:
        shown[column] = [_cell(value) for value in shown[column]]
    return str(shown.to_string(index=not isinstance(table.index, pd.RangeIndex)))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else str(value)
