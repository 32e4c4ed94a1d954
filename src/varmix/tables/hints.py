"""Why labels of two sources may not match: families, swapped columns, zeros, case, prefixes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

import numpy as np

from varmix.tables.identifiers import NO_FAMILY
from varmix.tables.labels import SEPARATOR, Labels
from varmix.typing import Index, Mask

FEW = 0.5
"""Share of the lost rows that must match once the labels are changed: fewer match by chance."""


def hint(mine: Labels, theirs: Labels, lost: Mask) -> str:
    """What would make the lost rows (n,) of the first source match; empty where nothing known does."""
    rows = np.flatnonzero(lost)
    family, individual = _parts(mine, rows)
    other_family, other_individual = _parts(theirs, np.arange(theirs.rows))
    others = set(other_individual)
    if any(SEPARATOR in item for item in (*individual, *other_individual)):
        return "The index of one has several levels: name those of the ids FID and IID."

    def match(left: Iterable[str], right: Iterable[str]) -> bool:
        right = set(right)
        kept = list(left)
        return bool(kept) and sum(item in right for item in kept) >= FEW * len(kept)

    if match(individual, others):
        return "The IIDs match and the FIDs do not: write the same FIDs, or 0 for all in one of them."
    known, other_known = ([item for item in side if item != NO_FAMILY] for side in (family, other_family))
    if match(individual, other_known) or match(known, others):
        return "The IIDs of one are the FIDs of the other: FID and IID seem to be swapped."
    joined = [f"{one}_{two}" for one, two in zip(family, individual, strict=True)]
    other_joined = [f"{one}_{two}" for one, two in zip(other_family, other_individual, strict=True)]
    if match(individual, other_joined) or match(joined, others):
        return "One of them joins FID and IID with '_': split them into two columns."
    if match((item.lstrip("0") for item in individual), (item.lstrip("0") for item in others)):
        return "They match without leading zeros: one of them was read as numbers."
    if match((item.casefold() for item in individual), (item.casefold() for item in others)):
        return "They match apart from upper and lower case."
    if match((item.strip() for item in individual), (item.strip() for item in others)):
        return "They match without the blanks around them."
    here = set(_parts(mine, np.arange(mine.rows))[1])
    unmatched = [item for item in other_individual if item not in here]
    for beginning in (_beginning(individual), _beginning(unmatched)):
        for length in range(len(beginning), 0, -1):  # digits at its end may belong to the labels
            cut = beginning[:length]
            if match((item.removeprefix(cut) for item in individual), others) or match(
                individual, (item.removeprefix(cut) for item in others)
            ):
                return f"They match without the '{cut}' that one side begins with: remove it."
    return ""


def _beginning(items: list[str]) -> str:
    """What all of them begin with."""
    if not items:
        return ""
    least, most = min(items), max(items)
    return "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(least, most, strict=False)))


def _parts(source: Labels, rows: Index) -> tuple[list[str], list[str]]:
    if source.ids is not None:
        table = source.ids.iloc[rows]
        return table["FID"].tolist(), table["IID"].tolist()
    names = [] if source.index is None else [str(item) for item in source.index[rows]]
    return [NO_FAMILY] * len(names), names
