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


@pytest.mark.filterwarnings("ignore::varmix.errors.VarmixWarning")
def test_components_that_the_data_cannot_tell_apart_are_named_and_their_sum_is_right() -> None:
    rng = np.random.default_rng(4)
    root = rng.standard_normal((60, 30))
    K = root @ root.T / 30
    y = np.linalg.cholesky(K + 0.5 * np.eye(60)) @ rng.standard_normal(60)
    alone = vm.variance_components(y, kernels={"k": K})
    both = vm.variance_components(y, kernels={"k": K, "again": K})
    assert alone.status is vm.Status.CONVERGED
    assert both.status is vm.Status.CONFOUNDED
    assert "'k', 'again'" in both.facts["warnings"][0]
    assert "residual" not in both.facts["warnings"][0]
    # One optimum, certified to 1e-8 standard errors on both sides.
    assert both.log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-10)
    assert both.components["estimate"][:2].sum() == pytest.approx(alone.components["estimate"][0], rel=1e-6)


@pytest.mark.filterwarnings("ignore::varmix.errors.VarmixWarning")
def test_a_response_that_a_design_explains_exactly_has_no_estimate() -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((40, 6))
    assert vm.variance_components(X @ rng.standard_normal(6) + 2.0, designs={"x": X}).status is vm.Status.UNBOUNDED


def test_a_likelihood_with_two_maxima_is_climbed_from_both() -> None:
    rng = np.random.default_rng(157)
    X = rng.binomial(2, 0.3, (20, 20)).astype(float)
    y = (X - X.mean(axis=0)) @ rng.normal(size=20) * 0.4 + rng.normal(size=20)
    fit = vm.variance_components(y, designs={"x": X})
    lower = vm.variance_components(y, designs={"x": X}, start=[1e-3, 1.0])
    assert lower.log_likelihood < fit.log_likelihood - 1.0
    assert len(fit.starts) > 1
    many = vm.variance_components_many(y[:, None], designs=X)
    assert many["log_likelihood"].iloc[0] == pytest.approx(fit.log_likelihood, rel=1e-9)


def test_an_estimate_at_an_edge_has_no_wald_interval_of_any_kind() -> None:
    rng = np.random.default_rng(0)
    rng.normal(size=(40, 20))
    y, root = rng.normal(size=40), rng.normal(size=(40, 40))
    fit = vm.variance_components(y, kernels={"k": root @ root.T / 40})
    assert fit.status is vm.Status.ON_BOUNDARY
    for name in ("k", "residual"):
        assert np.isnan(fit.interval(name, of="proportion", kind="wald")).all()
    assert np.isnan(fit.interval("k", kind="wald")).all()


def test_a_matrix_kernel_has_no_blocks_for_a_jackknife() -> None:
    rng = np.random.default_rng(0)
    X, root = rng.normal(size=(40, 20)), rng.normal(size=(40, 40))
    with pytest.raises(OptionError, match="blocks of variants"):
        vm.variance_components(
            rng.normal(size=40),
            designs={"a": X},
            kernels={"k": root @ root.T},
            method="moments",
            traces="randomised",
            errors="jackknife",
        )


def test_what_is_no_fit_and_no_number_is_refused_by_name() -> None:
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(30, 50)), rng.normal(size=30)
    fit = vm.variance_components(y, designs={"x": X})
    with pytest.raises(OptionError, match="another Fit"):
        fit.compare(3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="mapping of names"):
        vm.plot_paths([fit])  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="whole number"):
        vm.variance_components(y, designs={"x": X}, starts=2.5)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="whole number"):
        vm.variance_components(y, designs={"x": X}, max_iterations=2.5)
