"""Covariates to columns, the same way for the rows of a fit and for new rows."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from formulaic import ModelSpec
from formulaic.errors import DataMismatchWarning, FormulaicError

from varmix.errors import DataError, NotAvailableError, NotFiniteError, ShapeError
from varmix.formula.variables import check_variables
from varmix.tables.frame import column_names, missing_rows, select_columns, take_rows
from varmix.tables.labels import labelled
from varmix.tables.numbers import real_numbers
from varmix.typing import Index, Matrix

INTERCEPT = "(Intercept)"
"""R's name, which lme4 users expect."""
TREATMENT = re.compile(r"\[(?:T\.)?([^\]]*)\]")
"""formulaic writes sex[T.M] where R writes sexM, and poly(x, 2)[1] where R writes poly(x, 2)1."""

CODINGS = ("", "T.", "S.", "D.", "H.")
"""What formulaic puts before a level, by kind of contrast."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoder:
    """How Z was made: by a formula (`spec`), or by the columns of an array; then `kept` of all columns.

    `variables` are the columns a formula needs; `n_columns` the width of the array; `adds_intercept` whether a constant
    was put before the array's columns; `prefix` stands before the columns' names inside the formula.
    """

    spec: ModelSpec | None
    variables: tuple[str, ...]
    n_columns: int
    adds_intercept: bool
    kept: Index
    prefix: str = ""

    def encode(self, new: Any, n: int | None) -> Matrix:
        """Columns for new rows, (m, c). Raises DataError, ShapeError, NotFiniteError."""
        whole = self._array(new, n) if self.spec is None else self._table(new, n, self.spec)
        return np.ascontiguousarray(whole[:, self.kept])

    def state(self) -> dict[str, Any] | None:
        """What encodes an array again, as JSON values and arrays; None where a formula's code would be needed."""
        if self.spec is not None:
            return None
        return {"n_columns": self.n_columns, "adds_intercept": self.adds_intercept, "kept": self.kept}

    def _array(self, new: Any, n: int | None) -> Matrix:
        if new is None:
            if self.n_columns or n is None:
                raise ShapeError(
                    f"New rows need {self.n_columns} covariate columns. Pass them, or the number of rows if none."
                )
            return np.ones((n, 1)) if self.adds_intercept else np.zeros((n, 0))
        _, bare = labelled(new, "new covariates")  # ids are never covariates
        values = np.asarray(real_numbers(bare, "The array of new covariates"), dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[1] != self.n_columns:
            raise ShapeError(f"New covariates have shape {values.shape}; the fit used {self.n_columns} columns.")
        names = [str(column) for column in range(self.n_columns)]
        refuse_not_finite(values, names, "New covariates")
        return np.column_stack([np.ones(len(values)), values]) if self.adds_intercept else values

    def _table(self, new: Any, n: int | None, spec: ModelSpec) -> Matrix:
        if not self.variables:
            rows = n if new is None else len(select_columns(new))
            return encode_table(spec, pd.DataFrame(index=pd.RangeIndex(rows or 0)))[0]
        check_variables(self.variables, column_names(new), "The new data")
        frame = select_columns(new, self.variables)
        absent = missing_rows(frame, self.variables)
        if absent.any():
            name = next(name for name in self.variables if frame[name].isna().any())
            raise DataError(
                f"New rows need every covariate: '{name}' is missing in row "
                f"{int(frame[name].isna().to_numpy().argmax())} (counted from 0). Drop such rows first."
            )
        complete = take_rows(frame, np.arange(len(frame)))
        return encode_table(spec, complete, self.prefix)[0]


def encode_saved(columns: Sequence[str], coding: dict[str, Any] | None, new: Any, rows: int | None) -> Matrix:
    """Z of new rows for a saved fit, (m, c): by what `Encoder.state` gave, else from the coded columns by name.

    `rows` is the number of rows where nothing else gives it. Raises NotAvailableError for a table without these
    columns, and what `Encoder.encode` raises.
    """
    if coding is not None:
        return Encoder(spec=None, variables=(), **coding).encode(new, rows)
    wanted = [name for name in columns if name != INTERCEPT]
    if not wanted and rows is not None:
        return np.ones((rows, len(columns)))
    if new is None or any(name not in column_names(new) for name in wanted):
        raise NotAvailableError(
            "This fit was made by a formula or a table, and a saved fit keeps the coded columns, not the formula's "
            f"code: pass a table with the columns {', '.join(wanted)}."
        )
    frame = select_columns(new, wanted)
    values = frame.to_numpy(dtype=np.float64).reshape(len(frame), len(wanted))
    refuse_not_finite(values, wanted, "New covariates")
    whole = np.ones((len(frame), len(columns)))
    whole[:, [at for at, name in enumerate(columns) if name != INTERCEPT]] = values
    return whole


def encode_table(spec: Any, frame: pd.DataFrame, prefix: str = "") -> tuple[Matrix, list[str], ModelSpec]:
    """Columns (n, c), their names as R writes them, and the spec that encodes further rows the same way.

    `spec` is a formulaic formula or model spec; `frame` has no missing entries; inside the formula its columns are
    called `prefix` and their name. Raises DataError (cannot be evaluated; a level that was not seen), NotFiniteError
    (a transformed column: which, and where).
    """
    matrix = evaluate(spec, frame.rename(columns=lambda name: prefix + name) if prefix else frame)
    levels = _number_levels(matrix.model_spec)
    names = [readable_name(name.removeprefix(prefix), levels) for name in matrix.model_spec.column_names]
    values = np.array(matrix, dtype=np.float64).reshape(len(frame), len(names))
    refuse_not_finite(values, names, "Transformed columns")
    return values, names, matrix.model_spec


def evaluate(spec: Any, frame: pd.DataFrame) -> Any:
    """formulaic's matrix of one side of a formula, with no names but the columns and formulaic's own functions.

    Raises DataError (cannot be evaluated; a level that was not seen).
    """
    frame = _floats_for_arithmetic(spec, frame)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", DataMismatchWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            return spec.get_model_matrix(frame, context={}, na_action="ignore", output="numpy")
        except DataMismatchWarning as warning:
            levels = str(warning).split("dataset): ")[-1].split("}")[0].strip("{}")
            raise DataError(
                f"The data have levels that were not there when the model was fitted: {levels}. Drop these rows, or "
                "fit again."
            ) from warning
        except (FormulaicError, TypeError, ValueError) as error:
            raise DataError(
                f"The formula cannot be evaluated: {str(error).splitlines()[0]}. Check its terms."
            ) from error


def _floats_for_arithmetic(spec: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Integers that float64 cannot hold stay integers in categories, C(id), only: their products would wrap around."""
    wide = [name for name in frame.columns if frame[name].dtype.kind in "iu"]
    terms = spec.formula if isinstance(spec, ModelSpec) else spec
    others = (
        [factor.expr for term in terms for factor in term.factors if not factor.expr.startswith("C(")] if wide else []
    )
    return frame.astype({name: np.float64 for name in wide if any(name in expression for expression in others)})


def readable_name(name: str, levels: Mapping[str, str]) -> str:
    """formulaic's column name as R writes it, where the coding agrees (treatment contrasts, polynomials).

    `levels` maps pieces of formulaic's names to others.
    """
    for piece, other in levels.items():
        name = name.replace(piece, other)
    return INTERCEPT if name == "Intercept" else TREATMENT.sub(r"\1", name)


def _number_levels(spec: ModelSpec) -> dict[str, str]:
    """Levels of numeric columns, which are floats here, as R writes them: C(site)[T.2.0] is C(site)[T.2]."""
    return {
        f"{factor.expr}[{coding}{level}]": f"{factor.expr}[{coding}{int(level)}]"
        for factor, state in spec.factor_contrasts.items()
        for level in state.levels
        if isinstance(level, float) and level.is_integer()
        for coding in CODINGS
    }


def refuse_not_finite(values: Matrix, names: Sequence[str], what: str) -> None:
    """Raise NotFiniteError naming the first entry of (n, c) that is NaN or infinite."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = (int(item) for item in np.argwhere(wrong)[0])
        raise NotFiniteError(
            f"{what} hold {values[row, column]} in row {row} of those used (counted from 0), column '{names[column]}' "
            f"({int(wrong.sum()):,} such entries). Correct the data or the transformation."
        )
