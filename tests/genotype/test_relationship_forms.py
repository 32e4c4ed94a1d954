"""Claims about relationship matrices as PLINK 1.9, PLINK 2 and GCTA write them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from varmix.errors import AlignmentError, DataError, FileFormatError, MissingFileError, NotFiniteError, OptionError
from varmix.genotype import read_grm, write_grm

K = np.array([[1.0, 0.25, -0.5], [0.25, 1.5, 0.125], [-0.5, 0.125, 0.75]])
"""Exact in six digits and in float32."""
COUNTS = [10.0, 9.0, 10.0, 8.0, 7.0, 10.0]
LOWER = np.tril_indices(3)
IDS = "a\t1\na\t2\nb\t1\n"


def pairs(order: slice = slice(None)) -> str:
    lines = [f"{i + 1}\t{j + 1}\t{n:g}\t{K[i, j]:.6e}\n" for i, j, n in zip(*LOWER, COUNTS, strict=True)]
    return "".join(lines[order])


def rows(values: np.ndarray, *, triangle: bool = False) -> str:
    return "".join(
        "\t".join(f"{item:g}" for item in row[: at + 1 if triangle else None]) + "\n" for at, row in enumerate(values)
    )


FORMS: dict[str, tuple[str, Callable[[], bytes], bool]] = {
    "--make-grm-bin": ("grm.bin", lambda: K[LOWER].astype("<f4").tobytes(), False),
    "--make-grm-gz": ("grm.gz", lambda: gzip.compress(pairs().encode()), True),
    "--make-grm-gz no-gz": ("grm", lambda: pairs().encode(), True),
    "pairs from the last": ("grm", lambda: pairs(slice(None, None, -1)).replace("\n", "\r\n").encode(), True),
    "--make-rel square": ("rel", lambda: rows(K).encode(), False),
    "--make-rel square0": ("rel", lambda: rows(np.tril(K)).encode(), False),
    "--make-rel triangle": ("rel", lambda: rows(K, triangle=True).encode(), False),
    "--make-rel square gz": ("rel.gz", lambda: gzip.compress(rows(K).encode()), False),
    "--make-rel bin": ("rel.bin", lambda: K.astype("<f8").tobytes(), False),
    "--make-rel bin4 square0": ("rel.bin", lambda: np.tril(K).astype("<f4").tobytes(), False),
    "--make-rel bin triangle": ("rel.bin", lambda: K[LOWER].astype("<f8").tobytes(), False),
    "--make-rel bin4 triangle": ("rel.bin", lambda: K[LOWER].astype("<f4").tobytes(), False),
}


def put(folder: Path, ending: str, content: bytes, ids: str | bytes = IDS) -> Path:
    (folder / f"k.{ending}").write_bytes(content)
    (folder / f"k.{ending[:3]}.id").write_bytes(ids if isinstance(ids, bytes) else ids.encode())
    return folder / "k"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("named", ["prefix", "file", "ids"])
def test_every_form_is_the_same_matrix(tmp_path: Path, form: str, named: str) -> None:
    ending, content, counted = FORMS[form]
    prefix = put(tmp_path, ending, content())
    path = {"prefix": prefix, "file": f"{prefix}.{ending}", "ids": f"{prefix}.{ending[:3]}.id"}[named]
    read = read_grm(path)
    np.testing.assert_array_equal(read.values, K)
    assert (read.variant_counts is not None) == counted
    if read.variant_counts is not None:
        assert read.variant_counts.tolist() == COUNTS
    assert read.sample_ids["IID"].tolist() == ["1", "2", "1"]
    assert read.name == "k"


@pytest.mark.parametrize(
    ("ids", "families"),
    [
        ("a 1\na 2\nb 1\n", "aab"),
        ("\ufeffa\t1\r\na\t2\r\nb\t1\r\n", "aab"),
        ("#FID\tIID\na\t1\na\t2\nb\t1\n", "aab"),
        ("\ufeff#FID\tIID\na\t1\na\t2\nb\t1\n", "aab"),
        ("FID IID\na 1\na 2\nb 1\n", "aab"),
        ("fid iid\na 1\na 2\nb 1\n", "aab"),
        ("#FID IID SID\na 1 x\na 2 y\nb 1 x\n", "aab"),
        ("a 1 0\na 2 0\nb 1 0\n", "aab"),
        ("#IID\n1\n2\n3\n", "000"),
        ("#IID SID\n1 0\n2 0\n3 0\n", "000"),
        ("1\n2\n3\n", "000"),
        ("IID\n1\n2\n3\n", "000"),
        ("#1 IID\nFID 2\nIID 1\n", ["#1", "FID", "IID"]),
    ],
)
def test_ids_are_read_with_and_without_header_and_family(tmp_path: Path, ids: str, families: list[str] | str) -> None:
    table = read_grm(put(tmp_path, "rel", rows(K).encode(), ids)).sample_ids
    assert table["FID"].tolist() == list(families)
    assert table.columns.tolist() == ["FID", "IID"]


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (b"#FID SID\na x\n", "line 1.*must name IID"),
        (b"#FID IID IID\na x x\n", "line 1.*each column once"),
        (b"#FID IID\n", "is empty"),
        (b"a 1\na 2 0\nb 1\n", "line 2: 3 columns"),
        (b"a 1 0\na 2 x\nb 1 0\n", "line 2: 3 columns"),
        (b"a 1 0 0\na 2 0 0\n", "line 1: 4 columns"),
        (b"a 1\nM\xfcller 2\nb 1\n", "UTF-8 .*line 2"),
    ],
)
def test_ids_that_are_not_understood_are_told_with_their_line(tmp_path: Path, ids: bytes, words: str) -> None:
    prefix = put(tmp_path, "rel", rows(K).encode(), ids)
    with pytest.raises(FileFormatError, match=rf"k\.rel\.id.*{words}"):
        read_grm(prefix)


@pytest.mark.parametrize(
    ("ending", "content", "words"),
    [
        ("grm", "", "is empty"),
        ("grm", pairs(slice(5)), r"5 of 6 pairs; the first absent is 3, 3"),
        ("grm", pairs(slice(1, None)), r"5 of 6 pairs; the first absent is 1, 1"),
        ("grm", pairs() + "1 3 8 0.5\n", "line 7: the pair 3, 1 is there a second time"),
        ("grm", pairs() + "4 1 8 0.5\n", "line 7: the pair 4, 1 is not of the 3 people"),
        ("grm", "0 0 8 0.5\n" + pairs(), "line 1: the pair 0, 0"),
        ("grm", pairs().replace("\t9\t", "\tnine\t"), "line 2: N is 'nine'"),
        ("grm", pairs().replace("\t9\t", "\tnan\t"), "line 2: N is 'nan'"),
        ("grm", "i j N value\n" + pairs(), "line 1: i is 'i'.*without a header"),
        ("grm", pairs() + "3 3", "line 7: 2 columns"),
        ("grm", pairs() + "3 3 1 1 1\n", "line 7: 5 columns"),
        ("grm", pairs().replace("1.500000e+00", "nan"), "no finite diagonal entry for person 2"),
        ("rel", rows(K)[: len(rows(K[:2]))], "2 lines and its .id file 3 people"),
        ("rel", rows(K) + "1\n", "line 4: 1 cells.*no further line"),
        ("rel", rows(K[:, :2]), "line 1: 2 cells where the 3 people .* need 3"),
        ("rel", rows(K, triangle=True).replace("-0.5\t", ""), "line 3: 2 cells .* need 3"),
        ("rel", rows(K).replace("0.125\n", "one\n"), "line 2, column 3: 'one' is not a number"),
        ("rel", rows(K).replace("-0.5\n", "0.5\n", 1), "not symmetric: row 3 and column 1 have -0.5.* 0.5"),
        ("rel.bin", "x" * 71, "71 bytes, which fit no matrix of the 3 people"),
        ("grm.gz", "plain", "is compressed, and it is not"),
    ],
)
def test_damaged_matrices_are_told_with_their_place(tmp_path: Path, ending: str, content: str, words: str) -> None:
    prefix = put(tmp_path, ending, content.encode())
    with pytest.raises(FileFormatError, match=words):
        read_grm(prefix)


def test_a_prefix_of_several_forms_is_gctas_or_refused(tmp_path: Path) -> None:
    for form in ("--make-rel square", "--make-grm-gz"):
        put(tmp_path, FORMS[form][0], FORMS[form][1]())
    with pytest.raises(OptionError, match=r"several matrices: k\.grm\.gz, k\.rel\. Name the file"):
        read_grm(tmp_path / "k")
    np.testing.assert_array_equal(read_grm(tmp_path / "k.rel").values, K)
    put(tmp_path, "grm.bin", (2 * K)[LOWER].astype("<f4").tobytes())
    np.testing.assert_array_equal(read_grm(tmp_path / "k").values, 2 * K)
    np.testing.assert_array_equal(read_grm(tmp_path / "k.grm").values, 2 * K)
    np.testing.assert_array_equal(read_grm(tmp_path / "k.grm.gz").values, K)


def test_zstandard_and_absent_ids_are_told(tmp_path: Path) -> None:
    put(tmp_path, "rel.zst", b"\x28\xb5\x2f\xfd")
    with pytest.raises(FileFormatError, match=r"zstd -d .*k\.rel\.zst"):
        read_grm(tmp_path / "k")
    (tmp_path / "k.rel").write_text(rows(K))
    (tmp_path / "k.rel.id").unlink()
    with pytest.raises(MissingFileError, match=r"k\.rel\.id is not in"):
        read_grm(tmp_path / "k")


def people(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["FID", "IID"])


GOOD = people(("a", "1"), ("a", "2"), ("b", "1"))


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (("a b", "1"), "FID 'a b'.*entry 1"),
        (("a", "1\t"), "blanks"),
        (("a", "1\n"), "blanks"),
        (("a", "\r1"), "blanks"),
        (("a", ""), "no IID"),
        (("FID", "IID"), "names FID and IID"),
        (("#FID", "x"), "names FID and IID"),
        (("\ufeffa", "1"), "blanks"),
    ],
)
def test_ids_that_would_not_come_back_are_not_written(tmp_path: Path, first: tuple[str, str], words: str) -> None:
    with pytest.raises(AlignmentError, match=words):
        write_grm(tmp_path / "k", K, people(first, ("a", "2"), ("b", "1")))
    assert not list(tmp_path.iterdir())


def test_ids_with_quotes_and_other_scripts_come_back(tmp_path: Path) -> None:
    odd = people(('a"b', '"1"'), ("#1", "M\u00fcller"), ("\u5bb6", "x,y'\u00a0z"))
    write_grm(tmp_path / "k", K, odd)
    pd.testing.assert_frame_equal(read_grm(tmp_path / "k").sample_ids, odd.astype(object))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_entries_that_are_not_finite_in_the_file_are_not_written(tmp_path: Path, value: float) -> None:
    values = K.copy()
    values[2, 0] = value
    with pytest.raises(NotFiniteError, match=r"Entry \(2, 0\)"):
        write_grm(tmp_path / "k", values, GOOD)
    for counts in (-1.0, np.array([1, 2, 3, np.nan, 5, 6])):
        with pytest.raises(DataError, match="variant count"):
            write_grm(tmp_path / "k", K, GOOD, counts)
    assert not list(tmp_path.iterdir())


def test_counts_that_are_no_counts_are_refused(tmp_path: Path) -> None:
    write_grm(tmp_path / "k", K, GOOD, 7.0)
    (tmp_path / "k.grm.N.bin").write_bytes(np.array([7, 7, -7, 7, 7, 7], dtype="<f4").tobytes())
    with pytest.raises(FileFormatError, match=r"k\.grm\.N\.bin: entry 3 is -7"):
        read_grm(tmp_path / "k")


def test_a_prefix_that_looks_like_an_ending_is_a_prefix(tmp_path: Path) -> None:
    written = write_grm(tmp_path / "k.rel", K, GOOD, 7.0)
    assert [path.name for path in written] == ["k.rel.grm.bin", "k.rel.grm.N.bin", "k.rel.grm.id"]
    assert read_grm(tmp_path / "k.rel").name == "k.rel"
    assert [path.name for path in write_grm(tmp_path / "k.grm", K, GOOD)] == ["k.grm.bin", "k.grm.id"]


def test_counts_of_an_earlier_matrix_do_not_stay(tmp_path: Path) -> None:
    write_grm(tmp_path / "k", K, GOOD, 7.0)
    write_grm(tmp_path / "k", 2 * K, GOOD)
    assert read_grm(tmp_path / "k").variant_counts is None


def test_infinite_entries_beside_the_diagonal_are_left_to_what_uses_them(tmp_path: Path) -> None:
    values = K.copy()
    values[2, 0] = values[0, 2] = np.inf
    assert read_grm(put(tmp_path, "rel", rows(values).encode())).values[0, 2] == np.inf
