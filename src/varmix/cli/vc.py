"""`varmix vc`: variance components of one or several traits."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import typer
from threadpoolctl import threadpool_limits

from varmix.api import variance_components
from varmix.cli.codes import ExitCode, code_of
from varmix.cli.findings import Findings, find
from varmix.cli.folder import folder_name, make_folder, write_fit
from varmix.cli.kernels import KernelFiles, check_people, people_told
from varmix.cli.people import People
from varmix.cli.request import FitRequest, OutputRequest
from varmix.cli.terminal import note, reading, tell_error
from varmix.cli.text import fit_text, wrapped
from varmix.cli.wording import for_terminal
from varmix.errors import OptionError, VarmixError
from varmix.results.store import as_text


def fit_traits(
    people: People, files: KernelFiles, fitting: FitRequest, output: OutputRequest, *, threads: int | None
) -> ExitCode:
    """Fit every trait, tell and write. One trait that cannot be fitted does not stop the others; the worst code counts.

    Raises what `variance_components` raises when there is one trait.
    """
    options = fitting.options()
    folders = _folders(people, output.folder)
    for told in check_people(people.table, people.source, files):
        if not output.quiet:
            note(told)
    worst, documents = ExitCode.DONE, {}
    for number, trait in enumerate(people.traits):
        if number and not (output.quiet or output.json):
            typer.echo()
        with threadpool_limits(limits=threads) if threads else nullcontext():
            try:
                findings = _fit(people, trait, files, options, output)
            except VarmixError as problem:
                if len(people.traits) == 1:
                    raise
                tell_error(problem, debug=output.debug, where=f"trait '{trait}': ")
                worst = max(worst, code_of(problem))
                continue
            worst = max(worst, _report(findings, folders.get(trait), output))
        if output.json:
            documents[trait] = json.loads(as_text(findings.fit))
    if output.json:
        typer.echo(json.dumps(documents, indent=1))
    return worst


def _folders(people: People, folder: Path | None) -> dict[str, Path]:
    """DIR for one trait, DIR/TRAIT for several; made before anything is computed."""
    if folder is None:
        return {}
    single = len(people.traits) == 1
    folders = {trait: folder if single else folder / folder_name(trait) for trait in people.traits}
    if len(set(folders.values())) < len(folders):
        raise OptionError("Two traits have names that give the same folder. Rename one, or fit them one at a time.")
    for path in folders.values():
        make_folder(path)
    return folders


def _fit(people: People, trait: str, files: KernelFiles, options: dict[str, object], output: OutputRequest) -> Findings:
    table = people.table[["FID", "IID", trait]]
    with reading(files.n_variants, quiet=output.quiet) as tick, people_told():
        fit = variance_components(
            table,
            covariates=people.known,
            designs=files.designs,
            kernels=files.kernels,
            on_missing="drop",
            tick=tick,
            **options,  # type: ignore[arg-type]
        )
        return find(fit, level=output.level, tests=output.tests)


def _report(findings: Findings, folder: Path | None, output: OutputRequest) -> ExitCode:
    """Show and write one fit; NOT_CONVERGED where its certificate is not met."""
    if not (output.quiet or output.json):
        typer.echo(for_lines(fit_text(findings)), nl=False)
    if folder is not None:
        written = write_fit(findings, folder, effects=output.effects, figures=output.figures)
        if not (output.quiet or output.json):
            typer.echo(f"\n{wrapped(f'Written to {folder}: ' + ', '.join(written) + '.')}")
    status = findings.fit.status
    if status.arrived:
        return ExitCode.DONE
    results = f" What it reached is in {folder}." if folder else ""
    told = for_terminal(f"{status.name}: {status.advice}{results}")
    typer.echo(f"error: the fit of '{findings.fit.facts['response']}' ended without its certificate, {told}", err=True)
    return ExitCode.NOT_CONVERGED


def for_lines(text: str) -> str:
    """Advice in the words of the command line, line by line."""
    return "\n".join(line if line != line.strip() else for_terminal(line) for line in text.split("\n"))
