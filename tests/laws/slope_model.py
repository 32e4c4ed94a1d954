"""The mixture of random effects written down densely: one multivariate normal per group and class, from the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.reduction import reduce_rows
from varmix.typing import Index, Vector


@dataclass(frozen=True, kw_only=True)
class SlopeModel:
    """Rows with everything the model knows of: groups, known errors, likelihood weights."""

    y: Vector
    x: Vector
    group: Index | None = None
    errors: Vector | None = None
    weights: Vector | None = None
    classes: int = 2
    null: bool = False
    residual: float | None = None

    def model(self, pieces: int = 1) -> RandomEffectMixture:
        """The same as the library reduces it."""
        reduction = reduce_rows(self.y, self.x, group=self.group, errors=self.errors, weights=self.weights)
        return RandomEffectMixture(
            reduction=reduction,
            classes=self.classes,
            null=self.null,
            residual=self.residual,
            pieces=reduction.units.split(pieces),
        )

    def log_likelihood(self, variances: Vector, residual: float, shares: Vector) -> float:
        """From the definition: no sufficient statistics, no reduction."""
        group = np.arange(len(self.y)) if self.group is None else self.group
        errors = np.ones(len(self.y)) if self.errors is None else self.errors
        total = 0.0
        for number in range(int(group.max()) + 1):
            rows = np.flatnonzero(group == number)
            x, noise = self.x[rows], residual * np.diag(errors[rows] ** 2)
            terms = [
                np.log(share) + multivariate_normal.logpdf(self.y[rows], cov=variance * np.outer(x, x) + noise)
                for variance, share in zip(variances, shares, strict=True)
                if share > 0.0
            ]
            weight = 1.0 if self.weights is None else self.weights[number]
            total += weight * float(logsumexp(terms))
        return total


def simulated(seed: int, groups: int, rows: int, *, known: bool = False, weighted: bool = False) -> SlopeModel:
    """A draw with two classes well apart, `rows` rows per group (1: no groups)."""
    rng = np.random.default_rng(seed)
    count = groups * rows
    x = rng.standard_normal(count)
    errors = 0.3 + rng.random(count) if known else None
    effects = np.where(rng.random(groups) < 0.6, 0.1, 1.5) * rng.standard_normal(groups)
    noise = 0.6 * rng.standard_normal(count) * (1.0 if errors is None else errors)
    group = np.repeat(np.arange(groups), rows) if rows > 1 else None
    y = (effects if group is None else effects[group]) * x + noise
    weights = rng.integers(1, 4, groups).astype(float) if weighted else None
    return SlopeModel(y=y, x=x, group=group, errors=errors, weights=weights)
