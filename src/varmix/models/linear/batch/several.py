"""Responses that share several kernels: a loop over responses, each a fit of its own on one structure [VC-7].

With more than one kernel no rotation makes V diagonal at every theta, so there is no batch: every evaluation of every
response costs a dense factor.
"""

from __future__ import annotations

import numpy as np

from varmix.marginal.piece import Piece, Structure, Units
from varmix.models.linear.batch.outcome import Unfitted
from varmix.models.linear.batch.result import BatchFit
from varmix.models.linear.batch.rotation import NO_VARIATION
from varmix.models.linear.climb import Climb
from varmix.models.linear.fixed_block import fixed_effects
from varmix.models.linear.starting import good_start
from varmix.models.linear.statistics import Criterion, summarise_linear
from varmix.typing import Matrix, Square, Tick, Vector


def fit_one_by_one(
    structure: Structure, responses: Matrix, criterion: Criterion = "reml", tick: Tick | None = None
) -> BatchFit:
    """Fit responses (n, r), finite, in a loop, by Newton on any structure: r times the price of one.

    `tick` gets 1 for each response done.
    """
    piece = structure.blank
    result = BatchFit.blank(
        responses.shape[1], piece.system.components, piece.columns, rows=piece.rows, why=Unfitted.CONSTANT
    )
    climb = Climb(scheme="newton", criterion=criterion)
    for column in range(responses.shape[1]):
        y = np.ascontiguousarray(responses[:, column], dtype=np.float64)
        fitted, units = structure.piece(y)
        length = float(np.linalg.norm(y / units.response))
        if float(np.linalg.norm(fitted.y)) > NO_VARIATION * np.sqrt(piece.rows) * length:
            _fill(result, column, climb, fitted, units, structure)
        if tick is not None:
            tick(1)
    return result


def _fill(result: BatchFit, column: int, climb: Climb, piece: Piece, units: Units, structure: Structure) -> None:
    outcome = climb.run_inside([piece], good_start(piece))
    theta: Vector = outcome.params.values
    stats = summarise_linear(piece, theta, climb.criterion, expected=True)
    if stats.expected_information is not None and np.isfinite(stats.expected_information).all():
        covariance = np.asarray(np.linalg.pinv(stats.expected_information, hermitian=True), dtype=np.float64)
        result.variances_se[column] = units.outward(np.sqrt(covariance.diagonal()))
        traces = np.append(structure.projected_traces / structure.kernel_units, float(piece.rows - piece.columns))
        share, spread = _proportions(theta, covariance, traces)
        result.proportions[column], result.proportions_se[column] = share[:-1], spread[:-1]
        result.total[column] = float(theta @ traces) / traces[-1] * units.response**2
    jacobian = stats.errors * float(np.log(units.response))
    alone = np.zeros_like(theta)
    alone[-1] = float(piece.y @ piece.y) / stats.errors
    result.variances[column] = units.outward(theta)
    result.log_likelihood[column] = outcome.objective - jacobian
    result.null_log_likelihood[column] = summarise_linear(piece, alone, climb.criterion).log_likelihood - jacobian
    effects = fixed_effects(piece, theta)
    if effects is not None:
        result.fixed[column] = effects.estimate * units.response
        result.fixed_se[column] = np.sqrt(effects.covariance.diagonal()) * units.response
    result.iterations[column] = outcome.progress.last.evaluations
    result.decrement[column] = outcome.certificate.newton_decrement
    result.status[column] = outcome.status


def _proportions(theta: Vector, covariance: Square, traces: Vector) -> tuple[Vector, Vector]:
    """Shares of all components and their standard errors [VC-9]."""
    parts = theta * traces
    whole = float(parts.sum())
    share = parts / whole
    jacobian = (np.diag(traces) - np.outer(share, traces)) / whole
    return share, np.sqrt(np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian))
