"""Posterior of the effects beside what their own rows say: how much is shrunk, and which signs are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from varmix.models.random_effect_mixture.posterior import posterior
from varmix.plots.canvas import COLOURS, QUIET, SMALL, draw_on, tidy_axes
from varmix.plots.mixture import behind, headline, in_memory, subsample, with_signs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from varmix.results import Fit

POINTS = 3_000
"""Effects that are drawn at most."""
KNOWN = 0.05
"""Local false sign rate up to which the sign of an effect counts as known."""
BEYOND = 2.0
"""The axis of the slopes is this many times as long as that of the effects: slopes at small x are larger yet, and say
little."""


def plot_posterior(fit: Fit, *, ax: Axes | None = None) -> Figure:
    """Draw posterior means of the effects, with one standard deviation either way, against the slopes x'y / x'x.

    Orange effects have a sign that is known (local false sign rate up to 0.05). The dashed line is no shrinkage. Above
    3,000 effects a fixed random subsample is drawn, and the label says so; the title counts all. Raises
    NotAvailableError (another model, loaded fits, rows that are not kept).
    """
    model, params = behind(fit)
    in_memory(model)
    reduction = with_signs(model)
    at = reduction.informative
    found = posterior(params, reduction.q[at], reduction.xy[at])
    known = found.lfsr <= KNOWN
    scale = reduction.scales.response / reduction.scales.regressor
    drawn = subsample(len(at), POINTS)
    slope = scale * (reduction.xy[at] / reduction.q[at])[drawn]
    mean, sd, sure = scale * found.mean[drawn], scale * found.sd[drawn], known[drawn]
    figure, ax = draw_on(ax, width=4.2, height=3.2)
    tidy_axes(ax)
    reach = float((np.abs(mean) + sd).max()) or 1.0
    ax.axline((0.0, 0.0), slope=1.0, color=QUIET, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    ax.axhline(0.0, color=QUIET, linewidth=0.6, zorder=0)
    for part, tone, name in (
        (~sure, COLOURS[0], "sign open"),
        (sure, COLOURS[1], f"sign known (false sign rate ≤ {KNOWN:g})"),
    ):
        ax.vlines(slope[part], (mean - sd)[part], (mean + sd)[part], color=tone, linewidth=0.4, alpha=0.18, zorder=2)
        ax.plot(slope[part], mean[part], ".", color=tone, markersize=3.5, markeredgewidth=0.0, label=name, zorder=3)
    ax.set_xlim(-BEYOND * reach, BEYOND * reach)
    ax.set_ylim(-1.05 * reach, 1.05 * reach)
    outside = int((np.abs(slope) > BEYOND * reach).sum())
    told = [f"{len(drawn):,} of {len(at):,} effects, drawn at random"] if len(drawn) < len(at) else []
    told += [f"{outside:,} slopes lie beyond the axis"] if outside else []
    response = fit.facts["response"]
    ax.set_xlabel(f"slope of its own rows, x′{response} / x′x" + ("\n" + "\n".join(told) if told else ""))
    ax.set_ylabel("posterior mean ± sd of the effect")
    ax.legend(frameon=False, fontsize=SMALL, loc="upper left", borderaxespad=0.0, handletextpad=0.2, markerscale=2.5)
    count = int(known.sum())
    headline(ax, f"The sign of {count:,} of {len(at):,} effects is known ({100.0 * count / len(at):.2g} %)")
    return figure
