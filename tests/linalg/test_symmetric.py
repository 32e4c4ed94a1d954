"""Kernels with float32 rounding pass; asymmetric, indefinite and missing entries are named."""

import numpy as np
import pytest

from varmix.errors import KernelError, NotFiniteError, ShapeError
from varmix.linalg import (
    BandReduction,
    SpectralReduction,
    TridiagonalReduction,
    check_symmetric,
    negative_eigenvalues,
    negative_in_reduction,
)
from varmix.linalg.indefinite import clip_negative_into


def _float32_kernel(rng, size=600, columns=200):
    X = rng.standard_normal((size, columns)).astype(np.float32)
    return (X @ X.T / np.float32(columns)).astype(np.float64)


def test_float32_kernels_pass(rng):
    K = _float32_kernel(rng)
    K[3, 5] *= 1.0 + 2e-7  # entries (i, j) and (j, i) rounded apart
    check_symmetric(K, "kin")
    assert np.linalg.eigvalsh(K)[0] < 0.0  # rank 200 of 600: rounding makes it indefinite
    assert negative_eigenvalues(np.linalg.eigvalsh(K), "kin") is None
    for reduce in (TridiagonalReduction, BandReduction, SpectralReduction):
        assert negative_in_reduction(reduce(K.copy()), "kin") is None


def test_the_worst_asymmetric_pair_is_named(rng):
    K = _float32_kernel(rng)
    K[590, 7] += 0.01
    K[2, 3] += 0.003
    with pytest.raises(KernelError, match=r"kin .*\((7, 590|590, 7)\)"):
        check_symmetric(K, "kin")


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_symmetry_is_relative_to_the_scale(rng, scale):
    K = scale * _float32_kernel(rng, 50)
    check_symmetric(K, "kin")
    K[1, 2] += 1e-4 * K.max()
    with pytest.raises(KernelError):
        check_symmetric(K, "kin")


@pytest.mark.parametrize("reduce", [TridiagonalReduction, BandReduction, SpectralReduction])
def test_grossly_indefinite_kernels_are_refused(rng, reduce):
    K = _float32_kernel(rng, 100) - 0.6 * np.eye(100)
    with pytest.raises(KernelError, match="negative eigenvalue"):
        negative_in_reduction(reduce(K), "kin")
    with pytest.raises(KernelError, match="negative eigenvalue"):
        negative_in_reduction(reduce(-np.eye(5)), "kin")
    rare = np.diag(np.append(np.full(50, -0.05), 1.0))  # each is small beside the largest, their sum is not
    with pytest.raises(KernelError, match="in sum"):
        negative_in_reduction(reduce(rare), "kin")


@pytest.mark.parametrize("reduce", [TridiagonalReduction, BandReduction, SpectralReduction])
def test_few_negative_eigenvalues_are_counted(rng, reduce):
    basis = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    eigenvalues = np.append(np.linspace(0.1, 4.0, 57), [-0.2, -0.05, -1e-9])
    K = (basis * eigenvalues) @ basis.T
    found = negative_in_reduction(reduce(np.asfortranarray(K)), "kin")
    assert found is not None
    assert found.count == 2  # -1e-9 is rounding
    np.testing.assert_allclose([found.lowest, found.share], [-0.2, -0.05], rtol=1e-12)
    clipped = np.asfortranarray(K)
    assert clip_negative_into(clipped, "kin") is not None
    # The nearest matrix without negative eigenvalues, to the rounding of an eigendecomposition.
    np.testing.assert_allclose(clipped, (basis * np.maximum(eigenvalues, 0.0)) @ basis.T, atol=1e-13)
    assert clip_negative_into(clipped, "kin") is None


def test_a_zero_or_empty_kernel_is_not_indefinite():
    for size in (0, 3):
        K = np.zeros((size, size))
        check_symmetric(K, "kin")
        assert negative_in_reduction(TridiagonalReduction(K), "kin") is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_entries_that_are_not_finite_are_located(rng, bad):
    K = _float32_kernel(rng)
    K[555, 41] = bad
    with pytest.raises(NotFiniteError, match=r"kin: entry \(555, 41\)"):
        check_symmetric(K, "kin")
    with pytest.raises(NotFiniteError, match="eigenvalue 1 "):
        negative_eigenvalues(np.array([0.0, bad, 1.0]), "kin")


def test_a_design_given_as_a_kernel_is_recognised(rng):
    with pytest.raises(ShapeError, match="designs"):
        check_symmetric(rng.standard_normal((5, 3)), "snps")
