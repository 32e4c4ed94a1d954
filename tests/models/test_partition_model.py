"""What a partition model knows of itself, where it starts, and what it refuses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.errors import NotIdentifiedError, OptionError, ShapeError
from varmix.iteration import from_every_start
from varmix.models.partition.climb import Climb
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.noise_problem import NoiseProblem
from varmix.models.partition.partitions import all_partitions, given_partitions, one_vs_rest
from varmix.models.partition.problem import free_parameters, names
from varmix.models.partition.shared_problem import SharedProblem
from varmix.models.partition.starting import default_starts, moment_start, random_start, vertex_start

TYPES = ("a", "b", "c")
PARTITIONS = all_partitions(TYPES)
SAMPLE_TYPE = np.repeat(np.arange(5), 3)
ROWS = np.array([[1.0, 0, 0], [0.5, 0.3, 0.2], [0, 1.0, 0], [0.1, 0.6, 0.3], [0, 0, 1.0]])


def values(genes: int = 60, noise: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(0)
    cells = 8.0 + 2.0 * rng.normal(size=(genes, 3))
    return cells @ ROWS[SAMPLE_TYPE].T + noise * rng.normal(size=(genes, 15))


def model(known: np.ndarray = ROWS, **options: object) -> PartitionMixture:
    return PartitionMixture.of(values(), SAMPLE_TYPE, PARTITIONS, known, **options)


def test_coordinates_are_counted_and_named():
    one = PartitionMixture.of(values(), SAMPLE_TYPE, one_vs_rest(("a",)), np.ones((5, 1)))
    bases = model(), model(np.full((5, 3), np.nan), noise="both"), one
    problems = [SharedProblem(base=base, options=Climb()) for base in bases]
    assert [free_parameters(problem) for problem in problems] == [3 + 4, 4 + 4 + 10, 3]
    told = names(problems[1], list("ABCDE"))
    assert len(told) == len(problems[1].held) == 4 + 5 + 15
    assert told[4] == "share[a = b = c]"
    assert told[-1] == "proportion[E, c]"


def test_symmetry_of_labels_is_told():
    free = np.full((5, 3), np.nan)
    assert model(free).label_symmetry
    assert "6 orders" in model(free).notes[0]
    assert not model().label_symmetry
    assert model().notes == ()
    partly = free.copy()
    partly[0] = ROWS[0]
    assert not model(partly).label_symmetry
    uneven = np.ones((5, 3))
    uneven[0, 0] = 2.0
    assert not model(free, concentration=uneven).label_symmetry
    lopsided = given_partitions(TYPES, ["a = b = c", "a = b | c"])
    assert not PartitionMixture.of(values(), SAMPLE_TYPE, lopsided, free).label_symmetry


def test_units_go_out_and_in():
    known = model()
    start = moment_start(known)
    assert_allclose(known.inward(known.outward(start)).vector(), start.vector(), rtol=1e-15)
    assert np.log2(known.scale) == int(np.log2(known.scale))


def test_moments_are_near_the_truth():
    known = model()
    start = known.outward(moment_start(known))
    assert_allclose(start.mean, 8.0, atol=0.6)  # two standard errors of 60 genes
    assert_allclose(start.cell * (ROWS**2).sum(axis=1).mean(), 0.05**2, rtol=0.2)


def test_vertices_find_pure_samples():
    """Up to the order of labels, and up to the even part that starts keep."""
    found = vertex_start(model(np.full((5, 3), np.nan))).proportions
    errors = [np.abs(found[:, list(order)] - ROWS).max() for order in itertools.permutations(range(3))]
    assert min(errors) < 0.12


def test_random_starts_come_from_their_generator():
    free = model(np.full((5, 3), np.nan), noise="both")
    one, two = (random_start(free, np.random.default_rng(5)).vector() for _ in range(2))
    assert (one == two).all()
    starts = default_starts(free, 3, np.random.default_rng(1))
    assert [name for name, _ in starts] == ["vertices", "random", "random"]
    assert not np.allclose(starts[1][1].vector(), starts[2][1].vector())


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0]])
def test_a_prior_that_tells_cell_types_apart_is_where_climbs_begin(order):
    """Vertices have cell types in any order, and the prior's hill is not the likelihood's next one."""
    rows = ROWS[:, order]
    task = model(np.full((5, 3), np.nan), concentration=1.0 + 100.0 * rows)
    (name, first), *rest = default_starts(task, 3, np.random.default_rng(0))
    assert [name, *(kind for kind, _ in rest)] == ["prior", "vertices", "random"]
    assert [kind for kind, _ in default_starts(task, 1, np.random.default_rng(0))] == ["prior"]
    assert_allclose(first.proportions, rows, atol=0.07)  # a tenth of the way to even rows
    found = Climb().run(task, first)
    assert found.status.arrived
    assert_allclose(found.params.proportions, rows, atol=0.05)
    differing = NoiseProblem(base=task, terms=frozenset({"cell"}), moderated=True)
    (name, first), *rest = differing.starts(3, np.random.default_rng(0))
    assert [name, *(kind for kind, _ in rest)] == ["prior", "vertices", "vertices"]
    assert_allclose(first.proportions, rows, atol=0.07)


def test_several_starts_keep_the_highest_optimum():
    known = model()
    starts = [start for _, start in default_starts(known, 3, np.random.default_rng(2))]
    runs = from_every_start(lambda start: Climb().run(known, start), starts)
    assert runs.reached_best == 3


def test_types_without_a_sample_hold_their_row():
    free = PartitionMixture.of(values()[:, :12], SAMPLE_TYPE[:12], PARTITIONS, np.full((5, 3), np.nan))
    assert not free.seen[4]
    assert free.held[-3:].all()


def test_bad_options_are_refused():
    with pytest.raises(OptionError, match="cell, measurement, both"):
        model(noise="gene")
    with pytest.raises(OptionError, match="composite"):
        model(likelihood="product")
    with pytest.raises(ShapeError, match="2 columns for 3"):
        model(ROWS[:, :2])
    with pytest.raises(NotIdentifiedError, match="equal or missing"):
        PartitionMixture.of(np.ones((3, 15)), SAMPLE_TYPE, PARTITIONS, ROWS)
    with pytest.raises(OptionError, match="pxem"):
        Climb(scheme="gradient")
