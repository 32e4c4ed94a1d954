"""Where noise that differs between genes and types is climbed from, and starts for free proportions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from scipy.optimize import nnls

from varmix.errors import NotIdentifiedError
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import Noise
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.trend import Trend, replicate_trend
from varmix.typing import Matrix

MISFIT, SCATTER = 0.1, 0.05
"""Shares of the mean that lack of fit and scatter start at: both are sought from small to large, since points where
they explain everything attract climbs that start there."""

SOFTENED = 0.02
"""Weight of equal shares that is mixed in, so that no proportion starts at 0."""


def noise_start(
    pieces: Sequence[Genes], partitions: Partitions, proportions: Matrix, *, spread: float = 0.0
) -> HeteroscedasticParams:
    """Moments of the types' means, the trend of the replicates, small lack of fit and scatter, equal shares.

    Raises OptionError where no mean is above 0: there are then no levels that noise could grow with.
    """
    means = np.concatenate([piece.means.ravel() for piece in pieces])
    trend = Trend.of(pieces)
    unit = trend.reference**2
    lack = Noise(misfit_proportional=MISFIT**2 * unit, scatter_proportional=SCATTER**2 * unit, misfit=1e-4 * unit)
    noise = replicate_trend(pieces, trend, lack)
    if noise == lack:  # no replicates: all error is lack of fit
        noise = replace(lack, measurement=1e-4 * unit)
    return HeteroscedasticParams(
        mean=float(means.mean()),
        between=float(means.var()),
        noise=noise,
        trend=trend,
        shares=np.full(len(partitions), 1.0 / len(partitions)),
        proportions=proportions,
        spread=spread,
    )


def vertex_start(pieces: Sequence[Genes], trend: Trend, cell_types: int, types: int, rng: Generator) -> Matrix:
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
    scaled = means / np.sqrt(1.0 + trend.levels(means).mean(axis=1, keepdims=True) ** 2) / trend.reference
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
