"""A fit as commands make and end it: what it tells itself is told once, and its status makes the exit code."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import typer

from varmix.cli.codes import ExitCode
from varmix.cli.wording import for_terminal
from varmix.errors import VarmixWarning, warn
from varmix.results import Fit
from varmix.results.store import as_text


def told_once(make: Callable[[], Fit]) -> Fit:
    """The fit; what it tells itself among its facts is not told as a warning, too."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VarmixWarning)
        fit = make()
    for item in caught:
        if str(item.message) not in fit.facts.get("warnings", ()):
            warn(item.message)
    return fit


def show_json(fit: Fit) -> None:
    """An object with one fit, by the name of its response."""
    typer.echo(json.dumps({fit.facts["response"]: json.loads(as_text(fit))}, indent=1))


def ended(fit: Fit, folder: Path | None) -> ExitCode:
    """The exit code, with a line on stderr where the certificate was not met."""
    if fit.status.arrived:
        return ExitCode.DONE
    results = f" What it reached is in {folder}." if folder else ""
    advice = for_terminal(f"{fit.status.name}: {fit.facts['advice']}{results}")
    typer.echo(f"error: the fit of '{fit.facts['response']}' ended without its certificate, {advice}", err=True)
    return ExitCode.NOT_CONVERGED
