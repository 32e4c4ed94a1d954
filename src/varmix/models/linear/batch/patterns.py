"""Missing responses: those with the same rows share a reduction of the kernel restricted to these rows, and patterns
with few missing rows one reduction of all rows [VC-7].

A value is never filled in. Designs are standardised once, over all rows, so that every response refers to the same
kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np

from varmix.errors import KernelError, NotIdentifiedError
from varmix.genotype import StandardisedDesign, as_source, standardise
from varmix.linalg.householder import pivoted_columns
from varmix.linalg.indefinite import NegativeEigenvalues
from varmix.linalg.threads import one_thread
from varmix.marginal.build import Kernels, build_structure
from varmix.marginal.piece import Structure
from varmix.marginal.with_covariates import negative_with_covariates
from varmix.models.linear.batch.few_missing import cheaper_together, fit_few_missing
from varmix.models.linear.batch.fit import fit_batch
from varmix.models.linear.batch.outcome import Unfitted
from varmix.models.linear.batch.result import BatchFit
from varmix.models.linear.batch.several import fit_one_by_one
from varmix.models.linear.statistics import Criterion
from varmix.typing import Index, Matrix, Square, Tick

ABSORBED = 1e-13
"""Times n: the share of its trace that rounding leaves outside the covariates of a kernel within their span."""

THREADED_FROM = 1000
"""Rows from which BLAS keeps its threads for one pattern after another. 60 patterns of 400 rows on two busy cores took
0.3 s with one thread and 3 to 10 s with two, which wait for each other in every small call."""

SPARE_ROWS = 2
"""Rows needed beyond the fixed effects: one variance takes one, a second component another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Responses that have values in the same rows."""

    rows: Index
    responses: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKernels:
    """Standardised designs, then kernels (n x n, checked), with a name each; nothing is overwritten."""

    names: tuple[str, ...]
    designs: tuple[StandardisedDesign, ...] = ()
    matrices: tuple[Square, ...] = ()

    @property
    def width(self) -> int:
        """Columns of all designs."""
        return sum(design.p for design in self.designs)

    def as_matrices(self) -> SharedKernels:
        """Designs replaced by their `XX'`."""
        grams = []
        for design in self.designs:
            gram = np.zeros((design.n, design.n), order="F")
            design.gram_into(gram)
            grams.append(gram)
        return SharedKernels(names=self.names, matrices=(*grams, *self.matrices))

    def in_memory(self) -> SharedKernels:
        """Designs read once."""
        return replace(self, designs=tuple(design.in_memory() for design in self.designs))

    def at(self, rows: Index, total: int) -> Kernels:
        """Those of some of `total` rows, in memory of their own."""
        whole = rows.size == total
        designs = [
            design if whole else standardise(as_source(design.array()[rows], name=design.name), scaling="none")
            for design in self.designs
        ]
        matrices = [np.array(kernel if whole else kernel[np.ix_(rows, rows)], order="F") for kernel in self.matrices]
        return Kernels(designs=designs, matrices=matrices, matrix_names=self.names[len(designs) :])


def missing_patterns(responses: Matrix) -> Iterator[Pattern]:
    """Groups of responses (n, r) by their rows without NaN, largest number of rows first."""
    absent = np.isnan(responses)
    if not absent.any():
        yield Pattern(rows=np.arange(responses.shape[0]), responses=np.arange(responses.shape[1]))
        return
    packed = np.ascontiguousarray(np.packbits(absent, axis=0).T)
    keys = packed.view([("", packed.dtype)] * packed.shape[1]).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(first.size + 1))
    for at in np.argsort(absent[:, first].sum(axis=0), kind="stable"):
        yield Pattern(rows=np.flatnonzero(~absent[:, first[at]]), responses=order[edges[at] : edges[at + 1]])


def fit_patterns(
    responses: Matrix,
    covariates: Matrix,
    kernels: SharedKernels,
    criterion: Criterion = "reml",
    tick: Tick | None = None,
    tell: Callable[[NegativeEigenvalues], None] | None = None,
) -> BatchFit:
    """Fit responses (n, r) with NaN for missing, one pattern at a time; covariates (n, c), finite.

    By REML, patterns with few missing rows take these out as covariates of one reduction where that is cheaper than a
    reduction of their own. Several kernels are fitted one response after another. A covariate that depends on earlier
    ones among the rows of a pattern has NaN as its effect. `tick` gets the number of responses done, `tell` the
    negative eigenvalues of each kernel among the rows of each pattern.
    """
    components = len(kernels.names) + 1
    whole = BatchFit.blank(responses.shape[1], components, covariates.shape[1], rows=0, why=Unfitted.ALL_MISSING)
    patterns = [pattern for pattern in missing_patterns(responses) if pattern.rows.size]
    fewest = min((pattern.rows.size for pattern in patterns), default=0)
    if len(patterns) > 1 and kernels.designs:
        wide = kernels.width >= fewest - covariates.shape[1] or bool(kernels.matrices)
        kernels = kernels.as_matrices() if wide else kernels.in_memory()
    alone = len(patterns) > 1 and responses.shape[0] < THREADED_FROM
    with one_thread() if alone else nullcontext():
        if components == 2 and criterion == "reml":
            patterns = _take_out_few_missing(whole, patterns, responses, covariates, kernels, tick)
        for pattern in patterns:
            fit, columns = _fit_pattern(pattern, responses, covariates, kernels, criterion, tick, tell)
            fit.put_into(whole, pattern.responses, columns)
    return whole


def _take_out_few_missing(
    whole: BatchFit,
    patterns: list[Pattern],
    responses: Matrix,
    covariates: Matrix,
    kernels: SharedKernels,
    tick: Tick | None,
) -> list[Pattern]:
    """Fill `whole` where one reduction of all rows serves, and give the patterns that are left."""
    total = responses.shape[0]
    cheap = cheaper_together(
        np.array([pattern.rows.size for pattern in patterns]),
        np.array([pattern.responses.size for pattern in patterns]),
        total,
        kernels.width if kernels.designs else total,
    )
    if not cheap.any():
        return patterns
    columns = pivoted_columns(np.asfortranarray(covariates))[0]
    try:
        structure = _structure(
            kernels.as_matrices(), np.arange(total), total, np.asfortranarray(covariates[:, columns])
        )
    except (NotIdentifiedError, KernelError):
        return patterns
    which = np.concatenate([pattern.responses for pattern, chosen in zip(patterns, cheap, strict=True) if chosen])
    fit, fitted = fit_few_missing(structure, responses[:, which])
    fit.part(fitted).put_into(whole, which[fitted], columns)
    if tick is not None:
        tick(int(fitted.sum()))
    done = np.zeros(responses.shape[1], dtype=np.bool_)
    done[which[fitted]] = True
    left = (replace(pattern, responses=pattern.responses[~done[pattern.responses]]) for pattern in patterns)
    return [pattern for pattern in left if pattern.responses.size]


def _fit_pattern(
    pattern: Pattern,
    responses: Matrix,
    covariates: Matrix,
    kernels: SharedKernels,
    criterion: Criterion,
    tick: Tick | None,
    tell: Callable[[NegativeEigenvalues], None] | None,
) -> tuple[BatchFit, Index]:
    rows, count, components = pattern.rows, pattern.responses.size, len(kernels.names) + 1
    here = np.asfortranarray(covariates[rows])
    columns = pivoted_columns(here)[0]
    why = Unfitted.TOO_FEW_ROWS
    if rows.size >= columns.size + SPARE_ROWS:
        complete = rows.size == responses.shape[0]
        mine = responses if complete and count == responses.shape[1] else responses[np.ix_(rows, pattern.responses)]
        try:
            structure = _structure(kernels, rows, responses.shape[0], np.asfortranarray(here[:, columns]))
            if criterion == "ml":
                structure = negative_with_covariates(structure, list(kernels.names))
            if tell is not None:
                for found in structure.blank.negative:
                    tell(found)
            if components > 2:
                return fit_one_by_one(structure, mine, criterion, tick), columns
            fit = fit_batch(structure, mine, criterion)
            if tick is not None:
                tick(count)
            return fit, columns
        except NotIdentifiedError:
            why = Unfitted.NOT_IDENTIFIED
    if tick is not None:
        tick(count)
    return BatchFit.blank(count, components, columns.size, rows=rows.size, why=why), columns


def _structure(kernels: SharedKernels, rows: Index, total: int, covariates: Matrix) -> Structure:
    """The structure of one pattern. Raises NotIdentifiedError when the covariates span its one kernel to rounding."""
    one = len(kernels.names) == 1
    try:
        structure = build_structure(covariates, kernels.at(rows, total), eigenvectors=one)
    except KernelError:  # what rounding leaves of a kernel within the covariates' span looks indefinite
        if one:
            _refuse_absorbed(_outside(kernels.at(rows, total), covariates), kernels, rows)
        raise
    if one:
        _refuse_absorbed(float(structure.projected_traces[0]), kernels, rows)
    return structure


def _refuse_absorbed(outside: float, kernels: SharedKernels, rows: Index) -> None:
    whole = sum(float(kernel.diagonal()[rows].sum()) for kernel in kernels.matrices)
    for design in kernels.designs:
        for _, block in design.blocks():
            whole += float(np.einsum("ij,ij->", block, block)) * rows.size / design.n
    if outside <= ABSORBED * rows.size * whole:
        raise NotIdentifiedError("the covariates span the kernel. Use other covariates or another kernel.")


def _outside(kernels: Kernels, covariates: Matrix) -> float:
    """`tr(M K)` of one kernel, without a reduction."""
    span = np.linalg.qr(covariates)[0]
    if kernels.designs:
        values = kernels.designs[0].array()
        return float(np.linalg.norm(values - span @ (span.T @ values))) ** 2
    kernel = kernels.matrices[0]
    return abs(float(kernel.trace()) - float(np.vdot(span, kernel @ span)))
