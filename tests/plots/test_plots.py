"""Figures say what the fit says, and leave matplotlib's state alone."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import varmix as vm
from varmix.errors import FragileMomentsWarning, NotAvailableError, OptionError
from varmix.plots import plot_components, plot_paths, plot_profile
from varmix.plots.canvas import spread_apart

METHODS = ("newton", "em", "mm", "pxem")


@pytest.fixture(scope="module")
def designs():
    rng = np.random.default_rng(4)
    return rng.normal(size=(120, 40)), rng


@pytest.fixture(scope="module")
def fits(designs):
    X, rng = designs
    y = X @ rng.normal(scale=0.15, size=40) + rng.normal(size=120)
    return {method: vm.variance_components(y, designs={"snps": X}, method=method) for method in METHODS}


@pytest.fixture(scope="module")
def at_zero(designs):
    X, _ = designs
    y = np.random.default_rng(0).normal(size=120)
    # Without its part in the column space of X, y has less variance along X than across it: the estimate is 0.
    y -= X @ np.linalg.lstsq(X, y, rcond=None)[0]
    fit = vm.variance_components(y, designs={"snps": X})
    assert fit.components["estimate"][0] == 0.0
    return fit


@pytest.fixture(scope="module")
def slow_em(at_zero, designs):
    y = at_zero.augment()["y"].to_numpy()
    return vm.variance_components(y, designs={"snps": designs[0]}, method="em")


@pytest.fixture
def moments(fits, designs):
    y = fits["newton"].augment()["y"].to_numpy()
    with pytest.warns(FragileMomentsWarning):
        return vm.variance_components(y, designs={"snps": designs[0]}, method="moments")


def lines_of(ax, count):
    return [line for line in ax.get_lines() if len(line.get_xdata()) > 2][:count]


def texts_of(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_a_path_ends_at_the_evaluations_and_distance_that_the_fit_reports(fits):
    figure = plot_paths(fits)
    distance = lines_of(figure.axes[1], len(fits))
    for line, fit in zip(distance, fits.values(), strict=True):
        assert line.get_xdata()[-1] == fit.facts["evaluations"]
        assert line.get_ydata()[-1] == fit.certificate.newton_decrement


def test_gaps_never_rise_and_stop_at_rounding(fits):
    for line in lines_of(plot_paths(fits).axes[0], len(fits)):
        gaps = line.get_ydata()
        assert (np.diff(gaps) <= 0.0).all()
        assert gaps[-1] > 0.0


def test_every_path_is_named_beside_it(fits):
    assert set(METHODS) <= set(texts_of(plot_paths(fits)))


def test_steps_may_stand_on_the_axis_and_begin_at_none(fits):
    line = lines_of(plot_paths(fits, x="step").axes[1], 1)[0]
    assert line.get_xdata()[0] == 0.0


def test_a_diamond_marks_where_newton_took_over(slow_em):
    schemes = slow_em.progress["scheme"].to_numpy()
    last_em = int(np.flatnonzero(schemes == "em").max())
    diamonds = [line for line in slow_em.plot.progress().axes[1].get_lines() if line.get_marker() == "D"]
    assert len(diamonds) == 1
    assert diamonds[0].get_xdata()[0] == slow_em.progress["evaluations"][last_em]


def test_no_diamond_where_newton_did_it_all(fits):
    assert not [line for line in fits["newton"].plot.progress().axes[1].get_lines() if line.get_marker() == "D"]


def test_paths_of_other_criteria_cannot_share_a_figure(fits, designs):
    y = fits["newton"].augment()["y"].to_numpy()
    other = vm.variance_components(y, designs={"snps": designs[0]}, criterion="ml")
    with pytest.raises(OptionError, match="maximise different things"):
        plot_paths({"reml": fits["newton"], "ml": other})


def test_moments_have_components_and_no_path_or_profile(moments):
    assert moments.plot.components().axes
    with pytest.raises(NotAvailableError, match="no path"):
        moments.plot.progress()
    with pytest.raises(NotAvailableError, match="no likelihood"):
        moments.plot.profile("snps")


@pytest.mark.parametrize("of", ["variance", "proportion"])
def test_the_bar_of_a_profile_is_the_profile_interval(fits, of):
    fit = fits["newton"]
    ax = plot_profile(fit, "snps", of=of, level=0.9).axes[0]
    bar = next(line for line in ax.get_lines() if len(line.get_xdata()) == 2)
    np.testing.assert_array_equal(bar.get_xdata(), fit.interval("snps", of=of, kind="profile", level=0.9))


def test_the_curve_crosses_the_bar_at_its_ends(fits):
    ax = fits["newton"].plot.profile("snps", level=0.99).axes[0]
    curve = lines_of(ax, 1)[0]
    bar = next(line for line in ax.get_lines() if len(line.get_xdata()) == 2)
    heights = np.interp(bar.get_xdata(), curve.get_xdata(), curve.get_ydata())
    # Linear interpolation between 61 points of a curve that falls by about 5.
    np.testing.assert_allclose(heights, bar.get_ydata(), atol=0.02)


def test_at_the_boundary_a_profile_has_no_parabola_and_says_one_sided(at_zero):
    figure = at_zero.plot.profile("snps")
    assert figure.axes[0].get_legend() is None
    assert "95 % interval, one-sided" in texts_of(figure)


def test_an_estimate_at_the_boundary_is_an_open_circle_without_a_lower_cap(at_zero):
    figure = at_zero.plot.components()
    ax = figure.axes[0]
    circle = next(line for line in ax.get_lines() if line.get_marker() == "o")
    caps = [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "|"]
    assert circle.get_markerfacecolor() == "white"
    assert 0.0 not in caps
    assert caps[0] == at_zero.components["upper"][0]
    assert any("≤" in text for text in texts_of(figure))


def test_components_of_several_fits_stand_side_by_side_residual_last(fits):
    figure = plot_components(fits)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [*METHODS, *METHODS]
    headings = [text for text in texts_of(figure) if text in ("snps", "residual")]
    assert headings == ["snps", "residual"]
    drawn = [line.get_xdata()[0] for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    expected = [fit.components["estimate"][row] for row in (0, 1) for fit in fits.values()]
    np.testing.assert_array_equal(drawn, expected)


def test_fits_with_other_terms_can_stand_side_by_side(fits, designs):
    y = fits["newton"].augment()["y"].to_numpy()
    other = vm.variance_components(y, designs={"first": designs[0][:, :20], "snps": designs[0][:, 20:]})
    figure = plot_components({"one": fits["newton"], "two": other}, of="proportion")
    headings = [text for text in texts_of(figure) if text in ("snps", "first", "residual")]
    assert headings == ["snps", "first", "residual"]


def test_loaded_fits_draw_what_their_tables_hold(fits, tmp_path):
    fits["mm"].save(tmp_path / "fit.json")
    loaded = vm.load(tmp_path / "fit.json")
    assert loaded.plot.progress().axes
    assert loaded.plot.components("proportion").axes
    with pytest.raises(NotAvailableError, match="loaded"):
        loaded.plot.profile("snps")


def test_figures_go_on_the_axes_given(fits):
    figure = Figure()
    axes = figure.subplots(1, 5)
    assert plot_paths(fits, ax=axes[:2]) is figure
    assert plot_paths(fits, ax=axes[2]) is figure
    assert fits["mm"].plot.components(ax=axes[3]) is figure
    assert fits["mm"].plot.profile("snps", ax=axes[4]) is figure
    assert all(ax.lines for ax in axes)


def test_drawing_changes_no_settings_and_opens_no_window(fits, tmp_path):
    before = dict(mpl.rcParams)
    fits["mm"].plot.progress().savefig(tmp_path / "a.png")
    fits["mm"].plot.profile("snps").savefig(tmp_path / "b.pdf")
    fits["mm"].plot.components().savefig(tmp_path / "c.svg")
    assert dict(mpl.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_figures_show_themselves_in_notebooks(fits):
    assert fits["mm"].plot.components()._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e6])
def test_no_factor_is_left_aside_from_the_ticks(fits, designs, unit):
    y = unit * fits["newton"].augment()["y"].to_numpy()
    fit = vm.variance_components(y, designs={"snps": designs[0]})
    for figure in (fit.plot.profile("snps"), fit.plot.components()):
        figure.draw_without_rendering()
        assert figure.axes[0].xaxis.get_offset_text().get_text() == ""


def test_kinds_of_intervals_are_told_where_they_differ(fits, moments):
    together = texts_of(plot_components({"newton": fits["newton"], "moments": moments}))
    assert sum(text.endswith("profile") for text in together) == 2
    assert sum(text.endswith("Wald") for text in together) == 2


def test_unknown_options_are_named(fits):
    with pytest.raises(OptionError, match="evaluations"):
        plot_paths(fits, x="seconds")
    with pytest.raises(OptionError, match="proportion"):
        fits["mm"].plot.components(of="share")
    with pytest.raises(OptionError, match="snps, residual"):
        fits["mm"].plot.profile("genes")
    with pytest.raises(OptionError, match="mapping"):
        plot_paths({})


@pytest.mark.parametrize("count", [1, 2, 7])
def test_labels_move_apart_and_keep_their_order(count):
    wanted = np.random.default_rng(count).uniform(0.0, 0.3, size=count).tolist()
    places = spread_apart(wanted, 0.1)
    assert np.argsort(places).tolist() == np.argsort(wanted).tolist()
    # 1e-9: rounding of sums of a few numbers below 1.
    assert (np.diff(np.sort(places)) >= 0.1 - 1e-9).all()


def test_labels_that_are_apart_stay_where_they_are():
    assert spread_apart([0.9, 0.1, 0.5], 0.1) == [0.9, 0.1, 0.5]


def test_without_matplotlib_the_error_names_the_extra():
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import varmix.plots\n"
        "from varmix.errors import MissingExtraError\n"
        "try:\n    varmix.plots.FitPlots(None).components()\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "varmix[plot]"' in done.stdout
