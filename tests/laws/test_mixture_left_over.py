"""What no effect explains: groups without x, left-over rows in every statistic, held variances beside a residual."""

from __future__ import annotations

import numpy as np
import pytest
from slope_model import SlopeModel, simulated

from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.glm import regression_statistics
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.starting import moment_start
from varmix.models.random_effect_mixture.statistics import summarise
from varmix.models.random_effect_mixture.units import Units
from varmix.results.random_effect_mixture.design import design_table


@pytest.mark.parametrize("weighted", [False, True])
def test_a_group_without_x_speaks_of_the_residual_with_all_its_rows(weighted: bool) -> None:
    dense = simulated(11, 30, 3, weighted=weighted)
    dense.x[dense.group == 4] = 0.0
    dense.x[dense.group == 17] = 0.0
    model = dense.model()
    weight = np.ones(30) if dense.weights is None else dense.weights
    # Two rows of each group with x, three of each group without.
    assert model.reduction.units.rest_rows == 2.0 * weight.sum() + weight[4] + weight[17]
    params = MixtureParams.free(np.array([0.1, 1.2]), 0.4, np.array([0.6, 0.4]))
    values = model.reduction.outward(params)
    found = model.log_likelihood_outward(summarise(params, model.reduction.units).log_likelihood)
    assert found == pytest.approx(dense.log_likelihood(values[:2], values[2], values[3:]), rel=1e-11)


def test_left_over_rows_add_their_expected_information_to_the_products_of_scores() -> None:
    """`M / 2 s^2`, whatever the left-over is [SLOPE-6]; all else of the products comes from the units."""
    params = MixtureParams.free(np.array([0.1, 1.2]), 0.4, np.array([0.6, 0.4]))
    q, h2 = np.array([0.5, 2.0]), np.array([0.3, 4.0])
    with_rest = summarise(params, Units(q=q, h2=h2, rest=3.0, rest_rows=5.0)).outer
    expected = summarise(params, Units(q=q, h2=h2)).outer
    expected[2, 2] += 5.0 / (2.0 * 0.4**2)
    np.testing.assert_allclose(with_rest, expected, rtol=1e-14)


def test_the_gamma_regression_scores_by_its_derivatives() -> None:
    """Score against differences; information `sum a r x x' / 2 tau^2`, x = (q in column k, 1) [SLOPE-7]."""
    rng = np.random.default_rng(0)
    q, h2, weight = rng.chisquare(1, 40), rng.chisquare(1, 40), rng.uniform(0.5, 2.0, 40)
    units = Units(q=q, h2=h2, weight=weight, rest=3.0, rest_rows=5.0)
    anchor = MixtureParams.free(np.array([0.1, 1.2]), 0.4, np.array([0.6, 0.4]))
    point = MixtureParams.free(np.array([0.3, 0.9]), 0.5, anchor.shares)
    here = regression_statistics(anchor, point, units)
    for coordinate in range(3):
        above, below = (point.vector(), point.vector())
        above[coordinate] += 1e-5
        below[coordinate] -= 1e-5
        values = [regression_statistics(anchor, point.moved_to(vector), units).value for vector in (above, below)]
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(here.score[coordinate], rel=1e-6)
    tau = np.multiply.outer(anchor.variances, q) + anchor.residual
    share = anchor.shares[:, None] * np.exp(-0.5 * h2 / tau) / np.sqrt(tau)
    counted = weight * share / share.sum(axis=0) / (2.0 * (np.multiply.outer(point.variances, q) + 0.5) ** 2)
    expected = np.zeros((3, 3))
    for k in range(2):
        row = np.stack([q * (k == 0), q * (k == 1), np.ones(40)])
        expected += (row * counted[k]) @ row.T
    expected[2, 2] += 5.0 / (2.0 * 0.5**2)
    np.testing.assert_allclose(here.information, expected, rtol=1e-11)


@pytest.mark.parametrize("scheme", ["em", "pxem", "mm", "glm"])
@pytest.mark.parametrize("coordinate", range(5))
def test_a_maximum_with_one_coordinate_held_is_stationary_for_every_scheme(scheme: str, coordinate: int) -> None:
    """The update of what is free must be that of the held problem: a class held has no scale of its own in PX-EM."""
    model = simulated(2, 120, 4).model()
    best = Climb().run(model.pieces, model.point(moment_start(model.pieces, 2, False, None))).params
    held = best.holding(coordinate, 0.8 * float(best.vector()[coordinate]) + 0.02)
    end = Climb().run(model.pieces, held)
    assert end.status.arrived
    update = Climb(scheme=scheme)._scheme(model.pieces).update(end.params, end.stats)
    # Updates contract what is left of 1e-8 standard errors, and of 1e-9 in the Gamma regression.
    np.testing.assert_allclose(update.vector(), end.params.vector(), atol=1e-6, rtol=1e-6)


def test_the_design_report_counts_weights_as_replication() -> None:
    weighted = simulated(4, 60, 3, weighted=True)
    assert weighted.weights is not None
    assert weighted.group is not None
    weighted.x[weighted.group == 7] = 0.0  # a group without x adds its rows, as often as it counts
    copies = np.repeat(np.arange(60), weighted.weights.astype(int))
    rows = np.concatenate([np.flatnonzero(weighted.group == number) for number in copies])
    replicated = SlopeModel(y=weighted.y[rows], x=weighted.x[rows], group=np.repeat(np.arange(len(copies)), 3))
    params = MixtureParams.free(np.array([0.1, 1.2]), 0.4, np.array([0.6, 0.4]))
    tables = []
    for model in (weighted.model(), replicated.model()):
        point = model.point_of(params.variances, params.residual, params.shares)
        tables.append(design_table(model, point, times=(1, 2)))
    # Sums of the same numbers in another order.
    np.testing.assert_allclose(tables[0].to_numpy(float), tables[1].to_numpy(float), rtol=1e-9)
