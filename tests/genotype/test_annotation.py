"""Claims about variants grouped by annotation."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from varmix.errors import AlignmentError, DataError, FileFormatError, MissingFileError, RepairWarning
from varmix.genotype import ArraySource, match_annotation, read_annotation, split_by_annotation, standardise


@pytest.fixture
def source() -> ArraySource:
    X = np.random.default_rng(0).binomial(2, 0.4, (30, 6))
    return ArraySource(X, names=[f"rs{k}" for k in range(6)])


LABELS = "variant\tclass\nrs4\tcoding\nrs0\tcoding\nrs1\tother\nrs9\tother\n"
INDICATORS = "chr,SNP,coding,conserved\n1,rs0,1,0\n1,rs4,1,1\n1,rs1,0,1\n"
SETS = "coding\nrs4\nrs0\nEND\n\nother\nrs1\nrs9\nEND\n"


@pytest.mark.parametrize("text", [LABELS, SETS])
def test_labels_and_sets_give_the_same_parts(tmp_path: Path, source: ArraySource, text: str) -> None:
    path = tmp_path / "annotation.txt"
    path.write_text(text)
    match = match_annotation(source, read_annotation(path))
    assert {name: at.tolist() for name, at in match.members.items()} == {"coding": [0, 4], "other": [1]}
    assert (match.unmatched, match.unknown) == (3, 1)
    with pytest.warns(RepairWarning) as given:
        parts = split_by_annotation(source, read_annotation(path))
    assert any("3 of 6 variants" in str(item.message) for item in given)
    assert any("1 annotated variants are not" in str(item.message) for item in given)
    design = standardise(parts["coding"])
    assert design.name == "coding"
    np.testing.assert_array_equal(design.array(), standardise(source.read(None, 0, 6)[:, [0, 4]]).array())


def test_indicator_columns_may_overlap(tmp_path: Path, source: ArraySource) -> None:
    frame = pd.DataFrame({"SNP": ["rs0", "rs4", "rs1"], "coding": [1, 1, 0], "conserved": [0, 1, 1]})
    match = match_annotation(source, frame)
    assert {name: at.tolist() for name, at in match.members.items()} == {"coding": [0, 4], "conserved": [1, 4]}
    path = tmp_path / "annotation.csv"
    path.write_text(INDICATORS.replace("chr,", "").replace("1,rs", "rs"))
    assert read_annotation(path) == {"coding": ["rs0", "rs4"], "conserved": ["rs4", "rs1"]}


def test_the_rest_can_be_a_part_of_its_own(source: ArraySource) -> None:
    parts = split_by_annotation(source, {"a": ["rs0", "rs1"]}, rest="other")
    assert parts["other"].columns.tolist() == [2, 3, 4, 5]
    with pytest.raises(DataError, match="already"):
        split_by_annotation(source, {"a": ["rs0"]}, rest="a")


def test_bad_annotations_are_refused_with_a_reason(tmp_path: Path, source: ArraySource) -> None:
    path = tmp_path / "annotation.txt"
    with pytest.raises(MissingFileError):
        read_annotation(path)
    for text, reason in (
        ("", "empty"),
        ("id class\nrs1\n", "line 2"),
        ("id\nrs1\n", "needs a header"),
        ("coding\nrs1\nEND\nother\nrs2\n", "no END"),
        ("coding\nEND\n", "without variants"),
        ("a\nrs1\nEND\na\nrs2\nEND\n", "twice"),
    ):
        path.write_text(text)
        with pytest.raises(FileFormatError, match=reason):
            read_annotation(path)
    path.write_text(INDICATORS.replace("rs4,1,1", "rs4,1,2"))
    with pytest.raises(DataError, match="'conserved'"):
        read_annotation(path)
    with pytest.raises(AlignmentError, match="None of the 1 variants of annotation 'a'"):
        match_annotation(source, {"a": ["chr1:5"]})
    with pytest.raises(AlignmentError, match="names="):
        match_annotation(ArraySource(np.eye(3)), {"a": ["rs1"]})
    with pytest.raises(AlignmentError, match="repeated"):
        match_annotation(ArraySource(np.eye(3), names=["a", "a", "b"]), {"x": ["a"]})


def members(source: ArraySource, groups: Any) -> dict[str, list[int]]:
    return {name: at.tolist() for name, at in match_annotation(source, groups).members.items()}


@pytest.mark.parametrize("gap", ["NA", "nan", ".", ""])
def test_variants_without_a_label_are_in_no_group(tmp_path: Path, source: ArraySource, gap: str) -> None:
    path = tmp_path / "annotation.txt"
    path.write_text(f"SNP\tclass\nrs0\tcoding\nrs1\t{gap}\nrs2\tother\n")
    assert read_annotation(path) == {"coding": ["rs0"], "other": ["rs2"]}
    assert match_annotation(source, read_annotation(path)).unmatched == 4
    path.write_text(f"SNP\tcoding\tother\nrs0\t1\t{gap}\nrs1\t{gap}\t0\nrs2\t0\t1\n")
    assert read_annotation(path) == {"coding": ["rs0"], "other": ["rs2"]}
    path.write_text(f"SNP\tclass\nrs0\t{gap}\nrs1\t{gap}\n")
    with pytest.raises(DataError, match="'class' puts no variant in a group"):
        read_annotation(path)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffSNP,class\r\nrs0,coding\r\nrs4,coding\r\nrs1,other\r\n",
        '"SNP","class"\n"rs0","coding"\n"rs4","coding"\n"rs1","other"\n',
        '"SNP" "class"\n"rs0" "coding"\n"rs4" "coding"\n"rs1" "other"\n',
        "## made by a program\n#ID\tclass\nrs0\tcoding\nrs4\tcoding\nrs1\tother\n",
        "class RsID\ncoding rs0\ncoding rs4\nother rs1\n",
        "CHR BP SNP CM class\n1 5 rs0 0 coding\n1 6 rs4 0 coding\n1 7 rs1 0 other\n",
        "CHR BP SNP CM coding other\n1 5 rs0 0 1 0\n1 6 rs4 0 1 0\n1 7 rs1 0 0 1\n",
        "SNP class\nrs0 coding\nrs4 coding\nrs0 coding\nrs1 other\nrs1 other\n",
        "\ufeffcoding\r\nrs0\r\nrs4\r\nrs0\r\nEND\r\n\r\nother\r\nrs1\r\nEND\r\n",
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_files_of_every_make_give_the_same_groups(tmp_path: Path, text: str, packed: bool) -> None:
    path = tmp_path / ("annotation.gz" if packed else "annotation.txt")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert read_annotation(path) == {"coding": ["rs0", "rs4"], "other": ["rs1"]}


def test_a_label_with_blanks_is_one_label(tmp_path: Path) -> None:
    path = tmp_path / "annotation.txt"
    path.write_text('SNP class\nrs0 "not coding"\nrs1 coding\n')
    assert list(read_annotation(path)) == ["not coding", "coding"]


def test_two_labels_of_one_variant_are_told_and_both_hold(source: ArraySource) -> None:
    frame = pd.DataFrame({"SNP": ["rs0", "rs0", "rs1", "rs2", "rs2"], "gene": ["A", "B", "A", "B", "B"]})
    with pytest.warns(RepairWarning, match=r"1 variants have more than one label \(first: 'rs0', 'A' and 'B'\)"):
        assert members(source, frame) == {"A": [0, 1], "B": [0, 2]}


def test_text_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "annotation.txt"
    path.write_bytes(b"SNP class\nrs0 coding\nrs1 \xe9\n")
    with pytest.raises(FileFormatError, match=r"annotation\.txt is not text in UTF-8 .*line 3"):
        read_annotation(path)
    path.write_text("SNP class class\nrs0 a b\n")
    with pytest.raises(FileFormatError, match="two columns named 'class'"):
        read_annotation(path)


def test_frames_of_any_kind_and_ids_as_index_give_the_same_groups(source: ArraySource) -> None:
    polars = pytest.importorskip("polars")
    ids, labels = ["rs0", "rs4", "rs1", "rs5"], ["coding", "coding", "other", None]
    expected = {"coding": [0, 4], "other": [1]}
    frame = pd.DataFrame({"snp": ids, "class": labels})
    marks = pd.DataFrame({"coding": [1, 1, 0, 0], "other": [False, False, True, False]}, index=ids)
    for table in (
        frame,
        frame[::-1][::-1],
        frame[["class", "snp"]],
        frame.astype("category"),
        frame.set_index("snp"),
        frame.set_index("snp").rename_axis(None),
        frame.set_index("snp")["class"],
        polars.DataFrame({"snp": ids, "class": labels}),
        polars.DataFrame({"snp": ids, "coding": [1, 1, 0, None], "other": [0.0, 0.0, 1.0, None]}),
        marks,
        marks.reset_index(),
    ):
        assert members(source, table) == expected
    numbered = ArraySource(np.eye(6), names=list("012345"))
    table = pd.DataFrame({"id": [0, 4, 1], "class": [7.0, 7.0, np.nan]})
    assert members(numbered, table) == {"7": [0, 4]}
    assert members(numbered, table.set_index("id")) == {"7": [0, 4]}


def test_rows_without_an_id_and_groups_that_are_none_are_told(source: ArraySource) -> None:
    frame = pd.DataFrame({"SNP": ["rs0", ".", None], "class": ["a", "a", "b"]})
    with pytest.warns(RepairWarning, match="2 rows of the annotation have no variant id"):
        assert members(source, frame) == {"a": [0]}
    with pytest.raises(DataError, match="'rs0' is 'coding', one value"):
        match_annotation(source, {"rs0": "coding"})
    with pytest.raises(DataError, match="'a' names no variant"):
        match_annotation(source, {"a": []})
    with pytest.raises(DataError, match="There is no annotation"):
        match_annotation(source, {})
    with pytest.raises(DataError, match="annotation is a list"):
        match_annotation(source, ["rs0"])
