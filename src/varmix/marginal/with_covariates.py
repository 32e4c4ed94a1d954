"""Negative eigenvalues of kernels with the covariates in them: what ML sees, and REML does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.linalg import lapack

from varmix.linalg.indefinite import INDEFINITE_PER_ROW, NegativeEigenvalues, negative_eigenvalues
from varmix.marginal.complement import WithComplement
from varmix.marginal.piece import Piece, Structure


def negative_with_covariates(structure: Structure, names: list[str]) -> Structure:
    """The structure with `Piece.negative` of whole kernels, which have the lowest eigenvalues of all that are seen.

    One factorisation per kernel where that leaves no doubt. Raises KernelError as `negative_eigenvalues`.
    """
    piece = structure.blank
    if isinstance(piece.system, WithComplement) or not piece.columns:  # designs: covariances by construction
        return structure
    found = []
    for component, (name, unit) in enumerate(zip(names, structure.kernel_units, strict=True)):
        if (negative := _negative(piece, component, name)) is not None:
            found.append(negative.times(float(unit)))
    return replace(structure, blank=replace(piece, negative=tuple(found)))


def _negative(piece: Piece, component: int, name: str) -> NegativeEigenvalues | None:
    system, cross, corner = piece.system, piece.cross[component], piece.corner[component]
    allowed = INDEFINITE_PER_ROW * piece.rows * max(system.kernel_trace(component), 0.0) / system.size
    theta = np.zeros(system.components)
    theta[component], theta[-1] = 1.0, allowed
    factor = system.factor(theta) if allowed > 0.0 else None
    if factor is not None:
        schur = corner + allowed * np.eye(piece.columns) - cross.T @ factor.solve(cross)
        if lapack.dpotrf(schur, lower=1)[1] == 0:
            return None
    within = system.multiply(component, np.eye(system.size))
    whole = np.block([[corner, cross.T], [cross, within]])
    return negative_eigenvalues(np.asarray(np.linalg.eigvalsh(whole), dtype=np.float64), name)
