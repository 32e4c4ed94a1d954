"""The report of a fit of latent partitions: tables and actions on demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.inference.bootstrap import Bootstrap
from varmix.inference.generator import generator_of
from varmix.inference.wald import LEVEL
from varmix.iteration import Certificate, Outcome, Starts, Status
from varmix.models.partition.deconvolution import sample_expression
from varmix.models.partition.problem import Problem, free_parameters
from varmix.models.partition.remembered import Remembered
from varmix.results.partition_mixture.advice import advice_on
from varmix.results.partition_mixture.estimates import Estimates
from varmix.results.partition_mixture.genes import LONGEST, GeneTables, in_sample
from varmix.results.partition_mixture.intervals import KINDS, Intervals
from varmix.results.partition_mixture.labels import Labels
from varmix.results.partition_mixture.parameters import Parameters
from varmix.results.partition_mixture.prediction import Memory, predict_genes, refuse_unknown, simulated
from varmix.results.partition_mixture.replicates import bootstrap
from varmix.results.partition_mixture.steps import paths_table, progress_table, starts_table
from varmix.results.report import Facts, Report
from varmix.tables.identifiers import label_text

MANY = 20
"""Partitions beyond which a summary shows those of the largest shares only."""

BY_GENE = ("classes", "expression", "together", "differences")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimation:
    """How the estimate was found."""

    method: str
    starts: Starts[Any, Any]
    kinds: tuple[str, ...]
    """What each start was: moments, prior, vertices, random, screened."""
    notes: Mapping[str, Any]
    """Further facts: options, and `warnings` in sentences."""

    @property
    def outcome(self) -> Outcome[Any, Any]:
        """The best end."""
        return self.starts.best


class PartitionMixtureReport(Report):
    """Tables and actions of one fit."""

    kind = "partition_mixture"

    def __init__(self, problem: Problem, estimation: Estimation, labels: Labels) -> None:
        self.problem = problem
        self.estimation = estimation
        self.labels = labels
        self.estimates = Estimates(problem, estimation.outcome, labels.sample_types)
        self.intervals = Intervals(self.estimates)
        self.parameters = Parameters(self.estimates, self.intervals, labels.sample_types)
        self.information = self.estimates.kind

    @property
    def status(self) -> Status:
        """Why the fit ended."""
        return self.estimation.outcome.status

    @property
    def certificate(self) -> Certificate:
        """Distance from the optimum."""
        return self.estimation.outcome.certificate

    @cached_property
    def facts(self) -> Facts:
        """One line each, JSON values only."""
        base, outcome, starts = self.problem.base, self.estimation.outcome, self.estimation.starts
        value = base.log_likelihood_outward(self.problem.log_likelihood(outcome))
        parameters = free_parameters(self.problem)
        joint = base.likelihood == "joint"
        # at a maximum of the likelihood, and all parameters are counted
        counted = joint and base.concentration is None and self.estimation.notes.get("variance") != "per_gene_block"
        return {
            "model": "latent partitions",
            "advice": advice_on(self.status),
            "response": self.labels.response,
            "method": self.estimation.method,
            "criterion": ("ml" if base.concentration is None else "posterior") if joint else "composite",
            "likelihood": base.likelihood,
            "log_likelihood": value,
            "objective": base.log_likelihood_outward(outcome.objective),
            "deviance": -2.0 * value,
            "aic": 2.0 * parameters - 2.0 * value if counted else math.nan,
            "bic": math.log(base.genes) * parameters - 2.0 * value if counted else math.nan,
            "parameters": parameters,
            "n": base.genes,
            "values": base.samples,
            "sample_types": len(self.labels.sample_types),
            "cell_types": list(base.partitions.types),
            "partitions": len(base.partitions),
            "labels_arbitrary": base.label_symmetry,
            "steps": len(outcome.progress.steps) - 1,
            "evaluations": outcome.progress.last.evaluations,
            "scheme": outcome.progress.steps[0].scheme,
            "finished_by": outcome.scheme,
            "starts": len(starts.runs),
            "starts_at_best": starts.reached_best,
            **self.estimation.notes,
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        shapes = ("shapes",) if len(self.parameters.shapes(LEVEL)) else ()
        leading = ("leading_shares",) if len(self.problem.base.partitions) > MANY else ()
        first = ("shares", *leading, "coefficients", "components", *shapes, "proportions")
        return (*first, *BY_GENE, "starts", "progress", "paths", "sample")

    @property
    def saved_tables(self) -> tuple[str, ...]:
        """All, but of very many genes and partitions none that has a row for each gene."""
        cells = self.problem.base.genes * len(self.problem.base.partitions)
        return tuple(name for name in self.tables if cells <= LONGEST or name not in BY_GENE)

    @property
    def titles(self) -> Mapping[str, str]:
        """What a summary shows."""
        many = "leading_shares" in self.tables
        titles = {"leading_shares" if many else "shares": "Shares of the partitions" + (", largest" if many else "")}
        titles |= {"coefficients": "Mean of block means", "components": "Variances"}
        if "shapes" in self.tables:
            titles["shapes"] = "Shapes of the noise"
        if np.isnan(self.problem.base.known).any():
            titles["proportions"] = "Proportions"
        return titles

    def table(self, name: str) -> pd.DataFrame:
        """A table by name."""
        parameters, estimates, starts = self.parameters, self.estimates, self.estimation.starts
        makers: dict[str, Callable[[], pd.DataFrame]] = {
            "shares": lambda: parameters.shares(LEVEL),
            "leading_shares": lambda: _largest(parameters.shares(LEVEL)),
            "coefficients": lambda: parameters.coefficients(LEVEL),
            "components": lambda: parameters.components(LEVEL),
            "shapes": lambda: parameters.shapes(LEVEL),
            "proportions": lambda: parameters.proportions(LEVEL),
            **{each: lambda each=each: getattr(self.genes, each) for each in BY_GENE},  # type: ignore[misc]
            "starts": lambda: starts_table(estimates, starts, self.estimation.kinds),
            "progress": lambda: progress_table(estimates, self.estimation.outcome),
            "paths": lambda: paths_table(estimates, starts),
            "sample": self.labels.sample,
        }
        if name not in makers:
            self._refuse(name)
        return makers[name]()

    @cached_property
    def genes(self) -> GeneTables:
        """What the genes of the fit say."""
        return GeneTables(genes=self.labels.genes, posterior=self.remembered.posterior(self.problem.base.pieces))

    @cached_property
    def remembered(self) -> Remembered:
        """The point without its genes."""
        return self.problem.remember(self.estimation.outcome.params)

    def tidy(self, level: float) -> pd.DataFrame:
        """All parameters in broom's columns."""
        return self.parameters.tidy(level)

    def effects(self, term: str, *, sd: bool) -> pd.DataFrame:
        """Posterior means of the expression of a cell type, of all ("expression"), or of all in one sample by its name
        [PART-8]."""
        names = [] if self.labels.samples is None else [label_text(name) for name in self.labels.samples]
        known = ("expression", *self.problem.base.partitions.types)
        if term in names and term not in known:
            return self._in_sample(names.index(term), sd=sd)
        return self.genes.effects(term, sd=sd)

    def _in_sample(self, at: int, *, sd: bool) -> pd.DataFrame:
        """Expression of each cell type in a sample: where cells vary between samples, the sample tells of its own."""
        values, codes, found = self.labels.values, self.labels.sample_type, self.remembered
        if values is None or codes is None:
            raise NotAvailableError("A fit of a stream does not keep its samples. Name a cell type, or 'expression'.")
        if found.kind == "per_gene_block":
            raise NotAvailableError("With variance='per_gene_block' samples have no cells of their own to tell of.")
        params = found.params() if found.kind == "shared" else found.noise_params()
        base = self.problem.base
        sample = sample_expression(
            self.genes.posterior, params, base.pieces, values[:, at], int(codes[at]), scale=base.scale
        )
        return in_sample(self.labels.genes, base.partitions.types, sample, sd=sd)

    def interval(self, name: str, **options: Any) -> tuple[float, float]:
        """`kind` wald, profile or bootstrap (with `replicates` and `rng`), `level`."""
        kind, level = options.pop("kind", None), options.pop("level", LEVEL)
        at = self._estimated(name)
        if kind == "bootstrap":
            replicates, rng = options.pop("replicates", 200), options.pop("rng", None)
            _refuse_options(options)
            lower, upper = self.bootstrap(replicates, generator_of(rng)).interval(level=level)
            return float(lower[at]), float(upper[at])
        _refuse_options(options)
        self._check_arrived()
        if kind not in (None, *KINDS):
            raise OptionError(f"kind={kind!r} is not known. Use one of {', '.join(KINDS)}.")
        ends = {"wald": self.intervals.wald, "profile": self.intervals.profile, None: self.intervals.default}
        low, high = ends[kind](at, level)[:2]
        return float(low), float(high)

    def profile(self, name: str, **options: Any) -> pd.DataFrame:
        """Columns `value` and `log_likelihood` relative to the maximum; `points` and `reach` as options."""
        points, reach = options.pop("points", 41), options.pop("reach", 1.5)
        _refuse_options(options)
        at = self._estimated(name)
        self._check_arrived()
        return self.intervals.path(at, points, reach)

    def bootstrap(self, replicates: int, rng: np.random.Generator) -> Bootstrap:
        """Refits of genes drawn with replacement: they are the independent units."""
        self._check_arrived()
        return bootstrap(self.estimates, replicates, rng)

    def predict(self, new: Any, **options: Any) -> Any:
        """Tables of new genes, of the fit's own where `new` is None; see `prediction.predict_genes` for the options."""
        if new is None and not options:
            return self.genes
        refuse_unknown(options)
        return predict_genes(self.memory, new, **options)

    @property
    def memory(self) -> Memory:
        """What predictions need, without the data."""
        labels = self.labels
        samples = None if labels.samples is None else [label_text(name) for name in labels.samples]
        codes = None if labels.sample_type is None else labels.sample_type
        return Memory(remembered=self.remembered, sample_types=labels.sample_types, samples=samples, sample_type=codes)

    def prediction_state(self) -> Mapping[str, Any]:
        """As JSON values and arrays."""
        return self.memory.state()

    def simulate(self, rng: np.random.Generator) -> Any:
        """Expression of as many genes as there are, drawn from the fitted model: a data frame genes x samples."""
        return simulated(self.memory, self.labels.genes, rng)

    def covariance(self, kind: str) -> pd.DataFrame:
        """Of all parameters that are estimated, by the "observed" information or the "sandwich"."""
        self._check_arrived()
        matrix, free = self.estimates.covariance(kind), np.flatnonzero(~self.estimates.held)
        names = [self.estimates.names[at] for at in free]
        return pd.DataFrame(matrix[np.ix_(free, free)], index=names, columns=names)

    def _estimated(self, name: str) -> int:
        at = self.estimates.position(name)
        if self.estimates.held[at]:
            raise OptionError(f"'{name}' is known in this model, not estimated: it has no interval.")
        return at

    def _check_arrived(self) -> None:
        if not self.status.arrived:
            raise NotAvailableError(
                f"This fit is not at a maximum ({self.status.name}), so that nothing can be held against it: no "
                "intervals, profiles or bootstrap. Refit with more starts, or a prior where proportions are free."
            )


def _largest(shares: pd.DataFrame) -> pd.DataFrame:
    return shares.sort_values("estimate", ascending=False, kind="stable").head(MANY).reset_index(drop=True)


def _refuse_options(options: Mapping[str, Any]) -> None:
    if options:
        raise OptionError(f"'{next(iter(options))}' is not an option here.")
