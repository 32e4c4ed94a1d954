"""The report of a mixing distribution on a grid of variances: the likelihood's own answer to how many classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from varmix.iteration import Certificate, Status
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.npmle import Npmle
from varmix.results import broom
from varmix.results.random_effect_mixture.rows import Rows, saved
from varmix.results.random_effect_mixture.saved import of_classes
from varmix.results.report import Facts, Report
from varmix.typing import Vector

ADVICE = {
    Status.CONVERGED: (
        "The dual gap certifies that no other shares of the grid do better. Read the distribution as a whole: its "
        "points stand for stretches of variances, and their number is no number of classes."
    ),
}


class MixingDistributionReport(Report):
    """Shares on a grid with their certificates; no standard errors, which a distribution on a grid does not have."""

    kind = "mixing_distribution"

    def __init__(
        self,
        model: RandomEffectMixture,
        found: Npmle,
        rows: Rows,
        sample: Callable[[], pd.DataFrame],
        response: str,
    ) -> None:
        self.model = model
        self.found = found
        self.rows = rows
        self.sample = sample
        self.response = response
        self.params = found.params

    @property
    def status(self) -> Status:
        """Why the search ended."""
        return self.found.status

    @property
    def certificate(self) -> Certificate:
        """The dual gap as the gradient that is left, and the distance of the residual variance from its best value."""
        return Certificate(projected_gradient=self.found.gap, newton_decrement=self.found.decrement)

    @cached_property
    def facts(self) -> Facts:
        """One line each."""
        found, model = self.found, self.model
        value = model.log_likelihood_outward(found.log_likelihood)
        return {
            "model": "mixing distribution of random effects",
            "advice": ADVICE.get(found.status, found.status.advice),
            "response": self.response,
            "method": "npmle",
            "criterion": "ml",
            "log_likelihood": value,
            "deviance": -2.0 * value,
            "points": len(found.variances),
            "support": len(found.support),
            "gap": found.gap,
            "gain_bound": found.bound,
            "residual": "estimated" if model.residual is None else float(model.residual),
            "n": self.rows.count,
            "effects": model.reduction.groups,
            "sigma": math.sqrt(found.residual * model.reduction.scales.residual),
            "steps": len(found.steps),
            "evaluations": len(found.steps),
            "scheme": "npmle",
            "finished_by": "npmle",
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        return ("mixing", "components", "classes", "progress", "sample", "augment")

    @property
    def saved_tables(self) -> tuple[str, ...]:
        """All, but of very many effects none that has a row for each."""
        return saved(self.tables, self.rows.count)

    @property
    def titles(self) -> Mapping[str, str]:
        """What a summary shows."""
        return {"mixing": "Mixing distribution", "components": "Variances"}

    def table(self, name: str) -> pd.DataFrame:
        """A table by name."""
        makers: dict[str, Callable[[], pd.DataFrame]] = {
            "mixing": self.mixing,
            "components": self.components,
            "classes": lambda: self.rows.posterior(self.params),
            "progress": self.progress,
            "sample": self.sample,
            "augment": lambda: self.rows.augment(self.rows.posterior(self.params)["effect"].to_numpy()),
        }
        if name not in makers:
            self._refuse(name)
        return makers[name]()

    def mixing(self) -> pd.DataFrame:
        """The points of the grid that have a share: `variance`, `share`, `cumulative`."""
        support = self.found.support
        shares = self.found.shares[support]
        variances = self.found.variances[support] * self.model.reduction.scales.variance
        return pd.DataFrame({"variance": variances, "share": shares, "cumulative": np.cumsum(shares)})

    def components(self) -> pd.DataFrame:
        """The variance of the effects over the whole mixing distribution, and the residual one."""
        mixing, scales = self.mixing(), self.model.reduction.scales
        values = np.array([float(mixing["variance"] @ mixing["share"]), self.found.residual * scales.residual])
        return pd.DataFrame(
            {
                "term": ["effects", "residual"],
                "name": "variance",
                "estimate": values,
                "sd": np.sqrt(values),
                "se": math.nan,
                "lower": math.nan,
                "upper": math.nan,
                "interval": "none",
                "on_boundary": values == 0.0,
            }
        )

    def progress(self) -> pd.DataFrame:
        """One row per residual variance tried."""
        scale = self.model.reduction.scales.residual
        rows = [
            {
                "step": number,
                "s": step.residual * scale,
                "log_likelihood": self.model.log_likelihood_outward(step.log_likelihood),
                "gap": step.gap,
            }
            for number, step in enumerate(self.found.steps)
        ]
        return pd.DataFrame(rows)

    def tidy(self, level: float) -> pd.DataFrame:
        """Shares and variances in broom's columns."""
        mixing, components = self.mixing(), self.components()
        shares = pd.DataFrame(
            {"effect": "share", "term": [f"v={value:.6g}" for value in mixing["variance"]], "estimate": mixing["share"]}
        )
        variances = components[["term", "estimate"]].assign(effect="ran_pars")
        return broom.in_columns([shares, variances])

    def effects(self, term: str, *, sd: bool) -> pd.DataFrame:
        """Posterior means of the effects, with their labels."""
        return of_classes(self.rows.posterior(self.params), term, sd=sd)

    def simulate(self, rng: np.random.Generator) -> Vector:
        """A response drawn from the fitted distribution, shape (n,)."""
        return self.rows.draw(self.params, rng)

    def compare(self, other: Report, **options: Any) -> Any:
        """Not available: the grid has no number of classes to test."""
        self._refuse("compare")
