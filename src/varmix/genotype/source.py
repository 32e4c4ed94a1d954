"""Where variant blocks come from: arrays in memory, and parts of other sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, DataError, NotAvailableError, NotFiniteError, OptionError, ShapeError
from varmix.genotype.missing_codes import refuse_missing_codes
from varmix.tables.frame import try_frame
from varmix.tables.given_ids import named_column, with_ids
from varmix.tables.identifiers import VARIANT_COLUMNS, label_text
from varmix.tables.labels import Labels, labelled
from varmix.tables.numbers import real_numbers
from varmix.typing import Index, Matrix


@runtime_checkable
class GenotypeSource(Protocol):
    """Samples by variants, read in blocks of columns; missing calls are NaN."""

    @property
    def name(self) -> str:
        """What to call the source in messages and tables."""

    @property
    def n_samples(self) -> int:
        """Number of rows."""

    @property
    def n_variants(self) -> int:
        """Number of columns."""

    @property
    def sample_ids(self) -> pd.DataFrame | None:
        """Columns FID and IID (text), in row order; None when the source does not know them."""

    @property
    def variants(self) -> pd.DataFrame | None:
        """Columns chromosome, id, position, allele_1, allele_2, in column order; None when unknown."""

    def read(self, rows: Index | None, start: int, stop: int) -> Matrix:
        """Columns start to stop, shape (n_rows, stop - start), float64, Fortran order, fresh memory."""

    def read_at(self, rows: Index | None, columns: Index) -> Matrix:
        """The columns named, shape (n_rows, len(columns)), float64, Fortran order, fresh memory."""


class ArraySource:
    """A design held in memory.

    `X` is (n, p): a NumPy array or any data frame narwhals accepts; numbers, NaN for missing. `names` are p variant ids
    (a data frame brings its own), `sample_ids` n ids (text IIDs, a data frame with FID and IID, or the name of a column
    of X); a data frame's own are its columns FID and IID, or its index. `labels` are what its rows are called.
    `missing` is a number that stands for a missing call too, such as -9; NaN says that there is none. Raises ShapeError
    (not two-dimensional, or ids that do not fit), DataError (not numeric; without `missing`, counts 0 to 2 beside a
    number that other programs write for missing), NotFiniteError (infinity).
    """

    __slots__ = ("_missing", "_sample_ids", "_values", "_variant_ids", "labels", "name")

    def __init__(
        self,
        X: Any,
        names: Sequence[str] | None = None,
        sample_ids: pd.DataFrame | Sequence[str] | str | None = None,
        *,
        missing: float | None = None,
        name: str = "design",
    ) -> None:
        self.name = name
        column = named_column(sample_ids)
        labels, X = labelled(X, name, column)
        if column is not None and labels.ids is None:
            raise AlignmentError(f"Design '{name}' has no column '{column}' of sample ids. Name one, or give the ids.")
        values, own_names = _numeric_array(X, name)
        if missing is None:
            refuse_missing_codes(values, name)
        self._missing = np.nan if missing is None else float(missing)
        names = own_names if names is None else [label_text(item) for item in names]
        if names is not None and len(names) != values.shape[1]:
            raise ShapeError(
                f"Design '{name}' has {values.shape[1]:,} columns and {len(names):,} names. Give one name per column."
            )
        self._values = values
        self._variant_ids = names
        if sample_ids is not None and column is None:
            labels = with_ids(labels, sample_ids, name)
        self._sample_ids = labels.table()
        self.labels = labels

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self._values.shape[0])

    @property
    def n_variants(self) -> int:
        """Number of columns."""
        return int(self._values.shape[1])

    @property
    def sample_ids(self) -> pd.DataFrame | None:
        """Columns FID and IID, or None."""
        return self._sample_ids

    @property
    def variants(self) -> pd.DataFrame | None:
        """The ids with chromosome, position and alleles marked unknown ('0'), or None without names."""
        if self._variant_ids is None:
            return None
        unknown = {"chromosome": "0", "id": self._variant_ids, "position": 0, "allele_1": "0", "allele_2": "0"}
        return pd.DataFrame(unknown)[list(VARIANT_COLUMNS)]

    def read(self, rows: Index | None, start: int, stop: int) -> Matrix:
        """See GenotypeSource."""
        part = self._values[:, start:stop]
        if rows is None:
            return self._marked(np.array(part, dtype=np.float64, order="F"))
        return self._marked(np.asfortranarray(part[rows], dtype=np.float64))

    def read_at(self, rows: Index | None, columns: Index) -> Matrix:
        """See GenotypeSource."""
        part = self._values[:, columns] if rows is None else self._values[np.ix_(rows, columns)]
        return self._marked(np.asfortranarray(part, dtype=np.float64))

    def _marked(self, block: Matrix) -> Matrix:
        """A block of its own memory with NaN where the missing code was."""
        if not np.isnan(self._missing):
            block[block == self._missing] = np.nan
        return block


class SourceSlice:
    """Some variants of another source, in the order given: for example one kernel per annotation.

    `columns` are positions in `source`, without repeats. Raises OptionError for positions outside the source or
    repeated.
    """

    __slots__ = ("_columns", "_source", "name")

    def __init__(self, source: GenotypeSource, columns: Index, *, name: str | None = None) -> None:
        columns = np.asarray(columns, dtype=np.intp)
        if columns.ndim != 1 or columns.size == 0:
            raise OptionError(f"A part of '{source.name}' needs at least one variant. Give the positions to keep.")
        outside = (columns < 0) | (columns >= source.n_variants)
        if outside.any():
            raise OptionError(
                f"Variant position {columns[outside][0]} is outside '{source.name}', which has {source.n_variants:,} "
                "variants. Positions count from 0."
            )
        if np.unique(columns).size != columns.size:
            raise OptionError(f"A part of '{source.name}' names a variant twice. Give every position once.")
        self._source = source
        self._columns = columns
        self.name = source.name if name is None else name

    @property
    def source(self) -> GenotypeSource:
        """The source this is a part of."""
        return self._source

    @property
    def columns(self) -> Index:
        """Positions in `source`."""
        return self._columns

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self._source.n_samples

    @property
    def n_variants(self) -> int:
        """Number of columns."""
        return int(self._columns.size)

    @property
    def sample_ids(self) -> pd.DataFrame | None:
        """Those of the source."""
        return self._source.sample_ids

    @property
    def variants(self) -> pd.DataFrame | None:
        """The rows of the source's table that belong to this part."""
        table = self._source.variants
        return None if table is None else table.iloc[self._columns].reset_index(drop=True)

    def read(self, rows: Index | None, start: int, stop: int) -> Matrix:
        """See GenotypeSource."""
        return self.read_at(rows, np.arange(start, min(stop, self.n_variants)))

    def read_at(self, rows: Index | None, columns: Index) -> Matrix:
        """See GenotypeSource."""
        return self._source.read_at(rows, self._columns[columns])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedSource:
    """What is known of a source whose values are no longer at hand: enough to apply its standardisation to new rows."""

    name: str
    n_variants: int
    variants: pd.DataFrame | None

    @property
    def n_samples(self) -> int:
        """No rows are kept."""
        return 0

    @property
    def sample_ids(self) -> None:
        """Not kept."""
        return None

    def read(self, rows: Index | None, start: int, stop: int) -> Matrix:
        """Raises NotAvailableError."""
        raise self._unavailable()

    def read_at(self, rows: Index | None, columns: Index) -> Matrix:
        """Raises NotAvailableError."""
        raise self._unavailable()

    def _unavailable(self) -> NotAvailableError:
        return NotAvailableError(
            f"Only the variants of '{self.name}' were kept, not its genotypes. Apply the design to the data again."
        )


def as_source(data: Any, name: str = "design", id_column: str | None = None) -> GenotypeSource:
    """A source as it is; an array or data frame as an ArraySource, whose rows `id_column` may name.

    Raises what ArraySource raises.
    """
    if isinstance(data, GenotypeSource):
        return data
    frame = None if id_column is None else try_frame(data)
    own = id_column if frame is not None and id_column in frame.columns else None
    return ArraySource(data, sample_ids=own, name=name)


def row_labels(source: GenotypeSource) -> Labels:
    """What the rows of a source are called: ids of people, of a data frame its index, too."""
    if isinstance(source, SourceSlice):
        return row_labels(source.source)
    if isinstance(source, ArraySource):
        return source.labels
    return Labels(rows=source.n_samples, ids=source.sample_ids)


def check_rows(rows: Any, n_samples: int, name: str) -> Index | None:
    """Row positions as an Index, or None for all. Raises AlignmentError for positions outside or a mask that
    does not fit."""
    if rows is None:
        return None
    given = np.asarray(rows)
    if given.dtype == np.bool_:
        if given.shape != (n_samples,):
            raise AlignmentError(
                f"The row mask has shape {given.shape}, and '{name}' has {n_samples:,} rows. Give one entry per row."
            )
        given = np.flatnonzero(given)
    if given.size == 0:
        raise AlignmentError(f"No rows of '{name}' are left. Check the sample ids of the tables that are joined.")
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
        raise AlignmentError(f"Rows of '{name}' must be integer positions, one dimension; got {given.dtype}.")
    if given.min() < 0 or given.max() >= n_samples:
        raise AlignmentError(
            f"Row positions of '{name}' run from {given.min()} to {given.max()}, and it has {n_samples:,} rows "
            "(counted from 0)."
        )
    return given.astype(np.intp, copy=False)


def _numeric_array(X: Any, name: str) -> tuple[np.ndarray[Any, Any], list[str] | None]:
    own_names = None
    if not isinstance(X, np.ndarray):
        try:
            frame = nw.from_native(X, eager_only=True, pass_through=True)
        except nw.exceptions.DuplicateError as error:
            raise DataError(f"Design '{name}' has two columns of the same name: {error}. Rename one.") from error
        if isinstance(frame, nw.DataFrame):
            own_names = [label_text(column) for column in frame.columns]
            for column, series in zip(frame.columns, frame.iter_columns(), strict=True):
                kind = series.dtype
                if not (kind.is_numeric() or kind == nw.Boolean):
                    held = getattr(series.to_native(), "dtype", kind)
                    raise DataError(f"Column '{column}' of design '{name}' holds {held}, not numbers. Encode it first.")
            truths = [column for column in frame.columns if frame.schema[column] == nw.Boolean]
            X = frame.with_columns(nw.col(*truths).cast(nw.Int8)).to_numpy() if truths else frame.to_numpy()
    values = real_numbers(X, f"Design '{name}'")
    if values.ndim != 2:
        raise ShapeError(
            f"Design '{name}' has shape {values.shape}; it must be two-dimensional, samples by variants. "
            "Reshape one column to (n, 1)."
        )
    if values.size == 0:
        raise ShapeError(
            f"Design '{name}' has shape {values.shape}: it is empty. Give at least one row and one column."
        )
    if values.dtype.kind == "f":
        _refuse_infinity(values, name, own_names)
    return values, own_names


def _refuse_infinity(values: np.ndarray[Any, Any], name: str, names: list[str] | None) -> None:
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):
            return
    infinite = np.isinf(values)
    if not infinite.any():
        return
    row, column = (int(item) for item in np.argwhere(infinite)[0])
    label = f" ('{names[column]}')" if names else ""
    raise NotFiniteError(
        f"Design '{name}' is infinite at row {row}, column {column}{label} (counted from 0; {int(infinite.sum()):,} "
        "such entries). Correct it, or mark it missing with NaN."
    )
