"""Claims about phenotype and covariate files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from varmix.errors import AlignmentError, DataError, FileFormatError, MissingFileError, OptionError, RepairWarning
from varmix.tables.people import read_table


def written(folder: Path, text: str, name: str = "traits.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "FID IID height weight\n1 01 1.5 NA\n2 02 -9 3e1\n",
        "FID\tIID\theight\tweight\n1\t01\t1.5\t\n2\t02\t-9\t30\n",
        "FID,IID,height,weight\r\n1,01,1.5,.\r\n2,02,-9,30\r\n",
        "#FID IID height weight\n\n1   01  1.5 nan\n2 02 -9 30\n",
        "\ufeffFID IID height weight\n1 01 1.5 NaN\n2 02 -9 30\n",
    ],
)
def test_separators_and_missing_codes_are_understood(tmp_path: Path, text: str) -> None:
    table = read_table(written(tmp_path, text))
    assert table["FID"].tolist() == ["1", "2"]
    assert table["IID"].tolist() == ["01", "02"]
    np.testing.assert_array_equal(table["height"], [1.5, -9.0])
    np.testing.assert_array_equal(table["weight"], [np.nan, 30.0])


def test_plink_2_tables_without_families_get_family_zero(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "#IID height\na 1\nb 2\n"))
    assert table["FID"].tolist() == ["0", "0"]
    np.testing.assert_array_equal(table["height"], [1.0, 2.0])


def test_a_file_without_header_is_read_only_when_asked(tmp_path: Path) -> None:
    path = written(tmp_path, "1 a 0.5 1\n2 b 0.7 2\n")
    with pytest.raises(FileFormatError, match="header=False"):
        read_table(path)
    table = read_table(path, header=False)
    assert table.columns.tolist() == ["FID", "IID", "trait_1", "trait_2"]
    assert len(table) == 2
    with pytest.raises(FileFormatError, match="at least one trait"):
        read_table(written(tmp_path, "1 a\n"), header=False)


def test_minus_nine_is_a_number_with_a_warning_unless_it_is_said_to_be_missing(tmp_path: Path) -> None:
    path = written(tmp_path, "FID IID height\n" + "".join(f"f i{k} {-9 if k < 3 else k}\n" for k in range(10)))
    with pytest.warns(RepairWarning, match="'height' is exactly -9 for 3 of 10"):
        table = read_table(path)
    assert (table["height"] == -9).sum() == 3
    assert read_table(path, minus_nine_is_missing=True)["height"].isna().sum() == 3


def test_text_columns_are_categories_of_covariates_only(tmp_path: Path) -> None:
    path = written(tmp_path, "FID IID sex age\nf a M 3\nf b NA 4\nf c F 5\n")
    table = read_table(path, "covariate")
    assert table["sex"].tolist() == ["M", None, "F"]
    assert table["age"].tolist() == [3.0, 4.0, 5.0]
    assert read_table(path, "covariate", categorical=["age"])["age"].tolist() == ["3", "4", "5"]
    with pytest.raises(DataError, match=r"line 2, column 'sex': 'M' is not a finite number"):
        read_table(path)
    with pytest.raises(OptionError, match="'cage'"):
        read_table(path, "covariate", categorical=["cage"])


@pytest.mark.parametrize("cell", ["1.5x", "1_3", "inf", "1;2"])
def test_a_cell_that_is_not_a_number_is_named_with_its_line(tmp_path: Path, cell: str) -> None:
    path = written(tmp_path, f"FID IID height\n\nf a 1\nf b {cell}\n")
    for kind in ("phenotype", "covariate"):
        with pytest.raises(DataError, match=rf"line 4, column 'height': '{cell}'"):
            read_table(path, kind)  # type: ignore[arg-type]


def test_broken_tables_are_refused_with_a_reason(tmp_path: Path) -> None:
    written(tmp_path, "FID IID x\nf a 1\n")
    with pytest.raises(MissingFileError, match=r"Similar files there: traits\.txt"):
        read_table(tmp_path / "trait.txt")
    for text, error, reason in (
        ("FID IID x\nf a 1\nf b\n", FileFormatError, "line 3: 2 columns"),
        ("FID IID x\nf a 1 2\n", FileFormatError, "line 2: 4 columns"),
        ("FID IID x\nf a 1\nf b 2\nf a 3\n", AlignmentError, "FID 'f', IID 'a'"),
        ("FID IID x x\nf a 1 1\n", FileFormatError, "two columns named 'x'"),
        ("FID\tIID\tx\nf\t\t1\n", FileFormatError, "line 2: IID is empty"),
        ("FID IID x\n", FileFormatError, "no further line"),
        ("", FileFormatError, "empty"),
    ):
        with pytest.raises(error, match=reason):
            read_table(written(tmp_path, text))
    with pytest.raises(OptionError, match="kind"):
        read_table(tmp_path / "traits.txt", "trait")  # type: ignore[arg-type]


@pytest.mark.parametrize("mark", [" ", "\t", ","])
@pytest.mark.parametrize("cell", ['"b', 'b"', '"b"c', '""'])
def test_a_quote_that_is_never_closed_keeps_every_line_its_own(tmp_path: Path, cell: str, mark: str) -> None:
    lines = [f"{mark.join(('p', str(at), str(at), cell if at in (3, 6) else 'b'))}\n" for at in range(9)]
    path = written(tmp_path, f"{mark.join(('FID', 'IID', 'height', 'note'))}\n" + "".join(lines))
    table = read_table(path, wanted=("height",))
    assert table["IID"].tolist() == [str(at) for at in range(9)]
    np.testing.assert_array_equal(table["height"], np.arange(9.0))


def test_blanks_around_cells_are_no_part_of_ids_and_categories(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "IID ,sex, age\na ,F ,1 \n b,F, NA \nc,M,3\n"), "covariate")
    assert table["IID"].tolist() == ["a", "b", "c"]
    assert table["sex"].tolist() == ["F", "F", "M"]
    np.testing.assert_array_equal(table["age"], [1.0, np.nan, 3.0])


def test_row_numbers_that_pandas_writes_are_no_variables(tmp_path: Path) -> None:
    people = pd.DataFrame({"IID": ["a", "b", "c"], "age": [3.0, 1.0, 2.0]}).sort_values("age")
    people.to_csv(tmp_path / "people.csv")
    people.to_parquet(tmp_path / "people.parquet")
    for name in ("people.csv", "people.parquet"):
        table = read_table(tmp_path / name, "covariate")
        assert table.columns.tolist() == ["FID", "IID", "age"]
        assert table["age"].tolist() == [1.0, 2.0, 3.0]


def test_a_separator_at_the_end_of_every_line_makes_no_variable(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "FID,IID,age,\nf,a,1,\nf,b,2,\n"), "covariate")
    assert table.columns.tolist() == ["FID", "IID", "age"]


def test_numbers_of_parquet_stay_numbers_whatever_their_size(tmp_path: Path) -> None:
    height = [1e300, -2.5, float("nan")]
    frame = pd.DataFrame({"IID": [1.0, 2.0, 3.0], "height": height, "site": [2**60, 2**60 + 1, 2**60 + 2]})
    frame.to_parquet(tmp_path / "people.parquet")
    table = read_table(tmp_path / "people.parquet", "covariate", categorical=("site",))
    assert table["IID"].tolist() == ["1", "2", "3"]
    np.testing.assert_array_equal(table["height"], height)
    assert table["site"].tolist() == [str(2**60), str(2**60 + 1), str(2**60 + 2)]


def test_the_mouse_traits_are_read(reference: Path) -> None:
    table = read_table(reference / "genotype" / "mouse_hs1940.pheno.tsv")
    # Numbers phenotyped as the notes of the reference data give them.
    assert (table["CD8"].notna().sum(), table["MCH"].notna().sum()) == (1410, 1580)


@pytest.mark.parametrize(
    "text",
    [
        "IID FID height\n01 1 1.5\n02 2 NA\n",
        "height\tiid\tfid\n1.5\t01\t1\nNA\t02\t2\n",
        '"FID" "IID" "height"\n"1" "01" 1.5\n"2" "02" NA\n',
        '"FID","IID","height"\n"1","01",1.5\n"2","02",NA\n',
        "#FID\tIID\tSID\theight\n1\t01\t7\t1.5\n2\t02\t8\tNA\n",
        "## made by a program\n#FID IID height\n1 01 1.5\n2 02 NA\n",
    ],
)
@pytest.mark.parametrize("name", ["traits.txt", "traits.txt.gz"])
def test_ids_are_found_by_name_and_quotes_are_taken_off(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    table = read_table(path)
    assert table.columns.tolist() == ["FID", "IID", "height"]
    assert table["FID"].tolist() == ["1", "2"]
    assert table["IID"].tolist() == ["01", "02"]
    np.testing.assert_array_equal(table["height"], [1.5, np.nan])


def test_quotes_are_taken_off_without_a_header(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, '"1" "a" 0.5\n"2" "b" 0.7\n'), header=False)
    assert table["IID"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(table["trait_1"], [0.5, 0.7])


def test_ids_of_a_parquet_table_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "traits.parquet"
    ids = [2**53, 2**53 + 1, 2**53 + 2]
    pd.DataFrame({"IID": ids, "height": [1.0, None, 3.0]}).to_parquet(path)
    table = read_table(path)
    assert table["IID"].tolist() == [str(number) for number in ids]
    np.testing.assert_array_equal(table["height"].astype(float), [1.0, np.nan, 3.0])
