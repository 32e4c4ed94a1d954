"""What a fit leaves in a folder: tables, JSON, text and figures. Only these files are overwritten."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from varmix.cli.figures import write_figures
from varmix.cli.findings import Findings
from varmix.cli.terminal import note
from varmix.cli.text import fit_text
from varmix.errors import FileFormatError, MissingExtraError, MissingFileError, NotAvailableError, OptionError
from varmix.results import load

FIT = "fit.json"
SOMETIMES = ("progress.tsv", "tests.tsv", "starts.tsv", "components.png", "progress.png", "profile.png")
"""Files that only some fits have."""


def make_folder(path: Path) -> None:
    """Make the folder and those above it. Raises OptionError when a file stands in the way."""
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise OptionError(f"--out {path}: {place} is a file, not a folder. Give another folder.")
    path.mkdir(parents=True, exist_ok=True)


def folder_name(trait: str) -> str:
    """The trait as the name of a folder."""
    return re.sub(r"[^\w.+-]+", "_", trait).lstrip(".") or "_"


def write_fit(findings: Findings, folder: Path, *, effects: bool, figures: bool) -> list[str]:
    """Write everything; names of the files, in the order of reading."""
    fit = findings.fit
    _clear_earlier(folder)
    text = fit_text(findings)
    (folder / "summary.txt").write_text(text, encoding="utf-8")
    fit.save(folder / FIT)
    tables = {
        "components": findings.components,
        "proportions": findings.proportions,
        "coefficients": findings.coefficients.reset_index(),
        "sample": fit.sample,
    }
    if len(findings.tests):
        tables["tests"] = findings.tests
    if "progress" in fit.report.tables:
        tables["progress"] = fit.progress
    if "starts" in fit.report.tables and len(fit.starts) > 1:
        tables["starts"] = fit.starts
    if effects:
        tables |= _effects(findings)
    for name, table in tables.items():
        _write_table(table, folder / f"{name}.tsv")
    written = ["summary.txt", FIT, *(f"{name}.tsv" for name in tables)]
    if figures:
        try:
            written += write_figures(findings, folder)
        except MissingExtraError as missing:
            note(f"No figures were drawn: {missing}")
    return written


def _effects(findings: Findings) -> dict[str, pd.DataFrame]:
    """Posterior means per kernel; a note where this kind of fit has none."""
    terms = [str(term) for term in findings.fit.components["term"].iloc[:-1]]
    try:
        return {_effects_file(term).removesuffix(".tsv"): findings.fit.effects(term) for term in terms}
    except NotAvailableError as problem:
        note(f"No effects were written: {problem}")
        return {}


def _clear_earlier(folder: Path) -> None:
    """Remove what an earlier fit left and this one may not write again, so that no file tells of another fit."""
    try:
        terms = load(folder / FIT).components["term"]
    except (MissingFileError, FileFormatError, NotAvailableError):
        return
    for name in (*SOMETIMES, *(_effects_file(str(term)) for term in terms)):
        (folder / name).unlink(missing_ok=True)


def _effects_file(term: str) -> str:
    return f"effects.{folder_name(term)}.tsv"


def _write_table(table: pd.DataFrame, path: Path) -> None:
    """Tabs, a header, full precision, NA for missing; an index with a name becomes a column."""
    named = table.reset_index() if table.index.name else table
    named.to_csv(path, sep="\t", index=False, na_rep="NA", lineterminator="\n")
