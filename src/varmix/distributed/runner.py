"""Statistics of pieces computed where the pieces lie, and added pairwise."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dask.base import persist
from dask.delayed import Delayed, delayed

from varmix.distributed.pieces import DaskPieces
from varmix.errors import OptionError

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class DaskRunner:
    """Runs on `client`, a `distributed.Client`; without one on Dask's current scheduler (threads, unless set).

    Pieces of a `DaskPieces` stay on their workers; others are sent along with the work.
    """

    client: Any = None

    def map_add(self, summarise: Callable[[Any], S], pieces: Iterable[Any]) -> S:
        """The sum as a tree over the pieces in their order: it depends on neither timing nor the number of workers.

        Raises OptionError without pieces.
        """
        work = delayed(summarise, pure=False, traverse=False)
        lying = pieces.units if isinstance(pieces, DaskPieces) else [delayed(p, traverse=False) for p in pieces]
        result: S = self.compute(tree_sum([work(piece) for piece in lying]))
        return result

    def compute(self, task: Any) -> Any:
        """The value of a task."""
        return task.compute() if self.client is None else self.client.compute(task).result()

    def persist(self, tasks: Sequence[Delayed]) -> tuple[Delayed, ...]:
        """The same tasks with their values held on the workers."""
        if self.client is not None:
            return tuple(self.client.persist(list(tasks)))
        return tuple(persist(*tasks))  # type: ignore[no-untyped-call]


def tree_sum(tasks: Sequence[Delayed]) -> Delayed:
    """Sum of neighbours, then of the sums of neighbours, and so on. Raises OptionError for nothing to add."""
    if not tasks:
        raise OptionError("There are no pieces of data to summarise: pass at least one.")
    add = delayed(operator.add, pure=False)
    level = list(tasks)
    while len(level) > 1:
        level = [
            add(level[start], level[start + 1]) if start + 1 < len(level) else level[start]
            for start in range(0, len(level), 2)
        ]
    return level[0]
