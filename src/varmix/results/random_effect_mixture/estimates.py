"""Covariance of the estimates from the observed information, computed once for all tables."""

from __future__ import annotations

import operator
from functools import cached_property, reduce

import numpy as np

from varmix.errors import OptionError
from varmix.inference.information import covariance_from_information, standard_errors
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.scheme import Reduced
from varmix.models.random_effect_mixture.statistics import MixtureStats, summarise
from varmix.typing import Square, Vector


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
        params, count = self.params, self.params.classes
        reduced = Reduced.at(params)
        covariance = np.full((2 * count + 1, 2 * count + 1), np.nan)
        empty = np.zeros(2 * count + 1, dtype=np.bool_)
        empty[:count] = (params.shares == 0.0) & ~params.held[:count]
        free = (reduced.values > 0.0) & ~empty[reduced.moving]
        inner = covariance_from_information(-reduced.pull_square(self.stats.hessian), free)
        covariance[np.ix_(reduced.moving, reduced.moving)] = inner
        moving = reduced.moving[free]
        shares = moving[moving > count]
        if reduced.reference is not None and shares.size:
            given = -np.nansum(covariance[np.ix_(shares, moving)], axis=0)
            covariance[reduced.reference, moving] = covariance[moving, reduced.reference] = given
            lost = np.isinf(covariance[shares, shares]).any()
            covariance[reduced.reference, reduced.reference] = (
                np.inf if lost else covariance[np.ix_(shares, shares)].sum()
            )
        covariance[empty, empty] = np.inf
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
