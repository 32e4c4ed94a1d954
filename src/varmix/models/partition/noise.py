"""Noise that differs between genes and types: a power law of expression, lack of fit, and scatter within blocks.

A sample's variance about its type's mean is `d = cell sum_t p^2 + measurement + proportional level^exponent`; a type's
mean deviates from the mixture of its cells by `m = misfit + misfit_proportional level^misfit_exponent`, which no number
of replicates averages out. In [PART-2] `E = d / n + m`. Cell types of one block scatter about its mean by
`k = scatter + scatter_proportional top^2`, top the gene's highest level: the same in all samples, so that two types
count as one where they differ little beside what the gene is expressed elsewhere. Then `V_j = E + k PP' + a Q_j Q_j'`.
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
    scatter: float = 0.0
    scatter_proportional: float = 0.0

    def __post_init__(self) -> None:
        for name in NAMES:
            value = getattr(self, name)
            if not np.isfinite(value) or (value < 0.0 and name not in EXPONENTS):
                raise OptionError(
                    f"The noise has {name} = {value}: a variance is at least 0 and finite. Use 0 or more."
                )

    def variances(self, squares: Vector, levels: Matrix, counts: Vector) -> NoiseVariances:
        """Variances d, E (G, D) and k (G,), from `squares` (D,) sums of p^2, levels (G, D), counts (D,) [PART-2]."""
        logs = np.log(levels)
        power, misfit_power = np.exp(self.exponent * logs), np.exp(self.misfit_exponent * logs)
        sample = self.cell * squares + self.measurement + self.proportional * power
        mean = sample / counts + self.misfit + self.misfit_proportional * misfit_power
        top = levels.max(axis=1) ** 2
        return NoiseVariances(
            sample=sample,
            mean=mean,
            scatter=self.scatter + self.scatter_proportional * top,
            logs=logs,
            power=power,
            misfit_power=misfit_power,
            top=top,
        )

    def pull(
        self, at: NoiseVariances, squares: Vector, *, by_sample: Matrix, by_mean: Matrix, by_scatter: Vector
    ) -> Vector:
        """Scores in the order of `NAMES`, from those by d (through E as well), by E at constant d, and by k."""
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
                float(by_scatter.sum()),
                float(by_scatter @ at.top),
            ]
        )


NAMES = tuple(field.name for field in fields(Noise))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseVariances:
    """`sample` d and `mean` E, both (G, D), `scatter` k (G,), and the powers of the levels that they were made from."""

    sample: Matrix
    mean: Matrix
    scatter: Vector
    logs: Matrix
    power: Matrix
    misfit_power: Matrix
    top: Vector
