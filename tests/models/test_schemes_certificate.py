"""The certificate: 0 at the optimum alone, elsewhere the distance to it in standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dense_model import DenseModel, simulate
from structures import case

from varmix.genotype import standardise
from varmix.marginal.build import Kernels, build_structure
from varmix.models.cone import certify, quadratic_step
from varmix.models.linear.average_information import Newton
from varmix.models.linear.params import VarianceParams

CRITERIA = pytest.mark.parametrize("criterion", ["ml", "reml"])


@CRITERIA
@pytest.mark.parametrize("algebra", ["tridiagonal", "band", "narrow", "several", "several narrow"])
def test_it_is_zero_at_an_independent_optimum(algebra: str, criterion: str) -> None:
    dense, structure = case(algebra)
    best, _ = dense.maximum(criterion)
    certificate = certificate_at(dense, structure, best, criterion)
    # The dense optimum is right to about 1e-8 standard errors.
    assert certificate.newton_decrement < 1e-6
    assert certificate.projected_gradient < 1e-6
    assert certificate.on_boundary == tuple(np.flatnonzero(best == 0.0))


@CRITERIA
def test_it_grows_as_the_distance_in_standard_errors(criterion: str) -> None:
    data = simulate(8, 120, (200,), (1.2, 0.8))
    dense, structure = data.dense, build_structure(data.Z, Kernels(designs=[standardise(data.X[0])]))
    best, _ = dense.maximum(criterion)
    information = dense.expected(best, criterion)
    direction = np.array([1.0, -0.4])
    length = math.sqrt(direction @ information @ direction)
    for distance in (1e-4, 1e-3, 1e-2):
        at = best + distance / length * direction
        found = certificate_at(dense, structure, at, criterion).newton_decrement
        # Observed and expected information differ by about a third on 120 rows.
        assert 0.5 * distance < found < 2.0 * distance


def certificate_at(dense: DenseModel, structure, theta: np.ndarray, criterion: str):  # type: ignore[no-untyped-def]
    piece, units = structure.piece(dense.y)
    scheme, params = Newton(criterion=criterion), VarianceParams(units.inward(theta))  # type: ignore[arg-type]
    return scheme.certificate(params, scheme.summarise(params, piece))


def test_a_component_at_zero_counts_only_when_its_score_points_inside() -> None:
    information = np.eye(2)
    held = certify(np.array([0.0, 1.0]), np.array([-3.0, 0.0]), information)
    assert held.newton_decrement == 0.0
    assert held.projected_gradient == 0.0
    assert held.on_boundary == (0,)
    free = certify(np.array([0.0, 1.0]), np.array([3.0, 0.0]), information)
    assert free.newton_decrement == pytest.approx(3.0)


def test_an_undefined_point_is_infinitely_far() -> None:
    certificate = certify(np.array([1.0, 1.0]), np.array([np.nan, 0.0]), np.eye(2))
    assert certificate.newton_decrement == math.inf


@pytest.mark.parametrize("seed", range(20))
def test_the_step_solves_the_quadratic_problem_on_the_cone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 6))
    root = rng.normal(size=(count, count)) * 10.0 ** rng.uniform(-3, 3, size=count)
    information, score = root.T @ root + 1e-6 * np.diag(np.diag(root.T @ root)), rng.normal(size=count)
    score *= np.sqrt(information.diagonal())
    values = np.where(rng.random(count) < 0.4, 0.0, rng.random(count) / np.sqrt(information.diagonal()))
    step = quadratic_step(values, score, information)
    scale = np.sqrt(information.diagonal())
    landed, slope = (values + step) * scale, (score - information @ step) / scale
    assert (np.abs(landed[np.abs(landed) < 1e-12]) == 0.0).all()
    # Optimality on the cone: no slope where inside, none that points inside at 0, feasible. Slopes are of order one.
    assert landed.min() > -1e-9
    assert np.abs(slope[landed > 1e-9]).max(initial=0.0) < 1e-5
    assert slope[landed <= 1e-9].max(initial=0.0) < 1e-5


def test_confounded_components_do_not_move_against_one_another() -> None:
    information = np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 3.0]])
    step = quadratic_step(np.array([0.5, 0.5, 1.0]), np.array([0.2, 0.2, 0.1]), information)
    assert step[0] == pytest.approx(step[1], abs=1e-9)
    assert np.abs(step).max() < 1.0
