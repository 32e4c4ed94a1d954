"""Figures of a mixture of random effects as PNG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from varmix.cli.effects_findings import EffectFindings
from varmix.cli.figures import RESOLUTION
from varmix.cli.terminal import note
from varmix.errors import NotAvailableError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = ("components", "mixing", "profile", "scatter", "posterior", "starts")
"""Variances; classes beside the grid; share of the first class; rows and effects by class; paths of all starts."""


def write_effects_figures(findings: EffectFindings, folder: Path) -> list[str]:
    """Figures that this fit has; a note for one that it cannot have. Raises MissingExtraError."""
    plot, shares = findings.fit.plot, findings.shares
    drawn: dict[str, Callable[[], Figure]] = {"mixing": plot.mixing}
    if shares is not None:
        drawn = {"components": plot.components, "mixing": plot.mixing}
        if findings.fit.status.arrived and "known" not in set(shares["interval"]):
            drawn["profile"] = lambda: plot.profile("pi_1", level=findings.level)
        drawn |= {"scatter": plot.scatter, "posterior": plot.posterior, "starts": plot.starts}
    written = []
    for name, draw in drawn.items():
        try:
            draw().savefig(folder / f"{name}.png", dpi=RESOLUTION)
        except NotAvailableError as problem:
            note(f"{name}.png was not drawn: {problem}")
            continue
        written.append(f"{name}.png")
    return written
