"""The public function for two cohorts or two traits: units, alleles, overlap, the report, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.api import genetic_correlation
from varmix.errors import (
    AlignmentError,
    ConvergenceWarning,
    DataError,
    NotAvailableError,
    NotFiniteError,
    NotIdentifiedError,
    OptionError,
    RepairWarning,
    ShapeError,
)
from varmix.genotype import ArraySource, StandardisedDesign, standardise
from varmix.iteration import Status
from varmix.typing import Matrix, Vector

Sample = tuple[Vector, Vector, Matrix, Matrix]


def simulate(rho: float = 0.6, seed: int = 0, n: tuple[int, int] = (90, 80), p: int = 50) -> Sample:
    rng = np.random.default_rng(seed)
    G = [rng.binomial(2, 0.4, size=(size, p)).astype(float) for size in n]
    b = rng.standard_normal((2, p))
    b[1] = rho * b[0] + np.sqrt(1.0 - rho**2) * b[1]
    y = [standardise(g).array() @ e * 0.8 + 0.6 * rng.standard_normal(len(g)) for g, e in zip(G, b, strict=True)]
    return y[0], y[1], G[0], G[1]


class WithAlleles(ArraySource):
    """An array whose variants have alleles, as PLINK files have."""

    table: pd.DataFrame

    @property
    def variants(self) -> pd.DataFrame:
        return self.table


def count(fit: vm.Fit, cause: str) -> int:
    return int(fit.sample.set_index("cause").loc[cause, "count"])


def named(G: Matrix, people: list[str], swap: np.ndarray | None = None) -> StandardisedDesign:
    p = G.shape[1]
    variants = pd.DataFrame({"chromosome": "1", "id": [f"rs{j}" for j in range(p)], "position": range(p)})
    variants["allele_1"], variants["allele_2"] = "A", "G"
    if swap is not None:
        variants.loc[swap, ["allele_1", "allele_2"]] = ["G", "A"]
        G = np.where(swap, 2.0 - G, G)
    source = WithAlleles(G, sample_ids=people)
    source.table = variants
    return standardise(source)


@pytest.mark.parametrize("method", ["newton", "moments"])
@pytest.mark.parametrize("criterion", ["reml", "ml"])
def test_units_of_the_responses_go_through(method: str, criterion: str) -> None:
    y1, y2, G1, G2 = simulate()
    one, two = standardise(G1), standardise(G2)
    age = np.linspace(-1.0, 1.0, len(y1))
    options = {"method": method, "criterion": criterion}
    fits = (
        genetic_correlation(y1, y2, one, two, age, **options),
        genetic_correlation(1e6 * y1 + 3e6 * age, 1e-3 * y2 + 7.0, one, two, age, **options),
    )
    plain, scaled = (fit.report.found for fit in fits)
    units = np.array([1e12, 1e-6, 1e3, 1e12, 1e-6])
    np.testing.assert_allclose(scaled.estimates, plain.estimates * units, rtol=1e-6)
    np.testing.assert_allclose(scaled.covariance, plain.covariance * np.outer(units, units), rtol=1e-5)
    np.testing.assert_allclose([scaled.rho, scaled.se], [plain.rho, plain.se], rtol=1e-6)
    if method == "newton":
        rows = np.array([88, 79]) if criterion == "reml" else np.array([90, 80])
        shift = rows @ np.log([1e6, 1e-3])
        np.testing.assert_allclose(fits[1].log_likelihood, fits[0].log_likelihood - shift, rtol=1e-9)
        tests = [fit.test("correlation") for fit in fits]
        np.testing.assert_allclose(tests[1].statistic, tests[0].statistic, rtol=1e-6)
        nulls = [fit.facts["null_log_likelihood"] for fit in fits]
        np.testing.assert_allclose(nulls[1], nulls[0] - shift, rtol=1e-9)
        effects = [fit.coefficients["estimate"].to_numpy() for fit in fits]
        # y1 got 3e6 age on top of 1e6 times itself, y2 7 on top of a thousandth.
        np.testing.assert_allclose(
            effects[1], effects[0] * [1e6, 1e6, 1e-3] + [0.0, 3e6, 7.0], rtol=1e-6, atol=1e-3 * 1e-3
        )


def test_pxem_and_newton_report_the_same_fit() -> None:
    y1, y2, G1, G2 = simulate(seed=1)
    one, two = standardise(G1), standardise(G2)
    fits = [genetic_correlation(y1, y2, one, two, method=method) for method in ("newton", "pxem")]
    tables = [fit.components["estimate"] for fit in fits]
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-6)
    assert fits[0].status is Status.CONVERGED
    assert fits[0].certificate.newton_decrement < 1e-8
    rho = fits[0].correlation["estimate"].iloc[0]
    for kind in ("wald", "profile"):
        low, high = fits[0].interval("correlation", kind=kind)
        assert -1.0 <= low <= rho <= high <= 1.0


def test_alleles_counted_the_other_way_do_not_change_the_fit() -> None:
    y1, y2, G1, G2 = simulate(seed=2)
    swap = np.random.default_rng(0).uniform(size=G1.shape[1]) < 0.5
    one = named(G1, [f"a{i}" for i in range(90)])
    plain = genetic_correlation(y1, y2, one, named(G2, [f"b{i}" for i in range(80)]), method="moments")
    turned = genetic_correlation(y1, y2, one, named(G2, [f"b{i}" for i in range(80)], swap), method="moments")
    np.testing.assert_allclose(turned.components["estimate"], plain.components["estimate"], rtol=1e-9)
    assert count(turned, "alleles flipped") == int(swap.sum())
    assert count(plain, "alleles flipped") == 0


def test_people_in_both_are_found_by_id_or_told() -> None:
    y1, y2, G1, G2 = simulate(seed=3)
    G2[:30] = G1[10:40]
    people = [f"b{i}" for i in range(80)]
    people[:30] = [f"a{i}" for i in range(10, 40)]
    one, two = named(G1, [f"a{i}" for i in range(90)]), named(G2, people)
    found = genetic_correlation(y1, y2, one, two, method="moments")
    told = genetic_correlation(y1, y2, one, two, method="moments", overlap=(np.arange(10, 40), np.arange(30)))
    assert count(found, "people in both") == 30
    assert found.components["term"].iloc[-1] == "residual_12"
    assert found.report.found.names[-1] == "e_12"
    pd.testing.assert_frame_equal(found.components, told.components)
    apart = genetic_correlation(y1, y2, one, two, method="moments", overlap="none")
    assert "residual_12" not in apart.components["term"].tolist()
    assert len(apart.components) == 5


def test_the_jackknife_equals_a_fit_without_each_block() -> None:
    y1, y2, G1, G2 = simulate(seed=5)
    one, two = standardise(G1), standardise(G2)
    fit = genetic_correlation(y1, y2, one, two, np.linspace(0.0, 1.0, 90), method="moments", blocks=6)
    found = fit.report.found
    assert found.without_block is not None
    edges = np.linspace(0, 50, 7).round().astype(int)
    rho = []
    for j, left in enumerate(found.without_block):
        keep = np.r_[0 : edges[j], edges[j + 1] : 50]
        parts = (standardise(G[:, keep]) for G in (G1, G2))
        expected = genetic_correlation(y1, y2, *parts, np.linspace(0.0, 1.0, 90), method="moments")
        np.testing.assert_allclose(left, expected.components["estimate"], rtol=1e-8)
        rho.append(float(expected.correlation["estimate"].iloc[0]))
    spread = np.sqrt(5.0 / 6.0 * np.sum((np.array(rho) - np.mean(rho)) ** 2))
    np.testing.assert_allclose(found.jackknife_errors[-1], spread, rtol=1e-6)
    assert fit.table("jackknife")["se"].iloc[-1] == found.jackknife_errors[-1]
    low, high = fit.interval("correlation", kind="jackknife")
    np.testing.assert_allclose(high - low, 2.0 * 1.959963984540054 * spread, rtol=1e-6)
    assert "6 blocks" in fit.summary()


def test_a_response_that_effects_fit_exactly_is_not_called_converged() -> None:
    _, y2, G1, G2 = simulate(seed=7)
    one, two = standardise(G1), standardise(G2)
    exact = one.array() @ np.random.default_rng(0).standard_normal(50)
    for method in ("newton", "pxem"):
        with pytest.warns(ConvergenceWarning):
            fit = genetic_correlation(exact, y2, one, two, method=method)
        assert not fit.status.arrived
        assert list(fit.correlation["interval"]) == ["none"]
        assert np.isnan(fit.interval("correlation", kind="profile")).all()
        assert fit.components[["lower", "upper"]].isna().all(axis=None)
        assert "test_p" not in fit.facts
        with pytest.raises(NotAvailableError, match="not at an optimum"):
            fit.test("correlation")
        assert fit.status.name in fit.summary()


def test_two_traits_of_one_sample_share_every_row() -> None:
    y1, _, G1, _ = simulate(seed=4)
    design = standardise(G1)
    y2 = 0.5 * y1 + np.random.default_rng(1).standard_normal(len(y1))
    fit = genetic_correlation(y1, y2, design, design)
    assert count(fit, "people in both") == len(y1)
    assert fit.status.arrived
    assert fit.components.set_index("term").loc["residual_12", "estimate"] > 0.0
    raw = genetic_correlation(y1, y2, G1, G1)
    pd.testing.assert_frame_equal(raw.components, fit.components)


def test_the_report_says_what_was_found() -> None:
    y1, y2, G1, G2 = simulate(rho=1.0, seed=6, n=(50, 50), p=40)
    one, two = standardise(G1), standardise(G2)
    for method in ("newton", "moments"):
        fit = genetic_correlation(y1, y2, one, two, method=method)
        text, frame, found = fit.summary(), fit.tidy(), fit.report.found
        assert f"{found.rho:.6g}" in text
        frame = frame[frame["effect"] == "ran_pars"].reset_index(drop=True)
        wanted = ["var__y1", "var__y2", "cov__y1.y2", "var__y1", "var__y2", "cor__y1.y2"]
        assert list(frame["term"]) == wanted
        assert list(frame["group"]) == ["genetic"] * 3 + ["Residual"] * 2 + ["genetic"]
        np.testing.assert_allclose(frame["estimate"], [*found.estimates, found.rho])
        if not found.within_cone:
            assert fit.status is Status.OUTSIDE_CONE
            assert "exceeds 1" in text
        if found.rho == 1.0 and method == "newton":
            assert "edge of its range" in text
            assert fit.correlation["on_boundary"].all()


def test_rho_is_not_defined_where_moments_give_a_negative_variance() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        _, y2, G1, G2 = simulate(seed=seed)
        fit = genetic_correlation(rng.standard_normal(90), y2, standardise(G1), standardise(G2), method="moments")
        if fit.components["estimate"].iloc[0] < 0.0:
            assert np.isnan(fit.correlation["estimate"]).all()
            assert fit.status is Status.OUTSIDE_CONE
            assert "not defined" in fit.summary()
            return
    pytest.fail("twenty responses of pure noise gave no negative estimate")


def test_a_variance_at_zero_is_reported_and_not_divided_by() -> None:
    rng = np.random.default_rng(1)
    for seed in range(20):
        _, y2, G1, G2 = simulate(seed=seed)
        y1 = rng.standard_normal(90)
        one, two = standardise(G1), standardise(G2)
        if genetic_correlation(y1, y2, one, two, method="moments").components["estimate"].iloc[0] > -0.1:
            continue
        fit = genetic_correlation(y1, y2, one, two)
        assert fit.status.arrived
        rho = float(fit.correlation["estimate"].iloc[0])
        assert np.isnan(rho) or abs(rho) <= 1.0
        assert fit.log_likelihood >= fit.facts["null_log_likelihood"] - 1e-8
        assert fit.summary()
        if np.isnan(rho):
            assert fit.interval("correlation") == (-1.0, 1.0)
            assert "not defined" in fit.summary()
        return
    pytest.fail("twenty responses of pure noise gave no negative estimate")


def test_bad_input_is_refused_by_name() -> None:
    y1, y2, G1, G2 = simulate()
    one, two = standardise(G1), standardise(G2)
    broken = y1.copy()
    broken[4] = np.nan
    with pytest.raises(NotFiniteError, match="row 4"):
        genetic_correlation(broken, y2, one, two)
    with pytest.raises(ShapeError, match="y2"):
        genetic_correlation(y1, y1, one, two)
    with pytest.raises(ShapeError, match="covariates2"):
        genetic_correlation(y1, y2, one, two, None, np.ones(3))
    with pytest.raises(OptionError, match="method"):
        genetic_correlation(y1, y2, one, two, method="mcmc")
    with pytest.raises(OptionError, match="jackknife"):
        genetic_correlation(y1, y2, one, two, blocks=5)
    with pytest.raises(OptionError, match="from 2"):
        genetic_correlation(y1, y2, one, two, method="moments", blocks=1)
    moments = genetic_correlation(y1, y2, one, two, method="moments")
    with pytest.raises(NotAvailableError, match="blocks="):
        moments.interval("correlation", kind="jackknife")
    for kind in ("wald", "profile"):
        with pytest.raises(OptionError, match="level"):
            genetic_correlation(y1, y2, one, two).interval("correlation", kind=kind, level=95)
    with pytest.raises(NotAvailableError, match="no likelihood"):
        moments.test("correlation")
    with pytest.raises(NotAvailableError, match="no likelihood"):
        moments.interval("correlation", kind="profile")
    with pytest.raises(AlignmentError, match="variants"):
        genetic_correlation(y1, y2, one, standardise(G2[:, :-1]))
    with pytest.raises(AlignmentError, match="without ids"):
        genetic_correlation(y1, y2, G1, G2[:, :-1])
    with pytest.raises(AlignmentError, match="repeated"):
        genetic_correlation(y1, y2, one, two, overlap=([0, 0], [1, 2]))
    with pytest.raises(ShapeError, match="equal"):
        genetic_correlation(y1, y2, one, two, overlap=([0, 1], [1]))
    noise = np.random.default_rng(0).standard_normal((90, 95))
    with pytest.raises(DataError, match=r"First cohort .* 90 complete rows"), pytest.warns(RepairWarning):
        genetic_correlation(y1, y2, one, two, noise)
    with pytest.raises(NotIdentifiedError, match="nothing is left"):
        genetic_correlation(y1, y2, one, two, noise[:, :88])
    with pytest.raises(DataError, match=r"First cohort .* no variance"):
        genetic_correlation(np.full(90, 3.0), y2, one, two)
    with pytest.raises(NotIdentifiedError, match="y1 does not vary"):
        genetic_correlation(3.0 + 2.0 * noise[:, 0], y2, one, two, noise[:, :2])
    with pytest.raises(NotIdentifiedError, match="multiple"):
        genetic_correlation(y1, 1.0 - 2.0 * y1, one, one)
    with pytest.raises(OptionError, match="formula"):
        genetic_correlation("y ~ age", y2, one, two)
    with pytest.raises(OptionError, match="overlap"):
        genetic_correlation(y1, y2, one, two, overlap="some")
    with pytest.raises(OptionError, match="criterion"):
        genetic_correlation(y1, y2, one, two, criterion="map")
    order = np.arange(50)[::-1]
    shuffled = replace(two, kept=two.kept[order], held=None)
    with pytest.raises(AlignmentError, match="same order"):
        genetic_correlation(y1, y2, one, shuffled)
