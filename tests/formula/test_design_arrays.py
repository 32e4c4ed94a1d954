"""Claims about designs from arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.errors import DataError, NotFiniteError, OptionError, RepairWarning, ShapeError
from varmix.formula import design_from_arrays

RNG = np.random.default_rng(0)
Y = RNG.normal(size=30)
Z = RNG.normal(size=(30, 2))


def test_an_intercept_is_put_first() -> None:
    design = design_from_arrays(Y, Z)
    np.testing.assert_array_equal(design.Z, np.column_stack([np.ones(30), Z]))
    assert design.names == ("(Intercept)", "z1", "z2")
    assert design.intercept
    assert dict(design.sample) == {"given": 30, "missing response": 0, "missing covariate": 0, "used": 30}
    assert (design.n, design.c, design.r) == (30, 3, 1)
    alone = design_from_arrays(Y)
    assert (alone.names, alone.Z.shape) == (("(Intercept)",), (30, 1))
    without = design_from_arrays(Y, Z, intercept=False)
    assert not without.intercept
    assert without.names == ("z1", "z2")
    assert design_from_arrays(Y, intercept=False).Z.shape == (30, 0)


@pytest.mark.parametrize("as_frame", [False, True])
def test_an_intercept_already_in_the_span_is_not_added(as_frame: bool) -> None:
    groups = np.arange(30) % 3
    dummies = (groups[:, None] == np.arange(3)).astype(float) * [1.0, 1e6, 1e-6]
    given: Any = pd.DataFrame(dummies, columns=["z1", "z2", "z3"]) if as_frame else dummies
    design = design_from_arrays(Y, given)
    assert design.names == ("z1", "z2", "z3")
    assert design.intercept
    np.testing.assert_array_equal(design.encode(given), design.Z)
    constant = design_from_arrays(Y, np.column_stack([Z[:, 0], np.full(30, 4.0)]))
    assert constant.names == ("z1", "z2")


def test_collinear_columns_are_dropped_and_named() -> None:
    with pytest.warns(RepairWarning, match="age_again"):
        design = design_from_arrays(Y, np.column_stack([Z, Z[:, 0] * 1e9]), names=["age", "size", "age_again"])
    assert design.names == ("(Intercept)", "age", "size")
    assert design.dropped_columns == ("age_again",)
    new = RNG.normal(size=(4, 3))
    np.testing.assert_array_equal(design.encode(new), np.column_stack([np.ones(4), new[:, :2]]))


def test_missing_entries_are_an_error_unless_rows_may_be_dropped() -> None:
    y, z = Y.copy(), Z.copy()
    y[[3, 8]] = np.nan
    z[[8, 9], 1] = np.nan
    with pytest.raises(NotFiniteError, match=r"3 of 30 rows have a missing response \(first: row 3.*27 complete"):
        design_from_arrays(y, z)
    design = design_from_arrays(y, z, on_missing="drop")
    assert dict(design.sample) == {"given": 30, "missing response": 2, "missing covariate": 1, "used": 27}
    expected = np.setdiff1d(np.arange(30), [3, 8, 9])
    np.testing.assert_array_equal(design.rows, expected)
    np.testing.assert_array_equal(design.y, y[expected])
    some = design_from_arrays(
        y, z, on_missing="drop", rows=[20, 9, 1, 0, 5, 6, 7, 11], sample_ids=[f"i{k}" for k in range(30)]
    )
    np.testing.assert_array_equal(some.rows, [20, 1, 0, 5, 6, 7, 11])
    assert some.sample_ids is not None
    assert some.sample_ids["IID"].tolist() == ["i20", "i1", "i0", "i5", "i6", "i7", "i11"]


def test_several_responses_keep_rows_with_any_of_them() -> None:
    y = np.column_stack([Y, Y[::-1]])
    y[2, 0] = np.nan
    y[4] = np.nan
    design = design_from_arrays(y, Z, on_missing="drop")
    assert design.response_names == ("y1", "y2")
    assert (design.n, design.r, design.sample["missing response"]) == (29, 2, 1)
    assert np.isnan(design.y).sum() == 1
    with pytest.raises(NotFiniteError):
        design_from_arrays(y, Z)


def test_names_come_with_series_and_frames() -> None:
    covariates = pd.DataFrame({"age": Z[:, 0], "sex": ["F", "M"] * 15, "body mass": Z[:, 1]})
    design = design_from_arrays(pd.Series(Y, name="height"), covariates)
    assert design.response_names == ("height",)
    assert design.names == ("(Intercept)", "age", "sexM", "body mass")
    np.testing.assert_array_equal(design.Z[:, 2], [0.0, 1.0] * 15)
    polars = pytest.importorskip("polars")
    from_polars = design_from_arrays(polars.Series("height", Y), polars.DataFrame(covariates.to_dict("list")))
    assert from_polars.names == design.names
    np.testing.assert_array_equal(from_polars.Z, design.Z)
    assert design_from_arrays(pd.DataFrame({"a": Y, "b": -Y})).response_names == ("a", "b")
    unnamed = design_from_arrays(Y, pd.DataFrame(Z))
    assert unnamed.names == ("(Intercept)", "0", "1")
    np.testing.assert_array_equal(unnamed.encode(pd.DataFrame(Z)), unnamed.Z)
    np.testing.assert_array_equal(design.encode(covariates), design.Z)


@pytest.mark.parametrize("size", [1e-100, 1.0, 1e100])
def test_extreme_units_are_not_constant(size: float) -> None:
    design = design_from_arrays(Y * size, Z * size)
    assert design.c == 3
    shifted = design_from_arrays((1e8 + Y) * size)
    assert shifted.n == 30


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-100, 1e100])
def test_a_constant_response_has_no_variance(value: float) -> None:
    with pytest.raises(DataError, match="no variance"):
        design_from_arrays(np.full(10, value))


def test_bad_arrays_are_refused_with_a_reason() -> None:
    infinite = Z.copy()
    infinite[4, 1] = -np.inf
    cases: list[tuple[type[Exception], str, Any, Any]] = [
        (ShapeError, "29 covariate rows and 30 responses", Y, Z[:29]),
        (ShapeError, "29 covariate rows", Y, pd.DataFrame(Z[:29])),
        (NotFiniteError, "'z2' is infinite in row 4", Y, infinite),
        (NotFiniteError, "'b' is infinite in row 4", Y, pd.DataFrame(infinite, columns=["a", "b"])),
        (NotFiniteError, "infinite in row 0", np.where(np.arange(30) == 0, np.inf, Y), Z),
        (DataError, "3 complete rows for 3 columns", Y[:3], Z[:3]),
        (DataError, "same name", Y, pd.DataFrame(Z, columns=["a", "a"])),
        (DataError, "holds text, not numbers", ["a", "b"], None),
        (DataError, "not numeric", pd.DataFrame({"a": ["x", "y"]}), None),
        (ShapeError, "response has shape", np.zeros((2, 2, 2)), None),
        (ShapeError, "response has shape", np.zeros(0), None),
        (ShapeError, "covariates have shape", Y, np.zeros((30, 1, 1))),
    ]
    for error, reason, y, z in cases:
        with pytest.raises(error, match=reason):
            design_from_arrays(y, z)
    with pytest.raises(ShapeError, match="1 names"):
        design_from_arrays(Y, Z, names=["a"])
    with pytest.raises(ShapeError, match="sample ids"):
        design_from_arrays(Y, Z, sample_ids=["a"])
    with pytest.raises(OptionError, match="on_missing"):
        design_from_arrays(Y, Z, on_missing="impute")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="No complete row"):
        design_from_arrays(np.full(5, np.nan), on_missing="drop")
    with pytest.raises(DataError, match="'y2' is missing in every row"):
        design_from_arrays(np.column_stack([Y, np.full(30, np.nan)]), on_missing="drop")
    design = design_from_arrays(Y, Z)
    with pytest.raises(ShapeError, match="2 columns"):
        design.encode(np.ones((3, 5)))
    with pytest.raises(NotFiniteError, match="New covariates"):
        design.encode(np.full((3, 2), np.nan))
    assert design_from_arrays(Y).encode(None, 4).shape == (4, 1)


@pytest.mark.parametrize("offset", [1e7, 1e12])
def test_a_covariate_with_a_large_offset_is_kept_and_needs_an_intercept(offset: float) -> None:
    x = Z[:, :1] + offset
    for covariates in (x, pd.DataFrame({"x": x[:, 0]})):
        design = design_from_arrays(Y, covariates)
        assert design.names[0] == "(Intercept)"
        np.testing.assert_array_equal(design.Z[:, 1:], x)
    with pytest.warns(RepairWarning, match="dropped: b"):
        design = design_from_arrays(Y, pd.DataFrame({"x": x[:, 0], "a constant": 0.1, "b": 2.0 * x[:, 0]}))
    assert design.names == ("x", "a constant")
