"""Whatever cannot be used is refused with what, where and what next; nothing else raises."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import (
    AlignmentError,
    DataError,
    KernelError,
    NotFiniteError,
    NotIdentifiedError,
    OptionError,
    RepairWarning,
    ShapeError,
    VarmixError,
)

ROWS = 20
rng = np.random.default_rng(1)
Y, X, Z = rng.normal(size=ROWS), rng.normal(size=(ROWS, 8)), rng.normal(size=(ROWS, 2))
K = X @ X.T / 8
PEOPLE = pd.DataFrame({"IID": [f"s{number}" for number in range(ROWS)], "y": Y, "a": Z[:, 0]})
DESIGNS = {"x": X}


def changed(values: np.ndarray, at: Any, to: float) -> np.ndarray:
    copy = values.copy()
    copy[at] = to
    return copy


def vc(y: Any = Y, *args: Any, **options: Any) -> vm.Fit:
    if not {"designs", "kernels"} & set(options):
        options["designs"] = DESIGNS
    return vm.variance_components(y, *args, **options)


def kernel(matrix: np.ndarray) -> Callable[[], vm.Fit]:
    return lambda: vc(kernels={"kin": matrix})


def design(matrix: Any, **options: Any) -> Callable[[], vm.Fit]:
    return lambda: vc(designs={"snps": matrix}, **options)


REFUSED: dict[str, tuple[Callable[[], Any], type[VarmixError], str]] = {
    # The response
    "missing response": (lambda: vc(changed(Y, 3, np.nan)), NotFiniteError, "row 3.*on_missing"),
    "infinite response": (lambda: vc(changed(Y, 4, np.inf)), NotFiniteError, "row 4"),
    "constant response": (lambda: vc(np.full(ROWS, 2.5)), DataError, "no variance.*2.5"),
    "zero response": (lambda: vc(np.zeros(ROWS), intercept=False), DataError, "no variance"),
    "response among covariates": (lambda: vc(Z[:, 0] * 3.0, covariates=Z), DataError, "combination of the cov"),
    "response of text": (lambda: vc(np.full(ROWS, "tall")), DataError, "tall"),
    "response of three dimensions": (lambda: vc(Y[:, None, None]), ShapeError, "shape"),
    "no response": (lambda: vc(np.array([])), ShapeError, "20 rows, the response 0"),
    "two responses": (lambda: vc(np.column_stack([Y, Y])), OptionError, "variance_components_many"),
    "one row": (lambda: vc(Y[:1], designs={"x": X[:1]}), DataError, "1 rows"),
    "as many covariates as rows": (
        lambda: vc(Y[:3], designs={"x": X[:3]}, covariates=Z[:3]), DataError, "3 complete rows for 3 columns"
    ),
    # Covariates
    "missing covariate": (lambda: vc(covariates=changed(Z, (2, 1), np.nan)), NotFiniteError, "covariate.*row 2"),
    "infinite covariate": (lambda: vc(covariates=changed(Z, (2, 1), -np.inf)), NotFiniteError, "'z2'.*row 2"),
    "covariates of other rows": (lambda: vc(covariates=Z[:5]), ShapeError, "'covariates' has 5 rows, the response 20"),
    # Designs
    "no terms": (lambda: vm.variance_components(Y), OptionError, "at least one design or kernel"),
    "design of other rows": (design(X[:5]), ShapeError, "'snps' has 5 rows, the response 20"),
    "infinite genotype": (design(changed(X, (1, 2), np.inf)), NotFiniteError, "row 1, column 2"),
    "missing genotype, not imputed": (
        design(changed(X, (1, 2), np.nan), scaling="none"), NotFiniteError, "row 1.*column 2"
    ),
    "constant design": (design(np.ones((ROWS, 3))), DataError, "None of the 3 variants"),
    "empty design": (design(np.ones((ROWS, 0))), ShapeError, "empty"),
    "design of one dimension": (design(X[:, 0]), ShapeError, r"Reshape one column to \(n, 1\)"),
    "design of three dimensions": (design(X[:, :, None]), ShapeError, "two-dimensional"),
    "design of text": (design(np.full((ROWS, 2), "AA")), DataError, "AA"),
    "designs without names": (lambda: vc(designs=[X]), OptionError, "mapping"),
    "design within the covariates": (lambda: vc(designs={"snps": Z}, covariates=Z), NotIdentifiedError, "'snps'"),
    # Kernels
    "NaN in a kernel": (kernel(changed(K, (1, 2), np.nan)), NotFiniteError, r"'kin'.*\(1, 2\)"),
    "kernel not symmetric": (kernel(changed(K, (1, 2), 9.0)), KernelError, r"'kin'.*\(1, 2\).*\(K \+ K.T\) / 2"),
    "kernel with negative eigenvalues": (kernel(K - 2.0 * np.eye(ROWS)), KernelError, "kin.*negative eigenvalue"),
    "kernel negative throughout": (kernel(-np.eye(ROWS)), KernelError, "kin.*negative"),
    "second kernel indefinite": (
        lambda: vc(kernels={"good": K, "kin": K - 2.0 * np.eye(ROWS)}), KernelError, "kin.*negative eigenvalue"
    ),
    "kernel not square": (kernel(X), ShapeError, "square.*designs"),
    "kernel of other rows": (kernel(K[:5, :5]), ShapeError, "5 rows, the response 20"),
    "kernel of complex numbers": (kernel(K.astype(complex)), DataError, "complex"),
    "kernel of text": (kernel(np.full((ROWS, ROWS), "a")), DataError, "not numbers"),
    # Names
    "a name twice": (lambda: vc(designs={"k": X}, kernels={"k": K}), OptionError, "'k' names a design and a kernel"),
    "a term named residual": (lambda: vc(designs={"residual": X}), OptionError, "residual"),
    "a name that is a number": (lambda: vc(designs={1: X}), OptionError, "must be text"),
    "an empty name": (lambda: vc(designs={"": X}), OptionError, "must be text"),
    # Options
    "unknown method": (lambda: vc(method="nr"), OptionError, "'nr'.*newton, em, pxem, mm"),
    "unknown criterion": (lambda: vc(criterion="REML"), OptionError, "'reml' or 'ml'"),
    "unknown option": (lambda: vc(tol=1e-3), OptionError, "'tol'.*tolerance"),
    "unknown accelerator": (lambda: vc(method="em", accelerate="fast"), OptionError, "squarem"),
    "unknown scaling": (lambda: vc(scaling="best"), OptionError, "allele_frequency"),
    "unknown reference": (lambda: vc(reference="best"), OptionError, "used, all"),
    "unknown way with missing": (lambda: vc(on_missing="guess"), OptionError, "drop, error"),
    "no iterations": (lambda: vc(max_iterations=0), OptionError, "at least 1"),
    "negative tolerance": (lambda: vc(tolerance=-1.0), OptionError, "positive"),
    "tolerance NaN": (lambda: vc(tolerance=np.nan), OptionError, "positive"),
    "unknown start": (lambda: vc(start="best"), OptionError, "'auto', 'equal'"),
    "start of text": (lambda: vc(start=["a", "b"]), OptionError, "2 variances"),
    "start too short": (lambda: vc(start=[1.0]), OptionError, r"2 variances >= 0 \(x, residual\)"),
    "negative start": (lambda: vc(start=[-1.0, 1.0]), OptionError, "2 variances"),
    "start without residual": (lambda: vc(start=[1.0, 0.0]), OptionError, "residual positive"),
    "no starts": (lambda: vc(starts=0), OptionError, "at least 1"),
    "option of another method": (lambda: vc(method="moments", polish=True), OptionError, "'polish'.*moments"),
    # Formulas
    "data without formula": (lambda: vc(Y, Z), OptionError, "covariates="),
    "formula without data": (lambda: vc("y ~ a"), OptionError, "needs its data"),
    "formula and covariates": (lambda: vc("y ~ a", PEOPLE, covariates=Z), OptionError, "not both"),
    "variable not there": (lambda: vc("y ~ b", PEOPLE), DataError, "'b'.*IID, y, a"),
    "no formula": (lambda: vc("y ~ ~ a", PEOPLE), OptionError, "response ~ covariates"),
    "formula without response": (lambda: vc("~ a", PEOPLE), OptionError, "no response"),
    "random term in a formula": (lambda: vc("y ~ a + (1 | b)", PEOPLE), OptionError, "designs= or kernels="),
    # Ids
    "ids of other length": (lambda: vc(sample_ids=["s1"]), ShapeError, "1 sample ids for 20"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_used_is_refused(what: str) -> None:
    ask, error, pattern = REFUSED[what]
    with pytest.raises(error) as caught:
        ask()
    message = str(caught.value)
    assert re.search(pattern, message, flags=re.DOTALL), message
    # What, where and what next take more than a few words, and fewer than a page.
    assert 25 < len(message) < 500


def test_inputs_are_not_written_to() -> None:
    y, x, z, k = Y.copy(), X.copy(), Z.copy(), np.asfortranarray(K.copy())
    for array in (y, x, z, k):
        array.flags.writeable = False
    fit = vm.variance_components(y, designs={"x": x}, kernels={"k": k}, covariates=z)
    fit.effects("k", sd=True), fit.predict(), fit.simulate(1)
    np.testing.assert_array_equal(k, K)
    np.testing.assert_array_equal(x, X)


def test_collinear_covariates_are_dropped_by_name_and_counted() -> None:
    Z3 = np.column_stack([Z, Z[:, 0] - 2.0 * Z[:, 1]])
    with pytest.warns(RepairWarning, match="z3"):
        fit = vc(covariates=Z3)
    assert list(fit.coefficients.index) == ["(Intercept)", "z1", "z2"]
    assert "z3" in " ".join(fit.sample["cause"])
    np.testing.assert_allclose(fit.components["estimate"], vc(covariates=Z).components["estimate"])


def test_missing_rows_are_dropped_when_asked_and_counted() -> None:
    y, z = changed(Y, 3, np.nan), changed(Z, (7, 1), np.nan)
    fit = vc(y, covariates=z, on_missing="drop")
    keep = np.setdiff1d(np.arange(ROWS), [3, 7])
    by_hand = vc(Y[keep], designs={"x": X[keep]}, covariates=Z[keep])
    np.testing.assert_allclose(fit.components["estimate"], by_hand.components["estimate"])
    counts = fit.sample.set_index(["what", "cause"])["count"]
    assert counts["rows", "given"] == ROWS
    assert counts["rows", "used"] == ROWS - 2
    assert counts["rows", "missing response"] == counts["rows", "missing covariate"] == 1
    assert fit.augment()["row"].tolist() == keep.tolist()


def test_missing_genotypes_are_the_mean_and_constant_columns_are_dropped() -> None:
    holes = changed(X, (1, 2), np.nan)
    fit = vc(designs={"x": np.column_stack([holes, np.ones(ROWS)])})
    counts = fit.sample.set_index(["what", "cause"])["count"]
    assert counts["x", "monomorphic"] == 1
    assert counts["x", "missing calls imputed"] == 1
    assert len(fit.effects("x")) == 8


@pytest.mark.parametrize(
    "y", [list(Y), tuple(Y), Y[:, None], Y.astype(object), Y.astype(np.float32), pd.Series(Y, name="y"), PEOPLE[["y"]]],
    ids=["list", "tuple", "column", "object", "single precision", "series", "frame"],
)  # fmt: skip
def test_any_container_of_numbers_is_a_response(y: Any) -> None:
    np.testing.assert_allclose(vc(y).components["estimate"], vc(Y).components["estimate"], rtol=1e-4, atol=1e-6)


def test_whole_numbers_and_truth_values_are_numbers() -> None:
    for y in (np.arange(ROWS), Y > 0.0):
        expected = vc(y.astype(float)).components["estimate"]
        np.testing.assert_array_equal(vc(y).components["estimate"], expected)


def test_nobody_shared_is_an_alignment_error() -> None:
    frame = pd.DataFrame(X, index=[f"t{number}" for number in range(ROWS)])
    source = vm.ArraySource(frame.to_numpy(), sample_ids=pd.DataFrame({"IID": frame.index}))
    with pytest.raises(AlignmentError, match="Nobody"):
        vc(sample_ids=PEOPLE["IID"], designs={"x": source})
