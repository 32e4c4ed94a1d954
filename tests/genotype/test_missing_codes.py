"""Claims about numbers that stand for missing calls in arrays of genotypes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import DataError
from varmix.genotype import ArraySource, standardise

CALLS = np.random.default_rng(0).binomial(2, 0.4, (30, 12))
HOLES = np.random.default_rng(1).random(CALLS.shape) < 0.1


def coded(code: float, dtype: str = "float64") -> np.ndarray:
    return np.where(HOLES, code, CALLS).astype(dtype)


@pytest.mark.parametrize(
    ("code", "dtype"),
    [
        (-9, "int64"),
        (-1, "int8"),
        (-127, "int8"),
        (-128, "int8"),
        (255, "uint8"),
        (9, "uint8"),
        (99, "int16"),
        (-9, "float64"),
        (-1, "float32"),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_missing_code_among_calls_is_refused_and_can_be_named(code: int, dtype: str, order: str) -> None:
    X = np.asarray(coded(code, dtype), order=order)  # type: ignore[call-overload]
    row, column = np.argwhere(HOLES)[0]
    words = rf"0, 1, 2 and {code} \({HOLES.sum()} times; first at row {row}, column {column},.*missing={code}\)"
    with pytest.raises(DataError, match=words):
        standardise(X)
    with pytest.raises(DataError, match=words):
        ArraySource(pd.DataFrame(X))
    design = standardise(ArraySource(X, missing=code))
    expected = standardise(np.where(HOLES, np.nan, CALLS))
    np.testing.assert_array_equal(design.array(), expected.array())
    assert design.counts == expected.counts
    some = np.array([4, 1, 20, 11, 5, 6])
    np.testing.assert_array_equal(
        ArraySource(X, missing=code).read_at(some, np.array([3, 2])),
        np.where(HOLES, np.nan, CALLS)[np.ix_(some, [3, 2])],
    )


def test_missing_codes_beside_nan_and_without_one_kind_of_call_are_refused() -> None:
    X = coded(-9)
    X[0, 0] = np.nan
    with pytest.raises(DataError, match="looks like a missing code"):
        ArraySource(X)
    with pytest.raises(DataError, match="looks like a missing code"):  # inbred lines have no 1
        ArraySource(np.where(X == 1, 2, X))
    with pytest.raises(DataError, match="looks like a missing code"):
        ArraySource(np.where(coded(-1) == 1, 2, coded(-1)))


@pytest.mark.parametrize(
    "X",
    [
        CALLS,
        np.where(HOLES, np.nan, CALLS),
        CALLS - 1,  # -1, 0, 1 is a coding of its own
        np.where(CALLS == 0, -1, 1),  # contrasts
        CALLS * 128,  # an image
        np.where(CALLS == 0, 0, 255),
        np.where(HOLES, 3, CALLS),  # counts
        np.where(HOLES, -9, CALLS) + np.where(CALLS == 2, 1, 0),
        np.where(HOLES, -9, CALLS + 0.5),
        np.where(HOLES, -9, -1),
        np.where(HOLES, -2, CALLS),
        np.random.default_rng(2).poisson(9.0, CALLS.shape),
        np.random.default_rng(2).normal(size=CALLS.shape),
        np.full(CALLS.shape, np.nan),
        CALLS > 0,
        np.full(CALLS.shape, -9),
    ],
    ids=lambda X: f"{np.nanmin(X) if not np.isnan(X).all() else np.nan}..{X.dtype}",
)
def test_other_numbers_are_numbers(X: np.ndarray) -> None:
    np.testing.assert_array_equal(ArraySource(X).read(None, 0, 12), X)


def test_nan_says_that_every_number_is_meant() -> None:
    X = coded(-1, "int8")
    np.testing.assert_array_equal(ArraySource(X, missing=np.nan).read(None, 0, 12), X)


def test_fits_refuse_missing_codes_too() -> None:
    y = np.random.default_rng(3).normal(size=30)
    with pytest.raises(DataError, match=r"'snps' holds 0, 1, 2 and -9"):
        vm.variance_components(y, designs={"snps": coded(-9)})
    fit = vm.variance_components(y, designs={"snps": ArraySource(coded(-9), missing=-9, name="snps")})
    other = vm.variance_components(y, designs={"snps": np.where(HOLES, np.nan, CALLS)})
    assert fit.log_likelihood == other.log_likelihood


def test_the_search_needs_no_copy() -> None:
    X = np.random.default_rng(4).binomial(2, 0.3, (2000, 2000)).astype(np.int8)
    X[-1, -1] = -9
    tracemalloc.start()
    with pytest.raises(DataError):
        ArraySource(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * X.nbytes  # masks of a byte an entry
