"""What is known beforehand of proportions that are estimated: a Dirichlet distribution of each row [PART-7]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import OptionError
from varmix.tables.frame import try_frame
from varmix.tables.named_rows import named_rows
from varmix.tables.numbers import real_numbers

WEAK = 1.05
"""Keeps proportions off 0, where starts would be stuck, and says next to nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class Dirichlet:
    """`sum_t (alpha_st - 1) log p_st` is added to the log-likelihood for each sample type s [PART-7].

    `concentration` is one alpha for all entries, an array (D, T), or a data frame of sample types x cell types;
    `cell_types` are T names, or T where the partitions or the data frame name them. Entries below 1 are refused with
    an OptionError: the density is infinite where a proportion is 0, so no maximum would be anywhere else.
    """

    concentration: Any = WEAK
    cell_types: Sequence[str] | int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        values = _numbers(self.concentration)
        if values.ndim not in (0, 2) or not values.size:
            raise OptionError(
                f"The concentration of a Dirichlet prior has shape {values.shape}. Give one number, or one row per "
                "sample type and one column per cell type."
            )
        wrong = ~((values >= 1.0) & np.isfinite(values))
        if wrong.any():
            first = tuple(int(at) for at in np.argwhere(wrong)[0])
            where = f" in row {first[0]}, column {first[1]} (counted from 0)" if first else ""
            raise OptionError(
                f"The concentration of a Dirichlet prior is {float(values[first]):.6g}{where}. Below 1 its density is "
                "infinite where a proportion is 0, and every climb would end there. Give finite numbers of at least 1 "
                "(1 is flat, 1.05 keeps off 0, 1 + 100 p means as much as 100 cells counted)."
            )

    @classmethod
    def around(cls, proportions: Any, strength: float, *, cell_types: Sequence[str] | int | None = None) -> Dirichlet:
        """A prior whose mode is `proportions` (D, T; array or data frame): alpha = 1 + strength * proportions.

        `strength` > 0 counts in cells: two of 10 and of 1000 differ as samples of so many cells do. Raises OptionError.
        """
        if isinstance(strength, bool) or not isinstance(strength, Real) or not 0.0 < float(strength) < np.inf:
            raise OptionError(f"strength={strength!r} must be a positive number, for instance 50.")
        values = _numbers(proportions)
        if values.ndim != 2 or not ((values >= 0.0) & (values <= 1.0)).all():
            raise OptionError(
                "A Dirichlet prior goes around proportions between 0 and 1, one row per sample type and one column per "
                "cell type, without missing ones."
            )
        sums = values.sum(axis=1)
        if (np.abs(sums - 1.0) > 1e-3).any():
            row = int(np.abs(sums - 1.0).argmax())
            raise OptionError(
                f"Row {row} (counted from 0) of the proportions a Dirichlet prior goes around sums to {sums[row]:.6g}, "
                "not 1. Correct it."
            )
        if try_frame(proportions) is None:
            return cls(1.0 + float(strength) * values, cell_types=cell_types)
        table = named_rows(proportions)
        alpha = pd.DataFrame(1.0 + float(strength) * values, index=table.index, columns=table.columns)
        return cls(alpha, cell_types=cell_types)


def _numbers(values: Any) -> Any:
    table = values if try_frame(values) is None else named_rows(values).to_numpy(dtype=object)
    return np.asarray(real_numbers(table, "A table of a Dirichlet prior"), dtype=np.float64)
