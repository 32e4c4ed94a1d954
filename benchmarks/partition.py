"""Time latent partitions: fits beside their targets, an evaluation beside its count of operations, and the schemes.

    python benchmarks/partition.py [--quick] [--parts targets evaluation likelihoods methods] [--out FOLDER]

Minima of repeats, on one thread of BLAS; prints ratios and writes them with a figure of an evaluation's cost.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import varmix as vm
from varmix.models.partition import joint
from varmix.models.partition.climb import Climb
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.partitions import Partitions, all_partitions
from varmix.models.partition.starting import moment_start

TARGETS = {
    "20 types x 25 samples": ((20_000, 20, 25, 5), 10.0),
    "500 types x 1 sample": ((20_000, 500, 1, 5), 10.0),
    "5 types x 2 samples": ((5_000, 5, 2, 4), 0.5),
}
"""(genes, sample types, samples of each, cell types) and the seconds that a fit may take."""

PATIENCE = 500
"""Steps after which a method alone is given up."""
Shape = tuple[int, int, int, int]
Table = dict[str, Any]


def best(run: Callable[[], Any], repeats: int) -> float:
    """The shortest of several times, in seconds."""
    times = []
    for _ in range(repeats):
        clock = time.perf_counter()
        run()
        times.append(time.perf_counter() - clock)
    return min(times)


def simulate(shape: Shape, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, Partitions]:
    """Expression (G, n), types of samples, proportions (D, T) and all partitions: noise of cells."""
    genes, types, each, cells = shape
    rng = np.random.default_rng(seed)
    partitions = all_partitions([f"cell {number + 1}" for number in range(cells)])
    proportions = rng.dirichlet(np.ones(cells), types)
    sample_type = np.repeat(np.arange(types), each)
    labels = np.array(partitions.labels)[rng.choice(len(partitions), genes, p=rng.dirichlet(np.ones(len(partitions))))]
    means = np.take_along_axis(5.0 + rng.standard_normal((genes, cells)), labels, axis=1)
    sds = 0.4 * np.sqrt((proportions**2).sum(axis=1))[sample_type]
    values = means @ proportions[sample_type].T + sds * rng.standard_normal((genes, len(sample_type)))
    return values, sample_type, proportions, partitions


def core(shape: Shape, noise: str, likelihood: str = "joint", **options: Any) -> Any:
    """Reduction, start and climb without what the public function adds to them."""
    values, sample_type, proportions, partitions = simulate(shape)

    def run() -> Any:
        model = PartitionMixture.of(values, sample_type, partitions, proportions, noise=noise, likelihood=likelihood)
        return Climb(**options).run(model, moment_start(model))

    return run


def public(shape: Shape, noise: str) -> Callable[[], Any]:
    """The public function."""
    values, sample_type, proportions, _ = simulate(shape)
    return lambda: vm.partition_mixture(values, sample_type, proportions=proportions, noise=noise)


def targets(quick: bool) -> Table:
    """Three fits to their certificates, one run of everything, with one noise and with both."""
    found = {}
    for name, (shape, seconds) in TARGETS.items():
        sizes = (shape[0] // 10, *shape[1:]) if quick else shape
        row: Table = {"genes": sizes[0], "target": seconds}
        for noise in ("cell", "both"):
            run, whole = core(sizes, noise), public(sizes, noise)
            outcome = run()
            row[noise] = {
                "seconds": best(run, 2),
                "public_seconds": best(whole, 1 if sizes[0] > 10_000 else 2),
                "evaluations": outcome.progress.last.evaluations,
                "status": outcome.status.name,
                "newton_decrement": outcome.certificate.newton_decrement,
            }
        found[name] = row
    return found


# One evaluation


def operations(genes: int, types: int, cells: int, partitions: Partitions) -> float:
    """Multiplications and additions of an evaluation by the table of costs: t, H, densities, moments."""
    blocks = np.array([max(label) + 1 for label in partitions.labels])
    densities = genes * float((cells * blocks + blocks**2).sum())
    moments = genes * float(len(partitions) * cells**2 + (cells * blocks).sum())
    return 2.0 * (types * cells**2 + genes * types * cells + densities + moments)


def curved_operations(genes: int, cells: int, partitions: int) -> float:
    """Those that an evaluation with two kinds of noise and second derivatives does in products of matrices over genes:
    densities and scores from products of T projections, their weighted sums, and products of scores."""
    upper, square = cells * (cells + 1) / 2, cells**2
    scores = 4.0 * upper + 2.0 * square + cells
    sums = upper + cells + 2.0 * (cells + square) + 3.0 * square + square + 16.0
    return 2.0 * genes * (partitions * (scores + sums) + (4.0 + partitions) ** 2)


def product_speed(repeats: int) -> float:
    """Operations a second of a square matrix product of order 800."""
    matrix = np.random.default_rng(1).standard_normal((800, 800))
    return float(2.0 * 800.0**3 / best(lambda: matrix @ matrix, repeats))


def evaluated(shape: Shape, noise: str, speed: float, repeats: int) -> Table:
    """One evaluation with score and Hessian beside its operations, one product t = r E^-1 P and one reading."""
    genes, types, _, cells = shape
    values, sample_type, proportions, partitions = simulate(shape)
    model = PartitionMixture.of(values, sample_type, partitions, proportions, noise=noise)
    start, (piece,) = moment_start(model), model.pieces
    scaled = proportions / (start.noise() / piece.counts)[:, None]
    seconds = best(lambda: joint.summarise(start, partitions, piece), repeats)
    exponentials = np.full((len(partitions), genes), -1.0)
    return {
        "genes": genes,
        "types": types,
        "partitions": len(partitions),
        "seconds": seconds,
        "operations": operations(genes, types, cells, partitions),
        "at_product_speed": operations(genes, types, cells, partitions) / speed,
        "curved_at_product_speed": curved_operations(genes, cells, len(partitions)) / speed,
        "densities": best(lambda: joint.responsibilities(start, partitions, piece), repeats),
        "one_product": best(lambda: (piece.means - start.mean) @ scaled, repeats),
        "reading": best(lambda: piece.means.sum() + piece.within.sum(), repeats),
        "exponentials": best(lambda: np.exp(exponentials), repeats),
    }


def evaluation(quick: bool) -> Table:
    """Along genes, sample types (one sample each) and partitions (of 2 to 6 cell types), with both kinds of noise."""
    repeats = 2 if quick else 4
    speed = product_speed(5)
    genes = (500, 2_000) if quick else (500, 1_000, 2_000, 5_000, 10_000, 20_000)
    types = (5, 50) if quick else (5, 10, 20, 50, 100, 200, 500)
    cells = (2, 4) if quick else (2, 3, 4, 5, 6)
    return {
        "product_speed": speed,
        "genes": [evaluated((n, 20, 2, 5), "both", speed, repeats) for n in genes],
        "types": [evaluated((2_000 if quick else 5_000, n, 1, 5), "both", speed, repeats) for n in types],
        "partitions": [evaluated((1_000 if quick else 4_000, 20, 2, n), "both", speed, repeats) for n in cells],
    }


# Likelihoods and schemes


def arrival(run: Callable[[], Any], target: float | None = None) -> Table:
    """How a climb ends and how long it takes."""
    clock = time.perf_counter()
    outcome = run()
    first = time.perf_counter() - clock
    return {
        "evaluations": outcome.progress.last.evaluations,
        "seconds": min(first, best(run, 2)) if outcome.progress.last.evaluations < 300 else first,
        "finished_by": outcome.scheme,
        "status": outcome.status.name,
        "below": None if target is None else target - outcome.objective,
        "newton_decrement": outcome.certificate.newton_decrement,
    }


def likelihoods(quick: bool) -> Table:
    """The joint likelihood and the product over samples, the same data."""
    found = {}
    for shape in ((2_000, 5, 4, 4), (500 if quick else 2_000, 100, 1, 4)):
        name = f"{shape[0]:,} genes, {shape[1]} types x {shape[2]}, {shape[3]} cell types"
        found[name] = {kind: arrival(core(shape, "cell", kind)) for kind in ("joint", "composite")}
    return found


def methods(quick: bool) -> list[Table]:
    """Evaluations and seconds to the certificate, alone and with Newton's finish."""
    shape = (300 if quick else 2_000, 10, 3, 4)
    target = core(shape, "both")().objective
    rows = []
    for method in ("newton", "mm", "pxem", "em"):
        for accelerate in ("none",) if method == "newton" else ("none", "squarem"):
            for polish in (False,) if method == "newton" else (False, True):
                steps = 500 if polish or quick else PATIENCE
                run = core(
                    shape, "both", scheme=method, accelerate=accelerate, polish=polish, max_iterations=steps
                )  # fmt: skip
                rows.append(
                    {"method": method, "accelerate": accelerate, "newton_finish": polish, **arrival(run, target)}
                )
    return rows


def figure(found: Table, path: Path) -> None:
    """Seconds of an evaluation, and its operations at the speed of a matrix product."""
    canvas = Figure(figsize=(10.5, 3.2), layout="constrained")
    words = {"genes": "genes", "types": "sample types", "partitions": "partitions"}
    for ax, (name, label) in zip(canvas.subplots(1, 3, sharey=True), words.items(), strict=True):
        rows = found[name]
        at = [row[name] for row in rows]
        ax.loglog(at, [row["seconds"] for row in rows], "o-", color="#0072B2", label="measured")
        ax.loglog(
            at, [row["at_product_speed"] for row in rows], "s--", color="#D55E00", label="operations (table) / speed"
        )
        ax.loglog(at, [row["curved_at_product_speed"] for row in rows], "D--", color="#CC79A7", label="with curvature")
        ax.loglog(at, [row["exponentials"] for row in rows], "^:", color="#009E73", label="its exponentials")
        ax.loglog(at, [row["one_product"] for row in rows], "v:", color="#555555", label="one product")
        ax.set_xlabel(label)
        ax.spines[["top", "right"]].set_visible(False)
    canvas.axes[0].set_ylabel("seconds")
    canvas.axes[-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    canvas.savefig(path, dpi=110)


def ends(row: Table) -> str:
    """One climb in words."""
    return f"{row['evaluations']} evaluations, {row['seconds']:.3f} s, {row['status']}"


def told(name: str, found: Any) -> str:
    """What a part comes to, in lines."""
    lines = []
    if name == "targets":
        for words, row in found.items():
            for noise in ("cell", "both"):
                own = row[noise]
                lines.append(
                    f"{row['genes']:,} genes, {words}, noise {noise}: {ends(own)} (target {row['target']:g} s); "
                    f"with the report {own['public_seconds']:.2f} s"
                )
    elif name == "evaluation":
        lines.append(f"a matrix product does {found['product_speed'] / 1e9:.1f} billion operations a second")
        for along in ("genes", "types", "partitions"):
            for row in found[along]:
                lines.append(
                    f"{row['genes']:,} genes, {row['types']} types, {row['partitions']} partitions: "
                    f"{row['seconds'] * 1e3:.2f} ms, {row['seconds'] / row['at_product_speed']:.1f} times its "
                    f"operations at that speed ({row['seconds'] / row['curved_at_product_speed']:.1f} with curvature), "
                    f"{row['seconds'] / row['exponentials']:.1f} times its exponentials, "
                    f"{row['seconds'] / row['one_product']:.1f} times one product, "
                    f"{row['seconds'] / row['reading']:.0f} times one reading"
                )
    elif name == "likelihoods":
        for words, row in found.items():
            lines += [f"{words}, {kind}: {ends(own)}" for kind, own in row.items()]
    else:
        for row in found:
            finish = " + newton" if row["newton_finish"] else ""
            lines.append(f"{row['method']}{finish}, {row['accelerate']}: {ends(row)}, {row['below']:.2g} below")
    return "\n  ".join(lines)


PARTS: dict[str, Callable[[bool], Any]] = {
    "targets": targets,
    "evaluation": evaluation,
    "likelihoods": likelihoods,
    "methods": methods,
}


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less data, fewer repeats")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    path = options.out / "partition.json"
    report: Table = json.loads(path.read_text()) if path.is_file() else {}
    for name in options.parts:
        load, clock = os.getloadavg()[0], time.perf_counter()
        with threadpool_limits(1):
            found = PARTS[name](options.quick)
        spent, after = time.perf_counter() - clock, os.getloadavg()[0]
        report[name] = {"load_before": load, "load_after": after, "quick": options.quick, "found": found}
        told_load = f"load {load:.1f} to {after:.1f} on {os.cpu_count()} cores, {spent:.0f} s"
        print(f"{name} ({told_load})\n  {told(name, found)}", flush=True)
        path.write_text(json.dumps(report, indent=1))
    if "evaluation" in options.parts:
        figure(report["evaluation"]["found"], options.out / "partition.png")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
