"""Variances of the blocks of many genes at their maximum: Newton above a floor, MM where it fails.

MM multiplies a variance by the root of (what the data show / what it predicts), and raises every density [PART-5].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from varmix.models.partition.block_density import BlockDensity, Derivatives, Setting
from varmix.typing import Array, Mask, Matrix, Vector

STEPS = 100
"""Steps at most: Newton takes five to ten."""

TARGET = 1e-12
"""Relative residual that ends a gene's climb at once: what Newton's steps reach where rounding lets them."""

RESIDUAL = 1e-7
"""Relative residual that counts as arrival: the log density is then within 1e-14 N of its maximum."""

HALVINGS = 5
"""Times that Newton's step is cut to a quarter before MM takes its place."""

ARMIJO = 1e-4
"""Share of the gain promised by the slope that a step has to bring."""

LARGEST_STEP = 100.0
"""Sizes by which a variance grows at most in one step: beyond, a quadratic model says nothing."""

DEFINITE, CURVED = 1e-8, 1e-2
"""Least curvature, relative to the largest, that a step takes for that of a direction that bends down, or up."""

NEAR = 1.0
"""Largest slope by a relative change from which the observed information serves. Where variances are far too small it
is that of an inverse and would lead half-way to twice them; the expected one leads to what the data show at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrival:
    """`variances` (G, B) after `steps`, and `residual` (G,): the largest gain in the log density, per sample and to
    first order, that one variance has left on its way down to the floor, or up by its size."""

    variances: Matrix
    residual: Vector
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposal:
    """Steps of genes on their way: Newton's, and the factor of MM. `value` is the least log density that climbs."""

    setting: Setting
    variances: Matrix
    floors: Matrix
    value: Vector
    gradient: Matrix
    most: Matrix
    newton: Matrix
    factor: Matrix

    def taken(self, density: type[BlockDensity]) -> Matrix:
        """Variances after the longest of Newton's shortened steps that climbs, else after that of MM."""
        result = np.maximum(self.variances * self.factor, self.floors)
        waiting = np.arange(len(result))
        for halving in range(HALVINGS):
            start = self.variances[waiting]
            target = start + 0.25**halving * self.newton[waiting]
            proposal = np.maximum(np.minimum(target, self.most[waiting]), self.floors[waiting])
            promised = (self.gradient[waiting] * (proposal - start)).sum(axis=1)
            reached = density.at(self.setting.rows(waiting), proposal).log_density
            climbs = (promised >= 0.0) & (reached >= self.value[waiting] + ARMIJO * promised)
            result[waiting[climbs]] = proposal[climbs]
            waiting = waiting[~climbs]
            if not waiting.size:
                break
        return np.asarray(result)


def climb_blocks(density: type[BlockDensity], setting: Setting, start: Matrix, floor: Vector) -> Arrival:
    """Maximise each gene's log density over its variances (G, B) >= floor (G,), from `start`; no step lowers it."""
    floors = floor[:, None]
    variances = np.maximum(start, floors)
    residual, rows, steps = np.full(len(start), np.inf), np.arange(len(start)), 0
    samples = max(float(setting.counts.sum()), 1.0)
    while rows.size:
        at = setting.rows(rows)
        here = density.at(at, variances[rows])
        found = here.derivatives()
        free = free_variances(found, variances[rows], floors[rows])
        size = sizes(found, variances[rows])
        before, now = residual[rows], _slopes(found, variances[rows] - floors[rows], size) / samples
        residual[rows] = now
        stuck = (now <= RESIDUAL) & (now > 0.5 * before)
        left = np.flatnonzero((now > TARGET) & ~stuck)
        if steps == STEPS or not left.size:
            break
        step = Proposal(
            setting=at.rows(left),
            variances=variances[rows[left]],
            floors=floors[rows[left]],
            value=(here.log_density - here.rounding)[left],
            gradient=found.gradient[left, : free.shape[1]],
            most=(variances[rows] + LARGEST_STEP * size)[left],
            newton=_newton_step(found, size, free)[left],
            factor=_mm_factor(found)[left],
        )
        moved = step.taken(density)
        rows = rows[left]
        variances[rows] = moved
        steps += 1
    return Arrival(variances=variances, residual=residual, steps=steps)


def free_variances(found: Derivatives, variances: Matrix, floors: Matrix) -> Mask:
    """Variances above their floors, or at them with the slope upwards, (G, B)."""
    return np.asarray((variances > floors) | (found.gradient[:, : variances.shape[1]] > 0.0))


def sizes(found: Derivatives, variances: Matrix) -> Matrix:
    """What changes of variances are measured in, (G, B): themselves, or their standard errors where those are larger.

    A variance that is small beside the others of a sample has a small relative slope wherever it is.
    """
    information = np.einsum("gbb->gb", found.expected)
    told = information > 0.0
    return np.where(told, np.maximum(variances, 1.0 / np.sqrt(np.where(told, information, 1.0))), variances)


def _slopes(found: Derivatives, room: Matrix, size: Matrix) -> Vector:
    """The largest first-order gain of each gene, (G,): downwards there is only so much room."""
    gradient = found.gradient[:, : size.shape[1]]
    return np.asarray(np.where(gradient > 0.0, gradient * size, -gradient * room).max(axis=1, initial=0.0))


def _newton_step(found: Derivatives, size: Matrix, free: Mask) -> Matrix:
    """By the observed information near the maximum, its eigenvalues made positive, else by the expected one; 0 for what
    is not free."""
    count = size.shape[1]
    gradient = np.where(free, size * found.gradient[:, :count], 0.0)
    near = np.abs(gradient).max(axis=1, initial=0.0) <= NEAR
    matrix = np.where(near[:, None, None], -found.hessian[:, :count, :count], found.expected)
    values, vectors = np.linalg.eigh(scaled(matrix, size, free))
    largest = np.abs(values).max(axis=1, keepdims=True)
    positive = np.maximum(np.abs(values), np.where(values > 0.0, DEFINITE, CURVED) * largest)
    inner = np.einsum("gbc,gb->gc", vectors, gradient) / positive
    return np.asarray(size * np.einsum("gbc,gc->gb", vectors, inner))


def scaled(matrix: Array, size: Matrix, free: Mask) -> Array:
    """By changes in `sizes`; rows and columns of what is not free are those of the identity."""
    both = free[:, :, None] & free[:, None, :]
    return np.asarray(np.where(both, size[:, :, None] * size[:, None, :] * matrix, np.eye(size.shape[1])))


def _mm_factor(found: Derivatives) -> Matrix:
    """Roots of (what the data show / what is predicted); 1 for blocks of which the samples hold nothing."""
    told = found.predicted > 0.0
    return np.sqrt(np.divide(found.seen, found.predicted, out=np.ones_like(found.seen), where=told))
