"""Heat map of the genes' posteriors over partitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from varmix.plots.canvas import HALO, INK, QUIET, SMALL, draw_on, spread_apart, tidy_axes
from varmix.plots.mixture import headline
from varmix.plots.partition import CERTAINTY, SURE, Posteriors, abbreviated, chosen_genes, positive
from varmix.typing import Index, Matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from varmix.results import Fit

MOST = 30
"""Columns: as many lines of text stand beside the map."""

LINE = 0.135
"""Height of a line of small text, inches."""

COLUMN = 0.14
"""Width of a column that holds a number of two digits, inches."""

LETTER = 0.057
"""Width of a letter of small text, inches."""

NAMED = 40
"""Genes up to which each is named."""

LINES = 600
"""Rows of the image: more genes are averaged, neighbours in their order, so that none is passed over."""

VISIBLE = 0.004
"""Part of the height above which a band has a line below it."""


def plot_partitions(fit: Fit, genes: Any = None, *, most: int = MOST, ax: Axes | None = None) -> Figure:
    """Draw the probability of each partition for each gene [PART-8]: genes down, partitions across.

    Partitions are numbered from the most common one; what is beyond the `most` commonest is added up in a last column.
    Genes are in bands by their most probable partition, each from the most certain to the least; at the right are the
    partitions in words with the number of genes in their bands. `genes` names those to draw (None: all). Works on
    loaded fits that keep their genes. Raises NotAvailableError (another model, no tables of genes), OptionError (genes
    that are not there, `most` below 1).
    """
    most = positive(most, "most")
    whole = Posteriors.of(fit)
    rows = np.arange(len(whole.genes)) if genes is None else chosen_genes(whole.genes, genes)
    bands = Bands.of(whole, rows, most)
    words = abbreviated(bands.words)
    height = max(2.4, LINE * (len(words) + 1) + 0.9, LINE * len(rows) + 0.9 if len(rows) <= NAMED else 0.0)
    across = max(1.6, COLUMN * len(words))
    beside = LETTER * (max(len(word) for word in words) + 12)
    figure, ax = draw_on(ax, width=across + beside + 1.6, height=min(height, 9.0))
    tidy_axes(ax)
    drawn = ax.imshow(
        _averaged(bands.values), aspect="auto", interpolation="nearest", cmap=CERTAINTY, vmin=0.0, vmax=1.0,
        extent=bands.extent,
    )  # fmt: skip
    _name_axes(ax, bands, words)
    _name_bands(ax, bands, words)
    bar = figure.colorbar(
        drawn, ax=ax, location="left", ticks=[0.0, 0.5, 1.0], aspect=30, shrink=0.6, pad=0.02
    )  # fmt: skip
    bar.outline.set(edgecolor=QUIET, linewidth=0.4)
    bar.ax.tick_params(labelsize=SMALL, length=0.0, labelcolor=INK)
    bar.set_label("posterior probability", fontsize=SMALL, color=INK)
    headline(ax, _message(bands))
    return figure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bands:
    """`values` (n, K) of genes in bands, `genes` their names, `words` (K) of the columns, `counts` (K,) of the bands.

    `rest` is the number of partitions in the last column, 0 where each has its own.
    """

    values: Matrix
    genes: tuple[str, ...]
    words: tuple[str, ...]
    counts: Index
    rest: int

    @classmethod
    def of(cls, whole: Posteriors, rows: Index, most: int) -> Bands:
        """Genes of these positions; partitions in the order of their shares among all genes."""
        order = whole.by_share
        chosen = whole.probabilities[rows][:, order]
        words = [whole.words[j] for j in order]
        rest = len(words) - most if len(words) > most + 1 else 0
        best = np.argmax(chosen, axis=1)
        if rest:
            chosen = np.column_stack([chosen[:, :most], chosen[:, most:].sum(axis=1)])
            words = [*words[:most], f"any of {rest} others"]
        band = np.minimum(best, len(words) - 1)
        order = np.lexsort((-chosen[np.arange(len(band)), band], band))
        return cls(
            values=chosen[order],
            genes=tuple(whole.genes[rows[at]] for at in order),
            words=tuple(words),
            counts=np.bincount(band, minlength=len(words)),
            rest=rest,
        )

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Of the image: columns 0 to K, genes n to 0."""
        return (0.0, float(len(self.words)), float(len(self.values)), 0.0)


def _averaged(values: Matrix) -> Matrix:
    """Means of neighbouring rows, at most `LINES` of them."""
    if len(values) <= LINES:
        return values
    starts = np.arange(LINES) * len(values) // LINES
    sizes = np.diff(np.append(starts, len(values)))
    return np.asarray(np.add.reduceat(values, starts, axis=0) / sizes[:, None])


def _name_axes(ax: Any, bands: Bands, words: list[str]) -> None:
    count = len(words)
    numbers = [str(k + 1) for k in range(count)]
    if bands.rest:
        numbers[-1] = "+"
    ax.set_xticks(np.arange(count) + 0.5, numbers)
    ax.set_xlabel("partition, from the most common")
    if len(bands.genes) <= NAMED:
        ax.set_yticks(np.arange(len(bands.genes)) + 0.5, bands.genes)
    else:
        ax.set_yticks([])
    ax.tick_params(length=0.0)
    for side in ("left", "bottom", "top", "right"):
        ax.spines[side].set(visible=True, color=QUIET, linewidth=0.4)
    total = max(int(bands.counts.sum()), 1)
    ends = np.cumsum(bands.counts)[:-1]
    lines = [end for end, size in zip(ends, bands.counts, strict=False) if size > VISIBLE * total and end < total]
    ax.hlines(lines, 0.0, count, color=QUIET, linewidth=0.4)


def _name_bands(ax: Any, bands: Bands, words: list[str]) -> None:
    """Each column's words and count at the height of its band, moved apart; quietly of those without genes."""
    total = max(int(bands.counts.sum()), 1)
    ends = np.cumsum(bands.counts)
    middles = (ends - 0.5 * bands.counts) / total
    box = ax.get_position()
    inches = max(float(ax.figure.get_size_inches()[1]) * float(box.height), 0.5)
    gap = LINE / inches
    wanted = [float(middle) for middle in middles]
    empty = bands.counts == 0
    places = _inside(wanted, gap)
    for k, (place, middle) in enumerate(zip(places, middles, strict=True)):
        mark = "+" if bands.rest and k == len(words) - 1 else str(k + 1)
        tone = QUIET if empty[k] else INK
        if not empty[k]:
            ax.plot(
                [1.005, 1.02, 1.045], [1.0 - middle, 1.0 - middle, 1.0 - place], transform=ax.transAxes, color=QUIET,
                linewidth=0.5, clip_on=False,
            )  # fmt: skip
        text = f"{mark}  {words[k]}  ({bands.counts[k]:,})"
        ax.annotate(
            text, xy=(1.055, 1.0 - place), xycoords="axes fraction", va="center", fontsize=SMALL,
            color=tone, path_effects=HALO, annotation_clip=False,
        )  # fmt: skip


def _inside(wanted: list[float], gap: float) -> list[float]:
    """Moved apart, in order, and back between 0 and 1 as far as they fit."""
    gap = min(gap, 1.0 / max(len(wanted), 1))
    places = spread_apart(wanted, gap)
    low, high = 0.5 * gap, 1.0 - 0.5 * gap
    for k, place in enumerate(places):
        places[k] = max(place, low + k * gap)
    for k in reversed(range(len(places))):
        places[k] = min(places[k], high - (len(places) - 1 - k) * gap)
    return places


def _message(bands: Bands) -> str:
    count = len(bands.values)
    sure = int((bands.values.max(axis=1) >= SURE).sum())
    if count == 1:
        return f"Partitions of {bands.genes[0]}"
    return f"The partition is known of {sure:,} of {count:,} genes (probability {SURE:g})"
