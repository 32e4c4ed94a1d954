"""The commands `varmix effects` and `varmix effects-plan`: their options."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from varmix.cli.choices import Acceleration
from varmix.cli.effects_request import EffectColumns, EffectsMethod, EffectsOutput, EffectsRequest, IntervalKind
from varmix.cli.options import (
    FITTING,
    TABLE,
    UNCERTAINTY,
    Bootstrap,
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
from varmix.cli.terminal import session


def effects(
    table: Annotated[
        Path,
        typer.Option(help="Text with a header (also .gz, .bz2, .xz) or Parquet; a row each.", rich_help_panel=TABLE),
    ],
    y: Annotated[str, typer.Option(metavar="COLUMN", help="Responses: effects on the outcome.", rich_help_panel=TABLE)],
    x: Annotated[
        str, typer.Option(metavar="COLUMN", help="Regressors: effects on the exposure.", rich_help_panel=TABLE)
    ],
    se: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Known standard errors of --y.", rich_help_panel=TABLE)
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Rows of one group share their effect.", rich_help_panel=TABLE)
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Likelihood weights; the same within a group.", rich_help_panel=TABLE),
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option("--id", metavar="COLUMN", help="Names of the rows, for classes.tsv.", rich_help_panel=TABLE),
    ] = None,
    stream: Stream = False,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Classes of effects; 2 unless given.", rich_help_panel=FITTING)
    ] = None,
    null: Annotated[
        bool, typer.Option("--null", help="The first class has no effect: variance 0.", rich_help_panel=FITTING)
    ] = False,
    residual: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|estimated",
            help="Residual variance; with --se the inflation of its square (known to be 1 unless given).",
            rich_help_panel=FITTING,
        ),
    ] = None,
    method: Annotated[
        EffectsMethod, typer.Option(help="auto is newton; npmle needs no classes.", rich_help_panel=FITTING)
    ] = EffectsMethod.auto,
    accelerate: Annotated[
        Acceleration | None, typer.Option(help="Extrapolate the steps of em, pxem, mm, glm.", rich_help_panel=FITTING)
    ] = None,
    polish: Polish = None,
    max_iterations: MaxIterations = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Standard errors from the optimum to stop at; of npmle the gap per effect.", rich_help_panel=FITTING
        ),
    ] = None,
    points: Annotated[
        int | None, typer.Option(min=2, help="Variances in the grid of npmle.", rich_help_panel=FITTING)
    ] = None,
    starts: Annotated[
        int | None, typer.Option(min=1, help="Starts; 10 unless given, all but three random.", rich_help_panel=FITTING)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random starts and draws.", rich_help_panel=FITTING)] = 1,
    workers: Workers = None,
    interval: Annotated[
        IntervalKind | None,
        typer.Option(
            help="profile, unless there are very many effects: then wald, except at a bound.",
            rich_help_panel=UNCERTAINTY,
        ),
    ] = None,
    level: Level = 0.95,
    bootstrap: Bootstrap = None,
    max_classes: Annotated[
        int | None, typer.Option(min=2, help="Test 1, 2, ... up to so many classes.", rich_help_panel=UNCERTAINTY)
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(min=1, help="Draws per test of a number of classes; 99.", rich_help_panel=UNCERTAINTY),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Show what more rows per effect would tell.", rich_help_panel=UNCERTAINTY),
    ] = False,
    out: Out = None,
    figures: Figures = True,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fit a mixture of random effects to summary statistics: y = b x + e, b from classes of normal effects.

    varmix effects --table bmi_cad.csv --y beta.outcome --x beta.exposure --se se.outcome --null --out results
    """
    with session(debug=debug, quiet=quiet):
        columns = EffectColumns(path=table, y=y, x=x, se=se, group=group, weights=weights, names=ids, stream=stream)
        fitting = EffectsRequest(
            classes=classes,
            null=null,
            residual=residual,
            method=method,
            accelerate=accelerate,
            polish=polish,
            max_iterations=max_iterations,
            tolerance=tolerance,
            points=points,
            starts=starts,
            seed=seed,
            workers=workers,
        )
        output = EffectsOutput(
            folder=out,
            interval=interval,
            level=level,
            bootstrap=bootstrap,
            most_classes=max_classes,
            replicates=replicates,
            plan=plan,
            seed=seed,
            figures=figures,
            json=json,
            quiet=quiet,
        )
        code = _part("effects_fit").fit_effects(columns, fitting, output)
        if code:
            raise typer.Exit(code)


def effects_plan(
    variances: Annotated[str, typer.Option(metavar="LIST", help="Assumed variances of the classes: 0.001,1.")],
    shares: Annotated[str, typer.Option(metavar="LIST", help="Assumed shares of the classes: 0.7,0.3.")],
    residual: Annotated[
        float | None, typer.Option(help="Assumed residual variance; with known errors their inflation.")
    ] = None,
    effects: Annotated[int, typer.Option(min=1, help="Number of effects.")] = 1000,
    rows: Annotated[str | None, typer.Option(metavar="LIST", help="Rows per effect: 1,2,5,10,20.")] = None,
    null: Annotated[bool, typer.Option("--null", help="The first class is known to have variance 0.")] = False,
    se: Annotated[float | None, typer.Option(help="Known standard error of every row.")] = None,
    target_se: Annotated[
        float | None, typer.Option(help="Standard error of the shares to reach: tells the effects needed.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Table with the regressors; else standard normal.")] = None,
    x: Annotated[str | None, typer.Option(metavar="COLUMN", help="Regressors, of --table.")] = None,
    se_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="Known standard errors, of --table.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Table to write, one row per design.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Plan a study of effects: what numbers of effects and of rows per effect tell about the shares.

    varmix effects-plan --variances 0.001,1 --residual 0.5 --shares 0.7,0.3 --effects 10000
    """
    with session(debug=debug):
        _part("effects_plan").tell_plan(
            variances=variances,
            shares=shares,
            residual=residual,
            effects=effects,
            rows=rows,
            null=null,
            se=se,
            target=target_se,
            table=table,
            x=x,
            se_column=se_column,
            out=out,
        )


def _part(name: str) -> Any:
    """A module of the command line, imported when its command runs: --help and --version then stay instant."""
    return import_module(f"varmix.cli.{name}")
