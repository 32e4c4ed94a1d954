"""Many responses: how they are joined with designs and kernels, and what is refused."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from many_responses import simulate

import varmix as vm
from varmix.api.inputs import gather
from varmix.api.many import variance_components_many
from varmix.errors import DataError, KernelError, NotAvailableError, NotFiniteError, OptionError, ShapeError
from varmix.genotype import ArraySource, RelationshipMatrix, standardise
from varmix.marginal.build import Kernels, build_structure
from varmix.models.linear.batch import fit_batch


def related(values: Any, ids: pd.DataFrame) -> RelationshipMatrix:
    """Give a relationship matrix of these people."""
    return RelationshipMatrix(name="kin", values=values, sample_ids=ids, variant_counts=None)


def test_names_come_from_the_table() -> None:
    X, Z, Y = simulate(np.random.default_rng(17), 25, 10, 2, 3)
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    table = variance_components_many(frame, designs=X, covariates=pd.DataFrame({"age": Z[:, 1]}))
    assert table.index.tolist() == ["a", "b", "c"]
    assert {"fixed_(Intercept)", "fixed_age", "se_fixed_age"} <= set(table.columns)
    assert variance_components_many(Y, designs=X, intercept=False).filter(like="fixed").empty


def test_bad_input_is_refused_with_what_to_do() -> None:
    rng = np.random.default_rng(18)
    Y, X = rng.standard_normal((20, 2)), rng.standard_normal((20, 5))
    infinite = Y.copy()
    infinite[3, 1] = np.inf
    cases: list[tuple[type[Exception], dict[str, Any]]] = [
        (OptionError, {}),
        (OptionError, {"designs": X, "criterion": "bayes"}),
        (OptionError, {"designs": {"a": X}, "kernels": {"a": np.eye(20)}}),
        (ShapeError, {"designs": X[:10]}),
        (ShapeError, {"kernels": np.eye(19)}),
        (ShapeError, {"kernels": X}),
        (KernelError, {"kernels": rng.standard_normal((20, 20))}),
        (ShapeError, {"designs": X, "covariates": np.ones(7)}),
        (NotFiniteError, {"designs": X, "covariates": np.full(20, np.nan)}),
        (DataError, {"designs": X, "covariates": rng.standard_normal((20, 19))}),
        (ShapeError, {"designs": X, "names": ["one"]}),
    ]
    for error, options in cases:
        with pytest.raises(error, match=r"\."):
            variance_components_many(Y, **options)
    with pytest.raises(NotFiniteError, match="row 3"):
        variance_components_many(infinite, designs=X)
    with pytest.raises(NotAvailableError, match="eigenvectors=True"):
        fit_batch(build_structure(np.ones((20, 1)), Kernels(designs=[standardise(X)])), Y)


def test_sources_are_joined_by_id_as_for_one_response() -> None:
    rng = np.random.default_rng(30)
    X, Z, Y = simulate(rng, 60, 80, 2, 3)
    ids = [f"S{number}" for number in range(60)]
    people = pd.DataFrame({"FID": ids, "IID": ids})
    order = rng.permutation(60)[:50]
    K = (X @ X.T / 80)[np.ix_(order, order)]
    kernel = related(K, people.iloc[order].reset_index(drop=True))
    age = pd.DataFrame({"age": Z[:, 1]})
    table = variance_components_many(Y, kernels={"kin": kernel}, covariates=age, sample_ids=people)
    assert (table.rows == 50).all()
    for j in range(3):
        fit = vm.variance_components(Y[:, j], kernels={"kin": kernel}, covariates=age, sample_ids=people)
        # Both certificates are below 1e-8 standard errors.
        np.testing.assert_allclose(
            table.iloc[j][["s_kernel", "s_residual"]].astype(float), fit.components["estimate"], rtol=1e-6, atol=1e-8
        )
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    in_columns = pd.concat([people, frame], axis=1)
    in_index = frame.set_index(pd.MultiIndex.from_frame(people))
    for given in (in_columns, in_index):
        again = variance_components_many(given, kernels={"kin": kernel}, covariates=age)
        assert again.index.tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(again.s_kernel, table.s_kernel)
    one = vm.variance_components(in_index["a"], kernels={"kin": kernel}, covariates=age)
    assert one.components["estimate"].iloc[0] == pytest.approx(table.s_kernel.iloc[0], rel=1e-6, abs=1e-8)


def test_a_standardised_design_is_taken_as_it_is() -> None:
    X, _, Y = simulate(np.random.default_rng(31), 40, 60, 1, 2)
    ids = pd.DataFrame({"IID": [f"S{number}" for number in range(40)]})
    design = standardise(ArraySource(X, sample_ids=ids))
    plain = variance_components_many(Y, designs={"snps": X})
    np.testing.assert_array_equal(variance_components_many(Y, designs={"snps": design}).s_kernel, plain.s_kernel)
    fit = vm.variance_components(Y[:, 0], designs={"snps": design})
    # Both certificates are below 1e-8 standard errors.
    assert fit.components["estimate"].iloc[0] == pytest.approx(plain.s_kernel.iloc[0], rel=1e-6, abs=1e-8)
    # Of fewer people its rows are taken, still in the units of all.
    some = np.arange(39, 4, -1)
    part = vm.variance_components(Y[some, 0], designs={"snps": design}, sample_ids=ids["IID"].to_numpy()[some])
    S = design.array()[some]
    same = vm.variance_components(Y[some, 0], kernels={"snps": S @ S.T})
    np.testing.assert_allclose(part.components["estimate"], same.components["estimate"], rtol=1e-6, atol=1e-8)


def test_rows_without_a_covariate_or_any_response_are_left_out() -> None:
    X, Z, Y = simulate(np.random.default_rng(32), 40, 60, 2, 2)
    Y[3] = np.nan
    Z[5, 1] = np.nan
    with pytest.raises(NotFiniteError, match="drop"):
        variance_components_many(Y, designs=X, covariates=Z[:, 1:])
    table = variance_components_many(Y, designs=X, covariates=Z[:, 1:], on_missing="drop")
    keep = np.setdiff1d(np.arange(40), [3, 5])
    assert table.equals(variance_components_many(Y[keep], designs=X[keep], covariates=Z[keep, 1:]))


def test_a_formula_decides_on_its_intercept() -> None:
    X, _, Y = simulate(np.random.default_rng(33), 30, 10, 1, 1)
    data = pd.DataFrame({"y": Y[:, 0]})
    with pytest.raises(OptionError, match="write '0 \\+' in"):
        vm.variance_components("y ~ 1", data, designs={"snps": X}, intercept=False)
    with pytest.raises(OptionError, match="not as a formula"):
        variance_components_many("y ~ 1", designs=X)


def test_a_kernel_of_any_dtype_is_the_same_kernel() -> None:
    rng = np.random.default_rng(34)
    Y = rng.standard_normal((30, 1))
    counts = rng.integers(0, 3, (30, 50))
    K = (counts @ counts.T).astype(np.int16)
    ids = [f"S{number}" for number in range(30)]
    people, order = pd.DataFrame({"FID": "0", "IID": ids}), rng.permutation(30)
    fits = []
    for dtype in (np.int16, np.float32, np.float64):
        kernel = related(K.astype(dtype), people)
        fits.append(vm.variance_components(Y[order, 0], kernels={"kin": kernel}, sample_ids=people.iloc[order]))
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.components["estimate"], fits[0].components["estimate"])


def test_one_kernel_is_copied_once() -> None:
    n = 600
    rng = np.random.default_rng(35)
    X = rng.standard_normal((n, n))
    K = (X @ X.T / n).astype(np.float32)
    people = pd.DataFrame({"FID": "0", "IID": [f"S{number}" for number in range(n)]})
    y, order = rng.standard_normal(n), rng.permutation(n)
    tracemalloc.start()
    try:
        inputs = gather(y, kernels={"kin": related(K, people)}, sample_ids=people.iloc[order])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert inputs.kernels[0].shape == (n, n)
    # In units of n^2 float64: the copy and blocks of 256 or 512 columns of 600; two copies would be above 2.
    assert peak < 1.9 * 8 * n * n


def test_several_kernels_are_copied_once() -> None:
    n = 500
    rng = np.random.default_rng(36)
    kernels = []
    for _ in range(2):
        X = rng.standard_normal((n, n))
        kernels.append(np.asfortranarray(X @ X.T / n))
    Z = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    whole = [np.array(kernel) for kernel in kernels]
    tracemalloc.start()
    try:
        structure = build_structure(Z, Kernels(matrices=kernels, matrix_names=["a", "b"]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # In units of n^2 float64: the buffers are the caller's; one more is the check of definiteness.
    assert peak < 1.5 * 8 * n * n
    theta = np.array([0.3, 0.5, 0.2])
    M = np.linalg.qr(Z, mode="complete")[0][:, 3:]
    V = M.T @ (0.3 * whole[0] + 0.5 * whole[1] + 0.2 * np.eye(n)) @ M
    factor = structure.blank.system.factor(theta * np.append(structure.kernel_units, 1.0))
    assert factor is not None
    assert factor.log_determinant == pytest.approx(np.linalg.slogdet(V)[1], rel=1e-10)  # sums of 500 logarithms
