"""Random signs, with which traces are estimated from products."""

from __future__ import annotations

import numpy as np

from varmix.typing import Matrix


def rademacher(rng: np.random.Generator, rows: int, count: int) -> Matrix:
    """Independent signs -1 and 1 with equal probability, shape (rows, count), columns consecutive. [MOM-3]"""
    signs = rng.integers(0, 2, size=(count, rows), dtype=np.int8)
    return np.asarray(2.0 * signs - 1.0, dtype=np.float64).T
