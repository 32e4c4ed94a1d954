"""Variance components of many responses that share their covariates and kernels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, NotFiniteError, NotIdentifiedError, OptionError, ShapeError
from varmix.formula.arrays import covariate_array, response_array
from varmix.genotype import RelationshipMatrix, Scaling, StandardisedDesign, as_source, standardise
from varmix.linalg.symmetric import check_symmetric
from varmix.models.linear.batch import SharedKernels, batch_table, fit_patterns
from varmix.models.linear.statistics import Criterion
from varmix.typing import Matrix, Square

INTERCEPT = "(Intercept)"


def variance_components_many(
    Y: Any,
    designs: Any = None,
    kernels: Any = None,
    covariates: Any = None,
    criterion: Criterion = "reml",
    scaling: Scaling = "sample",
    names: Sequence[Hashable] | None = None,
    intercept: bool = True,
) -> pd.DataFrame:
    """Fit `y ~ N(Zw, s K + s_e I)` to every column of Y (n x r array or data frame), a row of the result each [VC-7].

    One kernel: it is diagonalised once, and all responses are fitted as one batch, each to its global optimum over the
    proportion of variance [VC-5]. Several kernels share one structure, but the responses are then fitted one after
    another, at the price of as many single fits. NaN marks a missing value: responses are grouped by their missing
    rows, and each group has its own reduction of the kernel restricted to its rows, so that many different patterns
    cost one reduction each. Designs (n x p) and kernels (n x n) are one array or a dict of them by name; designs are
    standardised over all rows, whatever is missing in Y. Rows of Y, designs, kernels and covariates (n x c, numeric)
    are in one order. A covariate that depends on earlier ones has NaN as its effect.

    ML has no global maximum where the kernel is singular in the direction of a covariate, as a centred design of n or
    more columns is in the intercept's: the best maximum inside is reported then, or `UNBOUNDED` when there is
    none. REML does not have this fault.

    Columns: `s_kernel` and `s_residual` with `se_kernel` and `se_residual` from the expected information [VC-4];
    `proportion` and `se_proportion` [VC-9]; `total`, the variance per row outside the covariates; `log_likelihood` and
    its `criterion`; `lr_statistic` and `lr_p` of no kernel at all (half chi-square; NaN with several kernels);
    `fixed_...` and `se_fixed_...`; `iterations`, `decrement` (distance to the optimum in standard errors), `status` (a
    name of `Status`, or of `Unfitted` for a row of NaN) and `rows` used. Several kernels go by their names. At a
    variance of 0 its standard error is that of an interior estimate: use the test.

    Raises ShapeError, DataError, NotFiniteError (an infinity; a covariate with NaN), AlignmentError (numbers of rows
    that differ), OptionError, KernelError, NotIdentifiedError (no more rows than fixed effects).
    """
    if criterion not in get_args(Criterion):
        raise OptionError(f"criterion={criterion!r} is not known. Use 'reml' or 'ml'.")
    values, own_names = response_array(Y)
    responses = values.reshape(len(values), -1)
    labels = list(own_names if names is None else names)
    if len(labels) != responses.shape[1]:
        raise ShapeError(f"There are {responses.shape[1]:,} responses and {len(labels):,} names. Give one name each.")
    Z, covariate_names = _fixed_columns(covariates, len(responses), intercept)
    if len(responses) <= Z.shape[1]:
        raise NotIdentifiedError(
            f"{len(responses)} rows and {Z.shape[1]} fixed effects leave nothing to estimate variances from. Use fewer "
            "covariates or more rows."
        )
    shared = _shared_kernels(designs, kernels, scaling, len(responses))
    fit = fit_patterns(responses, Z, shared, criterion)
    return batch_table(fit, names=labels, kernels=shared.names, covariates=covariate_names, criterion=criterion)


def _fixed_columns(covariates: Any, rows: int, intercept: bool) -> tuple[Matrix, list[str]]:
    first = np.ones((rows, 1 if intercept else 0))
    names = [INTERCEPT] if intercept else []
    if covariates is None:
        return first, names
    own = [str(name) for name in covariates.columns] if hasattr(covariates, "columns") else None
    values, given = covariate_array(covariates, own)
    _same_rows("the covariates", len(values), rows)
    if np.isnan(values).any():
        row, column = (int(item) for item in np.argwhere(np.isnan(values))[0])
        raise NotFiniteError(f"Covariate '{given[column]}' is missing in row {row}. Drop the row or impute the value.")
    return np.hstack([first, values]), [*names, *given]


def _shared_kernels(designs: Any, kernels: Any, scaling: Scaling, rows: int) -> SharedKernels:
    standardised = []
    for name, design in _named(designs, "design").items():
        if not isinstance(design, StandardisedDesign):
            design = standardise(as_source(design, name=name), scaling=scaling)
        _same_rows(f"design '{name}'", design.n, rows)
        standardised.append(design)
    matrices = {name: _matrix(kernel, name, rows) for name, kernel in _named(kernels, "kernel").items()}
    shared = SharedKernels(designs=tuple(standardised), matrices=tuple(matrices.values()), matrix_names=tuple(matrices))
    if not shared.names:
        raise OptionError("There is no kernel. Pass designs= (n x p) or kernels= (n x n).")
    if len(set(shared.names)) < len(shared.names):
        raise OptionError(f"Designs and kernels are named {', '.join(shared.names)}. Give each a name of its own.")
    return shared


def _named(given: Any, one: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {str(name): value for name, value in given.items()}
    return {one: given}


def _matrix(kernel: Any, name: str, rows: int) -> Square:
    values = np.asarray(kernel.values if isinstance(kernel, RelationshipMatrix) else kernel, dtype=np.float64)
    check_symmetric(values, f"kernel '{name}'")
    _same_rows(f"kernel '{name}'", len(values), rows)
    return values


def _same_rows(what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise AlignmentError(
            f"{what} has {found:,} rows and the responses have {wanted:,}. Give the same rows in order."
        )
