"""What a fit shows: columns that scripts rely on, text and HTML."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import NotAvailableError, OptionError


def test_components_have_the_columns_that_scripts_rely_on(told: Any) -> None:
    table = told.fit.components
    wanted = ["term", "name", "estimate", "sd", "se", "lower", "upper"]
    assert [name for name in table.columns if name in wanted] == wanted
    assert table["term"].iloc[-1] == "residual"
    inside = table["estimate"] >= 0.0
    np.testing.assert_allclose(table["sd"][inside], np.sqrt(table["estimate"][inside]))
    assert table["sd"][~inside].isna().all()
    assert (table["lower"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["upper"]).all()
    assert (table["on_boundary"] == (table["estimate"] == 0.0)).all()


def test_proportions_sum_to_one(told: Any) -> None:
    table = told.fit.proportions
    assert list(table["term"]) == list(told.fit.components["term"])
    assert table["estimate"].sum() == pytest.approx(1.0)
    assert (table["lower"] <= table["estimate"] + 1e-12).all()
    assert (table["estimate"] <= table["upper"] + 1e-12).all()


def test_coefficients_are_indexed_by_column_name(by_formula: Any, narrow: Any) -> None:
    table = narrow.fit.coefficients
    assert list(table.columns) == ["estimate", "se", "df", "statistic", "p", "lower", "upper"]
    assert list(table.index) == ["(Intercept)", "z1", "z2"]
    assert (table["df"] == 37.0).all()
    np.testing.assert_allclose(table["statistic"], table["estimate"] / table["se"])
    assert list(by_formula.fit.coefficients.index) == ["(Intercept)", "age", "sexm"]


def test_tidy_has_the_columns_of_broom_mixed(told: Any) -> None:
    table = told.fit.tidy()
    assert list(table.columns) == [
        "effect", "group", "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"
    ]  # fmt: skip
    assert len(table) == len(told.fit.coefficients) + len(told.fit.components)
    assert set(table["effect"]) <= {"fixed", "ran_pars"}
    assert table["group"].iloc[-1] == "Residual"
    np.testing.assert_array_equal(table["estimate"].iloc[-2:], told.fit.components["estimate"].iloc[-2:])
    other = told.fit.tidy(level=0.5)
    narrower = other["conf_high"] - other["conf_low"] <= table["conf_high"] - table["conf_low"]
    assert (narrower | np.isinf(table["conf_high"]) | (table["conf_high"] == table["conf_low"])).all()
    with pytest.raises(OptionError, match="level"):
        told.fit.tidy(level=2.0)


def test_glance_is_one_row_named_by_the_criterion(told: Any) -> None:
    table, facts = told.fit.glance(), told.fit.facts
    assert len(table) == 1
    named = "REMLcrit" if facts["criterion"] == "reml" else "deviance"
    assert list(table.columns) == ["nobs", "sigma", "logLik", "AIC", "BIC", named, "df_residual"]
    assert table["nobs"][0] == 40
    if math.isfinite(told.fit.log_likelihood):
        parameters = len(told.fit.components) + (len(told.fit.coefficients) if facts["criterion"] == "ml" else 0)
        assert table["AIC"][0] == pytest.approx(-2 * told.fit.log_likelihood + 2 * parameters)
        assert told.fit.deviance == pytest.approx(-2 * told.fit.log_likelihood)


def test_augment_adds_up_row_by_row(told: Any, by_formula: Any) -> None:
    table = told.fit.augment()
    assert len(table) == 40
    np.testing.assert_allclose(table["fitted"] + table["resid"], table["y"], rtol=1e-12)
    np.testing.assert_allclose(table["fitted"], told.fit.predict())
    terms = told.fit.components["term"][:-1]
    kinds = [term.kind for term in told.fit.report.model.terms]
    if set(kinds) == {"kernel"}:
        total = sum(told.fit.effects(term)["estimate"].to_numpy() for term in terms)
        np.testing.assert_allclose(table["fixed"] + total, table["fitted"], rtol=1e-9)
    named = by_formula.fit.augment()
    assert list(named.columns[:3]) == ["FID", "IID", "row"]
    assert named["IID"].tolist()[:2] == ["s0", "s1"]


def test_progress_and_starts_are_in_the_units_of_the_data(told: Any) -> None:
    progress, fit = told.fit.progress, told.fit
    assert {"step", "scheme", "evaluations", "log_likelihood", "newton_decrement"} <= set(progress.columns)
    terms = list(fit.components["term"])
    np.testing.assert_allclose(progress[terms].iloc[-1].to_numpy(dtype=float), fit.components["estimate"])
    if fit.criterion != "moments":
        assert progress["log_likelihood"].iloc[-1] == pytest.approx(fit.log_likelihood)
        assert progress["log_likelihood"].is_monotonic_increasing or progress["log_likelihood"].diff().min() > -1e-9
        starts = fit.starts
        assert len(starts) == fit.facts["starts"]
        assert starts["reached_best"].any()
        assert {f"{term} (end)" for term in terms} <= set(starts.columns)


def test_tables_are_copies(narrow: Any) -> None:
    table = narrow.fit.components
    table.loc[0, "estimate"] = -5.0
    assert narrow.fit.components["estimate"][0] > 0.0


def test_the_summary_tells_what_it_should_and_prints_nothing(told: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = told.fit.summary()
    assert capsys.readouterr().out == ""
    assert str(told.fit) == text
    for word in ("Variance components", "Proportions of variance", told.fit.status.name, "residual", "n = 40"):
        assert word in text
    if told.fit.criterion == "moments":
        assert "closed form" in text
    else:
        assert "standard errors from the optimum" in text
    assert max(len(line) for line in text.splitlines()) < 140
    assert "nan" not in text.lower().replace("nanm", "")
    assert told.fit.status.name in repr(told.fit)


def test_html_escapes_names(narrow: Any) -> None:
    data = narrow.data
    fit = vm.variance_components(
        pd.Series(data.y, name="<script>alert(1)</script>"), designs={"<img src=x>": data.X[0]}
    )
    page = fit._repr_html_()
    assert "<script>" not in page
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page


def test_html_names_the_same_tables_as_the_text(told: Any) -> None:
    page = told.fit._repr_html_()
    assert page.count("<table") == 3
    assert told.fit.status.name in page


def test_what_a_model_does_not_have_is_refused_by_name(narrow: Any) -> None:
    for name in ("shares", "classes"):
        with pytest.raises(NotAvailableError, match=name):
            getattr(narrow.fit, name)
    with pytest.raises(NotAvailableError, match="components"):
        narrow.fit.table("nothing")


def test_many_starts_tell_how_many_reached_the_best(narrow: Any) -> None:
    data = narrow.data
    fit = vm.variance_components(data.y, designs={"x": data.X[0]}, starts=5, rng=3)
    assert fit.facts["starts_at_best"] == fit.starts["reached_best"].sum() == 5
    again = vm.variance_components(data.y, designs={"x": data.X[0]}, starts=5, rng=np.random.default_rng(3))
    pd.testing.assert_frame_equal(again.starts.drop(columns="seconds"), fit.starts.drop(columns="seconds"))
