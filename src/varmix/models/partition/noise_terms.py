"""Which terms the noise has: those that were asked for, or those that the data show [PART-5]."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Real
from typing import Any

import numpy as np

from varmix.errors import OptionError
from varmix.models.partition.genes import Genes
from varmix.typing import Matrix

TERMS = ("cell", "measurement", "trend", "misfit", "scatter")
"""Cells and measurement are the same for all genes; the others grow with expression."""

SAMPLED = frozenset({"cell", "measurement", "trend"})
"""Terms by which samples of a type differ: without any of them replicates would have to be equal."""

SETS: dict[str, frozenset[str]] = {
    "cell": frozenset({"cell"}),
    "measurement": frozenset({"measurement"}),
    "both": frozenset({"cell", "measurement"}),
    "full": frozenset({"measurement", "trend", "misfit"}),
}
"""Noise by name. "full" leaves cells out: what they add is hardly told from the trend. And scatter, which would take
the place of partitions where block means are not normal: see `MARGIN`."""

MARGIN = 0.05
"""Share of a gene's highest level by which cell types of a block may differ, where noise grows with the level.

No two cell types express a gene exactly alike: the more samples, the more genes would have all types in blocks of their
own. What counts as alike is for the user to say and not for the likelihood: estimated, this scatter can have its
maximum where cell types that differ a lot are said to share."""

PLAIN = SETS["both"]
"""Terms that are the same for all genes."""

AS_MIXED = 0.02
"""Relative range of `sum_t p_t^2` over sample types below which noise of cells is that of measurement."""


def chosen_terms(noise: Any) -> frozenset[str] | None:
    """Terms that an option names, None for "auto". Raises OptionError."""
    known = f"Use 'auto', {', '.join(map(repr, SETS))}, or a list of {', '.join(TERMS)}."
    if isinstance(noise, str):
        if noise == "auto":
            return None
        if noise in SETS:
            return SETS[noise]
        if noise not in TERMS:
            raise OptionError(f"noise={noise!r} is not known. {known}")
        return frozenset({noise})
    if not isinstance(noise, Collection) or not noise:
        raise OptionError(f"noise={noise!r} is not known. {known}")
    if unknown := [term for term in noise if term not in TERMS]:
        raise OptionError(f"noise has the term {unknown[0]!r}, which is not known. {known}")
    terms = frozenset(noise)
    if not terms & SAMPLED:
        raise OptionError(f"noise={noise!r} leaves replicates without variance. Add 'cell', 'measurement' or 'trend'.")
    return terms


def chosen_margin(margin: Any, terms: frozenset[str], *, known: bool) -> float:
    """The margin where none is given: `MARGIN` if noise has a trend, all proportions are `known` and scatter is not
    estimated, else 0. With unknown proportions types that differ by the margin would be taken for other proportions.

    Raises OptionError for one that is no number from 0 to below 1, or with estimated scatter.
    """
    if margin is None:
        return MARGIN if known and "trend" in terms and "scatter" not in terms else 0.0
    if isinstance(margin, bool) or not isinstance(margin, Real) or not 0.0 <= float(margin) < 1.0:
        raise OptionError(f"margin={margin!r} must be a share of the level from 0 to below 1, for instance 0.05.")
    if margin and "scatter" in terms:
        raise OptionError("noise has the term 'scatter', which is an estimated margin: leave one of the two out.")
    return float(margin)


def shown_terms(pieces: tuple[Genes, ...], known: Matrix, *, plain: bool) -> frozenset[str]:
    """Terms for "auto": where the noise is `plain`, cells and measurement as far as samples are mixed differently; else
    all that grows with expression, without lack of fit where nothing tells it from noise or from partitions."""
    replicated = any(bool((piece.counts > 1.0).any()) for piece in pieces)
    free = bool(np.isnan(known).any())
    if not plain:
        dimensions = known.shape[1] if free else int(np.linalg.matrix_rank(known))
        told = replicated and len(known) > dimensions
        return SETS["full"] if told else SETS["full"] - {"misfit"}
    if free:
        return SETS["both"] if replicated else SETS["cell"]
    squares = (known**2).sum(axis=1)
    return SETS["cell"] if np.ptp(squares) <= AS_MIXED * squares.max() else SETS["both"]
