"""Public functions: they join data, reductions, schemes and results."""

from varmix.api.variance_components import variance_components

__all__ = ["variance_components"]
