"""Convergence paths: how far each method still is from the optimum, by evaluation or step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.iteration.stopping import DECREMENT_TOLERANCE
from varmix.plots.canvas import QUIET, SMALL, TEXT, Drawing, colour, spread_apart, tidy_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from varmix.results import Fit

Along = Literal["evaluations", "step"]
LABELS = {"evaluations": "evaluations of the likelihood", "step": "step"}
ROUNDING = 1e-13
"""Gaps below this share of 1 + |log-likelihood| are rounding: drawn as if at it."""
LONG = 8.0
"""The axis of evaluations is logarithmic when the longest path is this many times the shortest: else the short one
is a vertical line."""
STYLES = ("-", "--", ":")


def plot_paths(fits: Mapping[str, Fit], *, x: Along = "evaluations", ax: Any = None) -> Figure:
    """Draw the paths of several fits of one model to the same data.

    Left: how far the log-likelihood is below the best one shown, down to rounding. Right: the distance from the optimum
    in standard errors (the Newton decrement of `fit.certificate`), with the tolerance that fits are held to unless told
    otherwise. A diamond marks where Newton took over from a scheme that would not have arrived. `ax` may be one Axes
    (for the left panel alone) or two. Works on loaded fits. Raises OptionError (no fits, other data or criteria, an
    unknown `x`), NotAvailableError (moments, grid mixtures).
    """
    if x not in get_args(Along):
        raise OptionError(f"x={x!r} is not known. Use 'evaluations' or 'step'.")
    if not isinstance(fits, Mapping):
        raise OptionError("Pass a mapping of names to fits: plot_paths({'EM': fit, 'Newton': other}).")
    tables = _tables(fits)
    figure, axes = _axes(ax)
    best = max(float(table["log_likelihood"].max()) for table in tables.values())
    floor = ROUNDING * (1.0 + abs(best))
    gaps = {name: np.maximum(best - table["log_likelihood"].to_numpy(), floor) for name, table in tables.items()}
    _draw(axes[0], tables, gaps, x, floor=floor, named=len(axes) == 1)
    axes[0].set_ylabel("log-likelihood below the best")
    _limit(axes[0], floor, "rounding")
    if len(axes) > 1:
        distances = {name: table["newton_decrement"].to_numpy() for name, table in tables.items()}
        _draw(axes[1], tables, distances, x, floor=0.0, named=True)
        axes[1].set_ylabel("standard errors from the optimum")
        _limit(axes[1], DECREMENT_TOLERANCE, "tolerance")
    return figure


def _tables(fits: Mapping[str, Fit]) -> dict[str, pd.DataFrame]:
    if not fits:
        raise OptionError("Pass a mapping of names to fits, for instance plot_paths({'EM': first, 'Newton': second}).")
    kinds = {(fit.criterion, fit.facts["response"], fit.facts["n"]) for fit in fits.values()}
    for name, fit in fits.items():
        if fit.criterion == "moments":
            raise NotAvailableError(
                f"'{name}' was fitted by moments, which are solved at once: there is no path. Leave it out."
            )
        if "evaluations" not in fit.progress:
            raise NotAvailableError(
                f"'{name}' has no path of a climb (its steps are residual variances tried): see its fit.progress, or "
                "draw fit.plot.mixing()."
            )
    if len(kinds) > 1:
        told = "; ".join(f"{criterion} of {response}, n = {n}" for criterion, response, n in sorted(kinds))
        raise OptionError(f"The fits maximise different things ({told}). Draw those of one criterion and one sample.")
    return {name: fit.progress for name, fit in fits.items()}


def _axes(ax: Any) -> tuple[Figure, list[Any]]:
    if ax is None:
        figure = Drawing(figsize=(7.0, 2.8), dpi=100, layout="constrained")
        return figure, list(figure.subplots(1, 2, sharex=True, gridspec_kw={"wspace": 0.08}))
    axes = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(axes) > 2:
        raise OptionError(f"{len(axes)} axes were given. Pass one, or two side by side.")
    return axes[0].figure, axes


def _draw(
    ax: Any, tables: Mapping[str, pd.DataFrame], heights: Mapping[str, Any], x: Along, *, floor: float, named: bool
) -> None:
    """Lines up to where they reach the floor, a diamond where Newton took over, names beside the ends if `named`."""
    tidy_axes(ax)
    ax.set_yscale("log")
    lengths = [max(float(table[x].iloc[-1]), 1.0) for table in tables.values()]
    if max(lengths) > LONG * min(lengths):
        ax.set_xscale("log") if x == "evaluations" else ax.set_xscale("symlog", linthresh=1.0)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ends, took_over = [], False
    for number, (name, table) in enumerate(tables.items()):
        height = np.asarray(heights[name], dtype=float)
        arrived = np.flatnonzero(height <= floor)
        shown = slice(0, int(arrived[0]) + 1 if arrived.size else len(height))
        along, height = table[x].to_numpy(dtype=float)[shown], height[shown]
        style = {"color": colour(number), "linestyle": STYLES[number // 6 % len(STYLES)]}
        ax.plot(along, height, linewidth=1.3, **style)
        ax.plot(along[-1:], height[-1:], "o", markersize=4.0, color=colour(number))
        switch = _switch(table)
        if switch is not None and switch < len(height):
            took_over = True
            ax.plot(along[switch], height[switch], "D", markersize=4.5, color=colour(number), markerfacecolor="white")
        ends.append((name, along[-1], height[-1], colour(number)))
    ax.set_xlabel(LABELS[x])
    if took_over:
        ax.set_title("◇ Newton takes over", loc="right", fontsize=SMALL, color=QUIET)
    if named:
        _label(ax, ends)


def _switch(table: pd.DataFrame) -> int | None:
    """Row at which Newton started from where another scheme ended."""
    schemes = table["scheme"].to_numpy()
    if schemes[0] == "newton":
        return None
    newton = np.flatnonzero(schemes == "newton")
    return max(int(newton[0]) - 1, 0) if newton.size else None


def _label(ax: Any, ends: list[tuple[str, float, float, str]]) -> None:
    """Names in the margin at the height of the ends, moved apart where they would cover each other."""
    low, high = np.log10(ax.get_ylim())
    gap = 1.25 * TEXT / 72.0 / max(_inches(ax), 1e-6)
    wanted = [(np.log10(max(height, 10.0**low)) - low) / (high - low) for _, _, height, _ in ends]
    places = spread_apart(wanted, gap)
    lift = max(0.0, gap / 2.0 - min(places))
    for (name, along, height, tone), place in zip(ends, places, strict=True):
        ax.annotate(
            name,
            xy=(along, height),
            xytext=(1.03, place + lift),
            textcoords="axes fraction",
            va="center",
            fontsize=TEXT,
            color=tone,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": tone, "shrinkA": 0.0, "shrinkB": 3.0},
        )


def _inches(ax: Any) -> float:
    return float(ax.get_position().height * ax.figure.get_figheight())


def _limit(ax: Any, height: float, text: str) -> None:
    """A quiet horizontal line with its name."""
    ax.axhline(height, color=QUIET, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
    ax.annotate(
        text, xy=(0.01, height), xycoords=ax.get_yaxis_transform(), xytext=(0, 2), textcoords="offset points",
        fontsize=SMALL, color=QUIET,
    )  # fmt: skip
