"""The covariate basis is orthogonal, exact and scale-free; rank decisions keep the earlier column."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varmix.errors import NotFiniteError, NotIdentifiedError, ShapeError
from varmix.linalg import CovariateBasis, TridiagonalReduction, pivoted_columns
from varmix.linalg.householder import spans_constant


def _dense(basis, rows):
    H = np.eye(rows)
    basis.rotate_back_into(H)
    return H


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(0, 40), seed=st.integers(0, 2**32 - 1))
def test_basis_is_orthogonal_and_reduces_the_covariates(rows, columns, seed):
    rng = np.random.default_rng(seed)
    columns = min(columns, rows)
    Z = rng.standard_normal((rows, columns)) + 3.0 * np.eye(rows, columns)
    basis, H = CovariateBasis(Z), _dense(CovariateBasis(Z), rows)
    np.testing.assert_allclose(H.T @ H, np.eye(rows), atol=1e-13)
    expected = np.vstack([basis.R, np.zeros((rows - columns, columns))])
    np.testing.assert_allclose(H.T @ Z, expected, atol=1e-12)
    singular = np.linalg.svd(Z, compute_uv=False)
    precision = 1e-13 * (singular[0] / singular[-1] if columns else 1.0) + 1e-12  # condition times rounding
    np.testing.assert_allclose(basis.log_determinant, 2.0 * np.log(singular).sum(), atol=columns * precision)


@pytest.mark.parametrize("columns", [0, 1, 5, 60])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rotations_act_in_place_on_both_layouts(rng, columns, order):
    Z, rows = rng.standard_normal((60, columns)), 60
    basis, H = CovariateBasis(Z), _dense(CovariateBasis(Z), rows)
    buffer = np.array(rng.standard_normal((70, 9)), order=order)
    view = buffer[5:65, 2:6]
    B, frame = view.copy(), buffer.copy()
    basis.rotate_into(view)
    np.testing.assert_allclose(view, H.T @ B, atol=1e-13)
    basis.rotate_back_into(view)
    np.testing.assert_allclose(view, B, atol=1e-13)
    frame[5:65, 2:6] = view
    assert np.array_equal(frame, buffer)


@pytest.mark.parametrize("rows", [60, 300])
@pytest.mark.parametrize("columns", [0, 1, 7, 60])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rotated_kernel_is_exactly_symmetric(rng, rows, columns, order):
    Z = rng.standard_normal((rows, columns))
    basis, H = CovariateBasis(Z), _dense(CovariateBasis(Z), rows)
    X = rng.standard_normal((rows, rows))
    K = np.array(X @ X.T / rows, order=order)
    expected = H.T @ K @ H
    basis.rotate_symmetric_into(K)
    assert np.array_equal(K, K.T)
    np.testing.assert_allclose(K, expected, atol=1e-13)


def test_the_rows_after_the_covariates_are_the_contrasts_of_reml(rng):
    Z, X = rng.standard_normal((50, 4)), rng.standard_normal((50, 50))
    K = X @ X.T
    M = np.eye(50) - Z @ np.linalg.pinv(Z)
    expected = np.linalg.eigvalsh(M @ K @ M)[4:]
    CovariateBasis(Z).rotate_symmetric_into(K)
    # the trailing corner goes to the reduction as a view; 200 is the norm of K
    np.testing.assert_allclose(TridiagonalReduction(K[4:, 4:]).eigenvalues, expected, atol=1e-13 * 200)


def test_kernel_rotation_needs_no_second_kernel(rng):
    Z, K = rng.standard_normal((800, 5)), np.eye(800)
    basis = CovariateBasis(Z)
    tracemalloc.start()
    basis.rotate_symmetric_into(K)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.35 * K.nbytes  # blocks of 256 rows while one triangle is copied


@pytest.mark.parametrize("scale", [1e-150, 1e-5, 1e5, 1e150])
def test_scales_of_columns_change_no_decision_and_scale_the_determinant(rng, scale):
    Z = np.column_stack([np.ones(40), rng.standard_normal((40, 3))])
    factors = np.array([1.0, scale, 1.0, 1 / scale])
    plain, scaled = CovariateBasis(Z), CovariateBasis(Z * factors)
    np.testing.assert_allclose(scaled.log_determinant, plain.log_determinant, atol=1e-10)
    np.testing.assert_allclose(scaled.R, plain.R * factors, rtol=1e-12)
    dependent = np.column_stack([Z, Z @ [1.0, 2.0, 0.0, 1.0]])
    kept, dropped = pivoted_columns(dependent * np.append(factors, scale))
    assert (kept.tolist(), dropped.tolist()) == ([0, 1, 2, 3], [4])


def test_dependent_columns_are_refused_by_the_basis(rng):
    Z = rng.standard_normal((30, 3))
    with pytest.raises(NotIdentifiedError, match="column 3 "):
        CovariateBasis(np.column_stack([Z, Z[:, 0] - Z[:, 2]]))
    with pytest.raises(ShapeError, match="5 columns for 4 rows"):
        CovariateBasis(rng.standard_normal((4, 5)))


def test_the_earlier_of_equivalent_columns_stays(rng):
    x, groups = rng.standard_normal(60), np.eye(4)[np.arange(60) % 4]
    Z = np.column_stack([np.ones(60), groups, x, np.zeros(60), 2.0 * x - 5.0, rng.standard_normal(60)])
    kept, dropped = pivoted_columns(Z)
    assert kept.tolist() == [0, 1, 2, 3, 5, 8]
    assert dropped.tolist() == [4, 6, 7]
    kept, dropped = pivoted_columns(Z[:, ::-1])
    assert dropped.tolist() == [2, 7, 8]  # the intercept goes when the groups come first


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 30),
    rank=st.integers(0, 30),
    columns=st.integers(0, 90),
    seed=st.integers(0, 2**32 - 1),
)
def test_columns_kept_span_all_columns(rows, rank, columns, seed):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((rows, min(rank, rows))) @ rng.standard_normal((min(rank, rows), columns))
    kept, dropped = pivoted_columns(Z)
    assert kept.size == min(rank, rows, columns)
    assert sorted([*kept, *dropped]) == list(range(columns))
    assert kept.tolist() == list(range(kept.size))  # none depends before the rank is used up


def test_a_column_near_the_tolerance_is_judged_by_its_share_outside_the_others(rng):
    x, noise = rng.standard_normal((2, 500))
    for share, stays in ((1e-6, True), (1e-8, False)):
        kept, _ = pivoted_columns(np.column_stack([np.ones(500), x, x + share * noise]))
        assert (kept.size == 3) is stays


def test_hundreds_of_dummy_columns_are_decided_exactly(rng):
    codes = rng.integers(0, 250, 2000)
    Z = np.column_stack([np.ones(2000), np.eye(250)[codes], np.eye(10)[codes % 10]])
    kept, dropped = pivoted_columns(Z)
    assert kept.tolist() == list(range(250))  # the last level of the first factor, and all of the nested one, depend
    assert dropped.size == 11


@pytest.mark.parametrize("offset", [0.0, 1e7, 1e10, 1e12])
def test_an_offset_changes_neither_the_decision_nor_the_span(rng, offset):
    x, other, ones = rng.standard_normal(50) + offset, rng.standard_normal(50), np.ones(50)
    centred = x - offset  # exact, and so is the span of what follows
    for before in ([ones], [3.0 * ones], [ones, other]):
        Z, exact = np.column_stack([*before, x]), np.column_stack([*before, centred])
        assert pivoted_columns(Z)[1].size == 0
        basis, plain = CovariateBasis(Z), CovariateBasis(exact)
        y, y_plain = np.tile(other + centred**2, (2, 1))[:, :, None].copy()
        basis.rotate_into(y)
        plain.rotate_into(y_plain)
        c = Z.shape[1]
        slopes = np.linalg.solve(basis.R, y[:c])[1:], np.linalg.solve(plain.R, y_plain[:c])[1:]
        np.testing.assert_allclose(*slopes, rtol=1e-11)  # conditions below 10, a few hundred roundings
        np.testing.assert_allclose(np.abs(y[c:]), np.abs(y_plain[c:]), atol=1e-12)
        np.testing.assert_allclose(basis.log_determinant, plain.log_determinant, rtol=1e-12)


@pytest.mark.parametrize("offset", [1e7, 1e10, 1e12])
def test_an_offset_beside_dummies_without_an_intercept_changes_no_decision(rng, offset):
    x, dummies = rng.standard_normal(60) + offset, np.eye(3)[np.arange(60) % 3]
    for Z in (np.column_stack([x, dummies]), np.column_stack([dummies, x])):
        assert pivoted_columns(Z)[1].size == 0
        assert spans_constant(Z)
        CovariateBasis(Z)  # accepts what is kept
    Z = np.column_stack([x, dummies, np.ones(60), 3.0 * x - 2.0])
    assert pivoted_columns(Z)[1].tolist() == [4, 5]
    assert not spans_constant(x[:, None])
    assert not spans_constant(np.column_stack([x, rng.standard_normal(60)]))
    assert spans_constant(np.column_stack([x, x - 0.5 * offset]))


def test_what_varies_by_rounding_only_is_constant(rng):
    nearly = 1e8 + np.spacing(1e8) * rng.integers(-1, 2, 40)
    assert pivoted_columns(np.column_stack([np.ones(40), nearly]))[1].tolist() == [1]
    assert pivoted_columns(np.column_stack([nearly, np.full(40, 0.1)]))[1].tolist() == [1]
    assert spans_constant(nearly[:, None])
    # The digits of x + 1e12 end at 1e-4: it tells nothing that x does not.
    x = rng.standard_normal(40)
    for pair in ([x, x + 1e12], [x + 1e12, x]):
        assert pivoted_columns(np.column_stack([np.ones(40), *pair]))[1].tolist() == [2]


def test_missing_covariates_are_named():
    Z = np.ones((5, 2))
    Z[3, 1] = np.nan
    with pytest.raises(NotFiniteError, match="age is nan in row 3"):
        pivoted_columns(Z, ["(Intercept)", "age"])
    with pytest.raises(NotFiniteError, match="covariate 1"):
        CovariateBasis(Z)
    with pytest.raises(ShapeError, match="matrix"):
        CovariateBasis(np.ones(5))
