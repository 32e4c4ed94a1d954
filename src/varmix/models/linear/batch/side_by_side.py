"""Blocks of responses on all threads that BLAS has, each with BLAS on one thread.

A block is a few large products and many small sums: threads within BLAS speed up the first and wait for each other in
the second, threads over blocks speed up both. NumPy releases the interpreter lock in either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from varmix.linalg.threads import blas_threads, one_thread

T = TypeVar("T")


def side_by_side(work: Callable[[int], T], starts: Sequence[int]) -> list[T]:
    """`[work(start) for start in starts]`; with several, at most as many at a time as BLAS may use threads."""
    if len(starts) < 2:
        return [work(start) for start in starts]
    workers = min(len(starts), blas_threads())
    with one_thread(), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, starts))
