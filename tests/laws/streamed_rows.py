"""Rows that come in chunks beside the same rows in memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import pytest

from varmix.iteration import Runner, Serial
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.reduction import Reduction, reduce_rows
from varmix.models.random_effect_mixture.statistics import MixtureStats, summarise
from varmix.models.random_effect_mixture.stream import Columns
from varmix.models.random_effect_mixture.units import Units

N = 300
POINT = MixtureParams.free(np.array([0.01, 1.0]), 0.5, np.array([0.7, 0.3]))
ROUNDING = 1e-12  # sums of a few hundred terms of order one, added in another order
MODELS = pytest.mark.parametrize(
    "columns",
    [
        Columns(),
        Columns(se="se"),
        Columns(se="se", weights="weight"),
        Columns(group="gene"),
        Columns(group="gene", se="se", weights="weight"),
    ],
    ids=["rows", "errors", "weights", "groups", "weighted groups"],
)


def many_rows() -> pd.DataFrame:
    """Rows of 40 groups in no order, some with x = 0, in units far from one; the weight is that of the group."""
    rng = np.random.default_rng(11)
    gene = rng.integers(0, 40, N)
    x = rng.normal(size=N)
    x[::13] = 0.0
    effect = np.where(rng.random(40) < 0.3, 1.0, 0.05) * rng.normal(size=40)
    y = effect[gene] * x + 0.7 * rng.normal(size=N)
    return pd.DataFrame(
        {
            "y": 1e-3 * y,
            "x": 1e5 * x,
            "se": 1e-3 * rng.uniform(0.5, 2.0, N),
            "gene": [f"g{code}" for code in gene],
            "weight": rng.uniform(0.0, 3.0, 40)[gene],
            "snp": [f"rs{row}" for row in range(N)],
        }
    )


def chunked(table: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    return [table.iloc[start : start + size] for start in range(0, len(table), size)]


def in_memory(table: pd.DataFrame, columns: Columns) -> Reduction:
    group, weights = None, None if columns.weights is None else table[columns.weights].to_numpy()
    if columns.group is not None:
        group = pd.factorize(table[columns.group])[0].astype(np.intp)
        weights = None if weights is None else weights[np.unique(group, return_index=True)[1]]
    errors = None if columns.se is None else table[columns.se].to_numpy()
    return reduce_rows(table["y"].to_numpy(), table["x"].to_numpy(), group=group, errors=errors, weights=weights)


def statistics(pieces: Sequence[Units], runner: Runner | None = None) -> MixtureStats:
    return (runner or Serial()).map_add(partial(summarise, POINT), pieces)


def assert_same(found: MixtureStats, expected: MixtureStats) -> None:
    for name in (
        "log_likelihood",
        "total",
        "counts",
        "quad",
        "trace",
        "score",
        "hessian",
        "outer",
        "rest",
        "rest_rows",
    ):
        left, right = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
        np.testing.assert_allclose(left, right, rtol=0.0, atol=ROUNDING * max(1.0, float(np.abs(right).max())))
