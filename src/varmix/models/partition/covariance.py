"""Covariance of estimates in all coordinates, from an information matrix in those that move."""

from __future__ import annotations

import numpy as np

from varmix.models.partition.reduced import Reduced
from varmix.typing import Mask, Square, Vector

FLAT = 1e-9
"""Scaled eigenvalues of an information up to which it does not tell parameters apart."""


def covariance_of(frame: Reduced, information: Square, middle: Square | None = None, *, flat: float = FLAT) -> Square:
    """Shape (K, K), from the observed information (k, k) in the moving coordinates of `frame`.

    With `middle` J, the sandwich `I^-1 J I^-1` [PART-6]. NaN for what is held or at 0 (a quadratic does not describe
    it), infinite variances for what the data do not tell apart.
    """
    inside = np.flatnonzero(~frame.bounded | (frame.values > 0.0))
    directions = frame.directions[:, inside]
    full = np.full((len(directions),) * 2, np.nan)
    told = np.flatnonzero(directions.any(axis=1))
    inner = information[np.ix_(inside, inside)]
    if not told.size:
        return full
    if not np.isfinite(inner).all():
        full[told, told] = np.inf
        return full
    scale = 1.0 / np.sqrt(np.maximum(np.abs(inner.diagonal()), np.finfo(float).tiny))
    eigenvalues, basis = np.linalg.eigh(inner * np.outer(scale, scale))
    keep = eigenvalues > flat
    inverse = (basis[:, keep] / eigenvalues[keep]) @ basis[:, keep].T * np.outer(scale, scale)
    if middle is not None:
        inverse = inverse @ middle[np.ix_(inside, inside)] @ inverse
    full[np.ix_(told, told)] = directions[told] @ inverse @ directions[told].T
    lost = told[_lost(directions[told] * scale, basis, keep, flat)]
    full[lost, :] = full[:, lost] = np.nan
    full[lost, lost] = np.inf
    return full


def _lost(rows: Square, basis: Square, keep: Mask, flat: float) -> Mask:
    """Rows that lean on directions the data do not tell."""
    parts: Vector = (rows @ basis) ** 2
    return np.asarray(parts[:, ~keep].sum(axis=1) > flat * parts.sum(axis=1))
