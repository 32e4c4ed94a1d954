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
def _controller() -> ThreadpoolController:
    """Made once: looking the libraries up takes 8 ms, holding them 0.1 ms."""
    return ThreadpoolController()


class _Hold:
    """One limit for the process, however many of its threads ask for it: the first one in sets it, the last one out
    restores what was there. Limits that overlap in time, each with its own memory, would restore each other's."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders = 0
        self._limit: Any = None

    def enter(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._limit = _controller().limit(limits=1, user_api="blas")
            self._holders += 1

    def leave(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._limit.restore_original_limits()
                self._limit = None


_HOLD = _Hold()


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS to one thread inside the block, for the whole process; blocks may nest and overlap in time."""
    _HOLD.enter()
    try:
        yield
    finally:
        _HOLD.leave()


@contextmanager
def threads_for(flops: float) -> Iterator[None]:
    """Hold BLAS to one thread inside the block when the work is too small to share; else leave threads alone."""
    if flops >= WORTHWHILE:
        yield
        return
    with one_thread():
        yield
