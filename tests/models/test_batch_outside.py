"""Many responses beside outside programs."""

from __future__ import annotations

import numpy as np
import pytest
from many_responses import simulate

from varmix.api.many import variance_components_many

CRITERIA = ("reml", "ml")


def test_random_intercepts_agree_with_statsmodels() -> None:
    statsmodels = pytest.importorskip("statsmodels.regression.mixed_linear_model")
    rng = np.random.default_rng(15)
    group = np.repeat(np.arange(12), rng.integers(3, 9, 12))
    X, n = np.eye(12)[group], group.size
    Z = np.column_stack([np.ones(n), rng.standard_normal(n)])
    Y = X @ rng.standard_normal((12, 4)) + rng.standard_normal((n, 4)) + Z @ np.array([[1.0], [2.0]])
    for criterion in CRITERIA:
        table = variance_components_many(
            Y,
            designs=X,
            covariates=Z[:, 1:],
            scaling="none",
            criterion=criterion,  # type: ignore[arg-type]
        )
        for j in range(4):
            model = statsmodels.MixedLM(Y[:, j], Z, groups=group)
            theirs = model.fit(reml=criterion == "reml", method="bfgs", gtol=1e-8)
            row = table.iloc[j]
            # statsmodels' optimiser stops at relative changes of the objective of 1e-9 or so: 1e-4 in the variances.
            assert row.s_kernel == pytest.approx(float(theirs.cov_re[0, 0]), rel=1e-4)
            assert row.s_residual == pytest.approx(theirs.scale, rel=1e-4)
            assert row.fixed_z1 == pytest.approx(theirs.fe_params[1], rel=1e-4)
            assert row.log_likelihood >= theirs.llf - 1e-7
            assert row.log_likelihood == pytest.approx(theirs.llf, abs=1e-5)


def test_reml_agrees_with_glimix_core() -> None:
    lmm = pytest.importorskip("glimix_core.lmm")
    economic_qs = pytest.importorskip("numpy_sugar.linalg").economic_qs
    X, Z, Y = simulate(np.random.default_rng(21), 60, 90, 3, 8)
    K = X @ X.T / 90
    table = variance_components_many(Y, kernels=K, covariates=Z[:, 1:])
    decomposition = economic_qs(K)
    for j, row in enumerate(table.itertuples()):
        theirs = lmm.LMM(Y[:, j], Z, decomposition, restricted=True)
        theirs.fit(verbose=False)
        # glimix-core 3.1 leaves 1/2 log|Z'Z| out, and its search over a logistic share ends at 1e-6 or so in it, and
        # never at 0: the log-likelihood is flat at the optimum and linear at the boundary.
        constant = 0.5 * np.linalg.slogdet(Z.T @ Z)[1]
        assert row.log_likelihood + constant == pytest.approx(theirs.lml(), abs=1e-6)
        assert row.s_kernel == pytest.approx(theirs.v0, rel=1e-3, abs=1e-4)
        assert row.s_residual == pytest.approx(theirs.v1, rel=1e-3)
        assert row.fixed_z1 == pytest.approx(theirs.beta[1], rel=1e-3)
