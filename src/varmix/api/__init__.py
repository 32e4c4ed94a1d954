"""Public functions: they join data, reductions, schemes and results."""

from varmix.api.correlation import genetic_correlation
from varmix.api.dirichlet import Dirichlet
from varmix.api.many import variance_components_many
from varmix.api.moments import Moments
from varmix.api.partition_mixture import partition_mixture
from varmix.api.plan_random_effect_mixture import plan_random_effect_mixture
from varmix.api.random_effect_mixture import random_effect_mixture
from varmix.api.summary_correlation import genetic_correlation_from_summaries
from varmix.api.variance_components import variance_components
from varmix.api.weighted_random_effects import weighted_random_effects

__all__ = [
    "Dirichlet",
    "Moments",
    "genetic_correlation",
    "genetic_correlation_from_summaries",
    "partition_mixture",
    "plan_random_effect_mixture",
    "random_effect_mixture",
    "variance_components",
    "variance_components_many",
    "weighted_random_effects",
]
