"""From what users pass to aligned data: one design of fixed effects, standardised designs, kernels, and what was
lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, OptionError, ShapeError
from varmix.formula import Alignment, Design, align, design_from_arrays, design_from_formula
from varmix.genotype import GenotypeSource, Reference, RelationshipMatrix, Scaling, as_source, standardise
from varmix.genotype.design import StandardisedDesign
from varmix.linalg.symmetric import check_symmetric
from varmix.models.linear.model import RESIDUAL, Term
from varmix.tables.frame import column_names, select_columns, select_ids, try_frame
from varmix.tables.identifiers import SAMPLE_COLUMNS, sample_table
from varmix.tables.numbers import is_masked, real_numbers
from varmix.typing import Index, Square, Tick

RESPONSE = "response"
"""Name of the table that holds y and covariates in alignments and messages."""

COPIED_COLUMNS = 256
"""Columns of a kernel that are copied at a time, so that no second n x n array is needed."""


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
class Joined:
    """Sources of random terms joined with the response: by sample id where both sides have ids, else by position."""

    named: tuple[_Named, ...]
    ids: pd.DataFrame | None
    """Those of the response."""
    alignment: Alignment | None
    """None when everything is joined by position."""

    @property
    def rows(self) -> Index | None:
        """Positions of the response's rows that are in every source; None for all."""
        return None if self.alignment is None else self.alignment.positions[RESPONSE]

    def complete(self, design: Design, *, scaling: Scaling, reference: Reference, tick: Tick | None = None) -> Inputs:
        """Designs standardised and kernels copied for the rows that the fixed part uses."""
        positions = {} if self.alignment is None else self.alignment.positions
        rows = {item.name: _rows_of(item, design.rows, positions) for item in self.named}
        standardised = {
            item.name: item.design_at(rows[item.name], scaling, reference, tick)
            for item in self.named
            if item.kernel is None
        }
        terms = tuple(
            Term(
                name=item.name,
                kind="design" if item.kernel is None else "kernel",
                design=standardised.get(item.name),
            )
            for item in self.named
        )
        return Inputs(
            design=design,
            terms=terms,
            standardised=tuple(standardised.values()),
            kernels=tuple(_submatrix(item.kernel, rows[item.name]) for item in self.named if item.kernel is not None),
            alignment=self.alignment,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Named:
    """A source of a random term before alignment: a design, standardised or not, or a kernel."""

    name: str
    rows: int
    ids: pd.DataFrame | None
    source: GenotypeSource | StandardisedDesign | None = None
    kernel: Any = None

    def design_at(self, rows: Index, scaling: Scaling, reference: Reference, tick: Tick | None) -> StandardisedDesign:
        if not isinstance(self.source, StandardisedDesign):
            return standardise(self.source, rows, scaling=scaling, reference=reference, tick=tick)
        given = self.source
        if _is_all(rows, given.n):
            return given
        return replace(
            given,
            rows=rows if given.rows is None else given.rows[rows],
            held=None if given.held is None else np.asfortranarray(given.held[rows]),
        )


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
    formula = isinstance(y, str)
    if formula and data is None:
        raise OptionError(f"A formula needs its data: variance_components({y!r}, people, ...).")
    if formula and covariates is not None:
        raise OptionError("Put covariates into the formula, or pass arrays instead of a formula: not both.")
    if formula and not intercept:
        raise OptionError(f"A formula says itself whether it has an intercept: write '0 +' in {y!r}, not intercept=.")
    if not formula and data is not None:
        raise OptionError("The second argument is the data of a formula; pass covariates by covariates=.")
    ids, total = given_ids(sample_ids, data if formula else None), 0
    if formula:
        total = len(select_columns(data, list(column_names(data))[:1]))
    else:
        own, y = split_ids(y)
        ids, total = (own if ids is None else ids), len(np.atleast_1d(np.asarray(y)))
    joined = join_sources(ids, total, designs, kernels)
    if formula:
        design = design_from_formula(
            y,
            data,
            on_missing=on_missing or "drop",  # type: ignore[arg-type]
            sample_ids=ids,
            rows=joined.rows,
        )
    else:
        design = design_from_arrays(
            y,
            covariates,
            intercept=intercept,
            on_missing=on_missing or ("error" if joined.alignment is None else "drop"),  # type: ignore[arg-type]
            sample_ids=ids,
            rows=joined.rows,
        )
    return joined.complete(design, scaling=scaling, reference=reference, tick=tick)


def join_sources(
    ids: pd.DataFrame | None, total: int, designs: Mapping[str, Any] | None, kernels: Mapping[str, Any] | None
) -> Joined:
    """Join `total` rows of a response, with their sample ids or without, to designs and kernels by name.

    What has no ids, or everything when the response has none, must match the response row by row. Raises OptionError
    (names), ShapeError (numbers of rows), AlignmentError (nobody shared), KernelError, DataError.
    """
    named = tuple(_named(designs, kernels))
    return Joined(named=named, ids=ids, alignment=_align(ids, total, named))


def split_ids(y: Any) -> tuple[pd.DataFrame | None, Any]:
    """Columns FID and IID of a response that is a data frame, None without IID, and what is left of it.

    In pandas they may also be levels of the index.
    """
    if isinstance(y, pd.DataFrame | pd.Series) and "IID" in y.index.names:
        levels = y.index.to_frame(index=False)
        return levels[[name for name in SAMPLE_COLUMNS if name in levels.columns]], y.reset_index(drop=True)
    frame = try_frame(y)
    if frame is None or "IID" not in frame.columns:
        return None, y
    there = [name for name in SAMPLE_COLUMNS if name in frame.columns]
    ids = pd.DataFrame({name: frame[name].to_list() for name in there})
    return ids, frame.drop(there).to_native()


def given_ids(sample_ids: Any, data: Any = None) -> pd.DataFrame | None:
    """Sample ids as a table: those given, or the columns FID and IID of the data, or None."""
    if sample_ids is not None:
        return sample_table(sample_ids, RESPONSE)
    ids = None if data is None else select_ids(data)
    return None if ids is None else sample_table(ids, RESPONSE)


def _named(designs: Mapping[str, Any] | None, kernels: Mapping[str, Any] | None) -> Iterator[_Named]:
    for what, given in (("designs", designs), ("kernels", kernels)):
        if given is not None and not isinstance(given, Mapping):
            raise OptionError(f"{what} must be a mapping of names to data, for instance {what}={{'snps': ...}}.")
    designs, kernels = designs or {}, kernels or {}
    both = [name for name in designs if name in kernels]
    if both:
        raise OptionError(f"'{both[0]}' names a design and a kernel: give each term its own name.")
    for name, data in designs.items():
        _check_name(name)
        if isinstance(data, StandardisedDesign):
            yield _Named(name=name, rows=data.n, ids=data.sample_ids, source=data)
        else:
            source = as_source(data, name)
            yield _Named(name=name, rows=source.n_samples, ids=source.sample_ids, source=source)
    for name, data in kernels.items():
        _check_name(name)
        values = data.values if isinstance(data, RelationshipMatrix) else data
        if is_masked(values):
            raise DataError(f"Kernel '{name}' has masked entries. Fill them in, or leave these rows and columns out.")
        matrix = real_numbers(values, f"Kernel '{name}'")
        if matrix.dtype not in (np.float64, np.float32):  # differences of small integers would wrap around
            matrix = matrix.astype(np.float64)
        check_symmetric(matrix, f"Kernel '{name}'")
        ids = data.sample_ids if isinstance(data, RelationshipMatrix) else None
        yield _Named(name=name, rows=len(matrix), ids=ids, kernel=matrix)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise OptionError(f"The name of a term must be text, not {name!r}.")
    if name == RESIDUAL:
        raise OptionError(f"'{RESIDUAL}' is the name of the last component: give the term another name.")


def _align(ids: pd.DataFrame | None, total: int, named: tuple[_Named, ...]) -> Alignment | None:
    if ids is not None and len(ids) != total:
        raise ShapeError(f"There are {len(ids)} sample ids for {total} responses.")
    with_ids = {item.name: item.ids for item in named if item.ids is not None and ids is not None}
    for item in named:
        if item.name not in with_ids and item.rows != total:
            hint = " Pass sample_ids= for the response to join them by id." if item.ids is not None else ""
            kind = "Design" if item.kernel is None else "Kernel"
            raise ShapeError(f"{kind} '{item.name}' has {item.rows:,} rows, the response {total:,}.{hint}")
    return None if ids is None or not with_ids else align({RESPONSE: ids, **with_ids})


def _rows_of(item: _Named, used: Index, positions: Mapping[str, Index]) -> Index:
    """Rows of a source for the rows of the response that are used (positions in the input)."""
    if item.name not in positions:
        return used
    lookup = dict(zip(positions[RESPONSE].tolist(), positions[item.name].tolist(), strict=True))
    return np.array([lookup[row] for row in used.tolist()], dtype=np.intp)


def _is_all(rows: Index, total: int) -> bool:
    return len(rows) == total and bool((rows == np.arange(total)).all())


def _submatrix(matrix: Any, rows: Index) -> Square:
    """A float64 copy of some rows and columns, Fortran order; no other array of its size."""
    if _is_all(rows, len(matrix)):
        return np.array(matrix, dtype=np.float64, order="F")
    part = np.empty((len(rows), len(rows)), order="F")
    for start in range(0, len(rows), COPIED_COLUMNS):
        columns = slice(start, start + COPIED_COLUMNS)
        part[:, columns] = matrix[np.ix_(rows, rows[columns])]
    return part


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
