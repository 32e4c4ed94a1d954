"""Starts of very many genes are screened on a part of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from varmix.models.partition import noise_part
from varmix.models.partition.climb import Climb
from varmix.models.partition.fitting import fit_from
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.shared_problem import SharedProblem

PARTITIONS = all_partitions(["a", "b", "c"])


@pytest.fixture(scope="module")
def problem() -> SharedProblem:
    rng = np.random.default_rng(3)
    P = rng.dirichlet(np.full(3, 0.5), 6)
    labels = np.array(PARTITIONS.labels)[rng.integers(5, size=600)]
    means = np.take_along_axis(5.0 + rng.standard_normal((600, 3)), labels, axis=1)
    sample_type = np.repeat(np.arange(6), 3)
    values = means @ P[sample_type].T + 0.2 * rng.standard_normal((600, 18))
    values[500:, :3] = np.nan  # a second piece, without the first type
    base = PartitionMixture.of(values, sample_type, PARTITIONS, np.full(P.shape, np.nan), noise="measurement")
    return SharedProblem(base=base, options=Climb())


def test_screened_starts_end_where_all_starts_end(problem, monkeypatch):
    named = problem.starts(4, np.random.default_rng(0))
    whole = fit_from(problem, named, np.random.default_rng(1))
    assert whole.screened is None
    assert len(whole.starts.runs) == 4
    monkeypatch.setattr(noise_part, "LARGE", 400)
    monkeypatch.setattr(noise_part, "PART", 200)
    ticks: list[int] = []
    found = fit_from(problem, named, np.random.default_rng(1), ticks.append)
    assert found.screened is not None
    assert len(found.screened.runs) == 4
    assert found.genes == 200
    assert found.starts.best.status.arrived
    assert found.starts.best.objective == pytest.approx(whole.starts.best.objective, abs=1e-6)
    assert sum(ticks) == 5


def test_one_start_is_not_screened(problem, monkeypatch):
    monkeypatch.setattr(noise_part, "LARGE", 400)
    found = fit_from(problem, problem.starts(1, np.random.default_rng(0)), np.random.default_rng(1))
    assert found.screened is None


def test_all_genes_climb_from_the_best_end_of_the_part(problem, monkeypatch):
    """Also where the best start is not the first, and a prior counts on a part as it does on all."""
    monkeypatch.setattr(noise_part, "LARGE", 400)
    monkeypatch.setattr(noise_part, "PART", 200)
    prior = replace(problem.base, concentration=np.full(problem.base.known.shape, 3.0))
    weighed = replace(problem, base=prior)
    named = weighed.starts(4, np.random.default_rng(2))
    found = fit_from(weighed, named, np.random.default_rng(1))
    assert found.screened is not None
    begin = found.starts.runs[0].begin.vector()
    ends = [run.outcome.params.vector() for run in found.screened.runs]
    best = found.screened.best.params.vector()
    assert max(np.abs(begin - best)) <= min(max(np.abs(begin - end)) for end in ends) + 1e-9
    share = found.genes / 600
    score = found.screened.best.stats.score
    p = best[4 + 5 :]
    inside = p > 1e-9
    rows = np.repeat(np.arange(6), 3)
    slope = score[4 + 5 :] + np.divide(2.0 * share, p, out=np.zeros_like(p), where=inside)
    for row in range(6):  # stationary along each simplex, with that share of the prior
        at = (rows == row) & inside
        assert np.ptp(slope[at]) < 1e-3 * np.abs(slope[at]).max()
