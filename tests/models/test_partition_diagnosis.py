"""Which noise data have, told before any fit: false alarms at their chance, and what must not be missed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from varmix.models.partition.diagnosis import NoiseDiagnosis, diagnose
from varmix.models.partition.drawing import draw_genes
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import Noise
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.trend import Trend

PARTITIONS = all_partitions(["liver", "brain", "lung"])
ROWS = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]])
SHARES = np.array([0.35, 0.2, 0.15, 0.15, 0.15])
TYPES = np.repeat(np.arange(5), 4)
PLAIN = PartitionParams(mean=5.0, between=1.0, cell=0.16, measurement=0.05, shares=SHARES, proportions=ROWS)


def different(noise: Noise, spread: float = 0.0, between: float = 1.0) -> HeteroscedasticParams:
    return HeteroscedasticParams(
        mean=5.0,
        between=between,
        noise=noise,
        trend=Trend(reference=5.0),
        spread=spread,
        shares=SHARES,
        proportions=ROWS,
    )


def drawn(
    params: PartitionParams | HeteroscedasticParams, times: int, seed: int = 0, sample_type: np.ndarray = TYPES
) -> list[NoiseDiagnosis]:
    rng = np.random.default_rng(seed)
    return [
        diagnose(reduce_samples(draw_genes(params, PARTITIONS, sample_type, 400, rng).values, sample_type, 5), ROWS)
        for _ in range(times)
    ]


def test_one_noise_for_all_is_found_plain_in_95_of_100_draws():
    found = drawn(PLAIN, 200)
    assert np.mean([each.plain for each in found]) >= 0.95
    assert np.mean([not each.grows for each in found]) >= 0.95  # all that is judged where no proportions are known
    # chances of 5 % occur at 5 %: within three binomial standard errors of 200 draws
    assert np.mean([each.slope_p < 0.05 for each in found]) == pytest.approx(0.05, abs=0.046)
    assert np.mean([each.lack_of_fit_p < 0.05 for each in found]) == pytest.approx(0.05, abs=0.046)
    assert np.mean([each.lack_of_fit for each in found]) == pytest.approx(1.0, abs=0.02)  # 200 x 800 squares


def test_without_proportions_the_trend_is_the_same_and_mixing_is_not_judged():
    pieces = reduce_samples(draw_genes(PLAIN, PARTITIONS, TYPES, 400, np.random.default_rng(1)).values, TYPES, 5)
    known, free = diagnose(pieces, ROWS), diagnose(pieces)
    assert (known.slope, known.slope_p) == (free.slope, free.slope_p)
    assert np.isnan(free.lack_of_fit)
    assert free.plain
    assert "cannot be told" in free.words
    partly = ROWS.copy()
    partly[4, 1:] = np.nan
    assert 0.5 < diagnose(pieces, partly).lack_of_fit < 1.5  # four known rows for three cell types
    partly[3, 1:] = np.nan
    assert np.isnan(diagnose(pieces, partly).lack_of_fit)


def test_a_trend_of_ten_per_cent_is_always_found():
    found = drawn(different(Noise(proportional=0.25)), 40)
    assert all(each.grows for each in found)
    assert np.mean([each.misfits for each in found]) < 0.06
    assert np.mean([each.slope for each in found]) == pytest.approx(1.9, abs=0.15)  # the level is a mean with error


@pytest.mark.parametrize(
    "params",
    [
        different(Noise(measurement=0.5, proportional=0.25), 0.3, 9.0),  # a trend with a floor is no power law
        different(Noise(measurement=0.16), 0.8),
        different(Noise(measurement=0.16, scatter=0.1)),
    ],
    ids=["trend and floor", "own scales", "scatter"],
)
def test_other_noise_is_not_taken_for_lack_of_fit(params):
    found = drawn(params, 60)
    assert np.mean([each.lack_of_fit_p < 0.05 for each in found]) < 0.135  # three standard errors above 5 %
    assert np.mean([each.misfits for each in found]) < 0.05  # of 1 % at most; 3 of 60 come once in 40 times


def test_scales_of_genes_are_no_trend():
    found = drawn(different(Noise(measurement=0.16), 0.8), 60)
    assert np.mean([each.slope_p < 0.05 for each in found]) < 0.135


def test_lack_of_fit_is_found_with_its_size():
    found = drawn(different(Noise(measurement=0.16, misfit=0.04)), 20)
    assert all(each.misfits for each in found)
    assert np.mean([each.grows for each in found]) < 0.11
    assert np.mean([each.lack_of_fit for each in found]) == pytest.approx(2.0, rel=0.05)  # (.04 + .16 / 4) / (.16 / 4)


def test_types_without_replicates_count_for_lack_of_fit():
    types = np.array([0, 0, 0, 1, 1, 1, 2, 3, 4, 4])
    params = different(Noise(measurement=0.16))
    found = drawn(params, 60, sample_type=types)
    assert np.mean([each.lack_of_fit for each in found]) == pytest.approx(1.0, abs=0.05)
    assert np.mean([each.lack_of_fit_p < 0.05 for each in found]) < 0.135
    seen = drawn(different(Noise(measurement=0.16, misfit=0.2)), 10, sample_type=types)
    assert all(each.misfits for each in seen)


def test_real_mixtures_have_a_trend_and_lack_of_fit(reference: Path):
    expression = pd.read_csv(reference / "partition" / "shen_orr_expression.csv", index_col=0)
    known = pd.read_csv(reference / "partition" / "shen_orr_proportions.csv", index_col=0).loc[expression.columns]
    proportions, sample_type = np.unique(known.to_numpy(), axis=0, return_inverse=True)
    found = diagnose(reduce_samples(expression.to_numpy(), sample_type, len(proportions)), proportions)
    assert not found.plain
    assert 1.0 < found.slope < 2.0
    assert found.lack_of_fit > 10.0
    assert "grows with expression (exponent 1.38" in found.words
    assert "43.32 times" in found.words
    for size in (1e-6, 1e6):
        other = diagnose(reduce_samples(size * expression.to_numpy(), sample_type, len(proportions)), proportions)
        assert_allclose([other.slope, other.lack_of_fit], [found.slope, found.lack_of_fit], rtol=1e-9)
    logs = diagnose(reduce_samples(np.log2(expression.to_numpy()), sample_type, len(proportions)), proportions)
    assert "falls with expression" in logs.words


def test_missing_samples_and_constant_genes_do_no_harm():
    rng = np.random.default_rng(2)
    values = draw_genes(PLAIN, PARTITIONS, TYPES, 400, rng).values
    holes = values.copy()
    holes[rng.random(values.shape) < 0.2] = np.nan
    holes[0], holes[1], holes[2] = np.nan, 3.0, 0.0
    found = diagnose(reduce_samples(holes, TYPES, 5), ROWS)
    assert found.plain
    assert found.genes == 399
    assert found.lack_of_fit == pytest.approx(1.0, abs=0.2)  # 700 squares, some dropped
    assert found.slope_error < 0.5


def test_where_nothing_can_be_judged_it_is_said():
    single = diagnose(reduce_samples(np.random.default_rng(0).standard_normal((50, 5)), np.arange(5), 5), ROWS)
    assert np.isnan([single.slope, single.lack_of_fit]).all()
    assert single.words.count("cannot be told") == 2
    assert single.plain
    negative = diagnose(reduce_samples(-np.ones((50, 10)), np.arange(5).repeat(2), 5), ROWS)
    assert negative.not_positive == 1.0
    assert np.isnan(negative.slope)
