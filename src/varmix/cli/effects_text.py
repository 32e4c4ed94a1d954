"""A mixture of random effects as text that fits a terminal of 80 columns."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import pandas as pd

from varmix.cli.effects_findings import EffectFindings
from varmix.cli.text import INDENT, WIDTH, aligned, number, wrapped
from varmix.results.random_effect_mixture.number_of_classes import ClassSequence, described
from varmix.results.text import advice_line, certificate_line, headline

SHOWN_POINTS = 20
"""Points of a mixing distribution on the screen; the file has them all."""
NO_GAIN = 1e-6
"""In log-likelihood: less is rounding."""
CALLED = 0.05
"""False sign rate below which effects are counted as having a known sign."""


def effects_text(findings: EffectFindings, *, plan: bool) -> str:
    """Headline, tables, what the posterior comes to, what was dropped, why it stopped, what to be careful about."""
    fit = findings.fit
    parts = [wrapped(headline(fit))]
    if findings.mixture:
        parts += [_section("Shares of the classes", _shares(findings)), _section("Variances", _variances(findings))]
    else:
        parts += [_section("Mixing distribution", _mixing(findings)), _section("Variances", _variances(findings))]
    if plan:
        parts.append(_section("What the design can tell", design_text(fit.table("design"))))
    if findings.tests is not None:
        parts.append(_section("Number of classes", tests_text(findings.tests)))
    parts.append(_told(findings))
    parts.append(
        "\n".join(
            [wrapped(advice_line(fit)), wrapped(certificate_line(fit))]
            + [wrapped(f"Note: {told}") for told in (*fit.facts.get("warnings", []), *findings.notes)]
        )
    )
    return "\n\n".join(parts) + "\n"


def design_text(table: pd.DataFrame) -> str:
    """A block for the shares, a block for the variances: a row per number of rows per effect."""
    classes = sum(name.startswith("se_share_") for name in table.columns)
    shares = [["rows per effect", "information kept", *(f"se share {k + 1}" for k in range(classes))]]
    variances = [["rows per effect", *(f"se variance {k + 1}" for k in range(classes)), "se residual"]]
    if "effects_needed" in table:
        shares[0].append("effects needed")
    for row in table.to_dict("records"):
        rows = f"{row['rows_per_effect']:g}"
        shares.append([rows, _percent(row["information_kept"])])
        shares[-1] += [number(row[f"se_share_{k + 1}"], 4) for k in range(classes)]
        if "effects_needed" in table:
            shares[-1].append(f"{row['effects_needed']:,}")
        variances.append([rows, *(number(row[f"se_variance_{k + 1}"], 4) for k in range(classes))])
        variances[-1].append(number(row["se_residual"], 4))
    width = WIDTH - len(INDENT)
    return f"{_fitting(shares, width)}\n\n{_fitting(variances, width)}"


def tests_text(tests: ClassSequence) -> str:
    """Criteria per number of classes, and the tests of one class more."""
    rows = [["classes", "log-likelihood", "AIC", "BIC", "ICL", "statistic", "p"]]
    for row in tests.table.to_dict("records"):
        values = [f"{row[name]:.2f}" for name in ("log_likelihood", "aic", "bic", "icl")]
        rows.append([f"{row['classes']:g}", *values, number(row["statistic"], 4), number(row["p_value"], 3)])
    draws = max((len(test.replicates) for test in tests.tests), default=0)
    told = (
        f"{described(tests.chosen)} at level {tests.level:g}. Each statistic is that of one class more, its p-value "
        f"from {draws:,} draws from the smaller fit."
    )
    return f"{aligned(rows, width=WIDTH - len(INDENT))}\n{_wrapped_in(told)}"


def _shares(findings: EffectFindings) -> str:
    assert findings.shares is not None
    rows = [["class", "variance", "share", "se", _interval_name(findings), "by"]]
    for row in findings.shares.to_dict("records"):
        rows.append([f"{row['class']}", number(row["variance"]), number(row["estimate"]), *_error(row)])
    return aligned(rows, width=WIDTH - len(INDENT))


def _variances(findings: EffectFindings) -> str:
    rows = [["term", "variance", "sd", "se", _interval_name(findings), "by"]]
    for row in findings.components.to_dict("records"):
        term = str(row["term"]).replace("_", " ")
        rows.append([term, number(row["estimate"]), number(row["sd"]), *_error(row)])
    return aligned(rows, width=WIDTH - len(INDENT))


def _mixing(findings: EffectFindings) -> str:
    mixing = findings.fit.table("mixing")
    rows = [["variance", "share", "cumulative"]]
    rows += [[number(row.variance), number(row.share), number(row.cumulative)] for row in mixing.itertuples()]
    more = len(mixing) - SHOWN_POINTS
    shown = aligned(rows[: SHOWN_POINTS + 1], width=WIDTH - len(INDENT))
    return shown + (f"\n... and {more} more, in mixing.tsv with --out." if more > 0 else "")


def _told(findings: EffectFindings) -> str:
    """Starts, criteria, posterior and sample, a line or two each."""
    facts, lines = findings.fit.facts, []
    if "starts" in facts:
        lines.append(f"Starts: {facts['starts_at_best']:,} of {facts['starts']:,} reached the best.")
    if "bic" in facts:
        lines.append(
            f"Criteria: AIC {facts['aic']:.3f}, BIC {facts['bic']:.3f}, ICL {facts['icl']:.3f}. At this residual "
            f"variance {_bound(facts['gain_bound'], 'more classes')}."
        )
    elif "gap" in facts:
        lines.append(f"At this residual variance {_bound(facts['gain_bound'], 'a finer grid')}.")
    classes = findings.classes
    if classes is not None and findings.shares is not None:
        counts = classes["class"].value_counts().reindex(findings.shares["class"], fill_value=0)
        told = ", ".join(f"{count:,} in class {name}" for name, count in counts.items())
        lines.append(f"Most likely class of the effects: {told}.")
    if classes is not None:
        signs = int((classes["lfsr"] < CALLED).sum())
        lines.append(f"Effects with a local false sign rate below {CALLED:g}: {signs:,} of {len(classes):,}.")
    lines.append(_sample(findings.fit.sample))
    return "\n".join(wrapped(line) for line in lines)


def _sample(sample: pd.DataFrame) -> str:
    counts = [(str(row.what), str(row.cause), int(row.count)) for row in sample.itertuples(index=False)]
    told = [f"{count:,} {cause}" for what, cause, count in counts if what == "rows"]
    groups = [f"; {count:,} groups" for what, _, count in counts if what == "groups"]
    return f"Rows: {', '.join(told)}{''.join(groups)}."


def _error(row: dict[str, object]) -> list[str]:
    low, high, error = (float(str(row[name])) for name in ("lower", "upper", "se"))
    ends = "-" if math.isnan(low) or math.isnan(high) else f"{low:.4g} to {high:.4g}"
    return [number(error, 4), ends, str(row["interval"])]


def _fitting(rows: list[list[str]], width: int) -> str:
    """Columns that do not fit beside the others are left to the file."""
    kept = len(rows[0])
    while kept > 2 and _width(rows, kept) > width:
        kept -= 1
    text = aligned([row[:kept] for row in rows], width=width)
    return text if kept == len(rows[0]) else f"{text}\n... and further columns, in design.tsv with --out."


def _width(rows: list[list[str]], kept: int) -> int:
    return sum(max(len(row[at]) for row in rows) for at in range(kept)) + 2 * (kept - 1)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100.0 * share:.3g} %"


def _bound(value: float, what: str) -> str:
    """What could still be gained, to two digits; rounding is no gain."""
    if np.isfinite(value) and value < NO_GAIN:
        return f"{what} would not raise the log-likelihood"
    return f"{what} could raise the log-likelihood by {value:.2g} at most"


def _interval_name(findings: EffectFindings) -> str:
    return f"{100 * findings.level:g} % interval"


def _section(title: str, body: str) -> str:
    return f"{title}\n{textwrap.indent(body, INDENT)}"


def _wrapped_in(text: str) -> str:
    return textwrap.fill(text, WIDTH - len(INDENT), break_long_words=False, break_on_hyphens=False)
