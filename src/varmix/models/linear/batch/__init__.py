"""Many responses that share a kernel, fitted as one batch [VC-7]."""

from __future__ import annotations

from varmix.models.linear.batch.fit import fit_batch
from varmix.models.linear.batch.outcome import Unfitted
from varmix.models.linear.batch.patterns import SharedKernels, fit_patterns
from varmix.models.linear.batch.result import BatchFit
from varmix.models.linear.batch.table import batch_table

__all__ = ["BatchFit", "SharedKernels", "Unfitted", "batch_table", "fit_batch", "fit_patterns"]
