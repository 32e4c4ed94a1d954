"""Recovery by simulation: intervals cover, the boundary test holds its level, estimates are where the truth is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from varmix.api.inputs import gather
from varmix.api.variance_components import build_model
from varmix.inference.proportion import proportions
from varmix.iteration import Status
from varmix.models.linear.climb import Climb
from varmix.models.linear.model import VarianceComponents
from varmix.models.linear.starting import equal_start
from varmix.results.variance_components.estimates import Estimates
from varmix.results.variance_components.intervals import Intervals

pytestmark = pytest.mark.slow

ROWS, WIDTH, DRAWS = 400, 600, 500
TRUTH = {"interior": np.array([0.8, 1.0]), "low": np.array([0.35, 1.0]), "high": np.array([1.6, 0.4])}


@dataclass(frozen=True)
class Study:
    """One design and its reduction, shared by all draws."""

    model: VarianceComponents
    X: np.ndarray
    Z: np.ndarray

    def draws(self, truth: np.ndarray, seed: int) -> Iterator[Intervals]:
        rng = np.random.default_rng(seed)
        for _ in range(DRAWS):
            effects = np.sqrt(truth[0]) * rng.normal(size=WIDTH)
            y = self.Z @ [1.0, 0.5, -0.3] + self.X @ effects + np.sqrt(truth[1]) * rng.normal(size=ROWS)
            piece, units = self.model.structure.piece(y)
            model = replace(self.model, piece=piece, units=units)
            outcome = Climb().run([piece], equal_start(piece))
            assert outcome.status in (Status.CONVERGED, Status.ON_BOUNDARY)
            yield Intervals(Estimates(model, outcome.params.values), outcome.objective)


@pytest.fixture(scope="module")
def study() -> Study:
    rng = np.random.default_rng(2024)
    counts = rng.binomial(2, rng.uniform(0.05, 0.5, size=WIDTH), size=(ROWS, WIDTH)).astype(float)
    covariates = rng.normal(size=(ROWS, 2))
    inputs = gather(rng.normal(size=ROWS), designs={"snps": counts}, covariates=covariates)
    return Study(build_model(inputs, "reml"), inputs.standardised[0].array(), inputs.design.Z)


def proportion_of(study: Study, truth: np.ndarray) -> float:
    return float(proportions(truth, np.append(study.model.structure.projected_traces, ROWS - 3.0))[0])


@pytest.mark.parametrize("truth", TRUTH)
def test_intervals_of_heritability_cover_and_estimates_are_centred(
    study: Study, truth: str, record_property: pytest.RecordProperty
) -> None:
    true = proportion_of(study, TRUTH[truth])
    profile, wald, estimates = 0, 0, []
    for intervals in study.draws(TRUTH[truth], seed=len(truth)):
        low, high = intervals.profile(0, "proportion", 0.95)
        profile += low <= true <= high
        low, high = intervals.wald(0, "proportion", 0.95)
        wald += low <= true <= high
        estimates.append(float(intervals.scale("proportion")[0][0]))
    covered = profile / DRAWS
    record_property("coverage by profile", float(covered))
    record_property("coverage by wald", float(wald) / DRAWS)
    print(f"\n{truth}: true {true:.3f}, mean {np.mean(estimates):.4f}, sd {np.std(estimates):.4f}, "  # noqa: T201
          f"profile {covered:.3f}, wald {wald / DRAWS:.3f}")  # fmt: skip
    # The standard error of 95 % from 500 draws is 1 %.
    assert 0.93 <= covered <= 0.97
    # A ratio of REML estimates is biased by order 1/n: with 400 rows less than 1 %.
    assert abs(np.mean(estimates) - true) < 4.0 * np.std(estimates) / np.sqrt(DRAWS) + 0.01


def test_the_boundary_test_holds_its_level(study: Study) -> None:
    p_values = np.array([intervals.test(("snps",)).p_value for intervals in study.draws(np.array([0.0, 1.0]), seed=7)])
    print(f"\nlevel {np.mean(p_values < 0.05):.3f}, statistic 0 in {np.mean(p_values == 1.0):.3f}")  # noqa: T201
    for level in (0.05, 0.20):
        # Beyond these bounds once in a thousand seeds.
        low, high = stats.binom.ppf([5e-4, 1 - 5e-4], DRAWS, level)
        assert low <= (p_values < level).sum() <= high
    # Half of the statistics are 0, somewhat more in small samples.
    low, high = stats.binom.ppf(5e-4, DRAWS, 0.5), stats.binom.ppf(1 - 5e-4, DRAWS, 0.6)
    assert low <= (p_values == 1.0).sum() <= high


def test_intervals_at_a_true_zero_cover_at_least_as_often_as_they_claim(study: Study) -> None:
    draws = study.draws(np.array([0.0, 1.0]), seed=9)
    covered = [intervals.profile(0, "proportion", 0.95)[0] == 0.0 for intervals in draws]
    # The one-sided interval at the edge: chi-square with one degree instead of the mixture gives 97.5 %.
    low, high = stats.binom.ppf([5e-4, 1 - 5e-4], DRAWS, 0.975)
    assert low <= sum(covered) <= high
