"""Every scheme of the mixture of random effects climbs, and all end at the one optimum with the same certificate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from slope_model import SlopeModel, simulated

from varmix.errors import AscentError
from varmix.iteration import Status, Stopping, iterate
from varmix.models.random_effect_mixture.climb import ACCELERATORS, SCHEMES, Climb
from varmix.models.random_effect_mixture.directional import directional, variance_grid
from varmix.models.random_effect_mixture.em import EM
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.newton import Newton
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.starting import moment_start, random_start
from varmix.models.random_effect_mixture.statistics import MixtureStats, summarise
from varmix.models.random_effect_mixture.units import Units

WAYS = [(scheme, accelerate) for scheme in SCHEMES for accelerate in ACCELERATORS if scheme != "newton"]
WAYS = [("newton", "none"), *WAYS]

CASES = {
    "rows": simulated(1, 300, 1),
    "groups": simulated(2, 120, 4),
    "known errors": simulated(3, 200, 1, known=True),
    "weights": simulated(4, 150, 3, weighted=True),
    "known errors and inflation": simulated(5, 200, 2, known=True, weighted=True),
    "null": replace(simulated(6, 300, 1), null=True),
    "known residual": replace(simulated(7, 300, 1, known=True), residual=0.36),
    "three classes": replace(simulated(8, 400, 5), classes=3),
}


def inner_points(model: RandomEffectMixture, count: int, seed: int = 0) -> list[MixtureParams]:
    rng = np.random.default_rng(seed)
    return [
        model.point(random_start(model.pieces, model.classes, model.null, model.inner_residual, rng))
        for _ in range(count)
    ]


def statistics(model: RandomEffectMixture, params: MixtureParams) -> MixtureStats:
    parts = [summarise(params, piece) for piece in model.pieces]
    return sum(parts[1:], parts[0])


def shifted(params: MixtureParams, coordinate: int, by: float) -> MixtureParams:
    """One coordinate moved and nothing else, shares included: off the simplex on purpose."""
    vector = params.vector()
    vector[coordinate] += by
    count = params.classes
    return replace(params, variances=vector[:count], residual=float(vector[count]), shares=vector[count + 1 :])


@pytest.mark.parametrize("case", CASES)
def test_the_log_likelihood_is_that_of_the_rows(case: str) -> None:
    dense = CASES[case]
    model = dense.model()
    for params in inner_points(model, 3):
        values = model.reduction.outward(params)
        count = params.classes
        told = dense.log_likelihood(values[:count], values[count], values[count + 1 :])
        found = model.log_likelihood_outward(statistics(model, params).log_likelihood)
        assert found == pytest.approx(told, rel=1e-11)  # sums of a few hundred logarithms


@pytest.mark.parametrize("case", CASES)
def test_gradient_and_hessian_are_derivatives(case: str) -> None:
    model = CASES[case].model()
    for params in inner_points(model, 2, seed=1):
        stats = statistics(model, params)
        for coordinate, value in enumerate(params.vector()):
            # Central differences: relative step 1e-5 leaves 1e-10 of curvature and 1e-11 of rounding in the gradient.
            by = 1e-5 * max(value, 1e-3)
            above, below = (statistics(model, shifted(params, coordinate, sign * by)) for sign in (1.0, -1.0))
            slope = (above.log_likelihood - below.log_likelihood) / (2.0 * by)
            bend = (above.score - below.score) / (2.0 * by)
            scale = 1.0 + np.abs(stats.score).max()
            assert slope == pytest.approx(stats.score[coordinate], rel=1e-6, abs=1e-6 * scale)
            size = np.abs(stats.hessian).max()
            np.testing.assert_allclose(bend, stats.hessian[coordinate], rtol=1e-5, atol=1e-7 * size)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("scheme", "accelerate"), WAYS)
def test_all_schemes_reach_one_optimum_by_ascent(case: str, scheme: str, accelerate: str) -> None:
    model = CASES[case].model()
    start = model.point(moment_start(model.pieces, model.classes, model.null, model.inner_residual))
    best = Climb().run(model.pieces, start)
    outcome = Climb(scheme=scheme, accelerate=accelerate).run(model.pieces, start)
    assert outcome.status.arrived
    assert outcome.certificate.newton_decrement <= 1e-8
    path = np.array([step.objective for step in outcome.progress.steps])
    assert np.diff(path).min(initial=0.0) > -1e-9  # the rounding of a log-likelihood near 1,000
    # Certified ends of one optimum agree to the square of the certificate; the two climbs may not find different ones.
    assert outcome.objective == pytest.approx(best.objective, abs=1e-9)
    if best.status is not Status.CONFOUNDED:
        spread = np.maximum(best.params.ordered().vector(), 1e-3)
        np.testing.assert_allclose(
            outcome.params.ordered().vector() / spread, best.params.ordered().vector() / spread, atol=1e-6
        )


@pytest.mark.parametrize("case", CASES)
def test_the_optimum_is_stationary_for_every_scheme(case: str) -> None:
    """A closed-form update that moves away from the maximum has a wrong formula."""
    model = CASES[case].model()
    start = model.point(moment_start(model.pieces, model.classes, model.null, model.inner_residual))
    best = Climb().run(model.pieces, start)
    for scheme in SCHEMES:
        update = Climb(scheme=scheme)._scheme(model.pieces).update(best.params, best.stats)
        # EM contracts errors: what is left of 1e-8 standard errors, and of 1e-9 in the Gamma regression.
        np.testing.assert_allclose(update.vector(), best.params.vector(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_pieces_add(case: str) -> None:
    whole, parted = CASES[case].model(), CASES[case].model(pieces=7)
    params = inner_points(whole, 1)[0]
    one, many = statistics(whole, params), statistics(parted, params)
    assert many.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-13)
    np.testing.assert_allclose(many.score, one.score, rtol=1e-10, atol=1e-10 * np.abs(one.score).max())
    np.testing.assert_allclose(many.hessian, one.hessian, rtol=1e-9, atol=1e-11 * np.abs(one.hessian).max())


def test_weights_are_replication() -> None:
    weighted = simulated(4, 60, 3, weighted=True)
    assert weighted.weights is not None
    assert weighted.group is not None
    copies = np.repeat(np.arange(60), weighted.weights.astype(int))
    rows = np.concatenate([np.flatnonzero(weighted.group == number) for number in copies])
    group = np.repeat(np.arange(len(copies)), 3)
    replicated = SlopeModel(y=weighted.y[rows], x=weighted.x[rows], group=group)
    one, other = weighted.model(), replicated.model()
    fits = [
        Climb().run(model.pieces, model.point(moment_start(model.pieces, 2, False, None))) for model in (one, other)
    ]
    values = [model.reduction.outward(fit.params.ordered()) for model, fit in zip((one, other), fits, strict=True)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-7)
    told = [model.log_likelihood_outward(fit.objective) for model, fit in zip((one, other), fits, strict=True)]
    assert told[0] == pytest.approx(told[1], rel=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("response", "regressor"), [(1e6, 1.0), (1e-6, 1e3), (1e200, 1e-200), (1e-200, 1e200)])
def test_scales_of_the_data_scale_the_answer(scheme: str, response: float, regressor: float) -> None:
    dense = simulated(9, 200, 1)
    plain = dense.model()
    scaled = replace(dense, y=dense.y * response, x=dense.x * regressor).model()
    found = []
    for model in (plain, scaled):
        start = model.point(moment_start(model.pieces, 2, False, None))
        outcome = Climb(scheme=scheme).run(model.pieces, start)
        assert outcome.status.arrived
        found.append(outcome.params.ordered().vector())
    inner = [model.reduction.scales for model in (plain, scaled)]
    # In logarithms, since 1e200 squared is no number: internal units differ by powers of two only.
    for coordinate, power in ((0, 2), (1, 2), (2, 0)):
        logs = [
            np.log(values[coordinate]) + 2.0 * np.log(scales.response) - power * np.log(scales.regressor)
            for values, scales in zip(found, inner, strict=True)
        ]
        told = 2.0 * np.log(response) - power * np.log(regressor)
        assert logs[1] - logs[0] == pytest.approx(told, abs=1e-6)
    np.testing.assert_allclose(found[0][3:], found[1][3:], rtol=1e-7)


def test_names_of_classes_do_not_matter() -> None:
    model = CASES["rows"].model()
    start = moment_start(model.pieces, 2, False, None)
    swapped = MixtureParams.free(start.variances[::-1], start.residual, start.shares[::-1])
    ends = [Climb(scheme=scheme).run(model.pieces, begin) for begin in (start, swapped) for scheme in ("em", "newton")]
    for end in ends[1:]:
        np.testing.assert_allclose(end.params.ordered().vector(), ends[0].params.ordered().vector(), rtol=1e-6)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_held_coordinates_stay_and_the_rest_is_the_held_maximum(scheme: str) -> None:
    """A profile: each scheme maximises over the others, judged by Newton's own certificate and by one another."""
    model = CASES["three classes"].model()
    start = model.point(moment_start(model.pieces, 3, False, None))
    best = Climb().run(model.pieces, start)
    for coordinate in range(7):
        value = 0.8 * float(best.params.vector()[coordinate]) + 0.01
        point = best.params.holding(coordinate, value)
        outcome = Climb(scheme=scheme).run(model.pieces, point)
        other = Climb().run(model.pieces, point)
        assert outcome.params.vector()[coordinate] == value
        assert outcome.params.shares.sum() == pytest.approx(1.0, abs=1e-12)
        assert outcome.objective <= best.objective + 1e-9
        assert outcome.objective == pytest.approx(other.objective, abs=1e-8)


def test_a_saddle_is_no_optimum() -> None:
    """Two classes of one variance: the gradient is 0 at the best single class, and no scheme may call that arrived."""
    model = CASES["rows"].model()
    single = replace(CASES["rows"], classes=1).model()
    one = Climb().run(single.pieces, single.point(moment_start(single.pieces, 1, False, None)))
    both = MixtureParams.free(np.repeat(one.params.variances, 2), one.params.residual, np.array([0.5, 0.5]))
    stats = statistics(model, both)
    assert np.abs(np.delete(stats.score, [3, 4])).max() < 1e-5 * stats.total
    assert Newton().certificate(both, stats).newton_decrement > 1.0
    outcome = Climb(scheme="em").run(model.pieces, both)
    assert not outcome.status.arrived or outcome.objective > one.objective + 1e-3


def test_a_class_without_a_share_is_put_where_it_helps() -> None:
    model = CASES["rows"].model()
    single = replace(CASES["rows"], classes=1).model()
    one = Climb().run(single.pieces, single.point(moment_start(single.pieces, 1, False, None)))
    empty = MixtureParams.free(np.array([one.params.variances[0], 1e-6]), one.params.residual, np.array([1.0, 0.0]))
    slope = directional(empty, model.pieces, variance_grid(model.pieces, empty.residual))
    assert slope.max() > 1.0
    best = Climb().run(model.pieces, model.point(moment_start(model.pieces, 2, False, None)))
    assert Climb().run(model.pieces, empty).objective == pytest.approx(best.objective, abs=1e-9)


def test_a_falling_likelihood_is_told() -> None:
    """The loop watches: an EM with a wrong residual would be caught on the first step that falls."""

    class Wrong(EM):
        def update(self, params: MixtureParams, stats: MixtureStats, /) -> MixtureParams:
            right = super(Wrong, self).update(params, stats)
            return replace(right, residual=3.0 * right.residual)

    model = CASES["rows"].model()
    with pytest.raises(AscentError, match="lowered the log-likelihood"):
        iterate(Wrong(), moment_start(model.pieces, 2, False, None), list(model.pieces), stopping=Stopping())


def test_rows_without_regressor_speak_of_the_residual_only() -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.standard_normal(100), np.zeros(50)])
    y = np.concatenate([rng.standard_normal(100), 0.5 * rng.standard_normal(50)])
    dense = SlopeModel(y=y, x=x)
    model = dense.model()
    assert len(model.reduction.units) == 100
    assert model.reduction.units.rest_rows == 50
    params = inner_points(model, 1)[0]
    values = model.reduction.outward(params)
    found = model.log_likelihood_outward(statistics(model, params).log_likelihood)
    assert found == pytest.approx(dense.log_likelihood(values[:2], values[2], values[3:]), rel=1e-11)


def test_extreme_rows_do_not_overflow() -> None:
    """A row that only the empty class could explain: ratios beyond 1e300 are cut, nothing is NaN."""
    units = Units(q=np.array([1.0, 1.0, 1.0]), h2=np.array([0.1, 1e4, 1e-12]))
    params = MixtureParams.free(np.array([0.0, 50.0]), 0.5, np.array([1.0, 0.0]))
    stats = summarise(params, units)
    assert np.isfinite(stats.log_likelihood)
    assert not np.isnan(stats.score).any()
    assert stats.score[4] > 1e100
