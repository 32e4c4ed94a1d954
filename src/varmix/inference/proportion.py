"""Proportions of a total and their delta-method covariance."""

from __future__ import annotations

import numpy as np

from varmix.typing import Square, Vector


def proportions(variances: Vector, traces: Vector) -> Vector:
    """`h_k = s_k t_k / sum_l s_l t_l`, shape (K,) [VC-9]."""
    parts = variances * traces
    total = parts.sum()
    return np.asarray(parts / total) if total != 0.0 else np.full_like(parts, np.nan)


def proportion_gradient(variances: Vector, traces: Vector) -> Square:
    """`dh_k/ds_l`, shape (K, K) [VC-9]."""
    total = float((variances * traces).sum())
    share = proportions(variances, traces)
    return np.asarray((np.diag(traces) - np.outer(share, traces)) / total)


def proportion_covariance(variances: Vector, traces: Vector, covariance: Square) -> Square:
    """Delta-method covariance of the proportions; variances at a boundary (NaN in `covariance`) count as known."""
    known = np.isnan(covariance.diagonal())
    inner = np.where(known[:, None] | known[None, :], 0.0, covariance)
    gradient = proportion_gradient(variances, traces)
    if np.isinf(inner).any():
        touched = (np.abs(gradient) > 0.0) @ np.isinf(inner.diagonal())
        finite = gradient @ np.where(np.isfinite(inner), inner, 0.0) @ gradient.T
        finite[touched > 0, :] = finite[:, touched > 0] = np.inf
        return np.asarray(finite)
    return np.asarray(gradient @ inner @ gradient.T)
