"""Data and bounds at which a fit of partitions ends, by the public function."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import varmix as vm
from varmix.errors import ConvergenceWarning, NotIdentifiedError, OptionError
from varmix.typing import Index, Matrix

P = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2], [0.1, 0.7, 0.2]])
TYPES = np.repeat(np.arange(6), 3)


def _means(genes: int) -> Matrix:
    rng = np.random.default_rng(0)
    labels = np.array([(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2)])[rng.integers(5, size=genes)]
    return np.asarray(np.take_along_axis(rng.normal(5.0, 1.0, (genes, 3)), labels, axis=1))


def _samples(genes: int, types: Index = TYPES) -> Matrix:
    """Noise that does not grow with expression."""
    rng = np.random.default_rng(1)
    cells = _means(genes)[:, None, :] + 0.4 * rng.normal(size=(genes, len(types), 3))
    return np.asarray((cells * P[types]).sum(axis=-1)) + 0.2 * rng.normal(size=(genes, len(types)))


@pytest.fixture(scope="module")
def bounded() -> vm.Fit:
    """Its exponent is at the most that is sought."""
    values = _samples(200)
    steep = values + 1e-5 * values**4 * np.random.default_rng(2).normal(size=values.shape)
    fit = vm.partition_mixture(steep, TYPES, proportions=P, noise=["measurement", "trend"])
    assert fit.table("shapes")["estimate"].tolist() == [4.0]
    return fit


def test_no_interval_goes_beyond_what_a_climb_may_reach(bounded: vm.Fit) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        lower, upper = bounded.interval("trend_exponent", kind="profile")
        assert upper == 4.0 > lower
        assert bounded.profile("trend_exponent", points=3)["value"].max() == 4.0


def test_an_estimate_at_the_most_it_may_be_is_on_a_boundary(bounded: vm.Fit) -> None:
    assert bounded.table("shapes")["on_boundary"].all()
    assert bounded.status.name == "ON_BOUNDARY"
    assert "at its largest" in bounded.facts["advice"]
    assert not bounded.table("components").set_index("term")["on_boundary"]["measurement"]


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize("noise", ["auto", "both", "full"])
def test_replicates_that_are_copies_are_refused(noise: str, scale: float) -> None:
    copies = np.repeat(scale * _samples(30)[:, ::3], 3, axis=1)
    with pytest.raises(NotIdentifiedError, match=r"equal in every gene .*'0' and '1' of type '0'.*Are they copies"):
        vm.partition_mixture(copies, TYPES, proportions=P, noise=noise)


def test_one_gene_that_varies_within_a_type_is_enough() -> None:
    copies = np.repeat(_samples(30)[:, ::3], 3, axis=1)
    copies[4] = _samples(30)[4]
    assert np.isfinite(vm.partition_mixture(copies, TYPES, proportions=P, noise="both").log_likelihood)


def test_genes_that_are_all_constant_are_refused() -> None:
    level = np.repeat(_samples(30)[:, :1], 18, axis=1)
    with pytest.raises(NotIdentifiedError, match="All 30 genes are constant"):
        vm.partition_mixture(level, TYPES, proportions=P)


def test_random_starts_find_noise_that_grows_steeply_beside_noise_that_does_not() -> None:
    """From moments a climb ends where the trend has taken all noise at a small exponent, .056 below."""
    model: dict[str, Any] = {"proportions": P, "noise": ["measurement", "trend"], "margin": 0.0}
    one = vm.partition_mixture(_samples(200), TYPES, starts=1, **model)
    ten = vm.partition_mixture(_samples(200), TYPES, starts=10, rng=1, **model)
    assert ten.log_likelihood > one.log_likelihood + 0.05
    assert ten.facts["starts_at_best"] > 5


def test_advice_at_the_step_limit_can_be_followed() -> None:
    with pytest.warns(ConvergenceWarning, match="raise max_iterations") as told:
        vm.partition_mixture(_samples(60), TYPES, proportions=P, noise="full", max_iterations=2)
    assert "method='newton'" not in str(told[0].message)  # it has no method
    assert vm.partition_mixture(_samples(60), TYPES, proportions=P, noise="full", max_iterations=500).status.arrived


def test_options_that_predictions_do_not_have_are_named(bounded: vm.Fit) -> None:
    with pytest.raises(OptionError, match="'typo' is not an option of predict"):
        bounded.predict(_samples(200), typo=1)


def test_a_best_optimum_that_one_start_alone_reached_is_told() -> None:
    rng = np.random.default_rng(6)
    mixed = rng.dirichlet(np.ones(3), size=6)
    cells = _means(40)[:, None, :] + 0.4 * rng.normal(size=(40, 18, 3))
    values = (cells * mixed[TYPES]).sum(axis=-1) + 0.2 * rng.normal(size=(40, 18))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fits = [
            vm.partition_mixture(values, TYPES, proportions="free", cell_types=3, starts=4, rng=seed)
            for seed in range(6)
        ]
    told = [any("1 ended at the best optimum" in note for note in fit.facts["cautions"]) for fit in fits]
    assert told == [fit.facts["starts_at_best"] == 1 for fit in fits]
    assert set(told) == {True, False}
    assert sum("1 ended at the best optimum" in str(warning.message) for warning in caught) == sum(told)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"noise": "both", "margin": 0.1, "method": "em"},
            "with variance='shared', noise cell . measurement, margin 0.1 ",
        ),
        ({"noise": "full", "tolerance": 1e-3}, "'tolerance' is not an option of variance='shared', noise meas"),
    ],
)
def test_what_a_model_does_not_take_is_refused_by_its_noise(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        vm.partition_mixture(_samples(20), TYPES, proportions=P, **options)
