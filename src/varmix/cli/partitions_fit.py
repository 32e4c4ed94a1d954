"""`varmix partitions`: which cell types share the expression of each gene."""

from __future__ import annotations

from typing import Any

import typer

from varmix.api.partition_mixture import FREE_STARTS, STARTS, partition_mixture
from varmix.cli.codes import ExitCode
from varmix.cli.fitting import ended, show_json, told_once
from varmix.cli.folder import make_folder
from varmix.cli.partitions_findings import PartitionFindings, find_partitions
from varmix.cli.partitions_folder import write_partitions
from varmix.cli.partitions_request import PartitionFiles, PartitionsOutput, PartitionsRequest
from varmix.cli.partitions_tables import PartitionTables, read_partition_tables
from varmix.cli.partitions_text import partitions_text
from varmix.cli.terminal import reading
from varmix.cli.text import wrapped
from varmix.cli.vc import for_lines
from varmix.errors import OptionError


def fit_partitions(files: PartitionFiles, fitting: PartitionsRequest, output: PartitionsOutput) -> ExitCode:
    """Read, fit, tell and write. NOT_CONVERGED where the certificate is not met.

    Raises what `read_partition_tables` and `partition_mixture` raise, OptionError for options that exclude each other.
    """
    options = fitting.options()
    output.check_files(files)
    read = read_partition_tables(files)
    if read.known is not None and not read.estimated:
        raise OptionError(
            "--known-proportions are held against estimated ones, and all of these are given. Leave it out."
        )
    if output.folder is not None:
        make_folder(output.folder)
    if files.on_missing is not None:
        options["on_missing"] = files.on_missing.value
    starts = fitting.starts or (FREE_STARTS if read.estimated else STARTS)
    with reading(starts, quiet=output.quiet, doing="Climbing", then="Deriving tables") as tick:
        fit = told_once(lambda: _fit(read, tick=tick, **options))
        findings = find_partitions(fit, read, output)
    return _report(findings, output)


def _fit(read: PartitionTables, **options: Any) -> Any:
    return partition_mixture(
        read.expression, read.types, proportions=read.proportions, cell_types=read.cell_types, **options
    )


def _report(findings: PartitionFindings, output: PartitionsOutput) -> ExitCode:
    """Show and write the fit."""
    fit, folder = findings.fit, output.folder
    text = for_lines(partitions_text(findings))
    told = not (output.quiet or output.json)
    if told:
        typer.echo(text, nl=False)
    if output.json:
        show_json(fit)
    if folder is not None:
        written = write_partitions(findings, folder, text, figures=output.figures)
        if told:
            typer.echo(f"\n{wrapped(f'Written to {folder}: ' + ', '.join(written) + '.')}")
    return ended(fit, folder)
