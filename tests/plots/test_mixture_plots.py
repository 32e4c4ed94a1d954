"""Figures of mixtures of random effects say what the fit says."""

from __future__ import annotations

import math
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scipy import stats

import varmix as vm
from varmix.api.random_effect_mixture import random_effect_mixture
from varmix.errors import NotAvailableError, OptionError
from varmix.plots import mixture_distribution, plot_paths, plot_profile, plot_starts
from varmix.plots.canvas import COLOURS
from varmix.plots.mixture_distribution import stretches
from varmix.plots.mixture_rows import POINTS


def rows(n, seed, variances=(0.01, 1.0), shares=(0.6, 0.4), residual=0.3, each=1):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n), each)
    effects = rng.normal(size=n) * np.sqrt(np.array(variances)[rng.choice(len(shares), n, p=shares)])
    x = rng.normal(size=n * each)
    return effects[group] * x + rng.normal(scale=math.sqrt(residual), size=n * each), x, group


@pytest.fixture(scope="module")
def data():
    return rows(600, 5)


@pytest.fixture(scope="module")
def fit(data):
    return random_effect_mixture(data[0], data[1], starts=5, rng=1)


@pytest.fixture(scope="module")
def grid(data):
    return random_effect_mixture(data[0], data[1], method="npmle")


@pytest.fixture(scope="module")
def slow(data):
    """An EM that stops far from the maximum."""
    with pytest.warns(vm.errors.ConvergenceWarning):
        return random_effect_mixture(data[0], data[1], method="em", polish=False, max_iterations=5, starts=3, rng=2)


@pytest.fixture(scope="module")
def one_class():
    """Effects of a single variance fitted with a null class besides: its share is 0."""
    y, x, _ = rows(400, 2, variances=(1.0,), shares=(1.0,))
    found = random_effect_mixture(y, x, null=True, residual=0.3, starts=2, rng=1)
    assert found.shares["estimate"][0] == 0.0
    return found


def lines(ax, tone):
    return [line for line in ax.get_lines() if to_hex(line.get_color()) == to_hex(tone)]


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def title(figure):
    return figure.axes[0].get_title(loc="left")


# The profile


@pytest.mark.parametrize("term", ["pi", "v_2", "s"])
def test_the_bar_is_the_profile_interval_and_the_mark_the_estimate(fit, term):
    ax = plot_profile(fit, term, level=0.9).axes[0]
    bar = next(line for line in ax.get_lines() if len(line.get_xdata()) == 2)
    np.testing.assert_array_equal(bar.get_xdata(), fit.interval(term, kind="profile", level=0.9))
    mark = next(line for line in ax.get_lines() if line.get_marker() == "o")
    estimates = {"pi": fit.shares["estimate"][0], "v_2": fit.components["estimate"][1]}
    assert mark.get_xdata()[0] == estimates.get(term, fit.components["estimate"][2])


def test_the_curve_of_a_share_crosses_the_bar_at_its_ends(fit):
    ax = fit.plot.profile("pi").axes[0]
    curve = max(ax.get_lines(), key=lambda line: len(line.get_xdata()))
    heights = np.interp(fit.interval("pi", kind="profile"), curve.get_xdata(), curve.get_ydata())
    # Linear interpolation between 61 points of a curve that falls by about 3.
    np.testing.assert_allclose(heights, -0.5 * stats.chi2.ppf(0.95, 1), atol=0.02)


@pytest.mark.parametrize(("term", "estimate"), [("pi_1", 0.0), ("pi_2", 1.0)])
def test_a_share_at_either_bound_is_an_open_circle_with_a_one_sided_bar(one_class, term, estimate):
    figure = one_class.plot.profile(term)
    ax = figure.axes[0]
    mark = next(line for line in ax.get_lines() if line.get_marker() == "o")
    assert mark.get_xdata()[0] == estimate
    assert mark.get_markerfacecolor() == "white"
    assert "95 % interval, one-sided" in texts(figure)
    assert ax.get_legend() is None
    caps = [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "|"]
    assert len(caps) == 1
    assert caps[0] not in (0.0, 1.0)


def test_an_unknown_parameter_is_named(fit):
    with pytest.raises(OptionError, match="pi_1, pi_2"):
        fit.plot.profile("pi_3")


# The mixing distribution


def test_stems_stand_at_the_standard_deviations_and_are_as_high_as_the_shares(fit):
    ax = fit.plot.mixing().axes[0]
    heads = next(line for line in lines(ax, COLOURS[0]) if line.get_marker() == "o")
    # 1e-12: the square root of a product of powers of two and back.
    np.testing.assert_allclose(heads.get_xdata() ** 2, fit.shares["variance"], rtol=1e-12)
    np.testing.assert_allclose(heads.get_ydata(), fit.shares["estimate"], rtol=1e-12)
    below = next(line for line in lines(ax, COLOURS[1]) if line.get_marker() == "o")
    # The shares of the grid sum to 1 up to rounding of sixty additions.
    assert below.get_ydata().sum() == pytest.approx(-1.0, abs=1e-12)


def test_a_grid_fit_draws_its_own_table(grid):
    heads = next(line for line in lines(grid.plot.mixing().axes[0], COLOURS[1]) if line.get_marker() == "o")
    table = grid.table("mixing")
    np.testing.assert_allclose(heads.get_xdata() ** 2, table["variance"], rtol=1e-12, atol=0.0)
    np.testing.assert_allclose(heads.get_ydata(), table["share"], rtol=1e-12)


def test_the_gain_in_the_title_bounds_that_of_a_third_class(fit, data):
    three = random_effect_mixture(data[0], data[1], classes=3, residual=float(fit.components["estimate"][2]), rng=1)
    told = title(fit.plot.mixing())
    bound = 0.0 if "nothing" in told else float(told.split("at most ")[1].split()[0])
    # Half of the third digit that the title is rounded to, and rounding of the log-likelihoods.
    assert three.log_likelihood - fit.log_likelihood <= bound * 1.005 + 1e-6


def test_neighbouring_points_of_the_grid_are_numbered_together():
    shares = np.array([0.2, 0.0, 0.0, 0.1, 0.3, 0.0, 0.4, 0.0, 0.0, 0.0])
    assert [run.tolist() for run in stretches(shares)] == [[0], [3, 4, 6]]


def test_the_grid_of_many_effects_rests_on_a_part_that_is_told_and_always_the_same(monkeypatch):
    y, x, _ = rows(4000, 8)
    fit = random_effect_mixture(y, x, starts=2, rng=1)
    whole = fit.plot.mixing()
    assert "the grid is of" not in whole.get_supxlabel()
    monkeypatch.setattr(mixture_distribution, "MANY", 3999)
    monkeypatch.setattr(mixture_distribution, "PART", 2000)
    parts = [fit.plot.mixing() for _ in range(2)]
    below = [
        next(line for line in lines(figure.axes[0], COLOURS[1]) if line.get_marker() == "o").get_xydata()
        for figure in (whole, *parts)
    ]
    np.testing.assert_array_equal(below[1], below[2])
    assert below[0].shape != below[1].shape or not np.array_equal(below[0], below[1])
    # The mean of v over a distribution found on 2,000 effects: a few standard errors of a variance of 2,000.
    means = [-(part[:, 0] ** 2 @ part[:, 1]) for part in below]
    assert means[1] == pytest.approx(means[0], rel=0.2)
    assert parts[0].get_supxlabel().endswith("the grid is of 2,000 of 4,000 effects.")
    told = title(parts[0])
    assert told == f"2 classes: more could gain at most {fit.facts['gain_bound']:.3g} in log-likelihood"


@pytest.mark.parametrize("unit", [1e-5, 1e5])
def test_the_distribution_is_in_the_units_of_the_data(data, fit, unit):
    other = random_effect_mixture(unit * data[0], data[1], starts=2, rng=1)
    heads = next(line for line in lines(other.plot.mixing().axes[0], COLOURS[0]) if line.get_marker() == "o")
    # The fits are within 1e-8 standard errors of their optima; 1e-5 leaves room for what the tolerance means for v.
    np.testing.assert_allclose(heads.get_xdata()[-1] / unit, math.sqrt(fit.shares["variance"][1]), rtol=1e-5)


# Rows


def test_points_are_the_rows_with_the_probability_of_the_largest_class(fit, data):
    drawn = next(part for part in fit.plot.scatter().axes[0].collections if isinstance(part, PathCollection))
    y, x, _ = data
    order = np.lexsort((np.abs(y), np.abs(x)))
    places = np.asarray(drawn.get_offsets())
    back = np.lexsort((places[:, 1], places[:, 0]))
    # 1e-9: y^2 = (x y)^2 / x^2 and its root; the order of |x| is that of x^2.
    np.testing.assert_allclose(places[back], np.abs(np.column_stack([x, y]))[order], rtol=1e-9)
    np.testing.assert_allclose(drawn.get_array()[back], fit.classes["class_2"].to_numpy()[order], atol=1e-9)


def test_the_title_counts_the_rows_whose_class_is_known(fit):
    sure = int((fit.classes[["class_1", "class_2"]].max(axis=1) >= 0.9).sum())
    assert f" {sure:,} of 600 " in title(fit.plot.scatter())


def test_the_curve_is_where_the_odds_are_even(fit, data):
    ax = fit.plot.scatter().axes[0]
    curve = next(line for line in ax.get_lines() if len(line.get_xdata()) > 2)
    x, y = curve.get_xdata(), curve.get_ydata()
    inside = ~np.isnan(y)
    s, (small, large) = fit.components["estimate"][2], fit.shares["variance"]
    odds = fit.shares["estimate"][1] / fit.shares["estimate"][0]
    odds *= np.exp(
        stats.norm.logpdf(y, 0, np.sqrt(large * x**2 + s)) - stats.norm.logpdf(y, 0, np.sqrt(small * x**2 + s))
    )
    # Forty halvings of the height of the axis.
    np.testing.assert_allclose(odds[inside], 1.0, rtol=1e-6)
    assert inside.sum() > 100


def test_many_rows_are_hexagons_that_say_so():
    y, x, _ = rows(POINTS + 1, 3)
    figure = random_effect_mixture(y, x, starts=2, rng=1).plot.scatter()
    hexagons = [part for part in figure.axes[0].collections if isinstance(part, PolyCollection)]
    assert len(hexagons) == 1
    assert "mean" in figure.axes[1].get_ylabel()
    assert "hexagon" in figure.axes[1].get_ylabel()
    probability = hexagons[0].get_array()
    assert probability.min() >= 0.0
    assert probability.max() <= 1.0


def test_groups_are_points_at_what_their_rows_say_together():
    y, x, group = rows(80, 4, each=5)
    figure = random_effect_mixture(y, x, group, starts=2, rng=1).plot.scatter()
    drawn = next(part for part in figure.axes[0].collections if isinstance(part, PathCollection))
    q, xy = np.bincount(group, x * x), np.bincount(group, x * y)
    expected = np.column_stack([np.sqrt(q), np.abs(xy) / np.sqrt(q)])
    places = np.asarray(drawn.get_offsets())
    # 1e-9: rounding of roots of squares.
    np.testing.assert_allclose(places[np.argsort(places[:, 0])], expected[np.argsort(q)], rtol=1e-9)
    assert "group" in figure.axes[0].get_xlabel()


def test_known_errors_are_in_the_labels_and_divide_the_rows(data):
    y, x, _ = data
    errors = np.random.default_rng(1).uniform(0.3, 0.8, size=len(y))
    ax = random_effect_mixture(y, x, se=errors, starts=2, rng=1).plot.scatter().axes[0]
    drawn = next(part for part in ax.collections if isinstance(part, PathCollection))
    assert "standard error" in ax.get_ylabel()
    assert drawn.get_offsets()[:, 1].max() == pytest.approx(np.abs(y / errors).max(), rel=1e-9)


def test_a_single_class_is_told_and_needs_no_odds(one_class):
    figure = one_class.plot.scatter()
    assert title(figure).startswith("All 400 effects are of one class")


# Effects


def test_effects_are_drawn_with_the_posterior_of_the_table(fit, data):
    figure = fit.plot.posterior()
    drawn = [line for line in figure.axes[0].get_lines() if line.get_marker() == "."]
    places = np.concatenate([np.column_stack([line.get_xdata(), line.get_ydata()]) for line in drawn])
    expected = np.column_stack([data[0] / data[1], fit.classes["effect"]])
    # 1e-9: y / x by way of xy / x^2.
    np.testing.assert_allclose(places[np.argsort(places[:, 0])], expected[np.argsort(expected[:, 0])], rtol=1e-9)
    assert f" {int((fit.classes['lfsr'] <= 0.05).sum())} of 600 " in title(figure)


def test_a_subsample_is_told_and_is_always_the_same():
    y, x, _ = rows(4000, 6)
    many = random_effect_mixture(y, x, starts=1, rng=1)
    first, second = many.plot.posterior(), many.plot.posterior()
    assert "3,000 of 4,000 effects" in first.axes[0].get_xlabel()
    for one, two in zip(first.axes[0].get_lines(), second.axes[0].get_lines(), strict=True):
        np.testing.assert_array_equal(one.get_xdata(), two.get_xdata())


# Starts


def test_every_start_has_a_path_that_ends_as_the_table_says(fit):
    figure = fit.plot.starts()
    paths = [line for line in figure.axes[0].get_lines() if line.get_marker() == "None" and len(line.get_xdata()) > 2]
    assert len(paths) == len(fit.starts) == 5
    assert title(figure) == "All 5 starts reach one maximum"
    assert not [line for line in figure.axes[0].get_lines() if line.get_marker() == "x"]


def test_paths_that_end_lower_are_crossed_and_counted(fit, slow):
    figure = plot_starts({"em": slow, "newton": fit})
    crosses = [line for line in figure.axes[0].get_lines() if line.get_marker() == "x"]
    assert len(crosses) == 3
    assert title(figure) == "5 of 8 starts reach the best"
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["em", "newton", "ends lower"]


def test_a_fit_that_did_not_arrive_does_not_claim_a_maximum(slow):
    assert title(slow.plot.starts()) == "No start has reached a maximum yet"


def test_an_empty_class_far_away_does_not_stretch_the_axis(fit):
    ax = fit.plot.starts().axes[1]
    low, high = ax.get_ylim()
    assert low < fit.shares["variance"][1] < high
    # WIDEST either way.
    assert high / low <= 1e8 * (1.0 + 1e-9)


def test_the_paths_of_methods_can_stand_beside_each_other(fit, slow):
    figure = plot_paths({"em": slow, "newton": fit})
    assert {"em", "newton"} <= set(texts(figure))


def test_fits_of_other_data_cannot_share_a_figure(fit):
    y, x, _ = rows(50, 1)
    with pytest.raises(OptionError, match="other data"):
        plot_starts({"one": fit, "two": random_effect_mixture(y, x, starts=1)})


# What all share


def test_other_models_and_grids_say_what_they_lack(grid):
    y, x, _ = rows(60, 1)
    other = vm.variance_components(y, designs={"snps": x.reshape(-1, 1)})
    for name in ("mixing", "scatter", "posterior"):
        with pytest.raises(NotAvailableError, match="mixture of random effects"):
            getattr(other.plot, name)()
    for one in (other, grid):
        with pytest.raises(NotAvailableError, match="several starts"):
            one.plot.starts()


def test_figures_go_on_the_axes_given_and_change_no_settings(fit, tmp_path):
    before = dict(mpl.rcParams)
    figure = Figure()
    axes = figure.subplots(1, 5)
    assert fit.plot.mixing(ax=axes[0]) is figure
    assert fit.plot.scatter(ax=axes[1]) is figure
    assert fit.plot.posterior(ax=axes[2]) is figure
    assert fit.plot.starts(ax=axes[3:]) is figure
    assert all(ax.lines for ax in axes)
    figure.savefig(tmp_path / "all.png")
    assert dict(mpl.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []
