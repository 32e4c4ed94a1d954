"""Names that the tables of a fit of partitions carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from varmix.typing import Index, Matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Names of the genes (G) and of the sample types (D), and what was used and lost.

    `samples` (n) and the number of each one's type, `sample_type` (n,), are None of streams that were read away, and so
    are `values` (G, n), NaN where missing.
    """

    genes: pd.Index[Any]
    sample_types: tuple[str, ...]
    samples: pd.Index[Any] | None
    sample_type: Index | None
    sample: Callable[[], pd.DataFrame]
    values: Matrix | None = None
    response: str = "expression"
