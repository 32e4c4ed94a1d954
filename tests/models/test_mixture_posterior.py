"""Posterior of effects: against integration over a grid, the definitions of local rates, and exact symmetries."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.posterior import (
    class_probabilities,
    effects_table,
    mean_up_to,
    posterior,
    posterior_table,
)

NULL = MixtureParams.free([0.0, 0.2, 3.0], 0.6, [0.5, 0.3, 0.2])
SPREAD = MixtureParams.free([0.05, 2.0], 0.4, [0.7, 0.3])


def data(size: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    q = rng.chisquare(2, size)
    return q, rng.standard_normal(size) * np.sqrt(q * (3.0 * q + 0.6))


def on_a_grid(params: MixtureParams, x: np.ndarray, y: np.ndarray) -> dict[str, object]:
    """Rows y = b x + e of one effect: prior times likelihood on a fine grid of b, and an atom at 0."""
    b = np.linspace(-16.0, 16.0, 320_001)
    step = b[1] - b[0]
    loglik = norm.logpdf(y[:, None], x[:, None] * b, math.sqrt(params.residual)).sum(axis=0)
    mass = []
    for v, share in zip(params.variances, params.shares, strict=True):
        prior = norm.pdf(b, scale=math.sqrt(v)) * step if v > 0.0 else (b == b[len(b) // 2]).astype(float)
        mass.append(share * prior * np.exp(loglik - loglik.max()))
    every = np.array(mass) / np.sum(mass)
    total = every.sum(axis=0)
    mean = float(total @ b)
    return {
        "classes": every.sum(axis=1),
        "mean": mean,
        "sd": math.sqrt(float(total @ (b - mean) ** 2)),
        "positive": float(every[params.variances > 0.0][:, b > 0.0].sum()),
        "negative": float(every[params.variances > 0.0][:, b < 0.0].sum()),
        "zero": float(every[params.variances == 0.0].sum()),
    }


@pytest.mark.parametrize("params", [NULL, SPREAD], ids=["null class", "two spreads"])
@pytest.mark.parametrize("rows", [1, 4])
def test_posterior_is_prior_times_likelihood(params: MixtureParams, rows: int) -> None:
    rng = np.random.default_rng(rows)
    x, y = rng.standard_normal((6, rows)), 1.5 * rng.standard_normal((6, rows))
    q, xy = (x * x).sum(axis=1), (x * y).sum(axis=1)
    found, classes = posterior(params, q, xy), class_probabilities(params, q, xy)
    for g in range(6):
        exact = on_a_grid(params, x[g], y[g])
        # The grid halves the cell at b = 0 by at most step / 2 times the density: 1e-4 of probability.
        np.testing.assert_allclose(classes[:, g], exact["classes"], atol=1e-8)
        assert found.mean[g] == pytest.approx(exact["mean"], abs=1e-8)
        assert found.sd[g] == pytest.approx(exact["sd"], rel=1e-7)
        assert found.zero[g] == pytest.approx(exact["zero"], abs=1e-8)
        assert found.positive[g] == pytest.approx(exact["positive"], abs=2e-4)
        assert found.negative[g] == pytest.approx(exact["negative"], abs=2e-4)
        assert found.most_probable[g] == np.argmax(exact["classes"])


def test_probabilities_add_up_and_lfsr_is_its_definition() -> None:
    q, xy = data(5000)
    found = posterior(NULL, q, xy)
    np.testing.assert_allclose(found.positive + found.negative + found.zero, 1.0, rtol=1e-12)
    not_positive, not_negative = found.negative + found.zero, found.positive + found.zero
    np.testing.assert_allclose(found.lfsr, np.minimum(not_positive, not_negative), rtol=1e-12)
    assert (found.lfsr >= found.zero).all()
    np.testing.assert_allclose(class_probabilities(NULL, q, xy).sum(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(class_probabilities(NULL, q, xy)[0], found.zero)
    assert (posterior(SPREAD, q, xy).zero == 0.0).all()


def test_means_shrink_the_slope_and_keep_its_sign() -> None:
    q, xy = data(3000)
    found = posterior(NULL, q, xy)
    assert (np.sign(found.mean) == np.sign(xy)).all()
    assert (np.abs(found.mean) <= np.abs(xy / q)).all()


def test_false_signs_are_as_many_as_told() -> None:
    """Effects drawn from the model: among those called, the mean lfsr is the proportion of false signs."""
    rng = np.random.default_rng(4)
    size = 200_000
    b = rng.standard_normal(size) * np.sqrt(NULL.variances[rng.choice(3, size, p=NULL.shares)])
    q = rng.chisquare(3, size)
    xy = q * b + np.sqrt(q * NULL.residual) * rng.standard_normal(size)
    table = effects_table(NULL, q, xy)
    for level in (0.05, 0.2):
        called = (table["svalue"] <= level).to_numpy()
        wrong = np.sign(b[called]) != np.sign(table["effect"][called])
        # Five binomial standard errors.
        assert abs(wrong.mean() - table["lfsr"][called].mean()) < 5.0 * math.sqrt(level / called.sum())
    assert abs((b == 0.0).mean() - table["lfdr"].mean()) < 5.0 * math.sqrt(0.25 / size)
    assert np.mean((b - table["effect"]) ** 2) == pytest.approx(np.mean(table["sd"] ** 2), rel=0.03)


def test_far_tails_keep_their_precision() -> None:
    """Against logarithms: a probability of 1e-200 has as many digits as one of 0.1."""
    v, s = NULL.variances, NULL.residual
    for size in (5.0, 12.0, 32.0):
        found = posterior(NULL, np.ones(2), np.array([size, -size]))
        log_each = np.log(NULL.shares) + norm.logpdf(size, scale=np.sqrt(v + s))
        log_each -= np.logaddexp.reduce(log_each)
        z = np.sqrt(v[1:] / (s * (v[1:] + s))) * size
        log_below = np.logaddexp.reduce(log_each[1:] + norm.logcdf(-z))
        # Exponents of up to 850 are rounded at 1e-16 each.
        assert found.zero[0] == pytest.approx(math.exp(log_each[0]), rel=1e-12)
        assert found.negative[0] == pytest.approx(math.exp(log_below), rel=1e-11)
        assert found.positive[1] == found.negative[0] > 0.0
        assert found.lfsr[0] == found.lfsr[1]


def test_beyond_all_numbers_nothing_is_nan() -> None:
    found = posterior(NULL, np.array([1.0, 1e-12, 1e12]), np.array([1e8, 1e3, 1e-9]))
    for values in (found.mean, found.sd, found.positive, found.negative, found.zero):
        assert np.isfinite(values).all()
    assert found.lfsr[0] == 0.0


def test_no_regressor_leaves_the_prior() -> None:
    found = posterior(NULL, np.zeros(2), np.zeros(2))
    np.testing.assert_allclose(class_probabilities(NULL, np.zeros(2), np.zeros(2)), NULL.shares[:, None] * [1.0, 1.0])
    np.testing.assert_array_equal(found.mean, 0.0)
    np.testing.assert_allclose(found.sd, math.sqrt(NULL.shares @ NULL.variances))
    np.testing.assert_allclose(found.positive, 0.25)
    np.testing.assert_allclose(found.negative, 0.25)
    np.testing.assert_allclose(found.lfsr, 0.75)
    # A hair of x says a hair more.
    near = posterior(NULL, np.array([1e-12]), np.array([1e-12]))
    assert near.sd[0] == pytest.approx(found.sd[0], rel=1e-6)
    assert near.zero[0] == pytest.approx(0.5, rel=1e-6)


def test_without_residual_effects_are_known() -> None:
    params = MixtureParams.free([0.2, 3.0], 0.0, [0.6, 0.4])
    found = posterior(params, np.array([2.0, 1.0, 0.0]), np.array([3.0, -0.5, 0.0]))
    np.testing.assert_allclose(found.mean, [1.5, -0.5, 0.0])
    np.testing.assert_allclose(found.sd, [0.0, 0.0, math.sqrt(params.shares @ params.variances)], atol=1e-15)
    np.testing.assert_array_equal(found.positive[:2], [1.0, 0.0])
    np.testing.assert_array_equal(found.lfsr[:2], 0.0)


def test_a_class_without_a_share_changes_nothing() -> None:
    q, xy = data(500)
    more = MixtureParams.free([0.0, 0.2, 3.0, 1e6], 0.6, [0.5, 0.3, 0.2, 0.0])
    pd.testing.assert_frame_equal(effects_table(more, q, xy), effects_table(NULL, q, xy), rtol=1e-12)
    classes = class_probabilities(more, q, xy)
    assert classes.shape == (4, 500)
    assert (classes[3] == 0.0).all()


def test_blocks_do_not_show() -> None:
    q, xy = data(40_000)
    order = np.random.default_rng(0).permutation(len(q))
    whole, turned = posterior_table(NULL, q, xy), posterior_table(NULL, q[order], xy[order])
    pd.testing.assert_frame_equal(turned, whole.iloc[order].reset_index(drop=True), rtol=1e-12)


def test_signs_units_and_the_order_of_classes_are_carried_through() -> None:
    q, xy = data(800)
    here, turned = posterior(NULL, q, xy), posterior(NULL, q, -xy)
    np.testing.assert_array_equal(here.mean, -turned.mean)
    np.testing.assert_array_equal(here.positive, turned.negative)
    np.testing.assert_array_equal(here.lfsr, turned.lfsr)
    # x in units of 2, y in units of 8: powers of two change no digit.
    there = posterior(
        MixtureParams.free(NULL.variances * 16.0, NULL.residual * 64.0, NULL.shares), q * 4.0, xy * 16.0
    )  # fmt: skip
    np.testing.assert_allclose(there.mean, 4.0 * here.mean, rtol=1e-13)
    np.testing.assert_allclose(there.lfsr, here.lfsr, rtol=1e-12)
    pd.testing.assert_series_equal(
        effects_table(NULL, q, xy, scale=4.0)["sd"], pd.Series(there.sd, name="sd"), rtol=1e-12
    )
    order = np.array([2, 0, 1])
    other = replace(NULL, variances=NULL.variances[order], shares=NULL.shares[order])
    np.testing.assert_allclose(class_probabilities(other, q, xy), class_probabilities(NULL, q, xy)[order], rtol=1e-12)
    np.testing.assert_allclose(posterior(other, q, xy).lfsr, here.lfsr, rtol=1e-12)


@given(st.lists(st.sampled_from([0.0, 1e-300, 0.01, 0.2, 0.2000001, 0.9, 1.0]), max_size=30))
def test_s_and_q_values_are_means_of_all_rates_as_small(rates: list[float]) -> None:
    values = mean_up_to(np.array(rates))
    for rate, value in zip(rates, values, strict=True):
        smaller = [other for other in rates if other <= rate]
        assert value == pytest.approx(sum(smaller) / len(smaller), rel=1e-12)
        assert value <= rate
    order = np.argsort(rates, kind="stable")
    assert (np.diff(values[order]) >= 0.0).all()


def test_without_ties_values_are_ashrs() -> None:
    """ashr's qval.from.lfdr: `o = order(lfdr); result[o] = cumsum(sort(lfdr)) / 1:n`."""
    rates = np.random.default_rng(6).random(1000)
    order = np.argsort(rates)
    values = np.empty(1000)
    values[order] = np.cumsum(np.sort(rates)) / np.arange(1, 1001)
    np.testing.assert_allclose(mean_up_to(rates), values, rtol=1e-12)


def test_the_table_is_in_input_order_with_its_labels() -> None:
    q, xy = data(4)
    table = posterior_table(NULL, q, xy, index=pd.Index(list("dbca")))
    assert list(table.index) == list("dbca")
    assert list(table.columns) == [
        "class_1", "class_2", "class_3", "class", "effect", "sd", "positive", "negative", "lfsr", "lfdr", "svalue",
        "qvalue",
    ]  # fmt: skip
    assert (table["class"] == table[["class_1", "class_2", "class_3"]].to_numpy().argmax(axis=1) + 1).all()
    assert len(posterior_table(NULL, np.zeros(0), np.zeros(0))) == 0
