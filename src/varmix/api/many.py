"""Variance components of many responses that share their covariates and kernels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd

from varmix.api.inputs import Inputs, join_sources, labelled_response
from varmix.api.kernel_eigenvalues import NegativeChoice, clipped, told, worst
from varmix.errors import OptionError, RepairWarning, ShapeError, VarmixWarning, warn
from varmix.formula import design_from_arrays
from varmix.formula.arrays import response_array
from varmix.genotype import Reference, Scaling
from varmix.linalg.indefinite import NegativeEigenvalues
from varmix.models.linear.batch import SharedKernels, batch_table, fit_patterns
from varmix.models.linear.statistics import Criterion
from varmix.tables.given_ids import named_column
from varmix.typing import Matrix, Tick


def variance_components_many(
    Y: Any,
    *,
    designs: Any = None,
    kernels: Any = None,
    covariates: Any = None,
    criterion: Criterion = "reml",
    scaling: Scaling = "sample",
    reference: Reference = "used",
    negative_eigenvalues: NegativeChoice = "keep",
    sample_ids: Any = None,
    intercept: bool = True,
    on_missing: str | None = None,
    names: Sequence[Hashable] | None = None,
    tick: Tick | None = None,
    tick_fitted: Tick | None = None,
) -> pd.DataFrame:
    """Fit `y ~ N(Zw, s K + s_e I)` to every column of Y (n x r array or data frame), a row of the result each [VC-7].

    One kernel: it is diagonalised once, and all responses are fitted as one batch, each to the best of the local
    optima over the proportion of variance that a fine scan brackets [VC-5]. Several kernels share one structure, but
    the responses are then fitted one after another, at the price of as many single fits. NaN in Y marks a missing
    value, which is never filled in: its row counts for the other responses only. By REML, responses with few missing
    rows cost milliseconds each, whatever their pattern; otherwise each different pattern costs one reduction of the
    kernel restricted to its rows.

    Designs (n x p; standardised over all rows used by any response, unless they are StandardisedDesigns already) and
    kernels (n x n) are one object or a dict of them by name. They and the covariates (n x c; in a data frame, text
    columns become factors) are joined with Y as in `variance_components`: by label where both sides have any, else by
    position; so a source with ids goes by position when Y has none. A missing covariate is an error, or with
    on_missing="drop" (the default where something is joined by label) its row is dropped. A covariate that depends on
    others is dropped with a warning; where this is so only among the rows of some responses, its effect is NaN for
    them. `tick` gets the columns read from designs, `tick_fitted` the number of responses fitted. Negative eigenvalues
    of kernels are used as they are or clipped at 0, over all rows used by any response, as `negative_eigenvalues` says
    (see `variance_components`), and one warning tells of each kernel.

    ML has no global maximum where the kernel is singular in the direction of a covariate, as a centred design of n or
    more columns is in the intercept's: the best maximum inside is reported then, or `UNBOUNDED` when there is
    none. REML does not have this fault.

    Columns: `s_kernel` and `s_residual` with `se_kernel` and `se_residual` from the expected information [VC-4];
    `proportion` and `se_proportion` [VC-9]; `total`, the variance per row outside the covariates; `log_likelihood` and
    its `criterion`; `lr_statistic` and `lr_p` of no kernel at all (half chi-square; NaN with several kernels);
    `fixed_...` and `se_fixed_...`; `iterations`, `decrement` (distance to the optimum in standard errors), `status` (a
    name of `Status`, or of `Unfitted` for a row of NaN) and `rows` used. Several kernels go by their names. At a
    variance of 0 its standard error is that of an interior estimate: use the test.

    Raises ShapeError (numbers of rows that differ), DataError (no row left, fewer rows than fixed effects),
    NotFiniteError (an infinity; a covariate with NaN), AlignmentError (nobody shared), OptionError, KernelError.
    """
    if criterion not in get_args(Criterion):
        raise OptionError(f"criterion={criterion!r} is not known. Use 'reml' or 'ml'.")
    gathered = gather_many(
        Y,
        designs=designs,
        kernels=kernels,
        covariates=covariates,
        scaling=scaling,
        reference=reference,
        sample_ids=sample_ids,
        intercept=intercept,
        on_missing=on_missing,
        names=names,
        tick=tick,
    )
    return gathered.fit(criterion, tick_fitted, negative_eigenvalues)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ManyInputs:
    """Responses beside the aligned and standardised rest."""

    responses: Matrix
    """(n, r), NaN for missing, on the rows of `inputs.design`, whose own y is only a mark."""
    labels: tuple[Hashable, ...]
    inputs: Inputs

    def fit(
        self, criterion: Criterion, tick: Tick | None = None, negative_eigenvalues: NegativeChoice = "keep"
    ) -> pd.DataFrame:
        """One row per response; `tick` gets the number of responses done. Warns of negative eigenvalues.

        With "clip" the kernels of `inputs` are changed.
        """
        repaired = clipped(self.inputs, negative_eigenvalues)
        kept: list[NegativeEigenvalues] = []
        terms = tuple(term.name for term in self.inputs.terms)
        shared = SharedKernels(names=terms, designs=self.inputs.standardised, matrices=self.inputs.kernels)
        design = self.inputs.design
        fit = fit_patterns(self.responses, design.Z, shared, criterion, tick, kept.append)
        for found in repaired:
            warn(told(found, "clip"), RepairWarning)
        for found in worst(kept):
            warn(told(found, "keep", criterion), VarmixWarning)
        return batch_table(fit, names=self.labels, kernels=terms, covariates=design.names, criterion=criterion)


def gather_many(
    Y: Any,
    *,
    designs: Any = None,
    kernels: Any = None,
    covariates: Any = None,
    scaling: Scaling = "sample",
    reference: Reference = "used",
    sample_ids: Any = None,
    intercept: bool = True,
    on_missing: str | None = None,
    names: Sequence[Hashable] | None = None,
    tick: Tick | None = None,
) -> ManyInputs:
    """Join, drop, code and standardise for many responses. Raises as `variance_components_many`."""
    if isinstance(Y, str):
        raise OptionError("Many responses come as an array or a data frame, not as a formula: pass data[['a', 'b']].")
    known, Y = labelled_response(Y, sample_ids)
    values, own_names = response_array(Y)
    responses = values.reshape(len(values), -1)
    labels = tuple(own_names if names is None else names)
    if len(labels) != responses.shape[1]:
        raise ShapeError(f"There are {responses.shape[1]:,} responses and {len(labels):,} names. Give one name each.")
    column = named_column(sample_ids)
    joined = join_sources(known, covariates, _by_name(designs, "design"), _by_name(kernels, "kernel"), id_column=column)
    if not joined.named:
        raise OptionError("There is no kernel. Pass designs= (n x p) or kernels= (n x n).")
    on_missing = on_missing or ("error" if joined.by_position else "drop")
    rows, there = joined.rows, ~np.isnan(responses).all(axis=1)
    if on_missing == "error" and there.any():  # a row without any response is no error
        rows = np.flatnonzero(there) if rows is None else rows[np.asarray(there)[rows]]
    # The fixed part of all: a row is in it when any response is, whatever the responses are (one may be constant).
    mark = np.where(there, np.arange(len(responses), dtype=np.float64), np.nan)
    design = design_from_arrays(
        mark,
        joined.covariates,
        intercept=intercept,
        on_missing=on_missing,  # type: ignore[arg-type]
        sample_ids=known.table(),
        rows=rows,
    )
    inputs = joined.complete(design, scaling=scaling, reference=reference, tick=tick)
    return ManyInputs(responses=responses[design.rows], labels=labels, inputs=inputs)


def _by_name(given: Any, one: str) -> Mapping[str, Any] | None:
    return given if given is None or isinstance(given, Mapping) else {one: given}
