"""The model: reduced data, the number of classes, and what is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.reduction import Reduction
from varmix.models.random_effect_mixture.units import Units
from varmix.typing import Mask, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RandomEffectMixture:
    """`y_g = b_g x_g + e_g` with b from `classes` normals [SLOPE-1].

    With `null` the first class has v_1 = 0. `residual` is the residual variance where it is known (with known standard
    errors: their inflation), in the units of the data; None where it is estimated.
    """

    reduction: Reduction
    classes: int
    null: bool = False
    residual: float | None = None
    pieces: tuple[Units, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates (v_1, ..., v_K, s, pi_1, ..., pi_K)."""
        numbers = range(1, self.classes + 1)
        return (*(f"v_{k}" for k in numbers), "s", *(f"pi_{k}" for k in numbers))

    @property
    def held(self) -> Mask:
        """Coordinates that are known, shape (2K + 1,)."""
        mask = np.zeros(2 * self.classes + 1, dtype=np.bool_)
        mask[0] = self.null
        mask[self.classes] = self.residual is not None
        mask[self.classes + 1 :] = self.classes == 1
        return mask

    @property
    def inner_residual(self) -> float | None:
        """The known residual variance in internal units."""
        return None if self.residual is None else self.residual / self.reduction.scales.residual

    @property
    def free_parameters(self) -> int:
        """Variances and shares that are estimated; the shares lose one to their sum."""
        mask = ~self.held
        return int(mask.sum()) - (1 if self.classes > 1 else 0)

    @property
    def total(self) -> float:
        """Sum of the weights of the informative units."""
        return sum(piece.total for piece in self.pieces)

    def point(self, params: MixtureParams) -> MixtureParams:
        """A point with what is known at its value and held (internal units); classes in order, the null class first."""
        params = params.ordered()
        variances = params.variances.copy()
        if self.null:
            variances[0] = 0.0
        known = self.inner_residual
        return replace(
            params, variances=variances, residual=params.residual if known is None else known, held=self.held
        )

    def point_of(self, variances: Vector, residual: float, shares: Vector) -> MixtureParams:
        """The same from values in the units of the data."""
        scales = self.reduction.scales
        return self.point(
            MixtureParams.free(np.asarray(variances) / scales.variance, residual / scales.residual, np.asarray(shares))
        )

    def log_likelihood_outward(self, inner: float) -> float:
        """Log-likelihood of the data from that of the reduced units."""
        return inner + self.reduction.log_jacobian

    def with_classes(self, classes: int) -> RandomEffectMixture:
        """The same data with another number of classes."""
        return replace(self, classes=classes)

    def with_units(self, units: Units) -> RandomEffectMixture:
        """The same design with other responses: a draw."""
        reduction = replace(self.reduction, units=units)
        return replace(self, reduction=reduction, pieces=units.split(len(self.pieces)))
