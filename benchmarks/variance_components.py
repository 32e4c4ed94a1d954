"""Time variance-component fits beside other programs in one run, on the same threads.

    python benchmarks/variance_components.py [--quick] [--threads 1 2] [--out benchmarks/results]

Prints ratios (minima of repeats) and writes them with a figure of the growth with n, p, r and the number of kernels.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import varmix as vm

REFERENCE = Path(__file__).resolve().parents[1] / ".." / "shared" / "reference"
Rows = list[dict[str, Any]]


def best(run: Callable[[], Any], repeats: int) -> float:
    """The shortest of several times, in seconds."""
    times = []
    for _ in range(repeats):
        clock = time.perf_counter()
        run()
        times.append(time.perf_counter() - clock)
    return min(times)


def genotypes(n: int, p: int, rng: np.random.Generator) -> np.ndarray:
    """Allele counts of unrelated people."""
    return rng.binomial(2, rng.uniform(0.05, 0.5, p), size=(n, p)).astype(float)


def trait(X: np.ndarray, rng: np.random.Generator, heritability: float = 0.5) -> np.ndarray:
    """A trait with that heritability."""
    standard = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)
    genetic = standard @ rng.standard_normal(X.shape[1]) * np.sqrt(heritability / X.shape[1])
    return genetic + np.sqrt(1.0 - heritability) * rng.standard_normal(X.shape[0])


def kernel_of(X: np.ndarray) -> np.ndarray:
    """The relationship matrix."""
    standard = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)
    return standard @ standard.T / X.shape[1]


def against_eigh(n: int, repeats: int) -> dict[str, Any]:
    """A full single-kernel REML fit, and one by design, against eigh of the same kernel; alternated against drift."""
    rng = np.random.default_rng(1)
    X = genotypes(n, n, rng)
    K, y = kernel_of(X), trait(X, rng)
    fit, design, full, values = [], [], [], []
    for _ in range(repeats):
        fit.append(best(lambda: vm.variance_components(y, kernels={"kin": K}), 1))
        full.append(best(lambda: scipy.linalg.eigh(K), 1))
        values.append(best(lambda: scipy.linalg.eigvalsh(K), 1))
        design.append(best(lambda: vm.variance_components(y, designs={"snps": X}), 1))
    rate = gemm_rate(n)
    reduction = 4.0 / 3.0 * n**3
    return {
        "n": n,
        "fit_kernel": min(fit),
        "fit_design": min(design),
        "eigh": min(full),
        "eigvalsh": min(values),
        "ratio": min(fit) / min(full),
        "ratio_design": min(design) / min(full),
        "gemm_gflops": rate / 1e9,
        "limit": reduction / rate,
        "times_limit": min(fit) / (reduction / rate),
    }


def gemm_rate(n: int) -> float:
    """Flops per second of a matrix product of order n: the limit of a reduction that is all BLAS-3."""
    A = np.random.default_rng(0).standard_normal((n, n))
    return 2.0 * n**3 / best(lambda: A @ A, 3)


def small_fits(reference: Path, repeats: int) -> Rows:
    """The reference data sets, ML as in the R package VCM, against its seconds (taken elsewhere: for orientation)."""
    rows: Rows = []
    for entry in json.loads((reference / "vcm" / "vcm.json").read_text())[:3]:
        name = entry["id"]
        X = np.loadtxt(reference / "vcm" / f"{name}_X.csv", delimiter=",")
        y = np.loadtxt(reference / "vcm" / f"{name}_y.csv", delimiter=",")
        covariates = np.loadtxt(reference / "vcm" / f"{name}_Z.csv", delimiter=",", ndmin=2) if entry["c"] else None
        for ours, theirs in (
            ("newton", "PXEM_tight"),
            ("newton", "MM_tight"),
            ("pxem", "PXEM_tight"),
            ("mm", "MM_tight"),
        ):
            seconds = best(
                lambda method=ours, Z=covariates, X=X, y=y: vm.variance_components(
                    y, designs={"snps": X}, covariates=Z, method=method, criterion="ml"
                ),
                repeats,
            )
            told = entry[theirs]["seconds"]
            row = {"data": name, "n": len(y), "p": X.shape[1], "method": ours, "seconds": seconds}
            rows.append(row | {"against": theirs, "their_seconds": told, "faster": told / seconds})
    return rows


def thousand(repeats: int) -> dict[str, Any]:
    """n = p = 1000, by each method to its certificate."""
    rng = np.random.default_rng(2)
    X = genotypes(1000, 1000, rng)
    y = trait(X, rng)
    return {
        method: best(lambda method=method: vm.variance_components(y, designs={"snps": X}, method=method), repeats)
        for method in ("newton", "em", "pxem", "mm", "moments")
    }


def growth(quick: bool) -> Rows:
    """Seconds of a fit as one dimension grows, beside the flops that it needs."""
    rng = np.random.default_rng(3)
    rows: Rows = []

    def add(axis: str, size: int, flops: float, run: Callable[[], Any]) -> None:
        rows.append({"axis": axis, "size": size, "flops": flops, "seconds": best(run, 2)})

    for n in (500, 1000, 2000) if quick else (500, 1000, 2000, 4000):
        X = genotypes(n, 1000, rng)
        K, y = kernel_of(X), trait(X, rng)
        add("n (one kernel)", n, 4 / 3 * n**3, lambda K=K, y=y: vm.variance_components(y, kernels={"kin": K}))
    X = genotypes(2000, 8000, rng)
    y = trait(X, rng)
    for p in (250, 500, 1000, 2000, 4000, 8000):
        inner = min(p, 2000)
        flops = (2 * 2000 * p**2 - 2 / 3 * p**3 + p**3 if p < 1999 else 2000**2 * p) + 4 / 3 * inner**3
        part = X[:, :p]
        add("p (n = 2000)", p, flops, lambda part=part: vm.variance_components(y, designs={"snps": part}))
    blocks = [kernel_of(genotypes(1000, 1500, rng)) for _ in range(5)]
    y = trait(genotypes(1000, 1000, rng), rng)
    for count in (1, 2, 3, 4, 5):
        named = {f"k{i}": K for i, K in enumerate(blocks[:count])}
        fit = vm.variance_components(y, kernels=named)
        evaluations = fit.facts["evaluations"]
        flops = 4 / 3 * 1000**3 if count == 1 else evaluations * 1000.0**3
        add("kernels (n = 1000)", count, flops, lambda named=named: vm.variance_components(y, kernels=named))
    X = genotypes(1000, 1000, rng)
    K = kernel_of(X)
    for responses in (100, 1000, 5000) if quick else (100, 1000, 5000, 20000):
        Y = rng.standard_normal((1000, responses))
        flops = 9 * 1000.0**3 + 2 * 1000.0**2 * responses
        add("r (n = 1000)", responses, flops, lambda Y=Y: vm.variance_components_many(Y, kernels={"kin": K}))
    return rows


def figure(rows: Rows, path: Path, rate: float) -> None:
    """Measured seconds, and the flops at the speed of a matrix product."""
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    canvas = Figure(figsize=(3.2 * len(axes), 3.2), layout="constrained")
    for panel, axis in zip(canvas.subplots(1, len(axes)), axes, strict=True):
        part = [row for row in rows if row["axis"] == axis]
        sizes = [row["size"] for row in part]
        panel.loglog(sizes, [row["seconds"] for row in part], "o-", color="#0072B2", label="measured")
        panel.loglog(sizes, [row["flops"] / rate for row in part], "--", color="#999999", label="flops at gemm speed")
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=7)
        panel.xaxis.minorticks_off()
        panel.tick_params(axis="y", which="both", labelsize=7)
        panel.set_xlabel(axis)
        panel.set_ylabel("seconds")
        panel.legend(frameon=False, fontsize=8)
    canvas.savefig(path, dpi=110)


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="n = 1500 in place of 3000, fewer repeats")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--reference", type=Path, default=REFERENCE)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    report: dict[str, Any] = {}
    for threads in options.threads:
        with threadpool_limits(threads):
            part: dict[str, Any] = {"eigh": against_eigh(1500 if options.quick else 3000, 2 if options.quick else 3)}
            told = part["eigh"]
            print(
                f"threads {threads}: n = {told['n']}: REML fit of a kernel {told['fit_kernel']:.2f} s, eigh "
                f"{told['eigh']:.2f} s: ratio {told['ratio']:.2f} (eigvalsh alone {told['eigvalsh']:.2f} s); from the "
                f"design {told['fit_design']:.2f} s, ratio {told['ratio_design']:.2f}; {told['times_limit']:.1f} "
                f"times the reduction's flops at {told['gemm_gflops']:.0f} GFlop/s"
            )
            part["thousand"] = thousand(3)
            print("  n = p = 1000: " + ", ".join(f"{m} {s * 1e3:.0f} ms" for m, s in part["thousand"].items()))
            if (options.reference / "vcm" / "vcm.json").is_file():
                part["small"] = small_fits(options.reference, 5)
                for row in part["small"]:
                    what = f"{row['data']} (n = {row['n']}, p = {row['p']}) {row['method']}"
                    theirs = f"{row['against']} {row['their_seconds']:.3f} s"
                    print(f"  {what}: {row['seconds'] * 1e3:.1f} ms, {theirs}: {row['faster']:.0f} times")
            report[f"threads {threads}"] = part
    with threadpool_limits(max(options.threads)):
        rows, rate = growth(options.quick), gemm_rate(1000)
    report["growth"] = rows
    for row in rows:
        print(f"  {row['axis']} = {row['size']}: {row['seconds']:.3f} s, {row['flops'] / rate:.3f} s at gemm speed")
    figure(rows, options.out / "variance_components.png", rate)
    (options.out / "variance_components.json").write_text(json.dumps(report, indent=1))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
