"""Genetic correlation from z scores: the equations of the individual data, the jackknife, alleles and bad input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.api import genetic_correlation_from_summaries
from varmix.errors import AlignmentError, NotFiniteError, NotIdentifiedError, OptionError, ShapeError
from varmix.genotype import ArraySource, StandardisedDesign, standardise
from varmix.models.linear.correlation.alleles import match_studies
from varmix.models.linear.correlation.ld import LdScores, ld_scores, paired_ld_scores
from varmix.models.linear.correlation.summary import products_of, solve_products
from varmix.typing import Array, Matrix, Vector


def genotypes(n: int, p: int, rng: np.random.Generator, correlation: float = 0.6) -> Matrix:
    """Neighbours in linkage disequilibrium: thresholds of an autoregression, the same for every sample."""
    counts = np.zeros((n, p))
    for _ in range(2):
        noise = rng.standard_normal((n, p))
        for j in range(1, p):
            noise[:, j] = correlation * noise[:, j - 1] + np.sqrt(1.0 - correlation**2) * noise[:, j]
        counts += noise > 0.4
    return counts


@dataclass(frozen=True, kw_only=True)
class Studies:
    designs: tuple[StandardisedDesign, StandardisedDesign]
    y: tuple[Vector, Vector]

    @property
    def z(self) -> tuple[Vector, Vector]:
        pairs = zip(self.designs, self.y, strict=True)
        first, second = (np.sqrt(d.p / len(y)) * d.array().T @ y for d, y in pairs)
        return first, second


def simulate(
    seed: int, rho: float = 0.5, n: tuple[int, int] = (400, 500), p: int = 120, shared: int = 0, shares: float = 0.5
) -> Studies:
    rng = np.random.default_rng(seed)
    G = [genotypes(size, p, rng) for size in n]
    noise = [rng.standard_normal(size) for size in n]
    G[1][:shared] = G[0][:shared]
    noise[1][:shared] = noise[0][:shared]
    designs = [standardise(part) for part in G]
    b = rng.standard_normal((2, p))
    b[1] = rho * b[0] + np.sqrt(1.0 - rho**2) * b[1]
    y = []
    for design, effect, e in zip(designs, b, noise, strict=True):
        value = np.sqrt(shares) * design.array() @ effect + np.sqrt(1.0 - shares) * e
        y.append((value - value.mean()) / value.std())
    return Studies(designs=(designs[0], designs[1]), y=(y[0], y[1]))


def test_ld_scores_are_sums_of_squared_correlations() -> None:
    rng = np.random.default_rng(0)
    one, two = (standardise(genotypes(n, 40, rng), block_size=7) for n in (90, 70))
    R = [np.corrcoef(design.array().T) for design in (one, two)]
    squares = (R[0] ** 2).sum(axis=1)
    np.testing.assert_allclose(ld_scores(one).first, squares - (40 - squares) / 88, rtol=1e-10)
    both = paired_ld_scores(one, two)
    np.testing.assert_allclose(both.cross, (R[0] * R[1]).sum(axis=1), rtol=1e-10)
    signs = rng.choice([-1.0, 1.0], size=40)
    turned = paired_ld_scores(one, two, signs)
    np.testing.assert_allclose(turned.cross, (R[0] * R[1] * np.outer(signs, signs)).sum(axis=1), rtol=1e-10)


def test_corrected_ld_scores_are_nearly_unbiased() -> None:
    rng = np.random.default_rng(1)
    truth = ld_scores(standardise(genotypes(6000, 60, rng))).first.mean()
    small = [ld_scores(standardise(genotypes(80, 60, rng))).first.mean() for _ in range(40)]
    # Four standard errors of the mean, beside 60/80 of bias without the correction.
    assert abs(np.mean(small) - truth) < 4.0 * np.std(small) / np.sqrt(40) + 0.02


def test_products_with_in_sample_ld_are_the_moments_of_individual_data() -> None:
    study = simulate(2)
    cross = study.designs[0].array() @ study.designs[1].array().T
    expected = study.y[0] @ cross @ study.y[1] / np.vdot(cross, cross)  # [VC-8]
    fit = genetic_correlation_from_summaries(*study.z, study.designs, n1=len(study.y[0]), n2=len(study.y[1]), blocks=20)
    shares = fit.components["estimate"].to_numpy()
    np.testing.assert_allclose(shares[2], expected, rtol=1e-10)
    for design, y, z, share in zip(study.designs, study.y, study.z, shares, strict=False):
        K = design.array() @ design.array().T
        np.testing.assert_allclose(y @ K @ y, len(y) / design.p * z @ z, rtol=1e-10)
        exact = (y @ K @ y - len(y)) / (np.vdot(K, K) - len(y))
        # The correction of LD for the panel is to first order in 1/n; the centring costs one row more.
        np.testing.assert_allclose(share, exact, rtol=0.02)


@pytest.mark.parametrize("intercepts", [(1.0, 0.0), ("estimate", "estimate"), (1.0, "estimate")])
def test_the_jackknife_equals_leaving_each_block_out_by_brute_force(
    intercepts: tuple[float | str, float | str],
) -> None:
    study = simulate(3)
    ld = paired_ld_scores(*study.designs)
    own, cross = intercepts
    fit = genetic_correlation_from_summaries(
        *study.z, ld, n1=400, n2=500, intercept=own, cross_intercept=cross, blocks=9
    )
    found = fit.report.found
    data = products_of(*study.z, np.full(120, 400.0), np.full(120, 500.0), ld, weighted="estimate" in intercepts)
    edges = np.linspace(0, 120, 10).round().astype(int)
    expected = []
    for j in range(9):
        keep = np.ones(120, dtype=bool)
        keep[edges[j] : edges[j + 1]] = False
        slopes = []
        for k, fixed in enumerate((own, own, cross)):
            m, u, w = data.products[k, keep], data.regressors[k, keep], data.weights[k, keep]
            if fixed == "estimate":
                slopes.append(np.polyfit(u, m, 1, w=np.sqrt(w))[0])
            else:
                slopes.append((w * (m - float(fixed))).sum() / (w * u).sum())
        product = slopes[0] * slopes[1]
        expected.append([*slopes, slopes[2] / np.sqrt(product) if min(slopes[:2]) > 0.0 else np.nan])
    np.testing.assert_allclose(found.without_block, expected, rtol=1e-8)
    deviations = np.array(expected) - np.mean(expected, axis=0)
    spread = 8.0 / 9.0 * deviations.T @ deviations
    np.testing.assert_allclose(fit.covariance(), spread, rtol=1e-7)
    np.testing.assert_allclose(fit.components["se"], np.sqrt(spread.diagonal()[:3]), rtol=1e-7)
    np.testing.assert_allclose(fit.correlation["se"], np.sqrt(spread[3, 3]), rtol=1e-7)
    low, high = fit.interval("correlation", level=0.9)
    np.testing.assert_allclose(high - low, 2.0 * 1.6448536269514722 * np.sqrt(spread[3, 3]), rtol=1e-7)
    assert list(fit.table("intercepts")["fixed"]) == [own != "estimate", own != "estimate", cross != "estimate"]


def draws(fixed: float | str, shared: int, count: int) -> Array:
    found = []
    for seed in range(count):
        study = simulate(1000 + seed, n=(300, 300), p=200, shared=shared)
        ld = ld_scores(standardise(genotypes(300, 200, np.random.default_rng(seed))))
        fit = genetic_correlation_from_summaries(*study.z, ld, n1=300, n2=300, cross_intercept=fixed, blocks=20)
        found.append([*fit.components["estimate"], fit.table("intercepts")["estimate"].iloc[2]])
    return np.array(found)


def test_an_outside_panel_recovers_the_truth_over_simulations() -> None:
    found = draws(0.0, 0, 40)
    error = found.std(axis=0, ddof=1) / np.sqrt(40)
    assert (np.abs(found.mean(axis=0) - [0.5, 0.5, 0.25, 0.0])[:3] < 4.0 * error[:3]).all()


def test_people_in_both_bias_the_covariance_unless_their_intercept_is_given() -> None:
    # All 300 people in both, residuals equal: y_1 and y_2 correlate at .5 rho + .5 = .75, the intercept is as much.
    ignored, given = draws(0.0, 300, 30)[:, 2], draws(0.75, 300, 30)[:, 2]
    error = given.std(ddof=1) / np.sqrt(30)
    assert abs(given.mean() - 0.25) < 4.0 * error
    assert ignored.mean() - 0.25 > 8.0 * error


def table(z: Vector, n: float, a1: list[str], a2: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"rs{j}" for j in range(len(z))], "a1": a1, "a2": a2, "z": z, "n": n})


def test_alleles_are_turned_and_counted() -> None:
    first = table(np.arange(1.0, 7.0), 100, ["A", "A", "A", "A", "A", "C"], ["G", "G", "G", "G", "T", "A"])
    second = table(np.arange(1.0, 7.0), 200, ["A", "G", "T", "C", "A", "C"], ["G", "A", "C", "T", "T", "G"])
    matched = match_studies(first, second)
    assert list(matched.ids) == ["rs0", "rs1", "rs2", "rs3"]
    np.testing.assert_array_equal(matched.z2, [1.0, -2.0, 3.0, -4.0])
    assert matched.counts["flipped"] == 2
    assert matched.counts["other strand"] == 2
    assert matched.counts["dropped as ambiguous"] == 1
    assert matched.counts["dropped for other alleles"] == 1
    assert len(match_studies(first, second, drop_ambiguous=False).ids) == 5


def test_tables_in_any_order_and_orientation_give_the_numbers_of_vectors(tmp_path: Path) -> None:
    study = simulate(4)
    rng = np.random.default_rng(5)
    panel = standardise(ArraySource(genotypes(300, 120, rng), names=[f"rs{j}" for j in range(120)]))
    plain = genetic_correlation_from_summaries(*study.z, panel, n1=400, n2=500, blocks=12)
    first, second = (table(z, len(y), ["A"] * 120, ["G"] * 120) for z, y in zip(study.z, study.y, strict=True))
    turn = rng.uniform(size=120) < 0.5
    second.loc[turn, ["a1", "a2"]] = ["G", "A"]
    second.loc[turn, "z"] *= -1.0
    second = second.sample(frac=1.0, random_state=1)
    fit = genetic_correlation_from_summaries(first, second, panel, blocks=12)
    np.testing.assert_allclose(fit.components["estimate"], plain.components["estimate"], rtol=1e-12)
    np.testing.assert_allclose(fit.correlation["estimate"], plain.correlation["estimate"], rtol=1e-12)
    np.testing.assert_allclose(fit.covariance(), plain.covariance(), rtol=1e-9)
    assert int(fit.sample.set_index("cause").loc["flipped", "count"]) == int(turn.sum())
    text = fit.summary()
    assert "Genetic correlation" in text
    assert "12 blocks" in text
    assert list(fit.tidy()["term"]) == ["var__study1", "var__study2", "cov__study1.study2", "cor__study1.study2"]
    path = tmp_path / "fit.json"
    fit.save(path)
    assert vm.load(path) == fit


def test_raw_panels_and_plain_scores_serve_as_ld() -> None:
    study = simulate(7)
    z = [np.append(part, 9.0) for part in study.z]
    raw = [np.column_stack([design.source.read(None, 0, 120), np.ones(design.n)]) for design in study.designs]
    options = {"n1": 400, "n2": 500, "blocks": 10}
    # The last column does not vary in either panel: its z scores are left out.
    for ld, expected in ((tuple(raw), study.designs), (raw[0], study.designs[0])):
        fit = genetic_correlation_from_summaries(*z, ld, **options)
        plain = genetic_correlation_from_summaries(*study.z, expected, **options)
        np.testing.assert_allclose(fit.components["estimate"], plain.components["estimate"], rtol=1e-10)
    scores = ld_scores(study.designs[0])
    by_scores = genetic_correlation_from_summaries(*study.z, scores.first, **options)
    np.testing.assert_allclose(by_scores.components["estimate"], plain.components["estimate"], rtol=1e-12)
    raw[0][:, 5] = 2.0
    left = genetic_correlation_from_summaries(*z, tuple(raw), **options)
    keep = np.setdiff1d(np.arange(120), [5])
    part = tuple(standardise(G[:, keep]) for G in raw)
    expected = genetic_correlation_from_summaries(*(score[keep] for score in study.z), part, **options)
    np.testing.assert_allclose(left.components["estimate"], expected.components["estimate"], rtol=1e-10)
    with pytest.raises(AlignmentError, match="3 panels"):
        genetic_correlation_from_summaries(*z, (*raw, raw[0]), **options)


def test_bad_input_is_refused_by_name() -> None:
    study = simulate(6)
    z1, z2 = study.z
    ld = paired_ld_scores(*study.designs)
    broken = z1.copy()
    broken[7] = np.nan
    with pytest.raises(NotFiniteError, match="variant 7"):
        genetic_correlation_from_summaries(broken, z2, ld, n1=400, n2=500)
    with pytest.raises(ShapeError, match="second"):
        genetic_correlation_from_summaries(z1, z2[:-1], ld, n1=400, n2=500)
    with pytest.raises(NotFiniteError, match="positive"):
        genetic_correlation_from_summaries(z1, z2, ld, n1=0, n2=500)
    with pytest.raises(OptionError, match="missing"):
        genetic_correlation_from_summaries(z1, z2, ld, n1=400)
    with pytest.raises(OptionError, match="cross_intercept"):
        genetic_correlation_from_summaries(z1, z2, ld, n1=400, n2=500, cross_intercept="guess")
    with pytest.raises(OptionError, match="blocks"):
        genetic_correlation_from_summaries(z1, z2, ld, n1=400, n2=500, blocks=1)
    with pytest.raises(AlignmentError, match="table"):
        genetic_correlation_from_summaries(table(z1, 1, ["A"] * 120, ["G"] * 120), z2, ld, n2=500)
    with pytest.raises(AlignmentError, match="column n"):
        match_studies(table(z1, 1, ["A"] * 120, ["G"] * 120).drop(columns="n"), pd.DataFrame())
    with pytest.raises(NotIdentifiedError, match="do not vary"):
        genetic_correlation_from_summaries(
            z1, z2, LdScores.single(np.ones(120)), n1=4, n2=5, cross_intercept="estimate"
        )
    with pytest.raises(NotIdentifiedError, match="sum to 0"):
        solve_products(np.zeros((3, 5)), (1.0, 1.0, 0.0))
