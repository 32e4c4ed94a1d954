"""One step of each scheme against the literal formulas of the theory page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dense_model import DenseModel
from structures import ALGEBRAS, case

from varmix.marginal.piece import Structure
from varmix.models.linear.average_information import Newton
from varmix.models.linear.em import EM
from varmix.models.linear.mm import MM
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.pxem import PXEM

# One step on problems of order 40, condition numbers below 1e4.
CLOSE = 1e-9
CRITERIA = pytest.mark.parametrize("criterion", ["ml", "reml"])
STARTS = (0.3, 4.0)


@pytest.fixture(params=ALGEBRAS)
def both(request: pytest.FixtureRequest) -> tuple[DenseModel, Structure]:
    return case(request.param)


def step(scheme: Any, structure: Structure, y: np.ndarray, theta: np.ndarray) -> np.ndarray:
    piece, units = structure.piece(y)
    params = VarianceParams(units.inward(theta))
    return units.outward(scheme.update(params, scheme.summarise(params, piece)).values)


def starts(dense: DenseModel) -> list[np.ndarray]:
    return [np.append(share * (1.0 + np.arange(len(dense.K) - 1)), 0.9) for share in STARTS]


@CRITERIA
def test_em_is_the_expectation_of_the_squared_effects(both: tuple[DenseModel, Structure], criterion: str) -> None:
    dense, structure = both
    for theta in starts(dense):
        literal = dense.em(theta, structure.blank.effects, criterion)
        np.testing.assert_allclose(step(EM(criterion=criterion), structure, dense.y, theta), literal, rtol=CLOSE)


@CRITERIA
def test_mm_is_the_square_root_of_quad_over_trace(both: tuple[DenseModel, Structure], criterion: str) -> None:
    dense, structure = both
    for theta in starts(dense):
        np.testing.assert_allclose(
            step(MM(criterion=criterion), structure, dense.y, theta), dense.mm(theta, criterion), rtol=CLOSE
        )


def test_px_em_is_the_printed_one_in_the_complement_of_the_covariates(both: tuple[DenseModel, Structure]) -> None:
    dense, structure = both
    inside = dense.complement()
    for theta in starts(dense):
        literal = inside.pxem(theta, structure.blank.effects)
        np.testing.assert_allclose(step(PXEM(criterion="reml"), structure, dense.y, theta), literal, rtol=CLOSE)


def test_px_em_by_ml_is_the_printed_one_around_the_best_fixed_effects(both: tuple[DenseModel, Structure]) -> None:
    dense, structure = both
    for theta in starts(dense):
        # The fixed effects are re-fitted by generalised least squares at every step and held during it.
        around = DenseModel(y=dense.at(theta).r, Z=np.zeros((dense.n, 0)), K=dense.K)
        literal = around.pxem(theta, structure.blank.effects)
        np.testing.assert_allclose(step(PXEM(criterion="ml"), structure, dense.y, theta), literal, rtol=CLOSE)


@CRITERIA
def test_newton_solves_the_observed_equations_inside_the_cone(criterion: str) -> None:
    dense, structure = case("tridiagonal")
    best, _ = dense.maximum(criterion)
    theta = best * np.array([1.05, 0.97])
    direction = np.linalg.solve(dense.observed(theta, criterion), dense.score(theta, criterion))
    ours = step(Newton(criterion=criterion), structure, dense.y, theta)
    np.testing.assert_allclose(ours, theta + direction, rtol=1e-8)


@CRITERIA
def test_newton_uses_average_information_where_traces_of_pairs_are_dear(criterion: str) -> None:
    dense, structure = case("several")
    best, _ = dense.maximum(criterion)
    theta = best + 0.02
    direction = np.linalg.solve(dense.average(theta), dense.score(theta, criterion))
    assert (theta + direction > 0.0).all(), "the case is meant to stay inside"
    ours = step(Newton(criterion=criterion), structure, dense.y, theta)
    np.testing.assert_allclose(ours, theta + direction, rtol=1e-8)


@CRITERIA
@pytest.mark.parametrize("scheme", [EM, PXEM, MM, Newton])
def test_the_maximum_is_a_fixed_point(scheme: Any, criterion: str) -> None:
    for algebra in ("tridiagonal", "narrow", "several narrow"):
        dense, structure = case(algebra)
        best, _ = dense.maximum(criterion)
        inner = best > 0.0
        ours = step(scheme(criterion=criterion), structure, dense.y, best)
        # The dense maximum is right to about 1e-9.
        np.testing.assert_allclose(ours[inner], best[inner], rtol=1e-7)


@pytest.mark.parametrize("scheme", [EM, PXEM, MM])
def test_a_variance_of_zero_stays_zero_in_the_monotone_schemes(scheme: Any) -> None:
    for algebra in ("tridiagonal", "several"):
        dense, structure = case(algebra)
        theta = np.append(np.zeros(len(dense.K) - 1), 1.0)
        moved = step(scheme(), structure, dense.y, theta)
        assert (moved[:-1] == 0.0).all()
        assert moved[-1] > 0.0


def test_newton_leaves_zero_when_the_score_points_inside() -> None:
    dense, structure = case("tridiagonal")
    theta = np.array([0.0, 2.0])
    assert dense.score(theta, "reml")[0] > 0.0
    assert step(Newton(), structure, dense.y, theta)[0] > 0.0
