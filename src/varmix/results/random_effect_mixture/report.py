"""The report of a mixture of random effects: tables and actions on demand."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError
from varmix.inference.generator import generator_of
from varmix.inference.likelihood_ratio import LikelihoodRatio
from varmix.inference.wald import LEVEL
from varmix.iteration import Certificate, Outcome, Starts, Status
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.npmle import GainBound, gain_bound
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.results import broom
from varmix.results.random_effect_mixture.advice import advice_on
from varmix.results.random_effect_mixture.design import design_table
from varmix.results.random_effect_mixture.estimates import Estimates
from varmix.results.random_effect_mixture.intervals import Intervals
from varmix.results.random_effect_mixture.number_of_classes import aic, bic, compare_classes, icl
from varmix.results.random_effect_mixture.replicates import bootstrap
from varmix.results.random_effect_mixture.rows import Rows, saved
from varmix.results.random_effect_mixture.saved import of_classes
from varmix.results.random_effect_mixture.smallest_variance import check_tested, smallest_variance_test
from varmix.results.random_effect_mixture.steps import paths_table, progress_table, starts_table
from varmix.results.report import Facts, Report
from varmix.typing import Vector

FEW = 200_000
"""Effects up to which intervals in tables are by profile: above, they are Wald's inside (a profile is asked for by
`fit.interval`), where the two agree."""

TELLING = 0.01
"""A bound above it is sharpened, up to `FEW` effects: a single effect far out multiplies the quick one by thousands."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimation:
    """How the estimate was found."""

    method: str
    outcome: Outcome[Any, Any]
    starts: Starts[Any, Any]
    kinds: tuple[str, ...]
    """What each start was: moments, npmle, grown, random, given."""
    climb: Climb
    notes: Mapping[str, Any]


class RandomEffectMixtureReport(Report):
    """Tables and actions of one fit."""

    kind = "random_effect_mixture"
    information = "observed"

    def __init__(
        self,
        model: RandomEffectMixture,
        estimation: Estimation,
        rows: Rows,
        sample: Callable[[], pd.DataFrame],
        response: str,
    ) -> None:
        self.model = model
        self.estimation = estimation
        self.rows = rows
        self.sample = sample
        self.response = response
        self.params: MixtureParams = estimation.outcome.params.ordered()
        self.estimates = Estimates(model, self.params)

    @property
    def status(self) -> Status:
        """Why the fit ended."""
        return self.estimation.outcome.status

    @property
    def certificate(self) -> Certificate:
        """Distance from the optimum."""
        return self.estimation.outcome.certificate

    @cached_property
    def log_likelihood(self) -> float:
        """Of the data, at the estimate."""
        return self.model.log_likelihood_outward(self.estimation.outcome.objective)

    @cached_property
    def facts(self) -> Facts:
        """One line each, JSON values only."""
        model, outcome, starts = self.model, self.estimation.outcome, self.estimation.starts
        parameters, value = model.free_parameters, self.log_likelihood
        schwarz = bic(value, parameters, model.total)
        return {
            "model": "mixture of random effects",
            "advice": advice_on(self.status),
            "response": self.response,
            "method": self.estimation.method,
            "criterion": "ml",
            "log_likelihood": value,
            "deviance": -2.0 * value,
            "aic": aic(value, parameters),
            "bic": schwarz,
            "icl": icl(model, self.params, schwarz),
            "parameters": parameters,
            "classes": model.classes,
            "null": model.null,
            "residual": "estimated" if model.residual is None else float(model.residual),
            "n": self.rows.count,
            "effects": model.reduction.groups,
            "sigma": math.sqrt(self.outward[model.classes]),
            "steps": len(outcome.progress.steps) - 1,
            "evaluations": outcome.progress.last.evaluations,
            "scheme": outcome.progress.steps[0].scheme,
            "finished_by": outcome.scheme,
            "starts": len(starts.runs),
            "starts_at_best": starts.reached_best,
            "gain_bound": self.bound.bound,
            **self.estimation.notes,
        }

    @cached_property
    def outward(self) -> Vector:
        """(v, s, pi) in the units of the data."""
        return self.model.reduction.outward(self.params)

    @cached_property
    def bound(self) -> GainBound:
        """What any number of classes could still gain for this residual variance [SLOPE-8]."""
        pieces = self.model.pieces
        quick = gain_bound(self.params, pieces)
        few = self.model.reduction.groups <= FEW
        return gain_bound(self.params, pieces, exact=True) if few and quick.bound > TELLING else quick

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        return ("shares", "components", "design", "classes", "starts", "progress", "paths", "sample", "augment")

    @property
    def saved_tables(self) -> tuple[str, ...]:
        """All, but of very many effects none that has a row for each."""
        return saved(self.tables, self.rows.count)

    @property
    def titles(self) -> Mapping[str, str]:
        """What a summary shows."""
        return {"shares": "Shares of the classes", "components": "Variances", "design": "What the design can tell"}

    def table(self, name: str) -> pd.DataFrame:
        """A table by name."""
        makers: dict[str, Callable[[], pd.DataFrame]] = {
            "shares": lambda: self.shares(LEVEL),
            "components": lambda: self.components(LEVEL),
            "design": self.design,
            "classes": self.classes,
            "starts": lambda: starts_table(self.model, self.estimation.starts, self.estimation.kinds),
            "progress": lambda: progress_table(self.model, self.estimation.outcome),
            "paths": lambda: paths_table(self.model, self.estimation.starts),
            "sample": self.sample,
            "augment": lambda: self.rows.augment(self.classes()["effect"].to_numpy()),
        }
        if name not in makers:
            self._refuse(name)
        return makers[name]()

    @cached_property
    def intervals(self) -> Intervals:
        """Intervals against the maximum. Raises NotAvailableError away from one."""
        if not self.status.arrived:
            raise NotAvailableError(
                f"This fit is not at a maximum ({self.status.name}), so that nothing can be held against it: no "
                "intervals or bootstrap. Refit with polish=True, method='auto' or more starts."
            )
        return Intervals(self.estimates, self.estimation.outcome.objective, self.estimation.climb)

    def _interval(self, name: str, level: float, kind: str | None) -> tuple[float, float, str]:
        if not self.status.arrived:
            return math.nan, math.nan, "none"
        if kind is None:
            at = self.estimates.position(name)
            inside = self.params.vector()[at] > 0.0 and not math.isnan(self.estimates.standard_errors[at])
            kind = "wald" if inside and self.model.reduction.groups > FEW else "profile"
        ends = self.intervals.profile if kind == "profile" else self.intervals.wald
        if self.status is not Status.CONFOUNDED:
            return *ends(name, level), kind
        with warnings.catch_warnings():  # the status says it: where parameters are confounded profiles have flat parts
            warnings.simplefilter("ignore", ConvergenceWarning)
            return *ends(name, level), kind

    def shares(self, level: float) -> pd.DataFrame:
        """One row per class, in ascending order of variance: its share."""
        count = self.model.classes
        rows = [{"class": k + 1, "variance": self.outward[k], **self._row(count + 1 + k, level)} for k in range(count)]
        return pd.DataFrame(rows)

    def components(self, level: float) -> pd.DataFrame:
        """One row per class variance, residual last."""
        count = self.model.classes
        rows = []
        for k in range(count + 1):
            row = self._row(k, level)
            values: dict[str, Any] = {"term": "residual" if k == count else f"class_{k + 1}", "name": "variance"}
            values |= {"estimate": row.pop("estimate"), "sd": math.sqrt(self.outward[k])}
            rows.append(values | row)
        return pd.DataFrame(rows)

    def _row(self, position: int, level: float) -> dict[str, Any]:
        value, held = float(self.outward[position]), bool(self.model.held[position])
        error = float(self.estimates.standard_errors[position])
        name = self.model.names[position]
        lower, upper, used = (math.nan, math.nan, "known") if held else self._interval(name, level, None)
        return {
            "estimate": value,
            "se": error,
            "lower": lower,
            "upper": upper,
            "interval": used,
            "on_boundary": value == 0.0 and not held,
        }

    def classes(self) -> pd.DataFrame:
        """Posterior of every effect in input order: class probabilities, mean, sd, false sign and discovery rates."""
        return self.rows.posterior(self.params)

    def design(self) -> pd.DataFrame:
        """Information on the shares that the design keeps, with as many rows per effect as there are and more."""
        return design_table(self.model, self.params)

    def _refuse_options(self, options: Mapping[str, Any]) -> None:
        if options:
            raise OptionError(f"'{next(iter(options))}' is not an option here.")

    def tidy(self, level: float) -> pd.DataFrame:
        """Shares and variances in broom's columns."""
        shares, variances = self.shares(level), self.components(level)
        parts = []
        for table, effect, terms in (
            (shares, "share", [f"pi_{k}" for k in shares["class"]]),
            (variances, "ran_pars", [*(f"v_{k}" for k in shares["class"]), "s"]),
        ):
            part = table.rename(columns={"se": "std_error", "lower": "conf_low", "upper": "conf_high"})
            parts.append(part.assign(effect=effect, term=terms))
        return broom.in_columns(parts)

    def effects(self, term: str, *, sd: bool) -> pd.DataFrame:
        """Posterior means of the effects, with their labels."""
        return of_classes(self.classes(), term, sd=sd)

    def interval(self, name: str, **options: Any) -> tuple[float, float]:
        """`kind` profile, wald or bootstrap (with `replicates` and `rng`), `level`."""
        kind, level = options.pop("kind", None), options.pop("level", LEVEL)
        position = self.estimates.position(name)
        if kind == "bootstrap":
            replicates, rng = options.pop("replicates", 200), options.pop("rng", None)
            self._refuse_options(options)
            lower, upper = self.bootstrap(replicates, generator_of(rng)).interval(level=level)
            return float(lower[position]), float(upper[position])
        self._refuse_options(options)
        if kind not in (None, "profile", "wald"):
            raise OptionError(f"kind={kind!r} is not known. Use 'profile', 'wald' or 'bootstrap'.")
        if self.model.held[position]:
            raise OptionError(f"'{name}' is known in this model, not estimated: it has no interval.")
        _ = self.intervals
        return self._interval(name, level, kind)[:2]

    def profile(self, name: str, **options: Any) -> pd.DataFrame:
        """Columns `value` and `log_likelihood` relative to the maximum; `points` and `reach` as options."""
        points, reach = options.pop("points", 41), options.pop("reach", 1.5)
        self._refuse_options(options)
        return self.intervals.path(name, points, reach)

    def test(self, names: tuple[str, ...]) -> LikelihoodRatio:
        """Likelihood-ratio test that the smallest class variance, 'v_1', is 0."""
        check_tested(self.model, names)
        found = self.estimation
        return smallest_variance_test(self.model, self.params, self.status, found.outcome.objective, found.climb.runner)

    def compare(self, other: Report, **options: Any) -> Any:
        """Bootstrap likelihood-ratio test of fewer classes within more; `replicates`, `rng`."""
        if not isinstance(other, RandomEffectMixtureReport):
            raise OptionError("Only two mixtures of random effects that hold their data can be compared.")
        replicates, rng = options.pop("replicates", 99), generator_of(options.pop("rng", None))
        self._refuse_options(options)
        return compare_classes(
            self.model, self.params, other.model, other.params, self.estimation.climb, replicates, rng
        )

    def bootstrap(self, replicates: int, rng: np.random.Generator) -> Any:
        """All parameters refitted to draws from the fit, classes matched to those of the fit."""
        _ = self.intervals
        return bootstrap(self.estimates, self.estimation.climb, replicates, rng)

    def simulate(self, rng: np.random.Generator) -> Vector:
        """A response drawn from the fitted model, shape (n,)."""
        return self.rows.draw(self.params, rng)

    def covariance(self, kind: str) -> pd.DataFrame:
        """Covariance of (v, s, pi) by the observed information."""
        if kind != "observed":
            raise OptionError(
                f"information={kind!r} is not there: covariances of mixtures rest on the 'observed' one. What a design "
                "is expected to tell is fit.table('design')."
            )
        names = list(self.model.names)
        return pd.DataFrame(self.estimates.covariance, index=names, columns=names)
