"""Standard errors of exact moment estimates: the sandwich, and one with a response in place of a covariance."""

from __future__ import annotations

import numpy as np

from varmix.marginal.piece import Piece
from varmix.models.linear.moments import sandwich_covariance
from varmix.typing import Matrix, Square, Vector


def exact_covariance(piece: Piece, variances: Vector, equations: Square) -> Square:
    """Covariance of the estimates, (K, K): `S^-1 Cov(q) S^-1` at `variances` (K,), residual last [MOM-2].

    V must be a covariance: a negative estimate counts as 0 in it.
    """
    return sandwich_covariance(equations, piece.system.moment_covariance(np.maximum(variances, 0.0)))


def approximate_covariance(piece: Piece, variances: Vector, equations: Square) -> Square:
    """The sandwich with `Cov(q)` from products with the response alone, shape (K, K): no n x n product [MOM-6].

    `Cov(q)_kl = 2 tr(MK_k MVM K_l MVM)` holds V twice. As `E[My y'M] = MVM`, one of the two is replaced by `My y'M`:
    `2 y'MK_k (MVM) K_l My`, unbiased for `Cov(q)` when V is known. It costs a product per kernel, where the exact form
    costs n^3, and is itself random: with n rows its relative error is of order n^-1/2. A negative estimate counts as 0
    in V. The R package VCM reports this one as its approximate standard error.
    """
    system = piece.system
    images = np.column_stack([system.multiply(k, piece.y[:, None])[:, 0] for k in range(system.components)])
    spread = np.zeros_like(images)
    for variance, k in zip(np.maximum(variances, 0.0), range(system.components), strict=True):
        if variance != 0.0:
            spread += variance * system.multiply(k, images)
    return sandwich_covariance(equations, response_moment_covariance(images, spread))


def response_moment_covariance(images: Matrix, spread: Matrix) -> Square:
    """`2 g_k' V g_l` from `g_k = MK_k My` (n x K) and `V g_k` (n x K), exactly symmetric [MOM-6]."""
    half = images.T @ spread
    return np.asarray(half + half.T)
