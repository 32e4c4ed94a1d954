"""Claims about tables of expression and proportions in files: what names their rows is never a number of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.errors import FileFormatError
from varmix.tables.numeric_tables import read_table_of_expression, read_table_of_proportions

TABLE = pd.DataFrame(np.arange(12.0).reshape(4, 3), index=["g1", "g2", "g3", "g4"], columns=["a", "b", "c"])
ORDER = [2, 0, 3, 1]


@pytest.mark.parametrize(
    "frame",
    [
        TABLE,
        TABLE.rename_axis("gene"),
        TABLE.rename_axis("gene").reset_index(),
        TABLE.rename_axis("gene").reset_index().iloc[ORDER],  # Parquet keeps the shuffled row numbers as a column
        TABLE.assign(gene=TABLE.index).reset_index(drop=True).iloc[ORDER],
    ],
)
def test_parquet_is_read_by_its_names_whatever_its_index(tmp_path: Path, frame: Any) -> None:
    frame.to_parquet(tmp_path / "table.parquet")
    table = read_table_of_expression(tmp_path / "table.parquet")
    assert table.columns.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(table.loc[TABLE.index], TABLE)


def test_a_separator_at_the_end_of_every_line_is_no_further_column(tmp_path: Path) -> None:
    path = tmp_path / "proportions.csv"
    path.write_text("type,a,b,\nt1,0.4,0.6,\nt2,0.1,0.9,\n")
    with pytest.raises(FileFormatError, match="column 4 of 4 has no name"):
        read_table_of_proportions(path)
