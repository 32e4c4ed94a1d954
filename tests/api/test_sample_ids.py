"""People are found by id however their table holds the ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import DataError

polars = pytest.importorskip("polars")
ROWS = 20
rng = np.random.default_rng(3)
Y, A = rng.normal(size=ROWS), rng.normal(size=(ROWS, ROWS))
K = A @ A.T / ROWS


def kin(first: int = 0) -> vm.RelationshipMatrix:
    ids = pd.DataFrame({"FID": "0", "IID": [str(first + number) for number in range(ROWS)]})
    return vm.RelationshipMatrix(name="kin", values=K, sample_ids=ids, variant_counts=None)


@pytest.mark.parametrize("first", [0, 2**53])
@pytest.mark.parametrize("frame", [pd.DataFrame, polars.DataFrame, dict])
def test_integer_ids_of_a_table_are_those_of_a_kernel(first: int, frame: Any) -> None:
    order = np.arange(ROWS)[::-1]
    data = frame({"IID": [first + int(number) for number in order], "y": Y[order]})
    fit = vm.variance_components("y ~ 1", data, kernels={"kin": kin(first)})
    assert fit.augment()["IID"].tolist() == [str(first + number) for number in order]
    expected = vm.variance_components(Y, kernels={"kin": K})
    # The same people in another order: sums in another order.
    np.testing.assert_allclose(fit.components["estimate"], expected.components["estimate"], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "ids",
    [
        np.arange(ROWS),
        np.arange(ROWS) * 1.0,
        list(range(ROWS)),
        polars.DataFrame({"IID": list(range(ROWS))}),
        {"IID": range(ROWS)},
    ],
)
def test_sample_ids_may_be_numbers(ids: Any) -> None:
    fit = vm.variance_components(Y, sample_ids=ids, kernels={"kin": kin()})
    assert fit.augment()["IID"].tolist() == [str(number) for number in range(ROWS)]


def test_a_masked_kernel_is_refused() -> None:
    with pytest.raises(DataError, match="'kin' has masked entries"):
        vm.variance_components(Y, kernels={"kin": np.ma.array(K, mask=np.eye(ROWS))})
