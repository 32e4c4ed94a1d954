"""A function of each partition of a collection, computed where the partitions lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dask.base import compute
from dask.delayed import delayed

from varmix.distributed.collection import partitions_of

T = TypeVar("T")


def mapped(function: Callable[[int, Any], T], collection: Any, *, first: int | None = None) -> list[T]:
    """`function(number, partition)` of all partitions or of the `first` ones, in their order; only results come here.

    Raises OptionError for what is no Dask data frame nor a list of delayed ones.
    """
    work = delayed(function, pure=False, traverse=False)
    tasks = [work(number, partition) for number, partition in enumerate(partitions_of(collection)[:first])]
    results: tuple[T, ...] = compute(*tasks)  # type: ignore[no-untyped-call]
    return list(results)
