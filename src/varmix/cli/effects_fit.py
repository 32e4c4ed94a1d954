"""`varmix effects`: a mixture of random effects of a table of summary statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
import typer

from varmix.api.random_effect_mixture import STARTS, random_effect_mixture
from varmix.cli.codes import ExitCode
from varmix.cli.effects_findings import EffectFindings, find_effects
from varmix.cli.effects_folder import write_effects
from varmix.cli.effects_request import EffectColumns, EffectsMethod, EffectsOutput, EffectsRequest
from varmix.cli.effects_text import effects_text
from varmix.cli.fitting import ended, show_json, told_once
from varmix.cli.folder import make_folder
from varmix.cli.terminal import reading
from varmix.cli.text import wrapped
from varmix.cli.vc import for_lines
from varmix.results import Fit
from varmix.tables.columns import LABEL, read_columns


def fit_effects(columns: EffectColumns, fitting: EffectsRequest, output: EffectsOutput) -> ExitCode:
    """Read, fit, tell and write. NOT_CONVERGED where the certificate is not met.

    Raises what `read_columns` and `random_effect_mixture` raise, OptionError for options that exclude each other.
    """
    options = fitting.options()
    output.check_method(fitting.method)
    if columns.stream:
        output.check_stream()
    if output.folder is not None:
        make_folder(output.folder)
    if columns.stream:
        read: Callable[..., Fit] = partial(_fit, str(columns.path), columns.group, columns)
        names = None
    else:
        table = read_columns(
            columns.path,
            {"--y": columns.y, "--x": columns.x, "--se": columns.se, "--weights": columns.weights},
            {"--group": columns.group, "--id": columns.names},
        )
        read = partial(_fit, table, None if columns.group is None else LABEL + columns.group, columns)
        names = None if columns.names is None else table[LABEL + columns.names]
    starts = None if fitting.method is EffectsMethod.npmle else fitting.starts or STARTS
    with reading(starts, quiet=output.quiet, doing="Climbing", then="Deriving intervals") as tick:
        findings = find_effects(read(tick=tick, **options), output, names, stream=columns.stream)
    return _report(findings, output)


def _fit(data: pd.DataFrame | str, group: str | None, columns: EffectColumns, **options: object) -> Fit:
    """Fit the rows of a table or, in pieces, of a file."""
    return told_once(
        lambda: random_effect_mixture(
            columns.y,
            columns.x,
            group,
            se=columns.se,
            weights=columns.weights,
            data=data,
            **options,  # type: ignore[arg-type]
        )
    )


def _report(findings: EffectFindings, output: EffectsOutput) -> ExitCode:
    """Show and write the fit."""
    fit, folder = findings.fit, output.folder
    text = for_lines(effects_text(findings, plan=output.plan))
    told = not (output.quiet or output.json)
    if told:
        typer.echo(text, nl=False)
    if output.json:
        show_json(fit)
    if folder is not None:
        written = write_effects(findings, folder, text, figures=output.figures)
        if told:
            typer.echo(f"\n{wrapped(f'Written to {folder}: ' + ', '.join(written) + '.')}")
    return ended(fit, folder)
