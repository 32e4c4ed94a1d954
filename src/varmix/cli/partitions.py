"""The command `varmix partitions`: its options."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from varmix.cli.choices import Acceleration
from varmix.cli.options import (
    FITTING,
    TABLE,
    UNCERTAINTY,
    Debug,
    Figures,
    Json,
    Level,
    MaxIterations,
    Out,
    Polish,
    Quiet,
    Stream,
    Workers,
)
from varmix.cli.partitions_request import (
    Likelihood,
    OnMissing,
    PartitionFiles,
    PartitionMethod,
    PartitionSet,
    PartitionsOutput,
    PartitionsRequest,
    Variance,
    split_names,
)
from varmix.cli.terminal import session

PROPORTIONS = "Proportions"


def partitions(
    expression: Annotated[
        Path,
        typer.Argument(
            metavar="EXPRESSION",
            help="Genes x samples, the first column genes: text with a header (also .gz, .bz2, .xz) or Parquet.",
        ),
    ],
    proportions: Annotated[
        Path | None,
        typer.Option(help="Sample types, or samples, x cell types; NA is estimated.", rich_help_panel=PROPORTIONS),
    ] = None,
    free: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|NAMES", help="All estimated; cell types by number or name.", rich_help_panel=PROPORTIONS
        ),
    ] = None,
    dirichlet: Annotated[
        float | None,
        typer.Option(metavar="ALPHA", help="All estimated with this prior; 1.05 is weak.", rich_help_panel=PROPORTIONS),
    ] = None,
    cell_types: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER|NAMES", help="Of --dirichlet.", rich_help_panel=PROPORTIONS),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            metavar="CELLS",
            help="Estimated, with a prior around --proportions as strong as so many cells counted.",
            rich_help_panel=PROPORTIONS,
        ),
    ] = None,
    known_proportions: Annotated[
        Path | None,
        typer.Option(help="Names the cell types that were estimated, and tells how near.", rich_help_panel=PROPORTIONS),
    ] = None,
    sample_type: Annotated[
        Path | None,
        typer.Option(help="Table: samples, and the type of each; else by --proportions.", rich_help_panel=TABLE),
    ] = None,
    sample_type_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Types, of --sample-type or else of --proportions.", rich_help_panel=TABLE),
    ] = None,
    on_missing: Annotated[
        OnMissing | None,
        typer.Option(help="mask the values (the default), drop their genes, or stop.", rich_help_panel=TABLE),
    ] = None,
    stream: Stream = False,
    partitions: Annotated[
        PartitionSet | None, typer.Option(help="Up to 7 cell types all, which is the default.", rich_help_panel=FITTING)
    ] = None,
    partition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORDS", help="One of a list of your own: 'liver | brain = lung'.", rich_help_panel=FITTING
        ),
    ] = None,
    variance: Annotated[
        Variance, typer.Option(help="Of noise: one for all genes, or scales of their own.", rich_help_panel=FITTING)
    ] = Variance.shared,
    likelihood: Annotated[
        Likelihood, typer.Option(help="composite takes samples as independent.", rich_help_panel=FITTING)
    ] = Likelihood.joint,
    noise: Annotated[
        str,
        typer.Option(
            metavar="auto|both|full|TERMS",
            help="Terms: cell, measurement, trend, misfit, scatter (commas).",
            rich_help_panel=FITTING,
        ),
    ] = "auto",
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Of a gene's highest level by which cell types that share may differ.",
            rich_help_panel=FITTING,
        ),
    ] = None,
    method: Annotated[
        PartitionMethod, typer.Option(help="auto is newton; others for plain noise.", rich_help_panel=FITTING)
    ] = PartitionMethod.auto,
    accelerate: Annotated[
        Acceleration | None, typer.Option(help="Extrapolate the steps of em, pxem or mm.", rich_help_panel=FITTING)
    ] = None,
    polish: Polish = None,
    max_iterations: MaxIterations = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Standard errors from the optimum to stop at.", rich_help_panel=FITTING)
    ] = None,
    starts: Annotated[
        int | None,
        typer.Option(min=1, help="Starts; 1, and 8 where proportions are estimated.", rich_help_panel=FITTING),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random starts and draws.", rich_help_panel=FITTING)] = 1,
    workers: Workers = None,
    level: Level = 0.95,
    bootstrap: Annotated[
        int | None,
        typer.Option(min=2, help="Refits to genes drawn anew, for intervals and errors.", rich_help_panel=UNCERTAINTY),
    ] = None,
    predict: Annotated[
        Path | None, typer.Option(help="New genes: writes the same tables of them.", rich_help_panel=TABLE)
    ] = None,
    out: Out = None,
    figures: Figures = True,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fit latent partitions: which cell types share the expression of each gene, from samples that mix them.

    varmix partitions expression.csv --proportions proportions.csv --out results
    """
    with session(debug=debug, quiet=quiet):
        files = PartitionFiles(
            expression=expression,
            proportions=proportions,
            types=sample_type,
            types_column=sample_type_column,
            free=free,
            dirichlet=dirichlet,
            strength=strength,
            cell_types=split_names(cell_types),
            known=known_proportions,
            predict=predict,
            on_missing=on_missing,
            stream=stream,
        )
        fitting = PartitionsRequest(
            partitions=partitions,
            partition=tuple(partition or ()),
            variance=variance,
            likelihood=likelihood,
            noise=noise,
            margin=margin,
            method=method,
            accelerate=accelerate,
            polish=polish,
            max_iterations=max_iterations,
            tolerance=tolerance,
            starts=starts,
            seed=seed,
            workers=workers,
        )
        output = PartitionsOutput(
            folder=out, level=level, bootstrap=bootstrap, seed=seed, figures=figures, json=json, quiet=quiet
        )
        code = import_module("varmix.cli.partitions_fit").fit_partitions(files, fitting, output)
        if code:
            raise typer.Exit(code)
