"""Time a batch of responses that share a kernel, beside loops that fit them one by one.

Run: python benchmarks/many_responses.py [--rows 1000] [--variants 2000] [--responses 20000]

Minima of several runs. Loops are timed on a subset and reported per response; their answers are held against the
batch. Distance from the limit: the rotation beside a plain matrix product of the same shape, the rest beside one
reading of the rotated responses and beside one division of every number in them (the least an exact evaluation costs).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from threadpoolctl import threadpool_limits

from varmix.api.many import variance_components_many
from varmix.genotype import standardise
from varmix.marginal.build import Kernels, build_structure
from varmix.models.linear.batch import fit_batch
from varmix.models.linear.batch.rotation import Rotation
from varmix.models.linear.batch.spectrum import shared_spectrum
from varmix.models.linear.climb import Climb
from varmix.models.linear.starting import good_start

COLUMNS = 4


def best(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Give the least time in seconds and the last answer."""
    times, answer = [], None
    for _ in range(repeats):
        started = time.perf_counter()
        answer = function()
        times.append(time.perf_counter() - started)
    return min(times), answer


def simulate(rows: int, variants: int, responses: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((rows, variants))
    Z = np.column_stack([np.ones(rows), rng.standard_normal((rows, COLUMNS - 1))])
    share = rng.uniform(0.0, 1.0, responses) * (rng.uniform(size=responses) > 0.3)
    Y = X @ rng.standard_normal((variants, responses)) / np.sqrt(variants) * np.sqrt(share)
    Y += rng.standard_normal((rows, responses)) * np.sqrt(1.0 - share) + 1.0
    return X, Z, Y


def brute_force(squares: Any, spectrum: Any) -> Any:
    """Profile REML by bounded scalar minimisation over log-odds, one response: the usual loop, after the rotation."""
    eigenvalues, counts, errors = spectrum.eigenvalues, spectrum.counts, spectrum.errors

    def objective(logit: float) -> float:
        d = (eigenvalues * np.exp(logit) + 1.0) / (1.0 + np.exp(logit))
        return float(errors * np.log((squares / d).sum()) + counts @ np.log(d))

    return minimize_scalar(objective, bounds=(-12.0, 12.0), method="bounded", options={"xatol": 1e-8})


def glimix(Y: Any, Z: Any, K: Any) -> Any:
    """Log-likelihoods by glimix-core, the decomposition outside the loop and not counted; None when not installed."""
    try:
        from glimix_core.lmm import LMM
        from numpy_sugar.linalg import economic_qs
    except ImportError:
        return None
    decomposition = economic_qs(K)

    def loop() -> list[float]:
        values = []
        for y in Y.T:
            model = LMM(y, Z, decomposition, restricted=True)
            model.fit(verbose=False)
            values.append(float(model.lml()))
        return values

    return loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--variants", type=int, default=2000)
    parser.add_argument("--responses", type=int, default=20_000)
    parser.add_argument("--subset", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    n, r, subset, repeats = options.rows, options.responses, options.subset, options.repeats
    X, Z, Y = simulate(n, options.variants, r)
    design = standardise(X)

    reduction, structure = best(lambda: build_structure(Z, Kernels(designs=[design]), eigenvectors=True), repeats)
    rotation = Rotation.of(structure)
    step = max(1, 2**24 // (8 * n))
    rotating, _ = best(lambda: [rotation.block(Y[:, at : at + step]).units for at in range(0, r, step)], repeats)
    print(f"{n} rows, {options.variants} variants, {COLUMNS} fixed effects, {r} responses; least of {repeats} runs")
    print(f"reduction (kernel and eigenvectors)  {reduction:8.3f} s")
    for criterion in ("reml", "ml"):
        batch, fit = best(lambda criterion=criterion: fit_batch(structure, Y, criterion), repeats)
        print(f"batch, {criterion:4} (rotation within)       {batch:8.3f} s   {batch / r * 1e6:8.1f} us per response")
        if criterion == "reml":
            reml, answers = batch, fit
    print(f"  of which the rotation              {rotating:8.3f} s")
    table, _ = best(lambda: variance_components_many(Y, designs=design, covariates=Z[:, 1:]), 1)
    print(f"the public function, from X to table {table:8.3f} s")
    print(
        f"Newton evaluations per response      {answers.iterations.mean():8.2f}   (largest {answers.iterations.max()})"
    )
    print(f"largest decrement                    {np.nanmax(answers.decrement):8.1e} standard errors")

    block = np.ascontiguousarray(Y[:, :step].T)
    square = np.eye(n)
    product, _ = best(lambda: block @ square, 10)
    reading, _ = best(lambda: block.sum(), 5)
    dividing, _ = best(lambda: [np.divide(1.0, part) for part in np.array_split(block, 64)], 5)
    scale, rest = r / block.shape[0], reml - rotating
    print("\ndistance from the limit")
    print(
        f"  a matrix product of that shape     {product * scale:8.3f} s   rotation: {rotating / product / scale:.2f} x"
    )
    print(f"  ({2 * n * n * r / 1e9:.0f} Gflop at {2 * n * n * r / rotating / 1e9:.0f} Gflop/s)")
    print(f"  one reading of the responses       {reading * scale:8.3f} s   the rest: {rest / reading / scale:.1f} x")
    print(f"  one division of every number       {dividing * scale:8.3f} s   the rest: {rest / dividing / scale:.1f} x")

    print(f"\nloops over {subset} responses, decompositions and rotations not counted unless said, BLAS on one thread")
    with threadpool_limits(limits=1, user_api="blas"):
        loops(structure, design, Z, Y[:, :subset], answers, reml / r, repeats)


def loops(structure: Any, design: Any, Z: Any, some: Any, answers: Any, each: float, repeats: int) -> None:
    """One by one is fastest with BLAS on one thread: its calls are small."""
    n, subset = some.shape
    rotation = Rotation.of(structure)
    spectrum, squares = shared_spectrum(structure, "reml"), rotation.block(some).complement ** 2
    seconds, _ = best(lambda: [brute_force(row, spectrum) for row in squares], repeats)
    report("scalar minimiser on the rotated y", seconds / subset, each)
    one = build_structure(Z, Kernels(designs=[design]))

    def climb() -> list[float]:
        found = []
        for y in some.T:
            piece, units = one.piece(y)
            outcome = Climb(criterion="reml").run([piece], good_start(piece))
            found.append(outcome.objective - (n - COLUMNS) * float(np.log(units.response)))
        return found

    seconds, found = best(climb, 1)
    report("varmix one by one, with rotation", seconds / subset, each)
    worst = np.abs(np.array(found) / answers.log_likelihood[:subset] - 1.0).max()
    print(f"    largest relative difference of log-likelihoods {worst:.1e}")
    loop = glimix(some, Z, design.array() @ design.array().T)
    if loop is None:
        print("  glimix-core is not installed: left out")
        return
    seconds, found = best(loop, repeats)
    report("glimix-core, REML", seconds / subset, each)
    # It leaves out the constant of the covariates, 1/2 log |Z'Z|.
    gap = answers.log_likelihood[:subset] + 0.5 * spectrum.log_determinant_covariates - np.array(found)
    print(f"    its log-likelihood less the batch's, without 1/2 log|Z'Z|: {-gap.max():.1e} to {-gap.min():.1e}")


def report(what: str, seconds: float, batch: float) -> None:
    print(f"  {what:36} {seconds * 1e3:9.2f} ms per response   batch is {seconds / batch:8.0f} x faster")


if __name__ == "__main__":
    main()
