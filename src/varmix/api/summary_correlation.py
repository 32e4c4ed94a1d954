"""`genetic_correlation_from_summaries`: the z scores of two studies in, Fit out [VC-8]."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from varmix.api.panel import panel_of
from varmix.errors import AlignmentError, OptionError
from varmix.models.linear.correlation.alleles import check_scores, match_studies
from varmix.models.linear.correlation.summary import Intercept, correlate_summaries
from varmix.results.correlation.summaries import SummaryCorrelationReport
from varmix.results.fit import Fit
from varmix.typing import Array, Vector

BLOCKS = 200
"""Blocks of the jackknife: the relative error of its standard errors is 1 / sqrt(2 x 199), 5 %."""


def genetic_correlation_from_summaries(
    study1: Array | pd.DataFrame,
    study2: Array | pd.DataFrame,
    ld: Any,
    *,
    n1: float | Vector | None = None,
    n2: float | Vector | None = None,
    intercept: Intercept = 1.0,
    cross_intercept: Intercept = 0.0,
    blocks: int = BLOCKS,
    drop_ambiguous: bool = True,
) -> Fit:
    """Correlation of effects from the z scores of two studies, without individual data [VC-8].

    Studies are two vectors of z scores (p,) with sample sizes n1 and n2 (numbers or vectors), or two tables with
    columns id, a1, a2, z, n (a1 is the allele that z counts). `ld` is a panel of genotypes in the order of the vectors
    (an array, data frame or source for both studies, or a tuple of one for each), or LD scores (p,). Tables are joined
    by id, alleles turned where exchanged, and found in the panel by id; with `drop_ambiguous` A/T and C/G variants are
    left out. `cross_intercept` is what people in both studies add to the mean of z_1 z_2: 0 without,
    `n_shared r / sqrt(n_1 n_2)` with r the correlation of the responses, or "estimate", which asks for LD scores that
    vary. Errors are a jackknife's over `blocks` blocks of neighbours.

    Raises ShapeError, NotFiniteError, AlignmentError, OptionError, NotIdentifiedError.
    """
    _check_intercept(intercept, "intercept")
    _check_intercept(cross_intercept, "cross_intercept")
    panel = panel_of(ld)
    scores = panel.scores
    counts: dict[str, int] = {}
    z1: Any
    z2: Any
    if isinstance(study1, pd.DataFrame) and isinstance(study2, pd.DataFrame):
        matched = match_studies(study1, study2, drop_ambiguous=drop_ambiguous)
        counts |= matched.counts
        place = panel.places(matched.ids)
        inside = place >= 0
        counts["not in the panel"] = int((~inside).sum())
        order = np.argsort(place[inside], kind="stable")
        keep = np.flatnonzero(inside)[order]
        scores = scores.taken(place[keep])
        z1, z2, n1, n2 = matched.z1[keep], matched.z2[keep], matched.n1[keep], matched.n2[keep]
    elif isinstance(study1, pd.DataFrame) or isinstance(study2, pd.DataFrame):
        raise AlignmentError(
            "One study is a table and the other is not, so they cannot be matched. Give two of a kind."
        )
    else:
        z1, z2, n1, n2 = (panel.taken(part) for part in (study1, study2, n1, n2))
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
