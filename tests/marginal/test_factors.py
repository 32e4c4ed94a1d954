"""Every algebra against the dense definition, verb by verb, in the coordinates of the system."""

from __future__ import annotations

import numpy as np
import pytest
from dense_model import DenseModel
from structures import ALGEBRAS, case

from varmix.errors import KernelError
from varmix.marginal.build import Kernels, build_structure
from varmix.marginal.piece import Structure

# Order 40, condition numbers below 1e4: twelve digits are left, one is kept in reserve.
CLOSE = {"rtol": 1e-10, "atol": 1e-10}
# The last takes the route by eigenvalues in the band, below the ratio that dilutes the kernel.
THETAS = {"balanced": 0.7, "kernels dominate": 40.0, "residual dominates": 0.02, "kernels almost vanish": 1e-5}


@pytest.fixture(params=ALGEBRAS)
def both(request: pytest.FixtureRequest) -> tuple[DenseModel, Structure]:
    return case(request.param)


@pytest.fixture(params=THETAS)
def theta(request: pytest.FixtureRequest, both: tuple[DenseModel, Structure]) -> np.ndarray:
    count = len(both[0].K) - 1
    return np.append(THETAS[request.param] * (1.0 + 0.5 * np.arange(count)), 1.3)


def inward(structure: Structure, theta: np.ndarray) -> np.ndarray:
    return theta * np.append(structure.kernel_units, 1.0)


def test_traces_and_determinants_are_those_of_the_dense_complement(
    both: tuple[DenseModel, Structure], theta: np.ndarray
) -> None:
    dense, structure = both[0].complement(), both[1]
    factor, units = structure.blank.system.factor(inward(structure, theta)), np.append(structure.kernel_units, 1.0)
    assert factor is not None
    a = dense.at(theta)
    assert factor.log_determinant == pytest.approx(np.linalg.slogdet(a.V)[1], rel=1e-10)
    for k, K in enumerate(dense.K):
        np.testing.assert_allclose(factor.trace(k) * units[k], np.sum(a.inverse * K), **CLOSE)
        for j, L in enumerate(dense.K):
            scale = units[k] * units[j]
            pair = np.sum((a.inverse @ K) * (a.inverse @ L).T)
            np.testing.assert_allclose(factor.trace_pair(k, j) * scale, pair, **CLOSE)
            np.testing.assert_allclose(factor.trace_cross(k, j) * scale, np.sum((K @ a.inverse) * L), rtol=1e-8)


def test_quadratic_forms_do_not_depend_on_coordinates(both: tuple[DenseModel, Structure], theta: np.ndarray) -> None:
    dense, structure = both
    piece, units = structure.piece(dense.y)
    system, inner = piece.system, units.inward(theta)
    factor = system.factor(inner)
    assert factor is not None
    solved = factor.solve(piece.y)
    quad, _ = dense.quad_and_trace(theta, "reml")
    ours = np.array([solved @ system.multiply(k, solved) for k in range(system.components)])
    np.testing.assert_allclose(ours / units.outward(np.ones(len(theta))), quad, rtol=1e-9)
    Py = piece.coordinates.to_rows(np.zeros(piece.columns), solved, piece.response.rest) / units.response
    np.testing.assert_allclose(Py, dense.at(theta).P @ dense.y, atol=1e-10 * np.abs(Py).max())


def test_solve_takes_vectors_and_matrices(both: tuple[DenseModel, Structure], theta: np.ndarray) -> None:
    _, structure = both
    system = structure.blank.system
    factor = system.factor(inward(structure, theta))
    assert factor is not None
    right = np.random.default_rng(1).normal(size=(system.size, 3))
    columns = np.stack([factor.solve(right[:, j]) for j in range(3)], axis=1)
    np.testing.assert_allclose(factor.solve(right), columns, rtol=1e-10, atol=1e-13)
    for k in range(system.components):
        columns = np.stack([system.multiply(k, right[:, j]) for j in range(3)], axis=1)
        np.testing.assert_allclose(system.multiply(k, right), columns, rtol=1e-10, atol=1e-13)


def test_the_factor_inverts_the_sum_of_the_kernels(both: tuple[DenseModel, Structure], theta: np.ndarray) -> None:
    _, structure = both
    system, inner = structure.blank.system, inward(structure, theta)
    factor = system.factor(inner)
    assert factor is not None
    right = np.random.default_rng(2).normal(size=system.size)
    solved = factor.solve(right)
    back = sum(s * system.multiply(k, solved) for k, s in enumerate(inner))
    np.testing.assert_allclose(back, right, atol=1e-10)


def test_moment_traces_are_those_of_the_projected_kernels(both: tuple[DenseModel, Structure]) -> None:
    dense, structure = both[0], both[1]
    system, units = structure.blank.system, np.append(structure.kernel_units, 1.0)
    M = dense.M
    projected = [M @ K @ M for K in dense.K]
    theta = np.linspace(0.5, 1.0, len(projected))
    V = sum(s * K for s, K in zip(theta, projected, strict=True))
    covariance = system.moment_covariance(inward(structure, theta)) * np.outer(units, units)
    for k, K in enumerate(projected):
        np.testing.assert_allclose(system.kernel_trace(k) * units[k], np.trace(K), **CLOSE)
        for j, L in enumerate(projected):
            np.testing.assert_allclose(system.kernel_pair(k, j) * units[k] * units[j], np.sum(K * L), **CLOSE)
            np.testing.assert_allclose(covariance[k, j], 2 * np.sum((K @ V) * (L @ V).T), rtol=1e-9)
    np.testing.assert_allclose(structure.projected_traces, dense.traces[:-1], **CLOSE)


def test_rotation_and_back_is_the_identity(both: tuple[DenseModel, Structure]) -> None:
    dense, structure = both
    piece, units = structure.piece(dense.y)
    response = piece.response
    rows = piece.coordinates.to_rows(response.fixed, response.complement, response.rest) * units.response
    np.testing.assert_allclose(rows, dense.y, atol=1e-12 * np.abs(dense.y).max())
    right = np.random.default_rng(3).normal(size=(piece.system.size, 2))
    np.testing.assert_allclose(piece.system.rotate_back(piece.system.rotate(right)), right, atol=1e-12)


def test_columns_in_the_span_of_kernels_and_covariates_keep_their_products(both: tuple[DenseModel, Structure]) -> None:
    dense, structure = both
    piece = structure.blank
    rng = np.random.default_rng(4)
    inside = np.hstack([dense.Z, *dense.K[:-1]])
    values = inside @ rng.normal(size=(inside.shape[1], 3))
    upper, lower = piece.coordinates.columns_from_rows(values)
    np.testing.assert_allclose(upper.T @ upper + lower.T @ lower, values.T @ values, rtol=1e-10)


def test_draws_have_the_covariance_of_the_complement(both: tuple[DenseModel, Structure]) -> None:
    dense, structure = both[0].complement(), both[1]
    system = structure.blank.system
    theta = np.append(0.8 + np.arange(len(dense.K) - 1), 0.6)
    inner, rng = inward(structure, theta), np.random.default_rng(6)
    draws = np.stack([system.draw(inner, rng) for _ in range(3000)], axis=1)
    units = np.append(structure.kernel_units, 1.0)
    V = sum(s * K for s, K in zip(theta, dense.K, strict=True))
    for k, K in enumerate(dense.K):
        forms = np.einsum("ir,ir->r", draws, system.multiply(k, draws)) * units[k]
        spread = np.sqrt(2 * np.sum((K @ V) * (K @ V).T) / forms.size)
        # Four standard errors of a mean of 3000 quadratic forms: 40 such claims fail by chance once in 400 seeds.
        assert abs(forms.mean() - np.sum(K * V)) < 4 * spread


def test_undefined_covariances_have_no_factor(both: tuple[DenseModel, Structure]) -> None:
    _, structure = both
    system = structure.blank.system
    count = system.components
    assert system.factor(np.zeros(count)) is None
    assert system.factor(np.append(np.zeros(count - 1), -1.0)) is None
    assert system.factor(np.append(np.full(count - 1, -10.0), 1.0)) is None


def test_a_residual_variance_of_zero_has_a_factor_only_at_full_rank() -> None:
    for algebra in ("tridiagonal", "band", "spectral", "several"):
        _, structure = case(algebra)
        theta = np.append(np.ones(structure.blank.system.components - 1), 0.0)
        assert structure.blank.system.factor(theta) is not None
    for algebra in ("narrow", "several narrow", "kernel of low rank"):
        _, structure = case(algebra)
        theta = np.append(np.ones(structure.blank.system.components - 1), 0.0)
        assert structure.blank.system.factor(theta) is None


def test_an_indefinite_kernel_is_named() -> None:
    bad = np.diag(np.append(np.ones(9), -0.5))
    covariates = np.ones((10, 1))
    for matrices, names in (([bad], ["kin"]), ([np.eye(10), bad], ["fine", "kin"])):
        kernels = Kernels(matrices=[np.asfortranarray(K) for K in matrices], matrix_names=names)
        with pytest.raises(KernelError, match="kin"):
            build_structure(covariates, kernels)
