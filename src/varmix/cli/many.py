"""`varmix many`: many traits that share their kernels and covariates, fitted as one batch into one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import typer
from threadpoolctl import threadpool_limits

from varmix.api.many import gather_many
from varmix.cli.choices import CriterionChoice, NegativeEigenvaluesChoice, ReferenceChoice, ScalingChoice
from varmix.cli.codes import ExitCode
from varmix.cli.folder import make_folder
from varmix.cli.kernels import KernelFiles, check_people, people_told
from varmix.cli.people import People
from varmix.cli.terminal import note, reading
from varmix.cli.text import aligned, number, wrapped
from varmix.errors import DataError, OptionError
from varmix.formula import Design
from varmix.iteration import Status

SHOWN_TRAITS = 20
"""Rows on the screen; the file has them all."""


def fit_together(
    people: People,
    files: KernelFiles,
    out: Path,
    *,
    criterion: CriterionChoice,
    scaling: ScalingChoice,
    reference: ReferenceChoice,
    negative_eigenvalues: NegativeEigenvaluesChoice,
    threads: int | None,
    quiet: bool,
) -> ExitCode:
    """Fit all traits and write OUT, one row per trait. NOT_CONVERGED when one ended without its certificate.

    Raises DataError when no trait varies, OptionError when OUT is a folder, and what `gather_many` raises.
    """
    if out.is_dir():
        raise OptionError(f"--out {out} is a folder. Give the name of a file for the table.")
    make_folder(out.parent)
    for told in check_people(people.table, people.source, files):
        if not quiet:
            note(told)
    traits = _varying(people, quiet=quiet)
    with threadpool_limits(limits=threads), reading(files.n_variants, quiet=quiet) as tick, people_told():
        gathered = gather_many(
            people.table[["FID", "IID", *traits]],
            designs=files.designs,
            kernels=files.kernels,
            covariates=people.known,
            scaling=scaling.value,
            reference=reference.value,
            on_missing="drop",
            tick=tick,
        )
        table, design = gathered.fit(criterion.value, None, negative_eigenvalues.value), gathered.inputs.design
    table.to_csv(out, sep="\t", index_label="trait", na_rep="NA", lineterminator="\n")
    arrived = np.array([status in Status.__members__ and Status[status].arrived for status in table["status"]])
    if not quiet:
        typer.echo(_text(table, design, out))
    if arrived.all():
        return ExitCode.DONE
    first = table.index[int((~arrived).argmax())]
    typer.echo(
        f"error: {int((~arrived).sum()):,} of {len(table):,} traits ended without a certificate (first: '{first}'). "
        f"Look at the column status of {out}, and fit them alone with varmix vc.",
        err=True,
    )
    return ExitCode.NOT_CONVERGED


def _varying(people: People, *, quiet: bool) -> tuple[str, ...]:
    """Traits that are not the same for everybody; the others are told and left out."""
    values = people.table[list(people.traits)]
    varies = (values.max() > values.min()).to_numpy()
    left = [name for name, keep in zip(people.traits, varies, strict=True) if not keep]
    if len(left) == len(people.traits):
        raise DataError(
            f"None of the {len(left):,} traits of {people.source} varies (first: '{left[0]}'). Check the file."
        )
    if left and not quiet:
        note(f"{len(left):,} traits without variance are left out (first: '{left[0]}').")
    return tuple(name for name, keep in zip(people.traits, varies, strict=True) if keep)


def _text(table: pd.DataFrame, design: Design, out: Path) -> str:
    """How many, and the first traits of the table."""
    shares = [name for name in table.columns if name.startswith("proportion")]
    columns = [*shares, *([f"se_{shares[0]}", "lr_p"] if len(shares) == 1 else [])]
    titles = {"lr_p": "LR test p", "se_proportion": "se"}
    rows = [["trait", "people", *(titles.get(name, name.removeprefix("proportion_")) for name in columns), "status"]]
    for trait, row in table.head(SHOWN_TRAITS).iterrows():
        rows.append([str(trait), f"{row['rows']:,}", *(number(row[name], 4) for name in columns), str(row["status"])])
    more = len(table) - SHOWN_TRAITS
    sample = design.sample
    told = (
        f"{len(table):,} traits, {design.n:,} people ({sample['missing response']:,} without any trait, "
        f"{sample['missing covariate']:,} without a covariate left out)."
    )
    lines = [
        wrapped(told),
        "",
        aligned(rows),
        *([f"... and {more:,} more"] if more > 0 else []),
        "",
        f"Written: {out}",
    ]
    return "\n".join(lines)
