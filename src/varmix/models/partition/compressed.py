"""One noise and known proportions: as many sample types as there are cell types say all that many more do [PART-2].

Errors of types' means are then `E = v E_0` with `E_0` known. With `E_0^-1/2 P = Q R` a gene's means enter by
`Q'E_0^-1/2 sbar` (T numbers) and by one sum of squares. Rotated so that rows sum to one number rho, R / rho is a matrix
of "proportions" P* with rows that sum to 1, though they may leave [0, 1]; types with `n* = rho^2` samples each (times
`sum_t P*^2` where noise is of cells) have the same likelihood at every mean, a, v and shares, but for a constant. They
have as many samples in all: `sum n* = tr R'R = sum n` for noise of cells, `1'R'R1 = sum n` for noise of measurement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from varmix.iteration import Outcome, Progress
from varmix.models.partition.genes import Genes
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.params import SCALARS, PartitionParams
from varmix.typing import Matrix, Vector

AT_ONCE = 1 << 17
"""Numbers of the genes at a time: a megabyte."""

ROUNDING = 1e-12
"""Distance of a row's sum from 1 that is rounding; what follows needs `P 1 = 1`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compressed:
    """Pieces of a model in few sample types, `proportions` (D*, T) of these, and what their log-likelihood lacks."""

    pieces: tuple[Genes, ...]
    proportions: Matrix
    constant: float

    def inward(self, params: PartitionParams) -> PartitionParams:
        """A point of the model at the few types."""
        return _with_rows(params, self.proportions)

    def outward(self, outcome: Outcome[Any, Any], start: PartitionParams) -> Outcome[Any, Any]:
        """How a climb ended, with the proportions of `start` and the log-likelihood of all samples.

        Statistics over sample types stay those of the few.
        """
        size = SCALARS + len(start.shares)
        rows = start.proportions.ravel()
        steps = [
            replace(
                step,
                objective=step.objective + self.constant,
                vector=np.concatenate([step.vector[:size], rows]),
            )
            for step in outcome.progress.steps
        ]
        return replace(
            outcome,
            params=_with_rows(outcome.params, start.proportions),
            stats=replace(outcome.stats, log_likelihood=outcome.stats.log_likelihood + self.constant),
            objective=outcome.objective + self.constant,
            progress=Progress(steps),
        )


def compressed(model: PartitionMixture, start: PartitionParams) -> Compressed | None:
    """The model in few sample types; None where noise is of two kinds, proportions move or types would not be fewer."""
    P, size = start.proportions, start.proportions.shape[1]
    few = len(model.pieces) * size < len(P) and all(len(piece.types) >= size for piece in model.pieces)
    other = start.measurement if model.noise == "cell" else start.cell
    if model.likelihood != "joint" or model.noise == "both" or other != 0.0 or not few:
        return None
    if not start.held_proportions.all() or float(np.abs(P.sum(axis=1) - 1.0).max()) > ROUNDING:
        return None
    loads = (P * P).sum(axis=1) if model.noise == "cell" else np.ones(len(P))
    pieces, rows, constant = [], [], 0.0
    for number, piece in enumerate(model.pieces):
        here = loads[piece.types]
        part, turned, own = _piece(piece, P[piece.types], here, cells=model.noise == "cell")
        rows.append(turned)
        pieces.append(replace(part, types=number * size + np.arange(size)))
        constant += 0.5 * len(piece) * float(part.counts @ np.log(own) - piece.counts @ np.log(here))
    return Compressed(pieces=tuple(pieces), proportions=np.concatenate(rows), constant=constant)


def _piece(genes: Genes, P: Matrix, loads: Vector, *, cells: bool) -> tuple[Genes, Matrix, Vector]:
    """Genes in T types, these types' proportions, and their noise over v."""
    weights = np.sqrt(genes.counts / loads)
    basis, triangle = np.linalg.qr(weights[:, None] * P)
    size = P.shape[1]
    sums = triangle.sum(axis=1)
    length = float(np.linalg.norm(sums))
    rotation = _rotation(sums / length)
    rho = length / np.sqrt(size)
    turned = rotation @ triangle / rho
    own = (turned * turned).sum(axis=1) if cells else np.ones(size)
    basis = np.ascontiguousarray(basis @ rotation.T)
    pull = weights[:, None] * basis
    center = float(genes.means.mean()) if genes.means.size else 0.0
    means, square = np.empty((len(genes), size)), np.empty(len(genes))
    at_once = max(1, AT_ONCE // len(P))
    for begin in range(0, len(genes), at_once):
        part = slice(begin, begin + at_once)
        away = genes.means[part] - center
        means[part] = away @ pull
        away *= weights
        away -= means[part] @ basis.T
        square[part] = np.einsum("gd,gd->g", away, away)
    square += genes.within @ (1.0 / loads)
    few = Genes(
        means=means / rho + center,
        within=square[:, None] * (own / size),
        counts=rho**2 * own,
        types=np.arange(size),
        positions=genes.positions,
    )
    return few, turned, own


def _rotation(direction: Vector) -> Matrix:
    """The reflection that turns a unit vector into one of equal entries."""
    size = len(direction)
    normal = direction - 1.0 / np.sqrt(size)
    length = float(normal @ normal)
    return np.eye(size) - (2.0 / length) * np.outer(normal, normal) if length > 0.0 else np.eye(size)


def _with_rows(params: PartitionParams, proportions: Matrix) -> PartitionParams:
    fixed = np.r_[params.held[: SCALARS + len(params.shares)], np.ones(proportions.size, dtype=np.bool_)]
    return replace(params, proportions=proportions, fixed=fixed)
