"""Estimated proportions beside known ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from varmix.cli.partitions_tables import of_types
from varmix.cli.terminal import note
from varmix.errors import NotAvailableError
from varmix.results import Fit
from varmix.results.partition_mixture.matching import match_cell_types
from varmix.results.partition_mixture.report import PartitionMixtureReport


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """`table` has a row per proportion that was estimated and is known: sample_type, cell_type, estimate, se, known and
    difference. `known` (D, T) is what was given for the sample types of the fit."""

    table: pd.DataFrame = field(repr=False)
    known: pd.DataFrame = field(repr=False)

    @property
    def correlation(self) -> float:
        """Of estimates and known proportions; NaN where one of them does not vary."""
        left, right = self.table["estimate"].to_numpy(), self.table["known"].to_numpy()
        if len(left) < 2 or np.ptp(left) == 0.0 or np.ptp(right) == 0.0:
            return math.nan
        return float(np.corrcoef(left, right)[0, 1])

    @property
    def error(self) -> float:
        """Mean absolute difference."""
        return float(np.abs(self.table["difference"]).mean())


def matched_fit(fit: Fit, known: pd.DataFrame, types: dict[str, str] | None, report: PartitionMixtureReport) -> Fit:
    """The fit with the cell types named as in `known`, as it is where data or prior name them already.

    Raises AlignmentError (sample types or cell types that `known` does not have).
    """
    rows = of_types(known, report.labels.sample_types, types)
    try:
        return match_cell_types(fit, rows)
    except NotAvailableError as problem:
        if set(report.problem.base.partitions.types) != set(known.columns):
            raise
        note(f"Cell types are compared by their names: {problem}")
        return fit


def compared(
    proportions: pd.DataFrame, known: pd.DataFrame, types: dict[str, str] | None, sample_types: tuple[str, ...]
) -> Comparison:
    """Hold the proportions of a matched fit against known ones."""
    rows = of_types(known, sample_types, types)
    long = rows.stack().rename("known").rename_axis(["sample_type", "cell_type"]).reset_index()
    estimated = proportions.loc[proportions["interval"] != "known", ["sample_type", "cell_type", "estimate", "se"]]
    table = estimated.merge(long, on=["sample_type", "cell_type"], how="inner").dropna(subset=["known"])
    return Comparison(table=table.assign(difference=table["estimate"] - table["known"]), known=rows)
