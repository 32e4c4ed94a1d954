"""What a fit of partitions leaves in a folder. Only files of these names are overwritten or removed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from varmix.cli.folder import FIT
from varmix.cli.partitions_figures import FIGURES, write_partition_figures
from varmix.cli.partitions_findings import BY_GENE, PartitionFindings
from varmix.cli.terminal import note
from varmix.errors import MissingExtraError
from varmix.results.store import FORMAT

SUMMARY = "summary.txt"
PARAMETERS = ("shares", "components", "coefficients", "shapes", "proportions")
TABLES = (*PARAMETERS, *BY_GENE, "known", "bootstrap", "starts", "progress", "sample")
"""In the order of reading."""
PREDICTED = "predicted."
"""Before the names of the tables of new genes."""
HEAD = 200
"""Characters of a saved fit within which it says so."""


def write_partitions(findings: PartitionFindings, folder: Path, text: str, *, figures: bool) -> list[str]:
    """Write everything; names of the files, in the order of reading."""
    _clear_earlier(folder)
    fit = findings.fit
    (folder / SUMMARY).write_text(text, encoding="utf-8")
    fit.save(folder / FIT)
    tables = {**findings.tables, **findings.genes}
    if findings.comparison is not None:
        tables["known"] = findings.comparison.table
    if findings.bootstrap is not None:
        tables["bootstrap"] = findings.bootstrap
    tables |= {"starts": fit.starts, "progress": fit.progress, "sample": fit.sample}
    ordered = {name: tables[name] for name in TABLES if name in tables}
    ordered |= {PREDICTED + name: table for name, table in findings.predicted.items()}
    for name, table in ordered.items():
        _write_table(table, folder / f"{name}.tsv")
    written = [SUMMARY, FIT, *(f"{name}.tsv" for name in ordered)]
    if figures:
        try:
            written += write_partition_figures(findings, folder)
        except MissingExtraError as missing:
            note(f"No figures were drawn: {missing}")
    return written


def _clear_earlier(folder: Path) -> None:
    """Remove what an earlier fit left and this one may not write again, so that no file tells of another fit."""
    saved = folder / FIT
    if not saved.is_file():
        return
    with saved.open(encoding="utf-8", errors="replace") as handle:
        if f'"{FORMAT}"' not in handle.read(HEAD):
            return
    tables = (*TABLES, *(PREDICTED + name for name in BY_GENE))
    for name in (FIT, *(f"{table}.tsv" for table in tables), *(f"{figure}.png" for figure in FIGURES)):
        (folder / name).unlink(missing_ok=True)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, sep="\t", index=False, na_rep="NA", lineterminator="\n")
