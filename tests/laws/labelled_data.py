"""Small data whose rows have names, and the ways in which a table may carry them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

import varmix as vm

ROWS, VARIANTS = 30, 40
rng = np.random.default_rng(20)
FAMILIES = np.array([f"f{row % 7}" for row in range(ROWS)], dtype=object)
PEOPLE = np.array([f"{row:03}" for row in range(ROWS)], dtype=object)
"""Text with leading zeros: whoever takes it for numbers is found out."""
CALLS = rng.binomial(2, 0.35, size=(ROWS, VARIANTS)).astype(float)
STANDARD = (CALLS - CALLS.mean(axis=0)) / CALLS.std(axis=0)
OTHER = rng.normal(size=(ROWS, 12))
KERNEL = OTHER @ OTHER.T / 12
COVARIATES = pd.DataFrame({"age": rng.normal(size=ROWS), "sex": np.where(rng.random(ROWS) < 0.5, "f", "m")})
TRAITS = pd.DataFrame(
    STANDARD @ rng.normal(size=(VARIANTS, 2)) / np.sqrt(VARIANTS) + rng.normal(size=(ROWS, 2)), columns=["a", "b"]
)
TRAITS = TRAITS.add(COVARIATES["age"] * 0.7, axis=0)

Carrier = Callable[[pd.DataFrame, np.ndarray], Any]


def _ids(order: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"FID": FAMILIES[order], "IID": PEOPLE[order]})


def _part(table: pd.DataFrame, order: np.ndarray) -> pd.DataFrame:
    return table.iloc[order].reset_index(drop=True)


def columns(table: pd.DataFrame, order: np.ndarray) -> pd.DataFrame:
    """FID and IID among the other columns."""
    return pd.concat([_part(table, order), _ids(order)], axis=1)


def lower_case(table: pd.DataFrame, order: np.ndarray) -> pd.DataFrame:
    """As a program may write them, and with an index that slicing left, which says nothing."""
    return columns(table, order).rename(columns={"FID": "#fid", "IID": "iid"})


def levels(table: pd.DataFrame, order: np.ndarray) -> pd.DataFrame:
    """Levels of the index."""
    return columns(table, order).set_index(["IID", "FID"])


def individuals(table: pd.DataFrame, order: np.ndarray) -> pd.DataFrame:
    """IID alone."""
    return columns(table, order).drop(columns="FID")


def text_index(table: pd.DataFrame, order: np.ndarray) -> pd.DataFrame:
    """An index without a name."""
    return _part(table, order).set_axis(pd.Index(PEOPLE[order]), axis=0)


def polars_columns(table: pd.DataFrame, order: np.ndarray) -> Any:
    """Another library's frame."""
    return pl.from_pandas(columns(table, order))


CARRIERS: tuple[Carrier, ...] = (columns, lower_case, levels, individuals, text_index, polars_columns)


def design_of(carry: Carrier, order: np.ndarray) -> Any:
    """The calls as a design."""
    return carry(pd.DataFrame(CALLS, columns=[f"rs{number}" for number in range(VARIANTS)]), order)


def kernel_of(order: np.ndarray, across: np.ndarray) -> pd.DataFrame:
    """The kernel with rows in one order and columns in another."""
    return pd.DataFrame(KERNEL[np.ix_(order, across)], index=PEOPLE[order], columns=PEOPLE[across])


def matrix_of(order: np.ndarray) -> vm.RelationshipMatrix:
    """The kernel with its people."""
    return vm.RelationshipMatrix(
        name="kin", values=KERNEL[np.ix_(order, order)].copy(), sample_ids=_ids(order), variant_counts=None
    )
