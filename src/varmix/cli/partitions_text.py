"""A fit of partitions as text that fits a terminal of 80 columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from varmix.cli.partitions_findings import PartitionFindings
from varmix.cli.text import INDENT, WIDTH, aligned, number, wrapped
from varmix.results.text import advice_line, certificate_line, headline

SHOWN = 20
"""Partitions, and rows of proportions, on the screen; the files have them all."""
CALLED = 0.05
"""False discovery rate at which genes are counted as having types that differ."""
ROOM = WIDTH - len(INDENT)


def partitions_text(findings: PartitionFindings) -> str:
    """Headline, tables, what the genes come to, what was dropped, why it stopped, what to be careful about."""
    fit, facts = findings.fit, findings.fit.facts
    parts = [wrapped(headline(fit)), _section("Shares of the partitions", _shares(findings))]
    parts.append(_section("Variances", _rows(findings, "components", "term")))
    if "shapes" in findings.tables:
        parts.append(_section("Shapes of the noise", _rows(findings, "shapes", "name")))
    if findings.estimated:
        parts.append(_section("Proportions, with standard errors", _proportions(findings.tables["proportions"])))
    if findings.comparison is not None:
        parts.append(_compared(findings))
    parts.append("\n".join(wrapped(line) for line in (*_noise(facts), *_genes(findings), _sample(fit.sample))))
    parts.append(
        "\n".join(
            [wrapped(advice_line(fit)), wrapped(certificate_line(fit))]
            + [wrapped(f"Note: {told}") for told in (*facts.get("warnings", []), *findings.notes)]
        )
    )
    return "\n\n".join(parts) + "\n"


def _shares(findings: PartitionFindings) -> str:
    table = findings.tables["shares"]
    counts = findings.genes["genes"]["partition"].value_counts()
    rows = [["partition", "share", "se", f"{100 * findings.level:g} % interval", "by", "genes"]]
    for row in table.sort_values("estimate", ascending=False, kind="stable").head(SHOWN).to_dict("records"):
        cells = [number(row["estimate"], 4), *_error(row), f"{counts.get(row['partition'], 0):,}"]
        rows.append([str(row["partition"]), *cells])
    return _with_rest(aligned(rows, width=ROOM), len(table), "shares.tsv")


def _rows(findings: PartitionFindings, name: str, column: str) -> str:
    variances = name == "components"
    rows = [[column, "variance", "sd"] if variances else [column, "estimate"]]
    rows[0] += ["se", f"{100 * findings.level:g} % interval", "by"]
    for row in findings.tables[name].to_dict("records"):
        sd = [number(row["sd"])] if variances else []
        rows.append([str(row[column]).replace("_", " "), number(row["estimate"]), *sd, *_error(row)])
    return aligned(rows, width=ROOM)


def _proportions(table: pd.DataFrame) -> str:
    """A row per sample type, a column per cell type as far as they fit."""
    types = list(dict.fromkeys(table["cell_type"]))
    rows, wide = [["", *types]], table["sample_type"].nunique()
    for name, part in table.groupby("sample_type", sort=False):
        if len(rows) > SHOWN:
            break
        rows.append([str(name), *(_with_error(row) for row in part.to_dict("records"))])
    kept = len(types)
    while kept > 1 and _width(rows, kept + 1) > ROOM:
        kept -= 1
    text = _with_rest(aligned([row[: kept + 1] for row in rows], width=ROOM), wide, "proportions.tsv")
    more = (
        "" if kept == len(types) else f"\n... and {len(types) - kept} more cell types, in proportions.tsv with --out."
    )
    return text + more


def _compared(findings: PartitionFindings) -> str:
    found = findings.comparison
    assert found is not None
    count = len(found.table)
    return wrapped(
        f"Against the known proportions ({count:,}): correlation {number(found.correlation, 4)}, mean absolute error "
        f"{number(found.error, 3)}."
    )


def _noise(facts: Mapping[str, Any]) -> list[str]:
    within = f" (margin {facts['margin']:g})" if facts["margin"] else ""
    lines = [
        f"Noise: {' + '.join(facts['noise'])}{within}; variance {facts['variance']}; likelihood {facts['likelihood']}."
    ]
    lines.append(f"Starts: {facts['starts_at_best']:,} of {facts['starts']:,} reached the best.")
    if math.isfinite(facts["bic"]):
        lines.append(f"Criteria: AIC {facts['aic']:.3f}, BIC {facts['bic']:.3f}.")
    return lines


def _genes(findings: PartitionFindings) -> list[str]:
    genes = findings.genes["genes"]
    sure = int((genes["probability"] >= 1.0 - CALLED).sum())
    lines = [f"Genes whose partition has a probability of at least {1.0 - CALLED:g}: {sure:,} of {len(genes):,}."]
    if np.isfinite(genes["q_value"]).any():
        different = int((genes["q_value"] < CALLED).sum())
        lines.append(f"Genes whose cell types differ, at a false discovery rate of {CALLED:g}: {different:,}.")
    if findings.predicted:
        lines.append(f"Predicted: {len(findings.predicted['genes']):,} new genes.")
    return lines


def _sample(sample: pd.DataFrame) -> str:
    told: dict[str, list[str]] = {}
    for row in sample.itertuples(index=False):
        told.setdefault(str(row.what), []).append(f"{int(row.count):,} {row.cause}")
    return " ".join(f"{what.capitalize()}: {', '.join(counts)}." for what, counts in told.items())


def _error(row: Mapping[Any, Any]) -> list[str]:
    low, high = float(row["lower"]), float(row["upper"])
    ends = "-" if math.isnan(low) or math.isnan(high) else f"{low:.4g} to {high:.4g}"
    return [number(float(row["se"]), 4), ends, str(row["interval"])]


def _with_error(row: Mapping[Any, Any]) -> str:
    if row["interval"] == "known":
        return f"{number(row['estimate'], 3)} known"
    return f"{row['estimate']:.3f} ({'-' if math.isnan(row['se']) else format(row['se'], '.2g')})"


def _width(rows: list[list[str]], kept: int) -> int:
    return sum(max(len(row[at]) for row in rows) for at in range(kept)) + 2 * (kept - 1)


def _with_rest(text: str, count: int, file: str) -> str:
    return text + (f"\n... and {count - SHOWN} more, in {file} with --out." if count > SHOWN else "")


def _section(title: str, body: str) -> str:
    return f"{title}\n{textwrap.indent(body, INDENT)}"
