"""Claims about the threads of BLAS."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from varmix.linalg.threads import WORTHWHILE, one_thread, threads_for
from varmix.models.linear.batch.side_by_side import side_by_side


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def _two_threads() -> object:
    with threadpool_limits(2, user_api="blas"):
        yield


def test_small_work_has_one_thread_and_the_threads_come_back() -> None:
    before = blas_threads()
    with threads_for(0.0):
        assert set(blas_threads()) == {1}
    assert blas_threads() == before
    with threads_for(WORTHWHILE):
        assert blas_threads() == before


def test_an_error_gives_the_threads_back() -> None:
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        1 / 0  # noqa: B018
    assert blas_threads() == before


def test_holds_that_overlap_in_time_give_back_what_was_there_before_the_first() -> None:
    before, entered = blas_threads(), Barrier(3, timeout=10.0)

    def hold(rank: int) -> None:
        with one_thread():
            entered.wait()
            for _ in range(rank):
                with one_thread():
                    pass

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(hold, range(3)))
    assert blas_threads() == before


def test_a_batch_that_outlives_a_fit_gives_the_threads_back() -> None:
    before, inside, go_on = blas_threads(), Event(), Event()

    def work(start: int) -> int:
        inside.set()
        go_on.wait(timeout=10.0)
        return start

    with ThreadPoolExecutor(1) as pool:
        with one_thread():
            batch = pool.submit(side_by_side, work, [0, 1, 2])
            inside.wait(timeout=10.0)
        go_on.set()
        assert batch.result() == [0, 1, 2]
    assert blas_threads() == before
