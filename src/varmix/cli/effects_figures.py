"""Figures of a mixture of random effects as PNG files."""

from __future__ import annotations

from pathlib import Path

from varmix.cli.effects_findings import EffectFindings
from varmix.cli.figures import RESOLUTION

FIGURES = ("components", "progress")


def write_effects_figures(findings: EffectFindings, folder: Path) -> list[str]:
    """components.png, and of fits with classes progress.png. Raises MissingExtraError."""
    fit = findings.fit
    drawn = {"components": fit.plot.components()}
    if findings.mixture:
        drawn["progress"] = fit.plot.progress()
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=RESOLUTION)
    return [f"{name}.png" for name in drawn]
