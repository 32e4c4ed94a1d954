"""Quadratic functions on a simplex, maximised exactly."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import nnls

from varmix.typing import Square, Vector

RIDGE = 1e-12
"""Curvature, relative to the function's largest coefficient, that makes the maximum unique where there is none."""


def simplex_maximum(gradient: Vector, curvature: Square, total: float = 1.0) -> Vector:
    """Argument p, shape (T,), of `max g'p - p'Bp / 2` subject to `p >= 0` and `sum p = total` [PART-4].

    With `B = A'A` and `A'b = g` it is the p that minimises `|Ap - b|`; as `b = b 1'p`, that is a cone: the q >= 0
    nearest to the sum 1 among those with small `(A - b 1')q`, divided by its sum. Components land exactly on 0.
    """
    inner = 0.5 * total * total * (curvature + curvature.T)
    eigenvalues, basis = np.linalg.eigh(inner)
    size = max(float(eigenvalues[-1]), total * float(np.abs(gradient).max()))
    if not size > 0.0:
        return np.full(len(gradient), total / len(gradient))
    raised = np.maximum(eigenvalues, RIDGE * size)
    root = np.sqrt(raised)
    design = root[:, None] * basis.T
    target = basis.T @ (total * gradient) / root
    cone = design - target[:, None]
    scale = math.sqrt(float((cone * cone).sum(axis=0).min()))  # the distance of the best vertex: the sum stays near 1
    rows = np.vstack([cone / scale if scale > 0.0 else cone, np.ones(len(gradient))])
    landed = nnls(rows, np.append(np.zeros(len(cone)), 1.0))[0]
    return np.asarray(total * landed / landed.sum())
