"""Paths of all starts: how far each is below the best end, and its way there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from varmix.errors import NotAvailableError, OptionError
from varmix.plots.canvas import COLOURS, INK, QUIET, SMALL, Drawing, colour, tidy_axes
from varmix.plots.mixture import headline
from varmix.plots.paths import LABELS, LONG, ROUNDING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from varmix.results import Fit

Along = Literal["evaluations", "step"]
TONES = {
    "moments": COLOURS[1],
    "npmle": COLOURS[2],
    "grown": COLOURS[5],
    "random": COLOURS[0],
    "given": COLOURS[3],
    "vertices": COLOURS[1],
}
WIDEST = 1e4
"""Variances that are further from the best end than this factor lie beyond the axis: a poor start can be anywhere."""
NARROWEST = 3.0
"""Least factor between the best end and an end of the axis."""
NAMES = {"npmle": "grid, merged", "grown": "class by class"}


def plot_starts(fits: Fit | Mapping[str, Fit], *, x: Along = "evaluations", ax: Any = None) -> Figure:
    """Draw the paths of all starts of a mixture of random effects or partitions, coloured by what each start was.

    Left: how far the log-likelihood is below the best end of all, down to rounding. Right, of random effects: share
    and variance of the class that has the largest variance at the end, along the way from the start (a dot) to the best
    end (a star). A filled circle ends a path that reached the best, a cross one that did not. With a mapping of names
    to fits of the same data, colours tell the fits. `ax` may be one Axes (for the left panel alone) or two. Works on
    loaded fits. Raises OptionError (no fits, other data, an unknown `x`), NotAvailableError (a fit without starts).
    """
    if x not in get_args(Along):
        raise OptionError(f"x={x!r} is not known. Use 'evaluations' or 'step'.")
    named = dict(fits) if isinstance(fits, Mapping) else {"": fits}
    paths = _paths(named)
    best = paths.loc[paths["log_likelihood"].idxmax()]
    floor = ROUNDING * (1.0 + abs(float(best["log_likelihood"])))
    classes = "v_1" in paths
    figure, axes = _axes(ax, 2 if classes else 1)
    tones = _tones(paths, named)
    runs = list(paths.groupby(["fit", "start"], sort=False))
    _gaps(axes[0], runs, float(best["log_likelihood"]), floor, x, tones)
    if len(axes) > 1 and classes:
        _ways(axes[1], runs, best, tones)
    _legend(axes[-1], tones, bool(paths["reached"].all()))
    reached = sum(bool(run["reached"].iloc[0]) for _, run in runs)
    arrived = max(named.values(), key=lambda fit: fit.log_likelihood).status.arrived
    screened = [count for fit in named.values() if (count := fit.facts.get("screened_on"))]
    if screened:
        axes[0].set_xlabel(f"{LABELS[x]}\nof all data, after screening on {screened[0]:,} effects")
    headline(axes[0], _message(reached, len(runs), arrived))
    return figure


def _message(reached: int, count: int, arrived: bool) -> str:
    if not arrived:
        return "No start has reached a maximum yet"
    if count == 1:
        return "The only start reaches a maximum"
    return (
        f"All {count} starts reach one maximum" if reached == count else f"{reached} of {count} starts reach the best"
    )


def _paths(named: Mapping[str, Fit]) -> pd.DataFrame:
    """All paths of all fits, with what each start was and whether it reached the best end of all fits."""
    if not named:
        raise OptionError("Pass a fit, or a mapping of names to fits: plot_starts({'EM': fit, 'Newton': other}).")
    kinds = {(fit.criterion, fit.facts["response"], fit.facts["n"], fit.facts.get("classes")) for fit in named.values()}
    if len(kinds) > 1:
        raise OptionError("The fits are of other data or other numbers of classes. Draw those of one model and sample.")
    tables = []
    for name, fit in named.items():
        if "paths" not in fit.report.tables:
            raise NotAvailableError(
                f"A fit of kind '{fit.report.kind}' keeps no paths of several starts: see fit.table('progress')."
            )
        starts = fit.starts.set_index("start")
        told = fit.table("paths")
        told["fit"], told["kind"] = name, told["start"].map(starts["kind"])
        told["reached"] = told["start"].map(starts["reached_best"]).astype(bool)
        told["highest"] = fit.log_likelihood
        tables.append(told)
    whole = pd.concat(tables, ignore_index=True)
    top = float(whole["highest"].max())
    # As near as ends of one fit must be to count as the same.
    whole["reached"] &= top - whole["highest"] <= 1e-6 * (1.0 + abs(top))
    return whole


def _tones(paths: pd.DataFrame, named: Mapping[str, Fit]) -> dict[str, str]:
    """Colour per name of a fit, or per kind of start of the only one."""
    if len(named) > 1:
        paths["name"] = paths["fit"]
        return {name: colour(number) for number, name in enumerate(named)}
    paths["name"] = paths["kind"].map(lambda kind: NAMES.get(kind, kind))
    there: list[str] = [str(kind) for kind in dict.fromkeys(paths["kind"])]
    kinds = [kind for kind in TONES if kind in there] + [kind for kind in there if kind not in TONES]
    return {NAMES.get(kind, kind): TONES.get(kind, QUIET) for kind in kinds}


def _axes(ax: Any, panels: int) -> tuple[Figure, list[Any]]:
    if ax is None:
        figure = Drawing(figsize=(0.4 + 3.3 * panels, 2.9), dpi=100, layout="constrained")
        return figure, list(np.ravel(figure.subplots(1, panels, gridspec_kw={"wspace": 0.06})))
    axes = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(axes) > 2:
        raise OptionError(f"{len(axes)} axes were given. Pass one, or two side by side.")
    return axes[0].figure, axes


def _gaps(ax: Any, runs: Any, best: float, floor: float, x: Along, tones: Mapping[str, str]) -> None:
    tidy_axes(ax)
    ax.set_yscale("log")
    lengths = [max(float(run[x].iloc[-1]), 1.0) for _, run in runs]
    if max(lengths) > LONG * min(lengths):
        ax.set_xscale("log") if x == "evaluations" else ax.set_xscale("symlog", linthresh=1.0)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for _, run in runs:
        gaps = np.maximum(best - run["log_likelihood"].to_numpy(), floor)
        arrived = np.flatnonzero(gaps <= floor)
        shown = slice(0, int(arrived[0]) + 1 if arrived.size else len(gaps))
        along, gaps, tone = run[x].to_numpy(dtype=float)[shown], gaps[shown], tones[run["name"].iloc[0]]
        ax.plot(along, gaps, color=tone, linewidth=1.0, alpha=0.8)
        _end(ax, along[-1], gaps[-1], tone, bool(run["reached"].iloc[0]))
    ax.axhline(floor, color=QUIET, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
    ax.annotate(
        "rounding", xy=(0.01, floor), xycoords=ax.get_yaxis_transform(), xytext=(0, 2), textcoords="offset points",
        fontsize=SMALL, color=QUIET,
    )  # fmt: skip
    ax.set_xlabel(LABELS[x])
    ax.set_ylabel("log-likelihood below the best")


def _ways(ax: Any, runs: Any, best: Any, tones: Mapping[str, str]) -> None:
    """Share and variance of the class that has the largest variance at the end."""
    tidy_axes(ax)
    ax.set_yscale("log")
    for _, run in runs:
        tone = tones[run["name"].iloc[0]]
        variance, share = _largest(run.iloc[-1])
        inside = run[run[variance] > 0.0]
        ax.plot(inside[share], inside[variance], color=tone, linewidth=0.9, alpha=0.8)
        ax.plot(inside[share].iloc[:1], inside[variance].iloc[:1], ".", color=tone, markersize=4.0)
        if not run["reached"].iloc[0]:
            _end(ax, inside[share].iloc[-1:], inside[variance].iloc[-1:], tone, False)
    variance, share = _largest(best)
    ax.plot([best[share]], [best[variance]], "*", color=INK, markersize=9.0, markeredgecolor="white", zorder=6)
    low, high = ax.get_ylim()
    middle = float(best[variance]) or 1.0
    narrow, wide = (min(low, middle / NARROWEST), max(high, middle * NARROWEST))
    ax.set_ylim(max(narrow, middle / WIDEST), min(wide, middle * WIDEST))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("share of the class of largest variance")
    ax.set_ylabel("its variance")


def _largest(end: Any) -> tuple[str, str]:
    """Columns of the variance and share of the last class that has a share; classes ascend."""
    count = sum(name.startswith("v_") for name in end.index)
    last = max((k for k in range(1, count + 1) if end[f"pi_{k}"] > 0.0), default=count)
    return f"v_{last}", f"pi_{last}"


def _end(ax: Any, along: Any, height: Any, tone: str, reached: bool) -> None:
    mark = {"marker": "o", "markersize": 3.5} if reached else {"marker": "x", "markersize": 5.5, "markeredgewidth": 1.4}
    ax.plot(along, height, linestyle="none", color=tone, zorder=5, **mark)


def _legend(ax: Any, tones: Mapping[str, str], all_reached: bool) -> None:
    marks = [Line2D([], [], color=tone, linewidth=1.4, label=name) for name, tone in tones.items()]
    if not all_reached:
        marks.append(Line2D([], [], color=QUIET, marker="x", linestyle="none", markersize=5.5, label="ends lower"))
    ax.legend(
        handles=marks, frameon=False, fontsize=SMALL, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.0, 1.0),
        handlelength=1.4,
    )  # fmt: skip
