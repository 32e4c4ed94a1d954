"""Figures of a mixture of random effects as PNG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from varmix.cli.effects_findings import EffectFindings
from varmix.cli.figures import RESOLUTION
from varmix.cli.terminal import note
from varmix.errors import NotAvailableError
from varmix.results.random_effect_mixture.report import FEW

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = ("components", "mixing", "profile", "scatter", "posterior", "starts")
"""Variances; classes beside the grid; share of the first class; rows and effects by class; paths of all starts."""


def write_effects_figures(findings: EffectFindings, folder: Path) -> list[str]:
    """Figures that this fit has: no profile of very many effects, which is slow and a parabola, no rows of a stream.

    A note tells of one that cannot be drawn. Raises MissingExtraError.
    """
    plot, shares = findings.fit.plot, findings.shares
    drawn: dict[str, Callable[[], Figure]] = {"mixing": plot.mixing}
    if shares is not None:
        drawn = {"components": plot.components, "mixing": plot.mixing}
        few = findings.fit.facts["effects"] <= FEW
        if few and findings.fit.status.arrived and "known" not in set(shares["interval"]):
            drawn["profile"] = lambda: plot.profile("pi_1", level=findings.level)
        if findings.classes is not None:
            drawn |= {"scatter": plot.scatter, "posterior": plot.posterior}
        drawn["starts"] = plot.starts
    written = []
    for name, draw in drawn.items():
        try:
            draw().savefig(folder / f"{name}.png", dpi=RESOLUTION)
        except NotAvailableError as problem:
            note(f"{name}.png was not drawn: {problem}")
            continue
        written.append(f"{name}.png")
    return written
