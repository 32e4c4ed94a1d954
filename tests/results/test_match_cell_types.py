"""Cell types whose names are arbitrary are named by known proportions, and nothing else changes."""

from __future__ import annotations

import warnings
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.api.dirichlet import Dirichlet
from varmix.api.partition_mixture import partition_mixture
from varmix.errors import NotAvailableError
from varmix.models.partition.partitions import all_partitions
from varmix.results.partition_mixture import intervals
from varmix.results.partition_mixture.matching import match_cell_types, matched_columns

CELLS = ["liver", "brain", "lung"]


def draw(genes=80, mixtures=6, replicates=2, seed=1, noise=0.05, grows=False):
    """Three sample types are nearly pure."""
    rng = np.random.default_rng(seed)
    labels = all_partitions(CELLS).labels
    rows = 0.97 * np.vstack([np.eye(3), rng.dirichlet(np.ones(3), mixtures - 3)]) + 0.01
    P = pd.DataFrame(rows[::-1], index=[f"mix{d}" for d in range(mixtures)], columns=CELLS)
    codes = np.repeat(np.arange(mixtures), replicates)
    X = np.empty((genes, 3))
    for g in range(genes):
        label = np.array(labels[rng.choice(5, p=[0.3, 0.1, 0.2, 0.05, 0.35])])
        X[g] = rng.gamma(4.0, 2.0, size=label.max() + 1)[label]
    means = X @ P.to_numpy().T[:, codes]
    S = means + noise * (0.5 * means if grows else 1.0) * rng.normal(size=means.shape)
    return pd.DataFrame(S, index=[f"gene{g}" for g in range(genes)]), [f"mix{d}" for d in codes], P


@pytest.fixture(autouse=True)
def no_profiles(monkeypatch):
    """Intervals by profile near the edges, where free proportions often are, take seconds."""
    monkeypatch.setattr(intervals, "AFFORDABLE", 0)


def fitted(S, labels, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vm.errors.VarmixWarning)
        return partition_mixture(S, labels, **{"cell_types": 3, "noise": "both", "starts": 2, "rng": 1} | options)


@pytest.fixture(scope="module")
def data():
    return draw()


@pytest.fixture(scope="module")
def fit(data):
    return fitted(*data[:2], proportions="free")


@pytest.fixture(scope="module")
def matched(fit, data):
    return match_cell_types(fit, data[2])


@pytest.fixture(scope="module")
def noisy():
    S, labels, P = draw(genes=30, grows=True)
    options = {"noise": ["measurement", "trend"], "starts": 1, "max_iterations": 20}  # the way up says as much
    found = fitted(S, labels, proportions=Dirichlet(1.05), **options)
    return found, P


def renamed(word, names):
    """A partition in words with other names of cell types, as a set of blocks."""
    return frozenset(frozenset(names[name.strip()] for name in block.split("=")) for block in word.split("|"))


def grid(fit, values=None):
    """Proportions, or other values by coordinate, as sample types x cell types."""
    estimates = fit.report.estimates
    values = estimates.values if values is None else values
    table = values[-estimates.proportions.size :].reshape(estimates.proportions.shape)
    return pd.DataFrame(table, index=fit.report.labels.sample_types, columns=fit.facts["cell_types"])


def shares(fit, names):
    """By blocks, whatever the order."""
    partitions = fit.report.problem.base.partitions
    return {
        renamed(word, names): share for word, share in zip(partitions.words, fit.report.estimates.shares, strict=True)
    }


SAME = {name: name for name in CELLS}


def new_names(fit, matched):
    """The name each cell type has got, by its proportions."""
    before, after = grid(fit), grid(matched)
    return {old: next(new for new in after if (after[new] == before[old]).all()) for old in before}


def test_the_assignment_is_the_best_of_all():
    rng = np.random.default_rng(3)
    for _ in range(20):
        estimated, known = rng.dirichlet(np.ones(4), 5), rng.dirichlet(np.ones(4), 5)
        known[rng.random(known.shape) < 0.2] = np.nan
        order = matched_columns(estimated, known)
        best = min(np.nansum(np.abs(estimated[:, list(p)] - known)) for p in permutations(range(4)))
        # Sums in another order.
        assert np.nansum(np.abs(estimated[:, order] - known)) == pytest.approx(best, rel=1e-12)


def test_estimates_follow_their_cell_types(fit, matched, data):
    assert matched.facts["cell_types"] == CELLS
    after, known = grid(matched), data[2].to_numpy()
    errors = {order: np.abs(after[list(order)].to_numpy() - known).sum() for order in permutations(CELLS)}
    assert min(errors, key=errors.get) == tuple(CELLS)
    assert errors[tuple(CELLS)] < 0.05 * known.size
    assert shares(fit, new_names(fit, matched)) == shares(matched, SAME)


@pytest.mark.parametrize("noise", ["shared", "grows"])
def test_the_likelihood_of_the_renamed_model_at_the_renamed_point_is_unchanged(noise, fit, matched, noisy):
    if noise == "grows":
        fit, matched = noisy[0], match_cell_types(*noisy)
    problem, outcome = matched.report.problem, matched.report.estimation.outcome
    # Sums over genes in the order of other partitions: rounding.
    assert matched.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12)
    assert problem.log_likelihood(outcome) == pytest.approx(
        fit.report.problem.log_likelihood(fit.report.estimation.outcome), rel=1e-12
    )
    assert matched.facts["objective"] == fit.facts["objective"]
    assert new_names(fit, matched).keys() == {"cell 1", "cell 2", "cell 3"}
    # A climb from the renamed point has arrived already.
    again = (
        problem.restricted(outcome.params, 1, float(problem.vector(outcome.params)[1])) if noise == "shared" else None
    )
    assert again is None or again.objective == pytest.approx(outcome.objective, abs=1e-6)


@pytest.mark.parametrize("noise", ["shared", "grows"])
def test_errors_and_genes_follow(noise, fit, matched, noisy):
    if noise == "grows":
        fit, matched = noisy[0], match_cell_types(*noisy)
    names = new_names(fit, matched)
    errors = [grid(found, found.report.estimates.standard_errors) for found in (fit, matched)]
    # The information is inverted in another order of coordinates; of noise that grows it is by differences, too.
    pd.testing.assert_frame_equal(
        errors[0].rename(columns=names)[CELLS], errors[1], rtol=1e-6 if noise == "shared" else 1e-3
    )
    swapped = names | {f"sd({old})": f"sd({new})" for old, new in names.items()}
    expression = fit.table("expression").rename(columns=swapped)
    told = matched.table("expression")
    pd.testing.assert_frame_equal(expression[told.columns], told, rtol=1e-9)
    before, after = fit.classes, matched.classes
    # Probabilities rest on eigenvectors in another order of cell types.
    for name in ("probability", "lfdr", "q_value"):
        np.testing.assert_allclose(before[name], after[name], rtol=1e-7, atol=1e-12)
    assert [renamed(word, names) for word in before["partition"]] == [
        renamed(word, SAME) for word in after["partition"]
    ]


def test_intervals_follow(fit, matched):
    for old, new in new_names(fit, matched).items():
        before, after = (fit.interval(f"proportion[mix1, {name}]") for fit, name in ((fit, old), (matched, new)))
        np.testing.assert_allclose(before, after, rtol=1e-6)  # as their standard errors
    told = [found.proportions["interval"].value_counts().to_dict() for found in (fit, matched)]
    assert told[0] == told[1]


def test_certificates_and_paths_follow(fit, matched):
    ends = matched.table("paths").groupby("start").last()
    starts = matched.starts.set_index("start")
    for name in [column for column in ends if column.startswith(("share[", "proportion["))]:
        np.testing.assert_array_equal(ends[name], starts[f"{name} (end)"])
    for report in (fit.report, matched.report):
        inner = report.estimates.inner
        zero = np.flatnonzero((inner == 0.0) & ~report.estimates.held)
        assert list(report.certificate.on_boundary) == zero[zero > 0].tolist()
    assert matched.status is fit.status


def test_predictions_simulations_and_files_have_the_new_names(matched, data, tmp_path):
    S, labels, _ = data
    again = matched.predict(S, sample_type=labels)
    pd.testing.assert_frame_equal(again.expression, matched.table("expression"), rtol=1e-9)
    assert matched.effects("lung").columns.tolist() == ["gene", "lung"]
    matched.save(tmp_path / "fit.json")
    assert vm.load(tmp_path / "fit.json") == matched
    assert matched.simulate(rng=1).shape == S.shape


def test_what_was_arbitrary_is_no_more(fit, matched):
    assert fit.facts["labels_arbitrary"]
    assert not matched.facts["labels_arbitrary"]
    assert not any("arbitrary" in note for note in matched.facts.get("warnings", []))
    assert any("arbitrary" in note for note in fit.facts["warnings"])
    assert "known proportions" in matched.facts["cell_types_matched"]
    assert "liver" in matched.summary()


def test_matching_again_changes_nothing_and_any_first_order_ends_alike(matched, data):
    known = data[2]
    twice = match_cell_types(matched, known)
    pd.testing.assert_frame_equal(grid(twice), grid(matched))
    turned = match_cell_types(match_cell_types(matched, known[["lung", "liver", "brain"]]), known)
    pd.testing.assert_frame_equal(grid(turned), grid(matched))
    assert shares(turned, SAME) == shares(matched, SAME)
    pd.testing.assert_frame_equal(turned.table("expression"), matched.table("expression"), rtol=1e-9)  # as above


def test_an_array_keeps_the_names_of_the_fit_and_sets_the_order(fit, matched, data):
    by_order = match_cell_types(fit, data[2].to_numpy())
    assert by_order.facts["cell_types"] == ["cell 1", "cell 2", "cell 3"]
    np.testing.assert_array_equal(grid(by_order), grid(matched))


def test_rows_of_other_sample_types_are_passed_over(fit, matched, data):
    more = pd.concat([pd.DataFrame([[1.0, 0.0, 0.0]], index=["pure"], columns=CELLS), data[2].iloc[::-1]])
    pd.testing.assert_frame_equal(grid(match_cell_types(fit, more)), grid(matched))


def test_what_is_not_arbitrary_is_refused(data, fit, tmp_path):
    S, labels, known = data
    with pytest.raises(NotAvailableError, match="were given"):
        match_cell_types(fitted(S, labels, proportions=known, cell_types=None), known)
    words = ["a | b = c", "a = b = c", "a | b | c"]
    odd = fitted(S, labels, proportions="free", partitions=words, cell_types=["a", "b", "c"])
    estimates = grid(odd)
    turned = estimates[["b", "a", "c"]].set_axis(CELLS, axis=1)
    with pytest.raises(NotAvailableError, match=r"one is 'liver = lung \| brain'"):
        match_cell_types(odd, turned)
    kept = match_cell_types(odd, estimates[["a", "c", "b"]].set_axis(CELLS, axis=1))
    told = ("liver | brain = lung", "liver = brain = lung", "liver | brain | lung")
    assert kept.report.problem.base.partitions.words == told
    alpha = pd.DataFrame([[2.0, 1.0, 1.0]] * 6, index=known.index, columns=["a", "b", "c"])
    prior = fitted(S, labels, proportions=Dirichlet(alpha), cell_types=None)
    estimates = grid(prior)
    with pytest.raises(NotAvailableError, match="Dirichlet prior"):
        match_cell_types(prior, estimates[["b", "a", "c"]].set_axis(CELLS, axis=1))
    fit.save(tmp_path / "fit.json")
    with pytest.raises(NotAvailableError, match="before"):
        match_cell_types(vm.load(tmp_path / "fit.json"), known)
    rng = np.random.default_rng(1)
    with pytest.raises(NotAvailableError, match="random_effect_mixture"):
        match_cell_types(vm.random_effect_mixture(rng.normal(size=50), rng.normal(size=50), starts=1), known)
