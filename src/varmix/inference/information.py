"""Covariance of estimates from an information matrix, with parameters held at a boundary left out."""

from __future__ import annotations

import numpy as np

from varmix.typing import Mask, Square, Vector

SINGULAR = 1e-12
"""A scaled information matrix whose smallest eigenvalue is below this share of the largest does not identify all
parameters: their standard errors are infinite, not huge."""


def covariance_from_information(information: Square, free: Mask) -> Square:
    """Inverse information of the free parameters, shape (k, k), NaN in the rows and columns of the others.

    Parameters that the data cannot tell apart get infinite variance.
    """
    count = len(free)
    covariance = np.full((count, count), np.nan)
    index = np.flatnonzero(free)
    if not index.size:
        return covariance
    inner = information[np.ix_(index, index)]
    diagonal = inner.diagonal()
    if not (np.isfinite(inner).all() and (diagonal > 0.0).all()):
        covariance[np.ix_(index, index)] = np.inf
        return covariance
    scale = 1.0 / np.sqrt(diagonal)
    eigenvalues, basis = np.linalg.eigh(inner * np.outer(scale, scale))
    if eigenvalues[0] > SINGULAR * eigenvalues[-1]:
        inverse = (basis / eigenvalues) @ basis.T * np.outer(scale, scale)
        covariance[np.ix_(index, index)] = inverse
        return covariance
    keep = eigenvalues > SINGULAR * eigenvalues[-1]
    inverse = (basis[:, keep] / eigenvalues[keep]) @ basis[:, keep].T * np.outer(scale, scale)
    lost = (basis[:, ~keep] ** 2).sum(axis=1) > SINGULAR
    inverse[lost, :] = inverse[:, lost] = np.nan
    inverse[lost, lost] = np.inf
    covariance[np.ix_(index, index)] = inverse
    return covariance


def standard_errors(covariance: Square) -> Vector:
    """Square roots of the diagonal; NaN where a variance is NaN or negative."""
    diagonal = covariance.diagonal()
    return np.sqrt(np.where(diagonal >= 0.0, diagonal, np.nan))
