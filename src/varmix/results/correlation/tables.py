"""Tables of a genetic correlation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from varmix.inference.wald import LEVEL, wald_interval
from varmix.models.linear.correlation.estimates import EDGE, GeneticCorrelation
from varmix.results.correlation.responses import CORRELATION, PairedResponses


def components_table(
    responses: PairedResponses, found: GeneticCorrelation, *, bounded: bool, level: float = LEVEL
) -> pd.DataFrame:
    """One row per variance or covariance, residuals last, with Wald intervals.

    Away from an optimum there are no intervals. `bounded`: variances and their intervals do not go below 0. `response`
    names the response or the two.
    """
    kinds = responses.kinds()
    variance = np.array([kind == "variance" for kind in kinds])
    estimate, error = found.estimates, found.standard_errors
    lower, upper = wald_interval(estimate, error, level=level)
    if bounded:
        lower = np.where(variance, np.maximum(lower, 0.0), lower)
    if not found.status.arrived:
        lower, upper = np.full((2, len(kinds)), np.nan)
    edge = np.where(variance, estimate == 0.0, False)
    if bounded:
        edge[2] = math.isnan(found.rho) or abs(found.rho) >= 1.0 - EDGE
    return pd.DataFrame(
        {
            "term": list(responses.terms),
            "name": kinds,
            "group": [term.partition("_")[0] for term in responses.terms],
            "response": responses.of_terms(),
            "estimate": estimate,
            "sd": np.sqrt(np.where(variance & (estimate >= 0.0), estimate, np.nan)),
            "se": error,
            "lower": lower,
            "upper": upper,
            "interval": "wald" if found.status.arrived else "none",
            "on_boundary": edge.astype(bool),
        }
    )


def correlation_table(
    rho: float, error: float, ends: tuple[float, float], kind: str, *, on_boundary: bool
) -> pd.DataFrame:
    """One row."""
    row = {
        "term": CORRELATION,
        "estimate": rho,
        "se": error,
        "lower": ends[0],
        "upper": ends[1],
        "interval": kind,
        "on_boundary": on_boundary,
    }
    return pd.DataFrame([row])
