"""Noise that differs between genes and types: a power law of expression, and a lack of fit that replicates share.

A sample's variance about its type's mean is `d = cell sum_t p^2 + measurement + proportional level^exponent`; a type's
mean deviates from the mixture of its cells by `m = misfit + misfit_proportional level^misfit_exponent`, which no number
of replicates averages out. In [PART-2] `E = d / n + m`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from varmix.errors import OptionError
from varmix.typing import Matrix, Vector

EXPONENTS = ("exponent", "misfit_exponent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Variances (at the trend's reference level, in squared units of expression) and exponents of the levels.

    Raises OptionError for a variance that is negative or not finite. All are allowed to be 0, not all at once.
    """

    cell: float = 0.0
    measurement: float = 0.0
    proportional: float = 0.0
    exponent: float = 2.0
    misfit: float = 0.0
    misfit_proportional: float = 0.0
    misfit_exponent: float = 2.0

    def __post_init__(self) -> None:
        for name in NAMES:
            value = getattr(self, name)
            if not np.isfinite(value) or (value < 0.0 and name not in EXPONENTS):
                raise OptionError(
                    f"The noise has {name} = {value}: a variance is at least 0 and finite. Use 0 or more."
                )

    def variances(self, squares: Vector, levels: Matrix, counts: Vector) -> NoiseVariances:
        """Variances d and E (G, D) for `squares` (D,), the sums of p^2, `levels` (G, D) and `counts` (D,) [PART-2]."""
        logs = np.log(levels)
        power, misfit_power = np.exp(self.exponent * logs), np.exp(self.misfit_exponent * logs)
        sample = self.cell * squares + self.measurement + self.proportional * power
        mean = sample / counts + self.misfit + self.misfit_proportional * misfit_power
        return NoiseVariances(sample=sample, mean=mean, logs=logs, power=power, misfit_power=misfit_power)

    def pull(self, at: NoiseVariances, squares: Vector, by_sample: Matrix, by_mean: Matrix) -> Vector:
        """Scores by the fields in the order of `NAMES`, from those by d at constant misfit and by E at constant d."""
        proportional, misfit = by_sample * at.power, by_mean * at.misfit_power
        return np.array(
            [
                float((by_sample @ squares).sum()),
                float(by_sample.sum()),
                float(proportional.sum()),
                self.proportional * float((proportional * at.logs).sum()),
                float(by_mean.sum()),
                float(misfit.sum()),
                self.misfit_proportional * float((misfit * at.logs).sum()),
            ]
        )


NAMES = tuple(field.name for field in fields(Noise))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseVariances:
    """`sample` d and `mean` E, both (G, D), and the powers of the levels that they were made from."""

    sample: Matrix
    mean: Matrix
    logs: Matrix
    power: Matrix
    misfit_power: Matrix
