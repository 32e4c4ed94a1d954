"""What a design can tell of a mixture: the share of information on pi it keeps, and the errors to expect [SLOPE-10]."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError
from varmix.models.random_effect_mixture.expected import Expected, expected
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.nodes import repeated_nodes, sample_nodes
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.results.text import WIDTH, as_text
from varmix.typing import Vector

TIMES = (1, 2, 5, 10, 20)
"""How often each effect is seen, in the design report of a fit."""

WORTH_TELLING = 1.05
"""Gain from another number of rows per effect, at equal rows in all, from which on it is advised."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What designs promise at an assumed truth.

    `table` has one row per design: `rows_per_effect`, `effects`, `information_kept`, `se_share_k`, `se_variance_k`,
    `se_residual`, and `effects_needed` where a target was given. `advice` says what it comes to, a sentence each.
    """

    variances: tuple[float, ...]
    residual: float
    shares: tuple[float, ...]
    table: pd.DataFrame
    advice: tuple[str, ...]

    def __str__(self) -> str:
        table = textwrap.indent(as_text(self.table), "  ")
        return "\n".join([self._headline(), "", table, "", *(textwrap.fill(line, WIDTH) for line in self.advice)])

    def _repr_html_(self) -> str:
        body = self.table.to_html(float_format=lambda value: f"{value:.6g}", na_rep="", border=0, index=False)
        notes = "".join(f"<p>{escape(line)}</p>" for line in self.advice)
        return f"<div class='varmix-plan'><p><strong>{escape(self._headline())}</strong></p>{body}{notes}</div>"

    def _headline(self) -> str:
        variances, shares = (", ".join(f"{value:.6g}" for value in row) for row in (self.variances, self.shares))
        return f"Plan for a mixture of random effects: v = ({variances}), s = {self.residual:.6g}, pi = ({shares})"


def design_table(
    model: RandomEffectMixture,
    params: MixtureParams,
    *,
    times: Sequence[int] = TIMES,
) -> pd.DataFrame:
    """The design at hand, and its effects seen `times` as often; columns as in `Plan.table`, units of the data.

    `params` is in internal units. Only effects with x other than 0 count, with their likelihood weights; their mean
    number of rows includes rows with x = 0 anywhere. More rows are those of further effects of the same distribution.
    Raises NotAvailableError where the residual variance is 0.
    """
    if not params.residual > 0.0:
        raise NotAvailableError(
            "At a residual variance of 0 the information on the variances is unbounded, so there is no design report. "
            "Check whether some responses are exactly 0, or give known standard errors (se=)."
        )
    q = np.concatenate([piece.q for piece in model.pieces])
    weighted = any(piece.weight is not None for piece in model.pieces)
    weight = (
        np.concatenate([np.ones(len(piece)) if piece.weight is None else piece.weight for piece in model.pieces])
        if weighted
        else None
    )
    total = model.total
    rows = 1.0 + sum(piece.rest_rows for piece in model.pieces) / total
    pull = float(params.variances.max()) / params.residual
    factors = model.reduction.scales.factors(params.classes)
    nodes = sample_nodes(q, pull=pull, weight=weight, rows=rows)
    designs = {}
    for count in times:
        found = expected(params, repeated_nodes(nodes, count, pull=pull))
        designs[count * rows] = replace(found, standard_errors=found.standard_errors * factors)
    return plan_table(designs, total)


def truth(
    variances: Vector, residual: float, shares: Vector, *, null: bool = False, residual_known: bool = False
) -> MixtureParams:
    """A point with what is known held: v_1 of a null class, the residual, the share of a single class."""
    params = MixtureParams.free(variances, residual, shares)
    count = params.classes
    params.held[0] = null
    params.held[count] = residual_known
    params.held[count + 1 :] = count == 1
    return params


def plan_table(designs: Mapping[float, Expected], effects: float, target_se: float | None = None) -> pd.DataFrame:
    """One row per design, by its rows per effect; `effects_needed` is for the least certain share at `target_se`."""
    table = []
    for count_of_rows, found in designs.items():
        rows = round(count_of_rows, 9)  # a mean of whole numbers is whole, whatever the rounding of weights
        errors = found.standard_errors / math.sqrt(effects)
        count = len(found.kept)
        shares = errors[count + 1 :]
        row = {
            "rows_per_effect": int(rows) if float(rows).is_integer() else rows,
            "effects": int(effects) if float(effects).is_integer() else effects,
            "information_kept": _extreme(found.kept, largest=False),
        }
        row |= {f"se_share_{k + 1}": float(shares[k]) for k in range(count)}
        row |= {f"se_variance_{k + 1}": float(errors[k]) for k in range(count)}
        row["se_residual"] = float(errors[count])
        if target_se is not None:
            needed = effects * (_extreme(shares, largest=True) / target_se) ** 2
            row["effects_needed"] = math.ceil(needed) if math.isfinite(needed) else needed
        table.append(row)
    return pd.DataFrame(table)


def advise(table: pd.DataFrame) -> tuple[str, ...]:
    """What a table of designs comes to, a sentence each."""
    lines = []
    rows, kept, effects = table["rows_per_effect"], table["information_kept"], float(table["effects"].iloc[0])
    errors = table[[name for name in table.columns if name.startswith("se_")]]
    unseen: dict[tuple[str, ...], list[float]] = {}
    for place, infinite in enumerate(np.isinf(errors.to_numpy(dtype=np.float64))):
        names = tuple(_parameter(name) for name in errors.columns[infinite])
        unseen.setdefault(names, []).append(float(rows.iloc[place]))
    for names, counts in unseen.items():
        if names:
            lines.append(f"With {_rows(counts[0], *counts[1:])} per effect, {_listed(names)} cannot be identified.")
    if kept.isna().all():
        return tuple(lines)
    first = int(np.argmin(rows))
    worth = kept.iloc[first] * effects
    lines.append(
        f"With {_rows(rows.iloc[first])} per effect, {effects:,.6g} effects say as much about the least certain share "
        f"as {worth:,.0f} effects whose class is known ({100.0 * kept.iloc[first]:.2g} %)."
    )
    if len(table) > 1:
        each = (kept / rows).to_numpy()
        best = int(np.argmax(each))
        if each[best] > WORTH_TELLING * each[first]:
            gain = f"{each[best] / each[first]:.3g} times as much" if each[first] > 0.0 else "more"
            lines.append(
                f"More rows per effect buy more than more effects: for the same number of rows in all, "
                f"{_rows(rows.iloc[best])} per effect tell {gain} about the shares as {_rows(rows.iloc[first])}."
            )
        else:
            lines.append(
                "More effects buy more than more rows per effect: for the same number of rows in all, "
                f"{_rows(rows.iloc[first])} per effect tells most about the shares."
            )
    if "effects_needed" in table:
        cheapest = (table["effects_needed"] * rows).idxmin()
        needed = float(table["effects_needed"][cheapest])
        if math.isfinite(needed):
            total = needed * float(rows[cheapest])
            lines.append(
                f"The target is met with the fewest rows in all by {needed:,.0f} effects of "
                f"{_rows(rows[cheapest])} ({total:,.0f} rows)."
            )
    return tuple(lines)


def _extreme(values: Vector, *, largest: bool) -> float:
    """Largest or smallest of what is not NaN; NaN without any."""
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan
    return float(known.max() if largest else known.min())


def _rows(*counts: float) -> str:
    return "one row" if counts == (1,) else f"{_listed([f'{count:.6g}' for count in counts])} rows"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _parameter(column: str) -> str:
    if column == "se_residual":
        return "the residual variance"
    kind, number = column.removeprefix("se_").rsplit("_", 1)
    return f"the {kind} of class {number}"
