"""Many responses with missing values: the answers of the rows that are there."""

from __future__ import annotations

import numpy as np
import pytest
from many_responses import simulate

from varmix.api.many import variance_components_many
from varmix.models.linear.batch import Unfitted


@pytest.mark.parametrize("p", [12, 100])
def test_a_missing_value_removes_its_row_for_that_response_only(p: int) -> None:
    rng = np.random.default_rng(7)
    X, Z, Y = simulate(rng, 60, p, 3, 9)
    holes = Y.copy()
    holes[:5, 1] = holes[:5, 4] = np.nan
    holes[rng.permutation(60)[:20], 6] = np.nan
    table = variance_components_many(holes, designs=X, covariates=Z[:, 1:])
    S = (X - X.mean(0)) / X.std(0) / np.sqrt(p)
    assert table.rows.tolist() == [60, 55, 60, 60, 55, 60, 40, 60, 60]
    for j in range(9):
        rows = ~np.isnan(holes[:, j])
        alone = variance_components_many(
            holes[rows, j], kernels=S[rows] @ S[rows].T, covariates=Z[rows, 1:], criterion="reml"
        )
        columns = ["s_kernel", "s_residual", "log_likelihood", "se_kernel", "proportion", "fixed_z2", "se_fixed_z2"]
        # The kernel is summed in another order.
        np.testing.assert_allclose(
            table.iloc[j][columns].astype(float), alone.iloc[0][columns].astype(float), rtol=1e-7, atol=1e-10
        )


def test_responses_without_an_estimate_are_rows_of_nan_that_say_why() -> None:
    X, _, Y = simulate(np.random.default_rng(8), 30, 40, 1, 5)
    Y[:, 1] = np.nan
    Y[2:, 2] = np.nan
    Y[:, 3] = 1e6 / 3
    Y[:, 4] = 0.0
    table = variance_components_many(Y, designs=X)
    assert table.status.tolist()[1:] == ["ALL_MISSING", "TOO_FEW_ROWS", "CONSTANT", "CONSTANT"]
    assert table.iloc[1:][["s_kernel", "s_residual", "log_likelihood", "lr_p", "proportion"]].isna().all(axis=None)
    assert np.isfinite(table.s_kernel.iloc[0])
    assert all(Unfitted[name].advice for name in table.status[1:])


def test_a_kernel_can_vanish_for_one_pattern_of_rows_alone() -> None:
    rng = np.random.default_rng(20)
    group = np.repeat([0, 1], 10)
    Y = rng.standard_normal((20, 3)) + 2.0 * group[:, None]
    Y[group == 0, 1] = np.nan  # one group is left, and the intercept spans its kernel of ones
    table = variance_components_many(Y, kernels=(group[:, None] == group).astype(float))
    assert table.status.tolist()[1] == "NOT_IDENTIFIED"
    assert table.s_kernel.notna().tolist() == [True, False, True]
    assert table.rows.tolist() == [20, 10, 20]
