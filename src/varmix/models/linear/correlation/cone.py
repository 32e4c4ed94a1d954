"""The step of a quadratic model of the log-likelihood with a 2 x 2 covariance kept semidefinite [NEWTON-1]."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq

from varmix.iteration import Certificate
from varmix.models.linear.correlation.likelihood import correlation_of
from varmix.typing import Square, Vector

ANGLES = 720
"""Directions tried before the root is polished: the objective on the edge is a ratio of two forms of degree four."""

RANK = 1e-13
"""Share of the largest eigenvalue of the scaled information that counts as no information."""


def cone_step(values: Vector, score: Vector, information: Square) -> Vector:
    """Argument d of `max g'd - d'Id/2` with `Sigma + D` semidefinite, for `s_1, s_2, s_12, ...`.

    The other parameters are free and are eliminated; the point nearest to the unconstrained one in the metric of the
    information is inside, or on the edge |rho| = 1, found as `t (cos^2, sin^2, cos sin)`, or 0.
    """
    scale = 1.0 / np.sqrt(np.maximum(information.diagonal(), np.finfo(float).tiny))
    scaled = information * np.outer(scale, scale)
    eigenvalues, basis = np.linalg.eigh(scaled)
    floor = RANK * eigenvalues[-1]
    scaled = basis * np.maximum(eigenvalues, floor) @ basis.T
    g = score * scale
    inner, cross = scaled[3:, 3:], scaled[:3, 3:]
    weight = np.linalg.solve(inner, cross.T)
    metric = scaled[:3, :3] - cross @ weight
    metric = 0.5 * (metric + metric.T)
    gradient = g[:3] - weight.T @ g[3:]
    unit = scale[:3]
    move = np.linalg.solve(metric, gradient)
    target = values[:3] + unit * move
    inside = target[0] >= 0.0 and target[1] >= 0.0 and target[2] ** 2 <= target[0] * target[1]
    if not inside:
        move = (_nearest_on_edge(target, metric / np.outer(unit, unit)) - values[:3]) / unit
    rest = np.linalg.solve(inner, g[3:] - cross.T @ move)
    return np.concatenate([unit * move, scale[3:] * rest])


def _edge(angle: float) -> tuple[Vector, Vector]:
    """The direction and its derivative."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([c * c, s * s, c * s]), np.array([-2.0 * c * s, 2.0 * c * s, c * c - s * s])


def _nearest_on_edge(target: Vector, metric: Square) -> Vector:
    """The point of the edge nearest to the target in the metric: the largest `(u'Hx)^2 / u'Hu` with `u'Hx > 0`."""
    pull = metric @ target
    ratio = math.sqrt(math.sqrt(metric[0, 0] / metric[1, 1])) if metric[1, 1] > 0.0 else 1.0
    circle = np.linspace(-0.5 * math.pi, 0.5 * math.pi, ANGLES + 1)
    angles = np.arctan2(np.sin(circle) * ratio, np.cos(circle))
    directions = np.stack([np.cos(angles) ** 2, np.sin(angles) ** 2, np.cos(angles) * np.sin(angles)])
    along = pull @ directions
    gain = np.where(along > 0.0, along, 0.0) ** 2 / np.einsum("ia,ij,ja->a", directions, metric, directions)
    best = int(gain.argmax())
    if gain[best] <= 0.0:
        return np.zeros(3)

    def slope(angle: float) -> float:
        u, du = _edge(angle)
        return float((pull @ du) * (u @ metric @ u) - (pull @ u) * (u @ metric @ du))

    step = math.pi / ANGLES * max(ratio, 1.0 / ratio)
    low, high = float(angles[best]) - step, float(angles[best]) + step
    angle = float(angles[best])
    if slope(low) * slope(high) < 0.0:
        angle = float(brentq(slope, low, high, xtol=1e-16, rtol=4 * np.finfo(float).eps))
    u = _edge(angle)[0]
    length = math.sqrt(max(float(pull @ u) / float(u @ metric @ u), 0.0))
    c, s = length * math.cos(angle), length * math.sin(angle)
    return np.array([c * c, s * s, c * s])


def certify_pair(values: Vector, score: Vector, information: Square) -> Certificate:
    """Newton decrement `sqrt(d'Id)` of the step within the cone, and the gradient that the step follows.

    `on_boundary` lists a variance that is 0, and the covariance where |rho| is 1.
    """
    rho = correlation_of(values)
    held = [k for k in (0, 1) if values[k] == 0.0] + ([2] if abs(rho) >= 1.0 - 1e-12 else [])
    if not (np.isfinite(score).all() and np.isfinite(information).all()):
        return Certificate(projected_gradient=math.inf, newton_decrement=math.inf, on_boundary=tuple(held))
    step = cone_step(values, score, information)
    scale = 1.0 / np.sqrt(np.maximum(information.diagonal(), np.finfo(float).tiny))
    # Through the eigenvalues, kept positive: the plain product can round to 0 or below where parameters are confounded.
    eigenvalues, basis = np.linalg.eigh(information * np.outer(scale, scale))
    length = np.sqrt(np.maximum(eigenvalues, RANK * eigenvalues[-1])) * (basis.T @ (step / scale))
    typical = np.where(values != 0.0, np.abs(values), 1.0 / np.sqrt(np.maximum(information.diagonal(), 1e-300)))
    return Certificate(
        projected_gradient=float(np.abs(typical * (information @ step)).max()),
        newton_decrement=float(np.linalg.norm(length)),
        on_boundary=tuple(held),
    )
