"""What is learned of genes while they are reduced, in one table or chunk by chunk; facts of parts add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError, NotFiniteError, NotIdentifiedError, OptionError, RepairWarning, warn
from varmix.tables.expression_values import ExpressionValues
from varmix.typing import Mask, Matrix, Vector

MASK, ERROR, DROP = "mask", "error", "drop"

LARGEST, SMALLEST = 1e150, 1e-150
"""Sizes of values whose squares float64 holds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpressionFacts:
    """Of all genes as given: how many, and how many are `empty` (no value), `incomplete` or `constant`.

    `masked` counts missing values of genes that are used, `dropped` the genes with a value that are not; `seen` (n,)
    the values of each sample in the genes that are used; `lowest` and `highest` are their range.
    """

    given: int
    empty: int
    incomplete: int
    missing: int
    dropped: int
    masked: int
    constant: int
    negative: int
    seen: Vector
    lowest: float
    highest: float

    def __add__(self, other: ExpressionFacts) -> ExpressionFacts:
        sums = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        sums["lowest"] = min(self.lowest, other.lowest)
        sums["highest"] = max(self.highest, other.highest)
        return ExpressionFacts(**sums)

    @property
    def used(self) -> int:
        """Genes that are fitted."""
        return self.given - self.empty - self.dropped

    def check(self) -> None:
        """Raises DataError (no gene left, values whose squares overflow or vanish) and NotIdentifiedError (all
        equal)."""
        if not self.used:
            why = f"{self.empty:,} have no value" + (f", {self.dropped:,} are incomplete" if self.dropped else "")
            advice = "Pass on_missing='mask' to use what they have." if self.dropped else "Check how S was read."
            raise DataError(f"None of the {self.given:,} genes can be used: {why}. {advice}")
        if self.lowest == self.highest:
            raise NotIdentifiedError(
                f"All values are {self.lowest:.6g}: there is nothing to tell genes or types apart. Check how "
                "S was read."
            )
        if self.constant == self.used and self.seen.size > 1:
            raise NotIdentifiedError(
                f"All {self.used:,} genes are constant: none differs between samples, so that nothing tells types "
                "apart or shows the noise. Check how S was read."
            )
        largest = max(abs(self.lowest), abs(self.highest))
        if not (largest <= LARGEST and self.highest - self.lowest >= SMALLEST):
            raise DataError(
                f"The largest value is {largest:.3g} in size and values range over {self.highest - self.lowest:.3g}: "
                "squares are beyond what float64 can hold. Rescale S, for instance to a standard deviation of 1."
            )

    def lost(self) -> dict[str, int]:
        """Counts by cause, of what was dropped or masked."""
        table = {
            "genes dropped, no value": self.empty,
            "genes dropped, incomplete": self.dropped,
            "values masked": self.masked,
            "genes with masked values": self.incomplete - self.dropped if self.masked else 0,
            "samples dropped, no value": int((self.seen == 0.0).sum()),
        }
        return {cause: count for cause, count in table.items() if count}


def usable_genes(table: ExpressionValues, on_missing: str, *, first: int = 0) -> tuple[Mask, ExpressionFacts]:
    """Which genes are used (G,), and what was learned. `first` is the number of the first gene in all of S.

    Raises NotFiniteError: infinite values, with gene and sample; missing ones, with counts, where `on_missing` is
    "error".
    """
    values = table.values
    with np.errstate(all="ignore"):
        finite = bool(np.isfinite(values.sum()))
    absent: Mask | None = None
    if not finite:
        _refuse_infinity(table, first)
        absent = np.isnan(values)
    missing = np.zeros(len(values), dtype=np.intp) if absent is None else absent.sum(axis=1)
    empty = missing == values.shape[1]
    incomplete = (missing > 0) & ~empty
    if on_missing == ERROR and missing.any():
        at = int(missing.argmax()) if not incomplete.any() else int(incomplete.argmax())
        raise NotFiniteError(
            f"{int(missing.sum()):,} values are missing in {int((missing > 0).sum()):,} of {len(values):,} genes "
            f"(first: {_gene(table, at, first)}). Pass on_missing='mask' to use the values that are there, or 'drop' "
            "to leave out these genes."
        )
    kept = ~empty & ~incomplete if on_missing == DROP else ~empty
    used = values if kept.all() else values[kept]
    low, high = _range(used, axis=1, missing=bool(missing.any()))
    return kept, ExpressionFacts(
        given=len(values),
        empty=int(empty.sum()),
        incomplete=int(incomplete.sum()),
        missing=int(missing.sum()),
        dropped=int((incomplete & ~kept).sum()),
        masked=int(missing[kept].sum()),
        constant=int((low == high).sum()),
        negative=int((used < 0.0).sum()) if low.size and low.min() < 0.0 else 0,
        seen=np.full(values.shape[1], float(len(used))) - (0.0 if absent is None else absent[kept].sum(axis=0)),
        lowest=float(low.min(initial=np.inf)),
        highest=float(high.max(initial=-np.inf)),
    )


def check_on_missing(on_missing: str | None, framed: bool) -> str:
    """What to do with missing values: arrays refuse them and data frames mask them unless told. Raises OptionError."""
    if on_missing is None:
        return MASK if framed else ERROR
    if on_missing not in (MASK, ERROR, DROP):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use 'mask', 'error' or 'drop'.")
    return on_missing


def tell_lost(lost: Mapping[str, int], facts: ExpressionFacts) -> None:
    """A RepairWarning with the counts of what was dropped or masked."""
    if lost:
        told = ", ".join(f"{cause}: {count:,}" for cause, count in lost.items())
        warn(f"Of {facts.given:,} genes {facts.used:,} are used ({told}).", RepairWarning)


def _range(values: Matrix, *, axis: int, missing: bool) -> tuple[Vector, Vector]:
    if not missing:
        return values.min(axis=axis), values.max(axis=axis)
    return np.fmin.reduce(values, axis=axis), np.fmax.reduce(values, axis=axis)


def _refuse_infinity(table: ExpressionValues, first: int) -> None:
    infinite = np.isinf(table.values)
    if infinite.any():
        row, column = (int(at) for at in np.argwhere(infinite)[0])
        raise NotFiniteError(
            f"The expression of gene {_gene(table, row, first)} in sample '{table.samples[column]}' is infinite "
            f"({int(infinite.sum()):,} such values). Correct it, or mark it missing with NaN."
        )


def _gene(table: ExpressionValues, row: int, first: int) -> Any:
    return f"{row + first} (counted from 0)" if table.numbered else f"'{table.genes[row]}'"


def joined(parts: list[pd.Index[Any]], numbered: bool, kept: list[Mask]) -> pd.Index[Any]:
    """Names of the genes used, of all parts; their numbers among all that were given where they have none."""
    if numbered:
        mask = np.concatenate(kept)
        return pd.RangeIndex(len(mask)) if mask.all() else pd.Index(np.flatnonzero(mask))
    chosen = [part[mask] for part, mask in zip(parts, kept, strict=True)]
    return chosen[0].append(chosen[1:]) if len(chosen) > 1 else chosen[0]
