"""Many responses that share a kernel, fitted as one batch [VC-7]."""

from __future__ import annotations

from varmix.models.linear.batch.fit import BatchFit, fit_batch
from varmix.models.linear.batch.outcome import Unfitted

__all__ = ["BatchFit", "Unfitted", "fit_batch"]
