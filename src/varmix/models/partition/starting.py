"""Where to start: moments, proportions from the most different sample types, and random points."""

from __future__ import annotations

import numpy as np

from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.simplex import simplex_maximum
from varmix.typing import Matrix

LEAST_PART = 0.05
"""Part of the variance of types' means that a start leaves to either source."""

TOWARDS_EVEN = 0.1
"""Part of even proportions in those of a start, so that none begins at 0."""

UNREPLICATED = 0.1
"""Part of the variance that is taken for noise where no type has two samples."""


def moment_start(model: PartitionMixture, proportions: Matrix | None = None) -> PartitionParams:
    """Pooled variance within types as noise, the rest between types' means as that of block means; even shares.

    Internal units. `proportions` (D, T) fill in what is not known, even ones where None.
    """
    types, size = model.known.shape
    rows = np.full((types, size), 1.0 / size) if proportions is None else proportions
    count = len(model.partitions)
    even = PartitionParams(
        mean=0.0, between=1.0, cell=0.0, measurement=0.0, shares=np.full(count, 1.0 / count), proportions=rows
    )
    P = model.point(even).proportions
    total = sum(float(piece.means.size) for piece in model.pieces)
    mean = sum(float(piece.means.sum()) for piece in model.pieces) / total
    spread = sum(float(((piece.means - mean) ** 2).sum()) for piece in model.pieces) / total
    freedom = sum(len(piece) * float((piece.counts - 1.0).sum()) for piece in model.pieces)
    within = sum(float(piece.within.sum()) for piece in model.pieces)
    pooled = within / freedom if freedom and within > 0.0 else UNREPLICATED * spread
    loads = float((P[model.seen] ** 2).sum(axis=1).mean())
    shared = float(np.mean([((P @ indicator) ** 2).sum(axis=1).mean() for indicator in model.partitions.indicators]))
    error = sum(len(piece) * float((1.0 / piece.counts).sum()) for piece in model.pieces) / total * pooled
    between = max(spread - error, LEAST_PART * spread) / shared
    part = 0.5 if model.noise == "both" else 1.0
    return model.point(
        PartitionParams(
            mean=mean,
            between=between,
            cell=part * pooled / loads,
            measurement=part * pooled,
            shares=even.shares,
            proportions=P,
        )
    )


def vertex_start(model: PartitionMixture) -> PartitionParams:
    """The moment start with proportions from the T most different sample types as if they were pure [PART-7].

    Each vertex is the type furthest from the span of those before; other types are the nearest mixtures of vertices.
    """
    size = len(model.partitions.types)
    complete = [piece for piece in model.pieces if len(piece.types) == int(model.seen.sum())]
    if not complete or int(model.seen.sum()) < size:
        return moment_start(model)
    means = np.concatenate([piece.means for piece in complete]).T
    left = means - means.mean(axis=0)
    chosen: list[int] = []
    for _ in range(size):
        furthest = int(np.argmax((left * left).sum(axis=1)))
        if not chosen:
            left = means - means[furthest]
        else:
            direction = left[furthest] / max(float(np.linalg.norm(left[furthest])), np.finfo(float).tiny)
            left = left - np.outer(left @ direction, direction)
        chosen.append(furthest)
    vertices = means[chosen]
    proportions = np.full(model.known.shape, 1.0 / size)
    fitted = np.stack([simplex_maximum(vertices @ row, vertices @ vertices.T) for row in means])
    proportions[complete[0].types] = (1.0 - TOWARDS_EVEN) * fitted + TOWARDS_EVEN / size
    return moment_start(model, proportions)


def random_start(model: PartitionMixture, rng: np.random.Generator) -> PartitionParams:
    """Variances within a decade of their moments, shares and unknown proportions uniform on their simplexes."""
    types, size = model.known.shape
    start = moment_start(model, rng.dirichlet(np.ones(size), types))
    vector = start.vector()
    vector[1:4] *= 10.0 ** rng.uniform(-1.0, 1.0, 3)
    vector[4 : 4 + len(start.shares)] = rng.dirichlet(np.ones(len(start.shares)))
    return start.moved_to(vector)


def prior_rows(model: PartitionMixture) -> Matrix | None:
    """Proportions (D, T) near the mode of a prior that tells cell types apart, None without one [PART-7]."""
    alpha = model.concentration
    if alpha is None or bool((alpha == alpha[:, :1]).all()):
        return None
    excess, even = alpha - 1.0, np.full(alpha.shape, 1.0 / alpha.shape[1])
    total = excess.sum(axis=1, keepdims=True)
    mode = np.divide(excess, total, out=even.copy(), where=total > 0.0)
    return np.asarray((1.0 - TOWARDS_EVEN) * mode + TOWARDS_EVEN * even)


def default_starts(model: PartitionMixture, count: int, rng: np.random.Generator) -> list[tuple[str, PartitionParams]]:
    """Named starts in internal units: moments or, where proportions are free, vertices; then random ones. A prior that
    tells cell types apart goes first: vertices have them in any order."""
    free = bool(np.isnan(model.known).any())
    named = [("vertices", vertex_start(model)) if free else ("moments", moment_start(model))]
    if free and (rows := prior_rows(model)) is not None:
        named.insert(0, ("prior", moment_start(model, rows)))
    return [*named[:count], *(("random", random_start(model, rng)) for _ in range(count - len(named)))]
