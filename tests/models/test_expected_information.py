"""What a design is expected to tell: against adaptive quadrature, simulation, derivatives, and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from varmix.models.random_effect_mixture.expected import Expected, expected, expected_information
from varmix.models.random_effect_mixture.nodes import Nodes, normal_nodes, product_nodes, repeated_nodes, sample_nodes
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.statistics import summarise
from varmix.models.random_effect_mixture.units import Units

NOTE = MixtureParams.free([0.001, 1.0], 0.5, [0.7, 0.3])
THREE = MixtureParams.free([0.0, 0.3, 4.0], 0.8, [0.5, 0.3, 0.2])


def one(q: float, rows: float = 1.0) -> Nodes:
    return Nodes(q=np.array([q]), weight=np.ones(1), rows=rows)


def held(params: MixtureParams, *positions: int) -> MixtureParams:
    mask = params.held.copy()
    mask[list(positions)] = True
    return replace(params, held=mask)


def score(params: MixtureParams, q: float, h: float) -> tuple[np.ndarray, float]:
    """Score of (v, s, pi) and density, as the definition says it."""
    tau = q * params.variances + params.residual
    log_each = np.log(params.shares) + norm.logpdf(h, scale=np.sqrt(tau))
    log_density = np.logaddexp.reduce(log_each)
    slope = np.exp(log_each - log_density) * 0.5 * (h * h / tau - 1.0) / tau
    return (
        np.concatenate([q * slope, [slope.sum()], np.exp(log_each - log_density) / params.shares]),
        math.exp(log_density),
    )


def by_adaptive_quadrature(params: MixtureParams, q: float) -> np.ndarray:
    tau = np.sort(q * params.variances + params.residual)
    edges = np.concatenate([[0.0], np.geomspace(0.1 * math.sqrt(tau[0]), 12.0 * math.sqrt(tau[-1]), 40)])
    size = 2 * params.classes + 1
    answer = np.zeros((size, size))
    for i in range(size):
        for j in range(i + 1):

            def integrand(h: float, i: int = i, j: int = j) -> float:
                slope, density = score(params, q, h)
                return 2.0 * slope[i] * slope[j] * density

            answer[i, j] = answer[j, i] = sum(
                quad(integrand, low, high, epsabs=0.0, epsrel=1e-9, limit=100)[0] for low, high in pairwise(edges)
            )
    return answer


@pytest.mark.parametrize(
    ("params", "q"),
    [
        (NOTE, 1.0),
        (NOTE, 40.0),
        (MixtureParams.free([0.0, 1e6], 1.0, [0.9, 0.1]), 1.0),  # widths a thousand times apart
        (MixtureParams.free([0.0, 2.0], 0.5, [1e-4, 1.0 - 1e-4]), 3.0),  # a rare narrow class
        (MixtureParams.free([0.0, 2.0], 0.5, [1.0 - 1e-6, 1e-6]), 3.0),  # a rare wide one
    ],
)
def test_information_agrees_with_adaptive_quadrature(params: MixtureParams, q: float) -> None:
    exact = by_adaptive_quadrature(params, q)
    scale = np.sqrt(exact.diagonal())
    # 1e-9 of the diagonal is what the adaptive rule was asked for.
    np.testing.assert_allclose(
        expected_information(params, one(q)) / np.outer(scale, scale),
        exact / np.outer(scale, scale),
        rtol=0,
        atol=3e-9,
    )


@pytest.mark.parametrize("params", [NOTE, THREE])
def test_information_is_what_simulated_units_show(params: MixtureParams) -> None:
    rng = np.random.default_rng(5)
    rows, batches, size = 4, 60, 4000
    outer, curvature = [], []
    for _ in range(batches):
        x = rng.standard_normal((size, rows))
        b = rng.normal(0.0, np.sqrt(params.variances[rng.choice(params.classes, size, p=params.shares)]))
        y = b[:, None] * x + rng.normal(0.0, math.sqrt(params.residual), (size, rows))
        q, xy = (x * x).sum(axis=1), (x * y).sum(axis=1)
        h2 = xy**2 / q
        rest = float(((y * y).sum(axis=1) - h2).sum())
        stats = summarise(params, Units(q=q, h2=h2, rest=rest, rest_rows=float(size * (rows - 1))))
        outer.append(stats.outer / size)
        curvature.append(-stats.hessian / size)
    told = expected_information(params, normal_nodes(rows, pull=float(params.variances.max()) / params.residual))
    for sample in (np.array(outer), np.array(curvature)):
        error = sample.std(axis=0) / math.sqrt(batches)
        # 25 entries, two estimates of each: five standard errors are passed once in 40,000 runs; `outer` holds the
        # expected product of the coordinates without an effect, which does not vary.
        assert (np.abs(sample.mean(axis=0) - told) <= 5.0 * error + 1e-9).all()


def test_information_is_the_slope_of_the_expected_score() -> None:
    """The score at another point, averaged under the truth, falls with the distance by the information."""
    q, params = 2.5, THREE
    h = np.linspace(0.0, 14.0 * math.sqrt(q * 4.0 + 0.8), 60_001)
    density = params.shares @ norm.pdf(h, scale=np.sqrt(q * params.variances + params.residual)[:, None])
    weight = 2.0 * density * (h[1] - h[0])
    weight[0] *= 0.5
    units = Units(q=np.full(len(h), q), h2=h * h, weight=weight)
    told = expected_information(params, one(q))
    step = 1e-5
    for position in range(7):
        if position == 0:
            continue  # v_1 = 0 has no other side
        moved = []
        for sign in (1.0, -1.0):
            vector = params.vector()
            vector[position] += sign * step
            at = replace(params, variances=vector[:3], residual=float(vector[3]), shares=vector[4:])
            moved.append(summarise(at, units).score)
        # Central differences err by step^2 times third derivatives of order 10.
        np.testing.assert_allclose(-(moved[0] - moved[1]) / (2.0 * step), told[:, position], rtol=1e-6, atol=1e-7)


def test_one_class_has_its_closed_form() -> None:
    params = MixtureParams.free([0.7], 0.4, [1.0])
    nodes = sample_nodes(np.array([0.5, 1.0, 3.0]), pull=0.7 / 0.4, rows=3.0)
    tau = nodes.q * 0.7 + 0.4
    v, s = ((nodes.weight / (2.0 * tau**2)) @ nodes.q**p for p in (2, 0))
    cross = (nodes.weight / (2.0 * tau**2)) @ nodes.q
    told = expected_information(params, nodes)
    np.testing.assert_allclose(told[:2, :2], [[v, cross], [cross, s + 2.0 / (2.0 * 0.4**2)]], rtol=1e-10)
    errors = expected(held(params, 2), nodes).standard_errors
    np.testing.assert_allclose(errors[:2], np.sqrt(np.linalg.inv(told[:2, :2]).diagonal()), rtol=1e-10)
    assert np.isnan(errors[2])


@pytest.mark.parametrize(("rows", "low", "high"), [(1, 0.0265, 0.0275), (5, 0.175, 0.185), (10, 0.32, 0.33)])
def test_the_notes_design_keeps_a_few_per_cent(rows: int, low: float, high: float) -> None:
    """An independent Monte Carlo gave 2.7 %, 18 % and 32 to 33 % with one, five and ten rows per effect [SLOPE-10]."""
    kept = expected(NOTE, normal_nodes(rows, pull=2.0)).kept
    assert low <= kept[0] <= high
    assert kept[1] == pytest.approx(kept[0], rel=1e-9)


def test_units_of_x_and_y_change_nothing_but_units() -> None:
    nodes = sample_nodes(np.random.default_rng(1).chisquare(3, 200), pull=5.0, rows=3.0)
    here = expected(THREE, nodes)
    for x, y in ((1e-3, 7.0), (1e6, 1e-4), (1.0, 1e-90)):
        there = expected(
            MixtureParams.free(THREE.variances * (y / x) ** 2, THREE.residual * y**2, THREE.shares),
            Nodes(q=nodes.q * x**2, weight=nodes.weight, rows=nodes.rows),
        )
        factors = np.array([(y / x) ** 2] * 3 + [y**2] + [1.0] * 3)
        np.testing.assert_allclose(there.standard_errors, here.standard_errors * factors, rtol=1e-8)
        np.testing.assert_allclose(there.kept, here.kept, rtol=1e-8)


def test_the_order_of_classes_does_not_matter() -> None:
    nodes, order = normal_nodes(4, pull=5.0), np.array([2, 0, 1])
    turned = MixtureParams.free(THREE.variances[order], THREE.residual, THREE.shares[order])
    np.testing.assert_allclose(expected(turned, nodes).kept, expected(THREE, nodes).kept[order], rtol=1e-9)


@given(
    gap=st.floats(0.3, 1e4), low=st.floats(0.0, 5.0), share=st.floats(0.02, 0.98), rows=st.integers(1, 30)
)  # fmt: skip
def test_what_is_kept_is_a_share_and_knowing_more_never_lowers_it(
    gap: float, low: float, share: float, rows: int
) -> None:
    params = MixtureParams.free([low, low + gap], 1.0, [share, 1.0 - share])
    nodes = normal_nodes(rows, pull=low + gap)
    kept = [
        expected(held(params, *known), nodes).kept[0] for known in ((), (2,), (0, 2), (0, 1, 2))
    ]  # fmt: skip
    assert 0.0 <= kept[0] <= 1.0 + 1e-9
    assert kept[-1] <= 1.0 + 1e-9
    # A part in 1e6 for information that is close to singular.
    assert all(before <= after * (1.0 + 1e-6) + 1e-12 for before, after in pairwise(kept))
    assert kept[-1] <= expected(held(params, 0, 1, 2), normal_nodes(rows + 5, pull=low + gap)).kept[0] + 1e-9


def test_classes_far_apart_are_as_good_as_known() -> None:
    params = held(MixtureParams.free([0.0, 1e8], 1.0, [0.4, 0.6]), 0, 2)
    assert 0.995 < expected(params, normal_nodes(50, pull=1e8)).kept[0] <= 1.0


def test_one_size_of_x_identifies_shares_and_nothing_else() -> None:
    found = expected(NOTE, one(1.0))
    assert np.isinf(found.standard_errors[:3]).all()
    assert np.isfinite(found.standard_errors[3:]).all()
    more = expected(NOTE, one(2.0, rows=2.0))
    assert np.isfinite(more.standard_errors).all()
    known = expected(held(NOTE, 2), one(1.0)).standard_errors
    assert np.isfinite(known[[0, 1, 3, 4]]).all()
    assert np.isnan(known[2])


def test_effects_without_x_tell_of_the_residual_only() -> None:
    found = expected(NOTE, one(0.0, rows=3.0))
    assert np.isinf(found.standard_errors[[0, 1, 3, 4]]).all()
    assert found.standard_errors[2] == pytest.approx(0.5 * math.sqrt(2.0 / 3.0), rel=1e-12)
    np.testing.assert_array_equal(found.kept, 0.0)


def test_a_class_without_a_share_is_left_out() -> None:
    nodes = normal_nodes(3, pull=5.0)
    found = expected(MixtureParams.free([0.001, 0.2, 1.0], 0.5, [0.7, 0.0, 0.3]), nodes)
    without = expected(NOTE, nodes)
    assert np.isnan(found.standard_errors[[1, 5]]).all()
    np.testing.assert_allclose(found.standard_errors[[0, 2, 3, 4, 6]], without.standard_errors, rtol=1e-9)
    assert np.isnan(found.kept[1])


def agree(one: Expected, other: Expected, rtol: float) -> None:
    np.testing.assert_allclose(one.standard_errors, other.standard_errors, rtol=rtol)


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_thinning_a_sample_loses_nothing_that_shows(spread: float) -> None:
    q = np.exp(spread * np.random.default_rng(2).standard_normal(20_000))
    every = Nodes(q=q, weight=np.full(len(q), 1.0 / len(q)), rows=1.0)
    agree(expected(THREE, sample_nodes(q, pull=5.0)), expected(THREE, every), 1e-4)  # bins of width 0.03 to 0.06


def test_weights_are_replication() -> None:
    rng = np.random.default_rng(3)
    q, copies = rng.chisquare(1, 900), rng.integers(0, 4, 900)
    weighted = sample_nodes(q, pull=5.0, weight=copies.astype(float))
    agree(expected(THREE, weighted), expected(THREE, sample_nodes(np.repeat(q, copies), pull=5.0)), 1e-4)
    many = repeated_nodes(weighted, 3, pull=5.0)
    again = repeated_nodes(sample_nodes(np.repeat(q, copies), pull=5.0), 3, pull=5.0)
    agree(expected(THREE, many), expected(THREE, again), 1e-3)  # bins thrice over


@pytest.mark.parametrize("rows", [1, 2, 7, 200])
@pytest.mark.parametrize("pull", [1e-3, 2.0, 1e8])
def test_nodes_of_normal_rows_integrate_as_chi_square(rows: int, pull: float) -> None:
    nodes = normal_nodes(rows, pull=pull, scale=1.5)
    assert nodes.weight @ nodes.q == pytest.approx(1.5 * rows, rel=1e-9)
    assert nodes.weight @ nodes.q**2 == pytest.approx(1.5**2 * rows * (rows + 2), rel=1e-9)
    if rows == 2:  # q is exponential: E 1 / (1 + q pull) has a closed form in the exponential integral
        from scipy.special import exp1

        a = 1.0 / (3.0 * pull)
        exact = a * math.exp(a) * exp1(a) if a < 500.0 else None
        if exact is not None:
            assert nodes.weight @ (1.0 / (1.0 + nodes.q * pull)) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("rows", [2, 5, 20, 63])
@pytest.mark.parametrize("pull", [0.0, 2.0, 1e6])
def test_sums_of_normal_rows_are_as_good_as_normal_rows(rows: int, pull: float) -> None:
    params = held(MixtureParams.free([0.0, pull], 1.0, [0.7, 0.3]), 0) if pull else MixtureParams.free([0], 1, [1])
    summed = repeated_nodes(normal_nodes(1, pull=pull), rows, pull=pull)
    assert summed.rows == rows
    # Up to seven times through bins of width 0.01 to 0.05.
    agree(expected(params, summed), expected(params, normal_nodes(rows, pull=pull)), 1e-3)


def test_sums_of_a_sample_are_all_its_sums() -> None:
    q = np.array([0.0, 0.3, 2.0])
    summed = repeated_nodes(sample_nodes(q, pull=2.0), 3, pull=2.0)
    every = np.add.outer(np.add.outer(q, q), q).ravel()
    assert len(summed.q) == 27
    np.testing.assert_allclose(np.sort(summed.q), np.sort(every), rtol=1e-12)


def test_known_errors_multiply_precision() -> None:
    """Half of the rows with standard error 1, half with 1/2."""
    both = product_nodes(normal_nodes(1, pull=2.0), sample_nodes(np.array([1.0, 4.0]), pull=2.0), pull=2.0)
    parts = [expected_information(NOTE, normal_nodes(1, pull=2.0, scale=scale)) for scale in (1.0, 4.0)]
    np.testing.assert_allclose(expected_information(NOTE, both), 0.5 * (parts[0] + parts[1]), rtol=1e-9)
