"""The demonstration, the relationship matrix, and the program as installed."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import varmix as vm

START = [sys.executable, "-c", "from varmix.cli import main; main()"]


@pytest.fixture(scope="module")
def shown(run, tmp_path_factory):
    """Run the demonstration; what it printed and its folder."""
    folder = tmp_path_factory.mktemp("shown") / "demo"
    result = run("demo", "--out", folder)
    assert result.exit_code == 0, result.stderr
    return result.stdout, folder


def test_demo_shows_every_method_at_one_optimum(shown):
    _, folder = shown
    table = pd.read_csv(folder / "comparison.tsv", sep="\t").set_index("method")
    climbs = table.drop(index="moments")
    assert len(climbs) == 10
    assert set(climbs["status"]) == {"CONVERGED"}
    np.testing.assert_allclose(climbs["log-likelihood"], climbs["log-likelihood"].iloc[0], atol=2e-6)  # six digits
    assert climbs["h2"].nunique() == 1
    assert table.loc["moments", "status"] == "CLOSED_FORM"
    # The truth is 0.5; three standard errors.
    assert abs(climbs["h2"].iloc[0] - 0.5) < 3 * climbs["se"].iloc[0]


def test_acceleration_saves_evaluations(shown):
    table = pd.read_csv(shown[1] / "comparison.tsv", sep="\t").set_index("method")["evals"]
    for scheme in ("EM", "PX-EM", "MM"):
        for way in ("SQUAREM", "Anderson"):
            assert table[f"{scheme} + {way}"] < table[scheme] / 2


def test_demo_draws_and_its_command_runs(run, shown):
    text, folder = shown
    assert sorted(path.name for path in folder.iterdir()) == ["comparison.tsv", "paths.png", "profile.png"]
    command = re.sub(r"\\\n", " ", text[text.index("varmix vc") :]).split()
    result = run(*command[1:])
    assert result.exit_code == 0, result.stderr
    h2 = pd.read_csv(folder / "comparison.tsv", sep="\t")["h2"][0]
    fit = vm.load(folder / "height" / "fit.json")
    assert fit.proportions["estimate"][0] == pytest.approx(h2, abs=1e-6)  # printed with six digits


def test_grm_is_gctas_definition(run, files, tmp_path):
    result = run("grm", "--bfile", files / "demo", "--out", tmp_path / "deep" / "kin")
    assert result.exit_code == 0, result.stderr
    written = vm.read_grm(tmp_path / "deep" / "kin")
    source = vm.open_plink(files / "demo")
    calls = source.read(None, 0, source.n_variants)
    frequency = np.nanmean(calls, axis=0) / 2
    calls, frequency = calls[:, frequency > 0], frequency[frequency > 0]
    columns = (calls - 2 * frequency) / np.sqrt(2 * frequency * (1 - frequency))
    present = (~np.isnan(calls)).astype(float)
    columns = np.nan_to_num(columns)
    shared = present @ present.T
    assert shared.min() < shared.max()
    np.testing.assert_allclose(written.values, columns @ columns.T / shared, atol=1e-6)  # float32 in the file
    np.testing.assert_array_equal(written.variant_counts, shared[np.tril_indices(len(shared))])
    assert "1 that do not vary left out" in result.stdout
    assert written.sample_ids.equals(source.sample_ids)


def test_grm_needs_its_files(run, tmp_path):
    result = run("grm", "--bfile", tmp_path / "none", "--out", tmp_path / "kin")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: PLINK files come in threes")


def test_version_is_that_of_the_package(run):
    assert run("--version").stdout == f"varmix {vm.__version__}\n"


@pytest.mark.parametrize("command", ["vc", "many", "grm", "demo"])
def test_help_names_the_options(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "--out" in re.sub(r"\x1b\[[\d;]*m", "", result.stdout)  # colours split words where they are forced


def test_the_program_starts_without_numerical_packages():
    """Help and version must not wait for them."""
    code = "import sys, varmix.cli; print([name for name in ('scipy', 'pandas', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_errors_reach_the_shell(tmp_path):
    done = subprocess.run(
        [*START, "grm", "--bfile", str(tmp_path / "no"), "--out", str(tmp_path / "x")], capture_output=True, text=True
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_without_matplotlib_the_rest_is_written(vc, tmp_path, monkeypatch):
    """Figures are extra: their absence is told, and costs nothing else."""
    for name in [
        name for name in sys.modules if name.split(".")[0] == "matplotlib" or name.startswith("varmix.plots.")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = vc("--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "note: No figures were drawn" in result.stderr
    assert "varmix[plot]" in result.stderr
    assert (tmp_path / "fit.json").is_file()
    assert not list(tmp_path.glob("*.png"))
