"""Whatever a mixture of random effects cannot use is refused with what, where and what next; the rest is fitted."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import (
    DataError,
    MissingFileError,
    NotFiniteError,
    NotIdentifiedError,
    OptionError,
    RepairWarning,
    ShapeError,
    VarmixError,
)

ROWS = 60
rng = np.random.default_rng(1)
X = rng.normal(size=ROWS)
Y = rng.normal(size=ROWS) * np.where(rng.random(ROWS) < 0.5, 1.5, 0.1) * X + 0.3 * rng.normal(size=ROWS)
ONES, SIGNS, PAIRS = np.ones(ROWS), 2.0 * np.sign(X), np.arange(ROWS) // 2
TABLE = pd.DataFrame({"y": Y, "x": X, "s": 0.3, "pair": PAIRS, "w": 1.0 + PAIRS % 2, "name": "a"})
START = ([0.1, 1.0], 0.5, [0.5, 0.5])


def changed(values: np.ndarray, at: Any, to: Any) -> np.ndarray:
    copy = values.copy()
    copy[at] = to
    return copy


def mix(y: Any = Y, x: Any = X, *args: Any, **options: Any) -> vm.Fit:
    return vm.random_effect_mixture(y, x, *args, **{"starts": 2, "rng": 1, **options})


def framed(data: Any = TABLE, y: Any = "y", x: Any = "x", **options: Any) -> vm.Fit:
    return mix(y, x, data=data, **options)


def call(*args: Any, **options: Any) -> Callable[[], vm.Fit]:
    return lambda: mix(*args, **options)


def frame(*args: Any, **options: Any) -> Callable[[], vm.Fit]:
    return lambda: framed(*args, **options)


REFUSED: dict[str, tuple[Callable[[], Any], type[VarmixError], str]] = {
    # What the design does not identify
    "x all zero": (call(Y, 0.0 * X), NotIdentifiedError, "x is 0 in every row.*only the residual variance"),
    "|x| constant": (call(Y, SIGNS), NotIdentifiedError, r"\(2\).*residual variance s and the variances v_k are not"),
    "|x| / se constant, inflation estimated": (
        call(Y, SIGNS, se=0.5 * ONES, residual="estimated"), NotIdentifiedError, r"\(4\).*known standard errors"
    ),
    "|x| constant among weighted rows": (
        call(Y, changed(SIGNS, 0, 5.0), weights=changed(ONES, 0, 0.0)), NotIdentifiedError, "same in every row"
    ),
    "y all zero": (call(0.0 * Y), DataError, "Every response y is 0.*no bound"),
    "y all zero, known errors": (call(0.0 * Y, se=ONES), DataError, "Every response y is 0: all variances are est"),
    "more classes than rows": (call(classes=ROWS + 1), DataError, "61 classes need.*there are 60"),
    "more classes than groups": (call(Y, X, PAIRS // 15, classes=3), DataError, "3 classes need.*there are 2"),
    "more classes than rows with x": (
        call(Y, np.where(np.arange(ROWS) < 2, X, 0.0), classes=3), DataError, "there are 2 .*Ask for fewer classes"
    ),
    # Missing and infinite
    "missing y": (call(changed(Y, [3, 9], np.nan)), NotFiniteError, "2 of 60 rows.*y missing in 2; first: row 3.*drop"),
    "missing x": (call(Y, changed(X, 4, np.nan)), NotFiniteError, "x missing in 1; first: row 4"),
    "missing se": (call(se=changed(ONES, 5, np.nan)), NotFiniteError, "se missing in 1; first: row 5"),
    "missing group": (call(Y, X, changed(1.0 * PAIRS, 6, np.nan)), NotFiniteError, "group missing in 1; first: row 6"),
    "missing label": (call(Y, X, ["a", None] * 30), NotFiniteError, "group missing in 30; first: row 1"),
    "infinite y": (call(changed(Y, 7, np.inf)), NotFiniteError, "y is infinite in row 7.*1 such"),
    "infinite y, to be dropped": (call(changed(Y, 7, np.inf), on_missing="drop"), NotFiniteError, "row 7"),
    "infinite x": (call(Y, changed(X, 8, -np.inf)), NotFiniteError, "x is infinite in row 8"),
    "infinite se": (call(se=changed(ONES, 9, np.inf)), NotFiniteError, "se is infinite in row 9"),
    "infinite weight": (call(weights=changed(ONES, 2, np.inf)), NotFiniteError, "weights is infinite in row 2"),
    "infinite column": (frame(TABLE.assign(y=changed(Y, 3, np.inf))), NotFiniteError, "'y' is infinite in row 3"),
    "missing in a frame, not to be dropped": (
        frame(TABLE.assign(y=changed(Y, 3, np.nan)), on_missing="error"), NotFiniteError, "first: row 3"
    ),
    "no complete row": (frame(TABLE.assign(x=np.nan)), DataError, "No row is complete.*x missing in 60"),
    "masked y": (call(np.ma.masked_array(Y, np.arange(ROWS) == 4)), NotFiniteError, "y missing in 1; first: row 4"),
    "object with None": (call(changed(Y.astype(object), 2, None)), NotFiniteError, "first: row 2"),
    # Standard errors and weights
    "se of 0": (call(se=changed(ONES, 5, 0.0)), DataError, "se must be positive: it is 0 in row 5"),
    "negative se": (call(se=changed(ONES, 5, -1.0)), DataError, "se must be positive: it is -1 in row 5"),
    "se a number": (call(se=0.3), ShapeError, r"se is one number.*np\.full"),
    "negative weight": (call(weights=changed(ONES, 5, -1.0)), DataError, "weights must not be negative: -1 in row 5"),
    "weights all 0": (call(weights=0.0 * ONES), DataError, "All weights are 0.*at least one positive"),
    "weights beyond range": (call(weights=1e-300 * ONES), DataError, "1e-300.*Rescale"),
    "weights that differ within a group": (
        call(Y, X, PAIRS, weights=changed(ONES, 9, 2.0)), DataError, r"within group '4' \(1 such groups\).*same weight"
    ),
    # Sizes
    "y of 1e200": (call(1e200 * Y), DataError, "of size 1e200.*range of numbers.*Rescale"),
    "y of 1e-200": (call(1e-200 * Y), DataError, "of size 1e-200.*Rescale"),
    "x of 1e200": (call(Y, 1e200 * X), DataError, "Effects y / x of size 1e-200.*Rescale"),
    "x of 1e-200": (call(Y, 1e-200 * X), DataError, "of size 1e200.*Rescale"),
    "both of 1e200, s estimated": (call(1e200 * Y, 1e200 * X), DataError, "Responses of size 1e200.*Rescale"),
    "y of 1e200 and 1": (call(changed(Y, 3, 1e200)), DataError, r"y ranges from.*1e\+200.*row 3"),
    "x of 1e200 and 1": (call(Y, changed(X, 3, 1e200)), DataError, "Rescale"),
    "se of 1e-200 and 1": (call(se=changed(ONES, 3, 1e-200)), DataError, "y / se ranges.*row 3"),
    "se that overflows": (call(se=changed(ONES, 3, 1e-320)), DataError, "y / se overflows in row 3"),
    "residual of 1e200": (call(residual=1e200), DataError, r"1e\+200.*units"),
    # Shapes
    "shorter y": (call(Y[1:]), ShapeError, "y 59, x 60"),
    "shorter group": (call(Y, X, PAIRS[1:]), ShapeError, "group 59"),
    "one weight per group": (call(Y, X, PAIRS, weights=ONES[:30]), ShapeError, "weights 30"),
    "two columns": (call(np.ones((ROWS, 2))), ShapeError, r"y has shape \(60, 2\)"),
    "two columns of groups": (call(Y, X, np.ones((ROWS, 2))), ShapeError, r"group has shape \(60, 2\)"),
    "numbers": (call(1.0, 2.0), ShapeError, r"y has shape \(\)"),
    "empty": (call([], []), ShapeError, r"y has shape \(0,\)"),
    "empty frame": (frame(TABLE.iloc[:0]), ShapeError, r"y has shape \(0,\)"),
    "nothing": (call(None), OptionError, "Give y and x"),
    # Types
    "text": (call(["tall"] * ROWS), DataError, "y holds text.*tall"),
    "text among numbers": (call(changed(Y.astype(object), 2, "tall")), DataError, "y holds text.*tall"),
    "complex": (call(Y + 1j), DataError, r"y holds complex.*\.real"),
    "dates": (call(Y, pd.date_range("2020", periods=ROWS)), DataError, "x holds dates"),
    "labels that are lists": (call(Y, X, [[1]] * ROWS), DataError, "group holds.*list"),
    "text column": (frame(x="name"), DataError, r"'name' \(x\) is not numeric"),
    "numbers written as text": (frame(TABLE.assign(x=TABLE["x"].astype(str))), DataError, "'x'.*not numeric"),
    "complex column": (frame(TABLE.assign(y=Y + 1j)), DataError, "'y' holds complex"),
    "missing column": (frame(x="z"), OptionError, "x='z' is no column.*y, x, s, pair, w, name"),
    "missing column of weights": (frame(weights="v"), OptionError, "weights='v' is no column"),
    "two columns of one name": (frame(pd.concat([TABLE, TABLE[["x"]]], axis=1)), DataError, "two columns of the same"),
    "names without data": (call("y", "x"), OptionError, "y='y' names a column.*data="),
    "data without names": (call(data=TABLE), OptionError, "give at least y= and x= as names"),
    "data of another kind": (frame(5), DataError, "data frame.*not int"),
    "data of columns of different lengths": (frame({"y": Y, "x": X[1:]}), ShapeError, "do not make a table"),
    "a file that is not there": (frame("none.csv"), MissingFileError, "none.csv"),
    # Options
    "unknown method": (call(method="bfgs"), OptionError, "method='bfgs' is not known.*npmle"),
    "no method": (call(method=None), OptionError, "method=None is not known"),
    "unknown option": (call(polsh=True), OptionError, "'polsh' is not an option.*polish"),
    "option of npmle elsewhere": (call(points=30), OptionError, "'points' is not an option of method='auto'"),
    "points of npmle as text": (call(method="npmle", points="many"), OptionError, "points='many' must be a whole"),
    "points of npmle missing": (call(method="npmle", points=np.nan), OptionError, "points=nan must be a whole"),
    "tolerance of npmle as text": (call(method="npmle", tolerance="tight"), OptionError, "tolerance='tight' must be"),
    "option that npmle lacks": (call(method="npmle", polish=True), OptionError, "'polish' is not an option.*points"),
    "unknown acceleration": (call(method="em", accelerate="aitken"), OptionError, "'aitken' is not known.*squarem"),
    "acceleration of Newton": (call(method="newton", accelerate="squarem"), OptionError, "accelerate is for em"),
    "acceleration of another type": (call(method="em", accelerate=["squarem"]), OptionError, "accelerate=.*'anderson'"),
    "no steps": (call(max_iterations=0), OptionError, "max_iterations=0 must be a whole"),
    "steps in text": (call(max_iterations="many"), OptionError, "max_iterations='many' must be a whole"),
    "negative tolerance": (call(tolerance=-1.0), OptionError, "tolerance=-1.0 must be positive"),
    "tolerance nan": (call(tolerance=np.nan), OptionError, "tolerance=nan must be positive"),
    "polish in text": (call(polish="no"), OptionError, "polish='no' must be True or False"),
    "no starts": (call(starts=0), OptionError, "starts=0 must be a whole number of at least 1"),
    "empty starts": (call(starts=[]), OptionError, r"starts must be a number, or a list of \(variances"),
    "half a start": (call(starts=1.5), OptionError, "starts must be a number, or a list"),
    "starts in text": (call(starts="many"), OptionError, "starts must be a number, or a list"),
    "start of three variances": (
        call(starts=[([0.1, 1.0, 2.0], 0.5, [0.5, 0.5])]), OptionError, "Start 0 must have 2 variances"
    ),
    "start of three shares": (call(starts=[START, ([0.1, 1.0], 0.5, [0.5])]), OptionError, "Start 1 must .* 2 shares"),
    "start of three numbers": (call(starts=[0.1, 1.0, 0.5]), OptionError, r"Start 0 is not \(variances, residual"),
    "negative start": (call(starts=[([-0.1, 1.0], 0.5, [0.5, 0.5])]), OptionError, "Start 0 must have .* >= 0"),
    "start without a residual": (call(starts=[([0.1, 1.0], 0.0, [0.5, 0.5])]), OptionError, "residual variance > 0"),
    "start with nan": (call(starts=[([0.1, np.nan], 0.5, [0.5, 0.5])]), OptionError, "Start 0 must have"),
    "negative residual": (call(residual=-1), OptionError, "residual=-1 must be a positive variance"),
    "residual of 0": (call(residual=0.0), OptionError, "residual=0.0 must be a positive variance"),
    "residual in words": (call(residual="known"), OptionError, "residual='known' is not known.*'estimated'"),
    "residual per row": (call(residual=ONES), OptionError, "residual is a ndarray.*'estimated'"),
    "no classes": (call(classes=0), OptionError, "classes=0 must be a whole number"),
    "classes 2.0": (call(classes=2.0), OptionError, "classes=2.0 must be a whole number"),
    "null in words": (call(null="yes"), OptionError, "null='yes' must be True"),
    "no workers": (call(workers=0), OptionError, "workers=0 must be a whole number"),
    "workers in words": (call(workers="two"), OptionError, "workers='two' must be a whole number"),
    "seed in words": (call(rng="one"), OptionError, "rng='one' is no generator and no seed"),
    "negative seed": (call(rng=-1), OptionError, "rng=-1 is no generator and no seed"),
    "unknown on_missing": (call(on_missing="ignore"), OptionError, "on_missing='ignore' is not known.*'drop'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused(case):
    attempt, kind, told = REFUSED[case]
    with pytest.raises(kind) as caught:
        attempt()
    assert type(caught.value) is kind
    assert re.search(told, str(caught.value)), str(caught.value)


@pytest.fixture(scope="module")
def plain() -> vm.Fit:
    return mix()


def same(fit: vm.Fit, other: vm.Fit) -> None:
    """Equal up to rounding of sums in another order."""
    assert fit.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(fit.report.outward, other.report.outward, rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (SIGNS, {"se": 0.3 * ONES}),
        (SIGNS, {"null": True}),
        (SIGNS, {"residual": 0.1}),
        (SIGNS, {"group": PAIRS}),
        (changed(ONES, slice(0, 5), 0.0), {}),  # rows with x = 0 see the residual alone
    ],
)
def test_constant_x_is_fine_where_something_else_identifies_the_residual(x, options):
    assert mix(Y, x, **options).status.arrived


def test_groups_of_one_row_are_no_groups(plain):
    same(mix(Y, X, np.arange(ROWS)), plain)
    same(mix(Y, X, [f"g{number}" for number in range(ROWS)]), plain)


def test_a_group_of_one_row_stands_beside_others():
    group = changed(PAIRS, 0, 99)
    fit = mix(Y, X, group)
    assert fit.status.arrived
    assert fit.classes["group"][:2].tolist() == [99, 0]
    assert len(fit.classes) == ROWS // 2 + 1


@pytest.mark.parametrize("size", [1e-200, 1e-140, 1e140, 1e200])
def test_sizes_do_not_matter_where_the_variances_are_numbers(size):
    """With known errors effects are ratios: whatever unit both columns have, the digits are the same."""
    fit, scaled = mix(se=0.3 * ONES), mix(size * Y, size * X, se=size * 0.3 * ONES)
    np.testing.assert_allclose(scaled.report.outward, fit.report.outward, rtol=1e-9)
    jacobian = -ROWS * np.log(size)  # the density of y per unit of y
    assert scaled.log_likelihood == pytest.approx(fit.log_likelihood + jacobian, abs=1e-6)


@pytest.mark.parametrize(("of_y", "of_x"), [(1e140, 1.0), (1e-140, 1.0), (1e140, 1e140), (1e-60, 1e60)])
def test_every_number_scales_with_the_units(plain, of_y, of_x):
    scaled = mix(of_y * Y, of_x * X)
    units = np.array([(of_y / of_x) ** 2, (of_y / of_x) ** 2, of_y**2])
    for column in ("estimate", "se", "lower", "upper"):
        # Ends of intervals are found to about 1e-9 of a standard error.
        np.testing.assert_allclose(scaled.components[column] / units, plain.components[column], rtol=1e-6)
        np.testing.assert_allclose(scaled.shares[column], plain.shares[column], rtol=1e-6)


def test_an_x_of_1e_200_beside_others_counts_as_0():
    same(mix(Y, changed(X, 0, 1e-200)), mix(Y, changed(X, 0, 0.0)))


@pytest.mark.parametrize(
    "convert",
    [
        lambda values: values.astype(object),
        lambda values: values.tolist(),
        lambda values: values[:, None],
        lambda values: pd.Series(values, index=np.arange(ROWS)[::-1] + 7),
        lambda values: np.ma.masked_array(values, np.zeros(ROWS, dtype=bool)),
        lambda values: values.astype(np.longdouble),
        lambda values: np.asfortranarray(np.repeat(values, 2))[::2],
    ],
    ids=["object", "list", "column", "series", "masked", "longdouble", "strided"],
)
def test_kinds_of_arrays_do_not_matter(convert, plain):
    same(mix(convert(Y), convert(X)), plain)


def test_integers_and_truth_values_are_numbers():
    counts, truth = np.round(10.0 * Y).astype(np.int16), X > 0.0
    same(mix(counts, truth), mix(counts.astype(float), truth.astype(float)))


def test_frames_give_the_fit_of_their_columns(plain):
    same(framed(), plain)
    same(framed({"y": Y, "x": X}), plain)
    same(framed(TABLE.astype({"y": "Float64"})), plain)
    same(mix("y", X, data=TABLE), plain)


def test_the_index_of_a_frame_does_not_matter():
    shuffled = TABLE.set_index(pd.Index(np.arange(ROWS)[::-1] + 7))
    fit = framed(shuffled, group="pair", weights="w")
    same(fit, mix(Y, X, PAIRS, weights=1.0 + PAIRS % 2))
    assert fit.classes["group"].tolist() == list(range(ROWS // 2))


def test_polars_frames_and_series_are_read(plain):
    polars = pytest.importorskip("polars")
    same(framed(polars.DataFrame({"y": Y, "x": X})), plain)
    same(mix(polars.Series(Y), polars.Series(X)), plain)
    with pytest.warns(RepairWarning, match="1 of 60 rows"):
        framed(polars.DataFrame({"y": [None, *Y[1:]], "x": X}))


def test_incomplete_rows_of_frames_are_dropped_counted_and_told():
    data = TABLE.assign(y=changed(Y, [3, 5], np.nan), x=changed(X, 5, np.nan))
    with pytest.warns(RepairWarning, match=r"2 of 60 rows were dropped \(y missing in 2, x missing in 1\)"):
        fit = framed(data)
    keep = np.delete(np.arange(ROWS), [3, 5])
    same(fit, mix(Y[keep], X[keep]))
    assert fit.sample.set_index("cause")["count"].to_dict() == {"used": 58, "dropped, incomplete": 2}
    assert fit.classes["row"].tolist() == keep.tolist()


def test_incomplete_rows_of_arrays_are_dropped_on_request():
    masked = np.ma.masked_array(Y, np.arange(ROWS) == 4)
    with pytest.warns(RepairWarning, match="1 of 60 rows"):
        fit = mix(masked, X, on_missing="drop")
    same(fit, mix(np.delete(Y, 4), np.delete(X, 4)))


def test_a_group_that_loses_all_its_rows_is_gone():
    with pytest.warns(RepairWarning):
        fit = mix(changed(Y, [0, 1], np.nan), X, PAIRS, on_missing="drop")
    assert fit.classes["group"].tolist() == list(range(1, ROWS // 2))


def test_rows_of_weight_0_do_not_count():
    same(mix(weights=changed(ONES, [0, 7], 0.0)), mix(np.delete(Y, [0, 7]), np.delete(X, [0, 7])))


def test_nothing_is_warned_of_where_nothing_is_wrong(plain):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(framed(se="s", residual="estimated"), mix(se=0.3 * ONES, residual="estimated"))
        same(mix(starts=[START]), plain)
        same(mix(starts=[{"variances": START[0], "residual": START[1], "shares": START[2]}]), plain)


@pytest.mark.parametrize(
    "start", [([0.0, 1e200], 1.0, [0.5, 0.5]), ([1e-30, 1e-20], 1e-30, [0.5, 0.5]), ([0.1, 1.0], 1e14, [0.5, 0.5])]
)
def test_starts_far_from_the_data_are_refused(start: tuple[list[float], float, list[float]]) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 60))
    with pytest.raises(OptionError, match="Start 0 is far from anything the data can say"):
        vm.random_effect_mixture(y, x, starts=[start])


@pytest.mark.parametrize("tolerance", [0.0, -1.0, np.inf, np.nan])
def test_a_tolerance_that_says_nothing_is_refused(tolerance: float) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 60))
    with pytest.raises(OptionError, match="tolerance="):
        vm.random_effect_mixture(y, x, tolerance=tolerance)


def test_tables_of_confounded_fits_do_not_warn_twice() -> None:
    """More classes than the data can tell apart: the status says so once, and reading the tables adds nothing."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal(200)
    y = 0.7 * rng.standard_normal(200) * x + 0.5 * rng.standard_normal(200)
    fit = vm.random_effect_mixture(y, x, classes=4, rng=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(fit.shares) == 4
        assert len(fit.components) == 5
