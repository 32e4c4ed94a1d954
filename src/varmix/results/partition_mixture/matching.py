"""Cell types of a fit whose labels are arbitrary, named by proportions that are known [PART-7]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from varmix.errors import NotAvailableError
from varmix.iteration import Certificate, Progress, Starts
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.noise_curvature import NoisePosterior
from varmix.models.partition.noise_point import NoisePoint
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import Partitions, renumbered
from varmix.models.partition.scheme import PartitionScheme
from varmix.results.fit import Fit
from varmix.results.partition_mixture.known_proportions import KnownProportions, read_known
from varmix.results.partition_mixture.report import Estimation, PartitionMixtureReport
from varmix.typing import Index, Matrix

ARBITRARY = "Their names are arbitrary"
"""Words of the warning that a matched fit needs no more."""


def match_cell_types(fit: Fit, known: Any) -> Fit:
    """The fit with its cell types in the order and by the names of the columns of `known` [PART-7].

    `known` holds proportions, sample types x cell types: a data frame by name (rows of other sample types are passed
    over, columns name the cell types) or an array (D, T) in the fit's order, which keeps the fit's names. NaN is what
    is not known. Each cell type gets the column that makes the sum of absolute differences smallest over all
    assignments. Partitions, shares, proportions, tables and predictions follow, the likelihood does not change.

    Raises NotAvailableError (loaded fits, other models, known proportions, a prior or partitions that are not the same
    for all cell types), AlignmentError, ShapeError and DataError for a table that does not fit.
    """
    report: Any = fit.report
    if report.kind != "partition_mixture":
        raise NotAvailableError(f"A fit of kind '{report.kind}' has no cell types to match: fit partition_mixture.")
    if not isinstance(report, PartitionMixtureReport):
        raise NotAvailableError(
            "A fit that was loaded does not hold the model that is renamed. Match the cell types before fit.save()."
        )
    base = report.problem.base
    if not np.isnan(base.known).any():
        raise NotAvailableError("The proportions of this fit were given, and its cell types with them: none to match.")
    given = read_known(known, report.labels.sample_types, base.partitions.types)
    order = matched_columns(report.estimates.proportions, given.values)
    renaming = Renaming.of(base.partitions, order, given.cell_types, before=len(report.problem.scalars))
    problem = renaming.problem(report.problem)
    runs = tuple(renaming.run(problem.base, run) for run in report.estimation.starts.runs)
    former = tuple(base.partitions.types[t] for t in order)
    told = _told(given, report.estimates.proportions[:, order], former)
    notes = {**report.estimation.notes, "labels_arbitrary": False, "cell_types_matched": told}
    left = [note for note in notes.pop("warnings", []) if ARBITRARY not in note]
    estimation = Estimation(
        method=report.estimation.method,
        starts=Starts(runs=runs),
        kinds=report.estimation.kinds,
        notes={**notes, "warnings": left} if left else notes,
    )
    return Fit(PartitionMixtureReport(problem, estimation, report.labels))


def matched_columns(estimated: Matrix, known: Matrix) -> Index:
    """Column of `estimated` (D, T) for each of `known` (D, T): the least sum of absolute differences, NaN left out."""
    differences = np.abs(known[:, :, None] - estimated[:, None, :])
    return np.asarray(linear_sum_assignment(np.nansum(differences, axis=0))[1], dtype=np.intp)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Renaming:
    """Cell type k is the former `types[k]`, partition j the former `shares[j]`; `partitions` have the new names.

    `before` is the number of coordinates before the shares.
    """

    partitions: Partitions
    types: Index
    shares: Index
    before: int

    @classmethod
    def of(cls, partitions: Partitions, types: Index, names: tuple[str, ...], *, before: int) -> Renaming:
        """Raises NotAvailableError where a partition becomes one that the fit does not have."""
        moved = [renumbered([label[t] for t in types]) for label in partitions.labels]
        former = {label: number for number, label in enumerate(moved)}
        if set(moved) != set(partitions.labels):
            lost = next(label for label in moved if label not in partitions.labels)
            word = Partitions(types=names, labels=(lost,)).words[0]
            raise NotAvailableError(
                f"The partitions of this fit are not the same for all cell types: renamed, one is '{word}', which is "
                "not among them. Fit again with partitions='all', 'one_vs_rest', 'two_blocks', or this one besides."
            )
        shares = np.array([former[label] for label in partitions.labels], dtype=np.intp)
        return cls(
            partitions=Partitions(types=names, labels=partitions.labels), types=types, shares=shares, before=before
        )

    def problem(self, problem: Any) -> Any:
        """Raises NotAvailableError where what is known or assumed of cell types differs between them."""
        base = problem.base
        for given, what in ((base.known, "known proportions"), (base.concentration, "Dirichlet prior")):
            if given is not None and not np.array_equal(given[:, self.types], given, equal_nan=True):
                raise NotAvailableError(
                    f"The {what} of this fit tell its cell types apart, and '{base.partitions.types[self.types[0]]}' "
                    f"resembles '{self.partitions.types[0]}' all the same: names cannot be changed. Compare the two "
                    "with fit.plot.proportions(known), or fit with what is known."
                )
        return replace(problem, base=replace(base, partitions=self.partitions))

    def run(self, base: PartitionMixture, run: Any) -> Any:
        """A start and its outcome, with the statistics of the renamed point in the renamed model."""
        outcome, order = run.outcome, self._order(run.outcome.params)
        params = self.point(outcome.params)
        steps = [
            replace(step, vector=step.vector[order], certificate=_moved(step.certificate, order))
            for step in outcome.progress.steps
        ]
        renamed = replace(
            outcome,
            params=params,
            stats=_statistics(base, params),
            certificate=_moved(outcome.certificate, order),
            progress=Progress(steps),
        )
        return replace(run, begin=self.point(run.begin), outcome=renamed)

    def point(self, params: Any) -> Any:
        """A point of either family of noise, or a start of one."""
        if isinstance(params, NoisePoint):
            order = self._order(params)
            inner = self.point(params.params)
            return replace(params, params=inner, fixed=params.fixed[order], upper=params.upper[order])
        moved = {"shares": params.shares[self.shares], "proportions": params.proportions[:, self.types]}
        if isinstance(params, PartitionParams) and params.fixed is not None:
            moved["fixed"] = params.fixed[self._order(params)]
        return replace(params, **moved)

    def _order(self, params: Any) -> Index:
        """Former positions of the coordinates (K,)."""
        proportions = params.params.proportions if isinstance(params, NoisePoint) else params.proportions
        first = self.before + len(self.shares)
        rows = first + np.arange(proportions.size).reshape(proportions.shape)[:, self.types]
        return np.concatenate([np.arange(self.before), self.before + self.shares, rows.ravel()])


def _statistics(base: PartitionMixture, params: Any) -> Any:
    """What all genes say about a point."""
    alpha = base.concentration
    if isinstance(params, NoisePoint):
        excess = None if alpha is None else alpha - 1.0
        noise = NoisePosterior(partitions=base.partitions, excess=excess, likelihood=base.likelihood)
        return noise.total(params, base.pieces)
    scheme = PartitionScheme(partitions=base.partitions, likelihood=base.likelihood, concentration=alpha)
    total, *rest = (scheme.summarise(params, piece) for piece in base.pieces)
    for stats in rest:
        total = total + stats
    return total


def _moved(certificate: Certificate, order: Index) -> Certificate:
    """Coordinates on a boundary are positions, too."""
    places = {int(former): number for number, former in enumerate(order)}
    return replace(certificate, on_boundary=tuple(sorted(places[k] for k in certificate.on_boundary)))


def _told(given: KnownProportions, estimated: Matrix, former: tuple[str, ...]) -> str:
    """What was matched with what, and how well; `estimated` (D, T) and `former` in the new order."""
    pairs = zip(given.cell_types, former, strict=True)
    named = ", ".join(f"'{new}' was '{old}'" for new, old in pairs if new != old)
    error = float(np.nanmean(np.abs(given.values - estimated)))
    return f"{named or 'names kept'}; mean absolute difference from the known proportions {error:.3g}"
