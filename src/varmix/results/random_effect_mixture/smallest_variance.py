"""Likelihood-ratio test that the smallest class variance is 0: its class against the null class [SLOPE-10]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from varmix.errors import ConvergenceWarning, NotAvailableError, OptionError, warn
from varmix.inference.likelihood_ratio import LikelihoodRatio, chi_bar_weights, likelihood_ratio
from varmix.iteration import Runner, Status
from varmix.models.random_effect_mixture.climb import Climb
from varmix.models.random_effect_mixture.fitting import fit_from
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.starting import moment_start, random_start

SMALLEST = "v_1"
"""The only variance whose value 0 has a regular test: the others are 0 only where classes coincide."""

FURTHER, SEED = 3, 1
"""Random starts of the fit with the variance at 0, times (K - 1)^2, and their seed: a p-value does not change from call
to call."""

HIGHER = 1e-6
"""A log-likelihood with the variance at 0 this far above the fit's is another optimum, not rounding."""

FEWER = (
    "fit fewer classes and use fit.compare(other), which draws the law of the statistic from the smaller fit: no "
    "chi-square is right there."
)


def check_tested(model: RandomEffectMixture, names: tuple[str, ...]) -> None:
    """Raise OptionError for anything but 'v_1', with what to do instead, and where v_1 is known to be 0."""
    if names == (SMALLEST,):
        if model.null:
            raise OptionError("v_1 is 0 in this model: refit with null=False to test it.")
        return
    if not names:
        raise OptionError("Name what to test: fit.test('v_1') tests whether the smallest class variance is 0.")
    for name in names:
        if name == "pi" or name in model.names[model.classes + 1 :]:
            raise OptionError(f"{name} = 0 is a mixture with a class less: {FEWER}")
        if name == "s":
            raise OptionError("s = 0 leaves rows without an error: it cannot be tested. Read fit.interval('s').")
        if name not in model.names:
            raise OptionError(f"There is no parameter {name!r}. What can be tested is 'v_1'.")
    if len(names) > 1 and len(set(names)) == 1:
        check_tested(model, names[:1])
    larger = next(name for name in names if name != SMALLEST)
    raise OptionError(f"With {larger} = 0 classes coincide at 0: {FEWER}")


def smallest_variance_test(
    model: RandomEffectMixture, params: MixtureParams, status: Status, log_likelihood: float, runner: Runner
) -> LikelihoodRatio:
    """Against (1/2, 1/2) of chi-square with 0 and 1 degrees of freedom; `params` (ordered) in internal units.

    The law is that of one parameter at the end of its range, the others inside theirs: raises NotAvailableError where
    that is not so, of the fit or of the one with v_1 = 0. Warns (ConvergenceWarning) where the latter is higher.
    """
    _check_regular("this fit", model, params, status)
    null = 0.0
    if params.variances[0] > 0.0:
        without = replace(model, null=True)
        best = fit_from(without, Climb(runner=runner), list(_starts(without, params))).best
        _check_regular("the fit with v_1 = 0", without, best.params, best.status)
        null = best.objective - log_likelihood
    if null > max(HIGHER, 1e-10 * abs(log_likelihood)):
        warn(
            f"With v_1 = 0 the log-likelihood is {null:.3g} above the fit's, which is therefore not at the maximum: "
            "fit again with more starts. The test counts this as no difference.",
            ConvergenceWarning,
        )
    outward = model.log_likelihood_outward(log_likelihood)
    return likelihood_ratio(outward, outward + null, chi_bar_weights(np.ones((1, 1))), (SMALLEST,))


def _starts(without: RandomEffectMixture, params: MixtureParams) -> Iterator[MixtureParams]:
    """The estimate with its smallest variance at 0, moments and random points."""
    setting = (without.pieces, without.classes, True, without.inner_residual)
    yield without.point(params)
    yield without.point(moment_start(*setting))
    generator = np.random.default_rng(SEED)
    for _ in range(FURTHER * (without.classes - 1) ** 2):
        yield without.point(random_start(*setting, generator))


def _check_regular(what: str, model: RandomEffectMixture, params: MixtureParams, status: Status) -> None:
    if status is Status.CONFOUNDED:
        raise NotAvailableError(f"The data do not tell all classes of {what} apart: {FEWER}")
    if not status.arrived:
        raise NotAvailableError(
            f"{what[0].upper()}{what[1:]} is not at a maximum ({status.name}), so that nothing can be tested. Refit "
            "with polish=True, method='auto' or more starts."
        )
    if not (params.shares > 0.0).all():
        raise NotAvailableError(f"A class of {what} has no share: {FEWER}")
    if params.residual == 0.0 and model.residual is None:
        raise NotAvailableError(
            f"The residual variance of {what} is 0, where the test of a variance has no known law. Give known standard "
            "errors (se=) or a known residual=."
        )
