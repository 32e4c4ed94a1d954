"""Figures of fits: convergence paths, profile likelihoods, components with their intervals; of mixtures, their mixing
distribution, rows, effects and starts; of latent partitions, the genes' posteriors, proportions, expression and shares.

matplotlib is imported when a figure is drawn. Figures are plain `matplotlib.figure.Figure` objects: no pyplot state is
touched and no rcParams are set.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from varmix.plots.fit_plots import FitPlots

if TYPE_CHECKING:
    from varmix.plots.components import plot_components
    from varmix.plots.mixture_distribution import plot_mixing
    from varmix.plots.mixture_effects import plot_posterior
    from varmix.plots.mixture_rows import plot_scatter
    from varmix.plots.mixture_starts import plot_starts
    from varmix.plots.partition_expression import plot_expression
    from varmix.plots.partition_posteriors import plot_partitions
    from varmix.plots.partition_proportions import plot_proportions
    from varmix.plots.partition_shares import plot_shares
    from varmix.plots.paths import plot_paths
    from varmix.plots.profile import plot_profile

_HOME = {
    "plot_components": "varmix.plots.components",
    "plot_expression": "varmix.plots.partition_expression",
    "plot_mixing": "varmix.plots.mixture_distribution",
    "plot_partitions": "varmix.plots.partition_posteriors",
    "plot_paths": "varmix.plots.paths",
    "plot_posterior": "varmix.plots.mixture_effects",
    "plot_profile": "varmix.plots.profile",
    "plot_proportions": "varmix.plots.partition_proportions",
    "plot_scatter": "varmix.plots.mixture_rows",
    "plot_shares": "varmix.plots.partition_shares",
    "plot_starts": "varmix.plots.mixture_starts",
}

__all__ = [
    "FitPlots",
    "plot_components",
    "plot_expression",
    "plot_mixing",
    "plot_partitions",
    "plot_paths",
    "plot_posterior",
    "plot_profile",
    "plot_proportions",
    "plot_scatter",
    "plot_shares",
    "plot_starts",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'varmix.plots' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
