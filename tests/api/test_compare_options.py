"""Options of `Fit.compare` reach the model, and models without them say so."""

from __future__ import annotations

import numpy as np
import pytest

import varmix as vm
from varmix.errors import OptionError


def test_a_drawn_null_distribution_is_reproducible_and_as_long_as_asked() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=150)
    y = rng.normal(size=150) * np.where(rng.random(150) < 0.5, 2.0, 0.0) * x + rng.normal(size=150)
    one, two = (vm.random_effect_mixture(y, x, classes=classes, starts=2, rng=1) for classes in (1, 2))
    tests = [one.compare(two, replicates=9, rng=seed) for seed in (5, 5, 6)]
    assert [len(test.replicates) for test in tests] == [9, 9, 9]
    np.testing.assert_array_equal(tests[0].replicates, tests[1].replicates)
    assert not np.array_equal(tests[0].replicates, tests[2].replicates)
    with pytest.raises(OptionError, match="level"):
        one.compare(two, level=0.1)


def test_a_test_against_chi_square_has_nothing_to_draw() -> None:
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(40, 6)), rng.normal(size=40)
    small = vm.variance_components(y, designs={"a": X[:, :3]})
    large = vm.variance_components(y, designs={"a": X[:, :3], "b": X[:, 3:]})
    assert large.compare(small).statistic >= 0.0
    with pytest.raises(OptionError, match="replicates"):
        large.compare(small, replicates=9)
