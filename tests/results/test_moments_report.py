"""What fits by randomised moments tell of each row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_model import simulate

import varmix as vm


@pytest.mark.filterwarnings("ignore::varmix.errors.FragileMomentsWarning")
def test_rows_are_told_with_their_least_squares_part() -> None:
    data = simulate(61, 50, (80,), (0.7, 0.6))
    people = pd.DataFrame(data.covariates, columns=["a", "b"]).assign(
        FID="f", IID=[f"s{k}" for k in range(50)], y=data.y * 1e3
    )
    people.loc[7, "a"] = np.nan
    fit = vm.variance_components(
        "y ~ a + b", people, designs=data.designs, method="moments", traces="randomised", rng=1, on_missing="drop"
    )
    told, used = fit.augment(), people.dropna()
    assert told["IID"].tolist() == used["IID"].tolist()
    np.testing.assert_array_equal(told["row"], used.index)
    Z = np.column_stack([np.ones(49), used[["a", "b"]]])
    expected = Z @ np.linalg.lstsq(Z, used["y"].to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(told["fixed"], expected, rtol=1e-9)
    np.testing.assert_array_equal(told["fitted"], told["fixed"])
    np.testing.assert_allclose(told["fitted"] + told["resid"], used["y"], rtol=1e-12)
    assert "augment" in fit.report.tables
