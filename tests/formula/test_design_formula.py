"""Claims about designs from text and tables."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.errors import DataError, NotFiniteError, OptionError, ShapeError
from varmix.formula import design_from_formula

polars = pytest.importorskip("polars")
N = 40


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "height": rng.normal(size=N),
            "weight": rng.normal(size=N),
            "age": rng.uniform(20, 60, N),
            "sex": rng.choice(["M", "F"], N),
            "cage": rng.choice(["c2", "c10", "c1"], N),
            "body mass": rng.normal(size=N),
            "x.y": rng.normal(size=N),
            "ill": rng.random(N) < 0.5,
        }
    )


def as_polars(table: pd.DataFrame) -> Any:
    return polars.DataFrame(
        {name: table[name].astype(object).where(table[name].notna(), None).tolist() for name in table}
    )


def test_factors_are_coded_and_named_as_in_r(table: pd.DataFrame) -> None:
    design = design_from_formula("height ~ age * sex + cage", table)
    # R sorts levels as text: c1 (reference), c10, c2.
    assert design.names == ("(Intercept)", "age", "sexM", "cagec10", "cagec2", "age:sexM")
    male = (table["sex"] == "M").to_numpy(float)
    np.testing.assert_array_equal(design.Z[:, 2], male)
    np.testing.assert_array_equal(design.Z[:, 5], male * table["age"])
    np.testing.assert_array_equal(design.y, table["height"])
    assert design_from_formula("height ~ 0 + sex", table).names == ("sexF", "sexM")
    assert design_from_formula("height ~ 0 + sex", table).intercept
    assert not design_from_formula("height ~ age - 1", table).intercept


def test_the_order_of_a_categorical_is_kept(table: pd.DataFrame) -> None:
    table["cage"] = pd.Categorical(table["cage"], categories=["c10", "unused", "c2", "c1"])
    assert design_from_formula("height ~ cage", table).names == ("(Intercept)", "cagec2", "cagec1")


def test_polars_and_mappings_give_the_design_of_pandas(table: pd.DataFrame) -> None:
    table.loc[3, "height"] = np.nan
    table.loc[5, "sex"] = None
    text = "height ~ log(age) + sex + ill"
    expected = design_from_formula(text, table)
    for data in (as_polars(table), {name: table[name] for name in table}):
        design = design_from_formula(text, data)
        assert design.names == expected.names
        np.testing.assert_array_equal(design.Z, expected.Z)
        np.testing.assert_array_equal(design.rows, expected.rows)


def test_rows_with_missing_entries_are_dropped_and_counted_by_cause(table: pd.DataFrame) -> None:
    table.loc[[3, 4], "height"] = np.nan
    table.loc[[4, 5], "sex"] = None
    table.loc[6, "weight"] = np.nan  # not in the formula
    design = design_from_formula("height ~ sex + poly(age, 2)", table)
    assert dict(design.sample) == {"given": N, "missing response": 2, "missing covariate": 1, "used": N - 3}
    np.testing.assert_array_equal(design.rows, np.setdiff1d(np.arange(N), [3, 4, 5]))
    with pytest.raises(NotFiniteError, match="3 of 40 rows"):
        design_from_formula("height ~ sex", table, on_missing="error")
    restricted = design_from_formula("height ~ age", table, rows=np.arange(3, 20))
    assert dict(restricted.sample) == {"given": 17, "missing response": 2, "missing covariate": 0, "used": 15}
    assert restricted.rows[0] == 5


def test_arguments_of_transformations_count_as_variables(table: pd.DataFrame) -> None:
    table.loc[7, "age"] = np.nan
    for term in ("poly(age, 2)", "scale(age)", "center(age)", "bs(age, df=4)", "I(age**2)", "np.log(age)", "{age + 1}"):
        assert design_from_formula(f"height ~ {term}", table).sample["missing covariate"] == 1


def test_names_with_blanks_and_dots_are_columns(table: pd.DataFrame) -> None:
    design = design_from_formula("height ~ `body mass` + x.y + log(`age`)", table)
    np.testing.assert_array_equal(design.Z[:, 1:3], table[["body mass", "x.y"]])


def test_a_dot_stands_for_all_other_columns_but_the_ids(table: pd.DataFrame) -> None:
    table["FID"] = "f"
    table["IID"] = [f"i{k}" for k in range(N)]
    design = design_from_formula("height ~ .", table)
    assert set(design.names) == {
        "(Intercept)", "weight", "age", "sexM", "cagec10", "cagec2", "body mass", "x.y", "ill",
    }  # fmt: skip
    assert design.sample_ids is not None
    assert design.sample_ids["IID"].tolist() == table["IID"].tolist()


def test_several_responses_are_added_on_the_left(table: pd.DataFrame) -> None:
    table.loc[3, ["height", "weight"]] = np.nan
    table.loc[4, "weight"] = np.nan
    design = design_from_formula("height + weight ~ age", table)
    assert design.response_names == ("height", "weight")
    assert design.y.shape == (N - 1, 2)
    assert design.sample["missing response"] == 1
    assert np.isnan(design.y).sum() == 1


def test_new_rows_are_coded_with_the_levels_and_transformations_of_the_fit(table: pd.DataFrame) -> None:
    design = design_from_formula("height ~ scale(age) + sex + cage", table)
    some = table.iloc[[4, 0]].drop(columns="height")
    np.testing.assert_array_equal(design.encode(some), design.Z[[4, 0]])
    np.testing.assert_array_equal(design.encode(as_polars(some)), design.Z[[4, 0]])
    again = pickle.loads(pickle.dumps(design))
    np.testing.assert_array_equal(again.encode(some), design.Z[[4, 0]])
    with pytest.raises(DataError, match="'c99'"):
        design.encode(some.assign(cage="c99"))
    with pytest.raises(DataError, match="'age' is not a column"):
        design.encode(some.drop(columns="age"))
    with pytest.raises(DataError, match="'sex' is missing in row 1"):
        design.encode(some.assign(sex=["M", None]))
    constant = design_from_formula("height ~ 1", table)
    np.testing.assert_array_equal(constant.encode(some), np.ones((2, 1)))
    assert constant.encode(None, 3).shape == (3, 1)


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        ("height ~ agee", DataError, "'agee' is not a column of the data. Did you mean 'age'.*height, weight"),
        ("height ~ wizard(age)", DataError, "'wizard' is not a function"),
        ("height ~ log(agee)", DataError, "'agee' is not a column"),
        ("hight ~ age", DataError, "Did you mean 'height'"),
        ("sex ~ age", DataError, "Response 'sex' is not numeric"),
        ("height ~ log(weight)", NotFiniteError, "column 'log\\(weight\\)'"),
        ("log(weight) ~ age", NotFiniteError, "becomes nan in row"),
        ("height age", OptionError, "not of the form"),
        ("height ~ age ~ sex", OptionError, "not of the form"),
        ("~ age", OptionError, "no response"),
        ("height ~ age +* sex", OptionError, "cannot be read"),
        ("height ~ age + (1 | sex)", OptionError, "random-effect"),
        ("height ~ `no such`", DataError, "'no such'"),
    ],
)
def test_bad_formulas_are_refused_with_a_reason(
    table: pd.DataFrame, text: str, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        design_from_formula(text, table)


def test_bad_tables_are_refused_with_a_reason(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="data frame"):
        design_from_formula("y ~ x", np.ones((3, 2)))
    with pytest.raises(ShapeError, match="same length"):
        design_from_formula("y ~ x", {"y": [1.0, 2.0], "x": [1.0]})
    table.loc[8, "age"] = np.inf
    with pytest.raises(NotFiniteError, match="'age' is infinite in row 8"):
        design_from_formula("height ~ age", table)
    table["id"] = [f"p{k}" for k in range(N)]
    with pytest.raises(DataError, match="column of ids"):
        design_from_formula("height ~ id", table)
    table["when"] = pd.Timestamp("2020-01-01")
    with pytest.raises(DataError, match="'when'"):
        design_from_formula("height ~ when", table)
    with pytest.raises(DataError, match="no variance"):
        design_from_formula("height ~ age", table.assign(height=2.0, age=np.arange(N)))


@pytest.mark.parametrize("size", [1e-100, 1e100])
def test_extreme_units_pass_through(table: pd.DataFrame, size: float) -> None:
    design = design_from_formula("height ~ age", table.assign(height=table["height"] * size))
    np.testing.assert_array_equal(design.y, table["height"] * size)


def test_nullable_columns_are_numbers_with_missing_entries(table: pd.DataFrame) -> None:
    table["age"] = pd.array([None, *range(1, N)], dtype="Int64")
    table["ill"] = pd.array([True, None, *([False, True] * (N // 2 - 1))], dtype="boolean")
    design = design_from_formula("height ~ age + ill", table)
    assert design.sample["missing covariate"] == 2
    assert design.c == 3


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float64])
def test_categories_of_numbers_are_named_by_their_digits(table: pd.DataFrame, dtype: Any) -> None:
    table["site"] = (np.arange(N) % 3).astype(dtype)
    table["version"] = [f"{number % 2}.0" for number in range(N)]  # text: as it is
    design = design_from_formula("height ~ C(site) * age + C(version)", table)
    assert design.names == (
        "(Intercept)", "C(site)1", "C(site)2", "age", "C(version)1.0", "C(site)1:age", "C(site)2:age",
    )  # fmt: skip
    np.testing.assert_array_equal(
        design.encode({"site": [2], "age": [5.0], "version": ["1.0"]}), [[1, 0, 1, 5, 1, 0, 5]]
    )


def test_categories_that_float64_cannot_tell_apart_stay_apart(table: pd.DataFrame) -> None:
    table["site"] = 2**53 + np.arange(N) % 3
    assert design_from_formula("height ~ C(site)", table).names[1:] == (f"C(site){2**53 + 1}", f"C(site){2**53 + 2}")
    table["site"] *= 2  # its square is beyond 64 bits
    np.testing.assert_allclose(design_from_formula("height ~ 0 + I(site * site)", table).Z, 2.0**108, rtol=1e-12)


@pytest.mark.parametrize(
    "term",
    [
        "__import__('os').getcwd()",
        "I(age.to_csv('{path}'))",
        "age.to_csv('{path}')",
        "np.save('{path}', age)",
        "np.linalg.norm(age)",
        "I(np)",
        "I([x for x in age])",
        "I((lambda: 1)())",
        "I(age[0])",
        "I(().__class__)",
        "contr.__init__(age)",
        "I(age +)",
    ],
)
def test_formulas_run_no_code(table: pd.DataFrame, tmp_path: Any, term: str) -> None:
    with pytest.raises(OptionError, match=r"not part of the formula language|cannot be read"):
        design_from_formula("height ~ " + term.replace("{path}", str(tmp_path / "written")), table)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("term", ["np.sqrt(age)", "I(np.pi * age)", "C(sex, contr.sum)", "I(age > 30)", "I(-age**2)"])
def test_arithmetic_and_elementwise_functions_are_formulas(table: pd.DataFrame, term: str) -> None:
    assert design_from_formula(f"height ~ {term}", table).c == 2


@pytest.mark.parametrize("text", ["height ~ `1`", "height ~ age * `1`", "height ~ ."])
def test_a_column_called_1_is_not_taken_for_the_intercept(table: pd.DataFrame, text: str) -> None:
    table["1"] = table["age"] ** 2
    with pytest.raises(OptionError, match=r"column '1' .* I\(`1`\)"):
        design_from_formula(text, table)
    design = design_from_formula("height ~ I(`1`)", table)
    np.testing.assert_array_equal(design.Z[:, 1], table["1"])


@pytest.mark.parametrize("name", ["(Intercept)", "Intercept", "sexM"])
def test_two_columns_of_the_same_name_are_refused(table: pd.DataFrame, name: str) -> None:
    table[name] = table["age"]
    with pytest.raises(DataError, match="Two covariate columns are called"):
        design_from_formula(f"height ~ sex + `{name}`", table)


@pytest.mark.parametrize("size", [1e-200, 1e200, 1e-320])
def test_responses_whose_variance_is_no_number_are_refused(table: pd.DataFrame, size: float) -> None:
    table["height"] *= size
    with pytest.raises(DataError, match="Rescale"):
        design_from_formula("height ~ 1", table)


def test_masked_columns_are_missing() -> None:
    masked = np.ma.array(np.arange(5), mask=[0, 1, 0, 0, 0])
    design = design_from_formula("y ~ x", {"y": np.array([1.0, 2.0, 4.0, 3.0, 6.0]), "x": masked})
    np.testing.assert_array_equal(design.rows, [0, 2, 3, 4])
