"""Laws of latent partitions: densities, derivatives, ascent, one optimum for all schemes, invariances."""

from __future__ import annotations

import operator
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from numpy.testing import assert_allclose
from partition_model import draw, gene_densities, log_likelihood, pattern_log_likelihood

from varmix.errors import OptionError
from varmix.iteration import Status
from varmix.models.partition import composite, joint
from varmix.models.partition.climb import Climb, scheme_of
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.newton import Newton
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.scheme import LIKELIHOODS, PartitionScheme
from varmix.models.partition.starting import moment_start, random_start, vertex_start

PARTITIONS = all_partitions(("liver", "brain", "lung"))
SAMPLE_TYPE = np.repeat(np.arange(5), [3, 2, 4, 1, 3])


def truth(seed: int = 1, **changes: object) -> PartitionParams:
    rng = np.random.default_rng(seed)
    params = PartitionParams(
        mean=1.5,
        between=2.0,
        cell=0.5,
        measurement=0.3,
        shares=rng.dirichlet(np.full(len(PARTITIONS), 3.0)),
        proportions=rng.dirichlet(np.ones(3), 5),
    )
    return replace(params, **changes)


def data(genes: int, seed: int = 2, missing: float = 0.0, **changes: object) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values, _ = draw(rng, truth(**changes), PARTITIONS, SAMPLE_TYPE, genes)
    values[rng.random(values.shape) < missing] = np.nan
    return values


def model_of(values: np.ndarray, *, free: bool = False, noise: str = "both", **options: object) -> PartitionMixture:
    known = np.full((5, 3), np.nan) if free else truth().proportions
    return PartitionMixture.of(values, SAMPLE_TYPE, PARTITIONS, known, noise=noise, **options)


def summed(likelihood: str, params: PartitionParams, pieces):
    return reduce(operator.add, [LIKELIHOODS[likelihood](params, PARTITIONS, piece) for piece in pieces])


def at_vector(params: PartitionParams, vector: np.ndarray) -> PartitionParams:
    """The point with these coordinates and nothing rescaled: pi and P off their simplexes."""
    count = len(params.shares)
    names = ("mean", "between", "cell", "measurement")
    return replace(
        params,
        **dict(zip(names, vector[:4].tolist(), strict=True)),
        shares=vector[4 : 4 + count],
        proportions=vector[4 + count :].reshape(params.proportions.shape),
    )


@pytest.mark.parametrize("likelihood", ["joint", "composite"])
def test_densities_equal_dense_normals_with_samples_missing(likelihood):
    values, params = data(12, missing=0.2), truth()
    of = {"joint": joint, "composite": composite}[likelihood].log_densities
    for piece in reduce_samples(values, SAMPLE_TYPE, 5):
        found = of(params, PARTITIONS, piece)
        dense = gene_densities(
            params, PARTITIONS, values[piece.positions], SAMPLE_TYPE, composite=likelihood == "composite"
        )
        assert_allclose(found, dense, rtol=1e-10)  # two ways to one Cholesky factor of order 13


def test_pure_samples_are_the_lognormal_normal_patterns():
    group = np.repeat(np.arange(3), 3)
    rng = np.random.default_rng(5)
    values = rng.normal(4.0, 1.0, (10, 9))
    shares = [0.3, 0.1, 0.2, 0.15, 0.25]
    patterns = [[[0, 1, 2]], [[0, 1], [2]], [[0, 2], [1]], [[0], [1, 2]], [[0], [1], [2]]]
    params = truth(shares=np.array(shares), proportions=np.eye(3), measurement=0.0, mean=4.2)
    found = sum(joint.summarise(params, PARTITIONS, p).log_likelihood for p in reduce_samples(values, group, 3))
    told = pattern_log_likelihood(values, group, patterns, shares, mu=4.2, between=2.0, within=0.5)
    assert_allclose(found, told, rtol=1e-12)


@pytest.mark.parametrize("likelihood", ["joint", "composite"])
def test_score_and_hessian_equal_differences(likelihood):
    """All coordinates as if free, pi and P off their simplexes, too."""
    params = truth()
    pieces = reduce_samples(data(25, missing=0.1), SAMPLE_TYPE, 5)
    stats, vector, width = summed(likelihood, params, pieces), params.vector(), 1e-5
    for k in range(len(vector)):
        step = width * np.eye(len(vector))[k]
        up, down = (summed(likelihood, at_vector(params, vector + sign * step), pieces) for sign in (1, -1))
        # Central differences at 1e-5: truncation and rounding are both below 1e-8 of the largest entry.
        slope = (up.log_likelihood - down.log_likelihood) / (2.0 * width)
        assert_allclose(slope, stats.score[k], rtol=1e-6, atol=1e-5)
        bend = (up.score - down.score) / (2.0 * width)
        assert_allclose(bend, stats.hessian[k], rtol=1e-6, atol=1e-8 * np.abs(stats.hessian).max())


def test_scores_of_the_sums_are_those_of_the_derivatives():
    """Two routes: Fisher's identity with cell types missing, and matrices of sample types."""
    params = truth()
    for likelihood in LIKELIHOODS:
        stats = summed(likelihood, params, reduce_samples(data(25, missing=0.1), SAMPLE_TYPE, 5))
        loads = (params.proportions**2).sum(axis=1)
        noise = [loads @ stats.score_noise, stats.score_noise.sum()]
        assert_allclose([stats.score_mean, stats.score_between, *noise], stats.score[:4], rtol=1e-9)
        assert_allclose(stats.counts / params.shares, stats.score[4:9], rtol=1e-10)
        error = params.noise()[:, None]
        rows = (stats.crossed - np.einsum("dtu,du->dt", stats.moments, params.proportions)) / error
        rows += 2.0 * params.cell * params.proportions * stats.score_noise[:, None]
        assert_allclose(rows.ravel(), stats.score[9:], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("likelihood", ["joint", "composite"])
def test_derivatives_in_cell_types_equal_those_in_sample_types(likelihood):
    params = truth()
    pieces = reduce_samples(data(25, missing=0.1), SAMPLE_TYPE, 5)
    held = np.r_[np.zeros(9, dtype=bool), np.ones(15, dtype=bool)]
    free, known = summed(likelihood, params, pieces), summed(likelihood, replace(params, fixed=held), pieces)
    assert_allclose(known.score, free.score[:9], rtol=1e-10)
    for name in ("hessian", "outer"):
        whole = getattr(free, name)[:9, :9]
        assert_allclose(getattr(known, name), whole, rtol=1e-9, atol=1e-12 * np.abs(whole).max())


@pytest.mark.parametrize("free", [False, True])
def test_pieces_add(free):
    model = model_of(data(40), free=free)
    params, scheme = model.point(moment_start(model)), scheme_of("newton", model)
    (whole,) = (scheme.summarise(params, piece) for piece in model.pieces)
    parts = reduce(operator.add, [scheme.summarise(params, piece) for piece in model.pieces[0].blocks(7)])
    for name in ("log_likelihood", "counts", "score", "hessian", "outer", "moments", "quad_noise", "blocks"):
        one, other = getattr(whole, name), getattr(parts, name)
        assert_allclose(one, other, rtol=1e-9, atol=1e-11 * np.abs(one).max())


@pytest.mark.parametrize("accelerate", ["none", "squarem", "anderson"])
@pytest.mark.parametrize("scheme", ["em", "pxem", "mm"])
@pytest.mark.parametrize("likelihood", ["joint", "composite"])
def test_no_scheme_ever_lowers_the_likelihood(likelihood, scheme, accelerate):
    model = model_of(data(40, missing=0.05), likelihood=likelihood)
    climb = Climb(scheme=scheme, accelerate=accelerate, polish=False, max_iterations=12)
    outcome = climb.run(model, random_start(model, np.random.default_rng(3)))
    path = np.array([step.objective for step in outcome.progress.steps])
    assert (np.diff(path) >= -1e-10 * np.abs(path[:-1])).all()  # rounding of a sum of some hundred terms
    assert path[-1] > path[0]


@pytest.mark.parametrize("scheme", ["em", "pxem"])
@pytest.mark.parametrize("noise", ["cell", "measurement", "both"])
@pytest.mark.parametrize("concentration", [None, 1.5])
def test_free_proportions_never_lower_the_objective(scheme, noise, concentration):
    prior = None if concentration is None else np.full((5, 3), concentration)
    model = model_of(data(60), free=True, noise=noise, concentration=prior)
    climb = Climb(scheme=scheme, polish=False, max_iterations=25)
    outcome = climb.run(model, random_start(model, np.random.default_rng(4)))
    path = np.array([step.objective for step in outcome.progress.steps])
    assert (np.diff(path) >= -1e-10 * np.abs(path[:-1])).all()
    moved = outcome.params.proportions
    assert_allclose(moved.sum(axis=1), 1.0, rtol=1e-12)
    assert (moved >= 0.0).all()


@pytest.mark.parametrize("likelihood", ["joint", "composite"])
@pytest.mark.parametrize("noise", ["cell", "measurement", "both"])
def test_every_scheme_reaches_newtons_optimum(likelihood, noise):
    model = model_of(data(150), noise=noise, likelihood=likelihood)
    start = moment_start(model)
    best = Climb().run(model, start)
    assert best.status.arrived
    for scheme in ("em", "pxem", "mm"):
        other = Climb(scheme=scheme).run(model, start)
        assert other.status.arrived
        assert_allclose(other.objective, best.objective, rtol=0.0, atol=1e-8)


def test_em_alone_arrives_where_newton_does():
    """Shares of partitions are told apart slowly: plain EM needs its thousand steps."""
    model = model_of(data(100), noise="cell")
    start = moment_start(model)
    slow = Climb(scheme="em", polish=False, max_iterations=2000, tolerance=1e-5).run(model, start)
    best = Climb().run(model, start)
    # Within a decrement of 1e-5 the log-likelihood is within 1e-10 of its maximum; on an edge EM only creeps.
    assert_allclose(slow.objective, best.objective, rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("concentration", [None, 1.3])
def test_free_proportions_have_one_optimum_for_em_and_newton(concentration):
    prior = None if concentration is None else np.full((5, 3), concentration)
    model = model_of(data(200), free=True, noise="cell", concentration=prior)
    start = random_start(model, np.random.default_rng(8))
    em = Climb(scheme="em").run(model, start)
    newton = Climb().run(model, em.params)
    assert em.status.arrived
    assert newton.status.arrived
    assert_allclose(em.objective, newton.objective, rtol=0.0, atol=1e-8)


def test_dense_likelihood_is_stationary_at_the_optimum():
    values = data(40)
    model = model_of(values, noise="both")
    outcome = Climb().run(model, moment_start(model))
    params = model.outward(outcome.params)
    told = log_likelihood(params, PARTITIONS, values, SAMPLE_TYPE)
    assert_allclose(model.log_likelihood_outward(outcome.objective), told, rtol=1e-11)
    reduced = Reduced.at(params)
    for direction, value in zip(reduced.directions.T, reduced.values, strict=True):
        if value == 0.0:
            continue
        width = 1e-4 * max(abs(value), 1e-3)
        up, down = (
            log_likelihood(
                at_vector(params, params.vector() + sign * width * direction), PARTITIONS, values, SAMPLE_TYPE
            )
            for sign in (1, -1)
        )
        # Rounding 1e-13 |l| over the width, and truncation of the third order.
        assert abs(up - down) / (2.0 * width) * abs(value) < 1e-4


def test_a_proportion_can_be_zero():
    """Pure samples beside mixed ones: entries of P land on 0 exactly, with a certificate."""
    rows = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    model = model_of(data(200, seed=4, proportions=rows, cell=0.05, measurement=0.0), free=True, noise="cell")
    outcome = Climb().run(model, vertex_start(model))
    assert outcome.status is Status.ON_BOUNDARY
    assert (outcome.params.proportions == 0.0).sum() >= 3
    assert outcome.certificate.newton_decrement < 1e-8


def test_order_of_cell_types_does_not_matter():
    values, order = data(80), [2, 0, 1]
    model = model_of(values)
    other = PartitionMixture.of(values, SAMPLE_TYPE, PARTITIONS, truth().proportions[:, order], noise="both")
    one, two = (Climb().run(m, moment_start(m)) for m in (model, other))
    assert_allclose(one.objective, two.objective, rtol=1e-12)
    assert_allclose(one.params.vector()[:4], two.params.vector()[:4], rtol=1e-6)


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_units_of_expression_do_not_matter(factor):
    values = data(80)
    one, two = model_of(values), model_of(factor * values)
    found, other = (Climb().run(m, moment_start(m)) for m in (one, two))
    here, there = one.outward(found.params), two.outward(other.params)
    assert_allclose(there.mean, factor * here.mean, rtol=1e-7)
    assert_allclose(there.between, factor**2 * here.between, rtol=1e-7)
    assert_allclose(there.cell, factor**2 * here.cell, rtol=1e-6, atol=1e-9 * factor**2)
    told = two.log_likelihood_outward(other.objective) + values.size * np.log(factor)
    assert_allclose(told, one.log_likelihood_outward(found.objective), rtol=1e-10)


def test_composite_maximum_has_no_noise_where_the_joint_one_has_the_truth():
    """Block means that samples share look like noise of its own to the product over samples [PART-6]."""
    rows = np.random.default_rng(9).dirichlet(np.ones(3), 5)
    values = data(300, proportions=rows, cell=0.36, measurement=0.0)
    found = {}
    for likelihood in ("joint", "composite"):
        model = PartitionMixture.of(values, SAMPLE_TYPE, PARTITIONS, rows, likelihood=likelihood)
        found[likelihood] = model.outward(Climb().run(model, moment_start(model)).params).cell
    assert_allclose(found["joint"], 0.36, rtol=0.1)  # 3 standard errors: sqrt(2 / 2400)
    assert found["composite"] < 0.01


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("likelihood", ["joint", "composite"])
def test_a_gene_without_samples_changes_nothing(likelihood, free):
    values = data(40)
    empty = np.vstack([values, np.full((1, values.shape[1]), np.nan)])
    found = []
    for rows in (values, empty):
        model = model_of(rows, free=free, likelihood=likelihood)
        found.append(Climb(max_iterations=5).run(model, vertex_start(model) if free else moment_start(model)))
    assert_allclose(found[1].objective, found[0].objective, rtol=1e-12)
    assert_allclose(found[1].params.vector(), found[0].params.vector(), rtol=1e-6, atol=1e-9)


def test_without_noise_the_joint_likelihood_has_no_density():
    model = model_of(data(10), noise="cell")
    params = model.point(truth(cell=0.0))
    scheme = scheme_of("newton", model)
    stats = scheme.summarise(params, model.pieces[0])
    assert scheme.objective(params, stats) == -np.inf
    assert scheme.certificate(params, stats).newton_decrement == np.inf


def test_mm_refuses_free_proportions():
    model = model_of(data(10), free=True)
    with pytest.raises(OptionError, match="known proportions"):
        Climb(scheme="mm").run(model, moment_start(model))


def test_prior_below_one_and_unknown_likelihood_are_refused():
    with pytest.raises(OptionError, match="at least 1"):
        Newton(partitions=PARTITIONS, concentration=np.full((5, 3), 0.5))
    with pytest.raises(OptionError, match="joint"):
        PartitionScheme(partitions=PARTITIONS, likelihood="product")


def test_known_entries_of_a_row_stay():
    known = np.full((5, 3), np.nan)
    known[0], known[1, 2] = [0.2, 0.3, 0.5], 0.25
    model = PartitionMixture.of(data(60), SAMPLE_TYPE, PARTITIONS, known)
    for scheme in ("em", "newton"):
        climb = Climb(scheme=scheme, polish=False, max_iterations=10)
        rows = climb.run(model, random_start(model, np.random.default_rng(1))).params.proportions
        assert_allclose(rows[0], known[0], rtol=1e-15)
        assert rows[1, 2] == 0.25
        assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-12)
