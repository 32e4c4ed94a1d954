"""`varmix effects-plan`: what designs promise before there are data."""

from __future__ import annotations

from pathlib import Path

import typer

from varmix.api.plan_random_effect_mixture import plan_random_effect_mixture
from varmix.cli.effects_text import design_text
from varmix.cli.text import INDENT, wrapped
from varmix.errors import OptionError
from varmix.tables.columns import read_columns
from varmix.typing import Vector


def tell_plan(
    *,
    variances: str,
    shares: str,
    residual: float | None,
    effects: int,
    rows: str | None,
    null: bool,
    se: float | None,
    target: float | None,
    table: Path | None,
    x: str | None,
    se_column: str | None,
    out: Path | None,
) -> None:
    """Plan, tell, and write the table to `out`. Raises what `plan_random_effect_mixture` raises."""
    columns = _columns(table, x, se_column, se)
    given = {} if rows is None else {"rows_per_effect": _counts(rows)}
    plan = plan_random_effect_mixture(
        _numbers(variances, "--variances"),
        residual,
        _numbers(shares, "--shares"),
        x=columns.get("x"),
        effects=effects,
        null=null,
        se=columns.get("se", se),
        target_se=target,
        **given,
    )
    truth = ", ".join(f"{value:.6g}" for value in plan.variances), ", ".join(f"{value:.6g}" for value in plan.shares)
    typer.echo(
        wrapped(
            f"Plan for {effects:,} effects at variances {truth[0]}, residual variance {plan.residual:.6g} and shares "
            f"{truth[1]}:"
        )
    )
    typer.echo("\n" + "\n".join((INDENT + line).rstrip() for line in design_text(plan.table).split("\n")) + "\n")
    typer.echo("\n".join(wrapped(line) for line in plan.advice))
    if out is not None:
        if out.is_dir():
            raise OptionError(f"--out {out} is a folder. Give the name of a file for the table.")
        out.parent.mkdir(parents=True, exist_ok=True)
        plan.table.to_csv(out, sep="\t", index=False, na_rep="NA", lineterminator="\n")
        typer.echo(f"\nWritten: {out}")


def _columns(table: Path | None, x: str | None, se_column: str | None, se: float | None) -> dict[str, Vector]:
    """The regressors, and with `se_column` the errors, of a table's complete rows."""
    if table is None:
        if x is not None or se_column is not None:
            raise OptionError("--x and --se-column are columns of a table: give it with --table.")
        return {}
    if x is None:
        raise OptionError("--table needs --x, the column of the regressors.")
    if se_column is not None and se is not None:
        raise OptionError("--se and --se-column exclude each other: give one of them.")
    given = {"--x": x, "--se-column": se_column}
    read = read_columns(table, given, {}).dropna()
    if not len(read):
        raise OptionError(f"No row of {table} is complete in the columns asked for. Choose others.")
    values: dict[str, Vector] = {"x": read[x].to_numpy()}
    return values if se_column is None else {**values, "se": read[se_column].to_numpy()}


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(item) for item in text.split(",")]
    except ValueError as error:
        raise OptionError(f"{option} {text} is not a list of numbers. Separate them by commas: 0.01,1.") from error


def _counts(text: str) -> list[int]:
    try:
        return [int(item) for item in text.split(",")]
    except ValueError as error:
        raise OptionError(f"--rows {text} is not a list of whole numbers. Separate them by commas: 1,5,10.") from error
