"""Covariance of the estimates from the observed information, computed once for all tables."""

from __future__ import annotations

import operator
from functools import cached_property, reduce

import numpy as np

from varmix.errors import OptionError
from varmix.inference.information import standard_errors
from varmix.models.random_effect_mixture.climb import FLAT
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.newton import SILENT
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import Reduced
from varmix.models.random_effect_mixture.statistics import MixtureStats, summarise
from varmix.typing import Mask, Matrix, Square, Vector


class Estimates:
    """Covariance of (v_1, ..., v_K, s, pi_1, ..., pi_K) at an optimum with classes in ascending order [SLOPE-10].

    `params` and `stats` are in internal units; `values`, `covariance` and `standard_errors` in those of the data.
    """

    def __init__(self, model: RandomEffectMixture, params: MixtureParams, stats: MixtureStats | None = None) -> None:
        self.model = model
        self.params = params
        self._given = stats

    @cached_property
    def stats(self) -> MixtureStats:
        """Statistics of all pieces at the optimum."""
        return self._given or reduce(operator.add, (summarise(self.params, piece) for piece in self.model.pieces))

    def position(self, name: str) -> int:
        """Position of a parameter in (v, s, pi); 'pi' is 'pi_1' of two classes. Raises OptionError."""
        names = self.model.names
        name = "pi_1" if name == "pi" and self.model.classes == 2 else name
        if name not in names:
            raise OptionError(f"There is no parameter {name!r}. Use one of {', '.join(names)}.")
        return names.index(name)

    @property
    def factors(self) -> Vector:
        """Factors from internal units to those of the data, shape (2K + 1,)."""
        return self.model.reduction.scales.factors(self.model.classes)

    @property
    def values(self) -> Vector:
        """(v, s, pi) in the units of the data, shape (2K + 1,)."""
        return self.params.vector() * self.factors

    @cached_property
    def inner_covariance(self) -> Square:
        """Inverse observed information in internal units, shape (2K + 1, 2K + 1) [SLOPE-6].

        NaN for coordinates that are held or at 0 (a quadratic does not describe them), and for a share that is known
        once those are. Infinite where the data cannot tell parameters apart, the variance of an empty class among them.
        """
        reduced = Reduced.at(self.params)
        outer = reduced.pull_square(self.stats.outer).diagonal()
        silent = outer <= SILENT * self.stats.outer.diagonal()[reduced.moving]
        inside = reduced.values > 0.0
        information = -reduced.pull_square(self.stats.hessian)
        free = np.flatnonzero(inside & ~silent)
        covariance, lost = _of_combinations(information[np.ix_(free, free)], reduced.directions[:, free])
        lost |= np.abs(reduced.directions[:, inside & silent]).any(axis=1)
        covariance[lost, :] = covariance[:, lost] = np.nan
        covariance[lost, lost] = np.inf
        return covariance

    @cached_property
    def covariance(self) -> Square:
        """`inner_covariance` in the units of the data."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # of data of 1e100, say: errors are numbers
            return np.asarray(self.inner_covariance * self.factors * self.factors[:, None])

    @cached_property
    def standard_errors(self) -> Vector:
        """Of (v, s, pi) in the units of the data, shape (2K + 1,); NaN where held or at 0, inf where confounded."""
        return standard_errors(self.inner_covariance) * self.factors


def _of_combinations(information: Square, directions: Matrix) -> tuple[Square, Mask]:
    """Covariance of `directions` (m, d) times parameters with this information (d, d), and which rows it does not tell.

    A row without entries is NaN: it does not depend on what moves.
    """
    known: Mask = ~np.any(directions != 0.0, axis=1)
    scale = 1.0 / np.sqrt(np.maximum(np.abs(information.diagonal()), np.finfo(float).tiny))
    rows = directions * scale
    if not rows.size:
        return np.full((len(directions), len(directions)), np.nan), np.zeros(len(directions), dtype=np.bool_)
    scaled = information * np.outer(scale, scale)
    if not np.isfinite(scaled).all():
        return np.full((len(directions), len(directions)), np.nan), ~known
    eigenvalues, basis = np.linalg.eigh(scaled)
    keep = eigenvalues > FLAT  # as the status of the fit has it
    parts = rows @ basis
    covariance = (parts[:, keep] / eigenvalues[keep]) @ parts[:, keep].T
    covariance[known, :] = covariance[:, known] = np.nan
    lost = (parts[:, ~keep] ** 2).sum(axis=1) > FLAT * (parts**2).sum(axis=1)
    return np.asarray(covariance), lost & ~known
