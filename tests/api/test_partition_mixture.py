"""Which cell types share a gene's expression, by the public function: every model that its words promise."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from mixed_samples import CELL_TYPES, PARTITIONS, PLAIN, PROPORTIONS, Mixed, mixed
from numpy.testing import assert_allclose

import varmix as vm
from varmix.errors import (
    ConvergenceWarning,
    DataError,
    NotFiniteError,
    NotIdentifiedError,
    OptionError,
    VarmixWarning,
)
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import Noise
from varmix.models.partition.trend import Trend

NOISES = {
    "cell": "cell",
    "measurement": "measurement",
    "both": "both",
    "trend": "trend",
    "measurement and misfit": ["measurement", "misfit"],
    "cell and scatter": ("cell", "scatter"),
    "full": "full",
}
KINDS = ("known", "partly", "dirichlet", "free")
GROWING = HeteroscedasticParams(
    mean=9.0,
    between=6.0,
    noise=Noise(measurement=0.02, proportional=0.3, exponent=1.8, misfit_proportional=0.15, scatter_proportional=0.01),
    trend=Trend(reference=9.0),
    shares=PLAIN.shares,
    proportions=PROPORTIONS,
)


@pytest.fixture(scope="module")
def data() -> Mixed:
    return mixed(1, 50)


@pytest.fixture(scope="module")
def growing() -> Mixed:
    return mixed(3, 400, params=GROWING)


def proportions_of(data: Mixed, kind: str) -> dict:
    known = {"known": data.proportions, "partly": data.partly, "free": "free"}
    given = known[kind] if kind in known else vm.Dirichlet(1.05)
    names = {} if kind in ("known", "partly") else {"cell_types": CELL_TYPES}
    return {"proportions": given, **names, "starts": 2 if kind == "dirichlet" else 1, "rng": 0}


def quietly(*args, **options) -> vm.Fit:
    """Without the words on free proportions; a certificate that is not met is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        warnings.simplefilter("error", ConvergenceWarning)
        return vm.partition_mixture(*args, **options)


# Every model


def every_model() -> Iterator[tuple[str, str, str, str]]:
    """Where noise differs between genes, proportions are estimated with two sorts of it: they take seconds."""
    for variance, likelihood, noise, kind in product(("shared", "moderated"), ("joint", "composite"), NOISES, KINDS):
        differs = variance == "moderated" or noise not in ("cell", "measurement", "both")
        few = ("cell",) if (variance, likelihood) == ("moderated", "composite") else ("cell", "full")
        if not differs or kind == "known" or noise in few:
            yield variance, likelihood, noise, kind


@pytest.mark.parametrize(("variance", "likelihood", "noise", "kind"), list(every_model()))
def test_every_noise_likelihood_and_knowledge_of_proportions_ends_at_a_certificate(
    data, variance, likelihood, noise, kind
):
    fit = quietly(
        data.S,
        data.sample_type,
        variance=variance,
        likelihood=likelihood,
        noise=NOISES[noise],
        **proportions_of(data, kind),
    )
    assert fit.status.arrived
    assert fit.certificate.newton_decrement < 1e-5
    estimates = fit.report.estimates  # their tables have intervals, which take seconds
    assert estimates.shares.sum() == pytest.approx(1.0)
    assert_allclose(estimates.proportions.sum(axis=1), 1.0, atol=1e-9)
    assert (estimates.values[1:] >= 0.0).all()
    assert np.isfinite(fit.classes.drop(columns=["gene", "partition"])).all(axis=None)
    assert fit.facts["variance"] == variance
    assert fit.facts["likelihood"] == likelihood


@pytest.mark.parametrize("likelihood", ["joint", "composite"])
def test_variances_per_gene_and_block_are_fitted_with_known_proportions_alone(data, likelihood):
    model = {"variance": "per_gene_block", "likelihood": likelihood}
    fit = quietly(data.S, data.sample_type, proportions=data.proportions, **model)
    assert fit.status.arrived
    for kind in KINDS[1:]:
        with pytest.raises(NotIdentifiedError, match="not known"):
            quietly(data.S, data.sample_type, **model, **proportions_of(data, kind))
    for noise in ("measurement", "both", "trend", "full"):
        with pytest.raises(OptionError, match="leave noise and margin out"):
            quietly(data.S, data.sample_type, proportions=data.proportions, noise=noise, **model)


def test_noise_that_leaves_samples_without_error_is_refused(data):
    for noise in ("misfit", "scatter", ["misfit", "scatter"]):
        for variance in ("shared", "moderated"):
            with pytest.raises(OptionError, match="'cell', 'measurement' or 'trend'"):
                quietly(data.S, data.sample_type, proportions=data.proportions, noise=noise, variance=variance)


@pytest.mark.parametrize("model", [("shared", "both"), ("shared", "trend"), ("moderated", "both"), ("shared", "full")])
def test_genes_that_do_not_differ_have_a_variance_of_block_means_of_zero(model):
    """An ordinary point: partitions say nothing there, and the certificate is met all the same."""
    flat = mixed(2, 60, params=replace(PLAIN, between=0.0))
    fit = quietly(flat.S, flat.sample_type, proportions=flat.proportions, variance=model[0], noise=model[1], margin=0)
    assert fit.status.arrived
    blocks = fit.components.iloc[0]
    assert blocks["estimate"] == 0.0
    assert blocks["on_boundary"]
    assert_allclose(fit.table("differences").iloc[:, 1:], 0.0, atol=1e-9)


# The default


def test_plain_noise_is_found_plain_and_the_fit_says_why(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = vm.partition_mixture(data.S, data.sample_type, proportions=data.proportions)
    assert fit.facts["noise"] == ["cell", "measurement"]
    assert any(note.startswith("The noise was chosen so: cell + measurement.") for note in fit.facts["warnings"])


def test_noise_that_grows_is_found_growing(growing):
    fit = quietly(growing.S, growing.sample_type, proportions=growing.proportions)
    assert fit.facts["noise"] == ["measurement", "trend", "misfit"]
    assert fit.facts["margin"] == 0.05
    assert any("grows" in note or "mixtures" in note for note in fit.facts["warnings"])
    shapes = fit.table("shapes").set_index("name")
    row = shapes.loc["trend_exponent"]
    assert abs(row["estimate"] - 1.8) < 4.0 * row["se"]


def test_noise_that_misses_what_the_data_show_is_warned_of(growing):
    with pytest.warns(VarmixWarning, match=r"no term for that.*'trend' and 'misfit'"):
        vm.partition_mixture(growing.S, growing.sample_type, proportions=growing.proportions, noise="measurement")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vm.partition_mixture(growing.S, growing.sample_type, proportions=growing.proportions, noise="full")


def test_one_sort_of_mixture_has_no_noise_of_cells_and_of_measurement_apart():
    data = mixed(5, 60)
    three = data.S.loc[:, data.codes < 3]
    fit = quietly(three, data.sample_type[data.codes < 3], proportions=data.proportions.iloc[:3])
    assert fit.facts["noise"] == ["cell"]


def test_a_product_of_samples_has_the_noise_of_cells_unless_told(data):
    fit = quietly(data.S, data.sample_type, proportions=data.proportions, likelihood="composite")
    assert fit.facts["noise"] == ["cell"]
    assert fit.facts["criterion"] == "composite"
    assert np.isnan(fit.facts["aic"])


# Climbing


def test_all_methods_end_at_one_maximum(data):
    ends = {
        method: quietly(data.S, data.sample_type, proportions=data.proportions, noise="both", method=method)
        for method in ("auto", "newton", "em", "pxem", "mm")
    }
    best = ends["newton"]
    for fit in ends.values():
        # The certificate bounds what is left by half the square of 1e-6 standard errors; sums round at 1e-12.
        assert fit.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-8)
        assert_allclose(fit.shares["estimate"], best.shares["estimate"], atol=1e-6)
        assert_allclose(fit.components["estimate"], best.components["estimate"], rtol=1e-5)


@pytest.mark.parametrize("method", ["em", "mm"])
def test_steps_of_a_method_alone_never_lower_the_likelihood(data, method):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        fit = vm.partition_mixture(
            data.S,
            data.sample_type,
            proportions=data.proportions,
            noise="both",
            method=method,
            accelerate="none",
            polish=False,
            max_iterations=30,
        )
    path = fit.progress["log_likelihood"]
    assert len(path) == 31
    assert (np.diff(path) >= -1e-9).all()  # rounding of a sum of 50 genes


def test_starts_are_counted_kept_and_repeated_by_their_generator(data):
    def run(rng):
        return quietly(data.S, data.sample_type, proportions="free", cell_types=3, noise="both", starts=4, rng=rng)

    one, again, other = run(5), run(np.random.default_rng(5)), run(6)
    assert len(one.starts) == 4
    assert one.facts["starts"] == 4
    assert one == again
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-6)  # the same maximum from other starts
    assert one.starts["log_likelihood"].max() == pytest.approx(one.log_likelihood)


def test_free_proportions_have_eight_starts_and_known_ones_three(data):
    free = quietly(data.S, data.sample_type, proportions="free", cell_types=3, noise="cell", rng=0)
    assert len(free.starts) == 8
    assert free.facts["labels_arbitrary"] is True
    known = quietly(data.S, data.sample_type, proportions=data.proportions)
    assert len(known.starts) == 3
    assert known.facts["labels_arbitrary"] is False


def test_random_starts_of_known_proportions_agree(data):
    for noise in ("both", "full"):
        fit = quietly(data.S, data.sample_type, proportions=data.proportions, noise=noise, starts=3, rng=2)
        assert fit.facts["starts_at_best"] >= 2
        assert list(fit.starts["kind"]) == ["moments", "random", "random"]


def test_free_proportions_warn_that_names_are_arbitrary_and_a_prior_says_less(data):
    with pytest.warns(VarmixWarning) as told:
        vm.partition_mixture(data.S, data.sample_type, proportions="free", cell_types=3, starts=1, rng=0)
    words = " ".join(str(warning.message) for warning in told)
    assert "names are arbitrary" in words
    assert "weakly identified" in words


def test_progress_can_be_heard(data):
    ticks: list[int] = []
    quietly(data.S, data.sample_type, proportions=data.proportions, starts=3, rng=0, tick=ticks.append)
    assert sum(ticks) == 3


def test_a_step_limit_is_said_to_be_one(data):
    with pytest.warns(ConvergenceWarning, match="STEP_LIMIT"):
        fit = vm.partition_mixture(
            data.S, data.sample_type, proportions=data.proportions, noise="both", method="em", polish=False,
            max_iterations=2,
        )  # fmt: skip
    assert not fit.status.arrived


# Data


def test_forms_of_the_data_are_one(data):
    frame = quietly(data.S, data.sample_type, proportions=data.proportions)
    array = quietly(data.S.to_numpy(), data.codes, proportions=PROPORTIONS, cell_types=CELL_TYPES)
    mapping = quietly(data.S, data.sample_type.to_dict(), proportions=data.proportions.iloc[::-1])
    per_sample = data.proportions.loc[data.sample_type].set_axis(data.S.columns, axis=0)
    by_row = quietly(data.S, proportions=per_sample)
    for fit in (array, mapping, by_row):
        assert fit.log_likelihood == pytest.approx(frame.log_likelihood, rel=1e-12)
        assert_allclose(fit.shares["estimate"], frame.shares["estimate"], atol=1e-9)


def test_streams_give_what_the_table_gives(data, tmp_path):
    whole = quietly(data.S, data.sample_type, proportions=data.proportions)
    path = tmp_path / "S.csv"
    data.S.to_csv(path)
    chunks = [data.S.iloc[:25], data.S.iloc[25:]]
    for source in (path, str(path), chunks, lambda: iter(chunks)):
        fit = quietly(source, data.sample_type, proportions=data.proportions)
        assert fit.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-10)
        assert list(fit.classes["gene"]) == list(whole.classes["gene"])
        pd.testing.assert_frame_equal(fit.classes.iloc[:, 1:], whole.classes.iloc[:, 1:], rtol=1e-6, atol=1e-9)


def test_threads_change_nothing(data):
    one = quietly(data.S, data.sample_type, proportions=data.proportions, workers=1)
    two = quietly(data.S, data.sample_type, proportions=data.proportions, workers=2)
    assert two.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-12)


def test_missing_values_are_left_out_as_asked(data):
    holes = data.S.copy()
    holes.iloc[3, 2] = holes.iloc[7, 11] = np.nan
    masked = quietly(holes, data.sample_type, proportions=data.proportions)
    dropped = quietly(holes, data.sample_type, proportions=data.proportions, on_missing="drop")
    fewer = quietly(data.S.drop(index=["gene 3", "gene 7"]), data.sample_type, proportions=data.proportions)
    assert len(masked.classes) == 50
    assert len(dropped.classes) == 48
    assert dropped.log_likelihood == pytest.approx(fewer.log_likelihood, rel=1e-12)
    with pytest.raises(NotFiniteError):
        quietly(holes, data.sample_type, proportions=data.proportions, on_missing="error")


@pytest.mark.parametrize(("partitions", "count"), [("all", 5), ("one_vs_rest", 4), ("two_blocks", 4)])
def test_partitions_by_name(data, partitions, count):
    fit = quietly(data.S, data.sample_type, proportions=data.proportions, partitions=partitions)
    assert len(fit.shares) == count


def test_listed_partitions_alone_are_fitted(data):
    wanted = ["liver = brain = lung", "liver | brain = lung"]
    fit = quietly(data.S, data.sample_type, proportions=data.proportions, partitions=wanted)
    assert set(fit.shares["partition"]) == set(wanted)


# Refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"variance": "per_gene"}, "variance='per_gene' is not known"),
        ({"likelihood": "product"}, "likelihood='product' is not known"),
        ({"method": "lbfgs"}, "method='lbfgs' is not known"),
        ({"noise": "some"}, "noise='some' is not known"),
        ({"noise": []}, "is not known"),
        ({"noise": 3}, "is not known"),
        ({"noise": ["cell", "error"]}, "'error', which is not known"),
        ({"starts": 0}, "starts=0"),
        ({"starts": True}, "starts=True"),
        ({"starts": 2.5}, "starts=2.5"),
        ({"toleranse": 1e-3}, "'toleranse' is not an option"),
        ({"noise": "full", "tolerance": 1e-3}, "'tolerance' is not an option"),
        ({"variance": "moderated", "method": "em"}, "there is one method"),
        ({"noise": "full", "method": "newton"}, "there is one method"),
        ({"partitions": "some"}, "partitions"),
        ({"variance": ["shared"]}, "is not known"),
        ({"likelihood": None}, "is not known"),
    ],
)
def test_options_that_are_not_known_are_refused_with_those_that_are(data, options, words):
    with pytest.raises(OptionError, match=words):
        vm.partition_mixture(data.S, data.sample_type, proportions=data.proportions, **options)


def test_data_that_identify_nothing_are_refused(data):
    with pytest.raises((DataError, NotIdentifiedError)):
        vm.partition_mixture(data.S * 0.0 + 1.0, data.sample_type, proportions=data.proportions)
    with pytest.raises(NotIdentifiedError, match="fewer mixtures"):
        vm.partition_mixture(data.S.iloc[:, :8], data.sample_type[:8], proportions="free", cell_types=3)


def test_partitions_that_mixtures_cannot_tell_apart_are_warned_of():
    data = mixed(8, 60)
    same = pd.DataFrame(np.tile([0.4, 0.4, 0.2], (5, 1)), data.proportions.index, CELL_TYPES)
    with pytest.warns(VarmixWarning, match="cannot tell"):
        vm.partition_mixture(data.S, data.sample_type, proportions=same)


def test_true_partitions_of_loud_genes_are_named():
    """Cell types that differ by many standard errors leave no doubt."""
    loud = replace(PLAIN, between=10_000.0)  # two block means are within five noise sds of another in 1 gene of 100
    data = mixed(9, 100, params=loud)
    fit = quietly(data.S, data.sample_type, proportions=data.proportions)
    named = fit.classes["partition"].to_numpy()
    truth = np.array(PARTITIONS.words, dtype=object)[data.partition]
    assert (named == truth).mean() > 0.95
    error = fit.table("expression")[CELL_TYPES].to_numpy() - data.means
    assert np.sqrt((error**2).mean()) < 0.5


@pytest.mark.parametrize(("seed", "genes"), [(44, 20), ([44, 117], 10), ([44, 271], 10)])
def test_shares_on_their_way_to_zero_get_there(seed, genes):
    """Each was once halved at every step, down to 1e-114, and never 0: the certificate was not met."""
    data = mixed(seed, genes)
    fit = quietly(data.S, data.sample_type, proportions=data.proportions, noise="cell")
    shares = fit.report.estimates.shares
    assert fit.status.arrived
    assert ((shares == 0.0) | (shares > 1e-6)).all()


# The margin


def test_the_margin_is_for_noise_that_grows_and_proportions_that_are_known(data, growing):
    def of(table, **options):
        return quietly(table.S, table.sample_type, **options).facts["margin"]

    assert of(data, proportions=data.proportions) == 0.0
    assert of(growing, proportions=growing.proportions, noise="trend") == 0.05
    assert of(growing, proportions=growing.proportions, noise="trend", margin=0.1) == 0.1
    assert of(growing, proportions=growing.proportions, noise=["trend", "scatter"]) == 0.0
    assert of(growing, proportions="free", cell_types=3, noise="trend", starts=1, rng=0) == 0.0


def test_cell_types_that_differ_by_less_than_the_margin_share_a_block():
    """Noise is small, so that without a margin every gene has types in blocks of their own."""
    rng = np.random.default_rng(4)
    shared = np.array([(0, 0, 1), (0, 1, 0), (0, 1, 1)])[rng.integers(3, size=90)]
    means = np.take_along_axis(rng.uniform(1.0, 10.0, (90, 3)), shared, axis=1)
    means *= 1.0 + 0.03 * rng.standard_normal(means.shape)
    proportions = pd.DataFrame([(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8), (0.4, 0.4, 0.2)])
    sample_type = np.repeat(np.arange(4), 3)
    values = means @ proportions.to_numpy()[sample_type].T
    values *= 1.0 + 0.005 * rng.standard_normal(values.shape)
    finest = [
        quietly(values, sample_type, proportions=proportions, noise="trend", margin=margin).shares["estimate"].iloc[-1]
        for margin in (0.0, 0.05)
    ]
    assert finest[0] > 0.5  # of genes whose types all differ, by 3 % of their means
    assert finest[1] < 0.1


def test_a_margin_stays_where_it_was_put(growing):
    fit = quietly(
        growing.S, growing.sample_type, proportions=growing.proportions, noise="full", margin=0.02, starts=2, rng=1
    )
    row = fit.components.set_index("term").loc["margin"]
    trend = fit.report.estimation.outcome.params.params.trend
    assert row["sd"] == pytest.approx(0.02 * trend.reference * fit.report.problem.base.scale, rel=1e-12)
    assert row["interval"] == "known"


@pytest.mark.parametrize("margin", [-0.1, 1.0, "wide", True, np.nan])
def test_a_margin_is_a_share_of_the_level(growing, margin):
    with pytest.raises(OptionError, match="margin"):
        quietly(growing.S, growing.sample_type, proportions=growing.proportions, margin=margin)


def test_a_margin_beside_estimated_scatter_is_refused(growing):
    noise = ["trend", "scatter"]
    with pytest.raises(OptionError, match="leave one of the two out"):
        quietly(growing.S, growing.sample_type, proportions=growing.proportions, noise=noise, margin=0.1)
