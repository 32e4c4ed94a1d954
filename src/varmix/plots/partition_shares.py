"""Prior shares of partitions with their intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from varmix.plots.canvas import COLOURS, INK, QUIET, SMALL, TEXT, draw_on, tidy_axes
from varmix.plots.mixture import caption, headline, number
from varmix.plots.partition import abbreviated, check_kind, positive

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from varmix.results import Fit

MOST = 30
"""Partitions drawn: a page holds as many lines."""

ROW = 0.19
"""Height of a line, inches."""

LETTER = 0.065
"""Width of a letter, inches."""


def plot_shares(fit: Fit, *, most: int = MOST, ax: Axes | None = None) -> Figure:
    """Draw the shares of the `most` common partitions with 95 % intervals, the largest first [PART-1].

    A share on the boundary is an open circle; without an interval, because the fit is not at an optimum or the data do
    not tell, it is a cross; one that is known, a grey square. What the others hold together stands below. Works on
    loaded fits. Raises NotAvailableError (another model), OptionError (`most` below 1).
    """
    check_kind(fit)
    most = positive(most, "most")
    table = fit.shares.sort_values("estimate", ascending=False, kind="stable", ignore_index=True)
    shown, rest = table.head(most), table.iloc[most:]
    words = abbreviated([str(word) for word in shown["partition"]])
    longest = max(len(word) for word in words)
    figure, ax = draw_on(ax, width=min(3.7 + LETTER * longest, 9.0), height=max(ROW * len(shown) + 0.95, 1.4))
    tidy_axes(ax)
    ax.spines["left"].set_visible(False)
    ax.axvline(0.0, color=QUIET, linewidth=0.6, zorder=0)
    for place, row in enumerate(shown.to_dict("records")):
        _row(ax, -float(place), row)
    ends = [value for value in (*shown["estimate"], *shown["upper"]) if math.isfinite(value)]
    right = max(ends, default=1.0) or 1.0
    ax.set_xlim(-0.03 * right, 1.04 * right)
    ax.set_ylim(-len(shown) + 0.4, 0.6)
    ax.set_yticks([-float(place) for place in range(len(shown))], words)
    ax.tick_params(axis="y", length=0.0, labelsize=TEXT)
    ax.set_xlabel("share of genes, with 95 % interval" if shown["lower"].notna().any() else "share of genes")
    headline(ax, _message(table))
    if len(rest):
        caption(figure, f"{len(rest):,} further partitions hold {number(float(rest['estimate'].sum()))} together.")
    return figure


def _row(ax: Any, place: float, row: dict[str, Any]) -> None:
    estimate, lower, upper = float(row["estimate"]), float(row["lower"]), float(row["upper"])
    told = math.isfinite(lower) and math.isfinite(upper)
    look: dict[str, Any] = {"clip_on": False, "zorder": 5}
    if row["interval"] == "known":
        ax.plot([estimate], [place], "s", markersize=4.0, color=QUIET, **look)
    elif not told:
        ax.plot([estimate], [place], "x", markersize=4.5, color=COLOURS[0], **look)
    else:
        ax.plot([lower, upper], [place, place], color=COLOURS[0], linewidth=1.6, solid_capstyle="butt")
        for end in (lower, upper):
            if 0.0 < end < 1.0:
                ax.plot([end], [place], "|", color=COLOURS[0], markersize=6.0)
        face = "white" if row["on_boundary"] or estimate >= 1.0 else COLOURS[0]
        ax.plot([estimate], [place], "o", markersize=4.5, color=COLOURS[0], markerfacecolor=face, **look)
    if row["interval"] == "known":
        text = f"{number(estimate)}  known"
    elif told:
        text = f"{number(estimate)}  ({number(lower)}, {number(upper)})"
    else:
        text = number(estimate)
    ax.annotate(
        text, xy=(1.02, place), xycoords=ax.get_yaxis_transform(), va="center", fontsize=SMALL, color=INK,
        annotation_clip=False,
    )  # fmt: skip


def _message(table: Any) -> str:
    count = int((table["estimate"] > 0.0).sum())
    if len(table) == 1:
        return "There is one partition, of all genes"
    if count == len(table):
        return f"All {count:,} partitions have a share"
    return f"{count:,} of {len(table):,} partitions have a share"
