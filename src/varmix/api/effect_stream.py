"""`random_effect_mixture` for tables that come in chunks: files, functions that make frames, Dask collections."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import OptionError, RepairWarning, warn
from varmix.iteration import Runner, Serial, Threads
from varmix.models.random_effect_mixture.drawing import draw_rows
from varmix.models.random_effect_mixture.identification import check_identified
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.number_range import check_residual, check_scales
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.ratios import ResponseRatios
from varmix.models.random_effect_mixture.reduction import Reduction
from varmix.models.random_effect_mixture.stream.posterior import posterior_tables
from varmix.models.random_effect_mixture.stream.reduction import StreamReduction, is_dask, stream_reduction
from varmix.models.random_effect_mixture.stream.rows import Columns
from varmix.results.random_effect_mixture.rows import Rows
from varmix.tables.frame import try_frame
from varmix.tables.group_labels import group_positions
from varmix.typing import Tick, Vector

MOST_THREADS = 4
"""As for rows in memory: more gain little."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectStream:
    """Rows of a stream, read once and reduced; `name` is that of the response."""

    reduction: StreamReduction
    name: str

    def sample(self) -> pd.DataFrame:
        """What was used and lost: columns `what`, `cause`, `count`."""
        facts = self.reduction.facts
        table = [{"what": "rows", "cause": "used", "count": facts.rows}]
        if facts.dropped:
            table.append({"what": "rows", "cause": "dropped, incomplete", "count": facts.dropped})
        if self.reduction.grouped is not None:
            table.append({"what": "groups", "cause": "used", "count": self.reduction.groups})
        zero = facts.rows - facts.regressor.count
        if zero:
            table.append({"what": "rows", "cause": "used for the residual only (x = 0)", "count": zero})
        return pd.DataFrame(table)

    def ratios(self) -> ResponseRatios:
        """Whether y look like ratios."""
        return self.reduction.facts.ratios

    def outline(self) -> Reduction:
        """Units that identify what all of them identify."""
        return self.reduction.outline()

    def runner(self, workers: int | None) -> Runner:
        """Where the pieces are added up: on their cluster, or here in `workers` threads (by default where it pays).

        Raises OptionError for `workers` below 1.
        """
        if workers is not None and (int(workers) != workers or workers < 1):
            raise OptionError(f"workers={workers!r} must be a whole number of at least 1.")
        if not isinstance(self.reduction.runner, Serial):
            return self.reduction.runner
        count = workers or min(MOST_THREADS, os.cpu_count() or 1)
        return Threads(count) if count > 1 and len(self.reduction.pieces) > 1 else Serial()

    def rows(self) -> Rows:
        """What the report needs of rows that are not in memory: read again when asked for."""
        return Rows(count=self.reduction.facts.rows, posterior=self.posterior, augment=self.augment, draw=self.draw)

    def augment(self, effects: Vector) -> pd.DataFrame:
        """One row per row: `row`, `y`, `x`, `group` where there are any, `fitted`, `resid`. Reads the source again."""
        given = self._again()
        table, labels = pd.DataFrame({name: given[name] for name in ("row", "y", "x")}), self.reduction.labels
        group = given.get("group")
        fitted = (effects if group is None else effects[group]) * given["x"]
        if group is not None and labels is not None:
            table["group"] = labels[group]
        return table.assign(fitted=fitted, resid=given["y"] - fitted)

    def draw(self, params: MixtureParams, rng: np.random.Generator) -> Vector:
        """Responses drawn at a point in internal units, shape (n,). Reads the source again."""
        given = self._again()
        point = self.reduction.outward(params)
        return draw_rows(point, given["x"], rng, group=given.get("group"), errors=given.get("se"))

    def _again(self) -> dict[str, Any]:
        """Numbers of the rows used, y, x, standard errors and groups as given, of all rows."""
        parts: dict[str, list[Any]] = {}
        for _, found, place in self.reduction.reader.chunks():
            columns = {"row": np.flatnonzero(found.kept) + (place.first or 0), "y": found.y, "x": found.x}
            if found.errors is not None:
                columns["se"] = found.errors
            if self.reduction.labels is not None:
                columns["group"] = group_positions(self.reduction.labels, np.asarray(found.rows.group))
            for name, values in columns.items():
                parts.setdefault(name, []).append(np.array(values))
        return {name: np.concatenate(values) for name, values in parts.items()}

    def posterior(self, params: MixtureParams) -> pd.DataFrame:
        """Of all effects at once: `posterior_tables` gives them chunk by chunk."""
        return pd.concat(list(posterior_tables(self.reduction, params)), ignore_index=True)


def is_stream(data: Any) -> bool:
    """Whether `data` is read in chunks: a path, a list, a function or a Dask collection, not a data frame."""
    if is_dask(data):
        return True
    if data is None or isinstance(data, Mapping) or try_frame(data) is not None:
        return False
    return isinstance(data, str | PathLike | list | tuple) or callable(data) or hasattr(data, "__next__")


def read_stream(
    y: Any,
    x: Any,
    *,
    group: Any = None,
    se: Any = None,
    weights: Any = None,
    data: Any,
    on_missing: str | None = None,
    tick: Tick | None = None,
) -> EffectStream:
    """Columns of `data` by name. Rows with missing entries are dropped with a count unless `on_missing` is "error".

    Raises OptionError for columns that are not named, and what `stream_reduction` raises.
    """
    given = {"y": y, "x": x, "group": group, "se": se, "weights": weights}
    for role, value in given.items():
        if not isinstance(value, str) and (value is not None or role in ("y", "x")):
            raise OptionError(
                f"{role} must name a column where data= is read in chunks, not be a {type(value).__name__}. Give the "
                "name of the column."
            )
    columns = Columns(y=y, x=x, group=group, se=se, weights=weights)
    how: Any = on_missing or "drop"
    found = stream_reduction(data, columns, on_missing=how, tick=tick)
    if lost := found.facts.dropped:
        warn(f"{lost:,} of {lost + found.facts.rows:,} rows were dropped for missing entries.", RepairWarning)
    return EffectStream(reduction=found, name=y)


def stream_model(rows: EffectStream, *, classes: int, null: bool, residual: float | None) -> RandomEffectMixture:
    """The model of a stream. Raises NotIdentifiedError and DataError."""
    scales = rows.reduction.scales
    check_scales(scales.response, scales.regressor)
    check_residual(residual, scales.residual)
    check_identified(rows.outline(), classes, null, residual)
    reduction: Any = rows.reduction if rows.reduction.grouped is None else rows.reduction.grouped
    pieces: Any = rows.reduction.pieces
    return RandomEffectMixture(reduction=reduction, classes=classes, null=null, residual=residual, pieces=pieces)
