"""A genetic correlation as a Fit: tables, tests, intervals, files; numbers against dense algebra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

import varmix as vm
from varmix.errors import NotAvailableError, OptionError
from varmix.genotype import standardise


def simulate() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    G = rng.binomial(2, 0.4, size=(70, 50)).astype(float)
    b = rng.standard_normal((2, 50))
    b[1] += b[0]
    X = standardise(G).array()
    e = rng.standard_normal((2, 70))
    return 10.0 * (X @ b[0] + e[0]), 0.1 * (X @ b[1] + e[0] + e[1]), G


@pytest.fixture(scope="module", params=["newton, reml", "pxem, ml"])
def fit(request: pytest.FixtureRequest) -> vm.Fit:
    y1, y2, G = simulate()
    method, criterion = request.param.split(", ")
    age = np.linspace(0.0, 1.0, 70)
    return vm.genetic_correlation(y1, y2, G, G, age, method=method, criterion=criterion)


@pytest.fixture(scope="module")
def moments() -> vm.Fit:
    y1, y2, G = simulate()
    return vm.genetic_correlation(y1, y2, G, G, method="moments", blocks=5)


def test_tables_have_the_columns_that_scripts_rely_on(fit: vm.Fit, moments: vm.Fit) -> None:
    for one in (fit, moments):
        table = one.components
        wanted = ["term", "name", "estimate", "sd", "se", "lower", "upper"]
        assert [name for name in table.columns if name in wanted] == wanted
        terms = ["genetic_1", "genetic_2", "genetic_12", "residual_1", "residual_2", "residual_12"]
        assert list(table["term"]) == terms
        assert list(one.covariance().index) == terms
        np.testing.assert_allclose(np.sqrt(np.diag(one.covariance())), table["se"])
        assert list(one.correlation.columns) == ["term", "estimate", "se", "lower", "upper", "interval", "on_boundary"]
        s1, s2, s12 = table["estimate"][:3]
        np.testing.assert_allclose(one.correlation["estimate"], s12 / np.sqrt(s1 * s2))
        assert set(one.sample.columns) == {"what", "cause", "count"}
        tidy = one.tidy(level=0.5)
        row = tidy[tidy["term"] == "cor__y1.y2"].iloc[0]
        assert (row["conf_low"], row["conf_high"]) == one.interval("correlation", level=0.5)
        assert one.glance()["nobs"].iloc[0] == 140


def test_the_rows_of_both_responses_add_up(fit: vm.Fit) -> None:
    y1, y2, G = simulate()
    table = fit.augment()
    assert list(table.columns) == ["response", "row", "y", "fixed", "fitted", "resid"]
    assert table["response"].tolist() == ["y1"] * 70 + ["y2"] * 70
    assert table["row"].tolist() == [*range(70), *range(70)]
    y = np.concatenate([y1, y2])
    np.testing.assert_allclose(table["y"], y, rtol=1e-14)
    np.testing.assert_allclose(table["fitted"] + table["resid"], y, rtol=1e-12)
    Z = np.column_stack([np.ones(70), np.linspace(0.0, 1.0, 70)])
    effects = fit.coefficients["estimate"].to_numpy()
    fixed = np.concatenate([Z @ effects[:2], np.full(70, effects[2])])  # age is a covariate of the first response only
    np.testing.assert_allclose(table["fixed"], fixed, rtol=1e-9)
    s1, s2, s12, e1, e2, e12 = fit.components["estimate"]
    X = standardise(G).array()
    rest = np.kron([[e1, e12], [e12, e2]], np.eye(70))
    V = np.kron([[s1, s12], [s12, s2]], X @ X.T) + rest
    # Condition number of V times rounding, in units of the responses of 10 and 0.1.
    np.testing.assert_allclose(table["resid"], rest @ np.linalg.solve(V, y - fixed), rtol=1e-7, atol=1e-8)


def test_likelihood_and_fixed_effects_are_those_of_dense_algebra(fit: vm.Fit) -> None:
    y1, y2, G = simulate()
    X, n = standardise(G).array(), 70
    s1, s2, s12, e1, e2, e12 = fit.components["estimate"]
    K, eye = X @ X.T, np.eye(n)
    V = np.kron([[s1, s12], [s12, s2]], K) + np.kron([[e1, e12], [e12, e2]], eye)
    y = np.concatenate([y1, y2])
    one = np.column_stack([np.ones(n), np.linspace(0.0, 1.0, n)])
    Z = np.zeros((2 * n, 3))
    Z[:n, :2], Z[n:, 2] = one, 1.0
    W = np.linalg.solve(V, Z)
    inner = Z.T @ W
    w = np.linalg.solve(inner, W.T @ y)
    np.testing.assert_allclose(fit.coefficients["estimate"], w, rtol=1e-8)
    np.testing.assert_allclose(fit.coefficients["se"], np.sqrt(np.linalg.inv(inner).diagonal()), rtol=1e-8)
    r = y - Z @ w
    value = -0.5 * (np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r) + 2 * n * np.log(2.0 * np.pi))
    if fit.criterion == "reml":
        value += 0.5 * (3 * np.log(2.0 * np.pi) - np.linalg.slogdet(inner)[1])
    np.testing.assert_allclose(fit.log_likelihood, value, rtol=1e-10)
    np.testing.assert_allclose(fit.progress["log_likelihood"].iloc[-1], value, rtol=1e-10)
    last = fit.progress[list(fit.components["term"])].iloc[-1].astype(float)
    np.testing.assert_allclose(last, [s1, s2, s12, e1, e2, e12])


def test_the_profile_interval_inverts_the_likelihood_ratio(fit: vm.Fit) -> None:
    test = fit.test("correlation")
    assert test.weights == (0.0, 1.0)
    assert test.p_value == pytest.approx(float(chi2.sf(test.statistic, 1)))
    assert fit.facts["test_p"] == test.p_value
    drop = 2.0 * (fit.log_likelihood - fit.facts["null_log_likelihood"])
    assert drop == pytest.approx(test.statistic, abs=1e-9 * abs(fit.log_likelihood))
    # rho = 0 is inside the interval of a level exactly when the test does not reject at it.
    for level in (0.5, 0.9, 0.999):
        low, high = fit.interval("correlation", kind="profile", level=level)
        assert (low <= 0.0 <= high) == (test.p_value >= 1.0 - level)
    path = fit.profile("correlation", points=9, level=0.9)
    # The maximum refitted with rho held differs by rounding.
    assert path["log_likelihood"].max() == pytest.approx(0.0, abs=1e-9)
    low, high = fit.interval("correlation", kind="profile", level=0.9)
    end = path["log_likelihood"].iloc[0] if low > -1.0 else path["log_likelihood"].iloc[-1]
    # Ends are found to 1e-5 in rho.
    assert -end == pytest.approx(0.5 * float(chi2.ppf(0.9, 1)), rel=1e-3)


def test_a_saved_fit_is_equal_and_shows_the_same(fit: vm.Fit, moments: vm.Fit, tmp_path: Path) -> None:
    for one in (fit, moments):
        one.save(tmp_path / "fit.json")
        loaded = vm.load(tmp_path / "fit.json")
        assert loaded == one
        assert loaded.summary() == one.summary()
        assert loaded._repr_html_() == one._repr_html_()
        assert loaded.tidy().equals(one.tidy())
        for text in (one.summary(), one._repr_html_()):
            assert "Genetic correlation" in text
            assert "genetic_12" in text
        with pytest.raises(NotAvailableError, match="loaded"):
            loaded.test("correlation")


def test_the_path_can_be_drawn(fit: vm.Fit, moments: vm.Fit) -> None:
    pytest.importorskip("matplotlib")
    assert fit.plot.progress() is not None
    assert fit.plot.components() is not None
    with pytest.raises(NotAvailableError):
        moments.plot.progress()


def test_what_is_not_there_is_refused_by_name(fit: vm.Fit, moments: vm.Fit) -> None:
    with pytest.raises(OptionError, match="genetic_1"):
        fit.interval("height")
    with pytest.raises(OptionError, match="kind"):
        fit.interval("correlation", kind="guess")
    with pytest.raises(OptionError, match="Unknown option 'of'"):
        fit.interval("correlation", of="variance")
    with pytest.raises(NotAvailableError, match="Wald"):
        fit.interval("genetic_1", kind="profile")
    with pytest.raises(OptionError, match="correlation"):
        fit.test("genetic_1")
    with pytest.raises(NotAvailableError, match="predict"):
        fit.predict()
    with pytest.raises(NotAvailableError, match="coefficients"):
        _ = moments.coefficients
    with pytest.raises(NotAvailableError, match="observed"):
        fit.covariance("observed")
    low, high = fit.interval("residual_1", level=0.5)
    row = fit.components.iloc[3]
    assert row["lower"] < low < row["estimate"] < high < row["upper"]
