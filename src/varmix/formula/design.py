"""The fixed part of a model, ready to use: responses and covariates on the rows that are complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from varmix.formula.encode import Encoder
from varmix.typing import Array, Index, Matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """Responses y, (n,) or (n, r), and covariates Z, (n, c) of full column rank.

    `names` are the c columns of Z, `response_names` the r responses; `intercept` says whether the constant is in the
    span of Z. `rows` are the positions used in the input, shape (n,), and `sample_ids` their FID and IID when known.
    `sample` counts rows: given, missing response, missing covariate, used. `dropped_columns` were linear combinations
    of others. With several responses y may hold NaN: rows stay as long as one response is there ([VC-7]).
    """

    y: Array
    Z: Matrix
    names: tuple[str, ...]
    response_names: tuple[str, ...]
    intercept: bool
    rows: Index
    sample_ids: pd.DataFrame | None
    sample: Mapping[str, int]
    dropped_columns: tuple[str, ...]
    encoder: Encoder

    @property
    def n(self) -> int:
        """Rows used."""
        return int(self.Z.shape[0])

    @property
    def c(self) -> int:
        """Columns of Z."""
        return int(self.Z.shape[1])

    @property
    def r(self) -> int:
        """Responses."""
        return len(self.response_names)

    def encode(self, new: Any, n: int | None = None) -> Matrix:
        """Z for new rows, (m, c), coded as in the fit.

        `n` is the number of rows when there are no covariates to give it.
        Raises DataError (columns not there, levels not seen), ShapeError, NotFiniteError.
        """
        return self.encoder.encode(new, n)
