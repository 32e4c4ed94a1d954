"""Every bad input to `varmix partitions` has one clear line: what, where, what next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

SAMPLES = ["s1", "s2", "s3", "s4", "s5", "s6"]
MIXES = ["a", "a", "b", "b", "c", "c"]


def refused(result, code: int, *parts: str) -> None:
    """One `error:` line with all parts, nothing on stdout, no traceback."""
    assert result.exit_code == code, result.stderr or result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    for part in parts:
        assert part in lines[0]
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def expression() -> pd.DataFrame:
    values = np.random.default_rng(1).normal(10.0, 1.0, size=(12, 6))
    return pd.DataFrame(values, index=pd.Index([f"g{k}" for k in range(12)], name="gene"), columns=SAMPLES)


def proportions() -> pd.DataFrame:
    rows = [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]
    return pd.DataFrame(rows, index=pd.Index(["a", "b", "c"], name="mix"), columns=["liver", "brain"])


def types() -> pd.DataFrame:
    return pd.DataFrame({"sample": SAMPLES, "mix": MIXES, "batch": 1})


@pytest.fixture
def partitions(run, tmp_path):
    """Run on tables that a test spoils: frames, or text as it is."""

    def call(*arguments: Any, **spoilt: Any) -> Any:
        tables: dict[str, Callable[[], pd.DataFrame]] = {
            "expression": expression,
            "proportions": proportions,
            "types": types,
        }
        for name, make in tables.items():
            table = spoilt.get(name, make())
            if isinstance(table, pd.DataFrame):
                table.to_csv(tmp_path / f"{name}.csv", index=name != "types")
            else:
                (tmp_path / f"{name}.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
        given = [item.replace("TMP", str(tmp_path)) if isinstance(item, str) else item for item in arguments]
        return run("partitions", tmp_path / "expression.csv", *given)

    return call


KNOWN = ("--proportions", "TMP/proportions.csv", "--sample-type", "TMP/types.csv", "--sample-type-column", "mix")


@pytest.mark.parametrize(
    ("spoilt", "options", "code", "parts"),
    [
        # Tables
        ({"expression": ""}, (), 3, ("expression.csv is empty",)),
        ({"expression": "gene,s1,s2,s3,s4,s5,s6\n"}, (), 3, ("expression.csv", "no further line")),
        ({"expression": expression().astype(object).replace({expression().iloc[3, 1]: "high"})}, (), 3, ("'high'",)),
        ({"expression": b"gene,s1\ng,\xff\n"}, (), 3, ("expression.csv",)),
        ({"expression": expression().T}, (), 3, ("transposed", "transpose it")),
        ({"expression": expression() * 0.0 + 1.0}, (), 3, ("All values are 1", "Check how the expression was read")),
        ({"proportions": proportions() * 100.0}, (), 3, ("percentages", "Divide them by 100")),
        ({"proportions": proportions() + 0.1}, (), 3, ("sum to 1.2",)),
        ({"proportions": proportions() - [0.0, 0.2]}, (), 3, ("between 0 and 1",)),
        ({"proportions": proportions().drop("b")}, (), 3, ("missing from the proportions", "'b'")),
        ({"proportions": proportions()[["liver"]] * 0.0 + 1.0}, (), 3, ("one cell type",)),
        ({"types": types().drop(2)}, (), 3, ("have no entry", "'s3'")),
        ({"types": types().assign(sample="s1")}, (), 3, ("types.csv names sample 's1' twice",)),
        ({"types": types().assign(mix=["a", None, "b", "b", "c", "c"])}, (), 3, ("sample 's2' has no type",)),
        # Options of numbers and words
        ({}, ("--level", "95"), 2, ("--level 95 is not between 0 and 1",)),
        ({}, ("--noise", "loud"), 2, ("--noise loud is not known", "trend")),
        ({}, ("--noise", "misfit,scatter"), 2, ("replicates without variance",)),
        ({}, ("--tolerance", "-1", "--noise", "cell"), 2, ("--tolerance -1",)),
        ({}, ("--method", "em", "--noise", "full"), 2, ("--method em", "Leave it out")),
        ({}, ("--method", "newton", "--noise", "cell", "--accelerate", "squarem"), 2, ("accelerate",)),
        ({}, ("--partition", "liver | kidney"), 2, ("'kidney'", "no cell type")),
        ({}, ("--partition", "liver"), 2, ("leaves out brain",)),
        ({}, ("--partition", "liver = brain", "--partitions", "all"), 2, ("--partitions and --partition exclude",)),
        # What is known of proportions
        ({}, ("--free", "2"), 2, ("--proportions and --free exclude",)),
        ({}, ("--dirichlet", "1.05"), 2, ("--proportions and --dirichlet exclude",)),
        ({}, ("--strength", "-1"), 2, ("strength", "positive")),
        ({}, ("--cell-types", "2"), 2, ("--cell-types are of --dirichlet",)),
        ({}, ("--known-proportions", "TMP/proportions.csv"), 2, ("all of these are given",)),
        ({}, ("--predict", "TMP/expression.csv"), 2, ("give the folder for them with --out",)),
        ({}, ("--proportions", "TMP/proportion.csv"), 3, ("proportion.csv is not there", "proportions.csv")),
        ({}, ("--sample-type-column", "mixture"), 2, ("--sample-type-column mixture", "'mix'")),
        ({}, ("--sample-type-column", "sample"), 2, ("names the samples",)),
    ],
)  # fmt: skip
def test_is_refused(partitions, spoilt, options, code, parts):
    refused(partitions(*KNOWN, *options, **spoilt), code, *parts)


@pytest.mark.parametrize(
    ("options", "code", "parts"),
    [
        ((), 2, ("Nothing is said of the proportions", "--free")),
        (("--dirichlet", "1.05"), 2, ("--dirichlet needs --cell-types",)),
        (("--dirichlet", "0.5", "--cell-types", "2"), 2, ("concentration", "0.5")),
        (("--strength", "9"), 2, ("give them with --proportions",)),
        (("--sample-type-column", "mix", "--free", "2"), 2, ("--sample-type-column is a column of",)),
        (("--free", "1"), 3, ("one cell type",)),
        (("--free", "two"), 3, ("one cell type",)),
        (("--free", "4", "--sample-type", "TMP/types.csv", "--sample-type-column", "mix"), 3, ("4 cell types",)),
        (("--free", "2", "--sample-type", "TMP/types.csv"), 2, ("has 3 columns", "--sample-type-column")),
        (("--proportions", "TMP/proportions.csv"), 3, ("samples", "--sample-type")),
        (("--proportions", "TMP/proportions.csv", "--sample-type-column", "brian"), 2, ("Did you mean 'brain'",)),
    ],
)
def test_what_is_said_of_proportions_is_refused(partitions, options, code, parts):
    refused(partitions(*options), code, *parts)


@pytest.mark.parametrize(
    "options",
    [("--starts", 0), ("--workers", 0), ("--bootstrap", 1), ("--seed", -1), ("--max-iterations", 0)]
    + [("--method", "bfgs"), ("--variance", "free"), ("--likelihood", "note"), ("--partitions", "some")]
    + [("--on-missing", "impute"), ("--dirichlet", "weak")],
)  # fmt: skip
def test_values_that_no_option_has_are_usage_errors(partitions, options):
    result = partitions(*KNOWN, *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert result.stdout == ""


def test_a_missing_table_names_the_similar_one(run, tmp_path):
    expression().to_csv(tmp_path / "expression.tsv", sep="\t")
    result = run("partitions", tmp_path / "expression.csv", "--free", 2)
    refused(result, 3, "expression.csv", "expression.tsv")


@pytest.mark.parametrize("name", ["table.csv.gz", "table.parquet"])
def test_damaged_files_are_told(run, tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(b"gene,s1\ng,2\n")
    refused(run("partitions", tmp_path / name, "--free", 2), 3, name, "cannot be read as")


def test_a_file_in_the_way_of_the_folder(partitions, tmp_path):
    (tmp_path / "taken").write_text("mine")
    refused(partitions(*KNOWN, "--out", tmp_path / "taken"), 2, "is a file, not a folder")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_stream_refuses_in_the_same_way(partitions):
    bad = expression().astype(object)
    bad.iloc[3, 1] = "high"
    refused(partitions(*KNOWN, "--stream", expression=bad), 3, "line 5, column 's2': 'high' is not")
    refused(partitions(*KNOWN, "--stream", proportions=proportions().drop("b")), 3, "missing from the proportions")


@pytest.mark.parametrize(
    ("known", "parts"),
    [
        (proportions().drop("b"), ("--known-proportions", "'b'")),
        (proportions().assign(lung=0.0), ("2 cell types",)),
        (pd.concat([proportions(), proportions()]), ("'a' twice",)),
    ],
)
def test_known_proportions_that_do_not_fit(partitions, tmp_path, known, parts):
    known.to_csv(tmp_path / "known.csv")
    given = ["--free", "2", "--starts", 1, "--max-iterations", 3, "--noise", "measurement"]
    given += ["--sample-type", "TMP/types.csv", "--sample-type-column", "mix"]
    refused(partitions(*given, "--known-proportions", tmp_path / "known.csv"), 3, *parts)
