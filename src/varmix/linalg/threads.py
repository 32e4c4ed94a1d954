"""Threads of BLAS, held where more of them only get in each other's way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

WORTHWHILE = 5e9
"""Flops of a reduction from which a second thread pays: below, NumPy's and SciPy's separate pools, whose idle threads
spin, cost more than they give (an order of 1,000 gains a third on an idle machine and loses tenfold on a busy one)."""


@cache
def _libraries() -> list[Any]:
    """Looked up once: that takes 8 ms, holding them 0.1 ms."""
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_threads(counts: list[int]) -> None:
    """One count per library, whichever thread asks.

    From 3.8 on, threadpoolctl lets only the first Python thread that set a count set another, and ignores the rest
    without a word: the last one out could not restore what the first one in changed. The lock of `_Hold` keeps order
    in its place.
    """
    for library, count in zip(_libraries(), counts, strict=True):
        release = getattr(library, "clear_controlling_thread", None)
        if release is not None:
            release(force=True)
        library.set_num_threads(count)
        if release is not None:
            release(force=True)


class _Hold:
    """One limit for the process, however many of its threads ask for it: the first one in sets it, the last one out
    restores what was there. Limits that overlap in time, each with its own memory, would restore each other's."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders = 0
        self._before: list[int] = []

    def enter(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._before = [int(library.num_threads) for library in _libraries()]
                _set_threads([1] * len(self._before))
            self._holders += 1

    def leave(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                _set_threads(self._before)


_HOLD = _Hold()


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS to one thread inside the block, for the whole process; blocks may nest and overlap in time."""
    _HOLD.enter()
    try:
        yield
    finally:
        _HOLD.leave()


def blas_threads() -> int:
    """Threads that BLAS may use now: 1 while it is held."""
    return max([1, *(int(library.num_threads) for library in _libraries())])


@contextmanager
def threads_for(flops: float) -> Iterator[None]:
    """Hold BLAS to one thread inside the block when the work is too small to share; else leave threads alone."""
    if flops >= WORTHWHILE:
        yield
        return
    with one_thread():
        yield
