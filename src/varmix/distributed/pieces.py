"""Units of the partitions of a collection, each where its partition was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from dask.delayed import Delayed

from varmix.models.random_effect_mixture.units import Units


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DaskPieces(Sequence[Units]):
    """What `DaskRunner` adds up remotely; whoever goes through it instead gets one partition's units after the other.

    `units` are tasks that give `Units`; `client` a `distributed.Client`, or None for Dask's current scheduler.
    """

    units: tuple[Delayed, ...]
    client: Any = None

    def __len__(self) -> int:
        return len(self.units)

    def __iter__(self) -> Iterator[Units]:
        return (self._fetched(task) for task in self.units)

    @overload
    def __getitem__(self, index: int) -> Units: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Units, ...]: ...
    def __getitem__(self, index: int | slice) -> Units | tuple[Units, ...]:
        """One piece or several, fetched."""
        if isinstance(index, slice):
            return tuple(self._fetched(task) for task in self.units[index])
        return self._fetched(self.units[index])

    def _fetched(self, task: Any) -> Units:
        units: Units = task.compute() if self.client is None else self.client.compute(task).result()
        return units
