"""Vectors whose entries carry ids of variants: the index of a pandas Series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import AlignmentError
from varmix.tables.identifiers import id_text
from varmix.typing import Index


def labels_of(values: Any) -> NDArray[np.object_] | None:
    """The index of a pandas Series as text, shape (p,); None where there is none, or it only numbers rows from 0."""
    if not isinstance(values, pd.Series) or is_numbered(values.index):
        return None
    return id_text(list(values.index))


def is_numbered(index: pd.Index[Any]) -> bool:
    """Whether an index without a name counts 0, 1, 2, ..., as pandas numbers rows that nobody named."""
    return index.name is None and index.dtype.kind in "iu" and bool(np.array_equal(index, np.arange(len(index))))


def positions_of(labels: NDArray[np.object_], ids: Any, what: str, where: str) -> Index:
    """Where the entries of `what` are among `ids`, shape (p,); -1 where absent.

    Both compare as text. Ids that `where` lists twice do no harm unless they are asked for. Raises AlignmentError for
    ids asked for that are there twice in either, and where none is found.
    """
    known = pd.Index(id_text(ids), dtype=object)
    asked = pd.Index(labels, dtype=object)
    for listed, name in ((asked, what), (known[known.isin(asked)], where)):
        twice = listed.duplicated()
        if twice.any():
            raise AlignmentError(
                f"{name} lists variant ids twice ({int(twice.sum()):,} such entries; first: "
                f"'{listed[int(twice.argmax())]}'), so that variants cannot be matched. Give each its own id."
            )
    unique = known[~known.duplicated()]
    place = np.flatnonzero(~known.duplicated())
    at = unique.get_indexer(asked)
    if not (at >= 0).any():
        raise AlignmentError(
            f"None of the {len(asked):,} ids of {what} is in {where} (first: '{asked[0]}' and '{known[0]}'). Use the "
            "same ids in both."
            if len(asked) and len(known)
            else f"{what} and {where} share no id: one of them is empty."
        )
    return np.where(at >= 0, place[at], -1).astype(np.intp)
