"""Figures of a fit of partitions as PNG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from varmix.cli.figures import RESOLUTION
from varmix.cli.partitions_findings import PartitionFindings
from varmix.cli.terminal import note
from varmix.errors import NotAvailableError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = ("shares", "partitions", "expression", "proportions", "components", "progress")
"""Shares of partitions; genes by partitions; cell types of some genes; estimated proportions; variances; the path."""


def write_partition_figures(findings: PartitionFindings, folder: Path) -> list[str]:
    """Figures that this fit has; a note tells of one that cannot be drawn. Raises MissingExtraError."""
    plot, comparison = findings.fit.plot, findings.comparison
    drawn: dict[str, Callable[[], Figure]] = {
        "shares": plot.shares,
        "partitions": plot.partitions,
        "expression": plot.expression,
    }
    if findings.estimated:
        known = None if comparison is None else comparison.known
        drawn["proportions"] = lambda: plot.proportions(known)
    drawn |= {"components": plot.components, "progress": plot.progress}
    written = []
    for name, draw in drawn.items():
        try:
            draw().savefig(folder / f"{name}.png", dpi=RESOLUTION)
        except NotAvailableError as problem:
            note(f"{name}.png was not drawn: {problem}")
            continue
        written.append(f"{name}.png")
    return written
