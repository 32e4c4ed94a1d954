"""Many responses as one batch: the answers of one by one, at every scale, with missing values, and from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from many_responses import dense_log_likelihood, simulate
from scipy.optimize import minimize_scalar

from varmix.api.many import variance_components_many
from varmix.genotype import standardise
from varmix.iteration import Status
from varmix.marginal.build import Kernels, build_structure
from varmix.models.linear.batch import Unfitted, fit_batch
from varmix.models.linear.batch import fit as fit_module
from varmix.models.linear.climb import Climb
from varmix.models.linear.fixed_block import fixed_effects
from varmix.models.linear.starting import good_start

CRITERIA = ("reml", "ml")


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(12, 70),
    p=st.integers(2, 90),
    c=st.integers(1, 4),
    criterion=st.sampled_from(CRITERIA),
    unit=st.sampled_from([1e-3, 1.0, 1e4]),
)
def test_a_batch_equals_fits_one_by_one(seed: int, n: int, p: int, c: int, criterion: Any, unit: float) -> None:
    X, Z, Y = simulate(np.random.default_rng(seed), n, p, c, 6)
    Y *= unit
    # ML has no maximum when the intercept lies in the null space of a kernel of full rank otherwise: no centring there.
    design = standardise(X) if criterion == "reml" else standardise(X / np.sqrt(p), scaling="none")
    structure = build_structure(Z, Kernels(designs=[design]), eigenvectors=True)
    fit = fit_batch(structure, Y, criterion)
    for j in range(Y.shape[1]):
        if isinstance(fit.status[j], Unfitted):
            assert fit.status[j] is Unfitted.UNBOUNDED
            continue
        piece, units = structure.piece(Y[:, j])
        alone = Climb(scheme="newton", criterion=criterion).run([piece], good_start(piece))
        errors = n if criterion == "ml" else n - c
        log_likelihood = alone.objective - errors * np.log(units.response)
        assert fit.status[j].arrived
        if not alone.status.arrived:
            continue
        # The batch searches all maxima: it may be higher (another basin), never lower than rounding of sums of size n.
        assert fit.log_likelihood[j] >= log_likelihood - 1e-9 * max(1.0, abs(log_likelihood))
        if fit.log_likelihood[j] > log_likelihood + 1e-6:
            continue
        variances = units.outward(alone.params.values)
        # Both stop within 1e-8 standard errors of the optimum by a quadratic model, whose curvature may be twice the
        # likelihood's in so few rows: that is all a certificate promises.
        assert np.all(np.abs(fit.variances[j] - variances) <= 1e-8 * variances + 5e-8 * fit.variances_se[j])
        # At the optimum the log-likelihood is flat, so that only rounding is left.
        assert fit.log_likelihood[j] == pytest.approx(log_likelihood, rel=1e-9, abs=1e-9)
        if variances[-1] == 0.0:
            continue  # with a centred kernel the intercept is then known exactly, and block U has no Cholesky factor
        effects = fixed_effects(piece, alone.params.values)
        assert effects is not None
        spread = np.sqrt(effects.covariance.diagonal()) * units.response
        # Estimates move by less than their standard error times the relative change of V, 1e-8 or so; ten times that.
        np.testing.assert_allclose(fit.fixed_se[j], spread, rtol=1e-6)
        assert np.all(np.abs(fit.fixed[j] - effects.estimate * units.response) <= 1e-6 * spread)
        information = alone.stats.expected_information
        assert information is not None
        expected = units.outward(np.sqrt(np.linalg.inv(information).diagonal()))
        np.testing.assert_allclose(fit.variances_se[j], expected, rtol=1e-5)  # inverting costs the condition number


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("p", [15, 80])
def test_the_estimate_is_the_dense_optimum(criterion: Any, p: int) -> None:
    X, Z, Y = simulate(np.random.default_rng(3), 40, p, 2, 12)
    S = (X - X.mean(0)) / X.std(0) / np.sqrt(p)
    # A ridge makes the kernel definite, so that ML is bounded although the columns are centred.
    K = S @ S.T + 0.05 * np.eye(40)
    table = variance_components_many(Y, kernels=K, covariates=Z[:, 1:], criterion=criterion)
    M = np.eye(40) - Z @ np.linalg.pinv(Z)
    kbar = np.trace(M @ K) / (40 - 2)
    for j, row in enumerate(table.itertuples()):
        V = row.s_kernel * K + row.s_residual * np.eye(40)
        at = dense_log_likelihood(Y[:, j], Z, V, criterion)
        # Both are sums of 40 terms of order one.
        assert row.log_likelihood == pytest.approx(at, rel=1e-10)
        for share in np.linspace(0.0, 1.0, 21):
            D = share * K / kbar + (1.0 - share) * np.eye(40)
            best = minimize_scalar(
                lambda u, D=D, y=Y[:, j]: -dense_log_likelihood(y, Z, np.exp(u) * D, criterion), bounds=(-6, 6)
            )
            assert -best.fun <= row.log_likelihood + 1e-9
        covariance = np.linalg.inv(Z.T @ np.linalg.solve(V, Z))
        assert row.fixed_z1 == pytest.approx(float((covariance @ Z.T @ np.linalg.solve(V, Y[:, j]))[1]), rel=1e-8)
        assert row.se_fixed_z1 == pytest.approx(float(np.sqrt(covariance[1, 1])), rel=1e-8)
        assert row.proportion == pytest.approx(row.s_kernel * kbar / row.total, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_the_scale_of_a_response_or_a_kernel_changes_nothing_else(scale: float) -> None:
    X, Z, Y = simulate(np.random.default_rng(4), 50, 20, 2, 10)
    plain = variance_components_many(Y, designs=X, covariates=Z[:, 1:])
    scaled = variance_components_many(Y * scale, designs=X, covariates=Z[:, 1:])
    # 1e100 is no power of two: responses differ in the last digit, estimates by that times their condition.
    for name, power in {"s_kernel": 2, "s_residual": 2, "se_kernel": 2, "fixed_z1": 1, "proportion": 0}.items():
        np.testing.assert_allclose(scaled[name] / scale**power, plain[name], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scaled.log_likelihood, plain.log_likelihood - (50 - 2) * np.log(scale), rtol=1e-11)
    K = X @ X.T
    tiny = variance_components_many(Y, kernels=K * scale, covariates=Z[:, 1:])
    ordinary = variance_components_many(Y, kernels=K, covariates=Z[:, 1:])
    np.testing.assert_allclose(tiny.s_kernel * scale, ordinary.s_kernel, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(tiny.log_likelihood, ordinary.log_likelihood, rtol=1e-11)


def test_a_kernel_like_the_residual_is_not_identified() -> None:
    Y = np.random.default_rng(9).standard_normal((20, 3))
    for K in (np.eye(20), np.zeros((20, 20)), np.ones((20, 20))):
        assert set(variance_components_many(Y, kernels=K).status) == {"NOT_IDENTIFIED"}


def test_a_likelihood_without_bound_is_not_reported_as_an_estimate() -> None:
    rng = np.random.default_rng(10)
    X = rng.standard_normal((30, 5))
    S = (X - X.mean(0)) / X.std(0)
    table = variance_components_many(S @ rng.standard_normal((5, 3)), designs=X)
    assert set(table.status) == {"UNBOUNDED"}
    # ML with a centred kernel of rank n - 1: log |V| falls without bound at h = 1 and the intercept hides y there.
    wide = rng.standard_normal((30, 60))
    S = (wide - wide.mean(0)) / wide.std(0) / np.sqrt(60)
    table = variance_components_many(S @ rng.standard_normal((60, 20)), designs=wide, criterion="ml")
    assert np.isfinite(table.log_likelihood[table.status != "UNBOUNDED"]).all()
    assert (table.proportion[table.status != "UNBOUNDED"] < 1.0).all()


def test_a_definite_kernel_can_take_all_of_the_variance() -> None:
    rng = np.random.default_rng(11)
    X = rng.standard_normal((40, 120))
    S = (X - X.mean(0)) / X.std(0) / np.sqrt(120)
    table = variance_components_many(S @ rng.standard_normal((120, 30)), designs=X)
    full = table[table.proportion == 1.0]
    assert len(full) > 0
    assert (full.s_residual == 0.0).all()
    assert (full.status == Status.ON_BOUNDARY.name).all()


def test_the_higher_of_two_maxima_is_found() -> None:
    rng = np.random.default_rng(12)
    eigenvalues = np.concatenate([np.full(3, 300.0), np.full(5, 1.0), np.full(12, 1e-3)])
    Q = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    structure = build_structure(
        np.zeros((20, 0)),
        Kernels(matrices=[np.asfortranarray(Q * eigenvalues @ Q.T)], matrix_names=["k"]),
        eigenvectors=True,
    )
    Y = Q @ (rng.standard_normal((20, 400)) * np.where(rng.uniform(size=(20, 400)) < 0.3, 10.0, 0.3))
    fit = fit_batch(structure, Y)
    logits = np.linspace(-25.0, 25.0, 5001)
    lbar = eigenvalues.mean()
    D = eigenvalues / lbar / (1 + np.exp(-logits))[:, None] + 1 / (1 + np.exp(logits))[:, None]
    squares = (Q.T @ Y) ** 2
    profile = -0.5 * (20 * np.log((1 / D) @ squares / 20) + np.log(D).sum(1)[:, None] + 20 * (1 + np.log(2 * np.pi)))
    rises = np.diff(profile, axis=0) > 0
    found = int(((rises[:-1] & ~rises[1:]).sum(axis=0) > 1).sum())
    assert found >= 5  # else the test claims nothing
    # A scan in steps of 0.01 is below the maximum by at most its curvature (at most 20) times 1e-4.
    np.testing.assert_array_less(profile.max(axis=0) - 1e-9, fit.log_likelihood)
    np.testing.assert_allclose(fit.log_likelihood, profile.max(axis=0), atol=2e-3)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_kernel_rounded_to_single_precision_keeps_its_negative_eigenvalues(criterion: Any) -> None:
    rng = np.random.default_rng(19)
    X, Z, Y = simulate(rng, 60, 20, 2, 10)
    K = (X @ X.T / 20).astype(np.float32).astype(float)
    assert np.linalg.eigvalsh(K)[0] < -1e-9
    table = variance_components_many(Y, kernels=K, covariates=Z[:, 1:], criterion=criterion)
    matrices = [np.array(K, order="F")]
    structure = build_structure(Z, Kernels(matrices=matrices, matrix_names=["k"]), eigenvectors=True)
    for j, row in enumerate(table.itertuples()):
        piece, units = structure.piece(Y[:, j])
        variances = units.outward(Climb(criterion=criterion).run([piece], good_start(piece)).params.values)
        assert np.all(np.abs([row.s_kernel, row.s_residual] - variances) <= 1e-8 * variances + 2e-8 * row.se_kernel)


def test_blocks_and_order_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Z, Y = simulate(np.random.default_rng(13), 50, 20, 2, 23)
    whole = variance_components_many(Y, designs=X, covariates=Z[:, 1:])
    monkeypatch.setattr(fit_module, "BLOCK_BYTES", 8 * 50 * 5)
    order = np.random.default_rng(0).permutation(23)
    parts = variance_components_many(Y[:, order], designs=X, covariates=Z[:, 1:], names=order)
    # Matrix products of other shapes round differently.
    np.testing.assert_allclose(parts.loc[range(23), "s_kernel"], whole.s_kernel, rtol=1e-9, atol=1e-12)
    assert parts.loc[range(23), "status"].tolist() == whole.status.tolist()


def test_the_test_of_no_kernel_holds_its_level_and_the_shares_are_recovered() -> None:
    rng = np.random.default_rng(14)
    n, p, r = 150, 60, 3000
    X = rng.standard_normal((n, p))
    S = (X - X.mean(0)) / X.std(0) / np.sqrt(p)
    null = variance_components_many(rng.standard_normal((n, r)), designs=X)
    # Binomial error of a rate of 0.05 from 3,000 responses is 0.004; four of them. The half is asymptotic: wider.
    assert abs((null.lr_p < 0.05).mean() - 0.05) < 0.016
    assert 0.4 < (null.proportion == 0.0).mean() < 0.65
    assert (null.lr_p[null.proportion == 0.0] == 1.0).all()
    Y = S @ rng.standard_normal((p, r)) * np.sqrt(0.5) + rng.standard_normal((n, r)) * np.sqrt(0.5)
    table = variance_components_many(Y, designs=X)
    # Standard deviation about 0.1 over 3,000 responses gives 0.002; REML's bias is of order 1/n.
    assert table.s_kernel.mean() == pytest.approx(0.5, abs=0.02)
    assert table.s_residual.mean() == pytest.approx(0.5, abs=0.01)
    assert table.proportion.std() == pytest.approx(table.se_proportion.mean(), rel=0.1)
    assert table.s_residual.std() == pytest.approx(table.se_residual.mean(), rel=0.1)


def test_several_kernels_are_fitted_one_by_one_on_one_structure() -> None:
    rng = np.random.default_rng(16)
    X, Z, Y = simulate(rng, 50, 30, 2, 3)
    other = rng.standard_normal((50, 40))
    table = variance_components_many(Y, designs={"a": X, "b": other}, covariates=Z[:, 1:])
    structure = build_structure(Z, Kernels(designs=[standardise(X), standardise(other)]))
    for j in range(3):
        piece, units = structure.piece(Y[:, j])
        outcome = Climb(criterion="reml").run([piece], good_start(piece))
        mine = table.iloc[j][["s_a", "s_b", "s_residual"]].astype(float)
        # Different buffers for the kernels: the same sums to rounding.
        np.testing.assert_allclose(mine, units.outward(outcome.params.values), rtol=1e-7, atol=1e-9)
        assert 0.0 <= table.proportion_a.iloc[j] + table.proportion_b.iloc[j] <= 1.0
        assert table.lr_statistic.iloc[j] >= 0.0
    assert table.lr_p.isna().all()
