"""Claims about PLINK files: bytes written by hand and by bed-reader, and files that are broken."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from varmix.errors import AlignmentError, FileFormatError, MissingExtraError, MissingFileError
from varmix.genotype import ArraySource, open_plink, standardise

bed_reader = pytest.importorskip("bed_reader")

MISSING = np.nan
HAND_MADE = np.array([[2.0, 0.0], [MISSING, 1.0], [1.0, 2.0], [0.0, 2.0], [1.0, 0.0]])
"""Five people, two variants. Two bits a call, lowest first: 00 two of allele 1, 01 missing, 10 one, 11 none."""
HAND_MADE_BYTES = bytes([0x6C, 0x1B, 0x01, 0b11_10_01_00, 0b00_00_00_10, 0b00_00_10_11, 0b00_00_00_11])


def write_tables(prefix: Path, n: int, p: int, *, swap: bool = False) -> None:
    lines = "".join(f"F{row} I{row} 0 0 1 -9\n" for row in range(n))
    prefix.with_name(prefix.name + ".fam").write_text(lines)
    alleles = "G\tA" if swap else "A\tG"
    lines = "".join(f"1\trs{column}\t0\t{100 + column}\t{alleles}\n" for column in range(p))
    prefix.with_name(prefix.name + ".bim").write_text(lines)


@pytest.fixture
def hand_made(tmp_path: Path) -> Path:
    prefix = tmp_path / "cohort.v1"  # a prefix with a dot in it
    write_tables(prefix, 5, 2)
    (tmp_path / "cohort.v1.bed").write_bytes(HAND_MADE_BYTES)
    return prefix


def written(folder: Path, n: int, p: int, seed: int = 0) -> tuple[Path, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.binomial(2, 0.4, (n, p)).astype(float)
    X[rng.random((n, p)) < 0.05] = np.nan
    prefix = folder / "made"
    bed_reader.to_bed(prefix.with_suffix(".bed"), X)
    write_tables(prefix, n, p)
    return prefix, X


def test_bytes_made_by_hand_are_decoded(hand_made: Path) -> None:
    source = open_plink(hand_made)
    np.testing.assert_array_equal(source.read(None, 0, 2), HAND_MADE)
    np.testing.assert_array_equal(source.read_at(np.array([4, 0]), np.array([1, 0])), HAND_MADE[[4, 0]][:, [1, 0]])
    assert source.read(None, 0, 2).flags.f_contiguous
    assert source.sample_ids["IID"].tolist() == ["I0", "I1", "I2", "I3", "I4"]
    assert source.variants.iloc[1].tolist() == ["1", "rs1", 101, "A", "G"]
    assert open_plink(f"{hand_made}.bed", num_threads=1).n_variants == 2


@pytest.mark.parametrize("rows", [None, np.array([30, 2, 17, 8, 9])])
@pytest.mark.parametrize("block_size", [1, 7, None])
def test_a_file_gives_the_bits_of_the_same_array(
    tmp_path: Path, rows: np.ndarray | None, block_size: int | None
) -> None:
    prefix, X = written(tmp_path, 31, 20)
    from_file = standardise(open_plink(prefix), rows=rows, block_size=block_size)
    from_array = standardise(ArraySource(X), rows=rows)
    np.testing.assert_array_equal(from_file.kept, from_array.kept)
    np.testing.assert_array_equal(from_file.array(), from_array.array())
    assert from_file.counts == from_array.counts


def test_a_design_from_a_file_travels_to_other_processes(tmp_path: Path) -> None:
    prefix, _ = written(tmp_path, 31, 20)
    design = standardise(open_plink(prefix))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(design)).array(), design.array())


def test_apply_turns_alleles_that_are_listed_the_other_way_round(tmp_path: Path) -> None:
    prefix, X = written(tmp_path, 31, 20)
    design = standardise(open_plink(prefix))
    turned = tmp_path / "turned"
    bed_reader.to_bed(turned.with_suffix(".bed"), 2.0 - X)
    write_tables(turned, 31, 20, swap=True)
    again = design.apply(open_plink(turned))
    np.testing.assert_array_equal(again.array(), design.array())
    assert again.counts["alleles flipped"] == design.p
    back = again.apply(open_plink(prefix))
    np.testing.assert_array_equal(back.array(), design.array())


def test_apply_refuses_other_alleles_and_lost_variants(tmp_path: Path) -> None:
    prefix, X = written(tmp_path, 31, 20)
    design = standardise(open_plink(prefix))
    bim = (tmp_path / "made.bim").read_text()
    other = tmp_path / "other"
    bed_reader.to_bed(other.with_suffix(".bed"), X)
    write_tables(other, 31, 20)
    other.with_suffix(".bim").write_text(bim.replace("rs4\t0\t104\tA\tG", "rs4\t0\t104\tA\tC"))
    with pytest.raises(AlignmentError, match="rs4"):
        design.apply(open_plink(other))
    other.with_suffix(".bim").write_text(bim.replace("rs7\t", "rs700\t"))
    with pytest.raises(AlignmentError, match="rs7"):
        design.apply(open_plink(other))
    other.with_suffix(".bim").write_text(bim.replace("rs7\t", "rs8\t"))
    with pytest.raises(AlignmentError, match="repeated"):
        design.apply(open_plink(other))
    other.with_suffix(".bim").write_text(bim.replace("rs4\t0\t104\tA\tG", "rs4\t0\t104\t0\tA"))
    assert design.apply(open_plink(other)).counts["alleles flipped"] == 1


@pytest.mark.parametrize("ending", [".bed", ".bim", ".fam"])
def test_a_missing_file_is_named_with_what_is_there(hand_made: Path, ending: str) -> None:
    (hand_made.parent / f"cohort.v1{ending}").unlink()
    with pytest.raises(MissingFileError, match=rf"cohort\.v1\{ending} is not in"):
        open_plink(hand_made)


def test_a_misspelt_prefix_gets_similar_names(hand_made: Path) -> None:
    with pytest.raises(MissingFileError, match=r"Similar files there: .*cohort\.v1\.bed"):
        open_plink(hand_made.with_name("cohorts.v1"))
    with pytest.raises(MissingFileError, match="folder"):
        open_plink(hand_made.parent / "nowhere" / "cohort")


def test_broken_bed_files_are_refused_before_any_read(hand_made: Path) -> None:
    bed = hand_made.parent / "cohort.v1.bed"
    bed.write_bytes(b"chr1\t100\t200\n")
    with pytest.raises(FileFormatError, match="6368"):
        open_plink(hand_made)
    bed.write_bytes(b"")
    with pytest.raises(FileFormatError, match="none"):
        open_plink(hand_made)
    bed.write_bytes(b"\x6c\x1b\x00" + HAND_MADE_BYTES[3:])
    with pytest.raises(FileFormatError, match="person by person"):
        open_plink(hand_made)
    bed.write_bytes(HAND_MADE_BYTES[:-1])
    with pytest.raises(FileFormatError, match=r"need 7 bytes, and it has 6 \(1 variants are complete\)"):
        open_plink(hand_made)
    bed.write_bytes(HAND_MADE_BYTES + b"\x00")
    with pytest.raises(FileFormatError, match="too long"):
        open_plink(hand_made)


def test_broken_tables_are_refused_with_their_line(hand_made: Path) -> None:
    fam, bim = (hand_made.parent / f"cohort.v1{ending}" for ending in (".fam", ".bim"))
    good_fam, good_bim = fam.read_text(), bim.read_text()
    fam.write_text(good_fam.replace("F3 I3", "F1 I1"))
    with pytest.raises(AlignmentError, match=r"'F1', IID 'I1' \(entries 2 and 4\)"):
        open_plink(hand_made)
    fam.write_text(good_fam)
    for line in ("1\trs1\t0\t101\tA\n", "1\trs1\t0\t101\tA\tG\tG\n", "1\trs1\t0\t101\tA\tG\tG\tG\n"):
        bim.write_text(good_bim.splitlines(keepends=True)[0] + line)
        with pytest.raises(FileFormatError, match="line 2"):
            open_plink(hand_made)
    bim.write_text(good_bim.replace("101", "x101"))
    with pytest.raises(FileFormatError, match="position of variant 'rs1'"):
        open_plink(hand_made)
    bim.write_text("")
    with pytest.raises(FileFormatError, match="empty"):
        open_plink(hand_made)


@pytest.mark.parametrize(
    ("ending", "header"),
    [
        (".fam", "#FID IID PAT MAT SEX PHENO1"),
        (".fam", "FID IID PAT MAT SEX PHENOTYPE"),
        (".fam", "\ufefffid\tiid\tfather\tmother\tsex\tphenotype"),
        (".fam", "#IID SEX"),
        (".bim", "#CHROM ID CM POS ALT REF"),
        (".bim", "chr snp cm bp a1 a2"),
        (".bim", "##fileformat=VCFv4.2"),
        (".bim", "#CHROM POS ID REF ALT"),
    ],
)
def test_a_header_is_told_before_its_consequences(hand_made: Path, ending: str, header: str) -> None:
    path = hand_made.parent / f"cohort.v1{ending}"
    path.write_text(f"{header}\n{path.read_text()}", encoding="utf-8")
    with pytest.raises(FileFormatError, match=rf"cohort\.v1\{ending}, line 1 is a header.*Remove the line"):
        open_plink(hand_made)


def test_names_of_columns_may_be_ids(hand_made: Path) -> None:
    fam, bim = (hand_made.parent / f"cohort.v1{ending}" for ending in (".fam", ".bim"))
    fam.write_text(fam.read_text().replace("F0 I0", "#FID IID"))
    bim.write_text(bim.read_text().replace("rs0", "SNP").replace("A\tG", "A1\tA2"))
    source = open_plink(hand_made)
    assert source.sample_ids["FID"][0] == "#FID"
    assert source.variants["id"][0] == "SNP"


def test_marks_and_line_ends_of_other_systems_are_no_part_of_ids(hand_made: Path) -> None:
    plain = open_plink(hand_made)
    for ending in (".fam", ".bim"):
        path = hand_made.parent / f"cohort.v1{ending}"
        text = path.read_text()
        for end in ("\r\n", "\r", "\n\n"):
            spread = text.replace(" ", "\t  ").replace("\n", end)
            path.write_bytes(f"\ufeff{spread}".encode())
            again = open_plink(hand_made)
            assert again.sample_ids.equals(plain.sample_ids)
            assert again.variants.equals(plain.variants)


def test_ids_with_odd_characters_are_kept(hand_made: Path) -> None:
    odd = ['"a', "b'", "#c", "M\u00fcller\u00a0x", "d,e;f"]
    fam = hand_made.parent / "cohort.v1.fam"
    fam.write_text("".join(f"{item} {item} 0 0 1 -9\n" for item in odd), encoding="utf-8")
    assert open_plink(hand_made).sample_ids["IID"].tolist() == odd


@pytest.mark.parametrize("ending", [".fam", ".bim"])
def test_bytes_that_are_not_utf_8_are_told_with_their_line(hand_made: Path, ending: str) -> None:
    path = hand_made.parent / f"cohort.v1{ending}"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"1", b"\xfc", 1))
    with pytest.raises(FileFormatError, match=rf"cohort\.v1\{ending} is not text in UTF-8 .*line 2"):
        open_plink(hand_made)


def test_five_columns_and_broken_positions_are_told(hand_made: Path) -> None:
    bim = hand_made.parent / "cohort.v1.bim"
    good = bim.read_text()
    bim.write_text(good.replace("\t0\t", "\t"))
    with pytest.raises(FileFormatError, match=r"line 1: 5 columns .* has 6\. It may lack the cM"):
        open_plink(hand_made)
    for position in ("1.5", "inf", "NA"):
        bim.write_text(good.replace("101", position))
        with pytest.raises(FileFormatError, match=f"position of variant 'rs1' .* '{position}', not a whole number"):
            open_plink(hand_made)


def test_ids_stay_text(hand_made: Path) -> None:
    fam = hand_made.parent / "cohort.v1.fam"
    fam.write_text("".join(f"00{row} NA{row} 0 0 1 -9\n" for row in range(4)) + "nan NA 0 0 1 -9\n")
    ids = open_plink(hand_made).sample_ids
    assert ids["FID"].tolist() == ["000", "001", "002", "003", "nan"]
    assert ids["IID"].tolist()[-1] == "NA"


def test_without_bed_reader_the_extra_is_named(hand_made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bed_reader", None)
    with pytest.raises(MissingExtraError, match=r"varmix\[genotype\]"):
        open_plink(hand_made)


def test_the_mice_keep_as_many_variants_as_outside_programs_did(reference: Path) -> None:
    # Counts from the reference data's own notes; kept with divisor n among the phenotyped.
    prefix = reference / "genotype" / "mouse_hs1940"
    source = open_plink(prefix)
    assert (source.n_samples, source.n_variants) == (1940, 9286)
    lines = Path(f"{prefix}.pheno.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    for trait, n, p in (("CD8", 1410, 9282), ("MCH", 1580, 9266)):
        at = header.index(trait)
        rows = np.array([row for row, line in enumerate(lines[1:]) if line.split("\t")[at] != "NA"])
        design = standardise(source, rows=rows)
        assert (design.n, design.p) == (n, p)
        squares = sum(float((block**2).sum()) for _, block in design.blocks())
        assert abs(squares - n) < n * 1e-12  # n p products, each rounded, of total n
