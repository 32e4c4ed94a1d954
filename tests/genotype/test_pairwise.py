"""Claims about relationships over the variants that both people have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import AlignmentError, DataError, NotFiniteError, OptionError, RepairWarning
from varmix.genotype import ArraySource, relationship_matrix, standardise

ROUNDING = 1e-12
"""Sums over a few hundred products of order one."""


def source(X: np.ndarray, **options: object) -> ArraySource:
    return ArraySource(X, sample_ids=[f"i{row}" for row in range(len(X))], **options)  # type: ignore[arg-type]


def calls(n: int, p: int, *, share: float, seed: int = 0) -> np.ndarray:
    """Counts with missing calls; one variant of each kind that does not vary; the first half of them complete."""
    rng = np.random.default_rng(seed)
    X = rng.binomial(2, rng.uniform(0.1, 0.5, p), (n, p)).astype(float)
    holes = rng.random((n, p)) < share
    holes[:, : p // 2] = False
    holes[0] |= rng.random(p) < 2 * share
    X[holes] = np.nan
    X[:, 3] = 0.0
    X[:, p - 2] = np.where(np.isnan(X[:, p - 2]), np.nan, 1.0)
    X[:, p - 4] = np.nan
    return X


def by_pairs(X: np.ndarray, scaling: str) -> tuple[np.ndarray, np.ndarray, int]:
    """The definition, written pair by pair; with the number of variants that vary."""
    kept = [at for at in range(X.shape[1]) if np.unique(X[~np.isnan(X[:, at]), at]).size > 1]
    Z = np.empty((len(X), len(kept)))
    for to, at in enumerate(kept):
        present = X[~np.isnan(X[:, at]), at]
        f = present.mean() / 2
        variance = 2 * f * (1 - f) if scaling == "allele_frequency" else np.mean((present - present.mean()) ** 2)
        Z[:, to] = (X[:, at] - 2 * f) / np.sqrt(variance)
    A, N = np.empty((len(X), len(X))), np.empty((len(X), len(X)))
    for j in range(len(X)):
        for k in range(len(X)):
            both = ~np.isnan(Z[j]) & ~np.isnan(Z[k])
            A[j, k] = Z[j, both] @ Z[k, both] / both.sum()
            N[j, k] = both.sum()
    return A, N, len(kept)


@pytest.mark.parametrize("scaling", ["allele_frequency", "sample"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("block_size", [1, 7, None])
def test_every_entry_is_over_the_variants_that_both_have(scaling: str, share: float, block_size: int | None) -> None:
    X = calls(23, 120, share=share)
    A, N, varying = by_pairs(X, scaling)
    made = relationship_matrix(source(X), scaling=scaling, block_size=block_size)  # type: ignore[arg-type]
    np.testing.assert_allclose(made.values, A, atol=ROUNDING)
    assert made.variant_counts is not None
    np.testing.assert_array_equal(made.variant_counts, N[np.tril_indices(23)])
    assert made.n_variants == varying


def test_rows_are_a_cohort_of_their_own() -> None:
    X = calls(30, 90, share=0.2)
    rows = np.array([25, 3, 8, 14, 0, 9, 11, 2])
    A, N, _ = by_pairs(X[rows], "allele_frequency")
    made = relationship_matrix(source(X), rows)
    np.testing.assert_allclose(made.values, A, atol=ROUNDING)
    assert made.variant_counts is not None
    np.testing.assert_array_equal(made.variant_counts, N[np.tril_indices(8)])
    assert made.sample_ids["IID"].tolist() == [f"i{row}" for row in rows]


@pytest.mark.parametrize("scaling", ["allele_frequency", "sample", "none"])
def test_without_missing_calls_it_is_the_gram_matrix_of_the_design(scaling: str) -> None:
    X = calls(20, 80, share=0.0)
    X[:, 76] = 2.0
    design = standardise(source(X), scaling=scaling)  # type: ignore[arg-type]
    expected = design.array() @ design.array().T
    made = relationship_matrix(source(X), scaling=scaling, block_size=9)  # type: ignore[arg-type]
    np.testing.assert_allclose(made.values, expected, atol=ROUNDING * np.abs(expected).max())
    assert made.variant_counts is not None
    assert set(made.variant_counts.tolist()) == {design.p} == {made.n_variants}


def test_the_ticks_add_up_to_the_variants() -> None:
    seen: list[int] = []
    relationship_matrix(source(calls(10, 50, share=0.1)), block_size=8, tick=seen.append)
    assert sum(seen) == 50


def test_people_without_shared_variants_are_named() -> None:
    X = calls(10, 40, share=0.0)
    X[2, :20], X[7, 20:] = np.nan, np.nan
    with pytest.raises(DataError, match=r"'i2' \(FID '0'\) and 'i7' .* no variant that both have.*1 such pairs"):
        relationship_matrix(source(X))
    X[2] = np.nan
    with pytest.raises(DataError, match=r"'i2' \(FID '0'\) .*no call of any variant"):
        relationship_matrix(source(X))


def test_what_has_no_relationships_is_refused() -> None:
    X = calls(10, 40, share=0.1)
    with pytest.raises(AlignmentError, match="sample_ids"):
        relationship_matrix(X)
    with pytest.raises(DataError, match="needs counts of an allele"):
        relationship_matrix(source(X + 1))
    with pytest.raises(DataError, match="None of the 40 variants"):
        relationship_matrix(source(np.ones((10, 40))))
    with pytest.raises(NotFiniteError, match="does not impute"):
        relationship_matrix(source(X), scaling="none")
    with pytest.raises(NotFiniteError, match=r"Column 1 .* too large"), np.errstate(all="ignore"):
        relationship_matrix(source(np.array([[0, 1e308], [1, -1e308]])), scaling="sample")
    with pytest.raises(OptionError, match="scaling"):
        relationship_matrix(source(X), scaling="gcta")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="block_size"):
        relationship_matrix(source(X), block_size=0)


class _Placed(ArraySource):
    chromosomes: tuple[str, ...]

    @property
    def variants(self) -> pd.DataFrame | None:
        return pd.DataFrame({"chromosome": self.chromosomes, "id": range(self.n_variants)})


@pytest.mark.parametrize(
    ("chromosomes", "told"),
    [
        (("1", "22", "0", "2"), None),
        (("1", "X", "chrX", "chrM"), r"3 variants .* chromosome M, X "),
        (("1", "23", "26", "2"), r"2 variants .* chromosome 23, 26 "),
        (("1", "23", "29", "2"), None),  # cattle
    ],
)
def test_variants_outside_of_autosomes_are_told(
    chromosomes: tuple[str, ...], told: str | None, recwarn: pytest.WarningsRecorder
) -> None:
    placed = _Placed(calls(30, 40, share=0.0)[:, 10:14], sample_ids=list("abcdefghijklmnopqrstuvwxyz0123"))
    placed.chromosomes = chromosomes
    if told is None:
        relationship_matrix(placed)
        assert not recwarn.list
    else:
        with pytest.warns(RepairWarning, match=told):
            relationship_matrix(placed)


def test_the_package_names_it() -> None:
    assert vm.relationship_matrix is relationship_matrix
