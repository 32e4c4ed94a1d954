"""Quadratic forms over sample types say what the loop over partitions says."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.models.partition import joint, projected, quadratic
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.weighted_scores import posterior_of

PARTITIONS = all_partitions(("liver", "brain", "lung", "heart"))
SAMPLE_TYPE = np.repeat(np.arange(6), [3, 2, 4, 1, 3, 2])


def point(**changes: object) -> PartitionParams:
    rng = np.random.default_rng(1)
    proportions = rng.dirichlet(np.ones(4), 6)
    fixed = np.r_[np.zeros(SCALARS + len(PARTITIONS), dtype=bool), np.ones(proportions.size, dtype=bool)]
    params = PartitionParams(
        mean=1.5,
        between=2.0,
        cell=0.5,
        measurement=0.3,
        shares=rng.dirichlet(np.full(len(PARTITIONS), 2.0)),
        proportions=proportions,
        fixed=fixed,
    )
    return replace(params, **changes)


def values(genes: int = 40, missing: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(2)
    drawn = rng.normal(1.5, 1.5, (genes, len(SAMPLE_TYPE))) + rng.normal(size=(genes, 1))
    drawn[rng.random(drawn.shape) < missing] = np.nan
    return drawn


def agree(found: object, told: object, names: list[str]) -> None:
    for name in names:
        one, other = getattr(found, name), getattr(told, name)
        # Two orders of the same sums: rounding of the largest entry.
        assert_allclose(one, other, rtol=1e-9, atol=1e-11 * np.abs(np.asarray(other)).max(), err_msg=name)


def no_share() -> PartitionParams:
    shares = point().shares.copy()
    shares[[0, 3]] = 0.0, 1e-200
    return point(shares=shares / shares.sum())


@pytest.mark.parametrize(
    "params",
    [point(), point(between=0.0), point(measurement=0.0), point(cell=0.0), no_share()],
    ids=["inside", "no blocks", "cell", "measurement", "shares at 0"],
)
def test_every_statistic_equals_that_of_the_loop(params):
    for piece in reduce_samples(values(), SAMPLE_TYPE, 6):
        told = joint.summarise_by_partition(params, PARTITIONS, piece)
        found = quadratic.summarise(params, PARTITIONS, piece)
        agree(found, told, [field.name for field in fields(told)])


@pytest.mark.parametrize("noise", [(0.5, 0.3), (0.0, 0.3), (0.5, 0.0)], ids=["both", "measurement", "cell"])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_projections_on_cell_types_say_the_same_of_more_sample_types(noise, missing):
    """Fifteen types, two samples of some; samples that are missing leave some types out."""
    rng, sample_type = np.random.default_rng(5), np.r_[np.arange(15), np.arange(7)]
    proportions = rng.dirichlet(np.ones(4), 15)
    fixed = np.r_[np.zeros(SCALARS + len(PARTITIONS), dtype=bool), np.ones(proportions.size, dtype=bool)]
    params = replace(no_share(), proportions=proportions, fixed=fixed, cell=noise[0], measurement=noise[1])
    drawn = rng.normal(1.5, 1.5, (30, len(sample_type))) + rng.normal(size=(30, 1))
    drawn[rng.random(drawn.shape) < missing] = np.nan
    for piece in reduce_samples(drawn, sample_type, 15):
        assert projected.serves(params, piece)
        told = joint.summarise_by_partition(params, PARTITIONS, piece)
        found = projected.summarise(params, PARTITIONS, piece)
        agree(found, told, [field.name for field in fields(told)])


def test_projections_do_not_serve_where_rows_do_not_sum_to_one():
    (piece,) = reduce_samples(values(missing=0.0), SAMPLE_TYPE, 6)
    assert projected.serves(point(), piece)
    assert not projected.serves(point(proportions=1.001 * point().proportions), piece)


def test_with_little_noise_the_loop_serves():
    """Products of residuals of which 1e8 parts cancel would leave 1e-8 of a score to rounding."""
    (piece,) = reduce_samples(values(missing=0.0), SAMPLE_TYPE, 6)
    clear, little = point(measurement=3e-5, cell=0.0), point(measurement=1e-7, cell=0.0)
    assert quadratic.serves(clear, piece)
    assert not quadratic.serves(little, piece)
    told, found = (of(clear, PARTITIONS, piece) for of in (joint.summarise_by_partition, quadratic.summarise))
    assert_allclose(found.score, told.score, rtol=1e-8)
    assert (
        joint.summarise(little, PARTITIONS, piece).score[1]
        == joint.summarise_by_partition(little, PARTITIONS, piece).score[1]
    )


def test_held_noise_has_no_score_and_changes_no_other():
    fixed = point().fixed.copy()
    fixed[3] = True
    (piece,) = reduce_samples(values(missing=0.0), SAMPLE_TYPE, 6)
    free = quadratic.summarise(point(measurement=0.0), PARTITIONS, piece)
    held = quadratic.summarise(point(measurement=0.0, fixed=fixed), PARTITIONS, piece)
    rest = np.arange(len(free.score)) != 3
    assert held.score[3] == 0.0
    assert_allclose(held.score[rest], free.score[rest], rtol=1e-12)
    assert_allclose(held.hessian[np.ix_(rest, rest)], free.hessian[np.ix_(rest, rest)], rtol=1e-12)
    assert_allclose(held.quad_noise, free.quad_noise, rtol=1e-12)


def test_genes_at_a_time_do_not_matter(monkeypatch):
    (piece,) = reduce_samples(values(200, missing=0.0), SAMPLE_TYPE, 6)
    whole = quadratic.summarise(point(), PARTITIONS, piece)
    monkeypatch.setattr(quadratic, "CACHED", 1)  # blocks of 64 genes, the last one shorter
    agree(quadratic.summarise(point(), PARTITIONS, piece), whole, [field.name for field in fields(whole)])


def test_a_partition_with_no_share_has_no_posterior_and_a_finite_ratio():
    densities = np.array([[-1.0, 800.0], [-2.0, -3.0]])
    posterior, log_density = posterior_of(densities, np.array([0.0, 1.0]))
    assert_allclose(posterior, [[0.0, 0.0], [1.0, 1.0]])
    assert_allclose(log_density, [-2.0, -3.0])
