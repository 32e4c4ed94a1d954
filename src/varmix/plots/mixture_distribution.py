"""The mixing distribution: classes of a fit, back to back with the best distribution on a grid of variances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from varmix.models.random_effect_mixture.fitting import screening_part
from varmix.models.random_effect_mixture.npmle import GRID_POINTS, Npmle, npmle
from varmix.plots.canvas import COLOURS, HALO, INK, QUIET, SMALL, draw_on, spread_apart, tidy_axes
from varmix.plots.mixture import SEED, behind, caption, headline, number
from varmix.typing import Index, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from varmix.models.random_effect_mixture.model import RandomEffectMixture
    from varmix.models.random_effect_mixture.units import Units
    from varmix.results import Fit

ROOM = 1.3
"""Height of the axis over the largest share: the numbers stand above the stems."""
LETTERS = 0.085
"""Width of a share written in two digits, as a part of the axis."""
NOTHING = 1e-6
"""Log-likelihood that is not worth a number."""
WORTH_A_NUMBER = 0.005
"""Least share that is written."""
MANY = 200_000
"""Effects above which the grid mixture of a fit by classes is found on a part of them: on a million it took 21 s."""
PART = 50_000
"""Effects of that part, and at most twice as many: what a figure shows of shares is within the width of its lines."""


def plot_mixing(fit: Fit, *, points: int = GRID_POINTS, ax: Axes | None = None) -> Figure:
    """Draw the distribution of effect variances: a stem per class at sqrt(v), as high as its share.

    Upwards the classes of the fit, with the 95 % interval of each v as a thin line; downwards the best distribution on
    a grid of `points` variances at the fit's residual variance, which needs no number of classes. The title says what
    any number of classes could still gain in log-likelihood [SLOPE-8]. A fit by `method="npmle"` has the lower half
    alone, with its certificates. Numbers are shares; neighbouring points of the grid, which stand for one stretch of
    variances, are numbered together. sqrt(v) is the standard deviation of the effects in a class, in units of y per
    unit of x. Of more than 200,000 effects the grid mixture is found on a fixed part, which the caption tells. Raises
    NotAvailableError (another model, loaded fits), OptionError (points below 2).
    """
    model, params = behind(fit)
    on_grid = fit.report.kind == "mixing_distribution"
    report: Any = fit.report
    pieces = model.pieces if on_grid else _part(model)
    found: Npmle = report.found if on_grid else npmle(pieces, residual=params.residual, points=points)
    scale = model.reduction.scales.variance
    places = np.sqrt(found.variances * scale)
    figure, ax = draw_on(ax, width=4.6, height=2.3 if on_grid else 2.9)
    tidy_axes(ax)
    sign = 1.0 if on_grid else -1.0
    support = found.support
    _stems(ax, places[support], sign * found.shares[support], COLOURS[1])
    heights = [found.shares.max()]
    right = places[support].max()
    if not on_grid:
        table = fit.components.iloc[: model.classes]
        classes = np.sqrt(table["estimate"].to_numpy())
        _stems(ax, classes, params.shares, COLOURS[0])
        _intervals(ax, table, params.shares)
        heights.append(params.shares.max())
        ends = np.sqrt(table["upper"].to_numpy())
        right = max(right, classes.max(), *ends[np.isfinite(ends) & (ends < 3.0 * (classes.max() + right))])
    margin = 0.04 * (right or 1.0)
    ax.set_xlim(-margin, right + margin)
    top = ROOM * max(heights)
    ax.set_ylim(0.0 if on_grid else -top, top)
    ax.axhline(0.0, color=QUIET, linewidth=0.6, zorder=0)
    centres, totals, tops = _centres(places, found.shares)
    _number_groups(ax, centres, totals, sign * tops, COLOURS[1])
    if not on_grid:
        _number_groups(ax, classes, params.shares, params.shares, COLOURS[0])
        for height, name, tone in ((0.75, "classes of the fit", COLOURS[0]), (0.25, "grid of variances", COLOURS[1])):
            ax.annotate(
                name, xy=(1.02, height), xycoords="axes fraction", ha="left", va="center", rotation=270, fontsize=SMALL,
                color=tone, annotation_clip=False,
            )  # fmt: skip
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    ax.set_ylabel("share of effects")
    ax.set_xlabel(f"√v, standard deviation of the effects (unit of {fit.facts['response']} per unit of x)")
    _tell(figure, ax, fit, found, pieces)
    return figure


def _part(model: RandomEffectMixture) -> Sequence[Units]:
    """The units, or a part of very many: the same at every call."""
    many = _count(model.pieces) > MANY
    return screening_part(model, np.random.default_rng(SEED), PART) if many else model.pieces


def _count(pieces: Sequence[Units]) -> int:
    return sum(len(piece) for piece in pieces)


def _stems(ax: Any, places: Vector, shares: Vector, tone: str) -> None:
    ax.vlines(places, 0.0, shares, color=tone, linewidth=1.8, zorder=3)
    ax.plot(places, shares, "o", color=tone, markersize=4.0, clip_on=False, zorder=4)


def _intervals(ax: Any, table: Any, shares: Vector) -> None:
    """The interval of each v at the height of its share; an end that is not finite runs off the axis."""
    for (lower, upper), height in zip(table[["lower", "upper"]].to_numpy(dtype=np.float64), shares, strict=True):
        if math.isfinite(lower):
            end = math.sqrt(upper) if math.isfinite(upper) else 1e3 * (math.sqrt(lower) + 1.0)
            ax.plot([math.sqrt(lower), end], [height, height], color=INK, linewidth=0.8, zorder=2)


def stretches(shares: Vector) -> list[Index]:
    """Runs of neighbouring grid points that have a share; a run may miss one point."""
    support = np.flatnonzero(shares)
    return np.split(support, np.flatnonzero(np.diff(support) > 2) + 1)


def _centres(places: Vector, shares: Vector) -> tuple[Vector, Vector, Vector]:
    """Centre, total share and tallest stem of each run."""
    runs = stretches(shares)
    total = np.array([shares[run].sum() for run in runs])
    centre = np.array([places[run] @ shares[run] for run in runs]) / total
    return centre, total, np.array([shares[run].max() for run in runs])


def _number_groups(ax: Any, places: Vector, shares: Vector, heights: Vector, tone: str) -> None:
    """Shares beyond the ends of the stems, moved apart sideways where they would cover each other."""
    left, right = ax.get_xlim()
    shown = np.flatnonzero(shares >= WORTH_A_NUMBER)
    wanted = [float((places[k] - left) / (right - left)) for k in shown]
    for k, place in zip(shown, spread_apart(wanted, LETTERS), strict=True):
        ax.annotate(
            f"{shares[k]:.2f}" if shares[k] >= 0.01 else "<0.01", xy=(max(place, 0.0), heights[k]),
            xycoords=("axes fraction", "data"), xytext=(0, math.copysign(5.0, heights[k])),
            textcoords="offset points", ha="center", va="bottom" if heights[k] > 0.0 else "top", fontsize=SMALL,
            color=tone, path_effects=HALO, zorder=6,
        )  # fmt: skip


def _tell(figure: Any, ax: Any, fit: Fit, found: Npmle, pieces: Sequence[Units]) -> None:
    """Title and caption: what there is, what could be gained, and on how many of the effects the grid rests."""
    report: Any = fit.report
    if report.kind == "mixing_distribution":
        headline(ax, f"Best mixing distribution on a grid: {len(found.support)} of {len(found.variances)} points")
        caption(figure, f"Variances between the points could gain {_gain(found.bound)} in log-likelihood.")
        return
    bound, reached, all_of_them = float(fit.facts["gain_bound"]), "", report.model.pieces
    if pieces is all_of_them:
        grid_gains = found.log_likelihood - report.estimation.outcome.objective
        bound = min(bound, max(grid_gains + found.bound, 0.0))
        reached = f"; the grid gains {number(grid_gains)}" if grid_gains > NOTHING else ""
    else:  # the distribution of a part bounds nothing that the whole could gain
        reached = f"; the grid is of {_count(pieces):,} of {_count(all_of_them):,} effects"
    classes = "1 class" if report.model.classes == 1 else f"{report.model.classes} classes"
    headline(ax, f"{classes}: more could gain {_gain(bound)} in log-likelihood")
    caption(figure, f"Bound on any number of classes at the fit's residual variance{reached}.")


def _gain(bound: float) -> str:
    return f"at most {number(bound)}" if bound > NOTHING else "nothing"
