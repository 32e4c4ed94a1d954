"""Proportions of cell types: against known ones, or by sample type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from varmix.plots.canvas import INK, QUIET, SMALL, colour, draw_on, tidy_axes
from varmix.plots.mixture import caption, headline, number
from varmix.plots.partition import check_kind
from varmix.results.partition_mixture.known_proportions import read_known
from varmix.results.partition_mixture.matching import matched_columns
from varmix.typing import Matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from varmix.results import Fit

MARKS = "osD^vP"
"""Of cell types, so that they differ without colour."""

BAR = 0.24
"""Width of a sample type's bar, inches."""

NARROWEST, WIDEST = 3.2, 9.0
"""Width of the figure, inches."""

LETTER = 0.06
"""Width of a letter of small text, inches."""

THINNEST = 0.1
"""Width of a bar below which names and intervals would cover each other, inches."""

TONES = ("#7FB7D9", "#EAAE7F", "#7FCEB9", "#E5BCD3", "#AADAF4", "#F2CF7F")
"""The palette, halved towards white: intervals in ink stand out on it."""

HATCHES = ("", "////", "....", "xxxx")
"""From the seventh cell type on the colours come again, hatched."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProportionTable:
    """`estimates`, `lower`, `upper` (D, T), the ends NaN where there is no interval; `held` marks what is known."""

    sample_types: tuple[str, ...]
    cell_types: tuple[str, ...]
    estimates: Matrix
    lower: Matrix
    upper: Matrix
    held: NDArray[np.bool_]

    @classmethod
    def of(cls, fit: Fit) -> ProportionTable:
        """From `fit.proportions`. Raises NotAvailableError for other models."""
        check_kind(fit)
        table = fit.proportions
        rows = tuple(dict.fromkeys(str(name) for name in table["sample_type"]))
        columns = tuple(dict.fromkeys(str(name) for name in table["cell_type"]))
        shape = (len(rows), len(columns))

        def grid(name: str) -> Matrix:
            return np.asarray(table[name].to_numpy(dtype=np.float64).reshape(shape))

        return cls(
            sample_types=rows,
            cell_types=columns,
            estimates=grid("estimate"),
            lower=grid("lower"),
            upper=grid("upper"),
            held=(table["interval"] == "known").to_numpy().reshape(shape),
        )


def plot_proportions(fit: Fit, known: Any = None, *, ax: Axes | None = None) -> Figure:
    """Draw the proportions of cell types with 95 % intervals: against `known` ones, else stacked by sample type.

    `known` holds sample types x cell types: a data frame by name, or an array in the fit's order; NaN is left out.
    Where the fit's cell types have arbitrary names, each is first given the column of `known` that it resembles, as
    `match_cell_types` does, and the legend says which it was. The title tells correlation and mean absolute error.
    Without `known`, each interval stands at the top of its part of the bar, that of the last part at its foot, and
    sample types too many to name go without. Works on loaded fits. Raises NotAvailableError (another model), and as
    `match_cell_types` for tables.
    """
    table = ProportionTable.of(fit)
    return _bars(table, ax) if known is None else _against(fit, table, known, ax)


def _against(fit: Fit, table: ProportionTable, known: Any, ax: Any) -> Figure:
    given = read_known(known, table.sample_types, table.cell_types)
    if fit.facts["labels_arbitrary"]:
        order = matched_columns(table.estimates, given.values)
    elif given.named and set(given.cell_types) == set(table.cell_types):
        order = np.array([table.cell_types.index(name) for name in given.cell_types], dtype=np.intp)
    else:
        order = np.arange(len(table.cell_types))
    figure, ax = draw_on(ax, width=4.4, height=3.3)
    tidy_axes(ax)
    ax.plot([0.0, 1.0], [0.0, 1.0], color=QUIET, linewidth=0.7, zorder=1)
    for place, (t, name) in enumerate(zip(order, given.cell_types, strict=True)):
        former = table.cell_types[t]
        column = name if given.named else f"column {place + 1}"
        label = former if former in (name, column) else f"{column} ({former})"
        _points(ax, given.values[:, place], table, int(t), place, label)
    top = float(np.nanmax(np.concatenate([given.values.ravel(), table.estimates.ravel(), [0.05]])))
    ax.set_xlim(-0.03 * top, 1.03 * top)
    ax.set_ylim(-0.03 * top, 1.06 * top)
    ax.set_xlabel("known proportion")
    kind = "estimated proportion" + (", with 95 % interval" if np.isfinite(table.upper).any() else "")
    ax.set_ylabel(kind if not table.held.all() else "proportion in the fit")
    _legend(ax)
    headline(ax, _agreement(table.estimates[:, order], given.values))
    return figure


def _points(ax: Any, x: Any, table: ProportionTable, t: int, place: int, label: str) -> None:
    """One cell type: intervals where there are any; what is known in the fit is grey."""
    y, tone = table.estimates[:, t], colour(place)
    ends = np.stack([y - table.lower[:, t], table.upper[:, t] - y])
    ends = np.where(np.isfinite(ends), np.maximum(ends, 0.0), 0.0)
    there = ~np.isnan(x)
    held = table.held[:, t]
    mark: dict[str, Any] = {"linestyle": "none", "marker": MARKS[place % len(MARKS)], "markersize": 4.5, "zorder": 4}
    free = there & ~held
    ax.errorbar(x[free], y[free], yerr=ends[:, free], color=tone, ecolor=tone, elinewidth=0.8, label=label, **mark)
    ax.plot(x[there & held], y[there & held], color=QUIET, **mark)


def _agreement(estimates: Matrix, known: Matrix) -> str:
    there = ~np.isnan(known)
    x, y = known[there], estimates[there]
    error = f"mean absolute error {number(float(np.abs(x - y).mean()))}"
    if len(x) < 3 or not (x.std() > 0.0 and y.std() > 0.0):
        return error.capitalize()
    return f"Correlation {np.corrcoef(x, y)[0, 1]:.3f}, {error}"


def _bars(table: ProportionTable, ax: Any) -> Figure:
    rows, count = len(table.sample_types), len(table.cell_types)
    longest = max(len(name) for name in table.sample_types)
    beside = LETTER * max(len(name) for name in table.cell_types) + 1.0
    wide = min(max(BAR * rows + beside, NARROWEST), WIDEST)
    slot = (wide - beside) / rows
    turned = LETTER * longest > 0.9 * slot
    named = slot >= THINNEST
    figure, ax = draw_on(ax, width=wide, height=2.5 + (LETTER * longest if turned and named else 0.0))
    tidy_axes(ax)
    along, base = np.arange(rows), np.zeros(rows)
    for t, name in enumerate(table.cell_types):
        height = table.estimates[:, t]
        ax.bar(
            along, height, bottom=base, width=0.86 if named else 1.0, color=TONES[t % len(TONES)], label=name,
            hatch=HATCHES[t // len(TONES) % len(HATCHES)], edgecolor="white", linewidth=0.4 if named else 0.0,
        )  # fmt: skip
        if named and (t < count - 1 or count > 2):  # of two, one is what the other leaves
            _ends(ax, along + 0.5 * ((t + 1.0) / (count + 1.0) - 0.5), base, table, t)
        base = base + height
    ax.set_xlim(-0.6, rows - 0.4)
    ax.set_ylim(0.0, 1.0)
    ax.set_ylabel("proportion")
    ax.set_xticks(along if named else [], table.sample_types if named else [])
    if turned and named:
        for text in ax.get_xticklabels():
            text.set(rotation=90)
    ax.set_xlabel("sample type" if named else f"{rows:,} sample types")
    ax.tick_params(axis="x", length=0.0)
    _legend(ax, reverse=True)
    _tell(figure, ax, table, named)
    return figure


def _ends(ax: Any, along: Any, base: Any, table: ProportionTable, t: int) -> None:
    """Intervals at the tops of the parts, of the last at its foot, beside one another so that none hides the next."""
    height, lower, upper = table.estimates[:, t], table.lower[:, t], table.upper[:, t]
    there = np.isfinite(lower) & np.isfinite(upper)
    hanging = t == len(table.cell_types) - 1
    dots, ends = (base, (1.0 - upper, 1.0 - lower)) if hanging else (base + height, (base + lower, base + upper))
    ax.vlines(along[there], ends[0][there], np.minimum(ends[1][there], 1.0), color=INK, linewidth=0.9, zorder=5)
    ax.plot(along[there], dots[there], ".", color=INK, markersize=3.0, zorder=6, clip_on=False)


def _legend(ax: Any, *, reverse: bool = False) -> None:
    handles, labels = ax.get_legend_handles_labels()
    step = -1 if reverse else 1
    columns = math.ceil(len(labels) / 18)
    ax.legend(
        handles[::step], labels[::step], frameon=False, fontsize=SMALL, labelcolor=INK, loc="upper left", ncols=columns,
        bbox_to_anchor=(1.0, 1.0), handlelength=1.2,
    )  # fmt: skip


def _tell(figure: Any, ax: Any, table: ProportionTable, named: bool) -> None:
    if table.held.all():
        headline(ax, "The proportions are known")
        return
    free = int((~table.held).any(axis=1).sum())
    headline(ax, f"Proportions of {free:,} of {len(table.sample_types):,} sample types are estimated")
    if not np.isfinite(table.upper).any():
        caption(figure, "Without intervals, which need a fit at an optimum that the data tell.")
    elif named:
        caption(figure, "Lines are 95 % intervals" + (" (rightmost: top part)." if len(table.cell_types) > 2 else "."))
    else:
        caption(figure, "Intervals are in fit.proportions.")
