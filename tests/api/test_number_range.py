"""Numbers too large or too small for a mixture of random effects: refused or set aside, in memory and in chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.api import random_effect_mixture
from varmix.errors import DataError
from varmix.linalg.powers import power_of_two
from varmix.models.random_effect_mixture.densities import HeldDensities
from varmix.models.random_effect_mixture.shares import best_shares


def table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    x = rng.normal(size=200)
    effect = np.where(rng.random(200) < 0.3, 1.0, 0.05) * rng.normal(size=200)
    y = effect * x + 0.5 * rng.normal(size=200)
    return pd.DataFrame({"y": y, "x": x, "gene": np.arange(200) // 2, "w": 1.0})


def fitted(frame: pd.DataFrame, *, chunks: bool, **options: Any) -> Any:
    data = [frame.iloc[:90], frame.iloc[90:]] if chunks else frame
    return random_effect_mixture("y", "x", data=data, **{"starts": 2, "rng": 1, **options})


@pytest.mark.parametrize("chunks", [False, True], ids=["frame", "chunks"])
@pytest.mark.parametrize("group", [None, "gene"])
@pytest.mark.parametrize(
    ("column", "factor", "told"),
    [
        ("y", 1e200, "of size 1e200.*Rescale"),
        ("y", 1e-200, "of size 1e-200.*Rescale"),
        ("x", 1e200, "of size 1e-200.*Rescale"),
        ("y", 1.7e308 / 3.0, r"of size 1e30\d.*Rescale"),
        ("w", 1e-200, "weights is 1e-200.*Rescale"),
        ("w", 1e-12, "weights is 1e-12.*Rescale"),
        ("w", 1e200, r"weights is 1e\+200.*Rescale"),
    ],
)
def test_data_beyond_the_range_of_numbers_are_refused(
    chunks: bool, group: str | None, column: str, factor: float, told: str
) -> None:
    frame = table()
    weights = "w" if column == "w" else None
    with pytest.raises(DataError, match=told):
        fitted(frame.assign(**{column: frame[column] * factor}), chunks=chunks, group=group, weights=weights)


@pytest.mark.parametrize("chunks", [False, True], ids=["frame", "chunks"])
def test_a_known_residual_far_from_the_data_is_refused(chunks: bool) -> None:
    with pytest.raises(DataError, match=r"residual=1e-200.*units"):
        fitted(table(), chunks=chunks, residual=1e-200)


@pytest.mark.parametrize("chunks", [False, True], ids=["frame", "chunks"])
@pytest.mark.parametrize("group", [None, "gene"])
@pytest.mark.parametrize("options", [{}, {"method": "npmle", "starts": 1}], ids=["auto", "npmle"])
# x'x of 1e-320 has few digits, one of 1e-304 all of them, and effects of either would have variances of 1e300.
@pytest.mark.parametrize("small", [1e-160, 1e-152])
def test_x_that_is_nothing_beside_the_others_is_0(
    chunks: bool, group: str | None, options: dict[str, Any], small: float
) -> None:
    frame = table()
    rows = frame.index < 2  # a group
    found, expected = (
        fitted(frame.assign(x=np.where(rows, value, frame["x"])), chunks=chunks, group=group, **options)
        for value in (small, 0.0)
    )
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
    pd.testing.assert_frame_equal(found.components, expected.components)
    # Streams count q-values over the same effects, so all columns agree.
    pd.testing.assert_frame_equal(found.classes, expected.classes)


def test_the_largest_numbers_have_a_power_of_two() -> None:
    assert power_of_two(np.array([1.7e308, -1.7e308])) == 2.0**1023


def test_shares_of_densities_that_are_no_numbers_end_the_search_and_not_the_process() -> None:
    outcome = best_shares(HeldDensities(np.full((3, 20), np.nan)), None)
    assert not outcome.converged


def test_light_weights_move_no_estimate() -> None:
    """Down to the lightest that are accepted: the certificate is in standard errors, which grow as weights fall."""
    plain, light = (fitted(table().assign(w=size), chunks=False, weights="w") for size in (1.0, 2e-8))
    # 1e-8 standard errors of the light data are 1e-4 of those of the plain ones, here some 0.1.
    np.testing.assert_allclose(light.shares["estimate"], plain.shares["estimate"], atol=1e-5)
    np.testing.assert_allclose(light.components["estimate"], plain.components["estimate"], atol=1e-5)
