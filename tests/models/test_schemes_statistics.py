"""Likelihood, score, information and fixed effects on every algebra against dense algebra and finite differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dense_model import DenseModel, gradient
from structures import ALGEBRAS, case

from varmix.marginal.piece import Piece, Structure, Units
from varmix.models.linear.fixed_block import fixed_effects
from varmix.models.linear.statistics import LinearStats, summarise_linear

# Order 40, condition numbers below 1e4.
CLOSE = 1e-9
# Central differences with relative steps of 1e-5: truncation 1e-10, rounding 1e-11 of a log-likelihood near 100.
DIFFERENCE = 1e-5

CRITERIA = pytest.mark.parametrize("criterion", ["ml", "reml"])


@pytest.fixture(params=ALGEBRAS)
def both(request: pytest.FixtureRequest) -> tuple[DenseModel, Structure]:
    return case(request.param)


def theta_of(dense: DenseModel) -> np.ndarray:
    return np.append(0.5 + 0.4 * np.arange(len(dense.K) - 1), 0.8)


def at(structure: Structure, y: np.ndarray, theta: np.ndarray, criterion: str) -> tuple[LinearStats, Piece, Units]:
    piece, units = structure.piece(y)
    stats = summarise_linear(piece, units.inward(theta), criterion, expected=True, crossed=True)  # type: ignore[arg-type]
    return stats, piece, units


@CRITERIA
def test_the_log_likelihood_is_that_of_the_dense_normal(both: tuple[DenseModel, Structure], criterion: str) -> None:
    dense, structure = both
    theta = theta_of(dense)
    stats, _, units = at(structure, dense.y, theta, criterion)
    errors = dense.n - (dense.c if criterion == "reml" else 0)
    assert stats.errors == errors
    ours = stats.log_likelihood - errors * np.log(units.response)
    assert ours == pytest.approx(dense.log_likelihood(theta, criterion), rel=1e-12)


@CRITERIA
def test_score_and_information_are_the_dense_ones(both: tuple[DenseModel, Structure], criterion: str) -> None:
    dense, structure = both
    theta = theta_of(dense)
    stats, _, units = at(structure, dense.y, theta, criterion)
    scale = units.outward(np.ones(len(theta)))
    square = np.outer(scale, scale)
    np.testing.assert_allclose(stats.score / scale, dense.score(theta, criterion), rtol=CLOSE, atol=CLOSE)
    assert stats.expected_information is not None
    np.testing.assert_allclose(stats.expected_information / square, dense.expected(theta, criterion), rtol=CLOSE)
    np.testing.assert_allclose(stats.average_information / square, dense.average(theta), rtol=CLOSE)


@CRITERIA
def test_the_score_is_the_gradient_of_a_log_density_that_jax_differentiates(criterion: str) -> None:
    dense, structure = case("several")
    theta = theta_of(dense)

    def log_density(s):  # type: ignore[no-untyped-def]
        V = jnp.tensordot(s, K, axes=1)
        root = jnp.linalg.cholesky(V)
        white = jax.scipy.linalg.solve_triangular(root, jnp.column_stack([y, Z]), lower=True)
        y_white, Z_white = white[:, 0], white[:, 1:]
        information = Z_white.T @ Z_white
        residual = y_white - Z_white @ jnp.linalg.solve(information, Z_white.T @ y_white)
        value = -jnp.log(jnp.diagonal(root)).sum() - 0.5 * residual @ residual
        return value - 0.5 * jnp.linalg.slogdet(information)[1] if criterion == "reml" else value

    with jax.enable_x64(True):
        K, y, Z = jnp.array(np.stack(dense.K)), jnp.array(dense.y), jnp.array(dense.Z)
        score = np.asarray(jax.grad(log_density)(jnp.array(theta)))
    stats, _, units = at(structure, dense.y, theta, criterion)
    scale = units.outward(np.ones(len(theta)))
    np.testing.assert_allclose(stats.score / scale, score, rtol=1e-8)


@CRITERIA
def test_finite_differences_agree_with_score_and_observed_information(
    both: tuple[DenseModel, Structure], criterion: str
) -> None:
    dense, structure = both
    theta = theta_of(dense)
    piece, units = structure.piece(dense.y)
    inner = units.inward(theta)

    def summarise(values: np.ndarray) -> LinearStats:
        return summarise_linear(piece, values, criterion, expected=True)  # type: ignore[arg-type]

    stats = summarise(inner)
    numeric = gradient(lambda values: summarise(values).log_likelihood, inner)
    np.testing.assert_allclose(stats.score, numeric, rtol=DIFFERENCE, atol=DIFFERENCE)
    hessian = np.array([gradient(lambda values, k=k: summarise(values).score[k], inner) for k in range(len(inner))])
    observed = 2 * stats.average_information - stats.expected_information
    np.testing.assert_allclose(observed, -hessian, rtol=DIFFERENCE, atol=DIFFERENCE)


@CRITERIA
def test_the_two_identities_of_quad_and_trace_hold(both: tuple[DenseModel, Structure], criterion: str) -> None:
    dense, structure = both
    theta = theta_of(dense)
    stats, _, units = at(structure, dense.y, theta, criterion)
    inner = units.inward(theta)
    assert inner @ stats.trace == pytest.approx(stats.errors, rel=1e-11)
    a = dense.at(theta)
    assert inner @ stats.quad == pytest.approx(a.r @ a.inverse @ a.r, rel=1e-10)


@CRITERIA
def test_cross_products_are_those_of_the_dense_kernels(both: tuple[DenseModel, Structure], criterion: str) -> None:
    dense, structure = both
    inside = dense if criterion == "ml" else dense.complement()
    theta = theta_of(dense)
    stats, _, units = at(structure, dense.y, theta, criterion)
    a, kernels, unit = inside.at(theta), len(theta) - 1, structure.kernel_units
    images = np.array([K @ a.P @ inside.y for K in inside.K[:-1]]) * units.response / unit[:, None]
    np.testing.assert_allclose(stats.cross_quad[:kernels, :kernels], images @ images.T, rtol=CLOSE)
    assert stats.cross_trace is not None
    for k in range(kernels):
        for j in range(k):
            trace = np.sum((inside.K[k] @ a.inverse) * inside.K[j]) * units.response**2 / (unit[k] * unit[j])
            assert stats.cross_trace[k, j] == pytest.approx(trace, rel=CLOSE)


def test_fixed_effects_are_generalised_least_squares(both: tuple[DenseModel, Structure]) -> None:
    dense, structure = both
    theta = theta_of(dense)
    piece, units = structure.piece(dense.y)
    found = fixed_effects(piece, units.inward(theta))
    assert found is not None
    a = dense.at(theta)
    np.testing.assert_allclose(found.estimate * units.response, a.w, rtol=CLOSE)
    np.testing.assert_allclose(found.covariance * units.response**2, np.linalg.inv(a.information_w), rtol=CLOSE)


def test_statistics_are_undefined_rather_than_wrong_outside_the_model() -> None:
    dense, structure = case("tridiagonal")
    piece, _ = structure.piece(dense.y)
    for criterion in ("ml", "reml"):
        stats = summarise_linear(piece, np.array([-1e3, 1.0]), criterion)  # type: ignore[arg-type]
        assert stats.log_likelihood == -np.inf
        assert np.isnan(stats.score).all()


def test_a_response_in_the_span_of_the_covariates_has_no_complement() -> None:
    dense, structure = case("tridiagonal")
    piece, units = structure.piece(dense.Z @ np.array([1.0, 2.0, -1.0]))
    assert np.abs(piece.y).max() * units.response < 1e-12
