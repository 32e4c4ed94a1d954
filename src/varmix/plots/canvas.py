"""The paper to draw on: figures without pyplot, and one restrained look for all axes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from varmix.errors import MissingExtraError

try:
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import MaxNLocator
except ImportError as error:  # pragma: no cover - the tests run it in a process of its own
    raise MissingExtraError('Figures need matplotlib, which is not installed: pip install "varmix[plot]".') from error

COLUMN = 3.5
"""Width of a column of a paper, inches."""
INK = "#222222"
"""Text and estimates."""
QUIET = "#767676"
"""What only helps to read: limits, comparisons. Contrast 4.5 on white, so that it still prints."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's palette, told apart with any colour vision; yellow left out, which is too pale on white."""
HALO = (withStroke(linewidth=2.0, foreground="white"),)
"""Around text that a line may cross."""
TEXT = 8.0
"""Points: legible when printed at the size of a column, and at 100 dots per inch."""
SMALL = 7.0


class Drawing(Figure):
    """A figure that shows itself in notebooks without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=max(self.get_dpi(), 144.0))
        return buffer.getvalue()


def draw_on(ax: Any, *, width: float, height: float) -> tuple[Figure, Any]:
    """The figure and axes given, or new ones (inches)."""
    if ax is not None:
        return ax.figure, ax
    figure = Drawing(figsize=(width, height), dpi=100, layout="constrained")
    return figure, figure.subplots()


def tidy_axes(ax: Any) -> None:
    """Two spines, quiet ticks, small text."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set(color=QUIET, linewidth=0.6)
    ax.tick_params(labelsize=SMALL, color=QUIET, labelcolor=INK, width=0.6, length=3.0)
    ax.tick_params(which="minor", length=0.0)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(fontsize=TEXT, color=INK)
    ax.title.set(fontsize=TEXT, color=INK)


def whole_numbers_on_ticks(ax: Any) -> None:
    """Very large and very small values in full on each tick of x, where matplotlib would put a factor aside."""
    largest = max(abs(end) for end in ax.get_xlim())
    if largest >= 1e5 or largest < 1e-3:
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")


def colour(number: int) -> str:
    """Colour of the series of this number; after six they repeat, with other line styles."""
    return COLOURS[number % len(COLOURS)]


def spread_apart(positions: Sequence[float], gap: float) -> list[float]:
    """Positions moved as little as keeps neighbours `gap` apart, order kept; groups stay centred on their mean."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    groups: list[list[int]] = []

    def middle(group: list[int]) -> float:
        return sum(positions[i] for i in group) / len(group)

    for i in order:
        groups.append([i])
        while len(groups) > 1 and (
            middle(groups[-1]) - middle(groups[-2]) < gap * (len(groups[-1]) + len(groups[-2])) / 2.0
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    moved = list(positions)
    for group in groups:
        centre = middle(group)
        for rank, i in enumerate(group):
            moved[i] = centre + gap * (rank - (len(group) - 1) / 2.0)
    return moved
