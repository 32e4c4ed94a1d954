"""Fits of partitions agree with the densities as written, and with themselves in other units and orders."""

from __future__ import annotations

import warnings
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
import partition_model
import pytest
from mixed_samples import CELL_TYPES, PARTITIONS, PLAIN, Mixed, mixed, point_of
from numpy.testing import assert_allclose

import varmix as vm
from varmix.errors import VarmixWarning
from varmix.models.partition.partitions import all_partitions

# Starts are drawn in the units of the data, too: one model has them, the others climb once, to save time.
MODELS = {
    "plain": {"noise": "both", "starts": 3, "rng": 0},
    "full": {"noise": "full"},
    "moderated": {"noise": "both", "variance": "moderated"},
    "composite": {"noise": "both", "likelihood": "composite"},
    "per gene and block": {"variance": "per_gene_block"},
}


@pytest.fixture(scope="module")
def data() -> Mixed:
    return mixed(21, 50)


def fitted(S, sample_type, proportions, **options) -> vm.Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        fit = vm.partition_mixture(S, sample_type, proportions=proportions, **{"starts": 1, **options})
    assert fit.status.arrived
    return fit


@cache
def of_model(model: str) -> vm.Fit:
    data = mixed(21, 50)
    return fitted(data.S, data.sample_type, data.proportions, **MODELS[model])


# Densities as written


@pytest.mark.parametrize("noise", ["cell", "measurement", "both"])
@pytest.mark.parametrize("likelihood", ["joint", "composite"])
@pytest.mark.parametrize("holes", [False, True])
def test_the_log_likelihood_is_that_of_dense_normals_at_the_point_of_the_tables(data, noise, likelihood, holes):
    S = data.S.iloc[:25].copy()
    if holes:
        patterns = np.random.default_rng(0).random((5, S.shape[1])) < 0.2
        S = S.mask(np.tile(patterns, (5, 1)))
    fit = fitted(S, data.sample_type, data.proportions, noise=noise, likelihood=likelihood)
    composite = likelihood == "composite"
    at = point_of(fit), PARTITIONS, S.to_numpy(), data.codes
    assert partition_model.log_likelihood(*at, composite=composite) == pytest.approx(fit.log_likelihood, rel=1e-9)
    densities = partition_model.gene_densities(*at, composite=composite)
    weights = point_of(fit).shares * np.exp(densities - densities.max(axis=1, keepdims=True))
    told = fit.classes[list(PARTITIONS.words)].to_numpy()
    assert_allclose(told, weights / weights.sum(axis=1, keepdims=True), atol=1e-9)


def test_no_point_nearby_is_higher(data):
    """By the dense density, which shares no code with the climb."""
    S = data.S.iloc[:25]
    fit = fitted(S, data.sample_type, data.proportions, noise="both")
    rng = np.random.default_rng(1)
    point = point_of(fit)
    for _ in range(6):
        shares = point.shares * np.exp(0.02 * rng.standard_normal(5))
        beside = {
            "mean": point.mean + 0.01 * rng.standard_normal(),
            "between": point.between * np.exp(0.02 * rng.standard_normal()),
            "cell": point.cell * np.exp(0.02 * rng.standard_normal()),
            "measurement": point.measurement * np.exp(0.02 * rng.standard_normal()),
        }
        other = type(point)(**beside, shares=shares / shares.sum(), proportions=point.proportions)
        found = partition_model.log_likelihood(other, PARTITIONS, S.to_numpy(), data.codes)
        assert found < fit.log_likelihood


def test_pure_samples_of_logarithms_are_lognormal_normal_patterns():
    """EBarrays' patterns of groups: the proportions are the identity [PART-7]."""
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(3), 4)
    pure = pd.DataFrame(np.eye(3), CELL_TYPES, CELL_TYPES)
    label = np.array(PARTITIONS.labels)[rng.choice(5, 60, p=PLAIN.shares)]
    means = np.take_along_axis(3.0 + rng.standard_normal((60, 3)), label, axis=1)
    S = pd.DataFrame(np.exp(means[:, group] + 0.4 * rng.standard_normal((60, 12))))
    labels = [CELL_TYPES[g] for g in group]
    fit = fitted(np.log(S), labels, pure, noise="measurement")
    point = point_of(fit)
    patterns = [[[t for t in range(3) if label[t] == b] for b in range(max(label) + 1)] for label in PARTITIONS.labels]
    shares = np.maximum(point.shares, 1e-300).tolist()
    at = (point.mean, point.between, point.measurement)
    order = [CELL_TYPES.index(name) for name in fit.facts["cell_types"]]
    assert order == [0, 1, 2]
    dense = partition_model.pattern_log_likelihood(np.log(S).to_numpy(), group, patterns, shares, *at)
    assert dense == pytest.approx(fit.log_likelihood, rel=1e-9)
    both = fitted(np.log(S), labels, pure, noise="cell")  # of pure samples the two noises are one
    assert both.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-9)


# Units


@pytest.mark.parametrize("factor", [2.0**20, 1e6, 1e-6])
@pytest.mark.parametrize("model", MODELS)
def test_other_units_scale_the_tables_and_shift_the_log_likelihood(data, model, factor):
    one = of_model(model)
    other = fitted(data.S * factor, data.sample_type, data.proportions, **MODELS[model])
    shift = data.S.size * np.log(factor)
    # A power of two changes no digit; other factors round the data at 1e-16, which optima magnify to their tolerance.
    close = {"rtol": 1e-12, "atol": 1e-12} if factor == 2.0**20 else {"rtol": 2e-4, "atol": 2e-6}
    assert other.log_likelihood + shift == pytest.approx(one.log_likelihood, rel=1e-12, abs=1e-6)
    assert_allclose(other.report.estimates.shares, one.report.estimates.shares, **close)
    assert_allclose(other.report.estimates.values[1] / factor**2, one.report.estimates.values[1], **close)
    assert_allclose(other.coefficients["estimate"] / factor, one.coefficients["estimate"], **close)
    words = list(PARTITIONS.words)
    assert_allclose(other.classes[words], one.classes[words], **close)
    for table in ("expression", "differences"):
        mine, theirs = other.table(table).iloc[:, 1:] / factor, one.table(table).iloc[:, 1:]
        assert_allclose(mine, theirs, **close)


def test_standard_errors_and_intervals_scale_too(data):
    one = fitted(data.S, data.sample_type, data.proportions, noise="both")
    other = fitted(data.S * 1e6, data.sample_type, data.proportions, noise="both")
    columns = ["estimate", "se", "lower", "upper"]
    assert_allclose(other.components[columns] / 1e12, one.components[columns], rtol=1e-4)
    assert_allclose(other.shares[columns], one.shares[columns], rtol=1e-4, atol=1e-6)


# Orders


@pytest.mark.parametrize("model", ["plain", "full", "moderated", "composite"])
def test_orders_of_genes_samples_types_and_cells_do_not_matter(data, model):
    one = of_model(model)
    rng = np.random.default_rng(2)
    S = data.S.iloc[rng.permutation(50), rng.permutation(20)]
    table = data.proportions.iloc[rng.permutation(5)][["lung", "liver", "brain"]]
    other = fitted(S, data.sample_type[S.columns], table, **MODELS[model])
    assert other.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-10)
    renamed = {word: canonical(word) for word in other.report.problem.base.partitions.words}
    theirs = one.classes.set_index("gene").rename(columns=canonical)
    mine = other.classes.set_index("gene").rename(columns=renamed).loc[data.S.index]
    words = [canonical(word) for word in PARTITIONS.words]
    assert_allclose(mine[words], theirs[words], atol=1e-5)  # a certificate of 1e-6 standard errors
    cells = one.table("expression").set_index("gene")
    assert_allclose(other.table("expression").set_index("gene").loc[cells.index, cells.columns], cells, rtol=1e-5)


def canonical(word: str) -> str:
    """Blocks and their members in the order of the alphabet."""
    return " | ".join(sorted(" = ".join(sorted(block.split(" = "))) for block in word.split(" | ")))


def test_gene_names_that_repeat_and_numbers_for_names_keep_their_rows(data):
    S = data.S.copy()
    S.index = ["same"] * 50
    fit = fitted(S, data.sample_type, data.proportions)
    assert list(fit.classes["gene"]) == ["same"] * 50
    assert any("name of an earlier one" in note for note in fit.facts["warnings"])


def test_six_cell_types_have_all_203_partitions_or_those_asked_for():
    rng = np.random.default_rng(5)
    names = [f"c{k}" for k in range(6)]
    P = pd.DataFrame(rng.dirichlet(np.ones(6), 8), [f"m{d}" for d in range(8)], names)
    means = 5.0 + rng.standard_normal((80, 6))
    means[:40] = means[:40, :1]  # half of the genes are equal in all types
    types = np.repeat(P.index, 2)
    S = pd.DataFrame(means @ P.loc[types].to_numpy().T + 0.1 * rng.standard_normal((80, 16)))
    fit = fitted(S, list(types), P)
    assert fit.facts["partitions"] == len(all_partitions(names)) == 203
    assert abs(fit.report.estimates.shares[0] - 0.5) < 0.2  # 80 genes: a standard error of .06
    two = fitted(S, list(types), P, partitions="two_blocks")
    assert two.facts["partitions"] == 2**5
    assert len(list(combinations(names, 2))) == fit.table("together").shape[1] - 1
