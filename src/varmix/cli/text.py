"""A fit as text that fits a terminal of 80 columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import pandas as pd

from varmix.cli.findings import Findings
from varmix.results.text import certificate_line, headline

WIDTH = 80
SHORTEST_NAME = 8
"""Names are cut to make a line fit, but not below this; the files have them whole."""
INDENT = "  "
SHOWN_COEFFICIENTS = 20
"""Principal components and batches would fill the screen; the file has them all."""


def fit_text(findings: Findings) -> str:
    """Headline, tables, what was dropped, why it stopped, and what to be careful about."""
    fit = findings.fit
    parts = [
        wrapped(headline(fit)),
        _section("Variance components", _components(findings)),
        _section("Proportions of variance", _proportions(findings)),
        _section("Fixed effects", _coefficients(findings)),
        _sample(fit.sample),
        "\n".join(
            [wrapped(f"{fit.status.name}: {fit.status.advice}"), wrapped(certificate_line(fit))]
            + [wrapped(f"Note: {told}") for told in fit.facts.get("warnings", [])]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def aligned(rows: Sequence[Sequence[str]], *, width: int = WIDTH) -> str:
    """Rows as columns two blanks apart: names left, cut where a line would be too long, and numbers right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    room = max(width - sum(2 + wide for wide in widths[1:]), SHORTEST_NAME)
    widths[0] = min(widths[0], room)
    lines = []
    for name, *cells in rows:
        right = [cell.rjust(wide) for cell, wide in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([_short(name, room).ljust(widths[0]), *right]).rstrip())
    return "\n".join(lines)


def number(value: float, digits: int = 6) -> str:
    """Significant digits; a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.{digits}g}"


def _components(findings: Findings) -> str:
    p_values = dict(zip(findings.tests["term"], findings.tests["p"], strict=True))
    rows = [["term", "estimate", "se", _interval_name(findings), "by"] + (["LR test p"] if p_values else [])]
    for row in findings.components.itertuples(index=False):
        cells = [str(row.term), number(row.estimate), number(row.se, 4), _interval(row), str(row.interval)]
        if p_values:
            cells.append(number(p_values[row.term], 3) if row.term in p_values else "")
        rows.append(cells)
    return aligned(rows, width=WIDTH - len(INDENT))


def _proportions(findings: Findings) -> str:
    rows = [["term", "proportion", "se", _interval_name(findings), "s / sum of s"]]
    for row in findings.proportions.itertuples(index=False):
        rows.append([str(row.term), number(row.estimate), number(row.se, 4), _interval(row), number(row.ratio)])
    return aligned(rows, width=WIDTH - len(INDENT))


def _coefficients(findings: Findings) -> str:
    table = findings.coefficients
    rows = [["term", "estimate", "se", _interval_name(findings), "t", "p"]]
    for name, row in zip(table.index, table.itertuples(index=False), strict=True):
        rows.append(
            [
                str(name),
                number(row.estimate),
                number(row.se, 4),
                _interval(row),
                f"{row.statistic:.2f}",
                number(row.p, 3),
            ]
        )
        if len(rows) > SHOWN_COEFFICIENTS:
            break
    more = len(table) - SHOWN_COEFFICIENTS
    return aligned(rows, width=WIDTH - len(INDENT)) + (
        f"\n... and {more} more, in coefficients.tsv with --out." if more > 0 else ""
    )


def _sample(sample: pd.DataFrame) -> str:
    """People and variants, a line or two each."""
    counts = {(str(row.what), str(row.cause)): int(row.count) for row in sample.itertuples(index=False)}
    people = [
        f"{counts[what, cause]:,} {'in the phenotype file' if what == 'response' else f'in {what}'}"
        + (f" ({lost:,} not in every file)" if (lost := counts.get((what, "samples not in all sources"), 0)) else "")
        for what, cause in counts
        if cause == "samples given"
    ]
    people += [
        f"{count:,} with {cause}"
        for (what, cause), count in counts.items()
        if what == "rows" and "missing" in cause and count
    ]
    people.append(f"{counts['rows', 'used']:,} used")
    lines = [wrapped(f"People: {'; '.join(people)}.")]
    dropped = [cause.partition(": ")[2] for what, cause in counts if cause.startswith("dropped, collinear")]
    if dropped:
        lines.append(wrapped(f"Covariates dropped as collinear: {', '.join(dropped)}."))
    for what in dict.fromkeys(what for what, cause in counts if cause == "variants read"):
        told = [f"{counts[what, 'variants read']:,} read"]
        told += [
            f"{counts[what, cause]:,} {cause}"
            for cause in ("monomorphic", "all missing", "missing calls imputed")
            if counts.get((what, cause))
        ]
        told.append(f"{counts[what, 'variants used']:,} used")
        lines.append(wrapped(f"Variants of {what}: {'; '.join(told)}."))
    return "\n".join(lines)


def _section(title: str, body: str) -> str:
    return f"{title}\n{textwrap.indent(body, INDENT)}"


def _interval_name(findings: Findings) -> str:
    return f"{100 * findings.level:g} % interval"


def _interval(row: object) -> str:
    low, high = float(row.lower), float(row.upper)  # type: ignore[attr-defined]
    return "-" if math.isnan(low) or math.isnan(high) else f"{low:.4g} to {high:.4g}"


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def wrapped(text: str) -> str:
    """Lines of at most 80 columns."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
