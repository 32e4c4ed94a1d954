"""A Dask collection reduced where it lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dask.delayed import Delayed, delayed

from varmix.distributed.pieces import DaskPieces
from varmix.distributed.runner import DaskRunner, tree_sum
from varmix.errors import OptionError
from varmix.models.random_effect_mixture.reduction import Scales
from varmix.models.random_effect_mixture.stream.facts import RowFacts
from varmix.models.random_effect_mixture.stream.groups import GroupRecords
from varmix.models.random_effect_mixture.stream.pieces import Reader, reduce_piece
from varmix.models.random_effect_mixture.stream.reduction import StreamReduction, check_facts, grouped_reduction
from varmix.models.random_effect_mixture.stream.rows import Columns, OnMissing, Place, checked
from varmix.models.random_effect_mixture.units import Units


def pieces_of(collection: Any, columns: Columns, *, client: Any = None, on_missing: OnMissing = "error") -> DaskPieces:
    """Units of the rows of each partition, held on the workers, in the scales of `collection_reduction`.

    `collection` is a Dask data frame or a list of delayed data frames, without groups (those need
    `collection_reduction`). Raises as `collection_reduction` does.
    """
    if columns.group is not None:
        raise OptionError(
            "Rows of a group can lie in several partitions, so the pieces are not those of the partitions: use "
            "collection_reduction, which merges them first."
        )
    found = collection_reduction(collection, columns, client=client, on_missing=on_missing)
    assert isinstance(found.pieces, DaskPieces)
    return found.pieces


def collection_reduction(
    collection: Any, columns: Columns, *, client: Any = None, cache: bool = True, on_missing: OnMissing = "error"
) -> StreamReduction:
    """What `stream_reduction` is to a stream: one pass for the scales, then units that stay on the workers.

    Groups are reduced within partitions and merged pairwise; their records, five numbers each, come here. Without
    `cache` the units are not held: every evaluation computes the collection again.

    Raises OptionError (another kind of collection), DataError, NotFiniteError (partition and row).
    """
    partitions = partitions_of(collection)
    runner = DaskRunner(client)
    tasks = [delayed(partial(_scan, columns, on_missing, number), pure=False)(p) for number, p in enumerate(partitions)]
    scan: _Scan = runner.compute(tree_sum(tasks))
    reader = Reader(source=_Partitions(tuple(partitions), runner), columns=columns, on_missing=on_missing)
    if scan.records is not None:
        return grouped_reduction(reader, scan.facts, scan.records)
    check_facts(scan.facts)
    reduce = partial(_reduce, columns, on_missing, scan.facts.scales)
    units = tuple(delayed(reduce, pure=False)(partition) for partition in partitions)
    pieces = DaskPieces(units=runner.persist(units) if cache else units, client=client)
    return StreamReduction(pieces=pieces, reader=reader, facts=scan.facts, runner=runner)


def partitions_of(collection: Any) -> list[Delayed]:
    """Tasks that give data frames. Raises OptionError for what is no Dask data frame nor a list of delayed ones."""
    if hasattr(collection, "to_delayed") and hasattr(collection, "partitions") and hasattr(collection, "columns"):
        return list(collection.to_delayed())
    if isinstance(collection, Delayed):
        return [collection]
    if isinstance(collection, list | tuple) and collection and all(isinstance(item, Delayed) for item in collection):
        return list(collection)
    raise OptionError(
        f"A Dask collection of type {type(collection).__name__} is not known. Pass a Dask data frame, or a list of "
        "delayed data frames: dask.dataframe.from_dask_array(array, columns=[...]) makes one of an array."
    )


class _Scan:
    """Facts, and with groups their records, of some partitions; both add."""

    def __init__(self, facts: RowFacts, records: GroupRecords | None) -> None:
        self.facts, self.records = facts, records

    def __add__(self, other: _Scan) -> _Scan:
        both = self.records is not None and other.records is not None
        return _Scan(self.facts + other.facts, self.records + other.records if both else None)  # type: ignore[operator]


def _scan(columns: Columns, on_missing: OnMissing, number: int, frame: Any) -> _Scan:
    found = checked(frame, columns, _place(number), on_missing=on_missing)
    return _Scan(RowFacts.of(found), None if columns.group is None else GroupRecords.of(found.rows))


def _reduce(columns: Columns, on_missing: OnMissing, scales: Scales, frame: Any) -> Units:
    return reduce_piece(checked(frame, columns, _place(0), on_missing=on_missing).rows, scales)


def _place(number: int) -> Place:
    return Place(chunk=number, first=0 if number == 0 else None)


@dataclass(frozen=True, slots=True)
class _Partitions:
    """The partitions one after the other, here: for what is written row by row."""

    partitions: tuple[Any, ...]
    runner: DaskRunner

    def __call__(self, names: Sequence[str]) -> Iterator[Any]:
        return (self.runner.compute(partition[list(names)]) for partition in self.partitions)
