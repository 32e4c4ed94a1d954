"""Variance components, mixtures and partitions with hidden normal effects: one loop fits them, one result reports them.

Names are loaded when first used, so that `import varmix` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from varmix import errors

if TYPE_CHECKING:
    from varmix.api import (
        Dirichlet,
        Moments,
        genetic_correlation,
        genetic_correlation_from_summaries,
        partition_mixture,
        plan_random_effect_mixture,
        random_effect_mixture,
        variance_components,
        variance_components_many,
        weighted_random_effects,
    )
    from varmix.genotype import (
        ArraySource,
        RelationshipMatrix,
        open_plink,
        read_grm,
        relationship_matrix,
        split_by_annotation,
        write_grm,
    )
    from varmix.iteration import Status
    from varmix.plots import plot_components, plot_paths, plot_profile
    from varmix.results import Fit, load
    from varmix.results.partition_mixture.matching import match_cell_types

__version__ = "0.1.0"

_HOME = {
    "Dirichlet": "varmix.api",
    "Moments": "varmix.api",
    "genetic_correlation": "varmix.api",
    "genetic_correlation_from_summaries": "varmix.api",
    "partition_mixture": "varmix.api",
    "plan_random_effect_mixture": "varmix.api",
    "random_effect_mixture": "varmix.api",
    "variance_components": "varmix.api",
    "variance_components_many": "varmix.api",
    "weighted_random_effects": "varmix.api",
    "ArraySource": "varmix.genotype",
    "RelationshipMatrix": "varmix.genotype",
    "open_plink": "varmix.genotype",
    "read_grm": "varmix.genotype",
    "relationship_matrix": "varmix.genotype",
    "split_by_annotation": "varmix.genotype",
    "write_grm": "varmix.genotype",
    "Status": "varmix.iteration",
    "plot_components": "varmix.plots",
    "plot_paths": "varmix.plots",
    "plot_profile": "varmix.plots",
    "Fit": "varmix.results",
    "load": "varmix.results",
    "match_cell_types": "varmix.results.partition_mixture.matching",
}

__all__ = [
    "ArraySource",
    "Dirichlet",
    "Fit",
    "Moments",
    "RelationshipMatrix",
    "Status",
    "errors",
    "genetic_correlation",
    "genetic_correlation_from_summaries",
    "load",
    "match_cell_types",
    "open_plink",
    "partition_mixture",
    "plan_random_effect_mixture",
    "plot_components",
    "plot_paths",
    "plot_profile",
    "random_effect_mixture",
    "read_grm",
    "relationship_matrix",
    "split_by_annotation",
    "variance_components",
    "variance_components_many",
    "weighted_random_effects",
    "write_grm",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'varmix' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
