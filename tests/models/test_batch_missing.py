"""Many responses with missing values: the answers of the rows that are there."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from many_responses import simulate

from varmix.api.many import variance_components_many
from varmix.genotype import standardise
from varmix.marginal.build import Kernels, build_structure
from varmix.models.linear.batch import BatchFit, SharedKernels, Unfitted, fit_patterns
from varmix.models.linear.batch import few_missing as few_missing_module
from varmix.models.linear.batch import patterns as patterns_module
from varmix.models.linear.batch.few_missing import cheaper_together, fit_few_missing


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


@pytest.mark.parametrize("p", [40, 150])
def test_a_missing_row_as_a_covariate_is_the_same_as_a_reduction_without_it(p: int) -> None:
    rng = np.random.default_rng(40)
    X, Z, Y = simulate(rng, 100, p, 3, 14)
    Y *= np.exp(rng.normal(0.0, 5.0, 14))
    S = standardise(X).array()
    K = np.asfortranarray(S @ S.T)
    for j in range(14):
        Y[rng.permutation(100)[: 1 + j], j] = np.nan
    structure = build_structure(Z, Kernels(matrices=[K.copy(order="F")], matrix_names=["k"]), eigenvectors=True)
    mine, fitted = fit_few_missing(structure, Y)
    assert fitted.all()
    for j in range(14):
        rows = np.flatnonzero(~np.isnan(Y[:, j]))
        theirs = fit_patterns(
            Y[rows, j : j + 1], Z[rows], SharedKernels(names=("k",), matrices=(K[np.ix_(rows, rows)],))
        )
        assert mine.status[j] is theirs.status[0]
        for field in fields(BatchFit):
            if field.name not in ("status", "iterations", "decrement"):
                value, other = getattr(mine, field.name)[j], getattr(theirs, field.name)[0]
                # Two certificates of 1e-8 standard errors, and rounding in units of the estimates.
                np.testing.assert_allclose(
                    value, other, rtol=1e-8, atol=1e-12 * np.abs(other).max(), err_msg=field.name
                )


def test_what_a_missing_row_takes_away_is_left_to_a_reduction() -> None:
    rng = np.random.default_rng(41)
    X, Z, Y = simulate(rng, 50, 80, 2, 4)
    Z = np.column_stack([Z, np.arange(50) == 7])  # a covariate that lives on row 7
    S = standardise(X).array()
    K = S @ S.T
    Y[7, 0] = Y[3, 1] = np.nan
    Y[:4, 2] = np.nan
    Y[:, 3] = 2.5
    Y[9, 3] = np.nan
    structure = build_structure(Z, Kernels(matrices=[K.copy(order="F")], matrix_names=["k"]), eigenvectors=True)
    assert fit_few_missing(structure, Y)[1].tolist() == [False, True, True, False]
    # One null direction outside the covariates: as many as missing rows, so that h = 1 may be reached without the row.
    short = np.linalg.eigh(K)
    short = short.eigenvectors[:, 2:] * short.eigenvalues[2:] @ short.eigenvectors[:, 2:].T
    matrices = [np.asfortranarray(short)]
    structure = build_structure(Z[:, :1], Kernels(matrices=matrices, matrix_names=["k"]), eigenvectors=True)
    assert not fit_few_missing(structure, Y[:, 1:2])[1].any()


@pytest.mark.parametrize("criterion", ["reml", "ml"])
def test_scattered_missing_values_share_one_reduction(criterion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(42)
    X, Z, Y = simulate(rng, 250, 300, 2, 60)
    Y[rng.uniform(size=Y.shape) < 0.01] = np.nan
    Y[:, 5] = np.nan
    calls = []

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return build_structure(*arguments, **options)

    monkeypatch.setattr(patterns_module, "build_structure", counted)
    monkeypatch.setattr(few_missing_module, "EACH", 0.0)  # so that 250 rows are many
    done: list[int] = []
    table = variance_components_many(Y, designs=X, covariates=Z[:, 1:], criterion=criterion, tick_fitted=done.append)
    assert sum(done) == 59  # one has no value
    assert len(calls) <= 8 if criterion == "reml" else len(calls) > 40
    monkeypatch.setattr(few_missing_module, "EACH", np.inf)
    apart = variance_components_many(Y, designs=X, covariates=Z[:, 1:], criterion=criterion)
    assert table.status.tolist() == apart.status.tolist()
    numbers = table.select_dtypes("number").columns.drop(["iterations", "decrement"])
    np.testing.assert_allclose(table[numbers], apart[numbers], rtol=1e-7, atol=1e-9)


def test_one_reduction_is_chosen_where_it_saves_some() -> None:
    one = np.ones(40, dtype=np.intp)
    assert cheaper_together(np.full(40, 990), one, 1000, 1000).all()
    assert not cheaper_together(np.full(40, 500), one, 1000, 1000).any()  # as many missing as there
    assert not cheaper_together(np.full(40, 990), one, 1000, 5).any()  # a narrow design is reduced in no time
    assert not cheaper_together(np.array([990]), np.array([10_000]), 1000, 1000).any()  # one pattern of many responses
