"""The Fit: one result type for all models."""

from __future__ import annotations

import importlib
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError, first_of_each
from varmix.inference.generator import generator_of
from varmix.iteration import Certificate, Status
from varmix.results import html, store, text
from varmix.results.report import Report


class Fit:
    """A fitted model. Tables are data frames, derived on demand and kept; actions go back to the data.

    Two fits are equal when they report the same, timings apart; a fit that was saved and loaded equals the one that was
    saved.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self._tables: dict[str, pd.DataFrame] = {}

    # What was found

    @property
    def status(self) -> Status:
        """Why the fit ended, with advice in `status.advice`."""
        return self.report.status

    @property
    def certificate(self) -> Certificate:
        """Projected gradient, Newton decrement (distance to the optimum in standard errors) and parameters at 0."""
        return self.report.certificate

    @property
    def facts(self) -> dict[str, Any]:
        """Method, criterion, log-likelihood, rows and the like, by name."""
        return dict(self.report.facts)

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood, or restricted log-likelihood in lme4's convention [VC-2]; `criterion` says which."""
        return float(self.report.facts["log_likelihood"])

    @property
    def deviance(self) -> float:
        """-2 log-likelihood, or the REML criterion."""
        return float(self.report.facts["deviance"])

    @property
    def criterion(self) -> str:
        """'ml', 'reml', 'moments', ..."""
        return str(self.report.facts["criterion"])

    @property
    def projected(self) -> pd.Series[float]:
        """Moment estimates projected onto variances >= 0 (in the metric of the moment equations), by component."""
        if "projected" not in self.report.facts:
            raise NotAvailableError("Only moment estimates are projected: a likelihood fit is in the cone already.")
        return pd.Series(self.report.facts["projected"], index=self.components["term"], name="projected")

    def table(self, name: str) -> pd.DataFrame:
        """A table by name (a copy). Raises NotAvailableError naming those there are."""
        if name not in self._tables:
            with first_of_each(ConvergenceWarning):
                self._tables[name] = self.report.table(name)
        return self._tables[name].copy()

    @property
    def components(self) -> pd.DataFrame:
        """Variances in the order given, residual last: term, name, estimate, sd, se, lower, upper, interval,
        on_boundary."""
        return self.table("components")

    @property
    def proportions(self) -> pd.DataFrame:
        """Proportions of variance (heritabilities): term, estimate, se, lower, upper, interval [VC-9]. Of latent
        partitions those of cell types in sample types [PART-7]."""
        return self.table("proportions")

    @property
    def correlation(self) -> pd.DataFrame:
        """One row for the correlation of effects: estimate, se, lower, upper, interval, on_boundary [VC-8]."""
        return self.table("correlation")

    @property
    def coefficients(self) -> pd.DataFrame:
        """Fixed effects, indexed by column name: estimate, se, df, statistic, p, lower, upper."""
        return self.table("coefficients")

    @property
    def shares(self) -> pd.DataFrame:
        """Class or partition shares with se, lower, upper (mixtures)."""
        return self.table("shares")

    @property
    def classes(self) -> pd.DataFrame:
        """Posterior class probabilities, one row per independent unit in input order (mixtures)."""
        return self.table("classes")

    @property
    def progress(self) -> pd.DataFrame:
        """One row per step."""
        return self.table("progress")

    @property
    def starts(self) -> pd.DataFrame:
        """One row per start."""
        return self.table("starts")

    @property
    def sample(self) -> pd.DataFrame:
        """Rows and variants used and dropped, by cause."""
        return self.table("sample")

    # What follows from it

    def effects(self, term: str, *, sd: bool = False) -> pd.DataFrame:
        """Posterior means (with `sd` also standard deviations) of the hidden effects of a term [VC-6]."""
        return self.report.effects(term, sd=sd)

    def interval(self, name: str, **options: Any) -> tuple[float, float]:
        """Confidence interval of a parameter.

        Options: `of` ("variance" or "proportion"), `kind` ("profile", "wald", "bootstrap"), `level`, and for the
        bootstrap `replicates` and `rng`.
        """
        with first_of_each(ConvergenceWarning):
            return self.report.interval(name, **options)

    def profile(self, name: str, **options: Any) -> pd.DataFrame:
        """Profile log-likelihood of a parameter, relative to its maximum: value, log_likelihood."""
        with first_of_each(ConvergenceWarning):
            return self.report.profile(name, **options)

    def test(self, *names: str) -> Any:
        """Likelihood-ratio test that the named variances are 0, against the chi-bar-square null."""
        return self.report.test(names)

    def compare(self, other: Fit, **options: Any) -> Any:
        """Likelihood-ratio test of the smaller of two nested fits of the same data.

        Options of mixtures, whose null distribution is drawn: `replicates` and `rng`.
        """
        if not isinstance(other, Fit):
            raise OptionError(f"compare takes another Fit, not {type(other).__name__}.")
        return self.report.compare(other.report, **options)

    def bootstrap(self, replicates: int = 200, rng: np.random.Generator | int | None = None) -> Any:
        """Refits of draws from the fitted model; of latent partitions of genes drawn with replacement."""
        return self.report.bootstrap(replicates, generator_of(rng))

    def covariance(self, information: str | None = None) -> pd.DataFrame:
        """Covariance of the variance estimates, by 'expected', 'observed' or 'average' information [VC-4].

        None is 'expected', of mixtures 'observed', which is all they have [SLOPE-10].
        """
        return self.report.covariance(information or self.report.information)

    def predict(self, new: Any = None, **options: Any) -> Any:
        """Expected responses, shape (n,): fitted values, or those of new rows.

        `new` holds their covariates (coded as in the fit), `designs` and `kernels` what belongs to each term; they are
        joined by label where both sides have any, and the answer has the rows of the first of them. Of latent
        partitions: tables of new genes (`classes`, `expression`, `together`, `differences`) whose samples are those of
        the fit, of types that `sample_type` names, or mixtures in known `proportions` [PART-8].
        """
        return self.report.predict(new, **options)

    def simulate(self, rng: np.random.Generator | int | None = None) -> Any:
        """A response drawn from the fitted model, shape (n,); of latent partitions a data frame genes x samples."""
        return self.report.simulate(generator_of(rng))

    # broom.mixed's three verbs

    def tidy(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row per parameter: effect, group, term, estimate, std_error, statistic, p_value, conf_low, conf_high."""
        with first_of_each(ConvergenceWarning):
            return self.report.tidy(level)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, sigma, logLik, AIC, BIC, REMLcrit or deviance, df_residual."""
        return self.report.glance()

    def augment(self) -> pd.DataFrame:
        """One row per row used: the response with fixed, fitted and resid."""
        return self.table("augment")

    # How it is shown and kept

    @property
    def plot(self) -> Any:
        """Figures of this fit: `fit.plot.progress()`, `.profile("snps")`, `.components()`. Needs matplotlib."""
        return importlib.import_module("varmix.plots").FitPlots(self)

    def summary(self) -> str:
        """The fit as text."""
        return text.summary(self)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        facts = self.report.facts
        return f"<Fit: {facts['model']} by {facts['method']}, {self.status.name}, n = {facts['n']}>"

    def _repr_html_(self) -> str:
        return html.page(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything that is reported, and what predictions need, as JSON. `varmix.load` reads it back."""
        store.save(self, path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fit) and store.as_text(self, timings=False) == store.as_text(other, timings=False)

    __hash__ = None  # type: ignore[assignment]
