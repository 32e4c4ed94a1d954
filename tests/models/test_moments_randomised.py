"""Randomised moments: the same equations as the dense ones, exact parts exact, the jackknife equal to brute force."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from varmix.errors import KernelError, NotFiniteError, NotIdentifiedError, OptionError, ShapeError
from varmix.genotype import standardise
from varmix.iteration import Threads
from varmix.linalg.traces import rademacher
from varmix.models.linear.moment_blocks import AnnotatedDesign
from varmix.models.linear.randomised_moments import randomised_moments
from varmix.typing import Array, Matrix, Square

ROUNDING = 1e-9
"""Relative: sums of about 1e5 products, differences of numbers a few hundred times the result."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    X: tuple[Matrix, Matrix]
    Z: Matrix
    y: Matrix


@pytest.fixture(scope="module")
def sample() -> Sample:
    rng = np.random.default_rng(1)
    n = 150
    X = tuple(rng.binomial(2, 0.3, size=(n, p)).astype(float) for p in (230, 170))
    Z = np.column_stack([np.ones(n), rng.standard_normal(n)])
    effects = [standardise(x).array() @ rng.standard_normal((x.shape[1], 2)) * 0.6 for x in X]
    return Sample(X=(X[0], X[1]), Z=Z, y=sum(effects) + rng.standard_normal((n, 2)))


def projector(Z: Matrix) -> Square:
    return np.eye(len(Z)) - Z @ np.linalg.solve(Z.T @ Z, Z.T)


def dense_equations(Z: Matrix, kernels: list[Square], y: Array) -> tuple[Square, Array]:
    M = projector(Z)
    inner = [M @ K @ M for K in [*kernels, np.eye(len(Z))]]
    S = np.array([[np.vdot(a, b) for b in inner] for a in inner])
    return S, np.array([y @ a @ y for a in inner])


def same_probes(sample: Sample, count: int, seed: int) -> Matrix:
    return projector(sample.Z) @ rademacher(np.random.default_rng(seed), len(sample.Z), count)


def from_probes(Z: Matrix, kernels: list[Square], V: Matrix, y: Array) -> Array:
    """The centred equations by dense algebra with given probes [MOM-4]."""
    M, freedom = projector(Z), Z.shape[0] - Z.shape[1]
    traces = np.array([np.trace(M @ K) for K in kernels])
    S = [M @ K @ V - t / freedom * V for K, t in zip(kernels, traces, strict=True)]
    D = np.array([[np.vdot(a, b) for b in S] for a in S]) / V.shape[1]
    r = M @ y
    d = np.array([r @ K @ r - t / freedom * (r @ r) for K, t in zip(kernels, traces, strict=True)])
    s = np.linalg.solve(D, d)
    return np.append(s, (r @ r - traces @ s) / freedom)


def test_one_pass_gives_the_dense_equations_with_the_same_probes(sample: Sample) -> None:
    designs = [standardise(X, block_size=37) for X in sample.X]
    dense = np.cov(np.random.default_rng(5).standard_normal((sample.Z.shape[0], 400)))
    fit = randomised_moments(
        sample.y, sample.Z, designs, kernels=[dense], probes=20, rng=np.random.default_rng(2), blocks=9
    )
    kernels = [design.array() @ design.array().T for design in designs] + [dense]
    V = same_probes(sample, 20, 2)
    for t in range(2):
        np.testing.assert_allclose(fit.estimates[t], from_probes(sample.Z, kernels, V, sample.y[:, t]), rtol=ROUNDING)
        S, q = dense_equations(sample.Z, kernels, sample.y[:, t])
        np.testing.assert_allclose(fit.quadratics[t], q, rtol=ROUNDING)
        np.testing.assert_allclose(fit.equations[-1], S[-1], rtol=ROUNDING)
    np.testing.assert_allclose(fit.traces, S[-1, :-1], rtol=ROUNDING)


def test_the_estimate_is_unbiased_over_probes(sample: Sample) -> None:
    designs = [standardise(X) for X in sample.X]
    exact, _ = dense_equations(sample.Z, [d.array() @ d.array().T for d in designs], sample.y[:, 0])
    draws = np.array(
        [
            randomised_moments(
                sample.y[:, 0], sample.Z, designs, probes=10, rng=np.random.default_rng(s), jackknife=False, blocks=4
            ).equations
            for s in range(60)
        ]
    )
    error = draws.std(axis=0, ddof=1) / np.sqrt(60)
    # Four standard errors of the mean over 60 draws, on three distinct entries: p = 2e-4; the rest is exact.
    assert (np.abs(draws.mean(axis=0) - exact) <= 4.0 * error + ROUNDING * exact).all()


@pytest.mark.parametrize("annotated", [False, True])
def test_the_jackknife_equals_leaving_each_block_out_by_brute_force(sample: Sample, annotated: bool) -> None:
    design = standardise(sample.X[0], block_size=17)
    rng = np.random.default_rng(8)
    weights = np.ones((design.p, 1))
    if annotated:
        weights = np.column_stack([np.ones(design.p), rng.uniform(size=design.p)])
    other = standardise(sample.X[1])
    fit = randomised_moments(
        sample.y,
        sample.Z,
        [AnnotatedDesign(design=design, weights=weights), other],
        probes=15,
        rng=np.random.default_rng(3),
        blocks=7,
    )
    assert fit.jackknife is not None
    V = same_probes(sample, 15, 3)
    pairs = [(design.array(), column) for column in weights.T] + [(other.array(), np.ones(other.p))]
    expected = []
    for number, (p, X) in enumerate([(design.p, pairs[0][0]), (other.p, pairs[-1][0])]):
        count = round(7 * p / (design.p + other.p))
        edges = np.linspace(0, p, count + 1).round().astype(int)
        for start, stop in itertools.pairwise(edges):
            kernels = []
            for columns, weight in pairs:
                keep = weight.copy()
                if columns is X:
                    keep[start:stop] = 0.0
                kernels.append(columns * keep @ columns.T * weight.sum() / keep.sum())
            expected.append([from_probes(sample.Z, kernels, V, y) for y in sample.y.T])
        assert number < 2
    np.testing.assert_allclose(fit.jackknife.estimates, expected, rtol=1e-7, atol=1e-9)
    centred = np.array(expected)[:, 0] - np.mean(expected, axis=0)[0]
    count = len(expected)
    np.testing.assert_allclose(fit.jackknife.covariance[0], (count - 1) / count * centred.T @ centred, rtol=1e-6)


def test_overlapping_weights_give_weighted_kernels(sample: Sample) -> None:
    design = standardise(sample.X[0])
    weights = np.random.default_rng(4).uniform(size=(design.p, 2))
    fit = randomised_moments(
        sample.y[:, 0],
        sample.Z,
        [AnnotatedDesign(design=design, weights=weights)],
        probes=12,
        rng=np.random.default_rng(6),
    )
    kernels = [design.array() * column @ design.array().T for column in weights.T]
    expected = from_probes(sample.Z, kernels, same_probes(sample, 12, 6), sample.y[:, 0])
    np.testing.assert_allclose(fit.estimates[0], expected, rtol=1e-8)


def test_the_covariance_is_the_sandwich_with_the_response_in_place_of_one_covariance(sample: Sample) -> None:
    design = standardise(sample.X[0])
    fit = randomised_moments(sample.y[:, 0], sample.Z, [design], probes=12, rng=np.random.default_rng(7), blocks=3)
    M, K, r = projector(sample.Z), design.array() @ design.array().T, projector(sample.Z) @ sample.y[:, 0]
    images = np.column_stack([M @ K @ r, r])
    V = fit.estimates[0, 0] * K + fit.estimates[0, 1] * np.eye(len(r))
    inverse = np.linalg.inv(fit.equations)
    expected = inverse @ (2.0 * images.T @ V @ images) @ inverse
    np.testing.assert_allclose(fit.covariance[0], expected, rtol=1e-8)


def test_threads_do_not_change_the_numbers(sample: Sample) -> None:
    designs = [standardise(X, block_size=16) for X in sample.X]
    fits = [
        randomised_moments(
            sample.y, sample.Z, designs, probes=8, rng=np.random.default_rng(9), blocks=12, runner=runner
        )
        for runner in (Threads(1), Threads(3))
    ]
    np.testing.assert_array_equal(fits[0].estimates, fits[1].estimates)
    assert fits[0].jackknife is not None
    assert fits[1].jackknife is not None
    np.testing.assert_array_equal(fits[0].jackknife.estimates, fits[1].jackknife.estimates)


def test_the_spread_over_probes_predicts_the_spread_over_seeds(sample: Sample) -> None:
    design = standardise(sample.X[0])
    fits = [
        randomised_moments(
            sample.y[:, 0], sample.Z, [design], probes=20, rng=np.random.default_rng(s), jackknife=False, blocks=2
        )
        for s in range(80)
    ]
    seen = np.array([fit.estimates[0] for fit in fits]).var(axis=0, ddof=1)
    told = np.mean([fit.monte_carlo[0].diagonal() for fit in fits], axis=0)
    # A variance over 80 draws has a relative error of sqrt(2/79) = 16 %: three of them.
    np.testing.assert_allclose(told, seen, rtol=0.5)


def test_auto_draws_probes_until_their_share_is_small() -> None:
    rng = np.random.default_rng(11)
    families = np.repeat(rng.binomial(2, 0.4, size=(30, 300)).astype(float), 4, axis=0)
    flip = rng.uniform(size=families.shape) < 0.05
    X = np.where(flip, rng.binomial(2, 0.4, size=families.shape), families)
    design = standardise(X)
    y = design.array() @ rng.standard_normal(300) + 0.3 * rng.standard_normal(len(X))
    few = randomised_moments(y, np.ones((len(y), 1)), [design], probes=4, rng=rng, jackknife=False, blocks=2)
    fit = randomised_moments(y, np.ones((len(y), 1)), [design], rng=rng, jackknife=False, blocks=2)
    assert few.share.max() > 0.05
    assert fit.probes > 50  # more than the first pass has
    assert fit.share.max() <= 0.05
    assert fit.enough_probes


def test_auto_probes_enter_the_jackknife_as_if_drawn_at_once(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    from varmix.models.linear import randomised_moments as module

    monkeypatch.setattr(module, "FIRST_PROBES", 3)
    monkeypatch.setattr(module, "MOST_PROBES", 11)
    monkeypatch.setattr(module, "SHARE", 1e-3)
    design = standardise(sample.X[0])
    y = design.array() @ np.random.default_rng(1).standard_normal(design.p)
    fit = module.randomised_moments(y, sample.Z, [design], rng=np.random.default_rng(12), blocks=4)
    assert fit.probes == 11
    assert fit.jackknife is not None
    stream = np.random.default_rng(12)
    # MOST_PROBES ends the draws after one further pass.
    draws = [rademacher(stream, len(sample.Z), count) for count in (3, fit.probes - 3)]
    V = projector(sample.Z) @ np.concatenate(draws, axis=1)
    kernel = design.array() @ design.array().T
    np.testing.assert_allclose(fit.estimates[0], from_probes(sample.Z, [kernel], V, y), rtol=1e-8)
    part = design.array().copy()
    part[:, : round(design.p / 4)] = 0.0
    kernel = part @ part.T * design.p / (design.p - round(design.p / 4))
    expected = from_probes(sample.Z, [kernel], V, y)
    np.testing.assert_allclose(fit.jackknife.estimates[0, 0], expected, rtol=1e-7)


def test_the_diagnostic_is_the_variance_of_the_eigenvalues(sample: Sample) -> None:
    design = standardise(sample.X[0])
    fit = randomised_moments(
        sample.y[:, 0], sample.Z, [design], probes=3000, rng=np.random.default_rng(0), jackknife=False, blocks=2
    )
    M, K = projector(sample.Z), design.array() @ design.array().T
    eigenvalues = np.linalg.eigvalsh(M @ K @ M)[2:]
    # 3000 probes: relative error of a trace of this spectrum about 1 / sqrt(3000 x 148) x 2.
    np.testing.assert_allclose(fit.fragility[0], eigenvalues.var(), rtol=0.02)  # [MOM-7]


def test_kernels_alone_give_estimates_and_no_jackknife(sample: Sample) -> None:
    kernel = standardise(sample.X[0]).array() @ standardise(sample.X[0]).array().T
    fit = randomised_moments(sample.y[:, 0], sample.Z, [], kernels=[kernel], probes=9, rng=np.random.default_rng(1))
    expected = from_probes(sample.Z, [kernel], same_probes(sample, 9, 1), sample.y[:, 0])
    np.testing.assert_allclose(fit.estimates[0], expected, rtol=1e-8)
    assert fit.jackknife is None


def test_bad_input_is_refused_by_name(sample: Sample) -> None:
    design, rng = standardise(sample.X[0]), np.random.default_rng(0)
    y = sample.y[:, 0].copy()
    with pytest.raises(ShapeError, match="Align"):
        randomised_moments(y[:50], sample.Z[:50], [design], rng=rng)
    with pytest.raises(OptionError, match="probes"):
        randomised_moments(y, sample.Z, [design], rng=rng, probes=1)
    with pytest.raises(OptionError, match="no design"):
        randomised_moments(y, sample.Z, [], rng=rng)
    with pytest.raises(OptionError, match="blocks"):
        randomised_moments(y, sample.Z, [design], rng=rng, blocks=1)
    with pytest.raises(ShapeError, match="weights"):
        AnnotatedDesign(design=design, weights=np.ones((3, 1)))
    with pytest.raises(NotIdentifiedError, match="proportional"):
        randomised_moments(y, sample.Z, [design], kernels=[np.eye(len(y))], rng=rng, probes=5)
    with pytest.raises(KernelError, match="kernel 0"):
        randomised_moments(y, sample.Z, [], kernels=[np.triu(np.ones((len(y), len(y))))], rng=rng)
    y[3] = np.nan
    with pytest.raises(NotFiniteError, match="row 3"):
        randomised_moments(y, sample.Z, [design], rng=rng)


def test_the_diagnostic_has_no_units(sample: Sample) -> None:
    raw = [standardise(X, scaling="none") for X in sample.X]
    dense = np.cov(np.random.default_rng(5).standard_normal((len(sample.y), 400)))
    M, freedom = projector(sample.Z), sample.Z.shape[0] - sample.Z.shape[1]
    basis = np.linalg.svd(M)[0][:, :freedom]
    kernels = [design.array() @ design.array().T for design in raw] + [dense]
    spectra = [np.linalg.eigvalsh(basis.T @ K @ basis) for K in kernels]
    fit = randomised_moments(
        sample.y[:, 0], sample.Z, raw, kernels=[dense], probes=400, rng=np.random.default_rng(3), jackknife=False
    )
    exact = [float(spectrum.var() / spectrum.mean() ** 2) for spectrum in spectra]
    # Four hundred probes leave about 1 % on a squared norm.
    np.testing.assert_allclose(fit.fragility, exact, rtol=0.05)
    hundredfold = [100.0 * dense]
    larger = randomised_moments(
        sample.y[:, 0], sample.Z, raw, kernels=hundredfold, probes=400, rng=np.random.default_rng(3), jackknife=False
    )
    np.testing.assert_allclose(larger.fragility, fit.fragility, rtol=ROUNDING)
