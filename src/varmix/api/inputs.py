"""From what users pass to aligned data: one design of fixed effects, standardised designs, kernels, and what was
lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, DataError, OptionError
from varmix.formula import Design, design_from_arrays, design_from_formula
from varmix.genotype import GenotypeSource, Reference, RelationshipMatrix, Scaling, as_source, standardise
from varmix.genotype.design import StandardisedDesign, design_labels
from varmix.genotype.source import row_labels
from varmix.linalg.symmetric import check_symmetric
from varmix.models.linear.model import RESIDUAL, Term
from varmix.tables.alignment import Alignment, join, warn_of_loss
from varmix.tables.frame import mapping_frame, try_frame
from varmix.tables.given_ids import named_column, with_ids
from varmix.tables.identifiers import refuse_duplicates
from varmix.tables.labels import Labels, column_labels, labelled, rows_at
from varmix.tables.numbers import is_masked, real_numbers
from varmix.typing import Index, Square, Tick

RESPONSE, COVARIATES = "response", "covariates"
"""Names of the table that holds y, and of covariates beside it, in alignments and messages."""

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
    """Sources of random terms joined with the response: by label where both sides have any, else by position."""

    named: tuple[Source, ...]
    alignment: Alignment
    covariates: Any
    """In the order of the response's rows; those that `rows` leaves out hold nothing of meaning."""
    labels: Labels
    """Those of the response."""
    id_column: str | None

    @property
    def by_position(self) -> bool:
        """Whether nothing is joined by label."""
        return self.alignment.matched_by == "position"

    @property
    def rows(self) -> Index | None:
        """Positions of the response's rows that are in every source; None for all."""
        return None if self.by_position else self.alignment.positions[RESPONSE]

    def complete(self, design: Design, *, scaling: Scaling, reference: Reference, tick: Tick | None = None) -> Inputs:
        """Designs standardised and kernels copied for the rows that the fixed part uses."""
        rows = {item.name: self._rows_of(item.name, design.rows) for item in self.named}
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
                training=None if item.kernel is None else self._training(item, rows[item.name], design.rows),
                id_column=self.id_column,
            )
            for item in self.named
        )
        return Inputs(
            design=design,
            terms=terms,
            standardised=tuple(standardised.values()),
            kernels=tuple(_submatrix(item.kernel, rows[item.name]) for item in self.named if item.kernel is not None),
            alignment=None if self.by_position else self.alignment,
        )

    def _training(self, item: Source, rows: Index, used: Index) -> Labels:
        """What the rows of a kernel are called: ids of the response, else the kernel's own labels, else what is left
        of the response's."""
        if self.labels.table() is not None or (self.labels.known and not item.labels.known):
            return self.labels.at(used)
        own = item.labels.known or (item.labels.counted and not self.labels.counted)
        return item.labels.at(rows) if own else self.labels.at(used)

    def _rows_of(self, name: str, used: Index) -> Index:
        """Rows of a source for the rows of the response that are used (positions in the input)."""
        shared = self.alignment.positions
        return shared[name][np.searchsorted(shared[RESPONSE], used)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """A source of a random term before it is joined: a design, standardised or not, or a kernel."""

    name: str
    labels: Labels
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
    if formula and try_frame(mapping_frame(data)) is None:
        raise DataError(f"A formula needs a data frame (pandas, polars, pyarrow, ...), not {type(data).__name__}.")
    labels, table = labelled_response(data if formula else y, sample_ids)
    joined = join_sources(labels, covariates, designs, kernels, id_column=named_column(sample_ids))
    if formula:
        design = design_from_formula(
            y,
            data,
            on_missing=on_missing or "drop",  # type: ignore[arg-type]
            sample_ids=labels.table(),
            rows=joined.rows,
            id_column=named_column(sample_ids),
        )
    else:
        design = design_from_arrays(
            table,
            joined.covariates,
            intercept=intercept,
            on_missing=on_missing or ("error" if joined.by_position else "drop"),  # type: ignore[arg-type]
            sample_ids=labels.table(),
            rows=joined.rows,
        )
    return joined.complete(design, scaling=scaling, reference=reference, tick=tick)


def join_sources(
    labels: Labels,
    covariates: Any,
    designs: Mapping[str, Any] | None,
    kernels: Mapping[str, Any] | None,
    *,
    id_column: str | None = None,
) -> Joined:
    """Join the rows of a response to covariates, designs and kernels by name, on what they are called.

    What has no labels, or everything when the response has none, must match the response row by row. Raises OptionError
    (names), ShapeError (numbers of rows), AlignmentError (labels that do not match), KernelError, DataError.
    """
    named = tuple(read_sources(designs, kernels, id_column))
    sources = {RESPONSE: labels}
    if covariates is not None:
        sources[COVARIATES], covariates = labelled(covariates, COVARIATES, id_column)
    alignment = join(sources | {item.name: item.labels for item in named})
    warn_of_loss(alignment)
    if covariates is not None and alignment.matched_by != "position":
        place = np.zeros(labels.rows, dtype=np.intp)
        place[alignment.positions[RESPONSE]] = alignment.positions[COVARIATES]
        covariates = rows_at(covariates, place)
    return Joined(named=named, alignment=alignment, covariates=covariates, labels=labels, id_column=id_column)


def labelled_response(y: Any, sample_ids: Any) -> tuple[Labels, Any]:
    """Labels of a response (or of the data of a formula), and what is left of it.

    `sample_ids` are n ids, a table of them, or the name of a column of every table; without them columns FID and IID,
    or the index. Raises AlignmentError (a person twice), ShapeError (another number of ids).
    """
    column = named_column(sample_ids)
    labels, table = labelled(y, RESPONSE, column)
    if column is not None and labels.ids is None:
        raise OptionError(f"sample_ids={column!r} is no column of the response's table. Name one, or give the ids.")
    if column is None and sample_ids is not None:
        labels = with_ids(labels, sample_ids, RESPONSE)
    if labels.ids is not None:
        refuse_duplicates(labels.ids, RESPONSE)
    return labels, table


def read_sources(
    designs: Mapping[str, Any] | None, kernels: Mapping[str, Any] | None, id_column: str | None = None
) -> Iterator[Source]:
    """Designs and kernels with the labels of their rows. Raises as `join_sources`."""
    for what, given in (("designs", designs), ("kernels", kernels)):
        if given is not None and not isinstance(given, Mapping):
            raise OptionError(f"{what} must be a mapping of names to data, for instance {what}={{'snps': ...}}.")
    designs, kernels = designs or {}, kernels or {}
    both = [name for name in designs if name in kernels]
    if both:
        raise OptionError(f"'{both[0]}' names a design and a kernel: give each term its own name.")
    for name, data in designs.items():
        _check_name(name)
        labels, source = labelled_design(data, name, id_column)
        yield Source(name=name, labels=labels, source=source)
    for name, data in kernels.items():
        _check_name(name)
        labels, values = _labelled_kernel(data, name, id_column)
        if is_masked(values):
            raise DataError(f"Kernel '{name}' has masked entries. Fill them in, or leave these rows and columns out.")
        matrix = real_numbers(values, f"Kernel '{name}'")
        if matrix.dtype not in (np.float64, np.float32):  # differences of small integers would wrap around
            matrix = matrix.astype(np.float64)
        check_symmetric(matrix, f"Kernel '{name}'")
        yield Source(name=name, labels=labels, kernel=matrix)


def labelled_design(
    data: Any, name: str, id_column: str | None = None
) -> tuple[Labels, GenotypeSource | StandardisedDesign]:
    """A design with the labels of its rows, which are never among its columns."""
    if not isinstance(data, StandardisedDesign):
        source = as_source(data, name, id_column)
        return row_labels(source), source
    return design_labels(data), data


def _labelled_kernel(data: Any, name: str, id_column: str | None) -> tuple[Labels, Any]:
    """A kernel with the labels of its rows; columns that are labelled in another order are put into that of the
    rows."""
    if isinstance(data, RelationshipMatrix):
        return Labels(rows=data.n_samples, ids=data.sample_ids), data.values
    labels, values = labelled(data, name, id_column)
    if try_frame(values) is None:
        return labels, values
    return kernel_columns(labels, values, name)


def kernel_columns(labels: Labels, values: Any, name: str) -> tuple[Labels, Any]:
    """A square data frame by its columns' labels, which name the rows where these have no labels of their own."""
    matrix, columns = np.asarray(values), column_labels(values, name)
    if not columns.known or matrix.shape[0] != matrix.shape[1]:
        return labels, matrix
    if not labels.known:
        return columns, matrix
    rows_name, columns_name = f"rows of kernel '{name}'", f"columns of kernel '{name}'"
    order = join({rows_name: labels, columns_name: columns})
    if order.n < labels.rows:
        raise AlignmentError(
            f"The rows and columns of kernel '{name}' are not of the same people (row '{order.first_lost[rows_name]}' "
            "has no column). Give both for everybody."
        )
    return labels, matrix[:, order.positions[columns_name]]


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise OptionError(f"The name of a term must be text, not {name!r}.")
    if name == RESIDUAL:
        raise OptionError(f"'{RESIDUAL}' is the name of the last component: give the term another name.")


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
