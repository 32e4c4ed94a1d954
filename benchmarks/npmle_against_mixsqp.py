"""Time the best shares of a mixing distribution beside R's mixsqp, on one matrix of densities, one BLAS thread each.

    python benchmarks/npmle_against_mixsqp.py [--units 100000] [--classes 60] [--repeats 5]

Both times are of the whole call, from the matrix in memory to the shares; minima of repeats. mixsqp runs with its
defaults (a truncated singular value decomposition of the matrix), without that, and to a tight tolerance.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from varmix.models.random_effect_mixture.densities import UnitDensities
from varmix.models.random_effect_mixture.directional import variance_grid
from varmix.models.random_effect_mixture.npmle import npmle
from varmix.models.random_effect_mixture.reduction import reduce_rows
from varmix.models.random_effect_mixture.shares import maximise_shares

SCRIPT = """
suppressMessages(library(mixsqp))
arguments <- commandArgs(TRUE); folder <- arguments[1]
n <- as.integer(arguments[2]); k <- as.integer(arguments[3]); repeats <- as.integer(arguments[4])
L <- matrix(readBin(file.path(folder, "density.bin"), "double", n * k), n, k)
controls <- list(default = list(), no_svd = list(tol.svd = 0),
                 tight = list(tol.svd = 0, convtol.sqp = 1e-12, eps = 1e-14, zero.threshold.solution = 1e-12,
                              maxiter.sqp = 10000))
for (name in names(controls)) {
  seconds <- Inf
  for (i in seq_len(repeats)) {
    clock <- system.time(fit <- mixsqp(L, control = c(list(verbose = FALSE), controls[[name]])))[["elapsed"]]
    seconds <- min(seconds, clock)
  }
  cat(name, seconds, sprintf("%.17g", sum(log(L %*% (fit$x / sum(fit$x))))), "\\n")
}
"""


def densities(units: int, classes: int, seed: int = 1) -> tuple[Any, Any]:
    """The simulation of the theory page: v = (.001, 1), s = .5, shares (.7, .3); its units and their densities."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=units)
    y = rng.normal(size=units) * np.sqrt(rng.choice([0.001, 1.0], units, p=[0.7, 0.3]) * x * x + 0.5)
    reduction = reduce_rows(y, x)
    residual = 0.5 / reduction.scales.residual
    grid = variance_grid([reduction.units], residual, classes)
    density = UnitDensities(pieces=[reduction.units], variances=grid, residual=residual).held().matrix
    return reduction, np.ascontiguousarray(density / density.max(axis=0))


def ours(density: Any, repeats: int) -> dict[str, float]:
    """Seconds and log-likelihood of `maximise_shares`."""
    seconds = np.inf
    with threadpool_limits(1):
        for _ in range(repeats):
            clock = time.perf_counter()
            found = maximise_shares(density)
            seconds = min(seconds, time.perf_counter() - clock)
    return {"seconds": seconds, "log_likelihood": found.log_likelihood, "gap": found.gap}


def theirs(density: Any, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds and log-likelihood of mixsqp, by setting; empty where R or mixsqp is not installed."""
    if shutil.which("Rscript") is None:
        return {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        density.tofile(folder / "density.bin")
        (folder / "time.R").write_text(SCRIPT, encoding="utf-8")
        classes, units = density.shape
        command = ["Rscript", str(folder / "time.R"), name, str(units), str(classes), str(repeats)]
        limits = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin:/usr/local/bin"}
        run = subprocess.run(command, capture_output=True, text=True, check=False, env=limits)
    if run.returncode != 0:
        return {}
    rows = [line.split() for line in run.stdout.splitlines()]
    return {row[0]: {"seconds": float(row[1]), "log_likelihood": float(row[2])} for row in rows if len(row) == 3}


def compare(units: int = 100_000, classes: int = 60, repeats: int = 5) -> dict[str, Any]:
    """Both programs on one matrix, and the whole fit with the residual variance estimated."""
    reduction, density = densities(units, classes)
    own, other = ours(density, repeats), theirs(density, min(repeats, 3))
    clock = time.perf_counter()
    with threadpool_limits(1):
        npmle([reduction.units])
    whole = time.perf_counter() - clock
    ratios = {name: row["seconds"] / own["seconds"] for name, row in other.items()}
    return {"units": units, "classes": classes, "varmix": own, "mixsqp": other, "ratios": ratios, "npmle": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(json.dumps(compare(arguments.units, arguments.classes, arguments.repeats), indent=2))


if __name__ == "__main__":
    main()
