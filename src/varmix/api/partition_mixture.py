"""`partition_mixture`: expression of mixed samples in, Fit out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from varmix.api.expression_table import ExpressionTable, read_expression
from varmix.errors import ConvergenceWarning, OptionError, VarmixWarning, warn
from varmix.inference.generator import generator_of
from varmix.iteration import Runner, Serial, Starts
from varmix.linalg.threads import one_thread
from varmix.models.partition.climb import SCHEMES, Climb
from varmix.models.partition.diagnosis import NoiseDiagnosis, diagnose
from varmix.models.partition.fitting import fit_from
from varmix.models.partition.logarithms import logarithms_told
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.noise_problem import NoiseProblem
from varmix.models.partition.noise_terms import PLAIN, SETS, TERMS, chosen_margin, chosen_terms, shown_terms
from varmix.models.partition.problem import Problem
from varmix.models.partition.shared_problem import SharedProblem
from varmix.results.fit import Fit
from varmix.results.partition_mixture.labels import Labels
from varmix.results.partition_mixture.report import Estimation, PartitionMixtureReport
from varmix.typing import Tick

VARIANCES = ("shared", "moderated", "per_gene_block")

STARTS, QUICK = 3, 50_000
"""Starts where all proportions are known, up to so many genes times partitions: of 400 sets of 3 to 39 genes 7 ended up
to .12 lower from one start, of 50 of hundreds of genes none. Beyond, and with scales of genes, 1."""

FREE_STARTS = 8
"""Starts where proportions are estimated: the likelihood has several maxima then [PART-7]."""


def partition_mixture(
    S: Any,
    sample_type: Any = None,
    *,
    proportions: Any,
    cell_types: Any = None,
    partitions: Any = "all",
    variance: str = "shared",
    likelihood: str = "joint",
    noise: Any = "auto",
    margin: float | None = None,
    method: str = "auto",
    starts: int | None = None,
    rng: np.random.Generator | int | None = None,
    workers: int | None = None,
    on_missing: str | None = None,
    tick: Tick | None = None,
    **options: Any,
) -> Fit:
    """Which cell types share the expression of each gene, from samples that mix them [PART-1].

    `S` holds expression on the scale on which mixing is linear: genes x samples (G, n), an array or a data frame with
    names; or read in chunks of genes and never held whole: a path or list of paths (text or Parquet, the first column
    genes), a list of data frames, a function that returns an iterator of them, or a Dask data frame. `sample_type` is
    the type of each sample (n,), or a mapping, series or table by the samples' names (1, 1.0 and "1" are one type);
    None where `proportions` has a row per sample.

    `proportions` are sample types x cell types (D, T): known numbers with rows that sum to 1 (NaN: to be estimated), a
    `Dirichlet` prior, or "free" [PART-7]; of the latter two `cell_types` gives names or their number. `partitions` is
    "all" (up to 7 cell types), "one_vs_rest", "two_blocks", or a list such as ["liver | brain = lung", ...].

    `noise` is made of the terms "cell" (variance between samples of a type's cells), "measurement", "trend"
    (measurement that grows with expression), "misfit" (sample types lie off the mixtures, in a way that replicates
    share) and "scatter" (cell types of a block differ, by how much is estimated) [PART-5]: one of them, a list, "both"
    (the first two), "full" (measurement, trend, misfit), or "auto": "both" unless the data show that noise grows with
    expression or that samples are not the mixtures, then "full"; the fit says which and why. `margin` is the share of a
    gene's highest level by which cell types of a block may differ: 0.05 where noise has a trend and proportions are
    known, else 0. `variance` is "shared" by all genes, "moderated" (each gene has a scale of its own, with an
    inverse-gamma prior that is estimated) or "per_gene_block": one for each gene, partition and block, which are too
    many. `likelihood` is "joint" [PART-2], or "composite", which takes the samples of a gene as independent [PART-6].

    `method` is "auto", or for variance="shared" with noise of cells and measurement "newton", "em", "pxem" or "mm" with
    their options `accelerate`, `polish`, `tolerance`; `max_iterations` has every method. `starts` is the number of
    starts, by default 8 where proportions are estimated and else 3, or 1 of many genes or with scales of genes; random
    ones are drawn with `rng`. Above 4,000 genes several starts climb on 2,000 of them, and all genes from where the
    best of these ended.

    Returns a Fit: `fit.shares` of the partitions, `fit.classes` (posterior of each gene, local false discovery rate),
    `fit.table("expression")` (of cell types, with sds), `fit.table("together")`, `fit.table("differences")`,
    `fit.proportions`, `fit.components`, `fit.predict(new)` for new genes [PART-8]. Raises DataError for data that
    cannot be used, NotIdentifiedError where they do not identify the model, OptionError for options that are not known;
    warns when the certificate is not met, of mixed samples that look like logarithms (mixing is linear before them), of
    noise that the terms miss, and of what free proportions cannot tell.
    """
    _check_choices(variance, likelihood, method)
    terms = chosen_terms(noise)
    table = read_expression(
        S,
        sample_type,
        proportions,
        cell_types=cell_types,
        partitions=partitions,
        on_missing=on_missing,
        workers=workers,
        tell=_announce,
    )
    generator = generator_of(rng)
    with one_thread():
        problem, told = build_problem(
            table,
            variance=variance,
            likelihood=likelihood,
            terms=terms,
            margin=margin,
            method=method,
            options=options,
            rng=generator,
        )
        fit = _fit(problem, table, method, starts, generator, told, tick)
    _warn(fit)
    return fit


def build_problem(
    table: ExpressionTable,
    *,
    variance: str,
    likelihood: str,
    terms: frozenset[str] | None,
    margin: float | None,
    method: str,
    options: Mapping[str, Any],
    rng: np.random.Generator,
) -> tuple[Problem, dict[str, Any]]:
    """The problem, and what is told of how its noise was chosen."""
    base = table.model(likelihood=likelihood)
    diagnosis = _diagnosed(base)
    told: dict[str, Any] = {
        "variance": variance,
        "cautions": list(logarithms_told(base.pieces, base.known, table.facts.highest, base.scale, diagnosis)),
    }
    if terms is None:
        fixed = variance == "per_gene_block" or likelihood == "composite"  # the source note's noise
        terms = SETS["cell"] if fixed else _shown(base, diagnosis)
        told["notes"] = [f"The noise was chosen so: {' + '.join(_ordered(terms))}. {diagnosis.words}"]
    elif missed := _missed(terms, diagnosis):
        told["cautions"] += [f"{diagnosis.words} The noise has no term for that: see noise='full', or add {missed}."]
    told["noise"] = _ordered(terms)
    told["margin"] = within = chosen_margin(margin, terms, known=not np.isnan(base.known).any())
    if variance == "per_gene_block":
        from varmix.models.partition.block_problem import BlockProblem

        if terms != SETS["cell"] or within:
            raise OptionError(
                "variance='per_gene_block' has variances of cells and no other noise: leave noise and margin out."
            )
        _refuse_method(method, variance)
        return BlockProblem(base=base, **_only(options, ("max_iterations",), variance)), told
    if variance == "shared" and terms <= PLAIN and not within:
        named = next(name for name, kinds in SETS.items() if kinds == terms)
        return SharedProblem(base=replace(base, noise=named), options=climb_of(method, options, table.runner)), told
    model = f"variance='{variance}', noise {' + '.join(told['noise'])}" + f", margin {within:g}" * (within > 0.0)
    _refuse_method(method, model)
    return (
        NoiseProblem(
            base=base,
            terms=terms,
            margin=within,
            moderated=variance == "moderated",
            seed=int(rng.integers(2**32)),
            **_only(options, ("max_iterations",), model),
        ),
        told,
    )


def climb_of(method: str, options: Mapping[str, Any], runner: Runner | None) -> Climb:
    """The climb with its options. Raises OptionError for unknown ones."""
    known = tuple(sorted({item.name for item in fields(Climb)} - {"scheme", "runner"}))
    scheme = "newton" if method == "auto" else method
    return Climb(scheme=scheme, runner=runner or Serial(), **_only(options, known, f"method='{method}'"))


def _ordered(terms: frozenset[str]) -> list[str]:
    return [term for term in TERMS if term in terms]


def _missed(terms: frozenset[str], diagnosis: NoiseDiagnosis) -> str:
    """Terms that the data ask for and the noise has not."""
    asked = {"trend": diagnosis.grows, "misfit": diagnosis.misfits}
    return " and ".join(f"'{term}'" for term, wanted in asked.items() if wanted and term not in terms)


def _diagnosed(base: PartitionMixture) -> NoiseDiagnosis:
    return diagnose(base.pieces, None if np.isnan(base.known).any() else base.known)


def _shown(base: PartitionMixture, diagnosis: NoiseDiagnosis) -> frozenset[str]:
    return shown_terms(base.pieces, base.known, plain=diagnosis.plain)


def _fit(
    problem: Problem,
    table: ExpressionTable,
    method: str,
    starts: Any,
    rng: np.random.Generator,
    told: dict[str, Any],
    tick: Tick | None,
) -> Fit:
    free = bool(np.isnan(problem.base.known).any())
    base = problem.base
    quick = base.genes * len(base.partitions) <= QUICK and told["variance"] != "moderated"
    named = problem.starts(_count(starts, FREE_STARTS if free else STARTS if quick else 1), rng)
    found = fit_from(problem, named, rng, tick)
    if found.screened is not None:
        told |= {
            "screened_on": found.genes,
            "screened_starts": len(found.screened.runs),
            "screened_at_best": found.screened.reached_best,
        }
    told["cautions"] = [
        *problem.base.notes,
        *told.pop("cautions"),
        *problem.remarks(found.starts.best.params),
        *_alone(found.screened or found.starts, free=free),
    ]
    told["warnings"] = [*told["cautions"], *told.pop("notes", []), *table.notes]
    estimation = Estimation(method=method, starts=found.starts, kinds=found.kinds, notes=told)
    labels = Labels(
        genes=table.genes,
        sample_types=table.sample_types,
        samples=table.samples,
        sample_type=table.sample_type,
        sample=table.sample,
        values=table.values,
    )
    return Fit(PartitionMixtureReport(problem, estimation, labels))


def _alone(starts: Starts[Any, Any], *, free: bool) -> tuple[str, ...]:
    """Says that no second start confirms the best: where ends are many, the highest is seldom among the first."""
    count = len(starts.runs)
    if count == 1 or starts.reached_best > 1 or not starts.best.status.arrived:
        return ()
    best = starts.best.objective
    second = max(run.outcome.objective for run in starts.runs if not starts.at_best(run))
    told = (
        f"Of {count} starts 1 ended at the best optimum, and the next best {abs(best - second):.3g} from it: higher "
        f"ones may not have been found. Give more starts (starts={4 * count}) and compare fit.starts"
        f"{', or say more of the proportions' if free else ''}."
    )
    return (told,)


def _count(starts: Any, default: int) -> int:
    if starts is None:
        return default
    if not isinstance(starts, (int, np.integer)) or isinstance(starts, bool) or starts < 1:
        raise OptionError(f"starts={starts!r} must be a whole number of at least 1.")
    return int(starts)


def _only(options: Mapping[str, Any], known: Sequence[str], what: str) -> dict[str, Any]:
    for name in options:
        if name not in known:
            raise OptionError(f"'{name}' is not an option of {what}. It has: {', '.join(known)}.")
    return dict(options)


def _refuse_method(method: str, what: str) -> None:
    if method != "auto":
        raise OptionError(
            f"method={method!r} is for variance='shared' with noise of cells and measurement alone; with {what} there "
            "is one method. Leave it out."
        )


def _check_choices(variance: Any, likelihood: Any, method: Any) -> None:
    if variance not in VARIANCES:
        raise OptionError(f"variance={variance!r} is not known. Use one of {', '.join(VARIANCES)}.")
    if likelihood not in ("joint", "composite"):
        raise OptionError(f"likelihood={likelihood!r} is not known. Use 'joint' or 'composite'.")
    if method not in ("auto", *SCHEMES):
        raise OptionError(f"method={method!r} is not known. Use 'auto' or one of {', '.join(SCHEMES)}.")


def _announce(sentence: str) -> None:
    """Before many partitions are enumerated."""
    warn(sentence, VarmixWarning)


def _warn(fit: Fit) -> None:
    if not fit.status.arrived:
        warn(f"{fit.status.name}: {fit.facts['advice']}", ConvergenceWarning)
    for note in fit.facts["cautions"]:
        warn(note, VarmixWarning)
