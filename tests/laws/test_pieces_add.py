"""Statistics of independent pieces add: any grouping of them, on any runner, is the one model of all data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from dense_model import DenseModel, Simulated, simulate
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import block_diag

from varmix.genotype import standardise
from varmix.iteration import Backtracking, Serial, Stopping, Threads, iterate
from varmix.marginal.build import Kernels, build_structure
from varmix.marginal.piece import Piece
from varmix.models.linear.climb import Climb
from varmix.models.linear.em import EM
from varmix.models.linear.mm import MM
from varmix.models.linear.moments import solve_moments, summarise_moments
from varmix.models.linear.params import VarianceParams
from varmix.models.linear.pxem import PXEM
from varmix.models.linear.starting import equal_start
from varmix.models.linear.statistics import LinearStats, summarise_linear

CRITERIA = pytest.mark.parametrize("criterion", ["ml", "reml"])
# Sums of a few dozen terms, grouped differently.
ROUNDING = 1e-11
NUMBERS = ("log_likelihood", "quad", "trace", "average_information", "expected_information", "cross_quad")


def piece_in_rows(data: Simulated) -> Piece:
    """A piece whose internal units are those of the data, so that pieces share theta."""
    structure = build_structure(data.Z, Kernels(designs=[standardise(X) for X in data.X]))
    piece, units = structure.piece(data.y)
    assert (structure.kernel_units == structure.kernel_units[0]).all()
    response = piece.response
    return piece.with_response(
        type(response)(
            fixed=response.fixed * units.response, complement=response.complement * units.response, rest=response.rest
        )
    )


@dataclass(frozen=True)
class Cohorts:
    data: tuple[Simulated, ...]

    @property
    def pieces(self) -> list[Piece]:
        return [piece_in_rows(part) for part in self.data]

    @property
    def whole(self) -> DenseModel:
        kernels = [block_diag(*blocks) for blocks in zip(*(part.kernels for part in self.data), strict=True)]
        y, Z = np.concatenate([part.y for part in self.data]), block_diag(*(part.Z for part in self.data))
        return DenseModel.of(y, Z, kernels)


@pytest.fixture(scope="module", params=["one kernel", "two kernels"])
def cohorts(request: pytest.FixtureRequest) -> Cohorts:
    widths: tuple[int, ...] = (60,) if request.param == "one kernel" else (20, 70)
    truth = (*[0.7] * len(widths), 1.0)
    # Covariates of their own: two, one and none beside the intercept; narrow and wide designs together.
    rows = ((30, 2), (80, 1), (25, 0))
    return Cohorts(tuple(simulate(31 + i, n, widths, truth, covariates=c) for i, (n, c) in enumerate(rows)))


@CRITERIA
def test_the_sum_is_the_block_diagonal_model(cohorts: Cohorts, criterion: Any) -> None:
    whole = cohorts.whole
    theta = np.append(np.linspace(0.6, 1.2, len(whole.K) - 1), 0.9)
    parts = [summarise_linear(piece, theta, criterion, expected=True, crossed=True) for piece in cohorts.pieces]
    total = parts[0] + parts[1] + parts[2]
    assert total.log_likelihood == pytest.approx(whole.log_likelihood(theta, criterion), rel=1e-12)
    np.testing.assert_allclose(total.score, whole.score(theta, criterion), rtol=1e-9)
    assert total.expected_information is not None
    np.testing.assert_allclose(total.expected_information, whole.expected(theta, criterion), rtol=1e-9)
    np.testing.assert_allclose(total.average_information, whole.average(theta), rtol=1e-9)
    assert total.errors == whole.n - (whole.c if criterion == "reml" else 0)


@CRITERIA
def test_any_grouping_gives_the_same_sum(cohorts: Cohorts, criterion: Any) -> None:
    theta = np.full(len(cohorts.data[0].X) + 1, 0.8)
    a, b, c = (summarise_linear(piece, theta, criterion, expected=True) for piece in cohorts.pieces)
    for other in ((a + b) + c, a + (b + c), (c + a) + b):
        for name in NUMBERS:
            np.testing.assert_allclose(getattr(other, name), getattr(a + b + c, name), rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("scheme", ["newton", "em", "pxem", "mm"])
def test_a_fit_of_pieces_is_the_dense_optimum_of_the_whole(cohorts: Cohorts, scheme: str) -> None:
    whole, pieces = cohorts.whole, cohorts.pieces
    best, top = whole.maximum("reml")
    outcome = Climb(scheme=scheme).run(pieces, equal_start(pieces[0]))
    np.testing.assert_allclose(outcome.params.values, best, rtol=1e-6, atol=1e-6 * best.max())
    assert outcome.objective == pytest.approx(top, abs=1e-9)


@pytest.mark.parametrize("scheme", [EM(), PXEM(), MM()])
def test_one_update_of_pieces_is_that_of_the_whole(cohorts: Cohorts, scheme: Any) -> None:
    whole, pieces = cohorts.whole, cohorts.pieces
    params = VarianceParams(np.append(np.linspace(0.6, 1.2, len(whole.K) - 1), 0.9))
    total = Serial().map_add(lambda piece: scheme.summarise(params, piece), pieces)
    assert isinstance(total, LinearStats)
    moved = scheme.update(params, total).values
    effects = total.effects
    literal = {
        "em": lambda: whole.em(params.values, effects, "reml"),
        "pxem": lambda: whole.complement().pxem(params.values, effects),
        "mm": lambda: whole.mm(params.values, "reml"),
    }[scheme.name]()
    np.testing.assert_allclose(moved, literal, rtol=1e-9)


def test_threads_give_the_bits_of_serial(cohorts: Cohorts) -> None:
    pieces = cohorts.pieces * 3
    ends = []
    for runner in (Serial(), Threads(1), Threads(2), Threads(5)):
        outcome = iterate(MM(), equal_start(pieces[0]), pieces, stopping=Stopping(max_iterations=15), runner=runner)
        ends.append((outcome.params.values.tolist(), outcome.objective))
    assert all(end == ends[0] for end in ends)


def test_moments_of_pieces_add_to_those_of_the_whole(cohorts: Cohorts) -> None:
    whole = cohorts.whole
    parts = [summarise_moments(piece) for piece in cohorts.pieces]
    total = parts[0] + parts[1] + parts[2]
    M = whole.M
    equations = np.array([[np.sum((M @ K) * (M @ L).T) for L in whole.K] for K in whole.K])
    quadratics = np.array([whole.y @ M @ K @ M @ whole.y for K in whole.K])
    np.testing.assert_allclose(total.equations, equations, rtol=1e-10)
    np.testing.assert_allclose(total.quadratics, quadratics, rtol=1e-10)
    np.testing.assert_allclose(solve_moments(total), np.linalg.solve(equations, quadratics), rtol=1e-8)


@given(seed=st.integers(0, 10_000), rows=st.lists(st.integers(8, 25), min_size=2, max_size=4))
def test_no_cohorts_break_the_sum(seed: int, rows: list[int]) -> None:
    data = Cohorts(tuple(simulate(seed + i, n, (14,), (0.7, 1.0), covariates=i % 3) for i, n in enumerate(rows)))
    whole, theta = data.whole, np.array([0.5, 0.7])
    for criterion in ("ml", "reml"):
        total = Serial().map_add(
            lambda piece, criterion=criterion: summarise_linear(piece, theta, criterion), data.pieces
        )
        assert total.log_likelihood == pytest.approx(whole.log_likelihood(theta, criterion), rel=1e-10)
        np.testing.assert_allclose(total.score, whole.score(theta, criterion), rtol=1e-8, atol=1e-8)


def test_a_newton_step_that_backtracks_adds_every_trial_over_the_pieces(cohorts: Cohorts) -> None:
    pieces = cohorts.pieces
    counted = []

    class Counting:
        def map_add(self, summarise: Any, parts: Any) -> Any:
            counted.append(len(parts))
            return Serial().map_add(summarise, parts)

    outcome = iterate(
        MM(), equal_start(pieces[0]), pieces,
        stopping=Stopping(max_iterations=5), accelerator=Backtracking(), runner=Counting(),
    )  # fmt: skip
    assert counted == [3] * outcome.progress.last.evaluations
