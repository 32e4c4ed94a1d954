"""Pieces of a stream: read again for each evaluation, so that no more than one of them is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, overload

from varmix.errors import DataError
from varmix.models.random_effect_mixture.reduction import Scales, reduce_rows
from varmix.models.random_effect_mixture.stream.rows import (
    CheckedChunk,
    Columns,
    OnMissing,
    Place,
    Rows,
    checked,
    regular,
)
from varmix.models.random_effect_mixture.units import Units
from varmix.tables.chunks import Source

PIECE_ROWS = 131_072
"""Rows of a piece: 2 MB of units, thousands of evaluations' fixed costs away from mattering, and enough of them for
threads at a million rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reader:
    """A source with what its columns mean."""

    source: Source
    columns: Columns
    on_missing: OnMissing = "error"

    def chunks(self, keep: bool = False) -> Iterator[tuple[Any, CheckedChunk, Place]]:
        """Each chunk as it comes, its rows, and where it stands; with `keep` files give the columns to keep, too.

        Raises DataError and NotFiniteError with chunk and row.
        """
        names = tuple(dict.fromkeys((*self.columns.wanted, *(self.columns.keep if keep else ()))))
        first = 0
        for number, chunk in enumerate(self.source(names)):
            place = Place(chunk=number, first=first)
            found = checked(chunk, self.columns, place, on_missing=self.on_missing)
            first += len(found.kept)
            yield chunk, found, place

    def rows(self) -> Iterator[Rows]:
        """The rows of each chunk."""
        return (found.rows for _, found, _ in self.chunks())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RereadPieces(Sequence[Units]):
    """Units of ungrouped rows, `PIECE_ROWS` at a time, read from the source each time they are gone through.

    Raises DataError while iterating when the source gives another number of rows than at its first reading.
    """

    reader: Reader
    scales: Scales
    rows: int

    def __len__(self) -> int:
        return -(-self.rows // PIECE_ROWS)

    def __iter__(self) -> Iterator[Units]:
        seen = 0
        for rows in regular(self.reader.rows(), PIECE_ROWS):
            seen += len(rows)
            if seen > self.rows:
                break
            yield reduce_piece(rows, self.scales)
        if seen != self.rows:
            again = "more" if seen > self.rows else f"{seen:,}"
            raise DataError(
                f"The source gave {self.rows:,} rows when it was first read, and {again} when it was read again. Pass "
                "one that gives the same rows each time: a function that makes a new iterator, not one that returns a "
                "used one."
            )

    @overload
    def __getitem__(self, index: int) -> Units: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Units, ...]: ...
    def __getitem__(self, index: int | slice) -> Units | tuple[Units, ...]:
        """One piece or several, found by reading up to them."""
        places = range(len(self))[index]
        if isinstance(places, int):
            return next(islice(iter(self), places, None))
        wanted = set(places)
        found = {place: piece for place, piece in enumerate(self) if place in wanted}
        return tuple(found[place] for place in places)


def reduce_piece(rows: Rows, scales: Scales) -> Units:
    """Units of whitened, ungrouped rows in common scales."""
    return reduce_rows(rows.y, rows.x, weights=rows.weight, scales=scales).units
