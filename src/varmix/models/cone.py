"""The step of a quadratic model of the log-likelihood within the cone theta >= 0, and the certificate that it gives."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import lsq_linear, nnls

from varmix.iteration import Certificate
from varmix.typing import Matrix, Square, Vector

RANK = 1e-12
"""Eigenvalues of the scaled information below this share of the largest are directions the data cannot tell apart."""


def quadratic_step(values: Vector, score: Vector, information: Square) -> Vector:
    """Argument d of `max g'd - d'Id/2` subject to `theta + d >= 0`, exact (an active set through NNLS) [NEWTON-1].

    Components that the data cannot tell apart do not move against one another. Where the maximum has theta_k = 0,
    d_k is exactly -theta_k: rounding must not leave a trace of a component.
    """
    scale = 1.0 / np.sqrt(np.maximum(information.diagonal(), np.finfo(float).tiny))
    eigenvalues, basis = np.linalg.eigh(information * np.outer(scale, scale))
    keep = eigenvalues > RANK * eigenvalues[-1]
    root = np.sqrt(eigenvalues[keep])
    scores = basis[:, keep].T @ (score * scale) / root
    interior = basis[:, keep] @ (scores / root)
    start = values / scale
    if (start + interior >= 0.0).all() and keep.all():
        return np.asarray(interior * scale)
    design = root[:, None] * basis[:, keep].T
    if not keep.all():
        design = np.vstack([design, math.sqrt(RANK * eigenvalues[-1]) * basis[:, ~keep].T])
    target = design @ start
    target[: root.size] += scores
    landed = _nonnegative(design, target)
    return np.where(landed == 0.0, -values, (landed - start) * scale)


def smallest_eigenvalue(information: Square) -> float:
    """Of the matrix scaled to absolute diagonal 1; 0 without any coordinate."""
    if not len(information):
        return 0.0
    scale = 1.0 / np.sqrt(np.maximum(np.abs(information.diagonal()), np.finfo(float).tiny))
    return float(np.linalg.eigvalsh(information * np.outer(scale, scale))[0])


def certify(values: Vector, score: Vector, information: Square) -> Certificate:
    """Projected gradient and Newton decrement at theta, from the step d within the cone [NEWTON-1].

    The decrement is `sqrt(2g'd - d'Id)`, the root of twice the gain that is left: `sqrt(d'Id)` inside, and more where
    the cone cuts the step short, so that a variance on its way to 0 has not arrived while the gradient still pushes
    it. A component at 0 whose gradient does not point inside is held there; inside, the scale of theta_k is theta_k
    itself, at 0 it is the standard error of an interior estimate.
    """
    held = (values == 0.0) & (score <= 0.0)
    boundary = tuple(int(k) for k in np.flatnonzero(values == 0.0))
    if not (np.isfinite(score).all() and np.isfinite(information).all()):
        return Certificate(projected_gradient=math.inf, newton_decrement=math.inf, on_boundary=boundary)
    free = ~held
    if not free.any():
        return Certificate(projected_gradient=0.0, newton_decrement=0.0, on_boundary=boundary)
    typical = np.where(values > 0.0, values, 1.0 / np.sqrt(np.maximum(information.diagonal(), np.finfo(float).tiny)))
    step = np.zeros_like(values)
    step[free] = quadratic_step(values[free], score[free], information[np.ix_(free, free)])
    return Certificate(
        projected_gradient=float(np.abs(typical * score)[free].max()),
        newton_decrement=math.sqrt(max(float(step @ (2.0 * score - information @ step)), 0.0)),
        on_boundary=boundary,
    )


def _nonnegative(design: Matrix, target: Vector) -> Vector:
    """Argument x >= 0 of the least |design x - target|; where NNLS cycles, by bounded least squares."""
    try:
        return np.asarray(nnls(design, target)[0])
    except RuntimeError:
        found = np.asarray(lsq_linear(design, target, bounds=(0.0, np.inf), method="bvls").x)
        return np.where(found > RANK * found.max(initial=0.0), found, 0.0)
