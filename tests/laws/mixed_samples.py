"""Samples that mix three cell types, with names, drawn from the model, for the public function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from varmix.models.partition.drawing import draw_genes
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions, all_partitions

CELL_TYPES = ["liver", "brain", "lung"]
PROPORTIONS = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]])
SHARES = np.array([0.35, 0.2, 0.15, 0.15, 0.15])
PARTITIONS: Partitions = all_partitions(CELL_TYPES)

PLAIN = PartitionParams(mean=5.0, between=1.0, cell=0.16, measurement=0.04, shares=SHARES, proportions=PROPORTIONS)


@dataclass(frozen=True)
class Mixed:
    """`S` genes x samples and what it was drawn from."""

    S: pd.DataFrame
    codes: np.ndarray
    partition: np.ndarray
    means: np.ndarray

    @cached_property
    def sample_type(self) -> pd.Series:
        return pd.Series([f"mix {d}" for d in self.codes], index=self.S.columns)

    @cached_property
    def proportions(self) -> pd.DataFrame:
        return pd.DataFrame(PROPORTIONS, index=[f"mix {d}" for d in range(5)], columns=CELL_TYPES)

    @cached_property
    def partly(self) -> pd.DataFrame:
        """One mixture is not known."""
        table = self.proportions.copy()
        table.iloc[3] = np.nan
        return table


def mixed(seed: Any, genes: int, *, each: int = 4, params: PartitionParams | HeteroscedasticParams = PLAIN) -> Mixed:
    """`each` samples of five mixtures."""
    codes = np.repeat(np.arange(5), each)
    drawn = draw_genes(params, PARTITIONS, codes, genes, np.random.default_rng(seed))
    S = pd.DataFrame(drawn.values, [f"gene {g}" for g in range(genes)], [f"s{i}" for i in range(len(codes))])
    return Mixed(S=S, codes=codes, partition=drawn.partition, means=drawn.means)


def point_of(fit: Any) -> PartitionParams:
    """The point that the tables of a fit with plain noise give, in the units of the data."""
    variances = fit.components.set_index("term")["estimate"]
    cells = fit.facts["cell_types"]
    table = fit.proportions
    rows = table.pivot(index="sample_type", columns="cell_type", values="estimate")
    return PartitionParams(
        mean=float(fit.coefficients["estimate"].iloc[0]),
        between=float(variances["blocks"]),
        cell=float(variances.get("cell", 0.0)),
        measurement=float(variances.get("measurement", 0.0)),
        shares=fit.shares["estimate"].to_numpy(),
        proportions=rows.loc[table["sample_type"].unique(), cells].to_numpy(),
    )
