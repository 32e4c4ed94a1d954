"""Law: the lines and columns of a command's files may stand in any order; what it writes is the same by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_data import CORE, FEWER, World
from mixed_samples import CELL_TYPES, PROPORTIONS, mixed
from typer.testing import CliRunner

import varmix as vm
from varmix.cli.app import app

CLOSE = 1e-6
"""Fits end 1e-8 standard errors from the optimum, of sums in another order; files hold digits enough to show it."""
GENES, EACH = 12, 3
CODES = np.repeat(np.arange(len(PROPORTIONS)), EACH)
SEPARATORS = st.sampled_from(["\t", ",", " "])
SEEDS = st.lists(st.integers(0, 2**16), min_size=4, max_size=4)


def run(*arguments: Any) -> None:
    result = CliRunner().invoke(app, [str(item) for item in arguments], prog_name="varmix")
    assert result.exit_code == 0, result.output


def write(table: pd.DataFrame, path: Path, seed: int, separator: str, *, fixed: int = 0) -> Path:
    """Lines in another order, and columns but the first `fixed`."""
    rng = np.random.default_rng(seed)
    names = [*table.columns[:fixed], *rng.permutation(table.columns[fixed:])]
    table[names].iloc[rng.permutation(len(table))].to_csv(path, sep=separator, index=False)
    return path


def read(path: Path, keys: list[str]) -> pd.DataFrame:
    """The numbers of a table by its names."""
    table = pd.read_csv(path, sep="\t", dtype=dict.fromkeys(keys, str)).set_index(keys).select_dtypes("number")
    return table.sort_index()[sorted(table)]


def assert_equal(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, wanted, rtol=CLOSE, atol=CLOSE)


@cache
def world() -> World:
    return World()


@cache
def answers(command: str, seeds: tuple[int, ...] | None, separator: str) -> dict[str, pd.DataFrame]:
    """Tables that a command writes; without `seeds` of files in the order of the world."""
    order = (0,) * 4 if seeds is None else seeds
    with TemporaryDirectory() as name:
        folder = Path(name)
        return COMMANDS[command](folder, order, separator, seeds is not None)


def people_files(folder: Path, seeds: tuple[int, ...], separator: str, shuffled: bool) -> list[Any]:
    """Traits, covariates and a relationship matrix, each with people that the others do not have."""
    here = world()
    files, people = [], [range(CORE + 3), [*range(CORE), *range(CORE + 3, CORE + 6)], range(CORE + 9)]
    for at, columns in enumerate(
        ({"height": here.Y[:, 0], "weight": here.Y[:, 1]}, {"age": here.age, "sex": here.sex})
    ):
        table = pd.concat([here.ids(np.arange(len(here.IID))), pd.DataFrame(columns)], axis=1).iloc[list(people[at])]
        path = folder / f"{at}.txt"
        files.append(write(table, path, seeds[at], separator) if shuffled else table.to_csv(path, index=False) or path)
    rows = np.array(people[2])
    rows = np.random.default_rng(seeds[2]).permutation(rows) if shuffled else rows
    kernel = here.K[np.ix_(rows, rows)]
    vm.write_grm(folder / "kin", kernel, here.ids(rows))
    return ["--pheno", files[0], "--covar", files[1], "--grm", f"kin={folder / 'kin'}"]


def vc_answers(folder: Path, seeds: tuple[int, ...], separator: str, shuffled: bool) -> dict[str, pd.DataFrame]:
    out = folder / "out"
    run("vc", *people_files(folder, seeds, separator, shuffled), "--trait", "height", "--out", out, "--no-figures")
    fit = vm.load(out / "fit.json")
    people = fit.effects("kin")[["estimate"]].sort_index()
    return {
        "components": read(out / "components.tsv", ["term"]),
        "coefficients": read(out / "coefficients.tsv", ["term"]),
        "people": people,
        "fit": pd.DataFrame({"log_likelihood": [fit.log_likelihood]}),
    }


def many_answers(folder: Path, seeds: tuple[int, ...], separator: str, shuffled: bool) -> dict[str, pd.DataFrame]:
    run("many", *people_files(folder, seeds, separator, shuffled), "--out", folder / "many.tsv")
    table = pd.read_csv(folder / "many.tsv", sep="\t")
    return {"many": read(folder / "many.tsv", [str(table.columns[0])]).drop(columns="iterations")}


def effects_answers(folder: Path, seeds: tuple[int, ...], separator: str, shuffled: bool) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(5)
    group = np.repeat(2**60 + np.arange(16), 3)
    x = rng.normal(size=48)
    y = np.repeat(rng.normal(size=16) * np.where(np.arange(16) % 2, 0.3, 3.0), 3) * x + 0.5 * rng.normal(size=48)
    table = pd.DataFrame({"y": y, "x": x, "se": rng.uniform(0.4, 0.6, 48), "group": group, "note": "text"})
    path = write(table, folder / "e.txt", seeds[0], separator) if shuffled else folder / "e.txt"
    if not shuffled:
        table.to_csv(path, index=False)
    given = ["--table", path, "--y", "y", "--x", "x", "--se", "se", "--group", "group", "--starts", 3]
    run("effects", *given, *["--stream"] * (seeds[1] % 2), "--out", folder / "out", "--no-figures")
    out = folder / "out"
    return {"components": read(out / "components.tsv", ["term"]), "classes": read(out / "classes.tsv", ["group"])}


def partitions_answers(folder: Path, seeds: tuple[int, ...], separator: str, shuffled: bool) -> dict[str, pd.DataFrame]:
    drawn = mixed(3, GENES, each=EACH).S.rename_axis("gene").reset_index()
    drawn["gene"] = drawn["gene"].str.replace(" ", "_")
    names = [f"mix_{number}" for number in range(len(PROPORTIONS))]
    proportions = pd.DataFrame(PROPORTIONS, pd.Index(names, name="type"), CELL_TYPES).reset_index()
    types = pd.DataFrame({"sample": drawn.columns[1:], "type": [names[code] for code in CODES]})
    paths = [folder / f"{name}.txt" for name in ("S", "P", "types")]
    for path, table, seed, fixed in zip(paths, (drawn, proportions, types), seeds, (1, 1, 2), strict=False):
        if shuffled:
            write(table, path, seed, separator, fixed=fixed)
        else:
            table.to_csv(path, index=False)
    given = [paths[0], "--proportions", paths[1], "--sample-type", paths[2], "--noise", "both", "--no-figures"]
    run("partitions", *given, *["--stream"] * (seeds[3] % 2), "--out", folder / "out")
    out = folder / "out"
    return {
        "components": read(out / "components.tsv", ["term"]),
        "expression": read(out / "expression.tsv", ["gene"])[CELL_TYPES],
        "genes": read(out / "genes.tsv", ["gene"])[["lfdr", "probability", "q_value"]],
    }


COMMANDS = {"vc": vc_answers, "many": many_answers, "effects": effects_answers, "partitions": partitions_answers}


@pytest.mark.filterwarnings("ignore::varmix.errors.VarmixWarning")
@pytest.mark.parametrize("command", COMMANDS)
@FEWER
@given(seeds=SEEDS, separator=SEPARATORS)
def test_the_order_of_lines_and_columns_changes_nothing_that_is_written(
    command: str, seeds: list[int], separator: str
) -> None:
    wanted = answers(command, None, ",")
    for name, found in answers(command, tuple(seeds), separator).items():
        assert_equal(found, wanted[name])
