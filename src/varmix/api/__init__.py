"""Public functions: they join data, reductions, schemes and results."""

from varmix.api.many import variance_components_many
from varmix.api.moments import Moments
from varmix.api.variance_components import variance_components

__all__ = ["Moments", "variance_components", "variance_components_many"]
