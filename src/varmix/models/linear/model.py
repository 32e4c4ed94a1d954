"""The probability statement of variance components: data, kernels, criterion; no estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from varmix.errors import DataError
from varmix.formula.design import Design
from varmix.genotype.design import StandardisedDesign
from varmix.marginal.piece import Piece, Structure, Units
from varmix.models.linear.statistics import Criterion
from varmix.tables.labels import Labels
from varmix.typing import Vector

ABSORBED = 1e-13
"""Share of a response that rounding leaves outside the covariates when it lies in their span."""
RESIDUAL = "residual"
"""Name of the last component."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Term:
    """One kernel of the model: a standardised design, or a matrix given as such."""

    name: str
    kind: Literal["design", "kernel"]
    design: StandardisedDesign | None
    """None for a kernel."""
    training: Labels | None = None
    """What the columns of K(new, training) are called in their order; None for a design."""
    id_column: str | None = None
    """Column that names people in every table, new ones too, beside columns FID and IID."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VarianceComponents:
    """`y ~ N(Zw, sum_k s_k K_k + s_e I)` [VC-1], with the kernels reduced and the response rotated."""

    design: Design
    terms: tuple[Term, ...]
    structure: Structure
    criterion: Criterion
    piece: Piece
    units: Units

    @classmethod
    def of(
        cls, design: Design, terms: tuple[Term, ...], structure: Structure, criterion: Criterion
    ) -> VarianceComponents:
        """Rotate the response of `design` into the structure's coordinates.

        Raises DataError for a response within the span of the covariates.
        """
        piece, units = structure.piece(design.y)
        largest = float(np.abs(design.y).max())
        outside = float(np.linalg.norm(piece.y)) * (units.response / largest)
        if outside <= ABSORBED * float(np.linalg.norm(design.y / largest)):
            raise DataError(
                f"Response '{design.response_names[0]}' is a combination of the covariates to rounding, so no variance "
                "is left to divide. Check whether it, or a copy of it, is among them."
            )
        return cls(design=design, terms=terms, structure=structure, criterion=criterion, piece=piece, units=units)

    @property
    def names(self) -> tuple[str, ...]:
        """Components in order, residual last."""
        return (*(term.name for term in self.terms), RESIDUAL)

    @property
    def errors(self) -> int:
        """Rows that carry a residual under the criterion: n - c for REML, n for ML."""
        return self.design.n - (self.design.c if self.criterion == "reml" else 0)

    @property
    def traces(self) -> Vector:
        """`tr(M K_k)` and n - c, in internal units [VC-9]."""
        return np.append(
            self.structure.projected_traces / self.structure.kernel_units, float(self.design.n - self.design.c)
        )

    def log_likelihood_outward(self, log_likelihood: float) -> float:
        """A log-likelihood of the internal units as one of the data."""
        return log_likelihood - self.errors * float(np.log(self.units.response))
