"""One model by several doors: arrays, formulas, ids in any order, frames of any make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from dense_model import Simulated, simulate

import varmix as vm
from varmix.errors import ConvergenceWarning, FragileMomentsWarning
from varmix.iteration import Status

ROWS = 40


@pytest.fixture(scope="module")
def data() -> Simulated:
    return simulate(61, ROWS, (15, 60), (0.8, 0.6, 1.0))


@pytest.fixture(scope="module")
def people(data: Simulated) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "FID": ["0"] * ROWS,
            "IID": [f"s{number}" for number in range(ROWS)],
            "height": data.y,
            "age": data.covariates[:, 0],
            "sex": np.where(data.covariates[:, 1] > 0, "m", "f"),
        }
    )


def same(left: vm.Fit, right: vm.Fit) -> None:
    # Rows summed in another order: 1e-8 standard errors from the same optimum.
    np.testing.assert_allclose(left.components["estimate"], right.components["estimate"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(left.coefficients["estimate"], right.coefficients["estimate"], rtol=1e-6)
    assert left.log_likelihood == pytest.approx(right.log_likelihood, abs=1e-9)


def test_a_formula_is_the_arrays_that_it_codes(data: Simulated, people: pd.DataFrame) -> None:
    male = (people["sex"] == "m").to_numpy(dtype=float)
    arrays = vm.variance_components(data.y, designs={"x": data.X[0]}, covariates=np.column_stack([people["age"], male]))
    formula = vm.variance_components("height ~ age + sex", people, designs={"x": data.X[0]})
    same(formula, arrays)
    assert formula.facts["response"] == "height"
    same(
        vm.variance_components("height ~ age + sex", pl.DataFrame(people.to_dict("list")), designs={"x": data.X[0]}),
        arrays,
    )
    without = vm.variance_components("height ~ age - 1", people, designs={"x": data.X[0]})
    by_array = vm.variance_components(
        data.y, designs={"x": data.X[0]}, covariates=people[["age"]].to_numpy(), intercept=False
    )
    same(without, by_array)


def test_a_formula_drops_incomplete_rows(data: Simulated, people: pd.DataFrame) -> None:
    holed = people.copy()
    holed.loc[3, "age"] = np.nan
    holed.loc[5, "height"] = np.nan
    keep = np.setdiff1d(np.arange(ROWS), [3, 5])
    by_hand = vm.variance_components(
        "height ~ age", people.iloc[keep].reset_index(drop=True), designs={"x": data.X[0][keep]}
    )
    fit = vm.variance_components("height ~ age", holed, designs={"x": data.X[0]})
    same(fit, by_hand)
    assert fit.facts["n"] == ROWS - 2


def sources(data: Simulated, order: np.ndarray) -> dict[str, Any]:
    """A design and a kernel of the people in another order, under their ids."""
    ids = pd.DataFrame({"FID": "0", "IID": [f"s{number}" for number in order]})
    K = data.kernels[1][np.ix_(order, order)]
    return {
        "designs": {"x": vm.ArraySource(data.X[0][order], sample_ids=ids)},
        "kernels": {"kin": vm.RelationshipMatrix(name="kin", values=K, sample_ids=ids, variant_counts=None)},
    }


def test_rows_are_joined_by_id_whatever_their_order(data: Simulated, people: pd.DataFrame) -> None:
    order = np.random.default_rng(1).permutation(ROWS)
    by_position = vm.variance_components(
        "height ~ age", people.drop(columns=["FID", "IID"]), designs={"x": data.X[0]}, kernels={"kin": data.kernels[1]}
    )
    joined = vm.variance_components("height ~ age", people, **sources(data, order))
    same(joined, by_position)
    by_arrays = vm.variance_components(
        data.y, covariates=data.covariates[:, :1], sample_ids=people["IID"], **sources(data, order)
    )
    same(by_arrays, by_position)
    np.testing.assert_allclose(by_arrays.predict(), by_position.predict(), rtol=1e-6)


def test_people_missing_on_either_side_are_left_out_and_counted(data: Simulated, people: pd.DataFrame) -> None:
    order = np.random.default_rng(2).permutation(np.arange(4, ROWS))
    some = people.iloc[:35]
    fit = vm.variance_components("height ~ age", some, **sources(data, order))
    shared = np.arange(4, 35)
    by_hand = vm.variance_components(
        data.y[shared],
        designs={"x": data.X[0][shared]},
        kernels={"kin": data.kernels[1][np.ix_(shared, shared)]},
        covariates=data.covariates[shared, :1],
    )
    same(fit, by_hand)
    assert fit.augment()["IID"].tolist() == [f"s{number}" for number in shared]
    counts = fit.sample.set_index(["what", "cause"])["count"]
    assert counts["x", "samples given"] == ROWS - 4
    assert counts["x", "samples not in all sources"] == 5
    assert counts["response", "samples not in all sources"] == 4


def test_frames_and_arrays_are_the_same_design(data: Simulated) -> None:
    arrays = vm.variance_components(data.y, designs={"x": data.X[0]})
    frame = pd.DataFrame(data.X[0], columns=[f"v{number}" for number in range(15)])
    for given in (
        frame,
        pl.DataFrame(frame.to_dict("list")),
        data.X[0].astype(np.float32),
        np.asfortranarray(data.X[0]),
    ):
        fit = vm.variance_components(data.y, designs={"x": given})
        np.testing.assert_allclose(fit.components["estimate"], arrays.components["estimate"], rtol=1e-5)


@pytest.mark.parametrize("method", ["newton", "em", "pxem", "mm"])
def test_a_start_only_changes_the_path(data: Simulated, method: str) -> None:
    base = vm.variance_components(data.y, designs={"x": data.X[0]}, method=method)
    for start in ("equal", [0.3, 2.0], [20.0, 0.1]):
        fit = vm.variance_components(data.y, designs={"x": data.X[0]}, method=method, start=start)
        same(fit, base)
    np.testing.assert_allclose(fit.progress[["x", "residual"]].iloc[0], [20.0, 0.1])


def test_a_fit_that_did_not_arrive_warns_and_says_so(data: Simulated) -> None:
    with pytest.warns(ConvergenceWarning, match="STEP_LIMIT"):
        fit = vm.variance_components(data.y, designs={"x": data.X[0]}, method="em", polish=False, max_iterations=2)
    assert fit.status is Status.STEP_LIMIT
    assert "raise max_iterations" in fit.summary()


def test_moments_on_a_structured_sample_warn(data: Simulated) -> None:
    groups = np.repeat(np.eye(4), 10, axis=0)
    structured = groups @ np.random.default_rng(3).normal(size=(4, 50)) + 0.1 * data.X[0][:, :1]
    with pytest.warns(FragileMomentsWarning, match="structured"):
        fit = vm.variance_components(data.y, designs={"x": structured}, method="moments")
    assert fit.facts["fragility"] > 1.0
    assert "structured" in fit.summary()


def test_the_algebra_is_told(data: Simulated) -> None:
    narrow = vm.variance_components(data.y, designs={"x": data.X[0]})
    wide = vm.variance_components(data.y, designs={"x": data.X[1]})
    both = vm.variance_components(data.y, designs={"x": data.X[0], "w": data.X[1]})
    assert "15 dimensions" in narrow.facts["algebra"]
    assert "reduced once" in wide.facts["algebra"]
    assert "Cholesky" in both.facts["algebra"]
    assert narrow.facts["evaluations"] <= 10


def test_scaling_none_takes_the_columns_as_they_are(data: Simulated) -> None:
    X = data.X[0]
    by_design = vm.variance_components(data.y, designs={"x": X}, scaling="none")
    by_kernel = vm.variance_components(data.y, kernels={"x": X @ X.T})
    same(by_design, by_kernel)
