"""Groups whose rows are spread over chunks: a few numbers a group that merge, so that rows need not be kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import DataError
from varmix.linalg.powers import power_of_two
from varmix.models.random_effect_mixture.number_range import without_vanishing
from varmix.models.random_effect_mixture.reduction import Reduction, Scales
from varmix.models.random_effect_mixture.stream.rows import Rows
from varmix.models.random_effect_mixture.units import Units
from varmix.tables.group_labels import numbered, text_labels
from varmix.typing import Index, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupRecords:
    """Rows m, `q = x'x`, slope `x'y / q` (0 where q is 0), residual sum of squares R and weight of each group, (G,).

    In units of `scales`, and in the order in which groups came. The slope is held rather than x'y, and R is added up as
    such: nothing cancels, so an effect 1e8 times the residual leaves R its digits [SLOPE-2].
    """

    scales: Scales
    labels: pd.Index
    rows: Vector
    q: Vector
    slope: Vector
    rest: Vector
    weight: Vector

    @classmethod
    def of(cls, rows: Rows) -> GroupRecords:
        """Of some rows. Raises DataError for a group whose rows differ in weight."""
        group, labels = numbered(np.empty(0, dtype=object) if rows.group is None else rows.group)
        count = len(labels)
        scales = Scales(response=power_of_two(rows.y), regressor=power_of_two(rows.x))
        y, x = rows.y / scales.response, rows.x / scales.regressor
        q = _sums(group, x * x, count)
        slope = _ratio(_sums(group, x * y, count), q)
        residual = y - slope[group] * x
        weight = np.ones(count)
        if rows.weight is not None:
            weight[group] = rows.weight
            _refuse_unequal(rows.weight, weight[group], lambda row: labels[group[row]])
        return cls(
            scales=scales,
            labels=labels,
            rows=_sums(group, np.ones(len(y)), count),
            q=q,
            slope=slope,
            rest=_sums(group, residual * residual, count),
            weight=weight,
        )

    def __len__(self) -> int:
        return len(self.q)

    def __add__(self, other: GroupRecords) -> GroupRecords:
        """Groups of both, those of `self` first. Raises DataError for a group whose weights differ."""
        if not (len(self) and len(other)):
            return self if len(self) else other
        scales = Scales(
            response=max(self.scales.response, other.scales.response),
            regressor=max(self.scales.regressor, other.scales.regressor),
        )
        if self.labels.dtype != other.labels.dtype:  # read as numbers in one chunk and as text in another
            return self._in_text() + other._in_text()
        at = np.asarray(self.labels.get_indexer(other.labels), dtype=np.intp)
        new, known = np.flatnonzero(at < 0), np.flatnonzero(at >= 0)
        theirs = other.scaled(scales)
        merged = self.scaled(scales)._merged(at[known], theirs._taken(known))
        return merged._followed_by(theirs._taken(new)) if new.size else merged

    def scaled(self, scales: Scales) -> GroupRecords:
        """The same in units of other scales: powers of two, so nothing is rounded.

        A group whose x is nothing beside that of the others (its q vanishes) informs the residual alone.
        """
        response = self.scales.response / scales.response
        regressor = self.scales.regressor / scales.regressor
        q = without_vanishing(self.q * regressor * regressor)
        vanished = (q == 0.0) & (self.q > 0.0)
        explained = np.where(vanished, (np.sqrt(self.q) * self.slope) ** 2, 0.0)
        return replace(
            self,
            scales=scales,
            q=q,
            slope=np.where(vanished, 0.0, self.slope * (response / regressor)),
            rest=(self.rest + explained) * response * response,
        )

    def reduction(self, scales: Scales, log_jacobian: float, *, weighted: bool) -> Reduction:
        """The groups in the scales of all rows. Groups without any x are left-over coordinates [SLOPE-2]."""
        here = self.scaled(scales)
        informative = np.flatnonzero(here.q > 0.0)
        left = here.rows - (here.q > 0.0)
        return Reduction(
            units=Units(
                q=here.q[informative],
                h2=(np.sqrt(here.q[informative]) * here.slope[informative]) ** 2,
                weight=here.weight[informative] if weighted else None,
                rest=float(here.rest @ here.weight),
                rest_rows=float(left @ here.weight),
            ),
            q=here.q,
            xy=here.q * here.slope,
            rows=here.rows,
            informative=informative,
            scales=scales,
            log_jacobian=log_jacobian,
        )

    def _in_text(self) -> GroupRecords:
        return replace(self, labels=text_labels(self.labels))

    def _merged(self, at: Index, other: GroupRecords) -> GroupRecords:
        """Two regressions through the origin are one: what their slopes differ goes to the residual."""
        _refuse_unequal(other.weight, self.weight[at], lambda row: other.labels[row])
        rows, q, slope, rest = self.rows.copy(), self.q.copy(), self.slope.copy(), self.rest.copy()
        total = q[at] + other.q
        share, apart = _ratio(other.q, total), other.slope - slope[at]
        rows[at] += other.rows
        rest[at] += other.rest + q[at] * share * apart * apart
        slope[at] += share * apart
        q[at] = total
        return replace(self, rows=rows, q=q, slope=slope, rest=rest)

    def _taken(self, index: Index) -> GroupRecords:
        return GroupRecords(
            scales=self.scales,
            labels=self.labels[index],
            rows=self.rows[index],
            q=self.q[index],
            slope=self.slope[index],
            rest=self.rest[index],
            weight=self.weight[index],
        )

    def _followed_by(self, other: GroupRecords) -> GroupRecords:
        return GroupRecords(
            scales=self.scales,
            labels=self.labels.append(other.labels),
            rows=np.concatenate([self.rows, other.rows]),
            q=np.concatenate([self.q, other.q]),
            slope=np.concatenate([self.slope, other.slope]),
            rest=np.concatenate([self.rest, other.rest]),
            weight=np.concatenate([self.weight, other.weight]),
        )


def _sums(group: Index, values: Vector, count: int) -> Vector:
    return np.asarray(np.bincount(group, values, minlength=count), dtype=np.float64)


def _ratio(above: Vector, below: Vector) -> Vector:
    return np.divide(above, below, out=np.zeros(len(below)), where=below > 0.0)


def _refuse_unequal(given: Vector, expected: Vector, label: Callable[[int], Any]) -> None:
    wrong = given != expected
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"The rows of group {label(row)!r} have different weights ({given[row]:g} and {expected[row]:g}); a weight "
            "counts its whole group. Give every row of a group the same."
        )
