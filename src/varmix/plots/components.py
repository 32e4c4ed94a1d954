"""Variances or proportions of one or several fits, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.plots.canvas import INK, QUIET, SMALL, TEXT, colour, draw_on, tidy_axes, whole_numbers_on_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from varmix.results import Fit

Of = Literal["variance", "proportion"]
KINDS = {"wald": "Wald", "none": "no"} | {name: name for name in ("profile", "bootstrap", "jackknife", "open")}
LETTER = 0.065
"""Width of a letter of a name, inches: names longer than twelve letters widen the figure, not narrow the axes."""
ROW = 0.22
"""Height of a line of the table, inches."""


def plot_components(fits: Fit | Mapping[str, Fit], *, of: Of = "variance", ax: Axes | None = None) -> Figure:
    """Draw estimates with 95 % intervals, one line per component and fit; several fits stand side by side.

    An end of an interval that lies on the bound of the parameter space has no cap, and an estimate on the boundary is
    an open circle: the interval is then one-sided. An infinite end is an arrow, an estimate that is not at an optimum a
    cross without an interval; what is known is a grey square. Moment estimates may be negative. Works on loaded fits.
    Raises OptionError (no fits, an unknown `of`), NotAvailableError (proportions that are not of variance).
    """
    if of not in get_args(Of):
        raise OptionError(f"of={of!r} is not known. Use 'variance' or 'proportion'.")
    named = dict(fits) if isinstance(fits, Mapping) else {"": fits}
    if not named:
        raise OptionError("Pass a fit, or a mapping of names to fits: plot_components({'EM': fit, 'Newton': other}).")
    lines = _lines(named, of)
    headings = len(named) > 1
    height = ROW * (len(lines) + (lines["term"].nunique() if headings else 0)) + 0.75
    longest = max(len(str(name)) for name in (*lines["term"], *named))
    figure, ax = draw_on(ax, width=4.6 + LETTER * max(longest - 12, 0), height=max(height, 1.3))
    tidy_axes(ax)
    ax.spines["left"].set_visible(False)
    places = _places(lines, headings)
    ax.axvline(0.0, color=QUIET, linewidth=0.6, zorder=0)
    _reach(ax, lines, of)
    whole_numbers_on_ticks(ax)
    upper_bound = 1.0 if of == "proportion" else math.inf
    tones = {name: colour(number) for number, name in enumerate(named)}
    kinds = lines["interval"][lines["interval"] != "known"]
    mixed = kinds.nunique() > 1
    for place, line in zip(places, lines.to_dict("records"), strict=True):
        _line(ax, place, line, tones[line["fit"]], upper_bound)
        _write(ax, place, line, mixed)
    _name_lines(ax, lines, places, headings, tones)
    response = next(iter(named.values())).facts["response"]
    what = f"variance (unit of {response})²" if of == "variance" else "proportion of variance"
    kind = "" if mixed else KINDS[kinds.iloc[0]] + " "
    ax.set_xlabel(what if kind == "no " else f"{what}, with 95 % {kind}interval")
    return figure


def _lines(named: Mapping[str, Fit], of: Of) -> pd.DataFrame:
    """One row per term and fit, terms in the order given and the residual last."""
    tables = []
    for name, fit in named.items():
        table = fit.components if of == "variance" else fit.proportions
        if "term" not in table:
            raise NotAvailableError(
                f"A fit of kind '{fit.report.kind}' has no proportions of variance: its proportions are of cell types. "
                "Use fit.plot.proportions()."
            )
        tables.append(table.assign(fit=name, moments=fit.criterion == "moments"))
    whole = pd.concat(tables, ignore_index=True)
    last = tables[0]["term"].iloc[-1]
    terms = [term for term in dict.fromkeys(whole["term"]) if term != last] + [last]
    return whole.sort_values("term", key=lambda column: column.map(terms.index), kind="stable", ignore_index=True)


def _places(lines: pd.DataFrame, headings: bool) -> list[float]:
    """Heights, downwards; a heading takes a line of its own."""
    places, height, before = [], 0.0, None
    for term in lines["term"]:
        height -= 2.0 if headings and term != before else 1.0
        places.append(height)
        before = term
    return places


def _reach(ax: Any, lines: pd.DataFrame, of: Of) -> None:
    ends = pd.concat([lines["lower"], lines["upper"], lines["estimate"]])
    finite = [float(end) for end in ends if math.isfinite(end)]
    low, high = min(0.0, *finite), max(0.0, *finite)
    if of == "proportion" and low >= 0.0:
        high = max(high, 1.0)
    margin = 0.04 * (high - low or 1.0)
    ax.set_xlim(low - margin, high + margin)


def _line(ax: Any, place: float, line: Mapping[str, Any], tone: str, upper_bound: float) -> None:
    estimate, lower, upper = line["estimate"], line["lower"], line["upper"]
    bounded = not line["moments"]
    left, right = ax.get_xlim()
    if line["interval"] == "known":
        ax.plot([estimate], [place], "s", markersize=4.0, color=QUIET, clip_on=False, zorder=5)
        return
    if line["interval"] == "none":
        ax.plot([estimate], [place], "x", markersize=5.0, color=tone, clip_on=False, zorder=5)
        return
    ends = [lower if math.isfinite(lower) else left, upper if math.isfinite(upper) else right]
    ax.plot(ends, [place, place], color=tone, linewidth=1.6, solid_capstyle="butt")
    if math.isfinite(lower) and not (bounded and lower <= 0.0):
        ax.plot([lower], [place], "|", color=tone, markersize=7.0)
    if math.isfinite(upper) and not (bounded and upper >= upper_bound):
        ax.plot([upper], [place], "|", color=tone, markersize=7.0)
    if math.isinf(upper):
        ax.plot([right], [place], ">", color=tone, markersize=5.0, clip_on=False)
    on_boundary = bounded and (estimate <= 0.0 or estimate >= upper_bound)
    face = "white" if on_boundary else tone
    ax.plot([estimate], [place], "o", markersize=5.0, color=tone, markerfacecolor=face, clip_on=False, zorder=5)


def _write(ax: Any, place: float, line: Mapping[str, Any], mixed: bool) -> None:
    """The numbers at the right, with the kind of interval where there are several."""
    told = [_number(line[name]) for name in ("estimate", "lower", "upper")]
    one_sided = line["estimate"] == 0.0 == line["lower"]
    text = f"{told[0]}  (≤ {told[2]})" if one_sided else f"{told[0]}  ({told[1]}, {told[2]})"
    if line["interval"] == "none":
        text = f"{_number(line['estimate'])}  not at an optimum"
    elif line["interval"] == "known":
        text = f"{_number(line['estimate'])}  known"
    elif mixed:
        text += f"  {KINDS[line['interval']]}"
    ax.annotate(
        text, xy=(1.02, place), xycoords=ax.get_yaxis_transform(),
        va="center", fontsize=SMALL, color=INK, annotation_clip=False,
    )  # fmt: skip


def _number(value: float) -> str:
    if math.isnan(value):
        return "?"
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "∞"


def _name_lines(ax: Any, lines: pd.DataFrame, places: list[float], headings: bool, tones: Mapping[str, str]) -> None:
    """Terms at the left; with several fits the terms are headings and the fits' names stand below them."""
    names = lines["fit" if headings else "term"].tolist()
    ax.set_yticks(places, names)
    ax.tick_params(axis="y", length=0.0, labelsize=TEXT)
    ax.set_ylim(min(places) - 0.7, max(places) + (1.6 if headings else 0.7))
    if not headings:
        return
    for label, name in zip(ax.get_yticklabels(), names, strict=True):
        label.set_color(tones[name])
    first = lines.drop_duplicates("term").index
    for row in first:
        ax.annotate(
            lines["term"][row], xy=(0.0, places[row] + 1.0), xycoords=ax.get_yaxis_transform(), xytext=(-4, 0),
            textcoords="offset points", ha="right", va="center", fontsize=TEXT, color=INK, fontweight="bold",
            annotation_clip=False,
        )  # fmt: skip
