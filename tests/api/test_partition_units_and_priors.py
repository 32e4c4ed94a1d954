"""Fits of partitions in any unit of expression, with priors, and what holds estimates against them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

import varmix as vm
from varmix.errors import VarmixWarning
from varmix.models.partition import problem as of_problems
from varmix.models.partition.climb import Climb
from varmix.models.partition.compressed import compressed
from varmix.models.partition.diagnosis import diagnose
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.noise_problem import NoiseProblem
from varmix.models.partition.noise_terms import shown_terms
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.restriction import held_at
from varmix.models.partition.shared_problem import SharedProblem
from varmix.models.partition.starting import moment_start

P = np.array([[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.0, 0.2, 0.8], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]])
SAMPLE_TYPE = np.repeat(np.arange(5), 3)
PARTITIONS = all_partitions(("a", "b", "c"))


def expression(genes: int = 120, seed: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.array(PARTITIONS.labels)[rng.integers(5, size=genes)]
    means = np.take_along_axis(6.0 + rng.standard_normal((genes, 3)), labels, axis=1)
    return means @ P[SAMPLE_TYPE].T + 0.3 * rng.standard_normal((genes, 15))


def fitted(values: np.ndarray, proportions: object = P, **options: object) -> vm.Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        return vm.partition_mixture(values, SAMPLE_TYPE, proportions=proportions, noise="measurement", **options)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("variance", ["shared", "moderated"])
def test_predictions_and_draws_are_in_the_units_of_the_data(unit, variance):
    values = unit * expression()
    fit = fitted(values, variance=variance)
    told = fit.predict(values)
    for name in ("classes", "expression"):
        own, again = (table.select_dtypes("number").to_numpy() for table in (fit.table(name), getattr(told, name)))
        assert_allclose(again, own, rtol=1e-9, atol=1e-9 * np.abs(own).max())
    drawn = fit.simulate(rng=1).to_numpy()
    assert_allclose(drawn.mean(), values.mean(), rtol=0.05)
    assert_allclose(drawn.std(), values.std(), rtol=0.2)


def test_a_profile_interval_under_a_prior_is_where_the_posterior_has_dropped():
    alpha = 1.0 + 30.0 * P
    fit = fitted(expression(), vm.Dirichlet(alpha), starts=1, rng=0)
    name, at = "proportion[3, cell 1]", fit.report.estimates.position("proportion[3, cell 1]")
    ends = fit.interval(name, kind="profile")
    report = fit.report
    heights = [report.problem.restricted(report.estimation.outcome.params, at, end).objective for end in ends]
    drop = report.estimation.outcome.objective - np.array(heights)
    assert_allclose(drop, 0.5 * chi2.ppf(0.95, 1), rtol=1e-3)


def test_a_prior_around_proportions_has_them_for_its_mode():
    alpha = vm.Dirichlet.around(P, 40.0).concentration
    assert_allclose((alpha - 1.0) / (alpha - 1.0).sum(axis=1, keepdims=True), P, atol=1e-12)
    assert_allclose((alpha - 1.0).sum(axis=1), 40.0)


def test_the_sandwich_does_not_hang_on_how_the_noise_is_climbed():
    """Up to 200 genes each is a group of its own, and noise of measurement one model in two families."""
    base = PartitionMixture.of(expression(), SAMPLE_TYPE, PARTITIONS, P, noise="measurement")
    found = []
    for task in (SharedProblem(base=base, options=Climb()), NoiseProblem(base=base, terms=frozenset({"measurement"}))):
        outcome = task.climb(task.starts(1, np.random.default_rng(0))[0][1])
        assert outcome.status.arrived
        covariance = of_problems.covariance(task, outcome, "sandwich")
        first = len(task.scalars)
        found.append(np.sqrt(np.diag(covariance))[[0, 1, *range(first, first + len(PARTITIONS))]])
    assert_allclose(found[1], found[0], rtol=1e-3)  # second derivatives by differences


def test_lack_of_fit_is_a_term_only_where_there_are_more_mixtures_than_cell_types():
    for count, told in ((3, False), (4, True)):
        pieces = reduce_samples(expression()[:, : 3 * count], SAMPLE_TYPE[: 3 * count], count)
        assert ("misfit" in shown_terms(pieces, P[:count], plain=False)) is told


def test_the_trend_weighs_types_by_what_their_replicates_know():
    """A slope is steadier with these weights than with their inverses: 2 samples say far less than 12."""
    sample_type, rng, slopes = np.repeat(np.arange(2), [2, 12]), np.random.default_rng(0), []
    for _ in range(60):
        level = np.exp(rng.normal(3.0, 1.0, 80))[:, None]
        found = diagnose(reduce_samples(level + 0.1 * level * rng.standard_normal((80, 14)), sample_type, 2))
        slopes.append((found.slope, found.slope_error))
    # Var(log W) is psi'(5.5) = .2 for 12 samples: the error of a slope over 80 genes is at least sqrt(.2 / 80)
    assert_allclose(np.mean(slopes, axis=0)[0], 2.0, atol=0.05)
    assert np.std(slopes, axis=0)[0] < 1.6 * np.sqrt(0.2 / 80)


def test_an_entry_that_is_held_leaves_to_others_what_known_ones_do_not_take():
    vector, held = np.array([0.5, 0.3, 0.15, 0.05]), np.array([False, True, False, False])
    moved, mask = held_at(vector, held, [np.arange(4)], 0, 0.1)
    assert_allclose(moved, [0.1, 0.3, 0.45, 0.15])
    assert mask.tolist() == [True, True, False, False]


def test_genes_seen_in_fewer_mixtures_than_cell_types_count_as_they_are():
    values = expression()
    values[::4, 6:] = np.nan
    rows = np.random.default_rng(1).dirichlet(np.ones(3), 15)
    model = PartitionMixture.of(values, np.arange(15), PARTITIONS, rows, noise="measurement")
    assert compressed(model, model.point(moment_start(model))) is not None
    values[::4, 2:] = np.nan  # two mixtures of three cell types
    model = PartitionMixture.of(values, np.arange(15), PARTITIONS, rows, noise="measurement")
    assert compressed(model, model.point(moment_start(model))) is None
    assert Climb().run(model, moment_start(model)).status.arrived
