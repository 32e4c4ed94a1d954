"""The same rows called by their labels in many ways and orders: what a table may look like without another answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from varmix.genotype import ArraySource, RelationshipMatrix

CORE = 32
"""People that every table has."""
EXTRAS = 3
"""Most people that one table alone has: below the tenth of lost rows from which a warning is due."""
SLOTS = 5
"""Tables with people of their own."""
NEW = 8
"""People that no table of a fit has."""
VARIANTS = 24

FEWER = settings(max_examples=max(settings.default.max_examples * 2 // 5, 2))
"""Tests of one law draw the same orders and labels, and need fewer examples each."""

NAMED = ("FID and IID", "any case", "IID", "levels", "levels turned", "text", "named numbers", "polars", "mapping")
"""Kinds of labels that name people."""
NUMBERS = "numbers"
"""An unnamed index of whole numbers, as sorting and slicing leave it."""


@dataclass(frozen=True, slots=True)
class Carriage:
    """How a table carries its labels: which people of the world in which order, by what, columns in which order."""

    kind: str
    people: tuple[int, ...]
    shuffle: int

    @property
    def order(self) -> np.ndarray:
        """Positions in the world, (rows,)."""
        return np.array(self.people, dtype=np.intp)

    def columns(self, names: Sequence[Any]) -> list[Any]:
        """Names in another order."""
        return [names[at] for at in np.random.default_rng(self.shuffle).permutation(len(names))]


@st.composite
def carriages(draw: Any, slot: int, *, kinds: Sequence[str] = NAMED, extras: int = EXTRAS) -> Carriage:
    """Any kind, any order, with people of its own; those of two slots differ."""
    more = draw(st.integers(0, extras))
    people = [*range(CORE), *range(CORE + EXTRAS * slot, CORE + EXTRAS * slot + more)]
    return Carriage(draw(st.sampled_from(kinds)), tuple(draw(st.permutations(people))), draw(st.integers(0, 2**16)))


def some_carriages(count: int, **options: Any) -> st.SearchStrategy[tuple[Carriage, ...]]:
    """Of several tables."""
    return st.tuples(*(carriages(slot, **options) for slot in range(count)))


class World:
    """People with families, covariates, genotypes and a kernel, all in one order, for which dense arrays stand.

    The first `CORE` are in every table of a fit, the last `NEW` in none.
    """

    def __init__(self, seed: int = 4) -> None:
        rng = np.random.default_rng(seed)
        count = CORE + EXTRAS * SLOTS + NEW
        # Distinct numbers in no order, none of which is a position, so that a mix-up of the two cannot pass.
        self.numbers = 1000 + 7 * rng.permutation(count)
        self.IID = np.array([str(number) for number in self.numbers], dtype=object)
        self.FID = np.array([f"f{number % 5}" for number in self.numbers], dtype=object)
        self.age = rng.normal(size=count)
        self.sex = np.where(rng.uniform(size=count) < 0.5, "M", "F").astype(object)
        self.X = rng.binomial(2, rng.uniform(0.2, 0.5, VARIANTS), (count, VARIANTS)).astype(float)
        root = rng.normal(size=(count, 20))
        self.K = root @ root.T / 20
        Z = (self.X - self.X.mean(axis=0)) / self.X.std(axis=0)
        effects = rng.normal(size=(VARIANTS, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]]) / np.sqrt(VARIANTS)
        self.Y = Z @ effects * 1.5 + (root @ rng.normal(size=(20, 2)) / np.sqrt(20)) + rng.normal(size=(count, 2)) * 0.7
        self.Y += 0.5 * self.age[:, None] + (self.sex == "M")[:, None]
        self.variants = [f"rs{number}" for number in rng.permutation(VARIANTS)]

    @property
    def new(self) -> np.ndarray:
        """People that are in no fit."""
        return np.arange(len(self.IID) - NEW, len(self.IID))

    def ids(self, order: np.ndarray) -> pd.DataFrame:
        """FID and IID."""
        return pd.DataFrame({"FID": self.FID[order], "IID": self.IID[order]})

    def table(self, carriage: Carriage, **values: np.ndarray) -> Any:
        """Columns of the world for the carriage's people, labelled."""
        order = carriage.order
        frame = pd.DataFrame({name: values[name][order] for name in carriage.columns(list(values))})
        return self.labelled(frame, carriage)

    def series(self, carriage: Carriage, values: np.ndarray, name: str = "y") -> Any:
        """A vector as a series where the labels are an index, else as a table of one column."""
        table = self.table(carriage, **{name: values})
        return table[name] if _is_indexed(carriage) else table

    def labelled(self, frame: pd.DataFrame, carriage: Carriage) -> Any:
        """A frame of the carriage's people with their labels."""
        order, kind = carriage.order, carriage.kind
        ids = self.ids(order)
        if kind == "levels":
            return frame.set_index(pd.MultiIndex.from_frame(ids))
        if kind == "levels turned":
            return frame.set_index(pd.MultiIndex.from_frame(ids[["IID", "FID"]], names=["iid", "fid"]))
        if kind == "text":
            return frame.set_index(pd.Index(self.IID[order], dtype="str"))
        if kind == "named numbers":
            return frame.set_index(pd.Index(self.numbers[order], name="person"))
        if kind == NUMBERS:
            return frame.set_index(pd.Index(self.numbers[order]))
        names = {"FID and IID": ("#FID", "IID"), "any case": ("fid", "Iid"), "polars": ("FID", "IID")}
        family, individual = names.get(kind, (None, "IID"))
        first, second = sorted(np.random.default_rng(carriage.shuffle).integers(0, frame.shape[1] + 1, 2))
        frame.insert(int(second), individual, self.numbers[order] if family is None else self.IID[order])
        if family is not None:
            frame.insert(int(first), family, self.FID[order])
        if kind == "polars":
            return pl.from_pandas(frame)
        return frame.to_dict("list") if kind == "mapping" else frame

    def design(self, carriage: Carriage) -> Any:
        """The genotypes: a frame or a source, variants in another order."""
        names = carriage.columns(self.variants)
        columns = [self.variants.index(name) for name in names]
        values = self.X[np.ix_(carriage.order, columns)]
        if carriage.kind == "source":
            return ArraySource(values, names, sample_ids=self.ids(carriage.order))
        return self.labelled(pd.DataFrame(values, columns=names), carriage)

    def kernel(self, carriage: Carriage) -> Any:
        """The kernel, columns in another order than the rows; one order in a relationship matrix."""
        order = carriage.order
        if carriage.kind == "source":
            values = self.K[np.ix_(order, order)]
            return RelationshipMatrix(name="kin", values=values, sample_ids=self.ids(order), variant_counts=None)
        return self.cross_kernel(carriage, np.array(carriage.columns(carriage.people)))

    def cross_kernel(self, rows: Carriage, columns: np.ndarray) -> Any:
        """K(rows, columns) as a frame, both labelled: columns by text, or by numbers or levels where the rows are."""
        names = self.numbers[columns] if rows.kind == NUMBERS else self.IID[columns]
        frame = pd.DataFrame(self.K[np.ix_(rows.order, columns)], columns=pd.Index(names))
        if rows.kind == "levels":
            frame.columns = pd.MultiIndex.from_frame(self.ids(columns))
        return self.labelled(frame, rows)


def _is_indexed(carriage: Carriage) -> bool:
    return carriage.kind in ("levels", "levels turned", "text", "named numbers", NUMBERS)
