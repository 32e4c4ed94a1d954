"""Equation labels: what the code cites is in the theory, and what the theory defines is used."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CITED = re.compile(r"\[([A-Z]{2,}-(?:\d+|[A-Z]))\]")
TARGET = re.compile(r"^\(([A-Z]{2,}-(?:\d+|[A-Z]))\)=$", re.MULTILINE)
HEADING = re.compile(r"^#+ \[([A-Z]{2,}-(?:\d+|[A-Z]))\] ", re.MULTILINE)


def citations(files: Iterable[Path]) -> dict[str, str]:
    """Give each label that the files cite, with the first file that cites it."""
    found: dict[str, str] = {}
    for file in sorted(files):
        for label in CITED.findall(file.read_text(encoding="utf-8")):
            found.setdefault(label, file.name)
    return found


def definitions(folder: Path) -> list[str]:
    """Give the labels that the pages of a folder define, repeated where defined twice."""
    return [label for page in sorted(folder.glob("*.md")) for label in TARGET.findall(page.read_text(encoding="utf-8"))]


THEORY = ROOT / "docs" / "theory"


@pytest.fixture(scope="module")
def cited() -> dict[str, str]:
    """What src and tests cite; tests of the pages themselves do not count."""
    tests = [file for file in (ROOT / "tests").rglob("*.py") if file.parent.name != "docs"]
    return citations([*(ROOT / "src").rglob("*.py"), *tests])


def test_every_label_the_code_cites_is_in_the_theory(cited: dict[str, str]) -> None:
    unknown = {label: file for label, file in cited.items() if label not in definitions(THEORY)}
    assert not unknown, f"labels without a heading in docs/theory: {unknown}"


def test_every_label_in_the_theory_is_cited_by_code_or_tests(cited: dict[str, str]) -> None:
    unused = sorted(set(definitions(THEORY)) - set(cited))
    assert not unused, f"labels in docs/theory that neither src nor tests cite: {unused}"


def test_no_label_is_defined_twice() -> None:
    defined = definitions(THEORY)
    assert sorted(defined) == sorted(set(defined))


@pytest.mark.parametrize("page", sorted(THEORY.glob("*.md")), ids=lambda page: page.name)
def test_every_target_is_shown_in_its_heading(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert TARGET.findall(text) == HEADING.findall(text)


def test_the_search_reads_labels_and_nothing_else(tmp_path: Path) -> None:
    label = "[" + "MOM-3" + "]"
    other = "[" + "REML-S" + "]"
    (tmp_path / "code.py").write_text(f"quad = x[K-1]  # {label}, see {other}; not X[i-1] nor [a-2]\n")
    (tmp_path / "page.md").write_text("(MOM-3)=\n## [MOM-3] Randomised traces\n\ntext (VC-1)= inside a line\n")
    assert set(citations([tmp_path / "code.py"])) == {"MOM-3", "REML-S"}
    assert definitions(tmp_path) == ["MOM-3"]
