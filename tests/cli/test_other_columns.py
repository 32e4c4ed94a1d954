"""Claims about phenotype files with columns that nobody asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from varmix.cli.app import app
from varmix.datasets import load_demo


@pytest.fixture
def pheno(tmp_path: Path) -> Path:
    """The demonstration's phenotypes beside a column of text."""
    lines = Path(load_demo().pheno).read_text().splitlines()
    path = tmp_path / "with_text.tsv"
    path.write_text(
        "\n".join(f"{line}\t{'group' if row == 0 else 'AB'[row % 2]}" for row, line in enumerate(lines)) + "\n"
    )
    return path


def test_a_text_column_that_is_not_the_trait_does_not_matter(pheno: Path) -> None:
    call = ["vc", "--bfile", str(load_demo().bfile), "--pheno", str(pheno), "--trait"]
    assert CliRunner().invoke(app, [*call, "height"]).exit_code == 0
    refused = CliRunner().invoke(app, [*call, "group"])
    assert refused.exit_code == 3
    assert "group" in refused.output
