"""Figures of fits: convergence paths, profile likelihoods, components with their intervals.

matplotlib is imported when a figure is drawn. Figures are plain `matplotlib.figure.Figure` objects: no pyplot state is
touched and no rcParams are set.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from varmix.plots.fit_plots import FitPlots

if TYPE_CHECKING:
    from varmix.plots.components import plot_components
    from varmix.plots.paths import plot_paths
    from varmix.plots.profile import plot_profile

_HOME = {
    "plot_components": "varmix.plots.components",
    "plot_paths": "varmix.plots.paths",
    "plot_profile": "varmix.plots.profile",
}

__all__ = ["FitPlots", "plot_components", "plot_paths", "plot_profile"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'varmix.plots' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
