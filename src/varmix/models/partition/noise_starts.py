"""Where noise that differs between genes and types is climbed from, and starts for free proportions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from scipy.optimize import nnls

from varmix.errors import NotIdentifiedError, OptionError
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import Noise
from varmix.models.partition.noise_terms import SAMPLED, SETS, TERMS
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.trend import Trend, replicate_trend
from varmix.typing import Matrix, Vector

MISFIT, SCATTER = 0.1, 0.05
"""Shares of the mean, or where noise has no trend of the sd of means, that lack of fit and scatter start at: both are
sought from small to large, since points where they explain everything attract climbs that start there."""

UNREPLICATED = 0.1
"""Share of the mean (of the variance of means where noise has no trend) that is noise where no type has replicates."""

LEAST = 1e-3
"""Share of the variance within types that each of its terms starts at: less, and it is slow to grow."""

LITTLE = 1e-4
"""Constant terms beside those that grow, as shares of the variance at the reference level."""

SOFTENED = 0.02
"""Weight of equal shares that is mixed in, so that no proportion starts at 0."""


def noise_start(
    pieces: Sequence[Genes],
    partitions: Partitions,
    proportions: Matrix,
    *,
    spread: float = 0.0,
    terms: frozenset[str] = SETS["full"],
    margin: float = 0.0,
) -> HeteroscedasticParams:
    """Moments of the types' means, noise of the replicates, small lack of fit and scatter, equal shares.

    `terms` are among "cell", "measurement", "trend", "misfit" and "scatter"; what they have no part in is exactly 0.
    With "trend", lack of fit and scatter grow with expression; without it they do not, and levels are never looked at:
    values may be negative. `margin` is the share of a gene's highest level that its cell types scatter by, for good:
    `free_names` leaves it where it is. Raises OptionError for terms that are unknown or leave samples without error,
    for "trend" or a margin where no mean is above 0, and for "misfit" where no type has two samples.
    """
    _check_terms(pieces, terms)
    means = np.concatenate([piece.means.ravel() for piece in pieces])
    between = float(means.var())
    if "trend" in terms or margin:
        trend = Trend.of(pieces)
    else:
        trend = Trend(reference=math.sqrt(between) if between > 0.0 else 1.0)
    if "trend" in terms:
        noise = _growing(pieces, trend, terms, trend.reference**2)
    else:
        noise = _constant(pieces, terms, trend.reference**2)
    if margin:
        noise = replace(noise, scatter_proportional=(margin * trend.reference) ** 2)
    noise = replace(noise, **_additive(noise.measurement, terms, _loads(pieces, proportions)))
    return HeteroscedasticParams(
        mean=float(means.mean()),
        between=between,
        noise=noise,
        trend=trend,
        shares=np.full(len(partitions), 1.0 / len(partitions)),
        proportions=proportions,
        spread=spread,
    )


def free_names(terms: frozenset[str], *, moderated: bool) -> frozenset[str]:
    """What climbs from `noise_start` with these terms, proportions aside; `moderated` frees the spread of scales.

    Lack of fit grows as the square of the level throughout, and scatter has a term that grows or a constant one, not
    both: neither exponent nor second term is told by the data.
    """
    growing = "trend" in terms
    names = {"mean", "between", "shares"} | (terms & {"cell", "measurement"})
    names |= {"proportional", "exponent"} if growing else set()
    if "misfit" in terms:
        names |= {"misfit", "misfit_proportional"} if growing else {"misfit"}
    if "scatter" in terms:
        names.add("scatter_proportional" if growing else "scatter")
    return frozenset(names | ({"spread"} if moderated else set()))


def _check_terms(pieces: Sequence[Genes], terms: frozenset[str]) -> None:
    if unknown := terms - set(TERMS):
        raise OptionError(f"{', '.join(sorted(unknown))} is no term of noise. Use some of {', '.join(TERMS)}.")
    if not terms & SAMPLED:
        raise OptionError("Samples of a type would have no error. Add 'cell', 'measurement' or 'trend' to the noise.")
    if "misfit" in terms and not any((piece.counts > 1.0).any() for piece in pieces):
        raise OptionError(
            "No sample type has two samples: lack of fit, which replicates share, cannot be told from noise, which "
            "they do not. Leave 'misfit' out, or name replicates as samples of one type."
        )


def _growing(pieces: Sequence[Genes], trend: Trend, terms: frozenset[str], unit: float) -> Noise:
    """Error that grows with expression: its constant part is all under `measurement`."""
    lack = Noise(
        misfit_proportional=MISFIT**2 * unit if "misfit" in terms else 0.0,
        misfit=LITTLE * unit if "misfit" in terms else 0.0,
        scatter_proportional=SCATTER**2 * unit if "scatter" in terms else 0.0,
    )
    additive = bool(terms & {"cell", "measurement"})
    noise = replicate_trend(pieces, trend, lack, floor=additive)
    if noise == lack:
        noise = replace(lack, measurement=LITTLE * unit * additive, proportional=UNREPLICATED**2 * unit)
    least = LEAST * (noise.measurement + noise.proportional)
    return replace(
        noise, measurement=max(noise.measurement, least) * additive, proportional=max(noise.proportional, least)
    )


def _constant(pieces: Sequence[Genes], terms: frozenset[str], unit: float) -> Noise:
    """Error that is the same for all genes, all under `measurement`."""
    freedom = sum(len(piece) * float((piece.counts - 1.0).sum()) for piece in pieces)
    within = sum(float(piece.within.sum()) for piece in pieces)
    return Noise(
        measurement=within / freedom if within > 0.0 else UNREPLICATED * unit,
        misfit=MISFIT**2 * unit if "misfit" in terms else 0.0,
        scatter=SCATTER**2 * unit if "scatter" in terms else 0.0,
    )


def _additive(variance: float, terms: frozenset[str], loads: float) -> dict[str, float]:
    """A constant error variance shared between cells and measurement, as far as both are there."""
    found = terms & {"cell", "measurement"}
    part = variance / max(len(found), 1)
    return {"cell": part / loads if "cell" in found else 0.0, "measurement": part if "measurement" in found else 0.0}


def _loads(pieces: Sequence[Genes], proportions: Matrix) -> float:
    """Mean of `sum_t p_t^2` over the sample types that are seen."""
    squares: Vector = (proportions**2).sum(axis=1)
    return float(np.concatenate([squares[piece.types] for piece in pieces]).mean())


def vertex_start(pieces: Sequence[Genes], cell_types: int, types: int, rng: Generator) -> Matrix:
    """Proportions (`types`, `cell_types`) from sample types drawn as vertices, likelier the further from those before.

    Genes weigh by the inverse of their level, so that none rules by being expressed more. Raises NotIdentifiedError
    where genes seen in all sample types are missing or there are fewer sample types than cell types [PART-7].
    """
    complete = [piece for piece in pieces if len(piece.types) == types]
    if not complete or types < cell_types:
        raise NotIdentifiedError(
            f"Proportions of {cell_types} cell types in {types} sample types cannot be started from the data: this "
            "needs genes that are seen in every sample type, and as many sample types as cell types. Give proportions."
        )
    means = np.concatenate([piece.means for piece in complete])
    size = float(np.median(np.abs(means))) or 1.0
    scaled = means / np.sqrt(size**2 + np.abs(means).mean(axis=1, keepdims=True) ** 2)
    chosen = [int(rng.integers(types))]
    while len(chosen) < cell_types:
        spanned = np.linalg.qr(scaled[:, chosen[1:]] - scaled[:, chosen[:1]])[0] if len(chosen) > 1 else None
        away = scaled - scaled[:, chosen[:1]]
        if spanned is not None:
            away = away - spanned @ (spanned.T @ away)
        distance = (away * away).sum(axis=0)
        distance[chosen] = 0.0
        total = distance.sum()
        weight = distance / total if total > 0.0 else np.ones(types) / types
        chosen.append(int(rng.choice(types, p=weight)))
    shares = np.stack([nnls(scaled[:, chosen], scaled[:, s])[0] for s in range(types)])
    total = shares.sum(axis=1, keepdims=True)
    shares = np.where(total > 0.0, shares / np.where(total > 0.0, total, 1.0), 1.0 / cell_types)
    return np.asarray((1.0 - SOFTENED) * shares + SOFTENED / cell_types)
