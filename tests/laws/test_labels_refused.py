"""Law: where labels could be meant in two ways, or do not meet, there is an AlignmentError and never another number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_data import CORE, FEWER, World

import varmix as vm
from varmix.errors import AlignmentError, VarmixError

HERE = World()
N = CORE
IDS = HERE.IID[:N]
Y = HERE.Y[:N, 0]
X = pd.DataFrame(HERE.X[:N], columns=HERE.variants)
K = HERE.K[:N, :N]
ORDERS = st.permutations(range(N)).filter(lambda order: order != sorted(order))


def vc(y: Any, **options: Any) -> vm.Fit:
    return vm.variance_components(y, **options)


@FEWER
@given(order=ORDERS)
@pytest.mark.parametrize("what", ["response", "design", "covariates", "kernel"])
def test_a_default_index_beside_the_same_numbers_in_another_order_is_refused(what: str, order: list[int]) -> None:
    y, covariates = pd.Series(Y), pd.DataFrame({"age": HERE.age[:N]})
    design, kernel = X, pd.DataFrame(K)
    if what == "response":
        y = y.iloc[order]
    elif what == "design":
        design = design.iloc[order]
    elif what == "covariates":
        covariates = covariates.iloc[order]
    else:
        kernel = kernel.iloc[order, order]
    with pytest.raises(AlignmentError, match="would be a guess"):
        vc(y, designs={"x": design}, kernels={"k": kernel}, covariates=covariates)


@FEWER
@given(order=ORDERS)
def test_sources_in_different_orders_are_refused_beside_a_response_without_labels(order: list[int]) -> None:
    design, kernel = X.set_index(IDS), pd.DataFrame(K, IDS, IDS)
    covariates = pd.DataFrame({"age": HERE.age[:N], "IID": IDS})
    for y in (Y, pd.Series(Y)):
        same = vc(y, designs={"x": design}, kernels={"k": kernel}, covariates=covariates)
        assert same.facts["n"] == N
        for changed in (
            {"designs": {"x": design.iloc[order]}, "kernels": {"k": kernel}},
            {"designs": {"x": design}, "kernels": {"k": kernel.iloc[order, order]}},
            {"designs": {"x": design}, "covariates": covariates.iloc[order].reset_index(drop=True)},
        ):
            with pytest.raises(AlignmentError, match="different orders"):
                vc(y, **changed)


@FEWER
@given(order=ORDERS)
def test_a_kernel_of_other_people_in_rows_than_in_columns_is_refused(order: list[int]) -> None:
    kernel = pd.DataFrame(K, IDS, IDS).iloc[:, order]
    fit = vc(pd.Series(Y, IDS), kernels={"k": kernel})
    assert fit.facts["n"] == N
    kernel.columns = [*kernel.columns[:-1], "somebody"]
    with pytest.raises(AlignmentError, match="not of the same people"):
        vc(pd.Series(Y, IDS), kernels={"k": kernel})


@FEWER
@given(order=ORDERS)
@pytest.mark.parametrize("how", ["index", "IID", "polars"])
@pytest.mark.parametrize("given_as", ["list", "table"])
def test_ids_in_another_order_than_the_table_lists_its_people_are_refused(
    how: str, given_as: str, order: list[int]
) -> None:
    import polars as pl

    labelled: dict[str, Callable[[Any], Any]] = {
        "index": lambda frame: frame.set_index(pd.Index(IDS)),
        "IID": lambda frame: frame.assign(IID=IDS),
        "polars": lambda frame: pl.from_pandas(frame.assign(IID=IDS)),
    }
    turned = IDS[order]
    sample_ids = list(turned) if given_as == "list" else pd.DataFrame({"FID": "f", "IID": turned})
    table = labelled[how](pd.DataFrame({"y": Y}))
    with pytest.raises(AlignmentError, match="in another order"):
        vc(table, designs={"x": X.set_index(IDS)}, sample_ids=sample_ids)
    with pytest.raises(AlignmentError, match="in another order"):
        vm.ArraySource(labelled[how](X), sample_ids=sample_ids)
    same = list(IDS)
    assert vc(table, designs={"x": vm.ArraySource(labelled[how](X), sample_ids=same)}, sample_ids=same).facts["n"] == N


@FEWER
@given(order=ORDERS)
def test_ids_whose_index_renumbers_the_response_are_refused(order: list[int]) -> None:
    with pytest.raises(AlignmentError, match="would be a guess"):
        vc(pd.Series(Y), designs={"x": X.set_index(IDS)}, sample_ids=pd.Series(IDS).iloc[order])


@FEWER
@given(order=ORDERS)
def test_ids_with_the_index_of_a_design_go_by_it(order: list[int]) -> None:
    rows = [f"row {at}" for at in range(N)]
    source = vm.ArraySource(X.set_index(pd.Index(rows)), sample_ids=pd.Series(IDS, rows).iloc[order])
    fit = vc(pd.Series(Y, IDS).iloc[::-1], designs={"x": source})
    # Rows in another order, and so the sums.
    np.testing.assert_allclose(fit.log_likelihood, vc(Y, designs={"x": X}).log_likelihood, atol=1e-8)


@FEWER
@given(order=ORDERS, which=st.integers(0, 5))
def test_no_mixture_of_named_and_unnamed_rows_gives_another_number(order: list[int], which: int) -> None:
    """A table is shuffled with its labels, whatever the others carry: the same answer, or an error."""
    numbers = 500 + 3 * np.arange(N)
    index = [pd.Index(IDS), pd.Index(numbers), pd.RangeIndex(N), pd.RangeIndex(N, 2 * N), pd.Index(HERE.FID[:N]), None]
    base = vc(Y, designs={"x": X}, kernels={"k": K}).log_likelihood
    design = X.set_index(index[which]).iloc[order] if index[which] is not None else X.assign(IID=IDS).iloc[order]
    for other in index[:4]:
        y, kernel = pd.Series(Y, other), pd.DataFrame(K, other, other)
        try:
            fit = vc(y, designs={"x": design}, kernels={"k": kernel})
        except VarmixError:
            continue
        unlabelled = isinstance(other, pd.RangeIndex) and other.start == 0
        if unlabelled:  # by position with what has labels of another kind, as is documented
            assert which != 2
            continue
        np.testing.assert_allclose(fit.log_likelihood, base, atol=1e-8)


def test_people_told_by_position_are_those_of_a_mapping_of_columns() -> None:
    both = (np.arange(N), np.arange(N))
    y = [{"IID": IDS, f"y{column}": HERE.Y[:N, column]} for column in (0, 1)]
    fit = vm.genetic_correlation(*y, HERE.X[:N], HERE.X[:N].copy(), method="moments", overlap=both)
    assert fit.table("sample").set_index("cause")["count"]["people in both"] == N
