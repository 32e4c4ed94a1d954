"""Whatever cannot be a table of expression or proportions is refused with what, where and what next."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.api.dirichlet import Dirichlet
from varmix.api.expression_table import read_expression
from varmix.errors import (
    AlignmentError,
    DataError,
    FileFormatError,
    MissingFileError,
    NotFiniteError,
    NotIdentifiedError,
    OptionError,
    ShapeError,
    VarmixError,
)
from varmix.tables.numeric_tables import read_table_of_expression, read_table_of_proportions

rng = np.random.default_rng(4)
TYPES = ["pure", "pure", "half", "half", "most", "most"]
CODES = [0, 0, 1, 1, 2, 2]
SAMPLES = [f"s{number}" for number in range(6)]
S = 10.0 + rng.normal(size=(8, 6))
FRAME = pd.DataFrame(S, index=[f"g{number}" for number in range(8)], columns=SAMPLES)
ROWS = np.array([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]])
P = pd.DataFrame(ROWS, index=["pure", "half", "most"], columns=["liver", "brain"])


def changed(values: np.ndarray, at: Any, to: Any) -> np.ndarray:
    copy = values.copy()
    copy[at] = to
    return copy


def read(table: Any = S, sample_type: Any = TYPES, proportions: Any = P, **options: Any) -> Callable[[], Any]:
    return lambda: read_expression(table, sample_type, proportions, **options)


def rows(values: Any, **options: Any) -> Callable[[], Any]:
    return read(proportions=pd.DataFrame(values, index=P.index, columns=P.columns), **options)


REFUSED: dict[str, tuple[Callable[[], Any], type[VarmixError], str]] = {
    # The values
    "infinite": (
        read(FRAME.assign(s3=np.where(np.arange(8) == 5, np.inf, 1.0))),
        NotFiniteError,
        "gene 'g5' in sample 's3' is infinite",
    ),
    "infinite in an array": (read(changed(S, (5, 3), -np.inf)), NotFiniteError, r"gene 5 \(counted from 0\)"),
    "missing in an array": (read(changed(S, (2, [1, 4]), np.nan)), NotFiniteError, "2 values.* in 1 of 8 genes.*mask"),
    "missing, error": (read(FRAME.mask(FRAME > 10.0), on_missing="error"), NotFiniteError, "values are missing.*drop"),
    "nothing left": (read(changed(S, (slice(None), 1), np.nan), on_missing="drop"), DataError, "None of the 8 genes"),
    "no value": (read(FRAME * np.nan), DataError, "None of the 8 genes can be used: 8 have no value"),
    "all equal": (read(np.full((8, 6), 3.0)), NotIdentifiedError, "All values are 3"),
    "too large": (read(S * 1e150), DataError, "squares are beyond.*Rescale"),
    "too small": (read(S * 1e-155), DataError, "squares are beyond.*Rescale"),
    "text": (read(FRAME.assign(s2=["a"] * 8)), DataError, "Sample 's2' holds text.*'g0'"),
    "text beside a text column": (
        read(FRAME.assign(note="x").reset_index()),
        DataError,
        "Sample 'note' holds text",
    ),
    "complex": (read(S + 1j), DataError, "complex"),
    "complex frame": (read(FRAME + 1j), DataError, "complex"),
    "one dimension": (read(S[0]), ShapeError, r"shape \(6,\)"),
    "no genes": (read(S[:0]), ShapeError, "0 genes and 6 samples"),
    "mapping": (read({"s1": [1.0, 2.0]}), DataError, "is a mapping"),
    "on_missing": (read(on_missing="median"), OptionError, "'median' is not known.*'mask'"),
    "workers": (read(workers=0), OptionError, "workers=0"),
    "workers as text": (read(workers="2"), OptionError, "workers='2'"),
    # The types of samples
    "too few labels": (read(sample_type=TYPES[:5]), ShapeError, "5 labels in sample_type and 6 samples"),
    "transposed": (read(S.T), ShapeError, "6 labels.*transposed.*pass S.T"),
    "transposed by name": (read(FRAME.T, dict(zip(SAMPLES, TYPES, strict=True))), AlignmentError, "transposed.*S.T"),
    "sample without label": (
        read(FRAME, dict(zip(SAMPLES[1:], TYPES[1:], strict=True))),
        AlignmentError,
        "1 of 6 samples have no entry.*'s0'",
    ),
    "names for a nameless table": (read(S, pd.Series(TYPES, SAMPLES)), AlignmentError, r"without names.*to_numpy\(\)"),
    "one number for labels": (read(sample_type=5), ShapeError, "sample_type=5 is one value"),
    "samples twice": (
        read(FRAME.set_axis(["s0", *SAMPLES[:5]], axis=1), pd.Series(TYPES, SAMPLES)),
        DataError,
        "two columns of the same name|named twice",
    ),
    "labels twice": (
        read(FRAME, pd.Series([*TYPES, "pure"], [*SAMPLES, "s0"])),
        AlignmentError,
        "entries of sample_type are named twice.*'s0'",
    ),
    "no label": (read(sample_type=[*TYPES[:5], None]), DataError, "Sample '5' has no type"),
    "NaN label": (read(FRAME, [*TYPES[:5], np.nan]), DataError, "Sample 's5' has no type"),
    "unhashable label": (read(sample_type=[*TYPES[:5], ["most"]]), DataError, "a list, which cannot be a label"),
    "one text": (read(sample_type="pure"), ShapeError, "one label"),
    "1 and '1'": (read(sample_type=[1, 1, "1", "1", 2, 2]), DataError, "1 and '1' are two"),
    # The proportions
    "sum": (rows([[1, 0], [0.5, 0.4], [0.2, 0.8]]), DataError, "'half' sum to 0.9, not 1"),
    "percent": (rows(100 * ROWS), DataError, "percentages. Divide them by 100"),
    "negative": (rows([[1.1, -0.1], [0.5, 0.5], [0.2, 0.8]]), DataError, "of 'liver' in 'pure' is 1.1"),
    "infinite proportion": (rows(changed(ROWS, (1, 0), np.inf)), NotFiniteError, "'liver' in 'half' is infinite"),
    "known part beyond 1": (
        read(proportions=pd.DataFrame([[0.9, 0.3, np.nan, np.nan]] * 3, P.index, list("abcd"))),
        DataError,
        "sum to 1.2 without the 2 to estimate",
    ),
    "types missing": (read(proportions=P.iloc[:1]), AlignmentError, "2 of 3 sample types are missing.*'half'"),
    "transposed proportions": (
        read(proportions=pd.DataFrame(np.eye(3), index=list("abc"), columns=P.index)),
        AlignmentError,
        "proportions.*looks transposed|looks transposed",
    ),
    "row twice": (read(proportions=pd.concat([P, P.iloc[:1]])), AlignmentError, "rows.*twice.*'pure'"),
    "column twice": (read(proportions=P.set_axis(["a", "a"], axis=1)), DataError, "two columns|named twice"),
    "text types, nameless rows": (read(proportions=ROWS), AlignmentError, "pd.DataFrame"),
    "number beyond the rows": (read(sample_type=[0, 0, 1, 1, 3, 3], proportions=ROWS), AlignmentError, "type 3 has no"),
    "one dimension of proportions": (read(proportions=ROWS[0]), ShapeError, "one row per sample type"),
    "text in proportions": (read(proportions=P.assign(lung="x")), DataError, "Column 'lung'.*text"),
    "word": (read(proportions="known"), OptionError, "'known' is not known"),
    "None": (read(proportions=None), OptionError, "Give proportions"),
    "ragged mapping": (read(proportions={"pure": [1, 0], "half": 3}), OptionError, "makes no table"),
    "rows of a type differ": (
        read(FRAME, proportions=pd.DataFrame(np.repeat(ROWS, 2, axis=0)[::-1], SAMPLES[1:] + SAMPLES[:1], P.columns)),
        DataError,
        "samples of type 'pure' differ",
    ),
    "no labels, no row per sample": (read(sample_type=None, proportions=ROWS), ShapeError, "one row per sample"),
    "no labels, sample without row": (read(FRAME, None, P), AlignmentError, "6 of 6 samples have none"),
    # Cell types and partitions
    "one cell type": (
        read(proportions=pd.DataFrame({"liver": 1.0}, index=P.index)),
        NotIdentifiedError,
        "one cell type.*one partition",
    ),
    "more cell types than mixtures": (
        read(proportions="free", cell_types=4),
        NotIdentifiedError,
        "4 cell types and 3 sample types",
    ),
    "free without cell types": (read(proportions="free"), OptionError, "give cell_types="),
    "cell types as a fraction": (read(proportions="free", cell_types=2.5), OptionError, "cell_types=2.5"),
    "cell types as truth": (read(proportions="free", cell_types=True), OptionError, "cell_types=True"),
    "no names of cell types": (read(proportions="free", cell_types=[]), OptionError, "cell_types is empty"),
    "columns too few": (read(cell_types=["liver", "brain", "lung"]), AlignmentError, "no column 'lung'"),
    "columns too many": (read(cell_types=["liver"]), AlignmentError, "column 'brain', which is none"),
    "names for another width": (
        read(sample_type=CODES, proportions=ROWS, cell_types=["a", "b", "c"]),
        ShapeError,
        "3 cell types.* 2 columns",
    ),
    "a name with a bar": (read(proportions=P.set_axis(["a|b", "c"], axis=1)), OptionError, r"'a\|b'"),
    "partition word": (read(partitions="some"), OptionError, "'some' is not known.*'all'"),
    "partition outside a list": (read(partitions="liver | brain"), OptionError, r"goes in a list"),
    "partition of others": (read(partitions=["liver | lung"]), OptionError, "'lung'.*no cell type"),
    "partitions as numbers": (read(partitions=[1, 2]), OptionError, "cannot be read"),
    "too many partitions": (
        read(sample_type=list(range(6)), proportions=Dirichlet(cell_types=8)),
        OptionError,
        "8 cell types have 4,140 partitions",
    ),
    # The prior
    "below 1": (lambda: Dirichlet(0.5), OptionError, "is 0.5. Below 1.*infinite"),
    "entry below 1": (lambda: Dirichlet([[1.0, 2.0], [1.0, 0.1]]), OptionError, "in row 1, column 1"),
    "NaN": (lambda: Dirichlet(np.nan), OptionError, "is nan"),
    "strength": (lambda: Dirichlet.around(P, -1.0), OptionError, "strength=-1.0"),
    "around no proportions": (lambda: Dirichlet.around(2 * ROWS, 5.0), OptionError, "between 0 and 1"),
    "two names": (
        read(proportions=Dirichlet(cell_types=["a", "b"]), cell_types=["b", "a"]),
        OptionError,
        "in the Dirichlet prior",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::varmix.errors.RepairWarning")
def test_what_cannot_be_used_is_refused_with_advice(case: str) -> None:
    call, kind, words = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is kind
    assert re.search(words, message, re.DOTALL), message
    assert message.rstrip().endswith("."), message


def test_files_are_refused_with_column_row_and_value(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none.csv is not there"):
        read_table_of_expression(tmp_path / "none.csv")
    contents = {
        "empty": ("", "is empty"),
        "header only": ("gene,s1,s2\n", "no further line"),
        "one column": ("gene\ng1\n", "has one column"),
        "twice": ("gene,s1,s1\ng1,1,2\n", "two columns named 's1'"),
        "ragged": ("gene,s1,s2\ng1,1,2\ng2,1,2,3\n", "line 3: 4 columns where the header has 3"),
        "text": ("gene,s1,s2\ng1,1,2\ng2,1,abc\n", "line 3, column 's2': 'abc' is not a finite number"),
    }
    for name, (text, words) in contents.items():
        file = tmp_path / f"{name}.csv"
        file.write_text(text)
        with pytest.raises(DataError if name == "text" else FileFormatError, match=words):
            read_table_of_proportions(file)
    damaged = tmp_path / "damaged.csv.gz"
    damaged.write_bytes(b"\x1f\x8b no gzip")
    with pytest.raises(FileFormatError, match="cannot be read as text"):
        read_table_of_expression(damaged)
