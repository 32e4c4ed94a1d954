"""How many classes: information criteria, and the bootstrap likelihood-ratio test of fewer within more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import OptionError
from varmix.inference.wald import check_level
from varmix.iteration import Outcome
from varmix.models.random_effect_mixture.climb import Climb, reseated
from varmix.models.random_effect_mixture.drawing import draw_units
from varmix.models.random_effect_mixture.fitting import fit_from
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.starting import moment_start
from varmix.results.random_effect_mixture.replicates import inside, responsibilities
from varmix.typing import Vector

ROUNDING = 1e-8
"""A statistic below this is that of one optimum climbed to twice."""

LEVEL = 0.05
"""Level at which a sequence of tests stops unless another is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassesTest:
    """Statistic `2 (l_1 - l_0)` of `null` classes within `alternative`, and the law it has under the fewer.

    The law is that of `replicates`, the statistics of draws from the smaller fit, shape (B,), each found by the same
    climbs: on the border of the larger model no chi-square is right. `p_value` is
    `(1 + #{replicates >= statistic}) / (B + 1)`.
    """

    null: str
    alternative: str
    statistic: float
    replicates: Vector
    p_value: float

    def __str__(self) -> str:
        return (
            f"{self.null} against {self.alternative}: statistic {self.statistic:.4f}, p = {self.p_value:.3g} "
            f"(null: {len(self.replicates)} draws from the smaller fit, median {np.median(self.replicates):.3g}, "
            f"95 % quantile {np.quantile(self.replicates, 0.95):.3g})"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassSequence:
    """Tests of 1 against 2, 2 against 3, ... classes, up to the first that does not reject at `level`.

    `table` has one row per number of classes that was fitted: `classes`, `log_likelihood`, `parameters`, `aic`, `bic`,
    `icl`, and of the test against one class more `statistic` and `p_value` (NaN for the last).
    """

    chosen: int
    level: float
    tests: tuple[ClassesTest, ...]
    table: pd.DataFrame

    def __str__(self) -> str:
        lines = [str(test) for test in self.tests]
        return "\n".join([*lines, f"{described(self.chosen)} at level {self.level:g}"])


def aic(log_likelihood: float, parameters: int) -> float:
    """Akaike's criterion, `-2 l + 2 p`; the smaller the better."""
    return -2.0 * log_likelihood + 2.0 * parameters


def bic(log_likelihood: float, parameters: int, total: float) -> float:
    """Schwarz's criterion, `-2 l + p log n`, n the total weight of the informative units."""
    return -2.0 * log_likelihood + parameters * math.log(max(total, 1.0))


def entropy(model: RandomEffectMixture, params: MixtureParams) -> float:
    """`-sum a r log r` over classes and informative units: 0 where every unit has told its class."""
    value = 0.0
    for piece in model.pieces:
        r = responsibilities(params, piece)
        terms = -(r * np.log(np.where(r > 0.0, r, 1.0))).sum(axis=0)
        value += float(terms.sum() if piece.weight is None else piece.weight @ terms)
    return value


def icl(model: RandomEffectMixture, params: MixtureParams, bic: float) -> float:
    """Integrated complete likelihood, `BIC + 2 entropy`: BIC with a price on classes that cannot be told apart."""
    return bic + 2.0 * entropy(model, params)


def compare_classes(
    one: RandomEffectMixture,
    at_one: MixtureParams,
    other: RandomEffectMixture,
    at_other: MixtureParams,
    climb: Climb,
    replicates: int,
    rng: np.random.Generator,
) -> ClassesTest:
    """Bootstrap likelihood-ratio test of the smaller of two fits (internal units) within the larger, in either order.

    Raises OptionError where neither model is within the other, or their data or residual variances differ.
    """
    _same_data(one, other)
    if within(one, other):
        return classes_test(one, [at_one], other, [at_other], climb, replicates, rng)
    if within(other, one):
        return classes_test(other, [at_other], one, [at_one], climb, replicates, rng)
    raise OptionError(
        f"{described_model(one)} and {described_model(other)} are not one within the other: compare numbers of "
        "classes, or a null class against none."
    )


def classes_test(
    small: RandomEffectMixture,
    small_starts: Sequence[MixtureParams],
    large: RandomEffectMixture,
    large_starts: Sequence[MixtureParams],
    climb: Climb,
    replicates: int,
    rng: np.random.Generator,
) -> ClassesTest:
    """The same test with starts of one's own for the fits to the data. Raises OptionError for no replicates."""
    given: Any = replicates
    if not isinstance(given, (int, np.integer)) or replicates < 1:
        raise OptionError(
            f"replicates={replicates!r} must be a whole number >= 1: 19 can reject at .05, 99 or more are usual."
        )
    fitted, better = nested_fits(small, small_starts, large, large_starts, climb)
    statistic = likelihood_ratio_of(fitted, better)
    truth = fitted.params.ordered()
    drawn = []
    for generator in rng.spawn(replicates):
        units = draw_units(small, truth, generator)
        pair = nested_fits(small.with_units(units), [inside(small, truth)], large.with_units(units), [], climb)
        drawn.append(likelihood_ratio_of(*pair))
    null = np.array(drawn)
    return ClassesTest(
        null=described_model(small),
        alternative=described_model(large),
        statistic=statistic,
        replicates=null,
        p_value=float(1 + np.count_nonzero(null >= statistic)) / (replicates + 1),
    )


def sequence(
    model: RandomEffectMixture,
    climb: Climb,
    replicates: int,
    rng: np.random.Generator,
    *,
    most: int = 4,
    level: float = LEVEL,
) -> ClassSequence:
    """Test 1, 2, ... classes, each against one more, until a test does not reject at `level` or `most` is reached.

    `model.null` is kept: its null class counts as one. Raises OptionError.
    """
    check_level(level)
    if most < 2:
        raise OptionError(f"most={most} must be at least 2: one class is tested against two.")
    tests: list[ClassesTest] = []
    rows: list[dict[str, float]] = []
    small, at = model.with_classes(1), None
    for classes in range(1, most + 1):
        outcome = _fit(small, [] if at is None else [at], climb)
        rows.append(_row(small, outcome))
        if classes == most or (tests and tests[-1].p_value > level):
            break
        large = model.with_classes(classes + 1)
        tests.append(classes_test(small, [outcome.params], large, [], climb, replicates, rng))
        rows[-1] |= {"statistic": tests[-1].statistic, "p_value": tests[-1].p_value}
        small, at = large, widened(large, outcome.params)
    rejected = sum(test.p_value <= level for test in tests)
    return ClassSequence(chosen=1 + rejected, level=level, tests=tuple(tests), table=pd.DataFrame(rows))


def nested_fits(
    small: RandomEffectMixture,
    small_starts: Sequence[MixtureParams],
    large: RandomEffectMixture,
    large_starts: Sequence[MixtureParams],
    climb: Climb,
) -> tuple[Outcome[Any, Any], Outcome[Any, Any]]:
    """The best of both models; the larger one starts from moments and from the smaller optimum too, whose classes are
    joined by one where the directional derivative asks for it."""
    fitted = _fit(small, small_starts, climb)
    return fitted, _fit(large, [*large_starts, widened(large, fitted.params)], climb)


def likelihood_ratio_of(small: Outcome[Any, Any], large: Outcome[Any, Any]) -> float:
    """`2 (l_1 - l_0)`, at least 0."""
    statistic = 2.0 * (large.objective - small.objective)
    return statistic if statistic > ROUNDING * (1.0 + 1e-4 * abs(small.objective)) else 0.0


def widened(large: RandomEffectMixture, params: MixtureParams) -> MixtureParams:
    """A point of a smaller model in the larger one: same mixture, or with a class seated where it is wanted most."""
    extra = large.classes - params.classes
    zero = int(large.null and extra > 0 and params.variances.min() > 0.0)
    apart = [float(params.variances.max())] * (extra - zero)
    wide = MixtureParams.free(
        np.concatenate([np.zeros(zero), params.variances, apart]),
        params.residual,
        np.concatenate([np.zeros(zero), params.shares, np.zeros(extra - zero)]),
    )
    point = large.point(wide)
    return reseated(point, large.pieces) or point


def within(small: RandomEffectMixture, large: RandomEffectMixture) -> bool:
    """Whether every mixture of the one is a mixture of the other, and not the reverse."""
    if (small.classes, small.null) == (large.classes, large.null):
        return False
    return small.classes + int(large.null and not small.null) <= large.classes


def described(classes: int) -> str:
    """A number of classes in words."""
    return f"{classes} class{'' if classes == 1 else 'es'}"


def described_model(model: RandomEffectMixture) -> str:
    """Number of classes, and whether the first is the null class."""
    return (
        described(model.classes)
        + (", one of them null" if model.null and model.classes > 1 else "")
        + (" (null)" if model.null and model.classes == 1 else "")
    )


def _fit(model: RandomEffectMixture, starts: Sequence[MixtureParams], climb: Climb) -> Outcome[Any, Any]:
    moments = moment_start(model.pieces, model.classes, model.null, model.inner_residual)
    return fit_from(model, climb, [*(model.point(start) for start in starts), model.point(moments)]).best


def _row(model: RandomEffectMixture, outcome: Outcome[Any, Any]) -> dict[str, float]:
    value, parameters = model.log_likelihood_outward(outcome.objective), model.free_parameters
    schwarz = bic(value, parameters, model.total)
    return {
        "classes": model.classes,
        "log_likelihood": value,
        "parameters": parameters,
        "aic": aic(value, parameters),
        "bic": schwarz,
        "icl": icl(model, outcome.params, schwarz),
        "statistic": math.nan,
        "p_value": math.nan,
    }


def _same_data(one: RandomEffectMixture, other: RandomEffectMixture) -> None:
    mine, theirs = one.reduction, other.reduction
    same = (
        np.array_equal(mine.units.h2, theirs.units.h2)
        and np.array_equal(mine.units.q, theirs.units.q)
        and (mine.units.rest, mine.units.rest_rows) == (theirs.units.rest, theirs.units.rest_rows)
        and (mine.groups, mine.scales, mine.log_jacobian) == (theirs.groups, theirs.scales, theirs.log_jacobian)
        and _same_weights(mine.units.weight, theirs.units.weight)
    )
    if not same:
        raise OptionError("The two fits are to different data, so that their likelihoods cannot be compared.")
    if one.residual != other.residual:
        raise OptionError(
            "The residual variance is known in one fit and not, or to be another, in the other: compare fits "
            "that differ in their classes alone."
        )


def _same_weights(one: Vector | None, other: Vector | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
