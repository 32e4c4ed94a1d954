"""Every tutorial, and a guide with code, runs from top to bottom. The strict build runs them as notebooks; this runs
the code alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^:.*\n", re.MULTILINE)
PAGES = sorted(page for page in DOCS.glob("tutorials/*.md") if page.name != "index.md")
PAGES.append(DOCS / "how_to" / "rows_and_labels.md")
# Their fits of the real data take half a minute: runs that are not slow have the page without them, on its stand-in.
LONG = ("latent_partitions",)


def cells_of(page: Path) -> list[str]:
    return [OPTION.sub("", cell) for cell in CELL.findall(page.read_text(encoding="utf-8"))]


def run(page: Path) -> None:
    cells = cells_of(page)
    assert cells, f"{page.name} has no code cells"
    names: dict[str, object] = {}
    for number, cell in enumerate(cells):
        exec(compile(cell, f"{page.name}, cell {number}", "exec"), names)


@pytest.mark.filterwarnings("ignore::varmix.errors.VarmixWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if page.stem in LONG:
        monkeypatch.delenv("VARMIX_REFERENCE", raising=False)
    run(page)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::varmix.errors.VarmixWarning")
@pytest.mark.parametrize("name", LONG)
def test_a_tutorial_runs_on_the_real_data(name, reference, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VARMIX_REFERENCE", str(reference))
    run(DOCS / "tutorials" / f"{name}.md")
    assert "the real mixtures" in capsys.readouterr().out
