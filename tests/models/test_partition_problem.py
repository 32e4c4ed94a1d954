"""Problems of partitions: covariances, restricted maxima, replicates, what is remembered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from varmix.errors import OptionError
from varmix.models.partition import joint
from varmix.models.partition.climb import Climb
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.noise_problem import NoiseProblem
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.problem import covariance, factors, free_parameters, names
from varmix.models.partition.resampling import resampled
from varmix.models.partition.shared_problem import SharedProblem

P = np.array([(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8), (0.5, 0.4, 0.1), (0.2, 0.3, 0.5)])
PARTITIONS = all_partitions(["liver", "brain", "lung"])
SAMPLE_TYPE = np.repeat(np.arange(5), 4)


def draw(genes: int, seed: int, *, offset: float = 5.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    partition = rng.choice(5, genes, p=[0.35, 0.2, 0.15, 0.15, 0.15])
    blocks = offset + rng.standard_normal((genes, 3))
    means = np.stack([blocks[g, list(PARTITIONS.labels[j])] for g, j in enumerate(partition)])
    cells = means[:, None, :] + 0.4 * rng.standard_normal((genes, 20, 3))
    return (cells * P[SAMPLE_TYPE]).sum(axis=2)


def shared(values: np.ndarray, **options) -> SharedProblem:
    return SharedProblem(base=PartitionMixture.of(values, SAMPLE_TYPE, PARTITIONS, P, **options), options=Climb())


def fitted(problem):
    return problem.climb(problem.starts(1, np.random.default_rng(0))[0][1])


@pytest.fixture(scope="module")
def problem() -> SharedProblem:
    return shared(draw(400, 1))


@pytest.fixture(scope="module")
def outcome(problem):
    return fitted(problem)


def test_covariance_is_the_inverse_of_minus_the_second_derivatives(problem, outcome):
    """By differences of the log-likelihood itself, in coordinates where the first share takes up the rest."""
    base, at = problem.base, outcome.params
    free = [0, 1, 2, 5, 6, 7, 8]

    def height(move: np.ndarray) -> float:
        vector = at.vector()
        vector[free] += move
        vector[4] = 1.0 - vector[5:9].sum()
        point = replace(
            at, mean=float(vector[0]), between=float(vector[1]), cell=float(vector[2]), shares=vector[4:9], fixed=None
        )
        return sum(joint.responsibilities(point, PARTITIONS, piece)[1].sum() for piece in base.pieces)

    errors = np.sqrt(covariance(problem, outcome, "observed").diagonal()[free])
    steps = np.diag(0.05 * errors)  # second differences of -1e4 at 1e-12: 1e-8 / .0025, and truncation of .05^2 / 12
    hessian = np.array(
        [[height(a + b) - height(a - b) - height(b - a) + height(-a - b) for b in steps] for a in steps]
    ) / (4.0 * np.outer(steps.diagonal(), steps.diagonal()))
    expected = np.linalg.inv(-hessian)
    scale = np.outer(errors, errors)
    found = covariance(problem, outcome, "observed")[np.ix_(free, free)]
    np.testing.assert_allclose(found / scale, expected / scale, atol=5e-3)
    total = covariance(problem, outcome, "observed")[4:9, 4:9].sum()
    assert abs(total) < 1e-12  # shares sum to 1, so that their sum has no variance


def test_what_is_held_has_no_standard_error(problem, outcome):
    diagonal = covariance(problem, outcome, "observed").diagonal()
    assert np.isnan(diagonal[problem.held]).all()
    assert np.isfinite(diagonal[~problem.held]).all()


def test_the_sandwich_agrees_with_the_information_where_the_model_is_true(problem, outcome):
    observed, sandwich = (covariance(problem, outcome, kind).diagonal()[:9] for kind in ("observed", "sandwich"))
    told = ~problem.held[:9]
    # products of scores of 400 genes: relative errors of a variance of about sqrt(2 / 400) and tails of the same size
    np.testing.assert_allclose(np.sqrt(sandwich[told] / observed[told]), 1.0, atol=0.2)


def test_the_composite_is_surer_than_its_sandwich():
    """Its information takes a gene's samples as independent."""
    problem = shared(draw(400, 2), likelihood="composite", noise="measurement")
    outcome = fitted(problem)
    observed, sandwich = (np.sqrt(covariance(problem, outcome, kind)[0, 0]) for kind in ("observed", "sandwich"))
    assert sandwich > 1.5 * observed


def test_an_unknown_information_is_refused(problem, outcome):
    with pytest.raises(OptionError, match="sandwich"):
        covariance(problem, outcome, "expected")


@pytest.mark.parametrize(("coordinate", "value"), [(4, 0.3), (6, 0.0), (2, 0.02), (1, 0.5), (0, 4.9), (4, 1.0)])
def test_a_restricted_maximum_is_below_the_maximum_and_keeps_its_coordinate(problem, outcome, coordinate, value):
    found = problem.restricted(outcome.params, coordinate, value)
    assert found.params.vector()[coordinate] == value
    assert found.objective < outcome.objective
    assert found.params.shares.sum() == pytest.approx(1.0, abs=1e-12)


def test_a_restricted_maximum_is_stationary_in_all_else(problem, outcome):
    """Held at its own estimate nothing moves; a quadratic near it has the curvature of the covariance."""
    estimate = outcome.params.vector()[4]
    assert problem.restricted(outcome.params, 4, estimate).objective == pytest.approx(outcome.objective, abs=1e-9)
    error = float(np.sqrt(covariance(problem, outcome, "observed")[4, 4]))
    drop = outcome.objective - problem.restricted(outcome.params, 4, estimate + 0.1 * error).objective
    assert drop == pytest.approx(0.005, rel=0.05)  # cubic terms of a tenth of a standard error


def test_resampled_genes_are_genes_with_their_pieces():
    values = draw(60, 3)
    values[40:, :4] = np.nan
    pieces = reduce_samples(values, SAMPLE_TYPE, 5)
    drawn = resampled(pieces, np.random.default_rng(0))
    assert sum(len(piece) for piece in drawn) == 60
    np.testing.assert_array_equal(np.sort(np.concatenate([piece.positions for piece in drawn])), np.arange(60))
    for piece in drawn:
        same = next(other for other in pieces if np.array_equal(other.types, piece.types))
        assert {tuple(row) for row in piece.means} <= {tuple(row) for row in same.means}


def test_resampling_spreads_estimates_as_the_standard_errors_say(problem, outcome):
    rng = np.random.default_rng(5)
    drawn = [problem.with_pieces(resampled(problem.base.pieces, child)) for child in rng.spawn(60)]
    ends = [other.climb(other.nearby(outcome.params)) for other in drawn]
    assert all(end.status.arrived for end in ends)
    spread = np.std([end.params.vector()[:9] for end in ends], axis=0, ddof=1)
    errors = np.sqrt(covariance(problem, outcome, "sandwich").diagonal()[:9])
    told = ~problem.held[:9]
    # 60 replicates know a standard deviation to 9 %: 3.5 of these
    np.testing.assert_allclose(spread[told] / errors[told], 1.0, atol=0.35)


def test_noise_of_cells_is_the_same_problem_in_either_family(problem, outcome):
    other = NoiseProblem(base=problem.base, terms=frozenset({"cell"}))
    found = fitted(other)
    assert found.objective == pytest.approx(outcome.objective, abs=1e-7)
    rows = np.r_[0, 1, 3, 12:17]
    mine = np.r_[0, 1, 2, 4:9]
    # certificates of 1e-6 and 1e-8 standard errors
    np.testing.assert_allclose(other.vector(found.params)[rows], problem.vector(outcome.params)[mine], rtol=1e-5)
    errors = [
        np.sqrt(covariance(each, end, "observed").diagonal()) for each, end in ((other, found), (problem, outcome))
    ]
    np.testing.assert_allclose(errors[0][rows], errors[1][mine], rtol=1e-4)  # differences of scores
    sandwiches = [
        np.sqrt(covariance(each, end, "sandwich").diagonal()) for each, end in ((other, found), (problem, outcome))
    ]
    # 200 groups of two genes in place of 400 genes: sqrt(2 / 200) each
    np.testing.assert_allclose(sandwiches[0][rows], sandwiches[1][mine], rtol=0.3)


@pytest.mark.parametrize(("mine", "theirs", "value"), [(4, 12, 0.3), (6, 14, 0.0), (2, 3, 0.02), (0, 0, 4.9)])
def test_a_restricted_maximum_is_the_same_in_either_family(problem, outcome, mine, theirs, value):
    if mine < 3:  # units of the fit
        value /= factors(problem)[mine]
    other = NoiseProblem(base=problem.base, terms=frozenset({"cell"}))
    expected = problem.restricted(outcome.params, mine, value).objective
    found = other.restricted(fitted(other).params, theirs, value)
    assert found.objective == pytest.approx(expected, abs=1e-6)  # certificates of 1e-4 and 1e-5: half their squares
    assert found.params.vector()[theirs] == value


def test_a_remembered_point_says_the_same_of_its_genes(problem, outcome):
    mine = problem.remember(outcome.params).posterior(problem.base.pieces)
    other = NoiseProblem(base=problem.base, terms=frozenset({"cell"}))
    theirs = other.remember(fitted(other).params).posterior(problem.base.pieces)
    np.testing.assert_allclose(theirs.probabilities, mine.probabilities, atol=1e-6)
    np.testing.assert_allclose(theirs.means, mine.means, rtol=1e-6)


def test_names_factors_and_free_parameters_have_every_coordinate(problem):
    for each in (problem, NoiseProblem(base=problem.base, terms=frozenset({"trend", "misfit"}))):
        size = len(each.scalars) + 5 + 15
        assert len(names(each, list("abcde"))) == len(factors(each)) == len(each.held) == size
    assert free_parameters(problem) == 3 + 4
    assert factors(problem)[1] == problem.base.scale**2


@pytest.mark.parametrize("family", ["shared", "noise"])
def test_a_held_proportion_keeps_its_prior(family):
    """At its own estimate a restricted maximum is the maximum, the prior of the held entry included."""
    known = P.copy()
    known[3] = np.nan
    base = PartitionMixture.of(draw(150, 4), SAMPLE_TYPE, PARTITIONS, known, concentration=np.full(P.shape, 2.0))
    problem = (
        SharedProblem(base=base, options=Climb())
        if family == "shared"
        else NoiseProblem(base=base, terms=frozenset({"cell"}))
    )
    outcome = fitted(problem)
    at = len(problem.scalars) + 5 + 3 * 3 + 1
    vector = problem.vector(outcome.params)
    assert problem.restricted(outcome.params, at, float(vector[at])).objective == pytest.approx(
        outcome.objective, abs=1e-7
    )
    assert problem.restricted(outcome.params, at, 0.5 * float(vector[at])).objective < outcome.objective


def test_at_an_edge_the_quadratic_reaches_about_as_far_as_the_profile():
    """A share whose truth is 0 and, among genes of one partition only, the share that is 1."""
    rng = np.random.default_rng(8)
    labels = np.array(PARTITIONS.labels)[rng.choice([0, 3, 4], 400, p=[0.4, 0.3, 0.3])]
    means = np.take_along_axis(5.0 + rng.standard_normal((400, 3)), labels, axis=1)
    values = means @ P[SAMPLE_TYPE].T + 0.2 * rng.standard_normal((400, 20))
    problem = shared(values, noise="measurement")
    outcome = fitted(problem)
    quadratic = problem.quadratic(outcome)
    at = np.flatnonzero(outcome.params.vector()[4:9] == 0.0) + 4
    assert at.size
    for drop in (0.5, 2.0):
        reach = quadratic.reach(drop)
        assert np.isnan(np.delete(reach, at)).all()
        for coordinate in at:
            fallen = outcome.objective - problem.restricted(outcome.params, coordinate, reach[coordinate]).objective
            # the profile's third derivative: shares at 0 reach some hundredths, where a quadratic is off by some 10 %
            assert fallen == pytest.approx(drop, rel=0.25)


def test_a_share_of_one_reaches_down_as_far_as_the_likeliest_other_reaches_up():
    rng = np.random.default_rng(9)
    means = np.repeat(5.0 + rng.standard_normal((200, 1)), 3, axis=1)
    problem = shared(means @ P[SAMPLE_TYPE].T + 0.3 * rng.standard_normal((200, 20)), noise="measurement")
    outcome = fitted(problem)
    assert outcome.params.shares[0] == 1.0
    reach = problem.quadratic(outcome).reach(2.0)
    assert reach[4] == np.nanmax(reach[5:9]) > 0.0
