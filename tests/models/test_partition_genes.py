"""Claims about the reduction of samples to means and sums of squares per gene and sample type [PART-2]."""

from __future__ import annotations

import math

import numpy as np
import pytest

from varmix.models.partition.genes import Genes, reduce_samples

# Sums of at most ten terms of order ten.
ROUNDING = 1e-12


def naive(values: np.ndarray, sample_type: np.ndarray, gene: int, kind: int) -> tuple[int, float, float]:
    """Number, mean and sum of squares of the samples that are there, one by one."""
    there = [float(v) for v, t in zip(values[gene], sample_type, strict=True) if t == kind and not math.isnan(v)]
    if not there:
        return 0, math.nan, math.nan
    mean = math.fsum(there) / len(there)
    return len(there), mean, math.fsum((v - mean) ** 2 for v in there)


def assert_as_naive(pieces: tuple[Genes, ...], values: np.ndarray, sample_type: np.ndarray, types: int) -> None:
    seen = []
    for piece in pieces:
        seen += piece.positions.tolist()
        assert piece.means.shape == piece.within.shape == (len(piece), len(piece.types))
        for row, gene in enumerate(piece.positions):
            for kind in range(types):
                count, mean, within = naive(values, sample_type, gene, kind)
                if not count:
                    assert kind not in piece.types
                    continue
                at = int(np.flatnonzero(piece.types == kind)[0])
                assert piece.counts[at] == count
                assert piece.means[row, at] == pytest.approx(mean, rel=ROUNDING)
                assert piece.within[row, at] == pytest.approx(within, rel=ROUNDING, abs=ROUNDING)
    assert sorted(seen) == list(range(len(values)))


@pytest.fixture
def table() -> tuple[np.ndarray, np.ndarray]:
    """Twelve genes in nine samples of four types, in no order; the last type has one sample."""
    rng = np.random.default_rng(6)
    return rng.normal(8.0, 2.0, size=(12, 9)), np.array([2, 0, 1, 0, 2, 3, 1, 0, 2])


def test_complete_samples_are_one_piece_with_the_naive_sums(table) -> None:
    values, sample_type = table
    pieces = reduce_samples(values, sample_type, 4)
    assert len(pieces) == 1
    np.testing.assert_array_equal(pieces[0].counts, [3.0, 2.0, 3.0, 1.0])
    np.testing.assert_array_equal(pieces[0].within[:, 3], 0.0)
    assert_as_naive(pieces, values, sample_type, 4)


@pytest.mark.parametrize("share", [0.05, 0.4, 0.8])
def test_missing_samples_are_left_out_gene_by_gene(table, share: float) -> None:
    values, sample_type = table
    values = np.where(np.random.default_rng(int(100 * share)).random(values.shape) < share, np.nan, values)
    before = values.copy()
    pieces = reduce_samples(values, sample_type, 4)
    assert_as_naive(pieces, values, sample_type, 4)
    np.testing.assert_array_equal(values, before)  # what is given is not written to
    patterns = {(tuple(piece.types), tuple(piece.counts)) for piece in pieces}
    assert len(patterns) == len(pieces)  # genes of one pattern are in one piece


def test_different_samples_missing_from_one_type_share_a_piece(table) -> None:
    values, sample_type = table
    values = values[:3].copy()
    values[0, 0] = values[1, 4] = values[2, 8] = np.nan  # three samples of type 2
    pieces = reduce_samples(values, sample_type, 4)
    assert len(pieces) == 1
    assert_as_naive(pieces, values, sample_type, 4)


def test_a_type_without_samples_is_left_out_even_of_complete_data(table) -> None:
    values, sample_type = table
    (piece,) = reduce_samples(values, sample_type, 6)
    np.testing.assert_array_equal(piece.types, [0, 1, 2, 3])
    assert_as_naive((piece,), values, sample_type, 6)


def test_a_gene_without_any_sample_is_kept_and_shows_nothing(table) -> None:
    values, sample_type = table
    values = values.copy()
    values[5] = np.nan
    pieces = reduce_samples(values, sample_type, 4)
    (empty,) = (piece for piece in pieces if 5 in piece.positions)
    assert len(empty) == 1
    assert len(empty.types) == len(empty.counts) == 0
    assert empty.means.shape == (1, 0)
    assert_as_naive(pieces, values, sample_type, 4)


def test_sums_of_squares_keep_their_digits_far_from_zero(table) -> None:
    values, sample_type = table
    grid = np.round(values * 1024) / 1024  # with 1e9 added still exact: 30 bits and 10 behind the point
    (near,), (far,) = (reduce_samples(grid + offset, sample_type, 4) for offset in (0.0, 1e9))
    # The mean of three is rounded to 1e-7 there: each square moves by 1e-7 times its root, to second order in sums.
    np.testing.assert_allclose(far.within, near.within, atol=1e-12)
    # As a difference of squares of 1e18 not one digit would be left.
    naive_difference = (grid + 1e9) ** 2 @ np.ones(9) - 9 * (grid + 1e9).mean(axis=1) ** 2
    assert np.abs(naive_difference - ((grid - grid.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)).max() > 1.0


def test_samples_in_another_order_are_the_same_samples(table) -> None:
    values, sample_type = table
    values = np.where(np.random.default_rng(1).random(values.shape) < 0.2, np.nan, values)
    order = np.random.default_rng(2).permutation(9)
    for one, other in zip(
        reduce_samples(values, sample_type, 4), reduce_samples(values[:, order], sample_type[order], 4), strict=True
    ):
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_allclose(one.means, other.means, rtol=ROUNDING)
        np.testing.assert_allclose(one.within, other.within, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("size", [1, 5, 12, 100])
def test_blocks_are_all_genes_in_their_order_without_copies(table, size: int) -> None:
    (piece,) = reduce_samples(*table, 4)
    blocks = list(piece.blocks(size))
    assert max(len(block) for block in blocks) <= size
    np.testing.assert_array_equal(np.concatenate([block.positions for block in blocks]), piece.positions)
    np.testing.assert_array_equal(np.concatenate([block.means for block in blocks]), piece.means)
    np.testing.assert_array_equal(np.concatenate([block.within for block in blocks]), piece.within)
    assert all(np.shares_memory(block.means, piece.means) for block in blocks)
    assert all(block.counts is piece.counts and block.types is piece.types for block in blocks)
