"""Tables of the parameters of a fit of partitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from varmix.models.partition.problem import PURE, VARIANCE
from varmix.results import broom
from varmix.results.partition_mixture.estimates import Estimates
from varmix.results.partition_mixture.intervals import Intervals


class Parameters:
    """Shares, variances, mean, shapes of the noise and proportions with their intervals."""

    def __init__(self, estimates: Estimates, intervals: Intervals, sample_types: tuple[str, ...]) -> None:
        self.estimates = estimates
        self.intervals = intervals
        self.sample_types = sample_types

    def shares(self, level: float) -> pd.DataFrame:
        """One row per partition in words: estimate, se, lower, upper, interval, on_boundary."""
        first = self.estimates.first_share
        words = self.estimates.problem.base.partitions.words
        return pd.DataFrame([{"partition": word, **self._row(first + j, level)} for j, word in enumerate(words)])

    def components(self, level: float) -> pd.DataFrame:
        """One row per variance of the model: that of block means, then noise."""
        rows = []
        for at in self._scalars(VARIANCE):
            row = self._row(at, level)
            values: dict[str, Any] = {"term": self.estimates.problem.scalars[at].name, "name": "variance"}
            values |= {"estimate": row.pop("estimate"), "sd": math.sqrt(self.estimates.values[at])}
            rows.append(values | row | {"of": self.estimates.problem.scalars[at].words})
        return pd.DataFrame(rows)

    def coefficients(self, level: float) -> pd.DataFrame:
        """The mean of block means, as the one fixed effect."""
        row = self._row(0, level)
        error = row["se"]
        statistic = row["estimate"] / error if error > 0.0 else math.nan
        values = {"estimate": row["estimate"], "se": error, "df": math.inf, "statistic": statistic, "p": math.nan}
        return pd.DataFrame([values | {"lower": row["lower"], "upper": row["upper"]}], index=pd.Index(["mean"]))

    def shapes(self, level: float) -> pd.DataFrame:
        """Exponents of the noise and the spread of the genes' own scales."""
        scalars = self.estimates.problem.scalars
        rows = [
            {"name": scalars[at].name, **self._row(at, level), "of": scalars[at].words} for at in self._scalars(PURE)
        ]
        return pd.DataFrame(rows, columns=["name", "estimate", "se", "lower", "upper", "interval", "on_boundary", "of"])

    def proportions(self, level: float) -> pd.DataFrame:
        """One row per sample type and cell type; intervals are Wald's, at 0 a quadratic's (`interval`: profiles)."""
        first = self.estimates.first_share + len(self.estimates.shares)
        cells = self.estimates.problem.base.partitions.types
        rows = [(d, t) for d in range(len(self.sample_types)) for t in range(len(cells))]
        return pd.DataFrame(
            {
                "sample_type": self.sample_types[d],
                "cell_type": cells[t],
                **self._row(first + d * len(cells) + t, level, quick=True),
            }
            for d, t in rows
        )

    def tidy(self, level: float) -> pd.DataFrame:
        """All of them in broom's columns."""
        tables = [("fixed", self.coefficients(level).reset_index(names="name"), "name")]
        tables += [("ran_pars", self.components(level), "term"), ("ran_pars", self.shapes(level), "name")]
        tables += [("share", self.shares(level), "partition")]
        parts = []
        for effect, table, named in tables:
            part = table.drop(columns=["term", "name", "effect"], errors="ignore")
            part = part.rename(columns={"se": "std_error", "lower": "conf_low", "upper": "conf_high"})
            parts.append(part.assign(effect=effect, term=table[named] if len(table) else None))
        estimated = self.proportions(level).query("interval != 'known'")
        if len(estimated):
            part = estimated.rename(columns={"se": "std_error", "lower": "conf_low", "upper": "conf_high"})
            parts.append(part.assign(effect="proportion", group=part["sample_type"], term=part["cell_type"]))
        return broom.in_columns([part for part in parts if len(part)])

    def _scalars(self, power: int) -> list[int]:
        """Coordinates of a kind that the model has: not those that it holds at 0, or at the exponent of a term so."""
        scalars, held, inner = self.estimates.problem.scalars, self.estimates.held, self.estimates.inner
        here = [at for at, scalar in enumerate(scalars) if scalar.power == power]
        return [at for at in here if not held[at] or (power == VARIANCE and inner[at] > 0.0)]

    def _row(self, at: int, level: float, *, quick: bool = False) -> dict[str, Any]:
        estimates = self.estimates
        value, held = float(estimates.values[at]), bool(estimates.held[at])
        ends = self.intervals.quick if quick else self.intervals.default
        lower, upper, used = (math.nan, math.nan, "known") if held else ends(at, level)
        error = math.nan if held else float(estimates.standard_errors[at])
        return {
            "estimate": value,
            "se": error if np.isfinite(error) or math.isinf(error) else math.nan,
            "lower": lower,
            "upper": upper,
            "interval": used,
            "on_boundary": not held and at > 0 and (value == 0.0 or self.intervals.at_upper(at)),
        }
