"""The law of labels on the command line: lines and columns of files in any order, written in any way."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import Any

import files_of_commands as made
import numpy as np
import pandas as pd
from files_of_commands import CELLS, FRAME, SAMPLES, TYPE_OF, P, S
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import varmix as vm
from varmix.cli.app import app

PEOPLE = pd.concat([pd.DataFrame({"FID": made.FAMILIES, "IID": made.PEOPLE}), made.TRAITS], axis=1)
COVARIATES = pd.concat([PEOPLE[["FID", "IID"]], made.COVARIATES], axis=1)
FEW = settings(max_examples=5)  # a command reads, fits, tells and writes: a second each
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-7}  # sums in another order
orders = st.permutations(range(made.ROWS))
styles = st.sampled_from(["tab", "comma", "blank", "quoted", "compressed", "parquet"])


def write(table: pd.DataFrame, path: Path, style: str) -> str:
    """The table in one of the ways in which programs write it; the path."""
    if style == "parquet":
        table.to_parquet(path.with_suffix(".parquet"), index=False)
        return str(path.with_suffix(".parquet"))
    mark = {"comma": ",", "blank": " ", "quoted": " "}.get(style, "\t")
    text = table.to_csv(sep=mark, index=False, na_rep="NA", quoting=2 if style == "quoted" else 0)
    path.write_bytes(gzip.compress(text.encode()) if style == "compressed" else text.encode())
    return str(path)


def run(*words: Any) -> None:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output


@functools.cache
def folder(base: Path) -> Path:
    made_here = base / "labels"
    made_here.mkdir()
    vm.write_grm(made_here / "kin", made.KERNEL, PEOPLE[["FID", "IID"]])
    return made_here


def people(base: Path, name: str, traits: str, covariates: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    out = folder(base) / name
    words = ["--grm", folder(base) / "kin", "--pheno", traits, "--covar", covariates, "--negative-eigenvalues", "clip"]
    run("vc", *words, "--trait", "a", "--out", out, "--no-figures", "--no-test")
    run("many", *words, "--out", out / "many.tsv")
    tables = ("components", "coefficients", "many")
    found = [
        pd.read_csv(out / f"{table}.tsv", sep="\t").set_index("trait" if table == "many" else "term")
        for table in tables
    ]
    return found[0], found[1], found[2]


@functools.cache
def expected_people(base: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    here = folder(base)
    return people(base, "plain", write(PEOPLE, here / "t.txt", "tab"), write(COVARIATES, here / "c.txt", "tab"))


@FEW
@given(orders, orders, st.permutations(range(4)), st.permutations(range(4)), styles, styles)
def test_files_of_people_meet_by_label(
    tmp_path_factory: Any, one: Any, two: Any, columns: Any, other: Any, style: str, second: str
) -> None:
    base = tmp_path_factory.getbasetemp()
    traits = write(PEOPLE.iloc[one, columns], folder(base) / "traits.txt", style)
    covariates = write(COVARIATES.iloc[two, other], folder(base) / "covariates.txt", second)
    for ours, theirs in zip(people(base, "shuffled", traits, covariates), expected_people(base), strict=True):
        numbers = [name for name in ("estimate", "se", "s_kin", "s_residual", "log_likelihood") if name in theirs]
        np.testing.assert_allclose(ours.loc[theirs.index, numbers], theirs[numbers], **CLOSE)


@FEW
@given(orders, st.permutations(range(6)), styles, st.booleans())
def test_rows_of_effects_are_told_by_their_ids(
    tmp_path_factory: Any, order: Any, columns: Any, style: str, stream: bool
) -> None:
    here = folder(tmp_path_factory.getbasetemp())
    table = FRAME.assign(g=[f"0{number}" for number in FRAME["g"]])
    words = ["--y", "y", "--x", "x", "--se", "se", "--weights", "w", "--group", "g", "--classes", 1, "--starts", 2]
    words += ["--residual", "estimated", "--no-figures"]
    found = []
    for name, data in (("plain", table), ("shuffled", table.iloc[order, columns])):
        path = write(data, here / f"effects_{name}.txt", "tab" if name == "plain" else style)
        further = ["--stream"] if stream and name == "shuffled" else []
        run("effects", "--table", path, *words, *further, "--out", here / f"effects_{name}")
        found.append(pd.read_csv(here / f"effects_{name}" / "classes.tsv", sep="\t", dtype={"group": str}))
    plain, shuffled = (classes.set_index("group")["effect"] for classes in found)
    np.testing.assert_allclose(shuffled[plain.index], plain, **CLOSE)


@FEW
@given(st.permutations(range(len(S))), st.permutations(range(len(SAMPLES))), st.permutations(range(5)), styles)
def test_tables_of_expression_and_proportions_meet_by_label(
    tmp_path_factory: Any, genes: Any, samples: Any, rows: Any, style: str
) -> None:
    here = folder(tmp_path_factory.getbasetemp())
    style = "tab" if style == "quoted" else style
    types = pd.DataFrame({"sample": SAMPLES, "type": [f"0{kind}" for kind in TYPE_OF]})
    shares = pd.concat([pd.Series([f"0{kind}" for kind in range(5)], name="type"), P], axis=1)
    expression = S.reset_index(names="gene")
    found = []
    for name in ("plain", "shuffled"):
        other = name == "shuffled"
        data = expression.iloc[genes, [0, *(1 + np.array(samples))]] if other else expression
        words: list[Any] = [write(data, here / f"expression_{name}.txt", style if other else "tab")]
        words += ["--proportions", write(shares.iloc[rows] if other else shares, here / f"p_{name}.txt", "tab")]
        words += ["--sample-type", write(types.iloc[samples] if other else types, here / f"types_{name}.txt", "tab")]
        run("partitions", *words, "--noise", "both", "--out", here / f"parts_{name}", "--no-figures")
        found.append(pd.read_csv(here / f"parts_{name}" / "genes.tsv", sep="\t").set_index("gene"))
    plain, shuffled = found
    numbers = [name for name in plain.columns if plain[name].dtype.kind == "f"]
    assert len(numbers) > len(CELLS)
    np.testing.assert_allclose(shuffled.loc[plain.index, numbers], plain[numbers], rtol=1e-6, atol=1e-6)
