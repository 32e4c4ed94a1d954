"""A local maximum is followed as long as it is one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from varmix.inference.branch import Branch, Node
from varmix.inference.profile import Profile, profile_interval


def height(x: float, z: float, fall: float) -> float:
    """A maximum over z near 0 that merges with a minimum at `FOLD`, beside a rise without bound."""
    return z**3 - z**2 + x * z - fall * x**2


FOLD = 1.0 / 3.0
"""`-2 z + 3 z^2 + x = 0` has its roots (1 - sqrt(1 - 3 x)) / 3, real for x <= 1 / 3."""


def branch(fall: float) -> Branch:
    def node(x: float, z: float) -> Node:
        return Node(value=x, log_likelihood=height(x, z, fall), slope=z - 2.0 * fall * x, state=np.array([z]))

    def solve(x: float, state: np.ndarray) -> Node | None:
        z = float(state[0])
        for _ in range(60):
            slope, curvature = -2.0 * z + 3.0 * z**2 + x, -2.0 + 6.0 * z
            if abs(slope) < 1e-12:
                return node(x, z) if curvature < 0.0 else None
            z += slope / abs(curvature)
            if z > 2.0:  # away towards the rise
                return None
        return None

    return Branch(node(0.0, 0.0), solve, step=0.1)


def profile(of: Branch) -> Profile:
    return Profile(
        estimate=0.0, maximum=0.0, log_likelihood=of.log_likelihood, lower=-np.inf, upper=np.inf, step=0.1,
        towards=of.towards,
    )  # fmt: skip


def test_an_end_is_where_the_branch_has_fallen() -> None:
    fall = 50.0
    lower, upper = profile_interval(profile(branch(fall)))

    def drop(x: float) -> float:
        z = (1.0 - np.sqrt(1.0 - 3.0 * x)) / 3.0
        return height(x, z, fall) + 1.920729410347062

    # Ends are right to 1e-7 of their distance from the estimate.
    assert upper == pytest.approx(optimize.brentq(drop, 0.0, FOLD), rel=1e-6)
    assert lower == pytest.approx(optimize.brentq(drop, -2.0, 0.0), rel=1e-6)


def test_an_end_beyond_the_branch_is_not_a_number() -> None:
    followed = branch(5.0)
    lower, upper = profile_interval(profile(followed))
    assert np.isnan(upper)
    assert lower < 0.0
    # The branch is followed to 1e-3 of the first step beside where it ends.
    assert followed.end(1.0) == pytest.approx(FOLD, abs=1e-3)
    assert followed.log_likelihood(0.5) == -np.inf
    assert followed.node(0.2) is not None


def test_what_stands_above_the_maximum_is_another_branch() -> None:
    followed = branch(0.01)  # the profile itself rises above the estimate's
    assert np.isnan(profile_interval(profile(followed))[1])
