"""Random slopes of independent groups by lme4 1.1-31 (ML) and the weighted Gamma regression of R 4.2.2 and statsmodels.

Golden numbers by R, printed with 12 digits:

    ctl <- lmerControl(calc.derivs = FALSE, optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5),
                       check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore", check.nobs.vs.rankZ = "ignore")
    d <- read.csv("mixture/random_effect_10000.csv"); n <- nrow(d)
    s <- data.frame(y = c(d$y, d$y), x1 = c(d$x, rep(0, n)), x2 = c(rep(0, n), d$x), id = factor(1:(2 * n)))
    lmer(y ~ 0 + (0 + x1 | id) + (0 + x2 | id), s, REML = FALSE, control = ctl)                          # STACKED
    t1 <- d$x^2 * .0081583 + .4940394; t2 <- d$x^2 * 1.0748 + .4940394
    f1 <- .7338486 * dnorm(d$y, 0, sqrt(t1)); f2 <- (1 - .7338486) * dnorm(d$y, 0, sqrt(t2))
    s$w <- c(f1, f2) / (f1 + f2)
    lmer(y ~ 0 + (0 + x1 | id) + (0 + x2 | id), s, REML = FALSE, control = ctl, weights = w)             # PRECISION
    glm(I(y^2) ~ 0 + I(x1^2) + I(x2^2) + I(0 * y + 1), Gamma(link = "identity"), s, weights = w,
        start = c(.01, 1, .5), control = list(epsilon = 1e-14, maxit = 200))                             # GAMMA
    d <- read.csv("lmm/sleepstudy_uncor.csv"); d$Subject <- factor(d$Subject); d$one <- 1
    lmer(Reaction ~ 0 + (0 + one + Days || Subject), d, REML = FALSE, control = ctl)                     # NO_FIXED
    lmer(Reaction ~ Days + (Days || Subject), d, REML = FALSE, control = ctl)                            # FIXED
    three <- c("308", "309", "310")
    lmer(Reaction ~ Days + (Days || Subject), REML = FALSE, control = ctl,
         rbind(d, transform(d[d$Subject %in% three, ], Subject = paste0(Subject, "b"))))                 # TWICE

The source note prints v = .2900485 twice and s = .5019035 for its own draw of this simulation: the data in the
reference are another draw of it, on which the same call gives .2965943 twice and .4926929.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm

Array = np.ndarray

STACKED = (0.296594302772, 0.296594378041, 0.492692949509)
STACKED_LOG_LIKELIHOOD = -25060.312616746
PRECISION = (0.0878717351213, 0.5501538128666, 0.2349670807209)
GAMMA = (0.00815828474436, 1.07480005127057, 0.49403941404661)
NO_FIXED = (65000.933402826, 145.152307148, 653.400410725)
FIXED = (584.2501261780, 33.6331394914, 653.1160141234)
FIXED_EFFECTS = (251.4051048485, 10.4672859596)
FIXED_ERRORS = (6.70767397160, 1.51931448793)
FIRST_SLOPES = ((1.85465605578, 9.23643460838), (-40.02230749079, -8.61747294626))
TWICE = (694.9425647471, 39.8600588913, 675.7045212082)
TWICE_EFFECTS = (246.5725584416, 10.4072635209)

LMER = 1e-6
"""bobyqa stops where the deviance is flat to rounding: the two variances of STACKED, equal by symmetry, differ by
2.5e-7 of themselves."""
LMER_SLEEPSTUDY = 3e-5
"""The same: on these 18 subjects lme4's defaults and a tight bobyqa differ by 3e-5 in the first variance."""
LIKELIHOOD = 1e-6
"""The log-likelihood is flat to second order: right to about the square of what variances are."""


@pytest.fixture(scope="module")
def note(reference: Path) -> tuple[Array, Array]:
    table = pd.read_csv(reference / "mixture" / "random_effect_10000.csv")
    return table["y"].to_numpy(), table["x"].to_numpy()


@pytest.fixture(scope="module")
def stacked(note: tuple[Array, Array]) -> tuple[Array, Array]:
    """Responses twice; x in column 1 for the first copy, in column 2 for the second: the source note's construction."""
    y, x = note
    zero = np.zeros_like(x)
    return np.concatenate([y, y]), np.column_stack([np.concatenate([x, zero]), np.concatenate([zero, x])])


@pytest.fixture(scope="module")
def responsibilities(note: tuple[Array, Array]) -> Array:
    """At the maximum of the two-class mixture (reference/README.md), both copies below one another."""
    y, x = note
    tau = np.array([x**2 * 0.0081583 + 0.4940394, x**2 * 1.0748 + 0.4940394])
    joint = np.array([[0.7338486], [1.0 - 0.7338486]]) * np.exp(-0.5 * y**2 / tau) / np.sqrt(tau)
    return np.asarray(joint / joint.sum(axis=0)).ravel()


@pytest.fixture(scope="module")
def sleepstudy(reference: Path) -> pd.DataFrame:
    table = pd.read_csv(reference / "lmm" / "sleepstudy_uncor.csv", dtype={"Subject": str})
    return table.assign(one=1.0)


@pytest.mark.parametrize("method", ["newton", "em", "pxem", "mm"])
def test_equal_weights_on_the_stacked_rows_give_what_lmer_gives(stacked: tuple[Array, Array], method: str) -> None:
    fit = vm.weighted_random_effects(*stacked, method=method)
    np.testing.assert_allclose(fit.components["estimate"], STACKED, rtol=LMER)
    assert fit.log_likelihood == pytest.approx(STACKED_LOG_LIKELIHOOD, abs=LIKELIHOOD)
    assert fit.log_likelihood > STACKED_LOG_LIKELIHOOD - 1e-8  # what it is printed to


def test_responsibilities_as_weights_give_the_gamma_regression_of_r_and_not_lmers_weights(
    stacked: tuple[Array, Array], responsibilities: Array
) -> None:
    found = vm.weighted_random_effects(*stacked, responsibilities).components["estimate"].to_numpy()
    # glm stops at a relative change of the deviance of 1e-14: the coefficients are then right to about 1e-7, the
    # smallest of them (a hundredth of the others) to 1e-6.
    np.testing.assert_allclose(found, GAMMA, rtol=1e-6)
    assert (np.abs(found / np.array(PRECISION) - 1.0) > 0.4).all()


def test_responsibilities_as_weights_give_the_gamma_regression_of_statsmodels(
    stacked: tuple[Array, Array], responsibilities: Array
) -> None:
    sm = pytest.importorskip("statsmodels.api")
    y, X = stacked
    design = np.column_stack([X**2, np.ones(len(y))])
    family = sm.families.Gamma(link=sm.families.links.Identity())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the identity link may leave the domain of the mean: not here
        regression = sm.GLM(y**2, design, family=family, freq_weights=responsibilities)
        theirs = regression.fit(start_params=[0.01, 1.0, 0.5], maxiter=200, tol=1e-13, tol_criterion="params")
    found = vm.weighted_random_effects(y, X, responsibilities).components["estimate"]
    np.testing.assert_allclose(found, theirs.params, rtol=1e-9)  # both iterate to rounding of 20,000 terms


def test_the_m_step_at_the_maximum_of_the_mixture_stays_there(
    stacked: tuple[Array, Array], responsibilities: Array
) -> None:
    found = vm.weighted_random_effects(*stacked, responsibilities).components["estimate"]
    # The README gives the maximum with seven digits, the responsibilities have those.
    np.testing.assert_allclose(found, [0.0081583, 1.074800, 0.4940394], rtol=1e-5)


def test_grouped_slopes_without_fixed_effects_are_lmers(sleepstudy: pd.DataFrame) -> None:
    fit = vm.weighted_random_effects("Reaction", ["one", "Days"], group="Subject", data=sleepstudy)
    np.testing.assert_allclose(fit.components["estimate"], NO_FIXED, rtol=LMER_SLEEPSTUDY)
    assert fit.log_likelihood == pytest.approx(-927.61273569497, abs=LIKELIHOOD)


def test_grouped_slopes_with_fixed_effects_are_lmers(sleepstudy: pd.DataFrame) -> None:
    fit = vm.weighted_random_effects(
        "Reaction", ["one", "Days"], group="Subject", covariates=["Days"], intercept=True, data=sleepstudy
    )
    np.testing.assert_allclose(fit.components["estimate"], FIXED, rtol=LMER_SLEEPSTUDY)
    assert fit.log_likelihood == pytest.approx(-876.00162756994, abs=LIKELIHOOD)
    np.testing.assert_allclose(fit.coefficients["estimate"], FIXED_EFFECTS, rtol=1e-9)  # balanced: free of variances
    np.testing.assert_allclose(fit.coefficients["se"], FIXED_ERRORS, rtol=LMER_SLEEPSTUDY)
    slopes = [fit.effects("one")["estimate"].iloc[:2], fit.effects("Days")["estimate"].iloc[:2]]
    np.testing.assert_allclose(np.transpose(slopes), FIRST_SLOPES, rtol=1e-4)  # four digits at those variances


def test_a_weight_of_two_is_lmers_fit_of_the_group_twice(sleepstudy: pd.DataFrame) -> None:
    weights = np.where(sleepstudy["Subject"].isin(["308", "309", "310"]), 2.0, 1.0)
    fit = vm.weighted_random_effects(
        sleepstudy["Reaction"],
        sleepstudy[["one", "Days"]],
        weights,
        group=sleepstudy["Subject"],
        covariates=sleepstudy[["Days"]],
        intercept=True,
    )
    np.testing.assert_allclose(fit.components["estimate"], TWICE, rtol=LMER_SLEEPSTUDY)
    assert fit.log_likelihood == pytest.approx(-1027.897024664, abs=LIKELIHOOD)
    np.testing.assert_allclose(fit.coefficients["estimate"], TWICE_EFFECTS, rtol=1e-9)
