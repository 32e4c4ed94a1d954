"""The program run in process, and small files to run it on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from varmix.cli.app import app
from varmix.datasets import load_demo

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def run() -> Run:
    """Call the program with arguments; every one is turned into text."""
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(item) for item in arguments], prog_name="varmix")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Give a folder with the demonstration files demo.bed, .bim, .fam, .pheno.tsv, .covar.tsv and .sets to spoil."""
    folder = tmp_path / "files"
    shutil.copytree(load_demo().bfile.parent, folder)
    return folder


@pytest.fixture
def vc(run: Run, files: Path) -> Run:
    """Run `varmix vc` on these files, height on sex and age, with further arguments."""
    given = ["--bfile", files / "demo", "--pheno", files / "demo.pheno.tsv", "--covar", files / "demo.covar.tsv"]
    return lambda *arguments: run("vc", *given, "--trait", "height", *arguments)
