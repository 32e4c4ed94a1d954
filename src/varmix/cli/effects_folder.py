"""What a mixture of random effects leaves in a folder. Only files of these names are overwritten or removed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from varmix.cli.effects_figures import FIGURES, write_effects_figures
from varmix.cli.effects_findings import EffectFindings
from varmix.cli.folder import FIT
from varmix.cli.terminal import note
from varmix.errors import MissingExtraError
from varmix.models.random_effect_mixture.stream.posterior import posterior_tables
from varmix.models.random_effect_mixture.stream.reduction import StreamReduction
from varmix.results import Fit
from varmix.results.store import FORMAT

SUMMARY = "summary.txt"
TABLES = (
    "shares", "mixing", "components", "design", "bootstrap", "number_of_classes", "classes", "starts", "paths", "sample"
)  # fmt: skip
"""In the order of reading; a fit on a grid has `mixing`, others all that was asked for."""
HEAD = 200
"""Characters of a saved fit within which it says so."""


def write_effects(findings: EffectFindings, folder: Path, text: str, *, figures: bool) -> list[str]:
    """Write everything; names of the files, in the order of reading."""
    _clear_earlier(folder)
    fit = findings.fit
    (folder / SUMMARY).write_text(text, encoding="utf-8")
    tables = {"components": findings.components, "sample": fit.sample}
    if findings.classes is None:
        _write_posterior(fit, folder / "classes.tsv")
    else:
        tables["classes"] = findings.classes
        fit.save(folder / FIT)
    if findings.shares is None:
        tables |= {"mixing": fit.table("mixing"), "paths": fit.progress}
    else:
        tables |= {"shares": findings.shares, "design": fit.table("design")}
        tables |= {"starts": fit.starts, "paths": fit.table("paths")}
    if findings.bootstrap is not None:
        tables["bootstrap"] = findings.bootstrap
    if findings.tests is not None:
        tables["number_of_classes"] = findings.tests.table
    ordered = [name for name in TABLES if name in tables]
    for name in ordered:
        _write_table(tables[name], folder / f"{name}.tsv")
    whole = [FIT] if findings.classes is not None else ["classes.tsv"]
    written = [SUMMARY, *whole, *(f"{name}.tsv" for name in ordered)]
    if figures:
        try:
            written += write_effects_figures(findings, folder)
        except MissingExtraError as missing:
            note(f"No figures were drawn: {missing}")
    return written


def _clear_earlier(folder: Path) -> None:
    """Remove what an earlier fit left and this one may not write again, so that no file tells of another fit."""
    saved, summary = folder / FIT, folder / SUMMARY
    if saved.is_file():
        with saved.open(encoding="utf-8", errors="replace") as handle:
            ours = f'"{FORMAT}"' in handle.read(HEAD)
    else:
        ours = summary.is_file() and (folder / "components.tsv").is_file()
    if not ours:
        return
    for name in (FIT, *(f"{table}.tsv" for table in TABLES), *(f"{figure}.png" for figure in FIGURES)):
        (folder / name).unlink(missing_ok=True)


def _write_posterior(fit: Fit, path: Path) -> None:
    """The posterior of a stream, piece by piece; that of its groups, which are held, at once."""
    model, params = fit.report.model, fit.report.params  # type: ignore[attr-defined]
    streamed = isinstance(model.reduction, StreamReduction)
    with path.open("w", encoding="utf-8", newline="") as handle:
        for number, table in enumerate(posterior_tables(model.reduction, params) if streamed else (fit.classes,)):
            table.to_csv(handle, sep="\t", index=False, na_rep="NA", lineterminator="\n", header=not number)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, sep="\t", index=False, na_rep="NA", lineterminator="\n")
