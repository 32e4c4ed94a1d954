"""Expression as numbers: genes in rows and samples in columns, from an array or a data frame of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, ShapeError
from varmix.tables.frame import try_frame
from varmix.tables.named_rows import named_rows
from varmix.tables.numbers import real_numbers
from varmix.typing import Matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpressionValues:
    """`values` (G, n), NaN where missing; `genes` (G,) and `samples` (n,) are names, or numbers from 0.

    `numbered` is whether the genes have no names of their own, `framed` whether the values came in a data frame.
    """

    values: Matrix
    genes: pd.Index[Any]
    samples: pd.Index[Any]
    numbered: bool
    framed: bool


def expression_values(table: Any) -> ExpressionValues:
    """Rows of a data frame are named by its index, or by its first column if that holds text.

    Raises ShapeError (not two-dimensional, no gene or sample), DataError (text, complex numbers, two columns of a
    name, several levels of names).
    """
    if isinstance(table, Mapping):
        raise DataError(
            "The expression table is a mapping. Pass a data frame with one row per gene and one column per sample, for "
            "instance pd.DataFrame(columns, index=genes)."
        )
    if try_frame(table) is not None:
        return _from_frame(named_rows(table))
    values = np.asarray(real_numbers(table, "The expression table"), dtype=np.float64)
    _check_shape(values.shape)
    return ExpressionValues(
        values=values,
        genes=pd.RangeIndex(values.shape[0]),
        samples=pd.RangeIndex(values.shape[1]),
        numbered=True,
        framed=False,
    )


def _from_frame(table: pd.DataFrame) -> ExpressionValues:
    if isinstance(table.index, pd.MultiIndex) or isinstance(table.columns, pd.MultiIndex):
        raise DataError("The expression table has names of several levels. Join them to one name per gene and sample.")
    _check_shape(table.shape)
    for name, kind in table.dtypes.items():
        if not (pd.api.types.is_numeric_dtype(kind) and kind.kind != "c"):
            _refuse_text(table[name], name)
    plain = all(isinstance(kind, np.dtype) for kind in table.dtypes)
    raw = table.to_numpy() if plain else table.to_numpy(dtype=np.float64, na_value=np.nan)
    return ExpressionValues(
        values=np.asarray(real_numbers(raw, "The expression table"), dtype=np.float64),
        genes=table.index,
        samples=table.columns,
        numbered=isinstance(table.index, pd.RangeIndex) and table.index.name is None,
        framed=True,
    )


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2:
        raise ShapeError(f"The expression table has shape {shape}. Give one row per gene and one column per sample.")
    if not (shape[0] and shape[1]):
        raise ShapeError(
            f"The expression table has {shape[0]:,} genes and {shape[1]:,} samples. Give at least one of each."
        )


def _refuse_text(column: pd.Series[Any], name: Any) -> None:
    for gene, item in zip(column.index, column, strict=True):
        if isinstance(item, complex | np.complexfloating):
            raise DataError(f"Sample '{name}' holds complex numbers (gene '{gene}': {item}). Give real ones.")
        if item is not None and item is not pd.NA and not isinstance(item, int | float | np.number | np.bool_):
            raise DataError(
                f"Sample '{name}' holds {'text' if isinstance(item, str) else type(item).__name__}, not numbers (gene "
                f"'{gene}': {item!r}). Make the column numeric, drop it, or make the genes' names the index."
            )
