"""Claims about the public face that no single module makes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import varmix as vm
from varmix.errors import OptionError


def wide(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Few rows, more centred columns, strong effects: ML grows without bound at s_e = 0, and has a maximum inside."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((12, 60))
    for skipped in range(seed % 4):
        rng.standard_normal(12 + skipped)
    return X, X @ rng.standard_normal(60) * 0.3 + rng.standard_normal(12)


@pytest.mark.filterwarnings("ignore::varmix.errors.ConvergenceWarning")
@pytest.mark.parametrize("method", ["newton", "em", "mm"])
def test_more_starts_never_turn_an_optimum_into_an_unbounded_edge(method: str) -> None:
    seen = set()
    for seed in range(12):
        X, y = wide(seed)
        one = vm.variance_components(y, designs={"x": X}, criterion="ml", method=method)
        many = vm.variance_components(y, designs={"x": X}, criterion="ml", method=method, starts=5, rng=seed)
        seen.update(many.starts["status"])
        assert many.status.arrived >= one.status.arrived
        if one.status.arrived:
            # Two certified ends of one optimum agree to rounding; several maxima may give a higher one.
            assert many.log_likelihood >= one.log_likelihood - 1e-9
    assert "UNBOUNDED" in seen
    assert seen & {"CONVERGED", "ON_BOUNDARY"}


def test_two_runs_of_the_same_call_are_equal_though_they_take_different_times() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((40, 60)), rng.standard_normal(40)
    first, second = (vm.variance_components(y, designs={"x": X}, starts=2, rng=3) for _ in range(2))
    assert list(first.starts["seconds"]) != list(second.starts["seconds"])
    assert first == second


def test_errors_are_a_name_of_the_package_in_a_fresh_process() -> None:
    code = "import varmix as vm; assert issubclass(vm.errors.DataError, vm.errors.VarmixError)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("options", [{"start": "equal"}, {"starts": 3}, {"start": [1.0, 1.0]}, {"start": "nonsense"}])
def test_moments_refuse_starts(options: dict[str, object]) -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(OptionError, match="no start"):
        vm.variance_components(
            rng.standard_normal(30), designs={"x": rng.standard_normal((30, 50))}, method="moments", **options
        )
