"""Random signs give unbiased traces."""

import numpy as np

from varmix.linalg import rademacher


def test_probes_are_signs_with_mean_zero(rng):
    probes = rademacher(rng, 400, 50)
    assert probes.shape == (400, 50)
    assert set(np.unique(probes)) == {-1.0, 1.0}
    assert abs(probes.mean()) < 4 / np.sqrt(probes.size)  # four standard errors


def test_a_diagonal_matrix_has_no_probe_error(rng):
    values = rng.uniform(1, 2, 30)
    probes = rademacher(rng, 30, 4)
    np.testing.assert_allclose(np.einsum("ij,ij->j", probes, values[:, None] * probes), values.sum(), rtol=1e-14)


def test_the_trace_of_a_product_is_unbiased(rng):
    A, B = (X @ X.T for X in rng.standard_normal((2, 40, 40)))
    probes = rademacher(rng, 40, 3000)
    samples = np.einsum("ij,ij->j", A @ probes, B @ probes)
    error = samples.std(ddof=1) / np.sqrt(samples.size)
    assert abs(samples.mean() - np.trace(A @ B)) < 4 * error  # four standard errors
