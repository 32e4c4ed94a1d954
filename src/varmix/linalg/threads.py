"""Threads of BLAS, held where more of them only get in each other's way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

WORTHWHILE = 5e9
"""Flops of a reduction from which a second thread pays: below, NumPy's and SciPy's separate pools, whose idle threads
spin, cost more than they give (an order of 1,000 gains a third on an idle machine and loses tenfold on a busy one)."""


@cache
def _controller() -> ThreadpoolController:
    """Made once: looking the libraries up takes 8 ms, holding them 0.1 ms."""
    return ThreadpoolController()


@contextmanager
def threads_for(flops: float) -> Iterator[None]:
    """Hold BLAS to one thread inside the block when the work is too small to share; else leave threads alone."""
    if flops >= WORTHWHILE:
        yield
        return
    with _controller().limit(limits=1, user_api="blas"):
        yield
