"""Array aliases named by shape. Letters: n rows, c fixed-effect columns, p design columns, k components, r
responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Vector: TypeAlias = NDArray[np.float64]
"""Shape (n,)."""
Matrix: TypeAlias = NDArray[np.float64]
"""Shape (n, c) or (n, p)."""
Square: TypeAlias = NDArray[np.float64]
"""Shape (n, n) or (k, k)."""
Index: TypeAlias = NDArray[np.intp]
"""Integer positions, shape (n,)."""
Mask: TypeAlias = NDArray[np.bool_]
"""Shape (n,)."""
Tick: TypeAlias = Callable[[int], Any]
"""Called with a number of finished units of work; progress bars at the edge pass one in."""
