"""Tables of a fit of partitions as the command line tells and writes them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from varmix.cli.partitions_known import Comparison, compared, matched_fit
from varmix.cli.partitions_request import PartitionsOutput
from varmix.cli.partitions_tables import PartitionTables, types_of
from varmix.errors import ConvergenceWarning, warn
from varmix.inference.wald import LEVEL
from varmix.results import Fit
from varmix.results.partition_mixture.report import PartitionMixtureReport

BY_GENE = {"genes": "classes", "expression": "expression", "together": "together", "differences": "differences"}
"""Names of files, and the tables of the library in them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartitionFindings:
    """A fit with its tables at one level.

    `tables` are those of parameters: shares, components, coefficients, shapes (where the noise has any), proportions.
    `genes` are those of the genes of the fit, `predicted` of new ones, by the names of files; `bootstrap` has a row per
    parameter, `comparison` holds proportions against known ones; None where not asked for. `notes` are warnings that
    came up on the way.
    """

    fit: Fit
    level: float
    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    genes: Mapping[str, pd.DataFrame] = field(repr=False)
    predicted: Mapping[str, pd.DataFrame] = field(repr=False)
    bootstrap: pd.DataFrame | None = field(repr=False)
    comparison: Comparison | None = field(repr=False)
    notes: tuple[str, ...]

    @property
    def estimated(self) -> bool:
        """Whether any proportion is estimated."""
        return bool((self.tables["proportions"]["interval"] != "known").any())


def find_partitions(fit: Fit, read: PartitionTables, output: PartitionsOutput) -> PartitionFindings:
    """Derive the tables; the cell types are named by known proportions first.

    Raises what `match_cell_types`, `fit.bootstrap` and `fit.predict` raise.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        if read.known is not None:
            fit = matched_fit(fit, read.known, read.types, _report(fit))
        report = _report(fit)
        tables = _parameters(fit, report, output.level)
        draws = None
        if output.bootstrap is not None:
            draws = _bootstrap(fit, report, output)
            tables = {name: _by_bootstrap(name, table, draws) for name, table in tables.items()}
        comparison = None
        if read.known is not None:
            comparison = compared(tables["proportions"], read.known, read.types, report.labels.sample_types)
        predicted: dict[str, pd.DataFrame] = {}
        if read.new is not None:
            found: Any = fit.predict(read.new, sample_type=types_of(read.new, read.types))
            predicted = {name: getattr(found, table) for name, table in BY_GENE.items()}
    told = [" ".join(str(item.message).split()) for item in caught if issubclass(item.category, ConvergenceWarning)]
    for item in caught:
        if not issubclass(item.category, ConvergenceWarning):
            warn(item.message)
    return PartitionFindings(
        fit=fit,
        level=output.level,
        tables=tables,
        genes={name: fit.table(table) for name, table in BY_GENE.items()},
        predicted=predicted,
        bootstrap=draws,
        comparison=comparison,
        notes=tuple(dict.fromkeys(told)),
    )


def _report(fit: Fit) -> PartitionMixtureReport:
    assert isinstance(fit.report, PartitionMixtureReport)
    return fit.report


def _parameters(fit: Fit, report: PartitionMixtureReport, level: float) -> dict[str, pd.DataFrame]:
    """The tables of parameters; those that the fit keeps where their level is asked for."""
    found = report.parameters
    made: dict[str, Callable[[float], pd.DataFrame]] = {
        "shares": found.shares,
        "components": found.components,
        "coefficients": found.coefficients,
        "shapes": found.shapes,
        "proportions": found.proportions,
    }
    kept = {name: make for name, make in made.items() if name in report.tables}
    tables = {name: fit.table(name) if level == LEVEL else make(level) for name, make in kept.items()}
    return tables | {"coefficients": tables["coefficients"].rename_axis("name").reset_index()}


def _bootstrap(fit: Fit, report: PartitionMixtureReport, output: PartitionsOutput) -> pd.DataFrame:
    """One row per parameter: term, estimate, se, bias, lower, upper, draws."""
    result = fit.bootstrap(output.bootstrap or 0, output.seed)
    lower, upper = result.interval(level=output.level)
    values = report.estimates.values
    bias = np.nanmean(result.replicates, axis=0) - values
    table = pd.DataFrame(
        {
            "term": result.names,
            "estimate": values,
            "se": result.standard_errors,
            "bias": bias,
            "lower": lower,
            "upper": upper,
        }
    )
    table.loc[np.asarray(report.estimates.held), ["se", "bias", "lower", "upper"]] = math.nan
    return table.assign(draws=len(result.replicates) - result.failed)


def _by_bootstrap(name: str, table: pd.DataFrame, draws: pd.DataFrame) -> pd.DataFrame:
    """A table with the standard errors and intervals of a bootstrap, where its parameters are estimated."""
    by_term = draws.set_index("term")[["se", "lower", "upper"]]
    found = by_term.reindex(_terms(name, table))
    here = found["se"].notna().to_numpy()
    new = table.copy()
    new.loc[here, ["se", "lower", "upper"]] = found.to_numpy()[here]
    if "interval" in new:
        new.loc[here, "interval"] = "bootstrap"
    return new


def _terms(name: str, table: pd.DataFrame) -> list[str]:
    """Names of the parameters in the rows of a table."""
    if name == "shares":
        return [f"share[{word}]" for word in table["partition"]]
    if name == "proportions":
        pairs = zip(table["sample_type"], table["cell_type"], strict=True)
        return [f"proportion[{row}, {cell}]" for row, cell in pairs]
    return list(table["term" if name == "components" else "name"])
