"""A fit as HTML for a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from varmix.results import text

if TYPE_CHECKING:
    from varmix.results.fit import Fit


def page(fit: Fit) -> str:
    """Headline, tables, status and certificate; the tables are pandas's own."""
    parts = [f"<p><strong>{escape(text.headline(fit))}</strong></p>"]
    for name, title in fit.report.titles.items():
        table = fit.table(name)
        body = table.to_html(float_format=lambda value: f"{value:.6g}", na_rep="", border=0)
        parts.append(f"<p>{escape(title)}</p>{body}")
    parts.append(f"<p>{escape(text.advice_line(fit))}<br>{escape(text.certificate_line(fit))}</p>")
    parts += [f"<p>Note: {escape(note)}</p>" for note in fit.report.facts.get("warnings", [])]
    return "<div class='varmix-fit'>" + "".join(parts) + "</div>"
