"""Rows of a mixture of random effects: which of them belong to the class of large effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.posterior import class_probabilities
from varmix.plots.canvas import HALO, INK, SMALL, draw_on, tidy_axes
from varmix.plots.mixture import DOUBT, behind, divided_by_errors, grouped, headline, in_memory
from varmix.plots.mixture_distribution import stretches
from varmix.typing import Index, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from varmix.results import Fit

POINTS = 5_000
"""Effects up to which each is a point: more cover each other."""
HEXAGONS = 45
"""Across the axis."""
SURE = 0.9
"""Probability from which an effect counts as told apart."""
LINES = 200
"""Points of the curve along x."""


def plot_scatter(fit: Fit, *, ax: Axes | None = None) -> Figure:
    """Draw |y| against |x|, coloured by the probability of the class of largest variance.

    Groups are points at |x'y| / sqrt(x'x) against sqrt(x'x), all that their rows say about their effect [SLOPE-2]; with
    known standard errors both are divided by them. Above 5,000 effects the colour is the mean probability of those in a
    hexagon (the axis says so): all effects count, and single ones far out are seen. On the curve, the class of largest
    variance is as probable as all others together; of a grid of variances, the last stretch of points is that class.
    The title counts the effects whose class is known with a probability of 0.9. Raises NotAvailableError (another
    model, loaded fits, rows that are not kept).
    """
    model, params = behind(fit)
    in_memory(model)
    scales = model.reduction.scales
    q = np.concatenate([piece.q for piece in model.pieces])
    h2 = np.concatenate([piece.h2 for piece in model.pieces])
    top = _top_classes(fit)
    probability = _of_top(params, top, q, h2)
    along, height = np.sqrt(q), np.sqrt(h2)
    figure, ax = draw_on(ax, width=4.6, height=3.2)
    tidy_axes(ax)
    look: dict[str, Any] = {"cmap": DOUBT, "vmin": 0.0, "vmax": 1.0}
    across, up = along * scales.regressor, height * scales.response
    ax.set_xlim(0.0, 1.02 * across.max())
    ax.set_ylim(0.0, 1.02 * (up.max() or 1.0))
    many = len(q) > POINTS
    if many:
        drawn = ax.hexbin(
            across, up, C=probability, gridsize=(HEXAGONS, HEXAGONS // 2), linewidths=0.2, edgecolors="face",
            extent=(0.0, float(across.max()), 0.0, float(up.max()) or 1.0), **look,
        )  # fmt: skip
    else:
        order = np.argsort(probability, kind="stable")
        drawn = ax.scatter(
            across[order], up[order], c=probability[order], s=9.0 if len(q) < 1500 else 4.0, linewidths=0.0,
            clip_on=False, **look,
        )  # fmt: skip
    _even_odds(ax, params, top, float(along.max()), float(height.max()), scales)
    _name_axes(ax, fit, grouped=grouped(model))
    least = scales.variance * float(params.variances[top].min())
    which = f"v = {least:.3g}" if len(top) == 1 else f"v ≥ {least:.3g}"
    _bar(figure, ax, drawn, which, many)
    headline(ax, _message(probability, params, least))
    return figure


def _message(probability: Vector, params: MixtureParams, variance: float) -> str:
    count = len(probability)
    if np.count_nonzero(params.shares) == 1:
        return f"All {count:,} effects are of one class, v = {variance:.3g}"
    sure = int((np.maximum(probability, 1.0 - probability) >= SURE).sum())
    return f"The class is known of {sure:,} of {count:,} effects ({100.0 * sure / count:.3g} %, probability {SURE:g})"


def _top_classes(fit: Fit) -> Index:
    """The class of largest variance among those with a share; of a grid, all points of its last stretch."""
    report: Any = fit.report
    if report.kind == "mixing_distribution":
        return np.arange(report.params.classes)[-len(stretches(report.found.shares)[-1]) :]
    shares, variances = report.params.shares, report.params.variances
    return np.array([np.argmax(np.where(shares > 0.0, variances, -1.0))])


def _of_top(params: MixtureParams, top: Index, q: Vector, h2: Vector) -> Vector:
    """Probability of these classes, shape (n,) [SLOPE-2]."""
    return np.asarray(class_probabilities(params, q, np.sqrt(q * h2))[top].sum(axis=0))


def _even_odds(ax: Any, params: MixtureParams, top: Index, along: float, height: float, scales: Any) -> None:
    """Where the class of largest variance has probability 1/2: there |y| is a rising function of probability."""
    positions = np.linspace(along / LINES, along, LINES)
    low, high = np.zeros(LINES), np.full(LINES, 1.2 * height)
    q = positions**2
    open_ended = _of_top(params, top, q, high**2) < 0.5
    for _ in range(40):
        middle = 0.5 * (low + high)
        above = _of_top(params, top, q, middle**2) >= 0.5
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    curve = np.where(open_ended | (high < 1e-6 * height), np.nan, 0.5 * (low + high))
    if np.isnan(curve).all():
        return
    ax.plot(positions * scales.regressor, curve * scales.response, color=INK, linewidth=1.0, zorder=5)
    end = int(np.flatnonzero(~np.isnan(curve)).max())
    ax.annotate(
        "even odds", xy=(positions[end] * scales.regressor, curve[end] * scales.response), xytext=(0, 3),
        textcoords="offset points", ha="right", va="bottom", fontsize=SMALL, color=INK, path_effects=HALO, zorder=6,
    )  # fmt: skip


def _name_axes(ax: Any, fit: Fit, *, grouped: bool) -> None:
    response = fit.facts["response"]
    divided = divided_by_errors(fit)
    if grouped:
        unit = ", rows in standard errors" if divided else ""
        ax.set_xlabel(f"√(x′x) of a group{unit}")
        ax.set_ylabel(f"|x′{response}| / √(x′x)")
        return
    over = " / standard error" if divided else ""
    ax.set_xlabel(f"|x|{over}")
    ax.set_ylabel(f"|{response}|{over}")


def _bar(figure: Any, ax: Any, drawn: Any, which: str, many: bool) -> None:
    bar = figure.colorbar(drawn, ax=ax, ticks=[0.0, 0.25, 0.5, 0.75, 1.0], aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SMALL, length=0.0, labelcolor=INK)
    text = f"mean probability of {which} in a hexagon" if many else f"probability of {which}"
    bar.set_label(text, fontsize=SMALL, color=INK)
