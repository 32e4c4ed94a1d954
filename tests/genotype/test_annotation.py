"""Claims about variants grouped by annotation."""

from __future__ import annotations

from pathlib import Path

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
