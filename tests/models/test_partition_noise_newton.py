"""Newton on noise that differs: exact scores at edges, information, certificates and what they must not hide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.iteration import Status
from varmix.models.partition import joint
from varmix.models.partition.climb import Climb
from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.partition.heteroscedastic import spread_score, summarise
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.noise import Noise
from varmix.models.partition.noise_coordinates import FREE, Coordinates
from varmix.models.partition.noise_curvature import NoisePosterior, likelihood_score
from varmix.models.partition.noise_fit import NoiseFit, fit_noise
from varmix.models.partition.noise_newton import Curvature, polish
from varmix.models.partition.noise_point import SCALARS, NoisePoint
from varmix.models.partition.noise_starts import noise_start
from varmix.models.partition.noise_terms import SETS
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.reduced import Reduced
from varmix.models.partition.starting import moment_start
from varmix.models.partition.trend import Trend

PARTITIONS = all_partitions(["liver", "brain", "lung"])
SAMPLE = np.repeat(np.arange(7), 3)
PROPORTIONS = np.vstack([np.eye(3), np.random.default_rng(4).dirichlet(np.ones(3), 4)])
KNOWN = FREE - {"proportions", "spread", "misfit_exponent"}
SHARED = frozenset({"mean", "between", "cell", "shares"})


def simulated(rng: np.random.Generator, genes: int, *, base: float, between: float) -> np.ndarray:
    labels = np.array(PARTITIONS.labels)[rng.integers(0, 5, genes)]
    blocks = base + between * rng.standard_normal((genes, 3))
    return np.take_along_axis(blocks, labels, axis=1) @ PROPORTIONS.T


@pytest.fixture(scope="module")
def piece() -> Genes:
    """200 genes: replicate noise 2 + .05 x, lack of fit 6 % of the mean, no scatter."""
    rng = np.random.default_rng(9)
    means = np.abs(simulated(rng, 200, base=60.0, between=40.0))
    means *= 1.0 + 0.06 * rng.standard_normal(means.shape)
    values = means[:, SAMPLE] + (2.0 + 0.05 * means[:, SAMPLE]) * rng.standard_normal((200, len(SAMPLE)))
    return reduce_samples(values, SAMPLE, 7)[0]


@pytest.fixture(scope="module")
def fit(piece) -> NoiseFit:
    start = noise_start([piece], PARTITIONS, PROPORTIONS, terms=SETS["full"] | {"scatter"})
    return fit_noise([piece], PARTITIONS, start, free=KNOWN)


def shared_values() -> np.ndarray:
    rng = np.random.default_rng(2)
    means = simulated(rng, 200, base=3.0, between=1.5)
    return means[:, SAMPLE] + 0.5 * rng.standard_normal((200, len(SAMPLE)))


def as_noise(params: PartitionParams) -> HeteroscedasticParams:
    return HeteroscedasticParams(
        mean=params.mean,
        between=params.between,
        noise=Noise(cell=params.cell, measurement=params.measurement),
        trend=Trend(reference=1.0),
        shares=params.shares,
        proportions=params.proportions,
    )


def known_of(kind: str) -> np.ndarray:
    """Of 7 rows "partly" knows: all of the pure ones, nothing of two, one entry of one, two entries of one."""
    known = np.full_like(PROPORTIONS, np.nan) if kind != "known" else PROPORTIONS.copy()
    if kind == "partly":
        known[:3] = PROPORTIONS[:3]
        known[5, 1], known[6, :2] = PROPORTIONS[5, 1], PROPORTIONS[6, :2]
    return known


def prior_of(name: str | None) -> np.ndarray | None:
    """One concentration, or one per entry with 1 (no prior) among them."""
    if name == "rows":
        return 1.0 + np.random.default_rng(8).integers(0, 4, PROPORTIONS.shape) / 2.0
    return None if name is None else np.full(PROPORTIONS.shape, 1.05)


@pytest.mark.parametrize(
    ("kind", "prior_name", "noise"),
    [
        ("known", None, "cell"),
        ("known", "rows", "both"),
        ("free", None, "cell"),
        ("free", "same", "cell"),
        ("free", "rows", "measurement"),
        ("partly", None, "measurement"),
        ("partly", "rows", "cell"),
        ("partly", "rows", "both"),
    ],
)
def test_optimum_and_certificate_are_those_of_the_shared_variance_where_the_models_coincide(kind, prior_name, noise):
    prior, known = prior_of(prior_name), known_of(kind)
    model = PartitionMixture.of(shared_values(), SAMPLE, PARTITIONS, known, concentration=prior, noise=noise)
    begin = moment_start(model, 0.8 * PROPORTIONS + 0.2 / 3.0)
    other = Climb().run(model, begin)
    moving = (SHARED - {"cell"}) | {"proportions"} | ({"cell", "measurement"} if noise == "both" else {noise})
    free = kind != "known"
    mine = fit_noise(model.pieces, PARTITIONS, as_noise(begin), free=moving, known=known, concentration=prior)
    assert mine.status is other.status
    assert mine.status.arrived
    assert mine.objective == pytest.approx(other.objective, abs=1e-8)  # rounding of sums of 2e3
    # both certified: to 1e-6 of a standard error, which are below .1
    assert_allclose(mine.params.proportions, other.params.proportions, atol=1e-7)
    assert_allclose(mine.params.shares, other.params.shares, atol=1e-7)
    assert mine.params.noise.cell == pytest.approx(other.params.cell, abs=1e-7)
    assert mine.params.noise.measurement == pytest.approx(other.params.measurement, abs=1e-7)
    assert (mine.params.proportions[~np.isnan(known)] == known[~np.isnan(known)]).all()
    assert ((mine.params.proportions == 0.0) == (other.params.proportions == 0.0)).all()
    reduced = Reduced.at(other.params)
    gradient = reduced.pull(np.pad(other.stats.score, (0, len(other.params.vector()) - len(other.stats.score))))
    at = np.flatnonzero(reduced.free(gradient))
    if prior is None and noise == "cell":  # standard errors of the mean, a, tau^2 and the shares from the exact Hessian
        information = -reduced.pull_square(other.stats.hessian)[np.ix_(at, at)]
        spread = reduced.directions[:, at] @ np.linalg.inv(information) @ reduced.directions[:, at].T
        expected = np.sqrt(spread.diagonal())
        errors = mine.standard_errors
        assert_allclose([errors[name] for name in ("mean", "between", "cell")], expected[:3], rtol=1e-4)
        assert_allclose(mine.share_errors, expected[4:9], rtol=1e-4)
        if free:
            found, told = mine.proportion_errors.ravel(), expected[9:]
            assert_allclose(found[np.isfinite(found)], told[np.isfinite(found)], rtol=1e-4)
            assert (np.isnan(found) == (told == 0.0)).all()


def test_score_and_information_are_exact_at_shares_and_proportions_of_zero():
    """Against the shared variance's exact Hessian; differences are one-sided there: 1e-5 of the largest entry."""
    genes = reduce_samples(shared_values(), SAMPLE, 7)[0]
    proportions = 0.9 * PROPORTIONS + 0.1 * np.array([0.0, 0.4, 0.6])
    params = PartitionParams(
        mean=2.8,
        between=2.0,
        cell=0.3,
        measurement=0.1,
        shares=np.array([0.2, 0.4, 0.0, 0.15, 0.25]),
        proportions=proportions / proportions.sum(axis=1, keepdims=True),
    )
    stats = joint.summarise(params, PARTITIONS, genes)
    fixed = np.array([name not in ("mean", "between", "cell", "measurement") for name in SCALARS])
    fixed = np.concatenate([fixed, np.zeros(5 + 21, dtype=np.bool_)])
    point = NoisePoint(params=as_noise(params), fixed=fixed, upper=np.full(len(fixed), np.inf))
    posterior = NoisePosterior(partitions=PARTITIONS)
    score = likelihood_score(posterior.summarise(point, genes))
    assert_allclose(score[~fixed], stats.score, rtol=1e-8, atol=1e-8 * np.abs(stats.score).max())
    information = posterior.information(point, Reduced.at(point), [genes])
    exact = -Reduced.at(params).pull_square(stats.hessian)
    scale = np.sqrt(np.abs(exact.diagonal()))
    assert_allclose(information / np.outer(scale, scale), exact / np.outer(scale, scale), atol=1e-5)


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_products_of_shares_are_minus_the_second_derivatives(piece, spread):
    start = noise_start([piece], PARTITIONS, PROPORTIONS, spread=spread)
    shares = np.array([0.3, 0.25, 0.0, 0.25, 0.2])

    def score(at: np.ndarray) -> np.ndarray:
        return summarise(replace(start, shares=at), PARTITIONS, piece).score_shares

    products, step = summarise(replace(start, shares=shares), PARTITIONS, piece).share_products, 1e-5
    for k in (0, 1, 3, 4):
        up, down = (score(shares + sign * step * np.eye(5)[k]) for sign in (1.0, -1.0))
        assert_allclose(products[k], (down - up) / (2.0 * step), rtol=1e-6)  # truncation: the square of the step
    assert products[2, 2] > 0.0


def test_score_of_the_spread_at_zero_is_the_limit_of_those_above(piece):
    start = noise_start([piece], PARTITIONS, PROPORTIONS)
    near = [summarise(replace(start, spread=s), PARTITIONS, piece).score_spread for s in (1e-4, 2e-4)]
    limit = 2.0 * near[0] - near[1]
    assert spread_score(start, PARTITIONS, piece) == pytest.approx(limit, rel=1e-3)  # four digits are promised


def test_a_fit_ends_with_its_certificate_and_no_lower_than_the_climb(fit):
    assert fit.status is Status.ON_BOUNDARY  # no scatter was simulated
    assert fit.certificate.newton_decrement <= 1e-6
    at_zero = {SCALARS[k] for k in fit.certificate.on_boundary}
    assert {"scatter", "scatter_proportional"} & at_zero
    assert all(getattr(fit.params.noise, name) == 0.0 for name in at_zero)
    assert all(np.isnan(fit.standard_errors[name]) for name in at_zero)
    assert fit.objective >= max(step.objective for step in fit.progress.steps) - 1e-9  # sums of 1e4 round to 1e-11
    assert fit.progress.last.objective == fit.objective == fit.log_likelihood
    evaluations = [step.evaluations for step in fit.progress.steps]
    assert evaluations == sorted(evaluations)


def test_variances_that_rest_at_zero_are_let_go_and_come_back_to_the_optimum(piece, fit):
    point = Coordinates.of(noise_start([piece], PARTITIONS, PROPORTIONS), KNOWN).point(fit.params, [piece])
    vector = point.vector()
    vector[[SCALARS.index(name) for name in ("misfit", "misfit_proportional")]] = 0.0
    end, _ = polish(NoisePosterior(partitions=PARTITIONS), point.placed(vector), [piece], max_iterations=80)
    assert end.status.arrived
    assert end.params.params.noise.misfit_proportional > 0.0
    assert end.objective == pytest.approx(fit.objective, abs=1e-6)  # certified, sums of 1e4


def test_a_limit_on_steps_does_not_pass_for_an_optimum(piece):
    start = noise_start([piece], PARTITIONS, PROPORTIONS)
    short = fit_noise([piece], PARTITIONS, start, free=KNOWN, max_iterations=3)
    assert short.status is Status.STEP_LIMIT
    assert not short.converged
    assert short.certificate.newton_decrement > 1e-6
    assert short.iterations == 3


def test_variances_that_cannot_be_told_apart_are_said_to_be_confounded():
    """Pure types of equal replication: cell, measurement and misfit differ in no sum of squares or mean."""
    rng = np.random.default_rng(1)
    values = np.take_along_axis(
        3.0 + 2.0 * rng.standard_normal((150, 3)), np.array(PARTITIONS.labels)[rng.integers(0, 5, 150)], axis=1
    )[:, np.repeat(np.arange(3), 3)]
    piece = reduce_samples(values + 0.5 * rng.standard_normal(values.shape), np.repeat(np.arange(3), 3), 3)[0]
    start = noise_start([piece], PARTITIONS, np.eye(3))
    start = replace(start, noise=Noise(cell=0.1, measurement=0.1))
    both = fit_noise([piece], PARTITIONS, start, free=frozenset({"mean", "between", "cell", "measurement", "shares"}))
    assert both.status is Status.CONFOUNDED
    assert np.isnan(both.standard_errors["cell"])
    start = replace(start, noise=Noise(cell=0.2))
    one = fit_noise([piece], PARTITIONS, start, free=SHARED)
    assert one.status is Status.CONVERGED
    assert one.objective == pytest.approx(both.objective, abs=1e-7)  # the same model


def test_an_upper_bound_is_met_and_said():
    rng = np.random.default_rng(6)
    level = np.exp(rng.normal(4.0, 1.5, (100, 3)))  # skewed: sd in proportion to the mean fits these best of all
    values = level[:, np.repeat(np.arange(3), 3)] * np.exp(0.03 * rng.standard_normal((100, 9)))
    piece = reduce_samples(values, np.repeat(np.arange(3), 3), 3)[0]
    capped = fit_noise([piece], PARTITIONS, noise_start([piece], PARTITIONS, np.eye(3)), free=KNOWN)
    assert capped.status.arrived
    edges = [SCALARS[k] for k in capped.certificate.on_boundary if k < len(SCALARS)]
    assert any(getattr(capped.params.noise, name) > 0.0 for name in edges)


def test_the_information_does_not_depend_on_the_pieces_or_their_order(piece, fit):
    point = Coordinates.of(noise_start([piece], PARTITIONS, PROPORTIONS), KNOWN).point(fit.params, [piece])
    posterior = NoisePosterior(partitions=PARTITIONS)
    whole = Curvature.at(posterior, point, [piece]).information
    parts = Curvature.at(posterior, point, list(piece.blocks(70))[::-1]).information
    scale = np.sqrt(np.abs(whole.diagonal()))
    assert_allclose(parts / np.outer(scale, scale), whole / np.outer(scale, scale), atol=1e-6)  # rounding over the step
