"""The moment equations of a whole sample from the sums over its blocks, and their solution [MOM-4]."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from varmix.errors import NotIdentifiedError
from varmix.models.linear.moment_blocks import BlockSums, PassSums, Probes
from varmix.typing import Array, Matrix, Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class CentredSolution:
    """Solutions of `D s = d` with the residual, shape (T, K + 1), and D (K, K)."""

    estimates: Matrix
    centred: Square


def solve_centred(D: Square, trace: Vector, quadratic: Matrix, squares: Vector, freedom: int) -> CentredSolution:
    """`D s = y'PK_kPy - kbar_k y'Py`, then `s_e` [MOM-4]; `quadratic` is (K, T), `squares` (T,).

    Raises NotIdentifiedError when two kernels are proportional, or one is to the identity.
    """
    scale = np.sqrt(np.maximum(D.diagonal(), np.finfo(float).tiny))
    scaled = D / np.outer(scale, scale)
    flat = D.diagonal() <= 1e-14 * trace**2 / freedom
    if flat.any() or not np.isfinite(scaled).all() or np.linalg.cond(scaled) > 1e13:
        raise NotIdentifiedError(
            "The moment equations are singular: two components have proportional kernels once covariates are taken out "
            "(a kernel proportional to the identity cannot be told from the residual). Drop or merge one of them."
        )
    right = quadratic - np.outer(trace, squares) / freedom
    values = np.linalg.solve(scaled, right / scale[:, None]) / scale[:, None]
    residual = (squares - trace @ values) / freedom
    return CentredSolution(estimates=np.vstack([values, residual]).T, centred=D)


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentTotals:
    """Everything one pass gives: images per component, exact traces and quadratics, and the scalars of each block."""

    signs: Matrix
    """V, shape (n, B)."""
    responses: Matrix
    """My, shape (n, T)."""
    images: tuple[Matrix, ...]
    """`S_k = M K_k V` per component, shape (n, B) each."""
    response_parts: tuple[Matrix, ...]
    """`M K_k M y` per component, shape (n, T) each."""
    trace: Vector
    quadratic: Matrix
    weight: Vector
    blocks: tuple[BlockSums, ...]
    freedom: int
    per_probe: Array
    """Unbiased samples of D, shape (K, K, B): their mean is the estimate [MOM-4]."""

    @classmethod
    def collect(cls, probes: Probes, sums: PassSums) -> MomentTotals:
        """Order the components and add the blocks' scalars."""
        kinds, count = len(sums.images), probes.signs.shape[1]
        trace, weight = np.zeros(kinds), np.zeros(kinds)
        quadratic = np.zeros((kinds, probes.responses.shape[1]))
        for block in sums.blocks:
            part = list(block.components)
            trace[part] += block.trace
            weight[part] += block.weight
            quadratic[part] += block.quadratic
        images = tuple(sums.images[k][:, :count] for k in range(kinds))
        freedom = probes.basis.shape[0] - probes.basis.shape[1]
        return cls(
            signs=probes.signs,
            responses=probes.responses,
            images=images,
            response_parts=tuple(sums.images[k][:, count:] for k in range(kinds)),
            trace=trace,
            quadratic=quadratic,
            weight=weight,
            blocks=sums.blocks,
            freedom=freedom,
            per_probe=_centred_products(probes.signs, images, trace / freedom),
        )

    def joined(self, probes: Probes, sums: PassSums) -> MomentTotals:
        """With further probes, from a pass over the same blocks."""
        fresh = MomentTotals.collect(probes, sums)
        blocks = tuple(
            replace(
                old,
                within=np.concatenate([old.within, new.within], axis=-1),
                along=np.concatenate([old.along, new.along], axis=-1),
            )
            for old, new in zip(self.blocks, fresh.blocks, strict=True)
        )
        pairs = zip(self.images, fresh.images, strict=True)
        return replace(
            self,
            signs=np.concatenate([self.signs, fresh.signs], axis=1),
            images=tuple(np.concatenate(pair, axis=1) for pair in pairs),
            blocks=blocks,
            per_probe=np.concatenate([self.per_probe, fresh.per_probe], axis=-1),
        )

    @property
    def kinds(self) -> int:
        """K, without the residual."""
        return len(self.images)

    @property
    def probes(self) -> int:
        """B."""
        return int(self.signs.shape[1])

    @property
    def squares(self) -> Vector:
        """`y'My`, shape (T,)."""
        return np.asarray((self.responses**2).sum(axis=0))

    @property
    def response_images(self) -> Array:
        """`g_1 .. g_K, g_e = My`, shape (n, T, K + 1)."""
        return np.stack([*self.response_parts, self.responses], axis=2)

    @property
    def along(self) -> Matrix:
        """`<V, S_k>` per probe, shape (K, B)."""
        return np.stack([np.einsum("ij,ij->j", self.signs, image) for image in self.images])

    def solve(self) -> CentredSolution:
        """Estimates of every response."""
        D = self.per_probe.mean(axis=-1)
        return solve_centred(D, self.trace, self.quadratic, self.squares, self.freedom)

    def equations(self, D: Square) -> Square:
        """S of [MOM-1] that has D as its centred form, shape (K + 1, K + 1)."""
        S = np.empty((self.kinds + 1, self.kinds + 1))
        S[:-1, :-1] = D + np.outer(self.trace, self.trace) / self.freedom
        S[:-1, -1] = S[-1, :-1] = self.trace
        S[-1, -1] = self.freedom
        return S

    def monte_carlo(self, values: Vector) -> Square:
        """Covariance of the estimates over draws of the probes, shape (K + 1, K + 1): `s` moves by `-D^-1 dD s`."""
        D = self.per_probe.mean(axis=-1)
        deviations = self.per_probe - D[..., None]
        moves = -np.linalg.solve(D, np.einsum("klb,l->kb", deviations, values[:-1]))
        moves = np.vstack([moves, -(self.trace @ moves) / self.freedom])
        return np.asarray(moves @ moves.T / (self.probes * (self.probes - 1)))


def _centred_products(signs: Matrix, images: tuple[Matrix, ...], centre: Vector) -> Array:
    """`<S_k - kbar_k V, S_l - kbar_l V>` per probe, shape (K, K, B)."""
    deviations = [image - kbar * signs for image, kbar in zip(images, centre, strict=True)]
    return np.array([[np.einsum("ij,ij->j", left, right) for right in deviations] for left in deviations])
