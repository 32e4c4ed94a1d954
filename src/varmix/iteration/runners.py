"""Ways to map over pieces and add what comes back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from typing import Any, Protocol, TypeVar

from varmix.errors import OptionError

S = TypeVar("S")


class Runner(Protocol):
    """Maps a function over independent pieces and adds the results."""

    def map_add(self, summarise: Callable[[Any], S], pieces: Iterable[Any]) -> S:
        """`sum(summarise(piece) for piece in pieces)`, in the order of the pieces."""
        ...


def _add(results: Iterable[S]) -> S:
    iterator = iter(results)
    try:
        first = next(iterator)
    except StopIteration:
        raise OptionError("There are no pieces of data to summarise: pass at least one.") from None
    return reduce(operator.add, iterator, first)


@dataclass(frozen=True, slots=True)
class Serial:
    """One piece after another; holds one piece's statistics at a time."""

    def map_add(self, summarise: Callable[[Any], S], pieces: Iterable[Any]) -> S:
        """Add in order."""
        return _add(summarise(piece) for piece in pieces)


@dataclass(frozen=True, slots=True)
class Threads:
    """Several pieces at once; adds in the order of the pieces, so that results do not depend on timing."""

    workers: int = 2

    def map_add(self, summarise: Callable[[Any], S], pieces: Iterable[Any]) -> S:
        """Add in order, with at most two pieces per worker in flight."""
        with ThreadPoolExecutor(self.workers) as pool:
            return _add(_in_order(pool, summarise, iter(pieces), 2 * self.workers))


def _in_order(pool: ThreadPoolExecutor, function: Callable[[Any], S], pieces: Any, ahead: int) -> Iterable[S]:
    waiting = [pool.submit(function, piece) for piece in islice(pieces, ahead)]
    while waiting:
        yield waiting.pop(0).result()
        waiting.extend(pool.submit(function, piece) for piece in islice(pieces, 1))
