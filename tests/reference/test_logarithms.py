"""Published expression is silent as it is, in any unit, and told as logarithms when logarithms were taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from varmix.models.partition.diagnosis import diagnose
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.logarithms import logarithms_told

MIXED = np.array([[0.5, 0.5]])
Table = pd.DataFrame


def rats(folder: Path) -> tuple[Table, list[str]]:
    S = pd.read_csv(folder / "shen_orr_expression.csv", index_col=0)
    known = pd.read_csv(folder / "shen_orr_proportions.csv", index_col=0).loc[S.columns]
    return S, [str(tuple(row)) for row in known.to_numpy()]


def lymphoma(folder: Path) -> tuple[Table, list[str]]:
    S = pd.read_csv(folder / "lymphoma_expression.csv", index_col=0)
    pure = pd.read_csv(folder / "lymphoma_proportions.csv", index_col=0)["pure"].loc[S.columns]
    return S, [name if isinstance(cell, float) else cell for name, cell in pure.items()]


def told(S: Table, types: list[str]) -> bool:
    codes = pd.factorize(np.array(types, dtype=object))[0].astype(np.intp)
    pieces = reduce_samples(S.to_numpy(dtype=np.float64), codes, int(codes.max()) + 1)
    return bool(logarithms_told(pieces, MIXED, float(S.to_numpy().max()), 1.0, diagnose(pieces)))


@pytest.mark.parametrize("read", [rats, lymphoma])
@pytest.mark.parametrize("largest", [None, 1.0, 1e6, 1e-6, 3.0, 10.0, 15.0, 50.0])
def test_linear_values_are_silent_in_any_unit(
    reference: Path, read: Callable[[Path], tuple[Table, list[str]]], largest: float | None
) -> None:
    S, types = read(reference / "partition")
    unit = 1.0 if largest is None else largest / S.to_numpy().max()
    assert not told(S * unit, types)
    for seed in range(20):
        assert not told(S.sample(20, random_state=seed) * unit, types)


@pytest.mark.parametrize("read", [rats, lymphoma])
@pytest.mark.parametrize("added", [0.0, 1.0])
def test_logarithms_to_base_two_are_told_of_panels_too(
    reference: Path, read: Callable[[Path], tuple[Table, list[str]]], added: float
) -> None:
    S, types = read(reference / "partition")
    logs = np.log2(S + added)
    assert told(logs, types)
    found = [told(logs.sample(20, random_state=seed), types) for seed in range(40)]
    # Measured 0.98 and more; of 20 genes the noise alone may look as if it grew like that of linear values.
    assert np.mean(found) > 0.6


@pytest.mark.parametrize("logarithm", [np.log1p, lambda S: np.log10(S + 1.0)])
def test_other_logarithms_are_told_where_noise_falls(reference: Path, logarithm: Callable[[Table], Table]) -> None:
    S, types = rats(reference / "partition")
    assert told(logarithm(S), types)
