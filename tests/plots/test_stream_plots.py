"""Figures of fits whose rows came in chunks: those of rows in memory, or a refusal that says what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import NotAvailableError


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(2)
    x, large = rng.normal(size=400), rng.random(400) < 0.3
    y = rng.normal(size=400) * large * x + rng.normal(scale=0.5, size=400)
    return pd.DataFrame({"y": y, "x": x, "se": rng.uniform(0.4, 0.6, size=400)})


def chunked(table, **named):
    return vm.random_effect_mixture("y", "x", data=[table[:150], table[150:]], starts=2, rng=1, **named)


def labels(figure):
    ax = figure.axes[0]
    return ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")


@pytest.mark.parametrize("named", [{}, {"se": "se"}])
def test_rows_of_a_stream_are_drawn_as_those_in_memory(table, named):
    whole = vm.random_effect_mixture("y", "x", data=table, starts=2, rng=1, **named)
    assert labels(chunked(table, **named).plot.scatter()) == labels(whole.plot.scatter())


def test_effects_of_a_stream_are_not_drawn_since_their_signs_are_not_kept(table):
    with pytest.raises(NotAvailableError, match="signs are not kept"):
        chunked(table).plot.posterior()
