"""Numbers at the estimate that several tables share, each computed once."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, get_args

import numpy as np

from varmix.errors import NotAvailableError, OptionError
from varmix.inference.information import covariance_from_information
from varmix.models.linear.fixed_block import FixedEffects, fixed_effects
from varmix.models.linear.model import VarianceComponents
from varmix.models.linear.statistics import LinearStats, summarise_linear
from varmix.typing import Square, Vector

Information = Literal["expected", "observed", "average"]
NEXT_TO_NOTHING = 1e-9
"""Share of the variances below which a residual one may be within the rounding of a million rows."""


class Estimates:
    """Information, covariance and fixed effects at theta (internal units, shape (K,))."""

    def __init__(self, model: VarianceComponents, variances: Vector, *, covariance: Square | None = None) -> None:
        self.model = model
        self.variances = variances
        self._given_covariance = covariance

    @property
    def outward(self) -> Vector:
        """Factors from internal variances to those of the data, shape (K,)."""
        return self.model.units.outward(np.ones(len(self.variances)))

    @property
    def admissible(self) -> Vector:
        """The estimate, with negative moment estimates at 0: the point at which effects are predicted."""
        return np.maximum(self.variances, 0.0)

    @cached_property
    def stats(self) -> LinearStats:
        """Statistics with the expected information."""
        return summarise_linear(self.model.piece, self.variances, self.model.criterion, expected=True)

    def information(self, kind: Information = "expected") -> Square:
        """Information on the variances in internal units [VC-4]. Raises OptionError, NotAvailableError."""
        if kind not in get_args(Information):
            raise OptionError(f"information={kind!r} is not known. Use one of {', '.join(get_args(Information))}.")
        expected = self.stats.expected_information
        if expected is None:
            raise NotAvailableError("V is not positive definite at this estimate, so it has no information matrix.")
        if kind == "expected":
            return expected
        average = self.stats.average_information
        return average if kind == "average" else np.asarray(2.0 * average - expected)

    def covariance(self, kind: Information = "expected") -> Square:
        """Covariance of the variances in internal units; NaN for those at 0."""
        if self._given_covariance is not None:
            return self._given_covariance
        return covariance_from_information(self.information(kind), self.variances > 0.0)

    @cached_property
    def fixed(self) -> FixedEffects:
        """Fixed effects and `P y` in the system's coordinates, internal units."""
        result = fixed_effects(self.model.piece, self.admissible)
        if result is None:
            raise NotAvailableError(
                "V is not positive definite at this estimate (the residual variance is 0 and the kernels have not full "
                "rank, or a kernel has negative eigenvalues), so there are no fixed effects. Fit by method='newton'."
            )
        return result

    @cached_property
    def without_errors(self) -> tuple[str, ...]:
        """Names of the coefficients whose covariance is singular within rounding.

        It is at least s_e in every direction: only where s_e is next to nothing is it looked at.
        """
        if self.admissible[-1] > NEXT_TO_NOTHING * self.admissible.sum():
            return ()
        try:
            unknown = np.isnan(self.fixed.covariance.diagonal())
        except NotAvailableError:
            return ()
        return tuple(name for name, is_lost in zip(self.model.design.names, unknown, strict=True) if is_lost)
