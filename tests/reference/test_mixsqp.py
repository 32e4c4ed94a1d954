"""The best shares beside mixsqp 0.3-48 (R 4.2), on the same matrix of densities, exact (without its SVD of the matrix).

    mixsqp(L, w, control = list(tol.svd = 0))

Skipped where Rscript or mixsqp is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from varmix.models.random_effect_mixture.densities import UnitDensities
from varmix.models.random_effect_mixture.directional import variance_grid
from varmix.models.random_effect_mixture.npmle import npmle
from varmix.models.random_effect_mixture.reduction import reduce_rows
from varmix.models.random_effect_mixture.shares import maximise_shares

SCRIPT = """
suppressMessages(library(mixsqp))
arguments <- commandArgs(TRUE); n <- as.integer(arguments[2]); k <- as.integer(arguments[3])
L <- matrix(readBin(file.path(arguments[1], "density.bin"), "double", n * k), n, k)
w <- readBin(file.path(arguments[1], "weights.bin"), "double", n)
fit <- mixsqp(L, w, control = list(verbose = FALSE, tol.svd = 0))
stopifnot(fit$status == 'converged to optimal solution')
writeBin(fit$x, file.path(arguments[1], "shares.bin"))
"""


def _theirs(density, weights, folder: Path):
    density.tofile(folder / "density.bin")
    weights.tofile(folder / "weights.bin")
    (folder / "fit.R").write_text(SCRIPT, encoding="utf-8")
    classes, units = density.shape
    command = ["Rscript", str(folder / "fit.R"), str(folder), str(units), str(classes)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return np.fromfile(folder / "shares.bin")


@pytest.fixture(scope="module")
def _mixsqp() -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed: nothing to hold the best shares against")
    have = subprocess.run(
        ["Rscript", "-e", "quit(status = !requireNamespace('mixsqp', quietly = TRUE))"],
        capture_output=True,
        check=False,
    )
    if have.returncode != 0:
        pytest.skip("the R package mixsqp is not installed (r-cran-mixsqp in Debian)")


@pytest.mark.usefixtures("_mixsqp")
@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_shares_are_those_of_mixsqp(reference: Path, tmp_path: Path, weighted: bool) -> None:
    data = np.loadtxt(reference / "mixture" / "random_effect_10000.csv", delimiter=",", skiprows=1)
    reduction = reduce_rows(data[:, 1], data[:, 0])
    residual = 0.5 / reduction.scales.residual
    grid = variance_grid([reduction.units], residual)
    density = UnitDensities(pieces=[reduction.units], variances=grid, residual=residual).held().matrix
    density = density / density.max(axis=0)
    weights = np.random.default_rng(0).uniform(0.2, 2.0, len(data)) if weighted else np.ones(len(data))
    found = maximise_shares(density, weights)
    shares = _theirs(density, weights, tmp_path)
    theirs = float(weights @ np.log(shares / shares.sum() @ density))
    # mixsqp stops at 1e-8 per unit (convtol.sqp); asked for more, it gets no further.
    assert theirs <= found.log_likelihood + found.gap
    assert found.log_likelihood == pytest.approx(theirs, abs=2e-8 * weights.sum())
    # Neighbouring classes trade shares at next to no loss; what they add up to is held, to the root of that loss.
    np.testing.assert_allclose(found.shares @ grid, shares @ grid, rtol=1e-3)
    if not weighted:
        fit = npmle([reduction.units], residual=residual)
        np.testing.assert_allclose(fit.shares, found.shares, atol=1e-5)
