"""Estimates of many responses, one row each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from varmix.iteration import Status
from varmix.models.linear.batch.outcome import Unfitted
from varmix.typing import Index, Mask, Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFit:
    """Estimates of r responses in the units of the data; rows of NaN where `status` is an `Unfitted`."""

    variances: Matrix
    """Of the kernels, residual last, shape (r, K)."""
    variances_se: Matrix
    """From the expected information [VC-4], shape (r, K)."""
    proportions: Matrix
    """Of variance, one per kernel [VC-9], shape (r, K - 1)."""
    proportions_se: Matrix
    """By the delta method, shape (r, K - 1)."""
    total: Vector
    """Variance per row outside the covariates: `sum s_k tr(M K_k) / (n - c) + s_e`, shape (r,)."""
    log_likelihood: Vector
    null_log_likelihood: Vector
    """With the residual alone."""
    fixed: Matrix
    """Fixed effects, shape (r, c)."""
    fixed_se: Matrix
    iterations: NDArray[np.int64]
    """Evaluations of the likelihood's derivatives after the start."""
    decrement: Vector
    """Distance to the optimum in standard errors [NEWTON-1]."""
    status: NDArray[np.object_]
    """A `Status` or an `Unfitted` per response."""
    rows: NDArray[np.int64]
    """Rows used."""

    @classmethod
    def blank(cls, count: int, components: int, columns: int, *, rows: int, why: Status | Unfitted) -> BatchFit:
        """Rows of NaN that say why, to be filled where there are estimates."""

        def nothing(*width: int) -> NDArray[np.float64]:
            return np.full((count, *width), math.nan)

        return cls(
            variances=nothing(components),
            variances_se=nothing(components),
            proportions=nothing(components - 1),
            proportions_se=nothing(components - 1),
            total=nothing(),
            log_likelihood=nothing(),
            null_log_likelihood=nothing(),
            fixed=nothing(columns),
            fixed_se=nothing(columns),
            iterations=np.zeros(count, dtype=np.int64),
            decrement=nothing(),
            status=np.full(count, why, dtype=np.object_),
            rows=np.full(count, rows, dtype=np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence[BatchFit]) -> BatchFit:
        """Several batches after one another."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def part(self, which: Mask) -> BatchFit:
        """Some responses."""
        return BatchFit(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def put_into(self, whole: BatchFit, responses: Index, columns: Index) -> None:
        """Write these rows into rows `responses` of `whole`, with the fixed effects in its `columns`."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(whole, field.name)
            if field.name in ("fixed", "fixed_se"):
                theirs[np.ix_(responses, columns)] = mine
            else:
                theirs[responses] = mine
