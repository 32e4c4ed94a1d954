"""Why a response of a batch has no estimate. The text of each member is advice, not a code."""

from __future__ import annotations

from enum import Enum


class Unfitted(Enum):
    """Why a row of the table is NaN, with what to do about it."""

    ALL_MISSING = "Every value of this response is missing: drop the column."
    TOO_FEW_ROWS = "Fewer than c + 2 rows have a value, for c fixed effects: drop the response or some covariates."
    CONSTANT = "The covariates explain this response exactly (a constant does not vary): no variance is left to divide."
    NOT_IDENTIFIED = (
        "Among the rows of this response the kernel is zero or a multiple of the identity outside the covariates: its "
        "variance cannot be told from the residual's."
    )
    UNBOUNDED = (
        "The likelihood grows without bound as the residual variance goes to 0: the kernel explains the response "
        "exactly, or (ML) it has a covariate in its null space; use criterion='reml'."
    )

    @property
    def advice(self) -> str:
        """What the status means and what to do next."""
        return self.value

    @property
    def arrived(self) -> bool:
        """There is no estimate."""
        return False
