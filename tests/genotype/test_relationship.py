"""Claims about GCTA relationship matrices."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from varmix.errors import AlignmentError, FileFormatError, MissingFileError, ShapeError
from varmix.genotype import read_grm, standardise, write_grm


def ids(n: int) -> pd.DataFrame:
    return pd.DataFrame({"FID": [f"F{k}" for k in range(n)], "IID": [f"I{k}" for k in range(n)]})


@pytest.fixture
def hand_made(tmp_path: Path) -> Path:
    (tmp_path / "k.grm.bin").write_bytes(struct.pack("<6f", 1.0, 0.25, 1.5, -0.5, 0.125, 0.75))
    (tmp_path / "k.grm.N.bin").write_bytes(struct.pack("<6f", 10, 9, 10, 8, 7, 10))
    (tmp_path / "k.grm.id").write_text("a 1\na 2\nb 1\n")
    return tmp_path / "k"


def test_bytes_made_by_hand_are_the_lower_triangle_row_by_row(hand_made: Path) -> None:
    grm = read_grm(hand_made)
    np.testing.assert_array_equal(grm.values, [[1.0, 0.25, -0.5], [0.25, 1.5, 0.125], [-0.5, 0.125, 0.75]])
    assert grm.values.dtype == np.float64
    assert grm.variant_counts is not None
    assert grm.variant_counts.tolist() == [10, 9, 10, 8, 7, 10]
    assert grm.sample_ids["FID"].tolist() == ["a", "a", "b"]
    np.testing.assert_array_equal(read_grm(f"{hand_made}.grm").values, grm.values)


@pytest.mark.parametrize("read_bytes", [1, 100, 2**24])
def test_what_is_written_is_read_back(tmp_path: Path, read_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("varmix.genotype.relationship.READ_BYTES", read_bytes)
    n = 57
    K = np.zeros((n, n))
    standardise(np.random.default_rng(0).normal(size=(n, 80))).gram_into(K)
    write_grm(tmp_path / "made", K, ids(n), 80.0)
    grm = read_grm(tmp_path / "made")
    np.testing.assert_array_equal(grm.values, K.astype(np.float32).astype(np.float64))
    assert grm.variant_counts is not None
    assert set(grm.variant_counts.tolist()) == {80.0}
    pd.testing.assert_frame_equal(grm.sample_ids, ids(n).astype(object))
    packed = np.arange(n * (n + 1) // 2)
    write_grm(tmp_path / "packed", K, ids(n), packed)
    counts = read_grm(tmp_path / "packed").variant_counts
    assert counts is not None
    np.testing.assert_array_equal(counts, packed)


def test_counts_may_be_absent(hand_made: Path) -> None:
    Path(f"{hand_made}.grm.N.bin").unlink()
    assert read_grm(hand_made).variant_counts is None


def test_a_size_that_does_not_fit_says_what_it_would_fit(hand_made: Path) -> None:
    id_file = Path(f"{hand_made}.grm.id")
    id_file.write_text("a 1\na 2\n")
    with pytest.raises(FileFormatError, match=r"24 bytes, and the 2 people .* need 12; it fits 3 people"):
        read_grm(hand_made)
    id_file.write_text("a 1\na 2\nb 1\n")
    Path(f"{hand_made}.grm.N.bin").write_bytes(b"\x00" * 23)
    with pytest.raises(FileFormatError, match="no whole number of people"):
        read_grm(hand_made)


def test_bad_ids_and_missing_files_are_named(hand_made: Path) -> None:
    id_file = Path(f"{hand_made}.grm.id")
    id_file.write_text("a 1\na 2\na 1\n")
    with pytest.raises(AlignmentError, match="FID 'a', IID '1'"):
        read_grm(hand_made)
    id_file.write_text("a 1\na 2 x\nb 1\n")
    with pytest.raises(FileFormatError, match="line 2"):
        read_grm(hand_made)
    id_file.write_text("")
    with pytest.raises(FileFormatError, match="empty"):
        read_grm(hand_made)
    id_file.unlink()
    with pytest.raises(MissingFileError, match=r"k\.grm\.id is not in .* Similar files there: k\.grm"):
        read_grm(hand_made)


def test_writing_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="2 ids"):
        write_grm(tmp_path / "k", np.eye(3), ids(2))
    with pytest.raises(ShapeError, match="variant counts"):
        write_grm(tmp_path / "k", np.eye(3), ids(3), np.ones(3))
