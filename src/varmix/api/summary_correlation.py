"""`genetic_correlation_from_summaries`: the z scores of two studies in, Fit out [VC-8]."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from varmix.api.panel import panel_of
from varmix.api.summary_vectors import join_vectors
from varmix.errors import AlignmentError, OptionError
from varmix.models.linear.correlation.alleles import check_scores, match_studies
from varmix.models.linear.correlation.summary import Intercept, correlate_summaries
from varmix.results.correlation.summaries import SummaryCorrelationReport
from varmix.results.fit import Fit
from varmix.tables.study_scores import is_study_table

BLOCKS = 200
"""Blocks of the jackknife: the relative error of its standard errors is 1 / sqrt(2 x 199), 5 %."""


def genetic_correlation_from_summaries(
    study1: Any,
    study2: Any,
    ld: Any,
    *,
    n1: Any = None,
    n2: Any = None,
    intercept: Intercept = 1.0,
    cross_intercept: Intercept = 0.0,
    blocks: int = BLOCKS,
    drop_ambiguous: bool = True,
) -> Fit:
    """Correlation of effects from the z scores of two studies, without individual data [VC-8].

    Studies are two vectors of z scores (p,) with sample sizes n1 and n2 (numbers or vectors), or two tables: data
    frames of any kind, or paths. Tables have columns id, a1, a2, z, n (a1 is the allele that z counts; also SNP, rsid,
    variant or marker, effect_allele, other_allele, in any case: LDSC's .sumstats files are read as they are), and
    without n they need n1, n2. `ld` is a panel of genotypes in the order of the vectors (an array, data frame or source
    for both studies, or a tuple of one for each), or LD scores (p,): a vector, a Series with ids as its index, or a
    table with columns SNP and L2. Tables are joined by id, as text, alleles turned where exchanged, and found in `ld`
    by id; a Series with ids as its index is found so too, and other vectors go by position. Rows of tables with a
    missing entry are dropped with a RepairWarning, and `fit.sample` counts what was lost; with `drop_ambiguous` A/T and
    C/G variants are left out. `cross_intercept` is what people in both studies add to the mean of z_1 z_2: 0 without,
    `n_shared r / sqrt(n_1 n_2)` with r the correlation of the responses, or "estimate", which asks for LD scores that
    vary. Errors are a jackknife's over `blocks` blocks of neighbours.

    Raises DataError (cells that are not numbers: study, column, row), ShapeError, NotFiniteError, AlignmentError,
    OptionError, NotIdentifiedError; for files MissingFileError and FileFormatError.
    """
    _check_intercept(intercept, "intercept")
    _check_intercept(cross_intercept, "cross_intercept")
    panel = panel_of(ld)
    tables = [is_study_table(study) for study in (study1, study2)]
    if all(tables):
        matched = match_studies(study1, study2, n1=n1, n2=n2, drop_ambiguous=drop_ambiguous)
        place = panel.places(matched.ids, "the studies")
        inside = place >= 0
        counts = {**matched.counts, "not in the panel": int((~inside).sum())}
        keep = np.flatnonzero(inside)
        keep = keep[np.argsort(place[keep], kind="stable")]
        scores = panel.scores.taken(place[keep])
        z1, z2, n1, n2 = matched.z1[keep], matched.z2[keep], matched.n1[keep], matched.n2[keep]
    elif any(tables):
        raise AlignmentError(
            "One study is a table and the other is not, so they cannot be matched: a vector has no alleles. Give two "
            "of a kind."
        )
    else:
        joined = join_vectors(panel, (study1, study2, n1, n2))
        (z1, z2, n1, n2), scores, counts = joined.values, joined.scores, joined.counts
    if n1 is None or n2 is None:
        raise OptionError("Sample sizes are missing: pass n1= and n2=, or tables with a column n.")
    length = scores.first.size
    z1, sizes1 = check_scores(z1, n1, length, "first")
    z2, sizes2 = check_scores(z2, n2, length, "second")
    counts |= {"variants used": length, "variants with effects": scores.variants, "blocks": min(blocks, length)}
    intercepts = (intercept, intercept, cross_intercept)
    found = correlate_summaries(z1, z2, sizes1, sizes2, scores, intercepts=intercepts, blocks=min(blocks, length))
    sample = pd.DataFrame({"what": "variants", "cause": list(counts), "count": list(counts.values())})
    fixed = tuple(value != "estimate" for value in intercepts)
    return Fit(SummaryCorrelationReport(found, (float(sizes1.mean()), float(sizes2.mean())), fixed, sample))


def _check_intercept(value: object, name: str) -> None:
    if value != "estimate" and not (isinstance(value, int | float) and np.isfinite(value)):
        raise OptionError(f"{name}={value!r} must be a number or 'estimate'.")
