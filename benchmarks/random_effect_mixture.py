"""Time mixtures of random effects: beside an EM with a numerical M-step, beside mixsqp, and beside reading the data.

    python benchmarks/random_effect_mixture.py [--quick] [--parts starts million npmle methods] [--out FOLDER]

Minima of repeats, on one thread of BLAS; prints ratios and writes them with a figure of what each method needs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from varmix.api.random_effect_mixture import random_effect_mixture
from varmix.iteration import Threads
from varmix.models.random_effect_mixture.npmle import gain_bound
from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.statistics import BLOCK, ratios, summarise
from varmix.models.random_effect_mixture.units import Units

VARIANCES, SHARES, RESIDUAL = (0.001, 1.0), (0.7, 0.3), 0.5
"""The truth that is simulated, with x ~ N(0, 1): classes that are hard to tell apart."""
NOTE_ITERATIONS = 100
PATIENCE = 5_000
"""Iterations after which a method alone is given up."""
Table = dict[str, Any]


def best(run: Callable[[], Any], repeats: int) -> float:
    """The shortest of several times, in seconds."""
    times = []
    for _ in range(repeats):
        clock = time.perf_counter()
        run()
        times.append(time.perf_counter() - clock)
    return min(times)


def simulate(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Responses and regressors."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(2, size=n, p=SHARES)
    x = rng.standard_normal(n)
    slopes = rng.standard_normal(n) * np.sqrt(np.array(VARIANCES))[classes]
    return slopes * x + rng.standard_normal(n) * math.sqrt(RESIDUAL), x


# Ten starts


def class_logs(y: np.ndarray, x: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Log densities of (v_1, v_2, s) given by their logarithms, shape (n, 2)."""
    *variances, residual = np.exp(logs)
    tau = np.outer(x**2, variances) + residual
    return -0.5 * (np.log(2.0 * np.pi * tau) + y[:, None] ** 2 / tau)


def numerical_em(y: np.ndarray, x: np.ndarray, rng: np.random.Generator, iterations: int) -> float:
    """EM whose M-step is a numerical optimiser without derivatives, as one writes it first; the log-likelihood."""
    logs, shares = np.log(rng.uniform(0.05, 2.0, size=3)), np.array([0.5, 0.5])
    value = -math.inf
    for _ in range(iterations):
        joint = class_logs(y, x, logs) + np.log(shares)
        top = joint.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(joint - top).sum(axis=1))
        value = float(total.sum())
        weights = np.exp(joint - total[:, None])
        shares = weights.mean(axis=0)
        logs = minimize(lambda at, w=weights: -float((w * class_logs(y, x, at)).sum()), logs).x
    return value


def ten_starts(quick: bool) -> Table:
    """n = 10,000: ten starts to their certificates, and ten of 100 iterations of the numerical EM."""
    y, x = simulate(10_000, 1)
    seconds = best(lambda: random_effect_mixture(y, x, starts=10, rng=1), 5)
    fit = random_effect_mixture(y, x, starts=10, rng=1)
    run = 1 if quick else 3
    rng = np.random.default_rng(2)
    clock = time.perf_counter()
    ends = [numerical_em(y, x, rng, NOTE_ITERATIONS) for _ in range(run)]
    each = (time.perf_counter() - clock) / run
    # Its likelihood is of the same rows, without any constant left out.
    return {
        "seconds": seconds,
        "reached": int(fit.starts["reached_best"].sum()),
        "evaluations": int(fit.table("paths").groupby("start")["evaluations"].max().sum()),
        "log_likelihood": fit.log_likelihood,
        "numerical_em_starts_run": run,
        "numerical_em_ten_starts": 10.0 * each,
        "numerical_em_below": [fit.log_likelihood - end for end in ends],
        "faster": 10.0 * each / seconds,
    }


# A million


def floor(q: np.ndarray, h2: np.ndarray, params: MixtureParams) -> None:
    """One division, exponential and square root per class and row and one logarithm per row, in the same blocks."""
    count = params.classes
    size = BLOCK // count
    tau, exponent = np.empty((count, size)), np.empty((count, size))
    for start in range(0, len(q), size):
        part = q[start : start + size]
        t, e = tau[:, : len(part)], exponent[:, : len(part)]
        np.multiply.outer(params.variances, part, out=t)
        t += params.residual
        np.reciprocal(t, out=t)
        np.multiply(t, h2[start : start + size], out=e)
        e *= -0.5
        np.exp(e, out=e)
        np.sqrt(t, out=t)
        np.log(e[0], out=e[0])


def only_ratios(q: np.ndarray, h2: np.ndarray, params: MixtureParams) -> None:
    """The densities of an evaluation without its derivatives."""
    size = BLOCK // params.classes
    for start in range(0, len(q), size):
        ratios(params, q[start : start + size], h2[start : start + size])


def million(quick: bool) -> Table:
    """One fit of two classes, one evaluation of it, and what they rest on."""
    n, repeats = (200_000, 5) if quick else (1_000_000, 30)
    y, x = simulate(n, 3)
    fit = random_effect_mixture(y, x, starts=1)
    units: Units = fit.report.model.reduction.units
    params = fit.report.params
    halves, two = units.split(2), Threads(2)
    serial = best(lambda: summarise(params, units), repeats)
    found = {
        "n": n,
        "fit": {
            f"workers {workers}, starts {starts}": best(
                lambda workers=workers, starts=starts: random_effect_mixture(
                    y, x, starts=starts, rng=1, workers=workers
                ),
                2 if quick else 3,
            )
            for workers in (1, 2)
            for starts in (1, 10)
        },
        "evaluations_from_one_start": int(fit.facts["evaluations"]),
        "gain_bound": best(lambda: gain_bound(params, [units]), 3),
        "reduce": best(lambda: random_effect_mixture_reduced(y, x), repeats),
        "evaluation": serial,
        "evaluation_two_threads": best(lambda: two.map_add(lambda piece: summarise(params, piece), halves), repeats),
        "densities_alone": best(lambda: only_ratios(units.q, units.h2, params), repeats),
        "floor": best(lambda: floor(units.q, units.h2, params), repeats),
        "read_once": best(lambda: units.q.sum() + units.h2.sum(), repeats),
    }
    found["times_read"] = serial / found["read_once"]
    found["times_floor"] = serial / found["floor"]
    found["times_read_two_threads"] = found["evaluation_two_threads"] / found["read_once"]
    return found


def random_effect_mixture_reduced(y: np.ndarray, x: np.ndarray) -> Any:
    """From arrays to units, without a fit."""
    from varmix.api.effect_rows import read_rows

    return read_rows(y, x).reduced()


# Methods


def methods(quick: bool) -> list[Table]:
    """Evaluations and seconds to the certificate at n = 10,000, from one start, alone and with Newton's finish."""
    y, x = simulate(10_000, 1)
    start = [([0.2, 2.0], 1.0, [0.5, 0.5])]
    target = random_effect_mixture(y, x, starts=10, rng=1).log_likelihood
    rows = []
    for method in ("newton", "glm", "mm", "pxem", "em"):
        for accelerate in ("none",) if method == "newton" else ("none", "squarem", "anderson"):
            for polish in (False, True):
                if method == "newton" and not polish:
                    continue

                def run(method: str = method, accelerate: str = accelerate, polish: bool = polish) -> Any:
                    return random_effect_mixture(
                        y, x, starts=start, method=method, accelerate=accelerate, polish=polish,
                        max_iterations=500 if polish or quick else PATIENCE,
                    )  # fmt: skip

                fit = run()
                rows.append(
                    {
                        "method": method,
                        "accelerate": accelerate,
                        "newton_finish": polish and method != "newton",
                        "finished_by": fit.facts["finished_by"],
                        "evaluations": int(fit.facts["evaluations"]),
                        "seconds": best(run, 3 if fit.facts["evaluations"] < 500 else 1),
                        "arrived": bool(fit.status.arrived),
                        "status": fit.status.name,
                        "below": target - fit.log_likelihood,
                        "newton_decrement": float(fit.certificate.newton_decrement),
                    }
                )
    return rows


# The grid


def npmle(quick: bool) -> Table:
    """A grid of 60 variances beside mixsqp on the same matrix of likelihoods."""
    compare = importlib.import_module("npmle_against_mixsqp")
    found: Table = compare.compare(units=20_000 if quick else 100_000, classes=60, repeats=3 if quick else 5)
    return found


def figure(rows: list[Table], path: Path) -> None:
    """Evaluations to the certificate; open circles did not arrive."""
    canvas = Figure(figsize=(6.0, 3.6), layout="constrained")
    ax = canvas.subplots()
    tones = {"none": "#0072B2", "squarem": "#D55E00", "anderson": "#009E73"}
    names = list(dict.fromkeys(row["method"] for row in rows))
    for row in rows:
        place = names.index(row["method"]) + 0.2 * (list(tones).index(row["accelerate"]) - 1)
        tone = tones[row["accelerate"]]
        mark = "D" if row["newton_finish"] else "o"
        ax.plot([row["evaluations"]], [place], mark, color=tone, markerfacecolor=tone if row["arrived"] else "white")
    for name, tone in tones.items():
        ax.plot([], [], "o", color=tone, label="plain" if name == "none" else name)
    ax.plot([], [], "o", color="#222222", label="alone")
    ax.plot([], [], "D", color="#222222", label="Newton finishes")
    ax.plot([], [], "o", color="#222222", markerfacecolor="white", label="given up")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("evaluations to the certificate, n = 10,000, one start")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    canvas.savefig(path, dpi=110)


def told(name: str, found: Any) -> str:
    """What a part comes to, in lines."""
    if name == "starts":
        below = ", ".join(f"{value:.2g}" for value in found["numerical_em_below"])
        return (
            f"n = 10,000: ten starts {found['seconds']:.3f} s, {found['reached']} reach the best "
            f"({found['evaluations']} evaluations); numerical EM, ten starts of {NOTE_ITERATIONS} iterations, from "
            f"{found['numerical_em_starts_run']} run: {found['numerical_em_ten_starts']:.0f} s, "
            f"{found['faster']:.0f} times as long, ends {below} below"
        )
    if name == "million":
        fits = ", ".join(f"{how} {seconds:.2f} s" for how, seconds in found["fit"].items())
        first = (
            f"n = {found['n']:,}: fit {fits} ({found['evaluations_from_one_start']} evaluations from one start; reduce "
            f"{found['reduce'] * 1e3:.0f} ms, bound on the gain by more classes {found['gain_bound'] * 1e3:.0f} ms)"
        )
        second = (
            f"evaluation {found['evaluation'] * 1e3:.1f} ms, two threads {found['evaluation_two_threads'] * 1e3:.1f}; "
            f"densities alone {found['densities_alone'] * 1e3:.1f} ms, floor {found['floor'] * 1e3:.1f} ms, reading "
            f"once {found['read_once'] * 1e3:.2f} ms"
        )
        third = (
            f"evaluation is {found['times_floor']:.2f} times the floor, {found['times_read']:.1f} times reading once "
            f"({found['times_read_two_threads']:.1f} with two threads)"
        )
        return "\n  ".join([first, second, third])
    if name == "methods":
        lines = []
        for row in found:
            finish = " + newton" if row["newton_finish"] else ""
            lines.append(
                f"{row['method']}{finish}, {row['accelerate']}: {row['evaluations']} evaluations, "
                f"{row['seconds'] * 1e3:.0f} ms, {row['status']}, {row['below']:.2g} below"
            )
        return "\n  ".join(lines)
    own = found["varmix"]
    theirs = ", ".join(
        f"mixsqp {setting} {row['seconds']:.2f} s (ratio {found['ratios'][setting]:.1f}, "
        f"{own['log_likelihood'] - row['log_likelihood']:.2g} below ours)"
        for setting, row in found["mixsqp"].items()
    )
    return (
        f"n = {found['units']:,}, {found['classes']} points: shares {own['seconds']:.2f} s (gap {own['gap']:.1g}); "
        f"{theirs or 'mixsqp is not installed'}; the whole fit with the residual variance {found['npmle']:.2f} s"
    )


PARTS: dict[str, Callable[[bool], Any]] = {
    "starts": ten_starts,
    "million": million,
    "npmle": npmle,
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
    path = options.out / "random_effect_mixture.json"
    report: Table = json.loads(path.read_text()) if path.is_file() else {}
    for name in options.parts:
        load = os.getloadavg()[0]
        with threadpool_limits(1):
            found = PARTS[name](options.quick)
        report[name] = {"load_before": load, "load_after": os.getloadavg()[0], "quick": options.quick, "found": found}
        print(f"{name} (load {load:.1f} to {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)\n  {told(name, found)}")
        path.write_text(json.dumps(report, indent=1))
    if "methods" in options.parts:
        figure(report["methods"]["found"], options.out / "random_effect_mixture.png")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
