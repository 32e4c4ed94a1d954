"""From arrays, or from a formula and a table, to a Design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from formulaic import Formula, ModelSpec
from formulaic.errors import FormulaicError
from formulaic.parser.algos.tokenize import tokenize

from varmix.errors import DataError, NotFiniteError, OptionError, RepairWarning, ShapeError, warn
from varmix.formula.arrays import covariate_array, response_array
from varmix.formula.design import Design
from varmix.formula.encode import INTERCEPT, Encoder, encode_table, evaluate
from varmix.formula.variables import needed_columns
from varmix.genotype.source import check_rows
from varmix.linalg.householder import pivoted_columns, spans_constant
from varmix.tables.alignment import OnMissing
from varmix.tables.frame import column_names, missing_rows, select_columns, take_rows, try_frame
from varmix.tables.identifiers import id_columns, sample_table
from varmix.tables.labels import labelled
from varmix.typing import Array, Index, Mask, Matrix

CONSTANT = 8 * float(np.finfo(np.float64).eps)
"""A response whose range is below this share of its size varies by rounding only."""
PREFIX = "covariate "
"""Before the names of a covariate table inside its formula, where a column called 1 would be the intercept."""
INTERCEPT_TERM = "1"
"""How formulas write the constant; formulaic does not tell a column of this name from it, even between backticks."""
SMALLEST, LARGEST = 1e-140, 1e140
"""Ranges of a response outside of these have variances that float64 cannot hold; 1e-100 to 1e100 leaves room."""


def design_from_arrays(
    y: Any,
    covariates: Any = None,
    *,
    names: Sequence[str] | None = None,
    intercept: bool = True,
    on_missing: OnMissing = "error",
    sample_ids: pd.DataFrame | Sequence[str] | None = None,
    rows: Any = None,
) -> Design:
    """A Design from y, (n,) or (n, r), and covariates, an (n, c) array or a data frame (text columns become factors).

    An intercept is put first unless it is in the span already. `rows` (positions or a mask) restricts the input. NaN is
    an error, or with on_missing="drop" the row is dropped and counted. Raises ShapeError, DataError (constant response,
    no rows left, not more rows than columns), NotFiniteError, OptionError.
    """
    _check_on_missing(on_missing)
    values, response_names = response_array(y)
    total = len(values)
    chosen = _chosen(rows, total)
    table = try_frame(covariates)
    if table is not None:
        frame = select_columns(covariates)
        _check_length(len(frame), total)
        text = " + ".join(["1" if intercept else "0", *(f"`{PREFIX}{name}`" for name in frame.columns)])
        absent = missing_rows(frame, frame.columns)
    else:
        given = np.empty((total, 0)) if covariates is None else covariates
        Z, covariate_names = covariate_array(given, names)
        _check_length(len(Z), total)
        absent = np.asarray(np.isnan(Z).any(axis=1))
    used, sample = _complete(_missing_response(values, on_missing), absent, chosen, on_missing)
    if table is not None:
        part = take_rows(frame, used)
        coded = _from_table(Formula(text), part, tuple(frame.columns), spare_intercept=intercept, prefix=PREFIX)
    else:
        whole = np.ascontiguousarray(Z[used])
        adds = intercept and not has_constant(whole)
        whole = np.column_stack([np.ones(len(whole)), whole]) if adds else whole
        all_names = [INTERCEPT] * adds + covariate_names
        coded = _Coded(Z=whole, names=all_names, spec=None, variables=(), width=Z.shape[1], adds=adds)
    ids = None if sample_ids is None else sample_table(sample_ids, "the response")
    return _assemble(values[used], response_names, coded, used, ids, sample, total)


def design_from_formula(
    formula: str,
    data: Any,
    *,
    on_missing: OnMissing = "drop",
    sample_ids: pd.DataFrame | Sequence[str] | None = None,
    rows: Any = None,
    id_column: str | None = None,
) -> Design:
    """A Design from text such as "height ~ age + sex" and a data frame (pandas, polars, ...) or mapping of columns.

    Several responses are added on the left: "a + b ~ age". Factors get treatment contrasts and R's names (sexM).
    Columns FID and IID (or `id_column`) are taken as the sample ids unless `sample_ids` are given, and '.' leaves them
    out. Rows with missing entries are dropped and counted. Raises OptionError (the formula cannot be read), DataError
    (a variable that is not a column, a response that is not numeric, and as `design_from_arrays`), NotFiniteError.
    """
    _check_on_missing(on_missing)
    available = column_names(data)
    ids = {*id_columns(available).values(), id_column}
    parsed = _parse(formula, [name for name in available if name not in ids])
    left, right = (needed_columns(side, available) for side in (parsed.lhs, parsed.rhs))
    frame = select_columns(data, dict.fromkeys((*left, *right)))
    total = len(frame)
    chosen = _chosen(rows, total)
    whole = len(parsed.lhs) == 1 or on_missing == "error"
    gone = np.array([frame[name].isna().to_numpy() for name in left]).reshape(len(left), total)
    used, sample = _complete(
        np.asarray(gone.any(axis=0) if whole else gone.all(axis=0)), missing_rows(frame, right), chosen, on_missing
    )
    part = take_rows(frame, used)
    y, response_names = _responses(parsed.lhs, part)
    coded = _from_table(parsed.rhs, part, right)
    if sample_ids is None:
        sample_ids = labelled(data, "the data", id_column)[0].ids
    table = None if sample_ids is None else sample_table(sample_ids, "the data")
    return _assemble(y, response_names, coded, used, table, sample, total)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Coded:
    Z: Matrix
    names: list[str]
    spec: ModelSpec | None
    variables: tuple[str, ...]
    width: int
    adds: bool = False
    skips: bool = False
    prefix: str = ""


def has_constant(Z: Matrix) -> bool:
    """Whether the constant is a linear combination of the columns of Z, (n, c)."""
    if Z.shape[1] == 0:
        return False
    if bool(((Z[:1] == Z).all(axis=0) & (Z[0] != 0.0)).any()):
        return True
    return spans_constant(Z)


def _parse(formula: str, available: list[str]) -> Any:
    if "|" in formula:
        raise OptionError(
            f"'{formula}' has a random-effect term (... | group), which is not read here. Give designs= or kernels= "
            "instead."
        )
    if formula.count("~") != 1:
        raise OptionError(
            f"'{formula}' is not of the form 'response ~ covariates'. Write for example 'height ~ age + sex'."
        )
    try:
        parsed = Formula(formula, _context={"__formulaic_variables_available__": available})
    except (FormulaicError, SyntaxError) as error:
        raise OptionError(f"'{formula}' cannot be read: {str(error).splitlines()[0]} Check its signs.") from error
    for token in tokenize(formula):
        stands = available if token.kind is token.Kind.VALUE and token.token == "." else [token.token]
        if INTERCEPT_TERM in stands and (token.kind is token.Kind.NAME or stands is available):
            raise OptionError(
                f"The column '{INTERCEPT_TERM}' in '{formula}' would be read as the intercept. Write "
                f"I(`{INTERCEPT_TERM}`), or rename it."
            )
    if not hasattr(parsed, "lhs") or len(parsed.lhs) == 0:
        raise OptionError(f"'{formula}' has no response on the left. Write for example 'height ~ age + sex'.")
    return parsed


def _responses(side: Any, frame: pd.DataFrame) -> tuple[Array, tuple[str, ...]]:
    matrix = evaluate(side, frame)
    if matrix.model_spec.factor_contrasts:
        name = next(iter(matrix.model_spec.factor_contrasts))
        raise DataError(f"Response '{name}' is not numeric. Code it as numbers.")
    names = tuple(str(name) for name in matrix.model_spec.column_names)
    y = np.array(matrix, dtype=np.float64).reshape(len(frame), len(names))
    wrong = np.isinf(y) if len(names) > 1 else ~np.isfinite(y)
    if wrong.any():
        row, column = (int(item) for item in np.argwhere(wrong)[0])
        raise NotFiniteError(
            f"Response '{names[column]}' becomes {y[row, column]} in row {row} of those used (counted from 0). Correct "
            "it."
        )
    return (y[:, 0] if len(names) == 1 else y), names


def _from_table(
    formula: Any, frame: pd.DataFrame, variables: tuple[str, ...], *, spare_intercept: bool = False, prefix: str = ""
) -> _Coded:
    Z, names, spec = encode_table(formula, frame, prefix)
    skips = spare_intercept and has_constant(Z[:, 1:])
    if skips:
        Z, names = Z[:, 1:], names[1:]
    return _Coded(Z=Z, names=names, spec=spec, variables=variables, width=0, skips=skips, prefix=prefix)


def _refuse_same_names(names: Sequence[str]) -> None:
    repeated = [name for at, name in enumerate(names) if name in names[:at]]
    if repeated:
        what = "the intercept is one of them" if repeated[0] == INTERCEPT else "a level of a factor may be one of them"
        raise DataError(f"Two covariate columns are called '{repeated[0]}' ({what}). Rename the column of the data.")


def _assemble(
    y: Array,
    response_names: tuple[str, ...],
    coded: _Coded,
    used: Index,
    ids: pd.DataFrame | None,
    sample: dict[str, int],
    total: int,
) -> Design:
    _refuse_constant_or_extreme(y, response_names)
    kept, dropped = pivoted_columns(coded.Z, coded.names)
    dropped_names = tuple(coded.names[at] for at in dropped)
    if dropped_names:
        warn(
            f"{len(dropped_names)} covariate columns are linear combinations of others and are dropped: "
            f"{', '.join(dropped_names)}.",
            RepairWarning,
        )
    _refuse_same_names([coded.names[at] for at in kept])
    Z: Matrix = np.ascontiguousarray(coded.Z[:, kept])
    rows_of_response = [int(np.isfinite(column).sum()) for column in y.reshape(len(y), -1).T]
    fewest = min(rows_of_response)
    if fewest <= Z.shape[1]:
        raise DataError(
            f"Response '{response_names[rows_of_response.index(fewest)]}' has {fewest} complete rows for {Z.shape[1]} "
            "columns of covariates. Use fewer covariates (is a column of ids among them?) or more rows."
        )
    if ids is not None:
        _check_length(len(ids), total, "sample ids")
        ids = ids.iloc[used].reset_index(drop=True)
    return Design(
        y=y,
        Z=Z,
        names=tuple(coded.names[at] for at in kept),
        response_names=response_names,
        intercept=has_constant(Z),
        rows=used,
        sample_ids=ids,
        sample=sample,
        dropped_columns=dropped_names,
        encoder=Encoder(
            spec=coded.spec,
            variables=coded.variables,
            n_columns=coded.width,
            adds_intercept=coded.adds,
            kept=kept + int(coded.skips),
            prefix=coded.prefix,
        ),
    )


def _missing_response(y: Array, on_missing: OnMissing) -> Mask:
    absent = np.isnan(y).reshape(len(y), -1)
    return np.asarray(absent.any(axis=1) if on_missing == "error" else absent.all(axis=1))


def _complete(response: Mask, covariate: Mask, chosen: Index, on_missing: OnMissing) -> tuple[Index, dict[str, int]]:
    no_response = response[chosen]
    no_covariate = covariate[chosen] & ~no_response
    sample = {
        "given": int(chosen.size),
        "missing response": int(no_response.sum()),
        "missing covariate": int(no_covariate.sum()),
    }
    wrong = no_response | no_covariate
    if on_missing == "error" and wrong.any():
        at = int(wrong.argmax())
        raise NotFiniteError(
            f"{int(wrong.sum()):,} of {chosen.size:,} rows have a missing "
            f"{'response' if no_response[at] else 'covariate'} (first: row {chosen[at]}, counted from 0). Pass "
            f'on_missing="drop" to use the {int((~wrong).sum()):,} complete rows.'
        )
    if wrong.all():
        raise DataError(
            f"No complete row is left of {chosen.size:,}: {sample['missing response']:,} have no response and "
            f"{sample['missing covariate']:,} more miss a covariate. Check how missing values are written."
        )
    used = chosen[~wrong]
    return used, {**sample, "used": int(used.size)}


def _refuse_constant_or_extreme(y: Array, names: tuple[str, ...]) -> None:
    for column, name in zip(y.reshape(len(y), -1).T, names, strict=True):
        present = column[~np.isnan(column)]
        if present.size == 0:
            raise DataError(f"Response '{name}' is missing in every row used. Leave it out.")
        low, high = float(present.min()), float(present.max())
        if high - low <= CONSTANT * max(abs(low), abs(high)):
            raise DataError(
                f"Response '{name}' has no variance: it is {high:g} in all {present.size:,} rows. Check the column."
            )
        if not SMALLEST <= high - low <= LARGEST:
            raise DataError(
                f"Response '{name}' runs from {low:g} to {high:g}, and its variance is beyond what float64 can hold. "
                "Rescale it, for instance to a standard deviation of 1."
            )


def _chosen(rows: Any, total: int) -> Index:
    positions = check_rows(rows, total, "the data")
    return np.arange(total) if positions is None else positions


def _check_length(found: int, total: int, what: str = "covariate rows") -> None:
    if found != total:
        raise ShapeError(f"There are {found:,} {what} and {total:,} responses. Give the same rows in the same order.")


def _check_on_missing(on_missing: str) -> None:
    if on_missing not in get_args(OnMissing):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use one of {', '.join(get_args(OnMissing))}.")
