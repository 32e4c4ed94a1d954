"""With one noise and known proportions T sample types say all that more of them do."""

from __future__ import annotations

import operator
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.models.partition import climb, joint
from varmix.models.partition.climb import Climb
from varmix.models.partition.compressed import compressed
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.starting import moment_start, random_start

PARTITIONS = all_partitions(("liver", "brain", "lung"))
SAMPLE_TYPE = np.repeat(np.arange(9), [3, 1, 4, 1, 2, 1, 1, 2, 3])


def model_of(noise: str, *, patterns: int = 1, level: float = 2.0, known: np.ndarray | None = None) -> PartitionMixture:
    rng = np.random.default_rng(3)
    proportions = rng.dirichlet(np.ones(3), 9) if known is None else known
    cells = level + 1.4 * rng.standard_normal((60, 3))
    cells[::2, 1] = cells[::2, 0]
    values = cells @ proportions[SAMPLE_TYPE].T + 0.5 * rng.standard_normal((60, len(SAMPLE_TYPE)))
    if patterns == 2:
        values[::3, :4] = np.nan
    return PartitionMixture.of(values, SAMPLE_TYPE, PARTITIONS, proportions, noise=noise)


def summed(params, pieces):
    return reduce(operator.add, [joint.summarise_by_partition(params, PARTITIONS, piece) for piece in pieces])


@pytest.mark.parametrize("noise", ["cell", "measurement"])
@pytest.mark.parametrize("patterns", [1, 2])
def test_few_types_have_the_same_likelihood_and_derivatives(noise, patterns):
    model = model_of(noise, patterns=patterns)
    few = compressed(model, model.point(moment_start(model)))
    assert few is not None
    assert [piece.means.shape[1] for piece in few.pieces] == [3] * patterns
    for seed in range(3):
        params = model.point(random_start(model, np.random.default_rng(seed)))
        told, found = summed(params, model.pieces), summed(few.inward(params), few.pieces)
        assert_allclose(found.log_likelihood + few.constant, told.log_likelihood, rtol=1e-11)  # rounding of 1,080 terms
        free = np.delete(np.arange(len(told.score)), 3 if noise == "cell" else 2)
        for name in ("score", "hessian", "outer"):
            one, other = getattr(found, name), getattr(told, name)
            at = free if name == "score" else np.ix_(free, free)
            assert_allclose(one[at], other[at], rtol=1e-9, atol=1e-11 * np.abs(other[at]).max())
        assert_allclose(found.samples.sum(), told.samples.sum(), rtol=1e-12)


@pytest.mark.parametrize("noise", ["cell", "measurement"])
@pytest.mark.parametrize("scheme", ["newton", "em", "pxem", "mm"])
def test_every_scheme_takes_the_same_steps(monkeypatch, noise, scheme):
    model = model_of(noise, patterns=2)
    start, options = moment_start(model), Climb(scheme=scheme, polish=False, max_iterations=12)
    found = options.run(model, start)
    monkeypatch.setattr(climb, "compressed", lambda *_: None)
    told = options.run(model, start)
    assert len(found.progress.steps) == len(told.progress.steps)
    for one, other in zip(found.progress.steps, told.progress.steps, strict=True):
        assert_allclose(one.objective, other.objective, rtol=1e-11)
        assert_allclose(one.vector, other.vector, rtol=1e-7, atol=1e-9)  # rounding along twelve steps
    assert found.status == told.status
    assert_allclose(found.stats.log_likelihood, told.stats.log_likelihood, rtol=1e-11)
    assert (found.params.proportions == model.known).all()
    assert (found.params.held == told.params.held).all()


def test_a_level_far_above_the_noise_loses_nothing():
    """Means of a million with noise of .5: sums of squares are of deviations."""
    near, far = model_of("cell"), model_of("cell", level=1e6)
    one, other = (Climb().run(model, moment_start(model)) for model in (near, far))
    assert_allclose(far.outward(other.params).cell, near.outward(one.params).cell, rtol=1e-7)  # eps 1e6 / .5


def test_pure_samples_need_no_rotation():
    known = np.vstack([np.eye(3), np.eye(3), np.eye(3)])
    model = model_of("cell", known=known)
    params = model.point(moment_start(model))
    few = compressed(model, params)
    assert few is not None
    told, found = summed(params, model.pieces), summed(few.inward(params), few.pieces)
    assert_allclose(found.log_likelihood + few.constant, told.log_likelihood, rtol=1e-12)


def test_what_cannot_be_compressed_is_not():
    both, free = model_of("both"), model_of("cell", known=np.full((9, 3), 1.0 / 3.0))
    assert compressed(both, both.point(moment_start(both))) is None
    free = replace(free, known=np.full((9, 3), np.nan))
    assert compressed(free, free.point(moment_start(free))) is None
    composite = replace(model_of("cell"), likelihood="composite")
    assert compressed(composite, composite.point(moment_start(composite))) is None
    rounded = model_of("cell", known=np.round(np.random.default_rng(3).dirichlet(np.ones(3), 9), 3) * 1.0005)
    assert compressed(rounded, rounded.point(moment_start(rounded))) is None
