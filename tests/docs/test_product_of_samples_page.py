"""`docs/theory/product_of_samples.md` runs, and what its text says of its tables is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "theory" / "product_of_samples.md"
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^:.*\n", re.MULTILINE)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, cell in enumerate(CELL.findall(PAGE.read_text(encoding="utf-8"))):
        exec(compile(OPTION.sub("", cell), f"{PAGE.name}, cell {number}", "exec"), found)
    return found


def test_the_gradient_that_is_right_is_that_of_differences_and_the_printed_one_has_no_zero(names: Any) -> None:
    for a in (0.3, 1.0, 4.0, 100.0):
        by_differences = (
            names["log_likelihood"](names["S"], a=a + 1e-5) - names["log_likelihood"](names["S"], a=a - 1e-5)
        ) / 2e-5
        # Differences of a log-likelihood of 1e4 to 12 digits over 2e-5.
        assert names["slope"](names["S"], a, False) == pytest.approx(by_differences, abs=1e-2)
        assert names["slope"](names["S"], a, True) > 0.0


def test_the_simplex_gives_equal_slopes_inside_and_a_lower_one_at_zero(names: Any) -> None:
    sum_alone, simplex = names["rows_of_proportions"].to_numpy()
    assert sum_alone[:3].min() < 0.0
    assert simplex[:3].min() == pytest.approx(0.0, abs=1e-9)  # SLSQP meets its bounds to rounding
    assert simplex[3] == pytest.approx(simplex[4], rel=1e-2)
    assert simplex[5] < simplex[3]
    assert sum_alone[6] > simplex[6]


def test_what_is_said_of_recovery_is_so(names: Any) -> None:
    recovered, certainty, _, ruled_out, tau, a, two = range(7)
    mean = {key: np.mean(values, axis=0) for key, values in names["runs"].items()}
    error = {key: np.std(values, axis=0, ddof=1) / np.sqrt(len(values)) for key, values in names["runs"].items()}
    best, ours = mean["joint", "true parameters"], mean["joint", "shared"]
    assert abs(ours[recovered] - best[recovered]) < 0.02
    assert abs(ours[certainty] - ours[recovered]) < 3 * error["joint", "shared"][certainty]
    assert abs(ours[tau] - 0.4) < 3 * error["joint", "shared"][tau]
    for variance in ("true parameters", "shared", "per_gene_block"):
        assert mean["composite", variance][recovered] < 0.35 - 2 * error["composite", variance][recovered]
        assert mean["composite", variance][certainty] > mean["composite", variance][recovered] + 0.2
    product, blocks = mean["composite", "shared"], mean["joint", "per_gene_block"]
    assert product[tau] == 0.0
    assert product[two] == 0.0
    assert product[ruled_out] == pytest.approx(0.5, abs=0.05)
    assert blocks[recovered] < 2 / 3 * ours[recovered]
    assert blocks[certainty] > blocks[recovered] + 0.1
    assert mean["composite", "per_gene_block"][certainty] > 0.999
    assert mean["composite", "per_gene_block"][a] == 0.0
