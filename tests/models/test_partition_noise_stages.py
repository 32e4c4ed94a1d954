"""Climbs that begin on a part of the genes or with proportions alone: the optimum is that of all, and said honestly."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from varmix.errors import OptionError
from varmix.iteration import Status
from varmix.models.partition import noise_part
from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.partition.noise_coordinates import Coordinates
from varmix.models.partition.noise_curvature import NoisePosterior
from varmix.models.partition.noise_fit import NoiseFit, fit_noise
from varmix.models.partition.noise_newton import polish
from varmix.models.partition.noise_part import drawn_part
from varmix.models.partition.noise_starts import free_names, noise_start, vertex_start
from varmix.models.partition.noise_terms import SETS
from varmix.models.partition.partitions import all_partitions

PARTITIONS = all_partitions(["liver", "brain", "lung"])
SAMPLE = np.repeat(np.arange(7), 3)
PROPORTIONS = np.vstack([np.eye(3), np.random.default_rng(4).dirichlet(np.ones(3), 4)])
PRIOR = np.full(PROPORTIONS.shape, 1.05)
FREE = free_names(SETS["full"], moderated=False)


def values(genes: int = 400) -> np.ndarray:
    """Replicate noise 2 + .05 x, lack of fit 6 % of the mean."""
    rng = np.random.default_rng(9)
    labels = np.array(PARTITIONS.labels)[rng.integers(0, 5, genes)]
    blocks = np.abs(60.0 + 40.0 * rng.standard_normal((genes, 3)))
    means = np.take_along_axis(blocks, labels, axis=1) @ PROPORTIONS.T
    means *= 1.0 + 0.06 * rng.standard_normal(means.shape)
    return means[:, SAMPLE] + (2.0 + 0.05 * means[:, SAMPLE]) * rng.standard_normal((genes, len(SAMPLE)))


@pytest.fixture(scope="module")
def pieces() -> tuple[Genes, ...]:
    """Two patterns of missing samples, one of them in few genes."""
    seen = values()
    seen[7:60, 3] = np.nan
    seen[60:63, 9:12] = np.nan
    return reduce_samples(seen, SAMPLE, 7)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_part, "LARGE", 200)
    monkeypatch.setattr(noise_part, "PART", 120)


def test_a_part_has_genes_of_every_piece_none_twice(pieces, small_parts):
    part = drawn_part(pieces, np.random.default_rng(0))
    assert part is not None
    assert [len(piece.types) for piece in part.pieces] == [len(piece.types) for piece in pieces]
    assert min(len(piece) for piece in part.pieces) >= 1
    positions = np.concatenate([piece.positions for piece in part.pieces])
    assert len(set(positions.tolist())) == len(positions) == pytest.approx(120, abs=2)
    assert part.share == len(positions) / 400.0
    whole = {int(k): row for piece in pieces for k, row in zip(piece.positions, piece.means, strict=True)}
    for piece in part.pieces:
        for k, row in zip(piece.positions.tolist(), piece.means, strict=True):
            assert (row == whole[k]).all()


def test_few_genes_are_climbed_whole(pieces):
    assert drawn_part(pieces, np.random.default_rng(0)) is None


@pytest.mark.parametrize("free", [FREE, FREE | {"proportions"}], ids=["known", "free"])
def test_a_climb_begun_on_a_part_ends_at_the_optimum_of_all_genes(pieces, small_parts, free):
    start = noise_start(pieces, PARTITIONS, 0.9 * PROPORTIONS + 0.1 / 3.0 if "proportions" in free else PROPORTIONS)
    whole = fit_noise(pieces, PARTITIONS, start, free=free, concentration=PRIOR)
    begun = fit_noise(pieces, PARTITIONS, start, free=free, concentration=PRIOR, rng=np.random.default_rng(1))
    assert begun.status is whole.status
    assert begun.converged
    assert begun.objective == pytest.approx(whole.objective, abs=1e-7)  # both certified; sums of 3e4 round to 1e-11
    # certified to a millionth of a standard error, which is below .1 of shares and proportions
    assert_allclose(begun.params.shares, whole.params.shares, atol=1e-6)
    assert_allclose(begun.params.proportions, whole.params.proportions, atol=1e-6)
    assert_allclose(begun.share_errors, whole.share_errors, rtol=1e-3)  # of all genes, not of the part
    assert begun.progress.last.objective == begun.objective


def test_an_information_of_other_genes_certifies_nothing(pieces):
    """However large the information from nearby is, so that what is left looks small, the end has its own."""
    start = noise_start(pieces, PARTITIONS, PROPORTIONS)
    fit = fit_noise(pieces, PARTITIONS, start, free=FREE)
    point = Coordinates.of(start, FREE).point(start, pieces)
    away = point.placed(fit.outcome.params.vector() * np.where(np.arange(len(point.vector())) == 1, 1.3, 1.0))
    posterior = NoisePosterior(partitions=PARTITIONS)
    _, curvature = polish(posterior, fit.outcome.params, pieces, max_iterations=1)
    found, _ = polish(posterior, away, pieces, max_iterations=50, nearby=curvature.times(1e16))
    assert found.status.arrived
    assert found.objective == pytest.approx(fit.objective, abs=1e-7)  # both certified
    assert found.certificate.newton_decrement <= 1e-6


def staged(pieces: tuple[Genes, ...], seed: int, **options: int) -> NoiseFit:
    vertices = vertex_start(pieces, 3, 7, np.random.default_rng(seed))
    start = noise_start(pieces, PARTITIONS, vertices)
    return fit_noise(
        pieces, PARTITIONS, start, free=FREE | {"proportions"}, concentration=PRIOR, staged=True, **options
    )


def test_proportions_are_found_in_stages_and_the_best_of_several_starts_is_kept(pieces):
    starts = [
        noise_start(pieces, PARTITIONS, vertex_start(pieces, 3, 7, np.random.default_rng(seed))) for seed in range(2)
    ]

    def fit(start):
        return fit_noise(pieces, PARTITIONS, start, free=FREE | {"proportions"}, concentration=PRIOR, staged=True)

    best = max((fit(start) for start in starts), key=lambda found: found.objective)
    assert best.converged
    assert {step.scheme for step in best.outcome.progress.steps} == {"lbfgs", "newton"}
    gaps = np.abs(best.params.proportions[:, :, None] - PROPORTIONS[:, None, :]).mean(axis=0)
    assert gaps.min(axis=0).max() < 0.05  # columns up to their order; three vertices are among the sample types
    assert np.isfinite(best.proportion_errors).all()


def test_what_the_first_stage_does_not_know_to_move_stays_where_it_is_known(pieces):
    known = np.full_like(PROPORTIONS, np.nan)
    known[:3] = np.eye(3)
    known[4, 0] = PROPORTIONS[4, 0]
    start = noise_start(pieces, PARTITIONS, np.full_like(PROPORTIONS, 1.0 / 3.0))
    fit = fit_noise(pieces, PARTITIONS, start, free=FREE | {"proportions"}, known=known, staged=True)
    assert fit.converged
    there = ~np.isnan(known)
    assert (fit.params.proportions[there] == known[there]).all()
    assert_allclose(fit.params.proportions.sum(axis=1), 1.0, rtol=1e-12)
    assert_allclose(fit.params.proportions, PROPORTIONS, atol=0.05)  # standard errors are near .01


def test_a_climb_that_no_step_raises_any_more_is_stalled_and_not_converged(pieces, monkeypatch):
    """As where rounding hides what is left: every step is refused although the certificate is not met."""
    fit = staged(pieces, 0, max_iterations=12)
    point = fit.outcome.params
    posterior = NoisePosterior(partitions=PARTITIONS, excess=PRIOR - 1.0)
    reached, true = fit.objective, NoisePosterior.objective

    def jagged(self: NoisePosterior, at, stats) -> float:
        value = true(self, at, stats)
        return value if (at.vector() == point.vector()).all() else min(value, reached - 1.0)

    monkeypatch.setattr(NoisePosterior, "objective", jagged)
    found, _ = polish(posterior, point, pieces, max_iterations=50)
    assert found.certificate.newton_decrement > 1e-3
    assert found.status is Status.STALLED
    assert not NoiseFit(outcome=found, covariance=fit.covariance).converged


def test_the_product_over_samples_climbs_too(pieces):
    terms = frozenset({"measurement", "trend"})
    free = free_names(terms, moderated=False)
    start = noise_start(pieces, PARTITIONS, PROPORTIONS, terms=terms)
    fit = fit_noise(pieces, PARTITIONS, start, free=free, likelihood="composite")
    assert fit.converged
    joint = fit_noise(pieces, PARTITIONS, start, free=free)
    assert fit.objective != pytest.approx(joint.objective, abs=1.0)
    with pytest.raises(OptionError, match="likelihood='marginal' is not known"):
        fit_noise(pieces, PARTITIONS, start, free=free, likelihood="marginal")
