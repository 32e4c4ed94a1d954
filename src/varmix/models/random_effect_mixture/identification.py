"""What a design can identify, and where the likelihood has no maximum."""

from __future__ import annotations

import math

import numpy as np

from varmix.errors import DataError, NotIdentifiedError
from varmix.models.random_effect_mixture.reduction import Reduction

CONSTANT = 1e-9
"""Relative spread of x'x within which all units have the same."""


def check_identified(reduction: Reduction, classes: int, null: bool, residual: float | None) -> None:
    """Raise NotIdentifiedError where parameters are confounded for any response, DataError for more classes than units.

    With x'x the same in every unit only `q v_k + s` is identified for each class: s must be known, or have rows of its
    own (groups of several rows, rows with x = 0), or there must be a null class, whose rows are those of smallest
    variance [SLOPE-1].
    """
    units = reduction.units
    weighed = np.ones(len(units), dtype=np.bool_) if units.weight is None else units.weight > 0.0
    q = units.q[weighed]
    if not q.size:
        variance = units.rest / units.rest_rows * reduction.scales.residual if units.rest_rows > 0.0 else 0.0
        raise NotIdentifiedError(
            "x is 0 in every row that counts, so that none says anything about the effects: neither their "
            f"variances nor the shares are identified, only the residual variance ({variance:.6g}). Check the column x."
        )
    if classes > q.size:
        raise DataError(
            f"{classes} classes need at least as many effects, and there are {q.size:,} (groups, or rows without "
            "groups, with x other than 0 and positive weight). Ask for fewer classes."
        )
    constant = float(q.max()) - float(q.min()) <= CONSTANT * float(q.max())
    separate = null and classes > 1
    if constant and residual is None and units.rest_rows == 0.0 and not separate and not (null and classes == 1):
        raise NotIdentifiedError(
            f"|x| is the same in every row ({float(np.sqrt(q[0])) * reduction.scales.regressor:.6g}), so that the "
            "residual variance s and the variances v_k are not identified, only x^2 v_k + s and the shares are. Give "
            "known standard errors (se=), a known residual= or null=True, or group rows that share an effect."
        )


def unbounded_rows(reduction: Reduction, classes: int, residual: float | None, *, null: bool = False) -> int:
    """Effects whose responses are all exactly 0, if they make the likelihood unbounded; else 0.

    A class of variance 0 then fits them better and better as s goes to 0, unless some left-over coordinate keeps s up;
    left-over coordinates that are themselves 0 do it with any number of classes. A null class alone has no effects, so
    that every other response keeps s up.
    """
    units = reduction.units
    if residual is not None or units.rest > 0.0 or (null and classes == 1):
        return 0
    exact = units.h2 == 0.0
    if units.weight is not None:
        exact &= units.weight > 0.0
    return (int(exact.sum()) if classes > 1 else 0) + math.ceil(units.rest_rows)
