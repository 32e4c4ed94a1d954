"""Vectors of z scores and sample sizes brought to the variants of a panel: by their labels, else by position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.api.panel import Panel
from varmix.errors import AlignmentError, ShapeError
from varmix.models.linear.correlation.ld import LdScores
from varmix.tables.identifiers import id_text
from varmix.tables.numbers import real_numbers
from varmix.tables.variant_labels import labels_of
from varmix.typing import Vector

NAMES = ("z of the first study", "z of the second study", "n1", "n2")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JoinedVectors:
    """(z1, z2, n1, n2) at the same variants, the LD scores of these, and counts of what was lost."""

    values: tuple[Any, Any, Any, Any]
    scores: LdScores
    counts: dict[str, int]


def join_vectors(panel: Panel, given: tuple[Any, Any, Any, Any]) -> JoinedVectors:
    """z1, z2, n1, n2: vectors in the order of the panel, Series whose index holds variant ids, numbers or None.

    A Series is joined by its index to the panel's ids. Without ids in the panel, positions count, and every index has
    to be in the same order. Raises AlignmentError (an index that does not fit the panel or another one, an id twice, no
    n for a variant), ShapeError.
    """
    labels = [labels_of(values) for values in given]
    if all(part is None for part in labels):
        return JoinedVectors(values=_taken(panel, given), scores=panel.scores, counts={})
    if panel.ids is None:
        _refuse_other_order(given)
        return JoinedVectors(values=_taken(panel, given), scores=panel.scores, counts={})
    return _by_label(panel, given, labels)


def _taken(panel: Panel, given: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
    z1, z2, n1, n2 = (panel.taken(values) for values in given)
    return z1, z2, n1, n2


def _refuse_other_order(given: tuple[Any, ...]) -> None:
    """No ids in the panel: an index can only be compared with the other ones, and with the numbers of rows."""
    known = [(name, id_text(list(v.index))) for name, v in zip(NAMES, given, strict=True) if isinstance(v, pd.Series)]
    advice = "Bring them to one order, that of the LD, or give LD with variant ids to be joined by them."
    for name, labels in known:
        other_name, other = known[0]
        if len(labels) == len(other) and (labels != other).any():
            at = int((labels != other).argmax())
            raise AlignmentError(
                f"The indices of {other_name} and {name} differ (first at entry {at}, counted from 0: '{other[at]}' "
                f"and '{labels[at]}'), and this LD has no variant ids to join them by. {advice}"
            )
        rows = np.arange(len(labels)).astype(str).astype(object)
        if (labels != rows).any() and set(labels) == set(rows):
            raise AlignmentError(
                f"The index of {name} holds the numbers of rows in another order, and this LD has no variant ids to "
                f"join them by. {advice}"
            )


def _by_label(panel: Panel, given: tuple[Any, ...], labels: list[Any]) -> JoinedVectors:
    length = panel.scores.first.size
    inside = np.ones(length, dtype=np.bool_)
    counts: dict[str, int] = {}
    placed: list[Any] = []
    present = []
    for name, values, own in zip(NAMES, given, labels, strict=True):
        there = np.ones(length, dtype=np.bool_)
        if own is None:
            placed.append(_by_position(panel, values, name))
        else:
            full, there = _at_places(panel, values, own, name)
            placed.append(full)
            if name.startswith("z"):
                study = name.split()[3]
                counts[f"variants in the {study}"] = len(own)
                counts[f"in the {study} and not in the panel"] = len(own) - int(there.sum())
                inside &= there
        present.append(there)
    if not inside.any():
        raise AlignmentError("No variant of the panel is in the index of both z of the first and the second study.")
    for name, there, own in zip(NAMES, present, labels, strict=True):
        absent = inside & ~there
        if own is not None and absent.any():
            raise AlignmentError(
                f"{name} has no entry for {int(absent.sum()):,} of {int(inside.sum()):,} variants (first: "
                f"'{id_text(panel.ids)[int(absent.argmax())]}'). Give one for every variant with z scores."
            )
    keep = np.flatnonzero(inside)
    z1, z2, n1, n2 = (values if values is None or np.ndim(values) == 0 else values[keep] for values in placed)
    return JoinedVectors(values=(z1, z2, n1, n2), scores=panel.scores.taken(keep), counts=counts)


def _by_position(panel: Panel, values: Any, name: str) -> Any:
    values = panel.taken(values)
    if values is None or np.ndim(values) == 0:
        return values
    array = np.asarray(real_numbers(values, name), dtype=np.float64)
    if array.shape != (panel.scores.first.size,):
        raise ShapeError(
            f"{name} has shape {array.shape} and no index of variant ids, for LD of {panel.scores.first.size:,} "
            "variants. Give one number per variant of the LD, or a Series with ids as its index."
        )
    return array


def _at_places(panel: Panel, values: Any, labels: Any, name: str) -> tuple[Vector, Any]:
    numbers = np.asarray(real_numbers(values, name), dtype=np.float64)
    place = panel.places(labels, f"the index of {name}")
    full = np.full(panel.scores.first.size, np.nan)
    there = np.zeros(full.size, dtype=np.bool_)
    found = place >= 0
    full[place[found]], there[place[found]] = numbers[found], True
    return full, there
