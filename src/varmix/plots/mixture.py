"""What the figures of mixtures of random effects share: the data behind a fit, units, and colours of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from varmix.errors import NotAvailableError
from varmix.models.random_effect_mixture.stream.reduction import StreamReduction
from varmix.models.random_effect_mixture.units import Units
from varmix.plots.canvas import COLOURS, INK, QUIET, SMALL, TEXT

if TYPE_CHECKING:
    from varmix.models.random_effect_mixture.model import RandomEffectMixture
    from varmix.models.random_effect_mixture.params import MixtureParams
    from varmix.models.random_effect_mixture.reduction import Reduction
    from varmix.results import Fit

KINDS = ("random_effect_mixture", "mixing_distribution")

DOUBT = LinearSegmentedColormap.from_list("doubt", [COLOURS[0], "#C8C8C8", COLOURS[1]])
"""For probabilities: both certain ends have a hue that any colour vision tells apart, what is open is grey."""

SEED = 20
"""Of the subsample drawn where there are too many rows: the same fit always gives the same figure."""


def behind(fit: Fit) -> tuple[RandomEffectMixture, MixtureParams]:
    """The model with its data, and the estimate in internal units. Raises NotAvailableError."""
    report: Any = fit.report
    if report.kind not in KINDS:
        raise NotAvailableError(
            f"This figure is of a mixture of random effects, not of a fit of kind '{report.kind}': use "
            "fit.plot.components()."
        )
    if not hasattr(report, "model"):
        raise NotAvailableError("A fit that was loaded does not hold the data that this figure shows. Fit again.")
    return report.model, report.params


def in_memory(model: RandomEffectMixture) -> None:
    """Raises NotAvailableError where rows come in chunks and none are kept."""
    if not all(isinstance(piece, Units) for piece in model.pieces):
        raise NotAvailableError(
            "The rows of this fit come in chunks and are not kept, so they cannot be drawn. Fit a part of them in "
            "memory from this estimate (starts=[...]) and draw that."
        )


def with_signs(model: RandomEffectMixture) -> Reduction:
    """The rows with the signs of x'y. Raises NotAvailableError for streams of rows, which keep squares."""
    reduction: Any = model.reduction
    if isinstance(reduction, StreamReduction):
        raise NotAvailableError(
            "The rows of this fit were read as a stream and their signs are not kept, so their effects cannot be "
            "drawn. Fit the table itself, data=pandas.read_csv(...), or draw columns of fit.classes."
        )
    return model.reduction


def grouped(model: RandomEffectMixture) -> bool:
    """Whether some effect has several rows."""
    reduction: Any = model.reduction
    return not isinstance(reduction, StreamReduction) and bool((reduction.rows > 1.0).any())


def divided_by_errors(fit: Fit) -> bool:
    """Whether rows were divided by known standard errors, so that what is drawn is in those."""
    report: Any = fit.report
    reduction: Any = report.model.reduction
    if isinstance(reduction, StreamReduction):
        return reduction.reader.columns.se is not None
    rows = report.rows.augment(np.zeros(reduction.groups))
    x = rows["x"].to_numpy() / reduction.scales.regressor
    # 1e-9: two orders of summation of the same squares.
    return not np.isclose(float(x @ x), float(reduction.q.sum()), rtol=1e-9)


def subsample(count: int, most: int) -> Any:
    """Positions of at most `most` of `count` rows, in order, the same at every call."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).choice(count, most, replace=False))


def number(value: float) -> str:
    """Three digits, and a minus that is one."""
    return f"{value:.3g}".replace("-", "−")


def headline(ax: Any, text: str) -> None:
    """What the figure says, above it at the left."""
    ax.set_title(text, loc="left", fontsize=TEXT, color=INK)


def caption(figure: Any, text: str) -> None:
    """What the reader must know besides, quietly below; nothing on figures that belong to somebody else."""
    figure.supxlabel(text, fontsize=SMALL, color=QUIET, x=0.01, ha="left")
