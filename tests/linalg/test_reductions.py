"""Every reduction gives the same answers as the dense matrix, whatever its size, rank, scale and layout."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varmix.errors import NotFiniteError, OptionError, ShapeError
from varmix.linalg import (
    BandReduction,
    Reduction,
    Shifted,
    SpectralReduction,
    TridiagonalReduction,
    reduce_in_place,
)
from varmix.linalg.reduce import BAND_FROM

REDUCTIONS = {
    "tridiagonal": TridiagonalReduction,
    "spectral": SpectralReduction,
    "band": BandReduction,
    "narrow band": partial(BandReduction, half_width=3),
    "band of one": partial(BandReduction, half_width=1),
}
CLOSE = 2e-13
"""Relative to the norm: a few hundred roundings of orthogonal transformations of matrices of order up to 150."""

every_reduction = pytest.mark.parametrize("reduce", REDUCTIONS.values(), ids=REDUCTIONS.keys())


def _covariance(rng, size, rank=None, scale=1.0):
    X = rng.standard_normal((size, size if rank is None else rank))
    return scale * (X @ X.T) / max(size, 1)


def _check_against_dense(reduction, K, B, a, b):
    norm = max(float(np.abs(K).sum(axis=1).max(initial=0.0)), np.finfo(float).tiny)
    assert isinstance(reduction, Reduction)
    assert reduction.size == K.shape[0]
    np.testing.assert_allclose(reduction.eigenvalues, np.linalg.eigvalsh(K) if K.size else [], atol=CLOSE * norm)
    assert reduction.largest_diagonal <= norm * (1 + CLOSE)
    rotated = reduction.rotate(B)
    np.testing.assert_allclose(reduction.rotate_back(rotated), B, atol=1e-12)
    np.testing.assert_allclose(reduction.rotate_back(reduction.multiply(rotated)), K @ B, atol=10 * CLOSE * norm)
    _check_shift(reduction.shifted(a, b), reduction, K, B, a, b)


def _check_shift(shifted, reduction, K, B, a, b):
    assert isinstance(shifted, Shifted)
    M = a * K + b * np.eye(K.shape[0])
    values = np.linalg.eigvalsh(M) if K.size else np.ones(0)
    precision = 1e-13 * (values.max() / values.min() if values.size else 1.0) + 1e-12  # condition times rounding
    np.testing.assert_allclose(
        shifted.log_determinant, np.log(values).sum(), rtol=precision, atol=K.shape[0] * precision
    )
    np.testing.assert_allclose(shifted.trace_inverse, (1 / values).sum(), rtol=precision)
    np.testing.assert_allclose(shifted.trace_inverse_squared, (1 / values**2).sum(), rtol=2 * precision)
    solved = reduction.rotate_back(shifted.solve(reduction.rotate(B)))
    if values.size:
        np.testing.assert_allclose(M @ solved, B, atol=precision * np.abs(B).max() * K.shape[0])


@every_reduction
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 48, 49, 50, 97, 150])
def test_every_verb_agrees_with_the_dense_matrix(rng, reduce, size):
    K, B = _covariance(rng, size), rng.standard_normal((size, 3))
    _check_against_dense(reduce(K.copy()), K, B, 1.3, 0.4)


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 40),
    rank=st.integers(0, 40),
    half_width=st.integers(1, 45),
    log_shift=st.floats(-4, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_band_agrees_with_the_dense_matrix_for_any_size_rank_and_width(size, rank, half_width, log_shift, seed):
    rng = np.random.default_rng(seed)
    K, B = _covariance(rng, size, min(rank, size)), rng.standard_normal((size, 2))
    reduction = BandReduction(K.copy(), half_width)
    _check_shift(reduction.shifted(0.7, 10.0**log_shift), reduction, K, B, 0.7, 10.0**log_shift)
    _check_against_dense(reduction, K, B, 0.7, 10.0**log_shift)


@pytest.mark.parametrize("half_width", [1, 5, 16, 48, 200])
def test_band_traces_without_eigenvalues_equal_those_with(rng, half_width):
    reduction = BandReduction(_covariance(rng, 203), half_width)
    shifts = [(1.0, 0.5), (0.3, 2.0), (4.0, 1e-3), (0.0, 1.7)]
    before = [reduction.shifted(a, b) for a, b in shifts]
    recursion = [(s.log_determinant, s.trace_inverse, s.trace_inverse_squared) for s in before]
    assert reduction.eigenvalues.size == 203
    after = [reduction.shifted(a, b) for a, b in shifts]
    sums = [(s.log_determinant, s.trace_inverse, s.trace_inverse_squared) for s in after]
    # the condition number reaches 1.6e4 at the third shift
    np.testing.assert_allclose(recursion, sums, rtol=1e-10)


@every_reduction
@pytest.mark.parametrize("order", ["C", "F"])
def test_views_with_a_leading_dimension_are_reduced_where_they_lie(rng, reduce, order):
    K, B = _covariance(rng, 90), rng.standard_normal((90, 2))
    buffer = np.full((100, 97), 7.25, order=order)
    buffer[4:94, 5:95] = K
    reduction = reduce(buffer[4:94, 5:95])
    _check_against_dense(reduction, K, B, 1.0, 0.2)
    buffer[4:94, 5:95] = 7.25
    assert (buffer == 7.25).all(), "entries outside the view were written"


@every_reduction
def test_vectors_come_back_as_vectors(rng, reduce):
    K, y = _covariance(rng, 60), rng.standard_normal(60)
    reduction = reduce(K.copy())
    shifted = reduction.shifted(1.0, 1.0)
    solved = reduction.rotate_back(shifted.solve(reduction.rotate(y)))
    assert solved.shape == reduction.multiply(y).shape == (60,)
    np.testing.assert_allclose(K @ solved + solved, y, atol=1e-12)


@every_reduction
@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e100, 1e150, 1e300])
def test_extreme_scales_neither_overflow_nor_vanish(rng, reduce, scale):
    K = _covariance(rng, 70)
    unit, scaled = reduce(K.copy()), reduce(scale * K)
    np.testing.assert_allclose(scaled.eigenvalues / scale, unit.eigenvalues, atol=CLOSE * np.trace(K))
    fresh = reduce(scale * K)  # without eigenvalues the band takes its own path
    for reduction in (scaled, fresh):
        shifted, plain = reduction.shifted(1.0, 0.5 * scale), unit.shifted(1.0, 0.5)
        np.testing.assert_allclose(shifted.trace_inverse * scale, plain.trace_inverse, rtol=1e-11)
        expected = plain.log_determinant + 70 * np.log(scale)
        np.testing.assert_allclose(shifted.log_determinant, expected, rtol=1e-11)


@every_reduction
def test_zero_rank_deficient_and_clustered_matrices(rng, reduce):
    B = rng.standard_normal((80, 2))
    orthogonal = np.linalg.qr(rng.standard_normal((80, 80)))[0]
    clustered = (orthogonal * np.repeat([1.0, 1.0 + 1e-13, 5.0, 0.0], 20)) @ orthogonal.T
    for K in (np.zeros((80, 80)), np.eye(80), np.ones((80, 80)), clustered, _covariance(rng, 80, 3)):
        K = (K + K.T) / 2
        _check_against_dense(reduce(K.copy()), K, B, 1.0, 0.3)


@every_reduction
def test_only_positive_definite_shifts_are_given(rng, reduce):
    K = _covariance(rng, 75, 150)
    definite, deficient, zero = reduce(K.copy()), reduce(_covariance(rng, 75, 40)), reduce(np.zeros((75, 75)))
    smallest, largest = np.linalg.eigvalsh(K)[[0, -1]]
    for _ in range(2):  # before and after the eigenvalues are there
        assert definite.shifted(1.0, 0.0) is not None
        assert definite.shifted(1.0, -0.999 * smallest) is not None
        assert definite.shifted(1.0, -1.001 * smallest) is None
        assert definite.shifted(-1.0, 1.001 * largest) is not None
        assert definite.shifted(-1.0, 0.999 * largest) is None
        assert deficient.shifted(1.0, 0.0) is None
        assert deficient.shifted(1.0, 1e-9) is not None
        assert zero.shifted(1.0, 0.0) is None
        assert zero.shifted(0.0, 1.0) is not None
        assert definite.shifted(0.0, 0.0) is None
        for reduction in (definite, deficient, zero):
            assert reduction.eigenvalues.size == 75


def test_graded_spectrum_keeps_small_shifts_accurate(rng):
    orthogonal = np.linalg.qr(rng.standard_normal((120, 120)))[0]
    values = np.geomspace(1e-6, 1e3, 120)
    K = (orthogonal * values) @ orthogonal.T
    K = (K + K.T) / 2
    for reduction in (TridiagonalReduction(K.copy()), BandReduction(K.copy(), 16)):
        shifted = reduction.shifted(1.0, 1e-5)
        # eigenvalues are known to about 1e-13 times the largest, 1e3: 1e-10 beside shifts of 1e-5
        np.testing.assert_allclose(shifted.trace_inverse, (1 / (values + 1e-5)).sum(), rtol=1e-4)


def _peak(action):
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        kept = action()
        return tracemalloc.get_traced_memory()[1] - start, kept
    finally:
        tracemalloc.stop()


def test_tridiagonal_reduction_allocates_far_less_than_a_matrix(rng):
    K = _covariance(rng, 500)
    peak, _ = _peak(lambda: TridiagonalReduction(K))
    assert peak < 0.3 * K.nbytes  # LAPACK's workspace of 32 columns


def test_band_reduction_allocates_a_small_multiple_of_the_band(rng):
    K = _covariance(rng, 700)
    peak, _ = _peak(lambda: BandReduction(K, 16))
    assert peak < 8 * 700 * 16 * 8  # panel, two products, coefficients, band and its scaled copy


def test_reduction_chooses_the_form_by_size_and_wish(rng):
    assert isinstance(reduce_in_place(_covariance(rng, 20)), TridiagonalReduction)
    assert isinstance(reduce_in_place(_covariance(rng, 20), vectors=True), SpectralReduction)
    assert isinstance(reduce_in_place(np.eye(BAND_FROM)), BandReduction)


@every_reduction
def test_unusable_matrices_are_refused_with_a_reason(rng, reduce):
    with pytest.raises(ShapeError, match="square"):
        reduce(np.zeros((4, 5)))
    with pytest.raises(ShapeError, match="float64"):
        reduce(np.zeros((4, 4), dtype=np.float32))
    read_only = np.eye(4)
    read_only.flags.writeable = False
    with pytest.raises(ShapeError, match="read-only"):
        reduce(read_only)
    broken = np.eye(5)
    broken[3, 1] = np.nan
    with pytest.raises(NotFiniteError, match=r"\((3, 1|1, 3)\)"):
        reduce(broken)
    with pytest.raises(ShapeError, match="order 6"):
        reduce(np.eye(6)).rotate(rng.standard_normal((5, 2)))


def test_a_band_needs_a_width():
    with pytest.raises(OptionError, match="half_width"):
        BandReduction(np.eye(4), 0)
