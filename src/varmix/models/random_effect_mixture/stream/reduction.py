"""A stream of rows reduced to what a fit needs, in one reading."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from varmix.errors import DataError, NotAvailableError, OptionError
from varmix.iteration import Runner, Serial
from varmix.models.random_effect_mixture.number_range import check_weight
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.reduction import Reduction, Scales, reduce_rows
from varmix.models.random_effect_mixture.stream.facts import RowFacts, outline_of
from varmix.models.random_effect_mixture.stream.groups import GroupRecords
from varmix.models.random_effect_mixture.stream.pieces import PIECE_ROWS, Reader, RereadPieces, reduce_piece
from varmix.models.random_effect_mixture.stream.rows import Columns, OnMissing, Rows, regular
from varmix.models.random_effect_mixture.units import Units
from varmix.tables.chunks import open_source
from varmix.tables.frame import try_frame
from varmix.typing import Tick, Vector

CACHE_BYTES = 2**30
"""Memory that reduced rows may take, at 16 bytes a row (24 with weights): 67 million rows."""

SERIAL = Serial()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamReduction:
    """What `reduce_rows` is to rows in memory: units in internal units, their scales, and how to read again.

    `pieces` are held in memory, read again for each evaluation, or on a cluster (`runner` then adds them up there).
    With groups, `grouped` is their reduction and `labels` (G,) their names in the order in which they came.
    """

    pieces: Sequence[Units]
    reader: Reader
    facts: RowFacts
    grouped: Reduction | None = None
    labels: pd.Index | None = None
    runner: Runner = SERIAL

    @property
    def scales(self) -> Scales:
        """Powers of two between the data and internal units."""
        return self.facts.scales

    @property
    def log_jacobian(self) -> float:
        """What to add to the internal log-likelihood for that of the data."""
        return self.facts.log_jacobian()

    @property
    def groups(self) -> int:
        """Independent units, those with x = 0 included: groups, or rows where there are none."""
        return self.facts.rows if self.grouped is None else self.grouped.groups

    @property
    def distinct(self) -> int:
        """Distinct values of q = x'x > 0 among the units; of rows not more than `facts.DISTINCT` are told apart."""
        if self.grouped is None:
            return int(np.count_nonzero(self.facts.squares))
        return len(np.unique(self.grouped.units.q))

    @property
    def units(self) -> Units:
        """Those of groups. Raises NotAvailableError for rows: they are not held for draws from the model."""
        if self.grouped is None:
            raise NotAvailableError(
                "Draws of new responses (bootstrap, tests of the number of classes) need all rows in memory, and this "
                "fit read them as a stream. Fit the table itself, or a part of it: data=pandas.read_csv(...)."
            )
        return self.grouped.units

    def outline(self) -> Reduction:
        """What `check_identified` and `unbounded_rows` need to see. Goes through the units where some x vanish."""
        if self.grouped is not None:
            return self.grouped
        return self.facts.outline() if self.facts.squares.all() else outline_of(self.pieces, self.scales)

    def outward(self, params: MixtureParams) -> Vector:
        """(v, s, pi) of a point in the units of the data."""
        return self.scales.outward(params.vector())

    def units_sample(self, count: int, rng: np.random.Generator) -> Units:
        """`count` units at random without replacement, or all; what is left over of the others is in proportion.

        Reads the pieces once.
        """
        total = self.facts.regressor.count if self.grouped is None else len(self.grouped.units)
        chosen = np.arange(total) if count >= total else np.sort(rng.choice(total, count, replace=False, shuffle=False))
        parts, first, rest, rest_rows = [], 0, 0.0, 0.0
        for piece in self.pieces:
            start, stop = np.searchsorted(chosen, (first, first + len(piece)))
            parts.append(_taken(piece, chosen[start:stop] - first))
            first, rest, rest_rows = first + len(piece), rest + piece.rest, rest_rows + piece.rest_rows
        share = len(chosen) / total if total else 1.0
        weights = [part.weight for part in parts if part.weight is not None]
        return Units(
            q=np.concatenate([part.q for part in parts]),
            h2=np.concatenate([part.h2 for part in parts]),
            weight=np.concatenate(weights) if weights else None,
            rest=rest * share,
            rest_rows=rest_rows * share,
        )

    def posterior_chunks(self) -> Iterator[PosteriorChunk]:
        """The data once more for what is told of each row or group, in input order, a chunk at a time.

        Raises DataError when the source gives other rows than at first.
        """
        return self._row_chunks() if self.grouped is None else self._group_chunks(self.grouped)

    def _row_chunks(self) -> Iterator[PosteriorChunk]:
        seen = 0
        for chunk, found, place in self.reader.chunks(keep=True):
            rows = found.rows
            seen += len(rows)
            if len(rows):
                yield PosteriorChunk(
                    labels=pd.Index(np.flatnonzero(found.kept) + (place.first or 0)),
                    kept_columns=_kept_columns(chunk, self.reader.columns, np.flatnonzero(found.kept)),
                    reduction=reduce_rows(rows.y, rows.x, weights=rows.weight, scales=self.scales),
                )
        if seen != self.facts.rows:
            raise DataError(
                f"The source gave {self.facts.rows:,} rows when it was fitted and {seen:,} now. Pass a source that "
                "gives the same rows each time."
            )

    def _group_chunks(self, grouped: Reduction) -> Iterator[PosteriorChunk]:
        labels = pd.RangeIndex(grouped.groups) if self.labels is None else self.labels
        for start in range(0, grouped.groups, PIECE_ROWS):
            part = slice(start, start + PIECE_ROWS)
            low, high = np.searchsorted(grouped.informative, (start, start + PIECE_ROWS))
            units = grouped.units
            yield PosteriorChunk(
                labels=labels[part],
                kept_columns=pd.DataFrame(index=pd.RangeIndex(len(labels[part]))),
                reduction=replace(
                    grouped,
                    units=Units(
                        q=units.q[low:high],
                        h2=units.h2[low:high],
                        weight=None if units.weight is None else units.weight[low:high],
                    ),
                    q=grouped.q[part],
                    xy=grouped.xy[part],
                    rows=grouped.rows[part],
                    informative=grouped.informative[low:high] - start,
                    log_jacobian=0.0,
                ),
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PosteriorChunk:
    """Some rows or groups in input order: their numbers or names, the columns kept, and what they reduce to, each (n,).

    `reduction` is in the scales of the whole; it has no likelihood of its own (groups' left-over rows are not in it).
    """

    labels: pd.Index
    kept_columns: pd.DataFrame
    reduction: Reduction


def stream_reduction(
    source: Any,
    columns: Columns,
    *,
    cache: bool = True,
    cache_bytes: int = CACHE_BYTES,
    on_missing: OnMissing = "error",
    tick: Tick | None = None,
) -> StreamReduction:
    """Read `source` once; `open_source` says what it can be, and a Dask collection is reduced where it lies.

    Groups are reduced to five numbers each, wherever their rows are. Other rows are held reduced (16 bytes a row) with
    `cache` and while they take no more than `cache_bytes`; else they are read again for each evaluation. `tick` is
    called with the rows of each chunk.

    Raises OptionError, DataError, NotFiniteError (with chunk and row), MissingFileError, FileFormatError and
    MissingExtraError.
    """
    if on_missing not in get_args(OnMissing):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use one of {', '.join(get_args(OnMissing))}.")
    if is_dask(source):
        home = importlib.import_module("varmix.distributed")
        found: StreamReduction = home.collection_reduction(source, columns, cache=cache, on_missing=on_missing)
        return found
    text = columns.keep if columns.group is None else (columns.group, *columns.keep)
    reader = Reader(source=open_source(source, text=text), columns=columns, on_missing=on_missing)
    scan = _Scan(tick)
    rows = regular(scan.rows(reader), PIECE_ROWS)
    if columns.group is not None:
        return _of_groups(reader, scan, rows)
    held = _held(rows, cache_bytes if cache else 0)
    check_facts(scan.facts)
    scales, count = scan.facts.scales, scan.facts.rows
    pieces: Sequence[Units] = RereadPieces(reader=reader, scales=scales, rows=count)
    if held is not None:
        pieces = tuple(reduce_piece(held.pop(0), scales) for _ in range(len(held)))
    return StreamReduction(pieces=pieces, reader=reader, facts=scan.facts)


def grouped_reduction(reader: Reader, facts: RowFacts, records: GroupRecords) -> StreamReduction:
    """Of rows that share effects, from the records of their groups."""
    check_facts(facts)
    weighted = reader.columns.weights is not None
    grouped = records.reduction(facts.scales, facts.log_jacobian(), weighted=weighted)
    pieces = grouped.units.split(-(-len(grouped.units) // PIECE_ROWS))
    return StreamReduction(pieces=pieces, reader=reader, facts=facts, grouped=grouped, labels=records.labels)


def check_facts(facts: RowFacts) -> None:
    """Raises DataError for a source without rows, weight or responses, or of weights out of range."""
    if not facts.rows:
        lost = f" ({facts.dropped:,} were dropped for missing entries)" if facts.dropped else ""
        raise DataError(f"The source gave no rows{lost} in {facts.chunks:,} chunks. Check what it yields.")
    if not facts.weight > 0.0:
        raise DataError("All weights are 0: no row counts. Give some rows a positive weight.")
    check_weight(facts.weight / facts.rows)
    if not facts.response.count:
        raise DataError(
            "Every response y is 0: all variances are estimated 0 and the likelihood has no bound. Check the column."
        )


def is_dask(source: Any) -> bool:
    """Whether it is a Dask collection, or a list of delayed frames; Dask is not imported to see that."""
    first = source[0] if isinstance(source, list | tuple) and source else source
    return type(first).__module__.partition(".")[0] in ("dask", "dask_expr")


class _Scan:
    """Facts of the chunks that have gone through."""

    def __init__(self, tick: Tick | None) -> None:
        self.facts, self._tick = RowFacts(), tick

    def rows(self, reader: Reader) -> Iterator[Rows]:
        for _, found, _ in reader.chunks():
            self.facts = self.facts + RowFacts.of(found)
            yield found.rows
            if self._tick is not None:
                self._tick(len(found.kept))


def _of_groups(reader: Reader, scan: _Scan, rows: Iterator[Rows]) -> StreamReduction:
    records: GroupRecords | None = None
    for part in rows:
        found = GroupRecords.of(part)
        records = found if records is None else records + found
    check_facts(scan.facts)
    return grouped_reduction(reader, scan.facts, GroupRecords.of(_no_rows()) if records is None else records)


def _held(rows: Iterator[Rows], allowed: int) -> list[Rows] | None:
    """All rows, or None where they take more memory than is allowed; the rest of them is gone through all the same."""
    held: list[Rows] | None = []
    taken = 0
    for part in rows:
        taken += len(part) * (16 if part.weight is None else 24)
        if taken > allowed:
            held = None
        if held is not None:  # copies: a view would keep the whole chunk that it is of
            held.append(
                Rows(y=part.y.copy(), x=part.x.copy(), weight=None if part.weight is None else part.weight.copy())
            )
    return held


def _no_rows() -> Rows:
    return Rows(y=np.empty(0), x=np.empty(0), group=np.empty(0, dtype=object))


def _taken(piece: Units, index: Any) -> Units:
    return Units(
        q=piece.q[index], h2=piece.h2[index], weight=None if piece.weight is None else piece.weight[index]
    )  # fmt: skip


def _kept_columns(chunk: Any, columns: Columns, kept: Any) -> pd.DataFrame:
    frame = try_frame(chunk)
    table = pd.DataFrame({name: frame[name].to_numpy() if frame is not None else chunk[name] for name in columns.keep})
    return table.iloc[kept].reset_index(drop=True) if columns.keep else pd.DataFrame(index=pd.RangeIndex(len(kept)))
