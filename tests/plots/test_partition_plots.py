"""Figures of latent partitions say what the fit says."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import varmix as vm
from varmix.api.partition_mixture import partition_mixture
from varmix.errors import NotAvailableError, OptionError
from varmix.models.partition.partitions import all_partitions
from varmix.plots import plot_expression, plot_partitions, plot_shares
from varmix.plots.canvas import COLOURS
from varmix.plots.partition import LONGEST, Posteriors, abbreviated, chosen_genes
from varmix.plots.partition_expression import MOST_PANELS, _blocks
from varmix.plots.partition_posteriors import LINES, Bands, _averaged, _inside
from varmix.results.partition_mixture import intervals

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


@pytest.fixture
def loaded(fit, tmp_path):
    fit.save(tmp_path / "fit.json")
    return vm.load(tmp_path / "fit.json")


def image(figure):
    return np.asarray(figure.axes[0].get_images()[0].get_array())


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def title(figure):
    return figure.axes[0].get_title(loc="left")


def overlaps(figure):
    """Pairs of texts that are drawn over one another."""
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent().padded(-1.0)) for text in shown]
    return [(a, b) for k, (a, one) in enumerate(boxes) for b, two in boxes[k + 1 :] if one.overlaps(two)]


# The heat map


def test_the_map_holds_each_genes_probabilities_in_the_band_of_its_best_partition(fit):
    figure = fit.plot.partitions()
    values, classes = image(figure), fit.classes
    np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-12)  # rounding of five additions
    best = values.argmax(axis=1)
    assert (np.diff(best) >= 0).all()
    for band in np.unique(best):
        assert (np.diff(values[best == band, band]) <= 0.0).all()
    order = classes.iloc[:, 5:].mean().sort_values(ascending=False, kind="stable").index
    told = [text.split("  ") for text in texts(figure)]
    assert [words for _, words, _ in told] == list(order)
    counts = classes["partition"].value_counts()
    assert [int(count.strip("()")) for _, _, count in told] == [counts.get(words, 0) for words in order]
    sure = int((classes["probability"] >= 0.9).sum())
    assert title(figure) == f"The partition is known of {sure} of 80 genes (probability 0.9)"


def test_columns_are_in_the_order_of_the_estimated_shares(fit):
    """At a maximum of the likelihood a share is the mean of the posteriors."""
    shares = fit.shares.set_index("partition")["estimate"]
    whole = Posteriors.of(fit)
    # The certificate lets shares be off by far less than this.
    np.testing.assert_allclose(whole.probabilities.mean(axis=0), shares[list(whole.words)], atol=1e-6)


def test_partitions_beyond_the_commonest_are_added_up(fit):
    figure = plot_partitions(fit, most=2)
    values = image(figure)
    assert values.shape == (80, 3)
    np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-12)
    assert texts(figure)[-1].startswith("+  any of 3 others")
    assert sum(int(text.rsplit("(", 1)[1][:-1]) for text in texts(figure)) == 80
    # One partition alone is told by its name: 4 and one more are 5.
    assert image(plot_partitions(fit, most=4)).shape == (80, 5)


def test_a_gene_of_a_rare_partition_is_in_the_band_of_the_others_even_where_their_sum_is_not_its_largest():
    words = tuple(f"p{j}" for j in range(4))
    probabilities = np.array([[0.4, 0.3, 0.2, 0.1], [0.35, 0.2, 0.4, 0.05], [0.9, 0.1, 0.0, 0.0]])
    whole = Posteriors(genes=("a", "b", "c"), words=words, probabilities=probabilities)
    bands = Bands.of(whole, np.arange(3), 1)
    assert bands.counts.tolist() == [2, 1]
    assert bands.genes == ("c", "a", "b")


def test_chosen_genes_are_drawn_once_and_by_name(fit):
    figure = fit.plot.partitions(["gene7", "gene3", "gene7"])
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert sorted(labels) == ["gene3", "gene7"]
    row = fit.classes.set_index("gene").loc[labels[0]].iloc[4:].astype(float).sort_index()
    np.testing.assert_allclose(np.sort(image(figure)[0]), np.sort(row))
    assert image(fit.plot.partitions("gene3")).shape[0] == 1


def test_thousands_of_rows_are_averaged_and_none_is_passed_over():
    rng = np.random.default_rng(1)
    values = rng.random((3_001, 4))
    few = _averaged(values)
    assert few.shape == (LINES, 4)
    sizes = np.diff(np.append(np.arange(LINES) * 3_001 // LINES, 3_001))
    np.testing.assert_allclose(sizes @ few, values.sum(axis=0), rtol=1e-12)  # sums in another order


def test_labels_moved_apart_stay_inside_in_order_and_do_not_touch():
    places = _inside([0.5, 0.97, 0.98, 0.985, 0.99], 0.1)
    assert (np.diff(places) >= 0.1 - 1e-12).all()
    assert min(places) >= 0.05
    assert max(places) <= 0.95 + 1e-12
    crowded = _inside([0.5] * 40, 0.1)
    assert (np.diff(crowded) > 0.0).all()
    assert 0.0 <= min(crowded) <= max(crowded) <= 1.0


def test_no_labels_overlap_with_52_partitions(five):
    for figure in (five.plot.partitions(most=52), five.plot.shares(), five.plot.expression()):
        assert overlaps(figure) == []


@pytest.fixture(scope="module")
def five():
    S, codes, P = draw(genes=150, types=5, mixtures=8, seed=3)
    names = ["astrocyte", "microglia", "neuron", "oligodendrocyte", "endothelial cell"]
    known = pd.DataFrame(P, index=[f"mix{d}" for d in range(8)], columns=names)
    labels = [f"mix{d}" for d in codes]
    found = partition_mixture(S, labels, proportions=known, noise="measurement")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "AFFORDABLE", 0)  # intervals by profile take seconds and look the same
        assert len(found.shares) == 52
    return found


def test_long_names_are_cut_as_far_as_they_stay_apart():
    names = ["astrocyte", "microglia", "neuron", "oligodendrocyte", "endothelial cell"]
    words = [
        " | ".join(names),
        " = ".join(names),
        "astrocyte = neuron | microglia | oligodendrocyte | endothelial cell",
    ]
    told = abbreviated(words)
    assert max(len(word) for word in told) <= LONGEST
    assert told[2].startswith("astrocyte = neuron | microglia | ")
    assert len(set(told)) == 3
    assert abbreviated(words[:0] + ["a | b = c"]) == ["a | b = c"]
    alike = [f"{kind} cell of the cortex of the brain" for kind in ("first neuron", "first neural")]
    told = abbreviated([" | ".join([*alike, "third"]), " = ".join([*alike, "third"])])
    assert max(len(word) for word in told) <= LONGEST
    assert len(set(told)) == 2


# Shares


def test_shares_are_drawn_from_the_largest_with_their_intervals(fit):
    ax = fit.plot.shares().axes[0]
    table = fit.shares.sort_values("estimate", ascending=False, kind="stable")
    marks = sorted((line for line in ax.get_lines() if line.get_marker() in "ox"), key=lambda m: -m.get_ydata()[0])
    assert [mark.get_xdata()[0] for mark in marks] == table["estimate"].tolist()
    assert [label.get_text() for label in ax.get_yticklabels()] == table["partition"].tolist()
    bars = sorted(
        (line for line in ax.get_lines() if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]),
        key=lambda line: -line.get_ydata()[0],
    )
    told = table[table["lower"].notna()]
    np.testing.assert_array_equal([bar.get_xdata() for bar in bars], told[["lower", "upper"]])


def test_what_the_smaller_shares_hold_together_is_told(fit):
    figure = plot_shares(fit, most=2)
    rest = fit.shares["estimate"].sort_values(ascending=False).iloc[2:].sum()
    assert figure.get_supxlabel() == f"3 further partitions hold {rest:.3g} together."
    with pytest.raises(OptionError, match="most=0"):
        plot_shares(fit, most=0)


# Expression


def test_points_are_posterior_means_with_sds_and_blocks_share_a_mark(fit):
    figure = fit.plot.expression(["gene5"])
    table = fit.table("expression").set_index("gene").loc["gene5"]
    drawn = {}
    for container in figure.axes[0].containers:
        line, _, (bars,) = container
        for x, y, segment in zip(line.get_xdata(), line.get_ydata(), bars.get_segments(), strict=True):
            drawn[CELLS[int(x)]] = (y, 0.5 * (segment[1, 1] - segment[0, 1]), line.get_marker())
    for name in CELLS:
        assert drawn[name][0] == table[name]
        np.testing.assert_allclose(drawn[name][1], table[f"sd({name})"], rtol=1e-6)  # ends less their middle
    row = fit.classes.set_index("gene").loc["gene5"]
    blocks = [set(block.split(" = ")) for block in row["partition"].split(" | ")]
    for block in blocks:
        assert len({drawn[name][2] for name in block}) == 1
    assert len({mark for _, _, mark in drawn.values()}) == len(blocks)
    assert row["partition"] in title(figure).replace("\xa0", " ").replace("\n", " ")
    assert f"({row['probability']:.2f})" in title(figure)


def test_blocks_are_read_from_words_whatever_the_order_of_cell_types():
    assert _blocks("brain | liver = lung", CELLS) == [1, 0, 1]
    assert _blocks("liver = brain = lung", CELLS) == [0, 0, 0]


def test_genes_shown_unasked_are_of_the_commonest_partitions_and_sure_where_any_is(fit):
    figure = plot_expression(fit)
    names = [ax.get_title(loc="left").split("\n")[0] for ax in figure.axes if ax.get_visible()]
    assert len(names) == len(set(names))
    shown = fit.classes.set_index("gene").loc[names]
    counts = fit.classes["partition"].value_counts()
    for words, part in shown.groupby("partition"):
        assert len(part) == min(2, counts[words])
        best = fit.classes[fit.classes["partition"] == words]["probability"]
        if (best >= 0.9).sum() >= 2:
            assert (part["probability"] >= 0.9).all()
    assert len(shown["partition"].unique()) == min(4, len(counts))


def test_names_that_are_not_there_are_told(fit):
    for draw_it in (fit.plot.partitions, fit.plot.expression):
        with pytest.raises(OptionError, match=r"2 of 3 genes are not in this fit: 'GAPDH', 'gene999'\. It has 80"):
            draw_it(["gene1", "GAPDH", "gene999"])
        with pytest.raises(OptionError, match="empty"):
            draw_it([])
    with pytest.raises(OptionError, match=f"at most {MOST_PANELS}"):
        fit.plot.expression([f"gene{g}" for g in range(MOST_PANELS + 1)])


def test_a_name_of_several_genes_is_all_of_them_and_numbers_are_names():
    assert chosen_genes(["a", "b", "a"], "a").tolist() == [0, 2]
    assert chosen_genes(["0", "1", "2"], [2, np.int64(0)]).tolist() == [2, 0]
    assert chosen_genes(["0", "1", "2"], 1).tolist() == [1]


# Degenerate fits, files and other models


def test_one_partition_and_one_gene_are_drawn(data):
    S, codes, P = data
    found = partition_mixture(S, codes, proportions=P, partitions=["cell 1 | cell 2 = cell 3"], noise="measurement")
    assert image(found.plot.partitions()).tolist() == [[1.0]] * 80
    assert "known" in texts(found.plot.shares())[0]
    assert isinstance(found.plot.expression(), Figure)
    few = ["cell 1 = cell 2 = cell 3", "cell 1 | cell 2 = cell 3"]
    one = partition_mixture(S.iloc[:1], codes, proportions=P, partitions=few, noise="measurement")
    for figure in (one.plot.partitions(), one.plot.shares(), one.plot.expression(), one.plot.proportions()):
        figure.draw_without_rendering()


def test_a_fit_without_standard_errors_is_drawn_without_intervals(data, truth):
    S, codes, _ = data
    labels = [f"mix{d}" for d in codes]
    with pytest.warns(vm.errors.VarmixWarning):
        found = partition_mixture(
            S,
            labels,
            proportions="free",
            cell_types=3,
            noise="both",
            method="em",
            polish=False,
            max_iterations=2,
            starts=1,
        )
    assert not found.status.arrived
    assert found.shares["lower"].isna().all()
    marks = [line.get_marker() for line in found.plot.shares().axes[0].get_lines()]
    assert marks.count("x") == 5
    assert found.plot.shares().axes[0].get_xlabel() == "share of genes"
    assert "Without intervals" in found.plot.proportions().get_supxlabel()
    assert found.plot.proportions(truth).axes[0].get_ylabel() == "estimated proportion"


def test_loaded_fits_are_drawn_alike(fit, loaded, truth):
    np.testing.assert_array_equal(image(loaded.plot.partitions()), image(fit.plot.partitions()))
    assert texts(loaded.plot.shares()) == texts(fit.plot.shares())
    names = [[ax.get_title(loc="left") for ax in found.plot.expression().axes] for found in (loaded, fit)]
    assert names[0] == names[1]
    assert title(loaded.plot.proportions(truth)) == title(fit.plot.proportions(truth))


def test_files_without_genes_say_so(loaded):
    for name in ("classes", "expression"):
        loaded.report._tables.pop(name)
    for draw_it in (loaded.plot.partitions, loaded.plot.expression):
        with pytest.raises(NotAvailableError, match="without tables of its genes"):
            draw_it()


def test_other_models_are_refused():
    rng = np.random.default_rng(1)
    other = vm.random_effect_mixture(rng.normal(size=60), rng.normal(size=60), starts=1)
    plot = other.plot
    for draw_it in (plot.partitions, plot.shares, plot.expression, plot.proportions):
        with pytest.raises(NotAvailableError, match="random_effect_mixture"):
            draw_it()


def test_figures_are_drawn_on_axes_that_are_given_and_leave_settings_alone(fit, free, truth):
    before = dict(mpl.rcParams)
    figure = Figure()
    axes = figure.subplots(2, 2).ravel()
    assert fit.plot.partitions(ax=axes[0]) is figure
    assert fit.plot.shares(ax=axes[1]) is figure
    assert free.plot.proportions(ax=axes[2]) is figure
    assert free.plot.proportions(truth, ax=axes[3]) is figure
    assert dict(mpl.rcParams) == before


# Figures that all models have


@pytest.mark.parametrize("term", ["measurement", "mean", "liver = brain = lung"])
def test_the_profile_of_a_parameter_has_the_interval_of_the_fit(fit, term):
    ax = fit.plot.profile(term).axes[0]
    bar = next(line for line in ax.get_lines() if len(line.get_xdata()) == 2)
    lower, upper = fit.interval(term, kind="profile")
    assert bar.get_xdata()[0] == lower
    assert bar.get_xdata()[1] == upper or not np.isfinite(upper)


def test_starts_are_drawn_in_one_panel_and_proportions_of_variance_are_refused(free):
    figure = free.plot.starts()
    assert len(figure.axes) == 1
    assert len([line for line in figure.axes[0].get_lines() if line.get_marker() in "ox"]) == 3
    with pytest.raises(NotAvailableError, match=r"fit\.plot\.proportions"):
        free.plot.components(of="proportion")


def test_colours_of_blocks_are_of_the_palette_that_any_colour_vision_tells_apart(fit):
    for container in fit.plot.expression().axes[0].containers:
        assert container[0].get_color() in COLOURS
