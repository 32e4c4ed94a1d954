"""Every bad input to `varmix effects` has one clear line: what, where, what next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROWS = 40


def refused(result, code: int, *parts: str) -> None:
    """One `error:` line with all parts, nothing on stdout, no traceback."""
    assert result.exit_code == code, result.stderr or result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    for part in parts:
        assert part in lines[0]
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def drawn() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    x = rng.normal(size=ROWS)
    y = rng.normal(size=ROWS) * x + 0.3 * rng.normal(size=ROWS)
    return pd.DataFrame({"SNP": [f"rs{row}" for row in range(ROWS)], "bx": x, "by": y, "sy": 0.3, "gene": 1})


@pytest.fixture
def effects(run, tmp_path):
    """Run on a table (written from a frame, or from text as it is) with further options."""

    def call(table: pd.DataFrame | str | bytes, *arguments):
        path = tmp_path / "table.csv"
        if isinstance(table, pd.DataFrame):
            table.to_csv(path, index=False)
        else:
            path.write_bytes(table if isinstance(table, bytes) else table.encode())
        return run("effects", "--table", path, "--y", "by", "--x", "bx", "--starts", 2, *arguments)

    return call


def with_cell(column: str, cell: object) -> pd.DataFrame:
    data = drawn().astype(object)
    data.loc[2, column] = cell
    return data


@pytest.mark.parametrize(
    ("table", "options", "code", "parts"),
    [
        # What the design does not identify
        (drawn().assign(bx=0.0), (), 3, ("x is 0 in every row", "only the residual variance")),
        (drawn().assign(bx=1.0), (), 3, ("s and the variances v_k are not identified", "(--se)", "--residual")),
        (drawn().assign(by=0.0), (), 3, ("Every response y is 0", "Check the column")),
        (drawn(), ("--classes", 41), 3, ("41 classes need", "there are 40")),
        (drawn(), ("--group", "gene"), 3, ("2 classes need", "there are 1")),
        # Cells
        (with_cell("by", "tall"), (), 3, ("table.csv, line 4, column 'by': 'tall' is not a finite number", "NA")),
        (with_cell("bx", "inf"), (), 3, ("line 4, column 'bx': 'inf' is not a finite number (1 such cells)",)),
        (with_cell("bx", "True"), (), 3, ("line 4, column 'bx': 'True' is not a finite number",)),
        (with_cell("sy", "0"), ("--se", "sy"), 3, ("se must be positive: it is 0 in row 2",)),
        (with_cell("sy", "-1"), ("--se", "sy"), 3, ("se must be positive: it is -1 in row 2",)),
        (with_cell("sy", "-1"), ("--weights", "sy"), 3, ("weights must not be negative: -1 in row 2",)),
        (with_cell("by", "1e200"), (), 3, ("y ranges from", "row 2")),
        (drawn().assign(by=np.nan), (), 3, ("No row is complete", "y missing in 40")),
        # Columns
        (drawn(), ("--se", "se"), 2, ("--se se: ", "has no such column", "SNP, bx, by, sy, gene")),
        (drawn(), ("--group", "gen"), 2, ("--group gen: ", "Did you mean 'gene'?")),
        (drawn(), ("--id", "rsid"), 2, ("--id rsid: ", "has no such column")),
        (drawn(), ("--se", "SNP"), 3, ("column 'SNP': 'rs0' is not a finite number (40 such cells)",)),
        ("by,bx,bx\n1,2,3\n", (), 2, ("--x bx: ", "has 2 columns of this name")),
        # Files
        ("", (), 3, ("table.csv is empty", "header")),
        ("by,bx\n", (), 3, ("has a header and no further line",)),
        ("by,bx\n1,2\n3\n", (), 3, ("line 3: 1 columns where the header has 2",)),
        ("by bx\n1 0.5 2\n", (), 3, ("line 2: 3 columns where the header has 2", "row.names=FALSE")),
        (b"by,bx\n1,\xff\n", (), 3, ("is not text in UTF-8",)),
        # Options
        (drawn(), ("--residual", "-1"), 2, ("--residual -1.0 must be a positive variance",)),
        (drawn(), ("--residual", "known"), 2, ("--residual known is neither a number nor the word estimated",)),
        (drawn(), ("--level", "95"), 2, ("--level 95 is not between 0 and 1",)),
        (drawn(), ("--tolerance", "-1"), 2, ("--tolerance -1.0 must be positive",)),
        (drawn(), ("--method", "newton", "--accelerate", "squarem"), 2, ("accelerate is for em",)),
        (drawn(), ("--points", "9"), 2, ("--points is an option of --method npmle",)),
        (drawn(), ("--method", "npmle"), 2, ("--starts has no meaning with --method npmle",)),
        (drawn(), ("--interval", "wald", "--bootstrap", "9"), 2, ("--bootstrap and --interval wald exclude",)),
        (drawn(), ("--replicates", "9"), 2, ("give --max-classes",)),
        (drawn(), ("--id", "SNP", "--group", "gene"), 2, ("--id names rows",)),
        (drawn(), ("--id", "SNP", "--stream"), 2, ("--id and --stream exclude",)),
        (drawn(), ("--json", "--stream"), 2, ("--json and --stream exclude",)),
    ],
)  # fmt: skip
def test_is_refused(effects, table, options, code, parts):
    refused(effects(table, *options), code, *parts)


@pytest.mark.parametrize(
    "options",
    [("--starts", 0), ("--classes", 0), ("--workers", 0), ("--bootstrap", 1), ("--max-classes", 1), ("--seed", -1)]
    + [("--method", "bfgs"), ("--accelerate", "aitken"), ("--interval", "exact"), ("--classes", "two")],
)  # fmt: skip
def test_values_that_no_option_has_are_usage_errors(effects, options):
    result = effects(drawn(), *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("option", ["--interval", "--bootstrap", "--max-classes"])
def test_npmle_has_no_parameters(run, tmp_path, option):
    path = tmp_path / "table.csv"
    drawn().to_csv(path, index=False)
    value = "wald" if option == "--interval" else 5
    given = ["--table", path, "--y", "by", "--x", "bx", "--method", "npmle"]
    refused(run("effects", *given, option, value), 2, f"{option} has no meaning with --method npmle")


def test_a_missing_table_names_the_similar_one(run, tmp_path):
    (tmp_path / "effects.tsv").write_text("by\tbx\n")
    result = run("effects", "--table", tmp_path / "effects.csv", "--y", "by", "--x", "bx")
    refused(result, 3, "effects.csv is not there", "Similar files there: effects.tsv")


@pytest.mark.parametrize("name", ["table.csv.gz", "table.parquet"])
def test_damaged_files_are_told(run, tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(b"by,bx\n1,2\n")
    result = run("effects", "--table", tmp_path / name, "--y", "by", "--x", "bx")
    refused(result, 3, name, "cannot be read as")


def test_a_file_in_the_way_of_the_folder(effects, tmp_path):
    (tmp_path / "taken").write_text("mine")
    refused(effects(drawn(), "--out", tmp_path / "taken"), 2, "is a file, not a folder")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_stream_refuses_in_the_same_way(effects, tmp_path: Path):
    refused(effects(drawn(), "--stream", "--se", "se"), 3, "has no column 'se'")
    refused(effects(with_cell("by", "tall"), "--stream"), 3, "tall")
    refused(effects(drawn().assign(bx=1.0), "--stream"), 3, "s and the variances v_k are not identified")


@pytest.mark.parametrize(
    ("options", "code", "parts"),
    [
        (("--variances", "a,b"), 2, ("--variances a,b is not a list of numbers",)),
        (("--shares", "0.5,0.6"), 3, ("sum to 1.1",)),
        (("--residual", "-1"), 2, ("--residual -1.0 must be a positive variance",)),
        (("--rows", "1,x"), 2, ("--rows 1,x is not a list of whole numbers",)),
        (("--x", "bx"), 2, ("give it with --table",)),
        (("--rows", "0"), 2, ("holds 0",)),
    ],
)
def test_plans_refuse(run, options, code, parts):
    given = {"--variances": "0.001,1", "--residual": "0.5", "--shares": "0.7,0.3", options[0]: options[1]}
    refused(run("effects-plan", *(item for pair in given.items() for item in pair)), code, *parts)
