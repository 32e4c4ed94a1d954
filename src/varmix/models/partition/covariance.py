"""A quadratic at the optimum: the covariance of all estimates, and how far those at an edge may be from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.partition.reduced import Reduced
from varmix.typing import Mask, Square, Vector

FLAT = 1e-9
"""Scaled eigenvalues of an information up to which it does not tell parameters apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quadratic:
    """The log-likelihood near an optimum: `gradient` (k,) and observed `information` (k, k) in the moving coordinates
    of `frame`; eigenvalues of the scaled information up to `flat` tell nothing."""

    frame: Reduced
    gradient: Vector
    information: Square
    flat: float = FLAT

    def reach(self, drop: float) -> Vector:
        """How far from 0, or for the largest entry of a simplex from 1, a coordinate can be until the maximum over all
        else has fallen by `drop`, (K,); NaN for coordinates away from an edge.

        With slope g <= 0 and curvature I, others maximised out, that is `(g + sqrt(g^2 + 2 I drop)) / I`.
        """
        frame, reach = self.frame, np.full(len(self.frame.directions), np.nan)
        inside = np.flatnonzero(~frame.bounded | (frame.values > 0.0))
        inner = self.information[np.ix_(inside, inside)]
        if not (np.isfinite(self.information).all() and np.isfinite(self.gradient).all()):
            return reach
        for c in np.flatnonzero(frame.bounded & (frame.values == 0.0)):
            pulled = np.linalg.lstsq(inner, self.information[inside, c], rcond=None)[0]
            slope = min(float(self.gradient[c] - pulled @ self.gradient[inside]), 0.0)
            curvature = float(self.information[c, c] - pulled @ self.information[inside, c])
            root = np.sqrt(max(slope**2 + 2.0 * max(curvature, 0.0) * drop, 0.0))
            if root - slope > 0.0:
                reach[frame.moving[c]] = 2.0 * drop / (root - slope)
        for reference in frame.references:
            others = frame.moving[frame.directions[reference, :] < 0.0]
            values = frame.values[np.isin(frame.moving, others)]
            if others.size and not values.any():
                reach[reference] = np.nanmax(np.append(reach[others], -np.inf))
        return np.where(np.isfinite(reach), reach, np.nan)


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
