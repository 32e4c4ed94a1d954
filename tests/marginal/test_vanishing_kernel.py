"""Traces where the kernel's variance is 0 or next to it."""

from __future__ import annotations

import numpy as np
import pytest

from varmix.linalg.reduce import reduce_in_place
from varmix.marginal.one_kernel import OneKernel


@pytest.mark.parametrize("kernel", [0.0, 1e-300, 1e-9, 1e-3, 0.5])
@pytest.mark.parametrize("at_hand", [True, False], ids=["eigenvalues", "inverse"])
def test_the_cross_trace_stays_right_as_the_kernel_vanishes(kernel: float, at_hand: bool) -> None:
    root = np.random.default_rng(5).standard_normal((20, 30)) / np.sqrt(30)
    K = root @ root.T
    system = OneKernel(reduction=reduce_in_place(np.asfortranarray(K), vectors=False), has_eigenvalues=at_hand)
    factor = system.factor(np.array([kernel, 0.8]))
    assert factor is not None
    K = root @ root.T
    exact = np.trace(K @ np.linalg.solve(kernel * K + 0.8 * np.eye(20), K))
    # From the inverse two digits go where s K is a hundredth of s_e.
    assert factor.trace_cross(0, 0) == pytest.approx(exact, rel=1e-10)
