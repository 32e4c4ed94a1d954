"""A mixing distribution merged to few classes: the start of a climb [SLOPE-9]."""

from __future__ import annotations

import numpy as np

from varmix.errors import OptionError
from varmix.models.random_effect_mixture.npmle import Npmle
from varmix.typing import Matrix, Vector

SMALLEST_SHARE = 0.02
"""No class of a start has less: one that the grid did not want may still be wanted beside fewer others."""

APART = 4.0
"""Ratio of the variances of the halves of a class that is split: nearer ones climb apart slowly."""

TELLING = 0.5
"""Default scale in residual variances: internal units have regressors of order one, and the larger ones tell."""

FIRST_ABOVE = 0.1
"""Variance of a class split off the null class, in residual variances at a typical q."""


def merged(npmle: Npmle, classes: int, null: bool = False, *, scale: float | None = None) -> tuple[Vector, Vector]:
    """Variances and shares, shape (classes,), ascending: the support in consecutive groups of least loss [SLOPE-9].

    The loss of a group is its share-weighted sum of squares of log(v + scale): to second order that is the divergence
    between normal densities, where `scale` is the residual variance over the q of units that tell (None: half of it,
    for q of order one). With `null` the first class has v = 0. Support that is too small is split. Internal units.
    Raises OptionError where classes < 1.
    """
    if classes < 1:
        raise OptionError(f"classes={classes}: give at least 1.")
    support = npmle.support
    variances, shares = npmle.variances[support], npmle.shares[support]
    order = np.argsort(variances, kind="stable")
    variances, shares = variances[order], shares[order]
    if scale is None:
        scale = TELLING * npmle.residual
    if not scale > 0.0:
        above = npmle.variances[npmle.variances > 0.0]
        scale = float(above.min()) if above.size else 1.0
    if null and variances[0] > 0.0:
        # The null class costs what it misplaces, whether or not 0 is in the support.
        variances, shares = np.concatenate([[0.0], variances]), np.concatenate([[0.0], shares])
    while len(variances) < classes:
        variances, shares = _split(variances, shares, FIRST_ABOVE * scale, null)
    labels = _grouped(_losses(np.log(variances + scale), shares, null), classes)
    mass = np.bincount(labels, shares, minlength=classes)
    moment = np.bincount(labels, shares * variances, minlength=classes)
    # A group without any share keeps its place.
    middle = np.bincount(labels, variances, minlength=classes) / np.bincount(labels, minlength=classes)
    means = np.where(mass > 0.0, moment / np.where(mass > 0.0, mass, 1.0), middle)
    if null:
        means[0] = 0.0
    mass = np.maximum(mass, min(SMALLEST_SHARE, 0.5 / classes))
    return means, mass / mass.sum()


def _split(variances: Vector, shares: Vector, first: float, null: bool) -> tuple[Vector, Vector]:
    """One more atom: the one of most share above 0, or else at 0, becomes two."""
    weight = np.where(variances > 0.0, shares, 0.0)
    at = int(np.argmax(weight)) if weight.any() else len(variances) - 1
    value, half = float(variances[at]), 0.5 * float(shares[at])
    root = APART**0.5
    pair = [value / root, value * root] if value > 0.0 else [0.0, first]
    variances = np.concatenate([variances[:at], pair, variances[at + 1 :]])
    shares = np.concatenate([shares[:at], [half, half], shares[at + 1 :]])
    order = np.argsort(variances, kind="stable")
    return variances[order], shares[order]


def _losses(positions: Vector, shares: Vector, null: bool) -> Matrix:
    """Loss of the group of atoms i .. j - 1 at (i, j), shape (m, m + 1); the first group of a null class is at its
    first atom."""
    count = len(positions)
    loss = np.full((count, count + 1), np.inf)
    for i in range(count):
        mass, first, second = (np.cumsum(shares[i:] * (positions[i:] - positions[i]) ** p) for p in (0, 1, 2))
        centred = second - np.divide(first * first, mass, out=np.zeros_like(mass), where=mass > 0.0)
        loss[i, i + 1 :] = second if null and i == 0 else np.maximum(centred, 0.0)
    return loss


def _grouped(loss: Matrix, groups: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Labels of the cheapest cut of the atoms into so many consecutive groups, by dynamic programming."""
    count = len(loss)
    cost = loss[0].copy()
    cuts = []
    for _ in range(groups - 1):
        table = cost[:count, None] + loss  # last group from i to j
        cuts.append(np.argmin(table, axis=0))
        cost = table.min(axis=0)
    labels, stop = np.empty(count, dtype=np.intp), count
    for group, cut in zip(range(groups - 1, 0, -1), reversed(cuts), strict=True):
        start = int(cut[stop])
        labels[start:stop] = group
        stop = start
    labels[:stop] = 0
    return labels
