"""From what users pass to aligned data: one design of fixed effects, standardised designs, kernels, and what was
lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, OptionError, ShapeError
from varmix.formula import Alignment, Design, align, design_from_arrays, design_from_formula
from varmix.formula.frame import column_names, select_columns
from varmix.genotype import GenotypeSource, Reference, RelationshipMatrix, Scaling, as_source, standardise
from varmix.genotype.design import StandardisedDesign
from varmix.genotype.identifiers import SAMPLE_COLUMNS
from varmix.linalg.symmetric import check_symmetric
from varmix.models.linear.model import RESIDUAL, Term
from varmix.typing import Index, Square, Tick

RESPONSE = "response"
"""Name of the table that holds y and covariates in alignments and messages."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """Aligned and standardised."""

    design: Design
    terms: tuple[Term, ...]
    standardised: tuple[StandardisedDesign, ...]
    kernels: tuple[Square, ...]
    """Fresh n x n arrays that may be overwritten."""
    alignment: Alignment | None

    def sample(self) -> pd.DataFrame:
        """What was used and lost: columns `what`, `cause`, `count`."""
        return _sample_table(self.design, self.alignment, self.terms)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Named:
    """A source of a random term before alignment."""

    name: str
    rows: int
    ids: pd.DataFrame | None
    source: GenotypeSource | None
    kernel: Any


def gather(
    y: Any,
    data: Any = None,
    *,
    designs: Mapping[str, Any] | None = None,
    kernels: Mapping[str, Any] | None = None,
    covariates: Any = None,
    sample_ids: Any = None,
    intercept: bool = True,
    on_missing: str | None = None,
    scaling: Scaling = "sample",
    reference: Reference = "used",
    tick: Tick | None = None,
) -> Inputs:
    """Align, drop, code and standardise. Raises the errors of the parts, each naming what, where and what next."""
    named = _named(designs, kernels)
    formula = isinstance(y, str)
    if formula and data is None:
        raise OptionError(f"A formula needs its data: variance_components({y!r}, people, ...).")
    if formula and covariates is not None:
        raise OptionError("Put covariates into the formula, or pass arrays instead of a formula: not both.")
    if not formula and data is not None:
        raise OptionError("The second argument is the data of a formula; pass covariates by covariates=.")
    ids = _given_ids(sample_ids, data if formula else None)
    total = len(select_columns(data, list(column_names(data))[:1])) if formula else len(np.atleast_1d(np.asarray(y)))
    alignment, positions = _align(ids, total, named)
    options: dict[str, Any] = {"sample_ids": ids, "rows": None if alignment is None else positions[RESPONSE]}
    if formula:
        design = design_from_formula(y, data, on_missing=on_missing or "drop", **options)  # type: ignore[arg-type]
    else:
        design = design_from_arrays(
            y,
            covariates,
            intercept=intercept,
            on_missing=on_missing or ("error" if alignment is None else "drop"),  # type: ignore[arg-type]
            **options,
        )
    rows = {item.name: _rows_of(item, design.rows, positions) for item in named}
    standardised = tuple(
        standardise(item.source, rows[item.name], scaling=scaling, reference=reference, tick=tick)
        for item in named
        if item.source is not None
    )
    matrices = tuple(_submatrix(item, rows[item.name]) for item in named if item.source is None)
    by_name = dict(zip([item.name for item in named if item.source is not None], standardised, strict=True))
    terms = tuple(
        Term(name=item.name, kind="kernel" if item.source is None else "design", design=by_name.get(item.name))
        for item in named
    )
    return Inputs(design=design, terms=terms, standardised=standardised, kernels=matrices, alignment=alignment)


def _named(designs: Mapping[str, Any] | None, kernels: Mapping[str, Any] | None) -> list[_Named]:
    for what, given in (("designs", designs), ("kernels", kernels)):
        if given is not None and not isinstance(given, Mapping):
            raise OptionError(f"{what} must be a mapping of names to data, for instance {what}={{'snps': ...}}.")
    designs, kernels = designs or {}, kernels or {}
    both = [name for name in designs if name in kernels]
    if both:
        raise OptionError(f"'{both[0]}' names a design and a kernel: give each term its own name.")
    named = []
    for name, data in designs.items():
        _check_name(name)
        source = as_source(data, name)
        named.append(_Named(name=name, rows=source.n_samples, ids=source.sample_ids, source=source, kernel=None))
    for name, data in kernels.items():
        _check_name(name)
        matrix = data.values if isinstance(data, RelationshipMatrix) else np.asarray(data)
        ids = data.sample_ids if isinstance(data, RelationshipMatrix) else None
        if matrix.dtype.kind not in "fiub":
            raise DataError(f"Kernel '{name}' holds {matrix.dtype}, not numbers. Convert it to float64.")
        matrix = matrix if matrix.dtype == np.float64 else matrix.astype(np.float64)
        check_symmetric(matrix, f"Kernel '{name}'")
        named.append(_Named(name=name, rows=len(matrix), ids=ids, source=None, kernel=matrix))
    return named


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise OptionError(f"The name of a term must be text, not {name!r}.")
    if name == RESIDUAL:
        raise OptionError(f"'{RESIDUAL}' is the name of the last component: give the term another name.")


def _given_ids(sample_ids: Any, data: Any) -> pd.DataFrame | None:
    if sample_ids is not None:
        if isinstance(sample_ids, pd.DataFrame):
            return sample_ids
        return pd.DataFrame({"IID": np.asarray(sample_ids).astype(str)})
    if data is None:
        return None
    there = [name for name in SAMPLE_COLUMNS if name in column_names(data)]
    return select_columns(data, there) if "IID" in there else None


def _align(ids: pd.DataFrame | None, total: int, named: list[_Named]) -> tuple[Alignment | None, dict[str, Index]]:
    """Join on ids everything that has them; what has none must match the response row by row."""
    if ids is not None and len(ids) != total:
        raise ShapeError(f"There are {len(ids)} sample ids for {total} responses.")
    with_ids = {item.name: item.ids for item in named if item.ids is not None and ids is not None}
    for item in named:
        if item.name not in with_ids and item.rows != total:
            hint = " Pass sample_ids= for the response to join them by id." if item.ids is not None else ""
            kind = "Kernel" if item.source is None else "Design"
            raise ShapeError(f"{kind} '{item.name}' has {item.rows:,} rows, the response {total:,}.{hint}")
    if ids is None or not with_ids:
        return None, {}
    alignment = align({RESPONSE: ids, **with_ids})
    return alignment, dict(alignment.positions)


def _rows_of(item: _Named, used: Index, positions: dict[str, Index]) -> Index:
    """Rows of a source for the rows of the response that are used (positions in the input)."""
    if item.name not in positions:
        return used
    lookup = dict(zip(positions[RESPONSE].tolist(), positions[item.name].tolist(), strict=True))
    return np.array([lookup[row] for row in used.tolist()], dtype=np.intp)


def _submatrix(item: _Named, rows: Index) -> Square:
    matrix = item.kernel
    if len(rows) == len(matrix) and bool((rows == np.arange(len(rows))).all()):
        return np.array(matrix, dtype=np.float64, order="F")
    return np.asfortranarray(matrix[np.ix_(rows, rows)])


def _sample_table(design: Design, alignment: Alignment | None, terms: tuple[Term, ...]) -> pd.DataFrame:
    rows: list[tuple[str, str, int]] = []
    if alignment is not None:
        for name, count in alignment.given.items():
            rows += [(name, "samples given", count), (name, "samples not in all sources", alignment.lost[name])]
    rows += [("rows", cause, count) for cause, count in design.sample.items()]
    rows += [("covariates", f"dropped, collinear: {name}", 1) for name in design.dropped_columns]
    for term in terms:
        if term.design is not None:
            rows += [(term.name, cause, int(count)) for cause, count in term.design.counts.items()]
            rows.append((term.name, "variants used", term.design.p))
    return pd.DataFrame(rows, columns=["what", "cause", "count"])
