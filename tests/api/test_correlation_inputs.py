"""What users pass for a genetic correlation: arrays, frames, files, ids, missing entries, variants that differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import varmix as vm
from varmix.datasets import load_demo
from varmix.errors import AlignmentError, NotFiniteError, OptionError, RepairWarning
from varmix.genotype import ArraySource, standardise
from varmix.typing import Matrix, Vector

Data = tuple[Vector, Vector, Matrix, Matrix]


def simulate(seed: int = 0, n: tuple[int, int] = (60, 55), p: int = 40) -> Data:
    rng = np.random.default_rng(seed)
    G = [rng.binomial(2, 0.4, size=(size, p)).astype(float) for size in n]
    b = rng.standard_normal((2, p))
    b[1] += b[0]
    y = [standardise(g).array() @ e + 0.6 * rng.standard_normal(len(g)) for g, e in zip(G, b, strict=True)]
    return y[0], y[1], G[0], G[1]


def same(left: vm.Fit, right: vm.Fit) -> None:
    # Columns in another order or block are summed in another order.
    np.testing.assert_allclose(left.components["estimate"], right.components["estimate"], rtol=1e-9)
    np.testing.assert_allclose(left.components["se"], right.components["se"], rtol=1e-9)


def count(fit: vm.Fit, what: str, cause: str) -> int:
    return int(fit.sample.set_index(["what", "cause"]).loc[(what, cause), "count"])


@pytest.mark.parametrize("scaling", ["sample", "allele_frequency", "none"])
@pytest.mark.parametrize("method", ["newton", "moments"])
def test_raw_designs_are_standardised_as_by_hand(scaling: str, method: str) -> None:
    y1, y2, G1, G2 = simulate()
    designs = [standardise(G, scaling=scaling) for G in (G1, G2)]
    expected = vm.genetic_correlation(y1, y2, *designs, method=method)
    same(vm.genetic_correlation(y1, y2, G1, G2, scaling=scaling, method=method), expected)
    names = [f"rs{j}" for j in range(40)]
    frames = pd.DataFrame(G1, columns=names), pl.DataFrame(G2, schema=names)
    same(vm.genetic_correlation(y1, y2, *frames, scaling=scaling, method=method), expected)


def test_a_variant_that_varies_in_one_cohort_only_is_left_out_of_both() -> None:
    y1, y2, G1, G2 = simulate()
    G1[:, 3], G2[:, [7, 9]] = 1.0, 2.0
    keep = np.setdiff1d(np.arange(40), [3, 7, 9])
    fit = vm.genetic_correlation(y1, y2, G1, G2, method="moments")
    same(fit, vm.genetic_correlation(y1, y2, G1[:, keep], G2[:, keep], method="moments"))
    assert count(fit, "both", "variants used") == 37
    assert count(fit, "first variants", "monomorphic") == 1
    assert count(fit, "first variants", "not in the other cohort") == 2
    assert count(fit, "second variants", "not in the other cohort") == 1


def test_a_variant_that_only_the_first_cohort_lacks_is_left_out_of_both() -> None:
    y1, y2, G1, G2 = simulate()
    G1[:, 3] = 1.0
    keep = np.setdiff1d(np.arange(40), [3])
    same(vm.genetic_correlation(y1, y2, G1, G2), vm.genetic_correlation(y1, y2, G1[:, keep], G2[:, keep]))


def test_variants_are_matched_by_id_whatever_their_order() -> None:
    y1, y2, G1, G2 = simulate()
    names = np.array([f"rs{j}" for j in range(40)])
    order = np.random.default_rng(1).permutation(40)[:33]
    one, two = ArraySource(G1, names=names.tolist()), ArraySource(G2[:, order], names=names[order].tolist())
    keep = np.sort(order)
    fit = vm.genetic_correlation(y1, y2, one, two, method="moments")
    same(fit, vm.genetic_correlation(y1, y2, G1[:, keep], G2[:, keep], method="moments"))
    with pytest.raises(AlignmentError, match="No variant"):
        vm.genetic_correlation(y1, y2, one, ArraySource(G2, names=[f"x{j}" for j in range(40)]))
    with pytest.raises(AlignmentError, match="'rs0' twice"):
        vm.genetic_correlation(y1, y2, one, ArraySource(G2, names=["rs0", *names[:-1].tolist()]))


def test_incomplete_rows_are_refused_or_dropped_and_counted() -> None:
    y1, y2, G1, G2 = simulate()
    age = np.linspace(0.0, 1.0, 60)
    hole, gap = y1.copy(), age.copy()
    hole[4], gap[7] = np.nan, np.nan
    with pytest.raises(NotFiniteError, match=r"First cohort.*row 4"):
        vm.genetic_correlation(hole, y2, G1, G2, gap)
    keep = np.setdiff1d(np.arange(60), [4, 7])
    fit = vm.genetic_correlation(hole, y2, G1, G2, gap, on_missing="drop")
    same(fit, vm.genetic_correlation(y1[keep], y2, G1[keep], G2, age[keep]))
    assert count(fit, "first rows", "missing response") == 1
    assert count(fit, "first rows", "missing covariate") == 1
    with pytest.raises(OptionError, match="cannot lose rows"):
        vm.genetic_correlation(hole, y2, standardise(G1), G2, on_missing="drop")


def test_two_traits_with_different_missing_rows_keep_their_people_paired() -> None:
    y1, _, G1, _ = simulate()
    y2 = 0.7 * y1 + np.random.default_rng(2).standard_normal(60)
    first, second = y1.copy(), y2.copy()
    first[:5], second[3:9] = np.nan, np.nan
    fit = vm.genetic_correlation(first, second, G1, G1, method="moments", on_missing="drop")
    rows = np.arange(5, 60), np.r_[0:3, 9:60]
    both = np.intersect1d(*rows)
    overlap = np.searchsorted(rows[0], both), np.searchsorted(rows[1], both)
    apart = [G1[part] for part in rows]
    told = vm.genetic_correlation(y1[rows[0]], y2[rows[1]], *apart, method="moments", overlap=overlap)
    same(fit, told)
    assert count(fit, "both", "people in both") == both.size
    numbered = vm.genetic_correlation(
        first, second, G1, G1.copy(), method="moments", on_missing="drop", overlap=(np.arange(60), np.arange(60))
    )
    same(numbered, told)


def test_responses_are_joined_to_genotypes_and_to_each_other_by_id() -> None:
    y1, y2, G1, G2 = simulate()
    people = [[f"a{i}" for i in range(60)], [*(f"a{i}" for i in range(20)), *(f"b{i}" for i in range(35))]]
    G2[:20] = G1[:20]
    sources = [ArraySource(G, sample_ids=ids) for G, ids in zip((G1, G2), people, strict=True)]
    plain = vm.genetic_correlation(y1, y2, *sources, method="moments")
    assert count(plain, "both", "people in both") == 20
    order = np.random.default_rng(3).permutation(60)
    shuffled = vm.genetic_correlation(
        y1[order], y2, *sources, sample_ids1=[people[0][i] for i in order], sample_ids2=people[1], method="moments"
    )
    same(shuffled, plain)
    with pytest.raises(OptionError, match="rows already"):
        vm.genetic_correlation(y1, y2, standardise(G1), G2, sample_ids1=people[0])


def test_covariates_are_named_and_what_is_collinear_is_dropped_and_told() -> None:
    y1, y2, G1, G2 = simulate()
    table = pd.DataFrame({"age": np.linspace(0.0, 1.0, 60), "sex": ["f", "m"] * 30})
    table["months"] = 12.0 * table["age"]
    with pytest.warns(RepairWarning, match="months"):
        fit = vm.genetic_correlation(y1, y2, G1, G2, table)
    assert list(fit.coefficients.index) == ["y1: (Intercept)", "y1: age", "y1: sexm", "y2: (Intercept)"]
    assert count(fit, "first covariates", "dropped, collinear: months") == 1
    same(fit, vm.genetic_correlation(y1, y2, G1, G2, table[["age", "sex"]]))
    height = pd.Series(y1, name="height"), pd.Series(y2, name="height")
    assert vm.genetic_correlation(*height, G1, G2, method="moments").facts["response"] == "height1 and height2"


def test_a_plink_file_goes_in_as_it_is() -> None:
    source = vm.open_plink(load_demo().bfile)
    rng = np.random.default_rng(0)
    y = rng.standard_normal((2, source.n_samples))
    fit = vm.genetic_correlation(y[0], y[1], source, source, method="moments")
    design = standardise(source)
    same(fit, vm.genetic_correlation(y[0], y[1], design, design, method="moments"))
    assert count(fit, "both", "people in both") == source.n_samples
