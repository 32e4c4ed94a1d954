"""`varmix demo`: heritability by every method, side by side, on the data that ship with the package."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer
from threadpoolctl import threadpool_limits

from varmix.api import variance_components
from varmix.cli.figures import write_comparison
from varmix.cli.folder import make_folder
from varmix.cli.terminal import note, reading
from varmix.cli.text import aligned, wrapped
from varmix.datasets import Demo, load_demo
from varmix.errors import MissingExtraError, VarmixWarning
from varmix.genotype import ArraySource, open_plink
from varmix.results import Fit

FORMULA: Final = "height ~ sex + age"
PLAIN: Final = "none"
SCHEMES: Final = {"EM": "em", "PX-EM": "pxem", "MM": "mm"}
ACCELERATORS: Final = {PLAIN: "", "squarem": " + SQUAREM", "anderson": " + Anderson"}
DRAWN: Final = ("EM", "MM", "PX-EM", "EM + SQUAREM", "EM + Anderson", "Newton")
"""More lines could not be told apart; the table has all."""
STEPS: Final = 2000
"""Enough for EM alone to arrive, so that its path is seen to the end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One fit and how long it took, seconds."""

    fit: Fit
    seconds: float


def show_demo(folder: Path) -> None:
    """Fit, print the table, write comparison.tsv and two figures into `folder`."""
    # On matrices of 600 rows threads cost more than they give, most of all on a busy machine.
    with threadpool_limits(limits=1):
        _show(folder)


def _show(folder: Path) -> None:
    demo = load_demo()
    make_folder(folder)
    typer.echo(
        f"Simulated data: {len(demo.people):,} people with 1,200 variants; the genotypes make half of the variance of\n"
        f"height that sex and age leave. Model: {FORMULA}, one kernel of all variants, REML.\n"
    )
    runs = _fit_all(demo)
    rows = [_cells(name, run) for name, run in runs.items()]
    header = ["method", "h2", "se", "log-likelihood", "steps", "evals", "ms", "status"]
    typer.echo(aligned([header, *rows]))
    (folder / "comparison.tsv").write_text(
        "\n".join("\t".join(row) for row in [header, *rows]) + "\n", encoding="utf-8"
    )
    _tell_gain(runs)
    _draw(runs, folder)
    typer.echo(
        f"\nThe same from files, with intervals, tests and tables:\n\n  varmix vc --bfile {demo.bfile} \\\n"
        f"    --pheno {demo.pheno} --trait height \\\n    --covar {demo.covar} --method reml --out {folder / 'height'}"
    )


def _fit_all(demo: Demo) -> dict[str, Run]:
    """Every method from the same start, without a finish by Newton, so that the paths are the methods' own."""
    plink = open_plink(demo.bfile)
    with reading(plink.n_variants) as tick:
        calls = plink.read(None, 0, plink.n_variants)
        tick(plink.n_variants)
        source = ArraySource(calls, plink.variants["id"].tolist(), plink.sample_ids, name="snps")
        _fit(demo, source, method="newton", start="equal")  # loads what the first fit loads, outside the clock
        runs = {"Newton": _fit(demo, source, method="newton", start="equal")}
        for name, method in SCHEMES.items():
            for accelerate, suffix in ACCELERATORS.items():
                runs[f"{name}{suffix}"] = _fit(
                    demo,
                    source,
                    method=method,
                    accelerate=accelerate,
                    polish=False,
                    start="equal",
                    max_iterations=STEPS,
                )
        runs["moments"] = _fit(demo, source, method="moments")
    return runs


def _fit(demo: Demo, source: ArraySource, **options: Any) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        begin = time.perf_counter()
        fit = variance_components(FORMULA, demo.people, designs={"snps": source}, **options)
        return Run(fit=fit, seconds=time.perf_counter() - begin)


def _cells(name: str, run: Run) -> list[str]:
    fit = run.fit
    share = fit.proportions.iloc[0]
    return [
        name,
        f"{share['estimate']:.6f}",
        f"{share['se']:.4f}",
        f"{fit.log_likelihood:.6f}",
        str(fit.facts["steps"]),
        str(fit.facts["evaluations"]),
        f"{1000.0 * run.seconds:.0f}",
        fit.status.name,
    ]


def _tell_gain(runs: dict[str, Run]) -> None:
    """What the acceleration saves, in evaluations of the likelihood."""
    lines = []
    for name in SCHEMES:
        plain, squarem, anderson = (
            int(runs[f"{name}{suffix}"].fit.facts["evaluations"]) for suffix in ACCELERATORS.values()
        )
        lines.append(f"{name}: {plain:,} evaluations alone, {squarem} with SQUAREM, {anderson} with Anderson")
    typer.echo("\nWhat acceleration buys: " + ";\n  ".join(lines) + ".")


def _draw(runs: dict[str, Run], folder: Path) -> None:
    climbs = {name: runs[name].fit for name in DRAWN}
    try:
        drawn = write_comparison(climbs, runs["Newton"].fit, folder)
    except MissingExtraError as missing:
        note(f"No figures were drawn: {missing}")
        drawn = []
    typer.echo(f"\n{wrapped(f'Written to {folder}: ' + ', '.join(['comparison.tsv', *drawn]) + '.')}")
