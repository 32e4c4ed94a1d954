"""The type of each sample: labels in order, by the samples' names, or from samples that are mixed alike."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, DataError, RepairWarning, ShapeError, warn
from varmix.tables.alignment import refuse_renumbered
from varmix.tables.frame import try_frame
from varmix.tables.identifiers import label_text
from varmix.tables.labels import labelled
from varmix.typing import Index, Matrix

SHORT = 36
"""Characters of a composition that still is a name."""


def read_labels(sample_type: Any, samples: pd.Index[Any], genes: pd.Index[Any] | None) -> list[Hashable]:
    """A label per sample, in the order of `samples` (n,).

    By the samples' names where `sample_type` is a mapping or a pandas Series that has an index of its own; in order
    otherwise. `genes` serves to tell a transposed table. Raises ShapeError, AlignmentError (samples without a label,
    two samples or labels of one name, numbers on one side that the other counts in another order), DataError (a label
    that is missing or cannot be one).
    """
    if try_frame(sample_type) is not None:
        frame: Any = try_frame(sample_type)
        if frame.shape[1] == 2 and (pair := _by_column(frame, samples)) is not None:
            sample_type = pair
        elif frame.shape[1] != 1:
            raise ShapeError(
                f"sample_type is a data frame of {frame.shape[1]} columns. Pass one of them, or a mapping by sample."
            )
        elif isinstance(sample_type, pd.DataFrame):
            sample_type = sample_type.iloc[:, 0]
        else:
            sample_type = frame[frame.columns[0]].to_list()
    if isinstance(sample_type, str | bytes):
        raise ShapeError(f"sample_type={sample_type!r} is one label. Give one per sample ({len(samples):,}).")
    if isinstance(sample_type, pd.Series) and _names_samples(sample_type, samples):
        labels = _by_name(list(sample_type.index), list(sample_type), samples, genes)
    elif isinstance(sample_type, Mapping):
        labels = _by_name(list(sample_type), list(sample_type.values()), samples, genes)
    else:
        labels = _in_order(sample_type, len(samples), None if genes is None else len(genes))
    for name, label in zip(samples, labels, strict=True):
        _refuse_no_label(label, name)
    return labels


def number_types(labels: Sequence[Hashable]) -> tuple[Index, tuple[str, ...]]:
    """Types numbered from 0 in order of appearance (n,), and their names (D,): 1, 1.0 and "1" are one."""
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(label_text(label), len(numbers)) for label in labels], dtype=np.intp)
    return codes, tuple(numbers)


def whole_numbers(labels: Sequence[Hashable]) -> list[int] | None:
    """The labels as integers where all of them are, else None."""
    found = []
    for label in labels:
        if isinstance(label, bool | np.bool_) or not isinstance(label, int | np.integer | float | np.floating):
            return None
        if float(label) != int(label):
            return None
        found.append(int(label))
    return found


def alike(rows: Matrix, samples: pd.Index[Any], cell_types: Sequence[str]) -> tuple[Index, tuple[str, ...], Index]:
    """Samples of the same proportions are of one type: codes (n,), names (D,), the first sample of each type (D,).

    Samples with an unknown proportion are types of their own.
    """
    keys: dict[Hashable, int] = {}
    first: list[int] = []
    codes = np.empty(len(rows), dtype=np.intp)
    for at, row in enumerate(rows):
        key: Hashable = at if np.isnan(row).any() else tuple(row)
        if key not in keys:
            keys[key] = len(keys)
            first.append(at)
        codes[at] = keys[key]
    told = [_composition(rows[at], cell_types) for at in first]
    names = [
        name if name and told.count(name) == 1 else label_text(samples[at])
        for name, at in zip(told, first, strict=True)
    ]
    if len(set(names)) < len(names):
        names = [label_text(samples[at]) for at in first]
    return codes, tuple(names), np.array(first, dtype=np.intp)


def refuse_twice(names: Sequence[Any], what: str, error: type[DataError], advice: str) -> None:
    """Raise `error` for names that occur twice."""
    twice = [name for name, count in pd.Series(list(names), dtype=object).value_counts().items() if count > 1]
    if twice:
        raise error(f"{len(twice):,} of the {what} are named twice (first: '{twice[0]}'). {advice}")


def _composition(row: Matrix, cell_types: Sequence[str]) -> str | None:
    parts = [(share, name) for share, name in zip(row, cell_types, strict=True) if share != 0.0]
    if np.isnan(row).any():
        return None
    told = parts[0][1] if len(parts) == 1 else ", ".join(f"{name} {share:.4g}" for share, name in parts)
    return told if len(told) <= SHORT else None


def _names_samples(sample_type: pd.Series[Any], samples: pd.Index[Any]) -> bool:
    """Whether the index of a series says which sample an entry is of: not if it counts from 0, nor if unnamed numbers,
    which slicing leaves, meet samples without names."""
    own, columns = (labelled(item, "S")[0] for item in (sample_type, pd.Series(0, index=samples)))
    refuse_renumbered("sample_type", own, "columns of S", columns)
    return own.known and not (isinstance(sample_type.index, pd.RangeIndex) and own.sliced and columns.counted)


def _by_column(frame: Any, samples: pd.Index[Any]) -> dict[str, Any] | None:
    """Of two columns the one that names all samples beside the other, None where neither does."""
    wanted = {label_text(name) for name in samples}
    for names, types in (frame.columns, frame.columns[::-1]):
        cells = [label_text(cell) for cell in frame[names].to_list()]
        if wanted <= set(cells) and len(set(cells)) == len(cells):
            return dict(zip(cells, frame[types].to_list(), strict=True))
    return None


def _in_order(sample_type: Any, count: int, genes: int | None) -> list[Hashable]:
    if getattr(sample_type, "ndim", 1) == 2 and 1 in sample_type.shape:
        sample_type = sample_type.reshape(-1)
    if getattr(sample_type, "ndim", 1) != 1:
        raise ShapeError(f"sample_type has shape {sample_type.shape}. Give one label per sample ({count:,}).")
    if isinstance(sample_type, np.ma.MaskedArray):
        sample_type = [
            None if hidden else item
            for item, hidden in zip(sample_type.data, np.ma.getmaskarray(sample_type), strict=True)
        ]
    try:
        labels = list(sample_type)
    except TypeError as error:
        raise ShapeError(
            f"sample_type={sample_type!r} is one value. Give one label per sample ({count:,}), in order or by name."
        ) from error
    if len(labels) == count:
        return [label.item() if isinstance(label, np.generic) else label for label in labels]
    if genes is not None and len(labels) == genes:
        raise ShapeError(
            f"There are {len(labels):,} labels in sample_type, as many as S has rows: it looks transposed. S has one "
            "row per gene and one column per sample: pass S.T."
        )
    raise ShapeError(f"There are {len(labels):,} labels in sample_type and {count:,} samples. Give one per sample.")


def _by_name(
    names: list[Any], labels: list[Any], samples: pd.Index[Any], genes: pd.Index[Any] | None
) -> list[Hashable]:
    advice = "Give every sample a name of its own, or labels in the order of the samples."
    refuse_twice([label_text(name) for name in samples], "samples", AlignmentError, advice)
    refuse_twice([label_text(name) for name in names], "entries of sample_type", AlignmentError, advice)
    found = {label_text(name): label for name, label in zip(names, labels, strict=True)}
    missing = [label_text(name) for name in samples if label_text(name) not in found]
    if missing:
        if genes is not None and all(label_text(name) in found for name in genes):
            raise AlignmentError(
                "sample_type names the rows of S, not its columns: S looks transposed. It has one row per gene and one "
                "column per sample: pass S.T."
            )
        if isinstance(samples, pd.RangeIndex):
            raise AlignmentError(
                f"sample_type names samples ('{names[0] if names else ''}', ...), and S is without names of samples: "
                "pass S as a data frame, or the labels in the order of its columns (sample_type.to_numpy())."
            )
        raise AlignmentError(
            f"{len(missing):,} of {len(samples):,} samples have no entry in sample_type (first: '{missing[0]}'; it "
            f"names '{names[0] if names else ''}', ...). Name them, or leave these samples out of S."
        )
    extra = len(found) - len(samples)
    if extra:
        warn(f"{extra:,} entries of sample_type name no sample of S and are left out.", RepairWarning)
    return [found[label_text(name)] for name in samples]


def _refuse_no_label(label: Any, sample: Any) -> None:
    try:
        hash(label)
    except TypeError as error:
        raise DataError(
            f"The type of sample '{sample}' is a {type(label).__name__}, which cannot be a label. Give text or numbers."
        ) from error
    if label is None or label is pd.NA or label is pd.NaT or (isinstance(label, float) and np.isnan(label)):
        raise DataError(f"Sample '{sample}' has no type. Label it, or leave it out of S.")
