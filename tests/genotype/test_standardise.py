"""Claims about standardised designs from arrays."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varmix.errors import AlignmentError, DataError, NotAvailableError, NotFiniteError, OptionError, ShapeError
from varmix.genotype import ArraySource, RecordedSource, Scaling, SourceSlice, StandardisedDesign, standardise

ROUNDING = 1e-12
"""Sums over a few hundred standardised entries: machine precision times their number, with room."""


def counts(n: int, p: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).binomial(2, 0.35, (n, p)).astype(float)


def with_holes(n: int, p: int, share: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.binomial(2, 0.35, (n, p)).astype(float)
    X[rng.random((n, p)) < share] = np.nan
    X[:, 0] = 1.0
    X[:, 1] = np.nan
    X[: n // 2, 2] = np.nan
    X[n // 2 :, 2] = 2.0
    return X


def dense_reference(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean imputation, mean 0, variance 1/p with divisor n, written as plainly as possible."""
    columns, kept = [], []
    for at, column in enumerate(X.T):
        present = column[~np.isnan(column)]
        if present.size == 0 or np.ptp(present) == 0:
            continue
        imputed = np.where(np.isnan(column), present.mean(), column)
        columns.append((imputed - imputed.mean()) / imputed.std())
        kept.append(at)
    return np.column_stack(columns) / np.sqrt(len(kept)), np.array(kept)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_columns_agree_with_the_plain_definition(share: float) -> None:
    X = with_holes(60, 25, share)
    design = standardise(X)
    expected, kept = dense_reference(X)
    np.testing.assert_array_equal(design.kept, kept)
    np.testing.assert_allclose(design.array(), expected, atol=ROUNDING)
    assert abs(np.trace(design.array() @ design.array().T) - 60) < 60 * ROUNDING
    assert design.counts["all missing"] == 1
    assert design.counts["monomorphic"] == 2
    assert design.counts["missing calls imputed"] == int(np.isnan(X[:, kept]).sum())
    assert design.counts["variants read"] == design.counts["variants kept"] + 3


@given(
    n=st.integers(2, 12),
    p=st.integers(1, 9),
    block=st.integers(1, 10),
    seed=st.integers(0, 10**6),
    share=st.sampled_from([0.0, 0.2]),
    offset=st.sampled_from([0.0, 0.1, 1e8]),
)
def test_block_size_does_not_change_a_bit(n: int, p: int, block: int, seed: int, share: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    X = rng.binomial(2, 0.4, (n, p)) + offset
    X[rng.random((n, p)) < share] = np.nan
    try:
        whole = standardise(X)
    except DataError:
        with pytest.raises(DataError):
            standardise(X, block_size=block)
        return
    parts = standardise(X, block_size=block)
    np.testing.assert_array_equal(whole.kept, parts.kept)
    np.testing.assert_array_equal(whole.scale, parts.scale)
    np.testing.assert_array_equal(whole.centre, parts.centre)
    np.testing.assert_array_equal(whole.array(), parts.array())
    assert dict(whole.counts) == dict(parts.counts)


def test_moments_of_long_columns_do_not_depend_on_the_block() -> None:
    # Long enough for every kind of unrolled or vectorised sum to be in use.
    X = np.random.default_rng(1).normal(size=(4099, 7)) * 1e-3 + 5.0
    whole = standardise(X)
    for block in (1, 2, 3, 5):
        np.testing.assert_array_equal(whole.scale, standardise(X, block_size=block).scale)


def test_a_streamed_design_has_the_bits_of_one_held(monkeypatch: pytest.MonkeyPatch) -> None:
    X = with_holes(40, 30, 0.1)
    held = standardise(X)
    monkeypatch.setattr("varmix.genotype.standardisation.HELD_BYTES", 0)
    streamed = standardise(X, block_size=7)
    assert held.held is not None
    assert streamed.held is None
    np.testing.assert_array_equal(held.array(), streamed.array())
    np.testing.assert_array_equal(streamed.in_memory().array(), held.array())


def test_small_noise_on_a_large_constant_keeps_its_digits() -> None:
    rng = np.random.default_rng(2)
    noise = np.round(rng.normal(size=(500, 3)) * 2**10) / 2**20  # multiples of 2^-20: exact when added to 1e8
    design = standardise(1e8 + noise)
    expected, _ = dense_reference(noise)
    np.testing.assert_allclose(design.array(), expected, atol=1e-10)


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_extreme_units_neither_overflow_nor_vanish(size: float) -> None:
    X = counts(50, 4)
    # One rounding in the product with `size`, one in the scale.
    np.testing.assert_allclose(standardise(X * size).array(), standardise(X).array(), rtol=1e-13, atol=1e-13)


def test_a_constant_that_is_not_a_binary_fraction_is_monomorphic() -> None:
    X = np.column_stack([np.full(30, 0.1), np.where(np.arange(30) % 2, 0.3, 0.1 + 0.2), np.arange(30.0)])
    design = standardise(X)
    np.testing.assert_array_equal(design.kept, [2])


def test_variants_that_are_constant_among_the_rows_used_are_dropped() -> None:
    X = counts(40, 6)
    X[:20, 3] = 0.0
    X[20:, 3] = 1.0
    used = standardise(X, rows=np.arange(20))
    assert 3 not in used.kept
    assert used.counts["monomorphic"] == 1
    on_all = standardise(X, rows=np.arange(20), reference="all")
    assert 3 in on_all.kept
    np.testing.assert_array_equal(on_all.array(), standardise(X).array()[:20])


def test_reference_all_counts_imputed_calls_of_the_rows_used_only() -> None:
    X = counts(30, 5)
    X[25, 2] = X[3, 1] = np.nan
    assert standardise(X, rows=np.arange(20), reference="all").counts["missing calls imputed"] == 1


def test_rows_may_be_a_mask_and_in_any_order() -> None:
    X = counts(30, 5)
    mask = np.arange(30) % 3 > 0
    np.testing.assert_array_equal(standardise(X, rows=mask).array(), standardise(X[mask]).array())
    order = np.random.default_rng(3).permutation(30)[:20]
    np.testing.assert_array_equal(standardise(X, rows=order).array(), standardise(X[order]).array())


def test_allele_frequency_scaling_divides_by_the_binomial_deviation() -> None:
    X = counts(80, 10)
    f = X.mean(axis=0) / 2
    expected = (X - 2 * f) / np.sqrt(2 * f * (1 - f)) / np.sqrt(10)
    np.testing.assert_allclose(standardise(X, scaling="allele_frequency").array(), expected, atol=ROUNDING)
    X[4, 1] = 3.0
    with pytest.raises(DataError, match="row 4, column 1"):
        standardise(X, scaling="allele_frequency")


def test_scaling_none_leaves_the_values_alone() -> None:
    X = counts(20, 4)
    X[:, 1] = 7.0
    np.testing.assert_array_equal(standardise(X, scaling="none").array(), X)
    X[3, 2] = np.nan
    with pytest.raises(NotFiniteError, match="row 3 of those used, column 2"):
        standardise(X, scaling="none")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("held", [True, False])
def test_products_agree_with_the_array(order: str, held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not held:
        monkeypatch.setattr("varmix.genotype.standardisation.HELD_BYTES", 0)
    rng = np.random.default_rng(4)
    design = standardise(counts(700, 41), block_size=8)
    X = design.array()
    K = np.zeros((700, 700), order=order)  # more than one tile of the mirror
    K += 1.0
    design.gram_into(K)
    np.testing.assert_allclose(K, 1.0 + X @ X.T, atol=ROUNDING)
    np.testing.assert_array_equal(K, K.T)
    B, b, y = rng.normal(size=(700, 3)), rng.normal(size=(41, 2)), rng.normal(size=700)
    np.testing.assert_allclose(design.cross(B), X.T @ B, atol=1e-11)  # sums of 700 products of size 1
    np.testing.assert_allclose(design.cross(y), X.T @ y, atol=1e-11)
    np.testing.assert_allclose(design.multiply(b), X @ b, atol=ROUNDING)
    np.testing.assert_allclose(design.multiply(b[:, 0]), X @ b[:, 0], atol=ROUNDING)


def test_the_gram_needs_no_second_square_matrix() -> None:
    n = 1500
    design = standardise(counts(n, 16))
    K = np.zeros((n, n))
    tracemalloc.start()
    design.gram_into(K)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One tile of the mirror is 512 x 512 at most, a ninth of this matrix; a second matrix would be all of it.
    assert peak < K.nbytes / 2


@pytest.mark.parametrize("scaling", ["sample", "none"])
@pytest.mark.parametrize("case", ["all rows", "some rows", "constant columns"])
def test_a_held_design_is_read_without_a_second_one(scaling: Scaling, case: str) -> None:
    X = np.random.default_rng(4).normal(size=(400, 800))
    X[:, ::5] = 1.0 if case == "constant columns" else X[:, ::5]
    rows = np.arange(0, 400) if case == "all rows" else np.arange(2, 399) if case == "some rows" else None
    standardise(X[:, :20], rows, scaling=scaling)  # what is imported or cached by the first call
    tracemalloc.start()
    design = standardise(X, rows, scaling=scaling)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert design.held is not None
    assert peak < 1.25 * X.nbytes  # two copies of one of 16 blocks and some vectors beside the design
    blocks = replace(design, held=None)
    np.testing.assert_array_equal(design.held, blocks.array())
    np.testing.assert_array_equal(standardise(X, rows, scaling=scaling, block_size=7).array(), design.held)


@pytest.mark.parametrize("size", [1e160, 1e-170])
def test_designs_used_as_they_are_must_have_squares(size: float) -> None:
    X = size * np.random.default_rng(5).normal(size=(30, 4))
    with pytest.raises(DataError, match=r"entries up to .*Rescale"):
        standardise(X, scaling="none")
    expected = standardise(X / size).array()
    np.testing.assert_allclose(standardise(X).array(), expected, atol=1e-14)  # the default has no such limits


def test_products_refuse_what_does_not_fit() -> None:
    design = standardise(counts(20, 5))
    for wrong in (
        lambda: design.cross(np.ones(5)),
        lambda: design.multiply(np.ones(20)),
        lambda: design.gram_into(np.zeros((20, 19))),
        lambda: design.gram_into(np.zeros((20, 20), dtype=np.float32)),
        lambda: design.gram_into(np.zeros((40, 40))[::2, ::2]),
    ):
        with pytest.raises(ShapeError, match=r"[dD]esign"):
            wrong()


def test_tick_counts_every_variant_once() -> None:
    seen: list[int] = []
    design = standardise(counts(20, 11), block_size=4, tick=seen.append)
    assert sum(seen) == 11
    seen.clear()
    design.gram_into(np.zeros((20, 20)), tick=seen.append)
    assert sum(seen) == design.p


def test_integers_booleans_and_data_frames_are_designs() -> None:
    X = counts(20, 4)
    expected = standardise(X).array()
    np.testing.assert_array_equal(standardise(X.astype(np.int8)).array(), expected)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    design = standardise(frame)
    np.testing.assert_array_equal(design.array(), expected)
    assert design.variants is not None
    assert design.variants["id"].tolist() == ["a", "b", "c", "d"]
    polars = pytest.importorskip("polars")
    np.testing.assert_array_equal(standardise(polars.DataFrame(X)).array(), expected)
    assert standardise(X > 0).n == 20
    truths = pd.DataFrame({"a": pd.array([True, None, False], dtype="boolean"), "b": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(standardise(truths).array(), standardise([[1, 1], [np.nan, 2], [0, 3]]).array())


def test_the_input_is_never_changed() -> None:
    X = np.asfortranarray(with_holes(30, 8, 0.1))
    before = X.copy()
    standardise(X).gram_into(np.zeros((30, 30)))
    np.testing.assert_array_equal(X, before)


def test_bad_arrays_are_refused_with_a_reason() -> None:
    X = counts(10, 4)
    with pytest.raises(ShapeError, match="two-dimensional"):
        standardise(X[:, 0])
    with pytest.raises(ShapeError, match="empty"):
        standardise(np.empty((0, 3)))
    with pytest.raises(DataError, match="not numbers"):
        standardise(np.array([["a", "b"], ["c", "d"]]))
    with pytest.raises(DataError, match="Column 's'"):
        standardise(pd.DataFrame({"s": ["a", "b"]}))
    with pytest.raises(DataError, match="same name"):
        standardise(pd.DataFrame(X, columns=list("aabc")))
    infinite = X.copy()
    infinite[3, 2] = np.inf
    with pytest.raises(NotFiniteError, match="row 3, column 2"):
        standardise(infinite)
    with pytest.raises(DataError, match=r"1 monomorphic, 1 all missing"):
        standardise(np.column_stack([np.ones(5), np.full(5, np.nan)]))
    with pytest.raises(OptionError, match="scaling"):
        standardise(X, scaling="zscore")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="reference"):
        standardise(X, reference="some")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="block_size"):
        standardise(X, block_size=0)
    with pytest.raises(AlignmentError, match="mask"):
        standardise(X, rows=np.ones(9, dtype=bool))
    with pytest.raises(AlignmentError, match="from 0 to 10"):
        standardise(X, rows=[0, 10])
    with pytest.raises(AlignmentError, match="No rows"):
        standardise(X, rows=[])
    with pytest.raises(ShapeError, match="names"):
        ArraySource(X, names=["a"])
    with pytest.raises(ShapeError, match="sample ids"):
        ArraySource(X, sample_ids=["a"])
    with pytest.raises(AlignmentError, match="more than once"):
        ArraySource(X, sample_ids=["a"] * 10)


def test_a_slice_is_the_design_of_its_columns() -> None:
    X = counts(30, 10)
    source = ArraySource(X, names=[f"v{k}" for k in range(10)])
    part = SourceSlice(source, np.array([7, 2, 5]), name="part")
    np.testing.assert_array_equal(standardise(part, block_size=2).array(), standardise(X[:, [7, 2, 5]]).array())
    assert part.variants is not None
    assert part.variants["id"].tolist() == ["v7", "v2", "v5"]
    for columns in ([], [10], [1, 1]):
        with pytest.raises(OptionError):
            SourceSlice(source, np.array(columns))


def test_apply_uses_the_training_centre_and_scale() -> None:
    X, new = counts(50, 8), counts(7, 8, seed=1)
    new[2, 3] = np.nan
    X[:, 5] = 1.0  # dropped in training, so ignored in new data
    design: StandardisedDesign = standardise(X)
    kept = design.kept
    fresh = design.apply(new, rows=[0, 2, 6])
    filled = np.where(np.isnan(new), X.mean(axis=0), new)[[0, 2, 6]][:, kept]
    expected = (filled - X[:, kept].mean(axis=0)) / X[:, kept].std(axis=0) / np.sqrt(kept.size)
    np.testing.assert_allclose(fresh.array(), expected, atol=ROUNDING)
    assert fresh.counts["missing calls imputed"] == 1
    np.testing.assert_array_equal(design.apply(X).array(), design.array())
    with pytest.raises(AlignmentError, match="7 columns"):
        design.apply(new[:, :7])


def test_a_recorded_source_is_enough_to_apply_a_standardisation() -> None:
    X, new = pd.DataFrame(counts(50, 4), columns=list("abcd")), pd.DataFrame(counts(7, 4, seed=1), columns=list("dcba"))
    design = standardise(X)
    source = RecordedSource(name="saved", n_variants=4, variants=design.source.variants)
    saved = replace(design, source=source, rows=None, held=None)
    np.testing.assert_array_equal(saved.apply(new).array(), design.apply(new).array())
    with pytest.raises(NotAvailableError, match="'saved'"):
        saved.array()


def test_apply_finds_variants_by_name() -> None:
    X, new = counts(50, 4), counts(7, 4, seed=1)
    design = standardise(pd.DataFrame(X, columns=list("abcd")))
    shuffled = pd.DataFrame(new, columns=list("abcd"))[["d", "b", "a", "c"]].assign(extra=1.0)
    np.testing.assert_array_equal(
        design.apply(shuffled).array(), design.apply(pd.DataFrame(new, columns=list("abcd"))).array()
    )
    with pytest.raises(AlignmentError, match="first: 'b'"):
        design.apply(shuffled.drop(columns="b"))
