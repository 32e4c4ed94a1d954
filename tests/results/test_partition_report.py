"""Tables, text, predictions, draws and files of a fit of partitions agree with one another."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from mixed_samples import CELL_TYPES, PARTITIONS, Mixed, mixed
from numpy.testing import assert_allclose

import varmix as vm
from varmix.errors import (
    AlignmentError,
    NotAvailableError,
    NotFiniteError,
    NotIdentifiedError,
    OptionError,
    ShapeError,
    VarmixWarning,
)

WORDS = list(PARTITIONS.words)
# One model has several starts, the others climb once, to save time.
MODELS = {
    "plain": {"noise": "both", "starts": 3, "rng": 0},
    "full": {"noise": "full"},
    "moderated": {"noise": "both", "variance": "moderated"},
    "composite": {"noise": "both", "likelihood": "composite"},
    "per gene and block": {"variance": "per_gene_block"},
}


@pytest.fixture(scope="module")
def data() -> Mixed:
    return mixed(31, 60)


def fitted(S, sample_type, proportions, **options) -> vm.Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        return vm.partition_mixture(S, sample_type, proportions=proportions, **{"starts": 1, **options})


@pytest.fixture(scope="module", params=MODELS)
def fit(request, data) -> vm.Fit:
    return fitted(data.S, data.sample_type, data.proportions, **MODELS[request.param])


@pytest.fixture(scope="module")
def plain(data) -> vm.Fit:
    return fitted(data.S, data.sample_type, data.proportions, noise="both")


@pytest.fixture(scope="module")
def estimated(data) -> vm.Fit:
    return fitted(data.S, data.sample_type, data.partly, noise="both", starts=2, rng=0)


# Tables


def test_all_tables_are_there_and_shares_and_classes_sum_to_one(fit):
    for name in fit.report.tables:
        assert isinstance(fit.table(name), pd.DataFrame), name
    assert list(fit.shares.columns) == ["partition", "estimate", "se", "lower", "upper", "interval", "on_boundary"]
    assert list(fit.shares["partition"]) == WORDS
    assert fit.shares["estimate"].sum() == pytest.approx(1.0)
    assert (fit.shares["lower"].fillna(0.0) <= fit.shares["estimate"] + 1e-12).all()
    assert (fit.shares["upper"].fillna(1.0) >= fit.shares["estimate"] - 1e-12).all()
    classes = fit.classes
    assert list(classes.columns) == ["gene", "partition", "probability", "lfdr", "q_value", *WORDS]
    assert_allclose(classes[WORDS].sum(axis=1), 1.0, rtol=1e-12)
    assert (classes["probability"] == classes[WORDS].max(axis=1)).all()
    assert (classes["partition"] == classes[WORDS].idxmax(axis=1)).all()
    assert (classes["lfdr"] == classes["liver = brain = lung"]).all()


def test_q_values_are_means_of_the_rates_up_to_them(fit):
    ordered = fit.classes.sort_values("lfdr", kind="stable")
    assert (np.diff(ordered["q_value"]) >= -1e-15).all()
    running = ordered["lfdr"].cumsum() / np.arange(1, len(ordered) + 1)
    last = ordered.groupby("lfdr").tail(1).index  # genes of equal rates enter together
    assert_allclose(ordered.loc[last, "q_value"], running.loc[last], rtol=1e-12)
    assert (ordered["q_value"] <= ordered["lfdr"] + 1e-15).all()


def test_pairs_together_are_sums_of_partitions(fit):
    together, classes = fit.table("together"), fit.classes
    for t, u in combinations(CELL_TYPES, 2):
        shared = [word for word in WORDS if any({t, u} <= set(block.split(" = ")) for block in word.split(" | "))]
        assert_allclose(together[f"{t} = {u}"], classes[shared].sum(axis=1), atol=1e-12)


def test_differences_are_those_of_the_expression(fit):
    differences, expression = fit.table("differences"), fit.table("expression")
    for t, u in combinations(CELL_TYPES, 2):
        assert_allclose(differences[f"{t} - {u}"], expression[t] - expression[u], atol=1e-10)
        sd = differences[f"sd({t} - {u})"]
        widest = expression[f"sd({t})"] + expression[f"sd({u})"]
        assert (sd >= 0.0).all()
        assert (sd <= widest + 1e-9).all()


def test_effects_are_columns_of_the_expression(fit):
    table = fit.table("expression")
    pd.testing.assert_frame_equal(fit.effects("brain", sd=True), table[["gene", "brain", "sd(brain)"]])
    pd.testing.assert_frame_equal(fit.effects("expression"), table[["gene", *CELL_TYPES]])
    with pytest.raises(OptionError, match="liver, brain, lung"):
        fit.effects("heart")


def test_known_proportions_are_told_as_known_and_estimated_ones_with_errors(plain, estimated, data):
    table = plain.proportions
    assert (table["interval"] == "known").all()
    assert table[["se", "lower", "upper"]].isna().all(axis=None)
    assert_allclose(table["estimate"].to_numpy().reshape(5, 3), data.proportions)
    table = estimated.proportions
    rows = table.groupby("sample_type", sort=False)["estimate"].sum()
    assert_allclose(rows, 1.0, rtol=1e-9)
    own = table[table["sample_type"] == "mix 3"]
    assert (own["se"] > 0.0).all()
    assert (own["lower"] < own["estimate"]).all()
    assert (own["estimate"] < own["upper"]).all()
    assert (table.loc[table["sample_type"] != "mix 3", "interval"] == "known").all()


def test_tidy_has_every_parameter_once_and_glance_one_row(fit, estimated):
    for each in (fit, estimated):
        tidy = each.tidy()
        assert not tidy.duplicated(["effect", "group", "term"]).any()
        assert set(tidy.loc[tidy["effect"] == "share", "term"]) == set(WORDS)
        glance = each.glance()
        assert len(glance) == 1
        assert glance["nobs"].iloc[0] == 60
        assert glance["logLik"].iloc[0] == each.log_likelihood
    assert (estimated.tidy()["effect"] == "proportion").sum() == 3


def test_facts_are_json_and_count_what_was_estimated(fit, plain, estimated):
    for each in (fit, plain, estimated):
        json.dumps(each.facts)
    assert plain.facts["parameters"] == 4 + 4
    assert estimated.facts["parameters"] == 4 + 4 + 2
    assert plain.facts["aic"] == pytest.approx(2.0 * 8 - 2.0 * plain.log_likelihood)
    assert plain.facts["bic"] == pytest.approx(np.log(60) * 8 - 2.0 * plain.log_likelihood)
    assert plain.facts["n"] == 60
    assert plain.facts["partitions"] == 5


def test_tables_are_copies(plain):
    table = plain.classes
    table["lfdr"] = 7.0
    assert (plain.classes["lfdr"] <= 1.0).all()


def test_unknown_tables_are_named(plain):
    with pytest.raises(NotAvailableError, match="classes"):
        plain.table("heritability")


# Predictions


def test_genes_of_the_fit_are_predicted_as_they_were(fit, data):
    again = fit.predict(data.S)
    for name in ("classes", "expression", "together", "differences"):
        pd.testing.assert_frame_equal(getattr(again, name), fit.table(name), rtol=1e-8, atol=1e-10)
    assert fit.predict().classes.equals(fit.classes)


def test_new_genes_are_read_by_the_names_of_samples(fit):
    new = mixed(32, 12).S
    shuffled = fit.predict(new.iloc[:, ::-1])
    straight = fit.predict(new)
    pd.testing.assert_frame_equal(shuffled.classes, straight.classes)
    array = fit.predict(new.to_numpy())
    assert_allclose(array.classes[WORDS], straight.classes[WORDS], rtol=1e-12)
    few = new[["s4", "s0", "s5", "s1"]]  # variances per gene and block need replicates
    by_type = fit.predict(few, sample_type=["mix 1", "mix 0", "mix 1", "mix 0"])
    holes = fit.predict(new.where(new.columns.isin(few.columns)[None, :] & np.ones(new.shape, dtype=bool)))
    assert_allclose(by_type.classes[WORDS], holes.classes[WORDS], rtol=1e-8, atol=1e-12)


def test_samples_of_other_mixtures_are_predicted_by_their_proportions(fit, data):
    new = mixed(33, 10).S
    same = fit.predict(
        new, sample_type=list(data.sample_type), proportions=data.proportions[["lung", "brain", "liver"]]
    )
    assert_allclose(same.classes[WORDS], fit.predict(new).classes[WORDS], rtol=1e-8, atol=1e-12)
    pure = pd.DataFrame(np.eye(3), CELL_TYPES, CELL_TYPES)
    three = fit.predict(new.iloc[:, :6], sample_type=np.repeat(CELL_TYPES, 2), proportions=pure)
    assert len(three.classes) == 10
    rows = fit.predict(new.iloc[:, :6], proportions=np.repeat(np.eye(3), 2, axis=0))
    assert_allclose(rows.classes[WORDS], three.classes[WORDS], rtol=1e-10)


def test_a_gene_without_values_has_its_prior(plain):
    new = mixed(34, 2).S
    new.iloc[0] = np.nan
    told = plain.predict(new)
    assert_allclose(told.classes.loc[0, WORDS].astype(float), plain.shares["estimate"], rtol=1e-12)
    assert_allclose(told.expression.loc[0, CELL_TYPES].astype(float), plain.coefficients["estimate"].iloc[0])


def test_predictions_that_cannot_be_made_say_why(plain):
    new = mixed(35, 4).S
    with pytest.raises(AlignmentError, match="1 of the fit's 20 samples"):
        plain.predict(new.drop(columns="s3"))
    with pytest.raises(ShapeError, match="19 samples, the fit 20"):
        plain.predict(new.to_numpy()[:, :19])
    with pytest.raises(AlignmentError, match="no sample type 'mix 9'"):
        plain.predict(new.iloc[:, :1], sample_type=["mix 9"])
    with pytest.raises(ShapeError, match="1 labels in sample_type and 2 samples"):
        plain.predict(new.iloc[:, :2], sample_type=["mix 1"])
    with pytest.raises(NotFiniteError, match="infinite"):
        plain.predict(new.replace(new.iloc[0, 0], np.inf))
    with pytest.raises(NotFiniteError, match="1 new values are missing"):
        plain.predict(new.mask(new == new.iloc[0, 0]), on_missing="error")
    with pytest.raises(OptionError, match="on_missing"):
        plain.predict(new, on_missing="drop")
    with pytest.raises(ShapeError, match="row for each"):
        plain.predict(new, proportions=np.eye(3))
    with pytest.raises(NotIdentifiedError, match="not estimated"):
        plain.predict(new.iloc[:, :1], proportions=np.full((1, 3), np.nan))
    with pytest.raises((OptionError, TypeError)):
        plain.predict(new, samples="s3")


# Files


def test_a_saved_fit_says_the_same(fit, data, tmp_path):
    path = tmp_path / "fit.json"
    fit.save(path)
    loaded = vm.load(path)
    assert loaded == fit
    pd.testing.assert_frame_equal(loaded.classes, fit.classes)
    pd.testing.assert_frame_equal(loaded.effects("liver", sd=True), fit.effects("liver", sd=True))
    new = mixed(36, 5).S
    pd.testing.assert_frame_equal(loaded.predict(new).classes, fit.predict(new).classes, rtol=1e-12)
    assert loaded.summary() == fit.summary()


def test_fits_can_be_pickled_and_copied(fit):
    for other in (pickle.loads(pickle.dumps(fit)), copy.copy(fit), copy.deepcopy(fit)):
        assert other == fit
        pd.testing.assert_frame_equal(other.classes, fit.classes)


# Draws


def test_draws_have_the_labels_and_the_moments_of_the_model(plain):
    drawn = plain.report.simulate(np.random.default_rng(1))
    assert drawn.shape == (60, 20)
    assert list(drawn.columns) == [f"s{i}" for i in range(20)]
    assert list(drawn.index) == [f"gene {g}" for g in range(60)]
    many = np.concatenate([plain.report.simulate(np.random.default_rng(k)).to_numpy() for k in range(60)])
    assert many.mean() == pytest.approx(plain.coefficients["estimate"].iloc[0], abs=0.06)  # 3,600 genes: sd .014
    components = plain.components.set_index("term")["estimate"]
    noise = components["cell"] * 0.66 + components["measurement"]  # of the mixture (.8, .1, .1)
    within = many[:, :4].var(axis=1, ddof=1).mean()
    assert within == pytest.approx(noise, rel=4.0 * (2.0 / (3 * 3600)) ** 0.5)


def test_variances_per_gene_and_block_cannot_be_drawn(data):
    fit = fitted(data.S, data.sample_type, data.proportions, variance="per_gene_block")
    with pytest.raises(NotAvailableError, match="moderated"):
        fit.report.simulate(np.random.default_rng(0))


# Text


def test_the_summary_is_short_and_names_what_was_found(fit, estimated):
    for each in (fit, estimated):
        text = each.summary()
        assert len(text.splitlines()) < 70
        assert max(len(line) for line in text.splitlines()) <= 140
        assert "liver = brain = lung" in text
        assert "<table" in each._repr_html_()


@pytest.mark.parametrize(("cells", "count"), [(4, 15), (5, 52)])
def test_many_partitions_are_summarised_by_the_largest(cells, count):
    rng = np.random.default_rng(9)
    names = [f"c{k}" for k in range(cells)]
    P = pd.DataFrame(rng.dirichlet(np.ones(cells), 8), [f"m{d}" for d in range(8)], names)
    types = np.repeat(P.index, 2)
    S = 5.0 + rng.standard_normal((30, cells)) @ P.loc[types].to_numpy().T + 0.3 * rng.standard_normal((30, 16))
    fit = fitted(pd.DataFrame(S), list(types), P, noise="cell")
    assert fit.facts["partitions"] == count
    assert len(fit.summary().splitlines()) < 60
    assert len(fit._repr_html_()) < 60_000
    assert ("leading_shares" in fit.report.tables) is (count > 20)


# Paths under a prior, and a single sample


def test_paths_and_starts_tell_the_log_likelihood_and_under_a_prior_the_objective(data, plain):
    assert "objective" not in plain.starts.columns
    assert plain.starts["log_likelihood"].max() == pytest.approx(plain.log_likelihood, abs=1e-9)
    prior = vm.Dirichlet.around(data.proportions, 20.0)
    fit = fitted(data.S, data.sample_type, prior, noise="both", starts=1, rng=0)
    end = fit.progress.iloc[-1]
    assert end["log_likelihood"] == pytest.approx(fit.log_likelihood, abs=1e-8)
    assert end["objective"] == pytest.approx(fit.facts["objective"], abs=1e-8)
    assert end["objective"] != pytest.approx(end["log_likelihood"])
    assert np.isnan(fit.facts["aic"])
    assert np.isnan(fit.facts["bic"])


def test_a_sample_by_its_name_has_expression_of_each_cell_type(data):
    """With noise of cells alone, mixed by its proportions it is what the sample shows."""
    fit = fitted(data.S, data.sample_type, data.proportions, noise="cell")
    labels = fit.report.labels
    table = fit.effects(str(labels.samples[2]), sd=True)
    assert list(table.columns) == ["gene", *CELL_TYPES, *(f"sd({cell})" for cell in CELL_TYPES)]
    row, values = fit.report.estimates.proportions[labels.sample_type[2]], labels.values[:, 2]
    assert_allclose(table[list(CELL_TYPES)].to_numpy() @ row, values, rtol=1e-9, atol=1e-9 * np.abs(values).max())
    means = fit.table("expression")[list(CELL_TYPES)].to_numpy() @ row
    assert np.abs(means - values).max() > 1e-3 * np.abs(values).max()
