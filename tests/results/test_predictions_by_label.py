"""Claims about how new rows meet the training rows of a fit at hand and of a loaded one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import AlignmentError
from varmix.results.partition_mixture.new_samples import new_mixtures

TRAINING, NEW = 30, 8
rng = np.random.default_rng(21)
ORDER, NEW_ORDER = rng.permutation(TRAINING), rng.permutation(NEW)
X, X_NEW = rng.normal(size=(TRAINING, 12)), rng.normal(size=(NEW, 12))
AGE, AGE_NEW = rng.normal(size=TRAINING), rng.normal(size=NEW)
Y = X @ rng.normal(size=12) + AGE + rng.normal(size=TRAINING)
KERNEL, CROSS = X @ X.T, X_NEW @ X.T
NUMBERS = np.arange(100, 100 + TRAINING)  # ids as an index without a name
RTOL = 1e-6  # the same people in another order: the climb ends within its tolerance elsewhere


@pytest.fixture(params=["at hand", "loaded"])
def remembered(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    def of(fit: vm.Fit) -> Any:
        if request.param == "at hand":
            return fit
        fit.save(tmp_path / "fit.json")
        return vm.load(tmp_path / "fit.json")

    return of


def test_columns_of_a_new_kernel_find_training_rows_that_an_unnamed_index_joined(remembered: Any) -> None:
    fit = remembered(
        vm.variance_components(
            pd.Series(Y, NUMBERS).iloc[ORDER],
            kernels={"k": pd.DataFrame(KERNEL, NUMBERS, NUMBERS)},
            covariates=pd.DataFrame({"age": AGE}, NUMBERS),
        )
    )
    expected = vm.variance_components(Y, kernels={"k": KERNEL}, covariates=AGE[:, None]).predict(
        AGE_NEW[:, None], kernels={"k": CROSS}
    )
    new = {"age": AGE_NEW}
    for columns in (np.arange(TRAINING), ORDER, ORDER[::-1]):
        cross = pd.DataFrame(CROSS, columns=NUMBERS).iloc[:, columns]
        np.testing.assert_allclose(fit.predict(new, kernels={"k": cross}), expected, rtol=RTOL)
    np.testing.assert_allclose(fit.predict(new, kernels={"k": CROSS[:, ORDER]}), expected, rtol=RTOL)
    with pytest.raises(AlignmentError, match="with a column for each of them"):
        fit.predict(new, kernels={"k": pd.DataFrame(CROSS, columns=[*NUMBERS[1:], 7])})


def test_new_tables_are_joined_by_the_column_that_named_people_in_the_fit(remembered: Any) -> None:
    names = [f"v{column}" for column in range(12)]
    fit = remembered(
        vm.variance_components(
            pd.DataFrame({"pid": NUMBERS, "y": Y}).iloc[ORDER],
            designs={"x": pd.DataFrame(X, columns=names).assign(pid=NUMBERS)},
            covariates=pd.DataFrame({"age": AGE, "pid": NUMBERS}),
            sample_ids="pid",
        )
    )
    expected = vm.variance_components(Y, designs={"x": X}, covariates=AGE[:, None]).predict(
        AGE_NEW[:, None], designs={"x": X_NEW}
    )
    new = pd.DataFrame({"age": AGE_NEW, "pid": np.arange(NEW)})
    design = pd.DataFrame(X_NEW, columns=names).assign(pid=np.arange(NEW))
    shuffled = design.iloc[NEW_ORDER].reset_index(drop=True)
    np.testing.assert_allclose(fit.predict(new, designs={"x": shuffled}), expected, rtol=RTOL)
    with pytest.raises(AlignmentError, match="1 of 8 rows are not in 'x'"):
        fit.predict(new, designs={"x": shuffled.iloc[1:]})


def test_blanks_around_names_of_cell_types_are_no_part_of_them_in_new_proportions_either() -> None:
    table = pd.DataFrame([[0.2, 0.8], [0.7, 0.3]], index=["a", "b"], columns=["liver ", " brain"])
    rows, codes = new_mixtures(table, ["b", "a", "b"], pd.RangeIndex(3), None, ("brain", "liver"))
    np.testing.assert_array_equal(rows[codes], [[0.3, 0.7], [0.8, 0.2], [0.3, 0.7]])
