"""Figures of a fit as PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from varmix.cli.findings import Findings
from varmix.results import Fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESOLUTION = 150
"""Dots per inch: sharp on a screen, under 100 kB."""


def write_figures(findings: Findings, folder: Path) -> list[str]:
    """components.png; of likelihood fits progress.png, and at the optimum profile.png of a single kernel.

    Raises MissingExtraError.
    """
    fit = findings.fit
    drawn = {"components": fit.plot.components()}
    if fit.criterion != "moments":
        drawn["progress"] = fit.plot.progress()
        if len(fit.components) == 2 and fit.status.arrived:
            drawn["profile"] = fit.plot.profile(str(fit.components["term"].iloc[0]), "proportion")
    return _save(drawn, folder)


def write_comparison(fits: Mapping[str, Fit], best: Fit, folder: Path) -> list[str]:
    """paths.png of all fits and profile.png of the best. Raises MissingExtraError."""
    from varmix.plots import plot_paths

    term = str(best.components["term"].iloc[0])
    return _save({"paths": plot_paths(fits), "profile": best.plot.profile(term, "proportion")}, folder)


def _save(figures: Mapping[str, Figure], folder: Path) -> list[str]:
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=RESOLUTION)
    return [f"{name}.png" for name in figures]
