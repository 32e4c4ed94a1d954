"""Options of the wrong type are refused by name, not by an error from inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import varmix as vm
from varmix.errors import NotAvailableError, OptionError
from varmix.results import Fit

RNG = np.random.default_rng(3)
X = RNG.normal(size=60)
Y = RNG.normal(size=60) * X + RNG.normal(size=60)


@pytest.fixture(scope="module")
def mixture() -> Fit:
    return vm.random_effect_mixture(Y, X, classes=1, starts=1)


@pytest.fixture(scope="module")
def weighted() -> Fit:
    return vm.weighted_random_effects(Y, X)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_iterations": "many"}, "max_iterations='many'"),
        ({"max_iterations": 2.5}, "max_iterations=2.5"),
        ({"tolerance": "small"}, "tolerance='small'"),
        ({"polish": 3}, "polish=3"),
        ({"starts": 2, "rng": "seed"}, "rng='seed'"),
    ],
)
def test_weighted_random_effects_name_a_wrong_option(options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        vm.weighted_random_effects(Y, X, **options)


@pytest.mark.parametrize("kind", ["mixture", "weighted"])
def test_actions_of_a_fit_name_a_wrong_option(kind: str, request: pytest.FixtureRequest) -> None:
    fit: Fit = request.getfixturevalue(kind)
    for act, named in (
        (lambda: fit.bootstrap(10, "seed"), "rng='seed'"),  # type: ignore[arg-type]
        (lambda: fit.bootstrap(2.5), "2.5 bootstrap"),  # type: ignore[arg-type]
        (lambda: fit.simulate(-1), "rng=-1"),
        (
            lambda: fit.interval(fit.components["term"][0] if kind == "weighted" else "v_1", level="high"),
            "level='high'",
        ),
        (lambda: fit.tidy(level=95), "level=95"),
    ):
        with pytest.raises(OptionError, match=named):
            act()


@pytest.mark.parametrize(("replicates", "named"), [(2.5, "replicates=2.5"), ("all", "replicates='all'")])
def test_a_number_of_draws_is_whole(mixture: Fit, replicates: Any, named: str) -> None:
    with pytest.raises(OptionError, match=named):
        mixture.compare(vm.random_effect_mixture(Y, X, starts=1), replicates=replicates)
    with pytest.raises(OptionError, match="rng='seed'"):
        mixture.compare(vm.random_effect_mixture(Y, X, starts=1), rng="seed")


def test_points_of_a_profile_are_whole(mixture: Fit) -> None:
    with pytest.raises(OptionError, match=r"points=2\.5"):
        mixture.profile("v_1", points=2.5)


def test_a_grid_mixture_has_no_path_to_draw() -> None:
    grid = vm.random_effect_mixture(Y, X, method="npmle")
    with pytest.raises(NotAvailableError, match="has no path"):
        grid.plot.progress()
