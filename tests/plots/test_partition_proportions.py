"""Proportions of cell types are drawn as they are estimated, and held against the right ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.api.partition_mixture import partition_mixture
from varmix.errors import AlignmentError, DataError, ShapeError
from varmix.models.partition.partitions import all_partitions
from varmix.plots import plot_proportions

CELLS = ["liver", "brain", "lung"]


def draw(genes=80, types=3, mixtures=6, replicates=2, seed=1, noise=0.2):
    rng = np.random.default_rng(seed)
    labels = all_partitions([str(t) for t in range(types)]).labels
    P = rng.dirichlet(np.full(types, 0.6), mixtures)
    codes = np.repeat(np.arange(mixtures), replicates)
    X = np.empty((genes, types))
    for g in range(genes):
        label = np.array(labels[rng.integers(len(labels))])
        X[g] = rng.normal(5.0, 2.0, size=label.max() + 1)[label]
    S = X @ P.T[:, codes] + noise * rng.normal(size=(genes, len(codes)))
    names = [f"gene{g}" for g in range(genes)]
    return pd.DataFrame(S, index=names), codes, P


@pytest.fixture(scope="module")
def data():
    return draw()


@pytest.fixture(scope="module")
def fit(data):
    S, codes, P = data
    known = pd.DataFrame(P, index=[f"mix{d}" for d in range(len(P))], columns=CELLS)
    return partition_mixture(S, [f"mix{d}" for d in codes], proportions=known, noise="measurement")


@pytest.fixture(scope="module")
def free(data):
    S, codes, _ = data
    labels = [f"mix{d}" for d in codes]
    with pytest.warns(vm.errors.VarmixWarning):
        return partition_mixture(S, labels, proportions="free", cell_types=3, noise="measurement", starts=3, rng=1)


@pytest.fixture(scope="module")
def truth(data):
    return pd.DataFrame(data[2], index=[f"mix{d}" for d in range(len(data[2]))], columns=CELLS)


def title(figure):
    return figure.axes[0].get_title(loc="left")


def points(figure):
    """(known, estimated) of every point, by the label of its cell type."""
    return {container.get_label(): np.column_stack(container[0].get_data()) for container in figure.axes[0].containers}


def test_cell_types_with_arbitrary_names_are_matched_before_they_are_compared(free, truth):
    figure = free.plot.proportions(truth)
    found = points(figure)
    assert [label.split(" (")[0] for label in found] == CELLS
    errors = np.concatenate([np.abs(xy[:, 0] - xy[:, 1]) for xy in found.values()])
    assert f"mean absolute error {errors.mean():.3g}" in title(figure)
    x, y = np.concatenate(list(found.values())).T
    assert f"Correlation {np.corrcoef(x, y)[0, 1]:.3f}" in title(figure)
    assert np.corrcoef(x, y)[0, 1] > 0.95
    shuffled = plot_proportions(free, truth[["lung", "liver", "brain"]].iloc[::-1])
    assert title(shuffled) == title(figure)
    for name, xy in points(shuffled).items():
        np.testing.assert_array_equal(xy, found[name])


def test_error_bars_are_the_intervals(free, truth):
    table = free.proportions
    figure = free.plot.proportions(truth)
    for container in figure.axes[0].containers:
        former = container.get_label().split("(")[1][:-1] if "(" in container.get_label() else container.get_label()
        rows = table[table["cell_type"] == former]
        ends = np.array([segment[:, 1] for segment in container[2][0].get_segments()])
        told = rows["lower"].notna().to_numpy()
        # Ends are estimate less distance: one rounding.
        np.testing.assert_allclose(ends[told], rows[["lower", "upper"]][told], atol=1e-12)
        np.testing.assert_array_equal(ends[~told, 0], rows["estimate"][~told])


def test_what_is_not_known_is_left_out(free, truth):
    some = truth.copy()
    some.iloc[0, 0] = np.nan
    assert sum(len(xy) for xy in points(free.plot.proportions(some)).values()) == truth.size - 1


def test_known_proportions_are_compared_by_name(fit, truth):
    figure = fit.plot.proportions(truth[["lung", "liver", "brain"]])
    assert "mean absolute error 0" in title(figure)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda t: t.iloc[1:], AlignmentError, "mix0"),
        (lambda t: t[["liver", "lung"]], ShapeError, "3 cell types"),
        (lambda t: 100.0 * t, DataError, "between 0 and 1"),
        (lambda t: t.assign(liver="much"), DataError, "no table of numbers"),
        (lambda t: t.assign(liver=np.nan), DataError, "'liver'"),
        (lambda t: t.set_axis(["a", "b", "a"], axis=1), AlignmentError, "'a' is twice"),
        (lambda t: t.to_numpy()[:2], ShapeError, "6 sample types"),
        (lambda t: t.to_numpy().ravel(), ShapeError, "6 sample types"),
        (lambda t: t.replace(t.iloc[0, 0], np.inf), DataError, "inf"),
    ],
)
def test_tables_of_known_proportions_that_do_not_fit_are_told(free, truth, change, error, words):
    with pytest.raises(error, match=words):
        free.plot.proportions(change(truth))


def test_bars_stack_to_one_and_their_intervals_stand_at_their_edges(free):
    ax = free.plot.proportions().axes[0]
    heights = np.array([[bar.get_height() for bar in bars] for bars in ax.containers])
    table = free.proportions
    np.testing.assert_allclose(heights.T.ravel(), table["estimate"], atol=1e-15)  # tops less feet
    np.testing.assert_allclose(heights.sum(axis=0), 1.0, atol=1e-9)  # rows of estimates sum to 1 up to rounding
    edges = np.vstack([np.cumsum(heights, axis=0)[:-1], 1.0 - heights[-1]])
    for t, (lines, edge) in enumerate(zip(ax.collections, edges, strict=True)):
        rows = table[table["cell_type"] == f"cell {t + 1}"].reset_index(drop=True)
        told = rows["lower"].notna()
        ends = np.array([segment[:, 1] for segment in lines.get_segments()])
        wide = np.minimum(rows["upper"] + edge - rows["estimate"], 1.0) if t < 2 else 1.0 - rows["lower"]
        np.testing.assert_allclose(ends[:, 1], wide[told], atol=1e-9)  # as the sums of rows
        assert (ends[:, 0] <= edge[told] + 1e-9).all()


def test_hundreds_of_sample_types_are_drawn_without_their_names():
    S, codes, P = draw(genes=10, mixtures=300, replicates=1)
    found = partition_mixture(S, codes, proportions=P, noise="measurement")
    figure = found.plot.proportions()
    assert figure.axes[0].get_xlabel() == "300 sample types"
    assert figure.get_size_inches()[0] <= 9.0
    assert title(figure) == "The proportions are known"
