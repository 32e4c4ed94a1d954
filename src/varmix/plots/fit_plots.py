"""What `fit.plot` gives: the figures of one fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from varmix.results import Fit

Of = Literal["variance", "proportion"]


class FitPlots:
    """Figures of one fit. Each raises MissingExtraError without matplotlib."""

    def __init__(self, fit: Fit) -> None:
        self.fit = fit

    def progress(self, *, x: Literal["evaluations", "step"] = "evaluations", ax: Any = None) -> Figure:
        """The path to the optimum: see `plot_paths`. Raises NotAvailableError for moments, which have none."""
        from varmix.plots.paths import plot_paths

        return plot_paths({str(self.fit.facts["method"]): self.fit}, x=x, ax=ax)

    def profile(self, term: str, of: Of = "variance", *, level: float | None = None, ax: Axes | None = None) -> Figure:
        """Profile log-likelihood of a variance or proportion: see `plot_profile`.

        Raises NotAvailableError for moments and for fits that were loaded; OptionError for a term that is not there.
        """
        from varmix.plots.profile import plot_profile

        return plot_profile(self.fit, term, of=of, level=level, ax=ax)

    def components(self, of: Of = "variance", *, ax: Axes | None = None) -> Figure:
        """Variances or proportions with their intervals: see `plot_components`."""
        from varmix.plots.components import plot_components

        return plot_components(self.fit, of=of, ax=ax)

    def starts(self, *, x: Literal["evaluations", "step"] = "evaluations", ax: Any = None) -> Figure:
        """Paths of all starts of a mixture: see `plot_starts`. Raises NotAvailableError for fits without starts."""
        from varmix.plots.mixture_starts import plot_starts

        return plot_starts(self.fit, x=x, ax=ax)

    def mixing(self, *, points: int = 60, ax: Axes | None = None) -> Figure:
        """Classes of a mixture beside the best distribution on a grid of `points` variances: see `plot_mixing`.

        Raises NotAvailableError for other models and for fits that were loaded.
        """
        from varmix.plots.mixture_distribution import plot_mixing

        return plot_mixing(self.fit, points=points, ax=ax)

    def scatter(self, *, ax: Axes | None = None) -> Figure:
        """Rows of a mixture by the probability of its largest effects: see `plot_scatter`. Raises as `mixing`."""
        from varmix.plots.mixture_rows import plot_scatter

        return plot_scatter(self.fit, ax=ax)

    def posterior(self, *, ax: Axes | None = None) -> Figure:
        """Posterior of the effects of a mixture: see `plot_posterior`. Raises as `mixing`."""
        from varmix.plots.mixture_effects import plot_posterior

        return plot_posterior(self.fit, ax=ax)

    def partitions(self, genes: Any = None, *, most: int = 30, ax: Axes | None = None) -> Figure:
        """Posteriors of genes over partitions: see `plot_partitions`.

        Raises NotAvailableError for other models and files that keep no genes; OptionError for unknown genes.
        """
        from varmix.plots.partition_posteriors import plot_partitions

        return plot_partitions(self.fit, genes, most=most, ax=ax)

    def proportions(self, known: Any = None, *, ax: Axes | None = None) -> Figure:
        """Proportions of cell types, against known ones or by sample type: see `plot_proportions`.

        Raises NotAvailableError for other models; AlignmentError, ShapeError and DataError for tables that do not fit.
        """
        from varmix.plots.partition_proportions import plot_proportions

        return plot_proportions(self.fit, known, ax=ax)

    def expression(self, genes: Any = None) -> Figure:
        """Expression of cell types, a panel per gene: see `plot_expression`. Raises as `partitions`."""
        from varmix.plots.partition_expression import plot_expression

        return plot_expression(self.fit, genes)

    def shares(self, *, most: int = 30, ax: Axes | None = None) -> Figure:
        """Shares of partitions with their intervals: see `plot_shares`. Raises NotAvailableError for other models."""
        from varmix.plots.partition_shares import plot_shares

        return plot_shares(self.fit, most=most, ax=ax)
