"""Samples of other mixtures than those of a fit: their types and known proportions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, NotIdentifiedError, ShapeError
from varmix.tables.frame import try_frame
from varmix.tables.identifiers import label_text
from varmix.tables.named_rows import named_rows
from varmix.tables.numbers import real_numbers
from varmix.tables.proportion_rows import checked_rows
from varmix.tables.sample_types import alike, number_types, read_labels, refuse_twice
from varmix.typing import Index, Matrix


def new_mixtures(
    proportions: Any, sample_type: Any, samples: pd.Index[Any], genes: pd.Index[Any] | None, cell_types: tuple[str, ...]
) -> tuple[Matrix, Index]:
    """Proportions of types (D, T) and the type of each sample (n,).

    `proportions` is a data frame with the cell types as columns and a row per label of `sample_type`, or without
    labels a row per sample; a mapping of such rows; or an array (n, T) with a row per sample. All are known. Raises
    AlignmentError, ShapeError, NotIdentifiedError, and as `checked_rows`.
    """
    labels = None if sample_type is None else read_labels(sample_type, samples, genes)
    if isinstance(proportions, Mapping):
        proportions = pd.DataFrame.from_dict(dict(proportions), orient="index", columns=list(cell_types))
    if try_frame(proportions) is None:
        rows = np.asarray(real_numbers(proportions, "proportions"), dtype=np.float64)
        if labels is not None or rows.shape != (len(samples), len(cell_types)):
            raise ShapeError(
                f"proportions is an array of shape {rows.shape}. Without names it needs a row for each of the "
                f"{len(samples):,} samples, {len(cell_types)} columns, and no sample_type; or pass a data frame."
            )
        return _alike(rows, samples, cell_types)
    table = named_rows(proportions)
    names = [label_text(name) for name in table.index]
    refuse_twice(names, "rows of proportions", AlignmentError, "Give one row for each.")
    columns = pd.Index([label_text(name).strip() for name in table.columns])
    if missing := [name for name in cell_types if name not in columns]:
        raise AlignmentError(
            f"proportions has no column '{missing[0]}'. The fit's cell types are {', '.join(cell_types)}."
        )
    values = table.set_axis(columns, axis=1)[list(cell_types)].to_numpy(dtype=np.float64)
    if labels is None:
        return _alike(_rows(values, names, [label_text(name) for name in samples], "samples"), samples, cell_types)
    codes, types = number_types(labels)
    return _known(_rows(values, names, list(types), "sample types"), types, cell_types), codes


def _alike(rows: Matrix, samples: pd.Index[Any], cell_types: tuple[str, ...]) -> tuple[Matrix, Index]:
    known = _known(rows, [label_text(name) for name in samples], cell_types)
    codes, _, first = alike(known, samples, cell_types)
    return known[first], codes


def _rows(values: Matrix, names: list[str], wanted: list[str], what: str) -> Matrix:
    places = {name: at for at, name in enumerate(names)}
    if missing := [name for name in wanted if name not in places]:
        raise AlignmentError(
            f"{len(missing):,} of {len(wanted):,} {what} have no row in proportions (first: '{missing[0]}'). Add them."
        )
    return np.asarray(values[[places[name] for name in wanted]])


def _known(rows: Matrix, names: Any, cell_types: tuple[str, ...]) -> Matrix:
    checked, _ = checked_rows(rows, list(names), cell_types)
    if np.isnan(checked).any():
        at = int(np.isnan(checked).any(axis=1).argmax())
        raise NotIdentifiedError(
            f"A proportion of '{list(names)[at]}' is missing: those of new samples are not estimated. Give it."
        )
    return checked
