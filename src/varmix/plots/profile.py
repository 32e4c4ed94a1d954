"""The profile log-likelihood of one variance or proportion, with the interval read off it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy import stats

from varmix.errors import OptionError
from varmix.inference.wald import LEVEL, check_level
from varmix.plots.canvas import (
    COLOURS,
    COLUMN,
    HALO,
    INK,
    QUIET,
    SMALL,
    TEXT,
    draw_on,
    tidy_axes,
    whole_numbers_on_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from varmix.results import Fit

Of = Literal["variance", "proportion"]
POINTS = 61
"""Smooth at the width of a page."""


def plot_profile(
    fit: Fit, term: str, *, of: Of = "variance", level: float | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the profile log-likelihood of a term's variance or proportion, relative to its maximum.

    The bar is the profile interval of `level` (0.95): the values whose log-likelihood is within half the chi-square
    quantile of the maximum. Of a mixture of random effects, `term` is 'pi' (the share of the first of two classes),
    'pi_k', 'v_k' or 's', of latent partitions any name in `fit.tidy()` or, as 'proportion[sample type, cell type]', a
    proportion, and `of` says nothing. The dashed curve is the parabola that a Wald interval stands for, left
    out where the estimate is at 0 and has no standard error. Raises NotAvailableError (moments, loaded fits),
    OptionError (unknown term, `of` or `level`).
    """
    if of not in get_args(Of):
        raise OptionError(f"of={of!r} is not known. Use 'variance' or 'proportion'.")
    level = LEVEL if level is None else level
    check_level(level)
    top = math.inf
    reach = max(1.5, -0.5 * math.log(1.0 - level))
    if term == "correlation" and "correlation" in fit.report.tables:
        path = fit.profile(term, points=POINTS, level=1.0 - math.exp(-3.0 * reach))
        ends = fit.interval(term, kind="profile", level=level)
        estimate, error = (float(fit.correlation[name].iloc[0]) for name in ("estimate", "se"))
        face, label = COLOURS[0] if abs(estimate) < 1.0 else "white", "genetic correlation"
    elif fit.report.kind == "partition_mixture":
        path = fit.profile(term, points=POINTS, reach=reach)
        ends = fit.interval(term, kind="profile", level=level)
        estimate, error, label, top = _of_partitions(fit, term)
        face = COLOURS[0] if term == "mean" or 0.0 < estimate < top else "white"
    elif "shares" in fit.report.tables:
        path = fit.profile(term, points=POINTS, reach=reach)
        ends = fit.interval(term, kind="profile", level=level)
        estimate, error, label = _of_mixture(fit, term)
        top = 1.0 if term.startswith("pi") else math.inf
        face = COLOURS[0] if 0.0 < estimate < top else "white"
    else:
        path = fit.profile(term, of=of, points=POINTS, reach=reach)
        ends = fit.interval(term, of=of, kind="profile", level=level)
        table = (fit.components if of == "variance" else fit.proportions).set_index("term")
        estimate, error = float(table.loc[term, "estimate"]), float(table.loc[term, "se"])
        face = COLOURS[0] if estimate > 0.0 else "white"
        variance = f"variance of {term} (unit of {fit.facts['response']})²"
        label = variance if of == "variance" else f"proportion of variance: {term}"
    figure, ax = draw_on(ax, width=COLUMN, height=2.5)
    tidy_axes(ax)
    drop = -0.5 * float(stats.chi2.ppf(level, 1))
    values, heights = path["value"].to_numpy(), path["log_likelihood"].to_numpy()
    ax.plot(values, heights, color=COLOURS[0], linewidth=1.5)
    _parabola(ax, values, estimate, error, float(heights.min()))
    _bar(ax, ends, estimate, drop, level, top)
    ax.plot([estimate], [0.0], "o", color=COLOURS[0], markerfacecolor=face, markersize=5.0, clip_on=False, zorder=5)
    ax.annotate(
        f"{estimate:.3g}", xy=(estimate, 0.0), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=TEXT,
        color=COLOURS[0],
    )  # fmt: skip
    ax.set_ylim(1.08 * float(heights.min()), -0.08 * float(heights.min()))
    whole_numbers_on_ticks(ax)
    ax.set_ylabel("profile log-likelihood − maximum")
    ax.set_xlabel(label)
    return figure


def _parabola(ax: Any, values: Any, estimate: float, error: float, lowest: float) -> None:
    if not (math.isfinite(error) and error > 0.0 and estimate != 0.0):
        return
    heights = -0.5 * ((values - estimate) / error) ** 2
    heights = np.where(heights < 1.08 * lowest, np.nan, heights)
    ax.plot(values, heights, color=QUIET, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    ax.plot([], [], color=QUIET, linewidth=0.9, linestyle=(0, (4, 2)), label="Wald")
    ax.legend(frameon=False, fontsize=SMALL, labelcolor=QUIET, loc="upper right", handlelength=1.8, borderaxespad=0.0)


def _of_mixture(fit: Fit, term: str) -> tuple[float, float, str]:
    """Estimate, standard error and name of 'pi' (of two classes), 'pi_k', 'v_k' or 's'."""
    shares, response = fit.shares, fit.facts["response"]
    if term == "s":
        row, label = fit.components.iloc[-1], f"residual variance (unit of {response})²"
    else:
        number = 1 if term == "pi" else int(term.rsplit("_", 1)[1])
        row = (fit.components if term.startswith("v") else shares).iloc[number - 1]
        label = f"share of class {number} (v = {shares['variance'][number - 1]:.3g})"
        if term.startswith("v"):
            label = f"variance of class {number} (unit of {response} per unit of x)²"
    return float(row["estimate"]), float(row["se"]), label


def _of_partitions(fit: Fit, term: str) -> tuple[float, float, str, float]:
    """Estimate, standard error, name and upper bound of a partition's share, a proportion, a variance or the mean."""
    estimates: Any = fit.report.estimates  # type: ignore[attr-defined]
    at, response = estimates.position(term), fit.facts["response"]
    estimate, error = float(estimates.values[at]), float(estimates.standard_errors[at])
    if at >= estimates.first_share:
        name = str(estimates.names[at])
        what, inner = name.split("[", 1)
        return estimate, error, f"{what} of {inner[:-1]}", 1.0
    label = f"mean of block means ({response})" if term == "mean" else f"variance: {term}, (unit of {response})²"
    return estimate, error, label, math.inf


def _bar(
    ax: Any, ends: tuple[float, float], estimate: float, height: float, level: float, top: float = math.inf
) -> None:
    """The interval as a bar at the height of the cut-off, ends written clear of the curve, no cap at a bound."""
    left = ends[0] if math.isfinite(ends[0]) else ax.get_xlim()[0]
    right = ends[1] if math.isfinite(ends[1]) else ax.get_xlim()[1]
    ax.plot([left, right], [height, height], color=INK, linewidth=1.2, solid_capstyle="butt", zorder=4)
    for end, side in zip(ends, (1, -1), strict=True):
        if math.isfinite(end) and 0.0 < end < top:
            ax.plot([end], [height], "|", color=INK, markersize=7.0, zorder=4)
            ax.annotate(
                f"{end:.3g}", xy=(end, height), xytext=(3 * side, -3), textcoords="offset points",
                ha="left" if side > 0 else "right", va="top", fontsize=SMALL, color=INK, zorder=6, path_effects=HALO,
            )  # fmt: skip
    sided = ", one-sided" if ends[0] == 0.0 or ends[1] == top < math.inf else ""
    ax.annotate(
        f"{100 * level:g} % interval{sided}", xy=(0.5 * (left + right), height), xytext=(0, 3),
        textcoords="offset points", ha="center", fontsize=SMALL, color=INK, path_effects=HALO,
    )  # fmt: skip
