"""Intervals of a fit of partitions hold the truth as often as they say, inside and at the edge."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from mixed_samples import CELL_TYPES, PLAIN, SHARES, Mixed, mixed

import varmix as vm
from varmix.errors import VarmixWarning

pytestmark = pytest.mark.slow

DRAWS, GENES = 200, 300
ABSENT = np.array([0.5, 0.2, 0.15, 0.15, 0.0])
"""No gene differs in all three types."""


def fitted(data: Mixed, **options) -> vm.Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        return vm.partition_mixture(data.S, data.sample_type, **{"proportions": data.proportions, **options})


def coverage(draws: int, inside: Callable[[int], dict[str, bool]]) -> pd.Series:
    """Share of data sets in which each interval held the truth."""
    return pd.DataFrame([inside(seed) for seed in range(draws)]).mean()


def check(found: pd.Series, draws: int, *, nominal: float = 0.95) -> None:
    """No interval is off by more than 3.3 standard errors of the study: one in 1,000 of right ones."""
    error = (nominal * (1.0 - nominal) / draws) ** 0.5
    assert (found > nominal - 3.3 * error).all(), found
    assert found.mean() < nominal + 3.3 * error, found


def parameters(fit: vm.Fit, shares: np.ndarray, variances: dict[str, float]) -> dict[str, bool]:
    table, components = fit.shares, fit.components.set_index("term")
    found = {
        word: bool(low <= truth <= high)
        for word, low, high, truth in zip(table["partition"], table["lower"], table["upper"], shares, strict=True)
    }
    mean = fit.coefficients.iloc[0]
    found["mean"] = bool(mean["lower"] <= 5.0 <= mean["upper"])
    for name, truth in variances.items():
        row = components.loc[name]
        found[name] = bool(row["lower"] <= truth <= row["upper"])
    return found


def test_intervals_inside_cover():
    cells = replace(PLAIN, measurement=0.0)

    def inside(seed: int) -> dict[str, bool]:
        fit = fitted(mixed([81, seed], GENES, params=cells), noise="cell")
        return parameters(fit, SHARES, {"blocks": 1.0, "cell": 0.16})

    check(coverage(DRAWS, inside), DRAWS)


def test_intervals_of_two_sorts_of_noise_cover():
    def inside(seed: int) -> dict[str, bool]:
        fit = fitted(mixed([82, seed], GENES), noise="both")
        return parameters(fit, SHARES, {"blocks": 1.0, "cell": 0.16, "measurement": 0.04})

    check(coverage(DRAWS, inside), DRAWS)


def test_profiles_of_a_share_that_is_zero_cover_and_have_one_end():
    """At the edge the likelihood ratio is 0 half of the time and more (scores of a share are skewed: most are slightly
    negative, few very positive): an interval of 95 % covers in 97.5 % of studies at least."""
    absent = replace(PLAIN, measurement=0.0, shares=ABSENT)
    ends = []

    def inside(seed: int) -> dict[str, bool]:
        fit = fitted(mixed([83, seed], GENES, params=absent), noise="cell")
        row = fit.shares.iloc[4]
        ends.append((row["estimate"] == 0.0, row["interval"], row["lower"], row["upper"]))
        return {**parameters(fit, ABSENT, {"blocks": 1.0, "cell": 0.16})}

    found = coverage(DRAWS, inside)
    zero = found.pop("liver | brain | lung")
    check(found, DRAWS)
    assert zero > 0.95 - 3.3 * (0.05 * 0.95 / DRAWS) ** 0.5
    at_edge = [end for end in ends if end[0]]
    assert 0.4 < len(at_edge) / DRAWS < 0.9
    assert all(kind == "profile" and low == 0.0 and 0.0 < high < 0.3 for _, kind, low, high in at_edge)


def test_intervals_of_a_mixture_that_is_not_known_cover():
    def inside(seed: int) -> dict[str, bool]:
        data = mixed([84, seed], GENES)
        table = fitted(data, proportions=data.partly, noise="both").proportions
        rows = table[table["sample_type"] == "mix 3"]
        truth = data.proportions.loc["mix 3"].to_numpy()
        assert (rows["interval"] != "known").all()
        return dict(zip(CELL_TYPES, (rows["lower"] <= truth) & (truth <= rows["upper"]), strict=True))

    check(coverage(DRAWS, inside), DRAWS)


def test_intervals_of_proportions_with_a_prior_that_is_right_cover():
    """Where proportions come from the prior itself, as Bayes has it: over draws of both."""
    expected = mixed(0, 2).proportions

    def inside(seed: int) -> dict[str, bool]:
        rng = np.random.default_rng([85, seed])
        alpha = 1.0 + 60.0 * expected.to_numpy()
        rows = np.stack([rng.dirichlet(row) for row in alpha])
        data = mixed([86, seed], GENES, params=replace(PLAIN, proportions=rows))
        prior = vm.Dirichlet(pd.DataFrame(alpha, expected.index, expected.columns))
        table = fitted(data, proportions=prior, noise="both", starts=2, rng=0).proportions
        truth = rows.ravel()
        held = (table["lower"] <= truth) & (truth <= table["upper"])
        return {
            f"{row} {name}": at for row, name, at in zip(table["sample_type"], table["cell_type"], held, strict=True)
        }

    found = coverage(100, inside)
    assert 0.91 < found.mean() < 0.98, found  # correlated entries; normal intervals near 0 are a little short
    assert (found > 0.80).all(), found


def test_bootstrap_intervals_cover_about_as_often():
    """Refits of genes drawn with replacement; ends that are quantiles of 80 replicates lie a little too far inside."""

    def inside(seed: int) -> dict[str, bool]:
        fit = fitted(mixed([87, seed], 200, params=replace(PLAIN, measurement=0.0)), noise="cell")
        lower, upper = fit.bootstrap(80, seed).interval(level=0.95)
        truth = {"mean": 5.0, "blocks": 1.0, "cell": 0.16, "share[liver = brain = lung]": 0.35}
        at = {name: fit.report.estimates.position(name) for name in truth}
        return {name: bool(lower[at[name]] <= value <= upper[at[name]]) for name, value in truth.items()}

    found = coverage(80, inside)
    assert (found > 0.93 - 3.3 * (0.07 * 0.93 / 80) ** 0.5).all(), found


def test_robust_intervals_hold_where_genes_have_scales_of_their_own():
    """The mean's sandwich covers although the noise is not what the model says it is."""
    from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
    from varmix.models.partition.noise import Noise
    from varmix.models.partition.trend import Trend

    scaled = HeteroscedasticParams(
        mean=5.0,
        between=1.0,
        noise=Noise(cell=0.16),
        trend=Trend(reference=5.0),
        shares=PLAIN.shares,
        proportions=PLAIN.proportions,
        spread=0.5,
    )

    def inside(seed: int) -> dict[str, bool]:
        fit = fitted(mixed([88, seed], GENES, params=scaled), noise="cell")
        estimate = fit.coefficients["estimate"].iloc[0]
        error = fit.covariance("sandwich").loc["mean", "mean"] ** 0.5
        return {"mean": bool(abs(estimate - 5.0) < 1.96 * error)}

    check(coverage(DRAWS, inside), DRAWS)
