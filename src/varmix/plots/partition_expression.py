"""Expression of cell types for chosen genes."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from varmix.errors import OptionError
from varmix.plots.canvas import INK, QUIET, SMALL, TEXT, Drawing, colour, tidy_axes
from varmix.plots.mixture import caption
from varmix.plots.partition import SURE, Posteriors, by_gene, chosen_genes
from varmix.typing import Index, Vector

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from varmix.results import Fit

PARTITIONS, EACH = 4, 2
"""Without a choice: the commonest partitions, and genes of each."""

MOST_PANELS = 48
"""Genes in one figure."""

ACROSS = 4
"""Panels side by side."""

LETTER = 0.062
"""Width of a letter, inches."""

LINE = 0.125
"""Height of a line of small text, inches."""

NARROWEST, WIDEST = 1.75, 2.6
"""Width of a panel, inches."""

NARROW = 2.5
"""Width of the figure that its caption needs, inches."""

MARKS = "osD^vP*"
"""Of blocks, so that they differ without colour."""


def plot_expression(fit: Fit, genes: Any = None) -> Figure:
    """Draw the expression of each cell type, posterior mean and one standard deviation each way, a panel per gene.

    Cell types of one block of the gene's most probable partition share colour and mark and are joined by a line; the
    partition stands above with its probability [PART-8]. `genes` are names; None are the two of smallest local false
    discovery rate of each of the four commonest partitions, from those of probability 0.9 where there are any. Works on
    loaded fits that keep their genes. Raises NotAvailableError (another model, no tables of genes), OptionError (genes
    that are not there, more than 48).
    """
    classes, expression, whole = by_gene(fit, "classes"), by_gene(fit, "expression"), Posteriors.of(fit)
    rows = _default(classes, whole) if genes is None else chosen_genes(whole.genes, genes)
    if len(rows) > MOST_PANELS:
        raise OptionError(f"{len(rows):,} genes are too many for one figure. Name at most {MOST_PANELS}.")
    types = [name for name in expression.columns[1:] if f"sd({name})" in expression.columns]
    words = [whole.words[j] for j in whole.probabilities[rows].argmax(axis=1)]
    wide = _width(types, words)
    above = LINE * (2 + max(_wrapped(word, wide).count("\n") for word in words))
    across = min(ACROSS, len(rows))
    down = math.ceil(len(rows) / across)
    below = LETTER * max(len(name) for name in types) if _tilted(types, wide) else 0.1
    figure = Drawing(
        figsize=(max(wide * across + 0.3, NARROW), (1.35 + above + below) * down + 0.35), dpi=100, layout="constrained"
    )
    axes = np.ravel(figure.subplots(down, across, squeeze=False))
    for ax, row in zip(axes, rows, strict=False):
        means = expression.iloc[row][types].to_numpy(dtype=np.float64)
        sds = expression.iloc[row][[f"sd({name})" for name in types]].to_numpy(dtype=np.float64)
        best = int(whole.probabilities[row].argmax())
        _panel(ax, types, _blocks(whole.words[best], types), means, sds)
        _name_types(ax, types, tilted=_tilted(types, wide))
        told = f"{_wrapped(whole.words[best], wide)}  ({whole.probabilities[row, best]:.2f})"
        ax.set_title(f"{whole.genes[row]}\n{told}", fontsize=SMALL, color=INK, loc="left")
    for ax in axes[len(rows) :]:
        ax.set_visible(False)
    figure.supylabel(str(fit.facts["response"]), fontsize=TEXT, color=INK)
    caption(figure, "Posterior mean ± sd; blocks are joined.")
    return figure


def _wrapped(words: str, wide: float) -> str:
    """In lines of the width of a panel, blocks in one piece where they are short enough."""
    letters = max(int((wide - 0.45) / LETTER), 8)
    blocks = [block.replace(" ", "\u00a0") if len(block) <= letters else block for block in words.split(" | ")]
    return textwrap.fill(" | ".join(blocks), letters)


def _default(classes: Any, whole: Posteriors) -> Index:
    """Genes that a partition is most clearly seen in, partition by partition: those that are sure before others."""
    best = whole.probabilities.argmax(axis=1)
    rates, sure = classes["lfdr"].to_numpy(), classes["probability"].to_numpy()
    chosen: list[int] = []
    for j in [j for j in whole.by_share if (best == j).any()][:PARTITIONS]:
        here = np.flatnonzero(best == j)
        differ = "|" in whole.words[j]  # where no cell type does, a small rate speaks against the partition
        order = np.lexsort((-sure[here], rates[here] * differ, sure[here] < SURE))
        chosen += here[order[:EACH]].tolist()
    return np.array(chosen, dtype=np.intp)


def _blocks(words: str, types: list[str]) -> list[int]:
    """Number of each cell type's block, in the order of the words."""
    members = [[part.strip() for part in block.split("=")] for block in words.split("|")]
    places = {name: number for number, block in enumerate(members) for name in block}
    return [places[name.strip()] for name in types]


def _width(types: list[str], words: list[str]) -> float:
    longest = max(len(word) for word in words)
    return min(max(NARROWEST, LETTER * longest + 0.8, 0.28 * len(types) + 0.6), WIDEST)


def _tilted(types: list[str], wide: float) -> bool:
    """Whether names of cell types would touch side by side."""
    return LETTER * max(len(name) for name in types) > 0.85 * (wide - 0.6) / len(types)


def _panel(ax: Any, types: list[str], blocks: list[int], means: Vector, sds: Vector) -> None:
    tidy_axes(ax)
    along, label = np.arange(len(types), dtype=np.float64), np.array(blocks)
    for block in dict.fromkeys(blocks):
        here = np.flatnonzero(label == block)
        tone = colour(block)
        errors = np.where(np.isfinite(sds[here]), sds[here], 0.0)
        if len(here) > 1:
            ax.plot(along[here], means[here], color=tone, linewidth=3.0, alpha=0.35, solid_capstyle="round", zorder=2)
        ax.errorbar(
            along[here], means[here], yerr=errors, fmt=MARKS[block % len(MARKS)], color=tone, markersize=4.5,
            elinewidth=1.0, capsize=2.0, zorder=4,
        )  # fmt: skip
    ax.set_xlim(-0.5, len(types) - 0.5)
    ax.margins(y=0.12)
    ax.grid(axis="y", color=QUIET, alpha=0.2, linewidth=0.5)


def _name_types(ax: Any, types: list[str], *, tilted: bool) -> None:
    ax.set_xticks(range(len(types)), types)
    ax.tick_params(axis="x", length=0.0)
    if tilted:
        for text in ax.get_xticklabels():
            text.set(rotation=90)
