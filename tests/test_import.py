"""Importing varmix is light: what only some uses need is loaded when they ask for it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = [
    "matplotlib", "sklearn", "dask", "distributed", "numba", "jax", "torch", "bed_reader", "pgenlib", "typer", "rich",
    "statsmodels", "polars",
]  # fmt: skip


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    program = "import json, sys, varmix; print(json.dumps([name for name in sys.modules if '.' not in name]))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout))


@pytest.mark.parametrize("package", HEAVY)
def test_import_does_not_load(package: str, loaded: set[str]) -> None:
    assert package not in loaded


def test_every_public_name_exists() -> None:
    import varmix

    assert [name for name in getattr(varmix, "__all__", []) if not hasattr(varmix, name)] == []
