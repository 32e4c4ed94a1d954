"""PLINK 1 binary genotypes: .bed, .bim and .fam, checked before the first read."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import FileFormatError, MissingExtraError, MissingFileError
from varmix.tables.identifiers import SAMPLE_COLUMNS, VARIANT_COLUMNS, refuse_duplicates
from varmix.tables.text import open_text, split_words, text_lines
from varmix.typing import Index, Matrix

MAGIC = b"\x6c\x1b"
VARIANT_MAJOR = b"\x01"
HEADER_BYTES = 3
CALLS_PER_BYTE = 4
TABLE_COLUMNS = 6
"""Both .bim and .fam have six columns."""
HEADINGS = frozenset(
    {"FID", "IID", "SID", "PAT", "MAT", "FATHER", "MOTHER", "SEX", "PHENO", "PHENO1", "PHENOTYPE"}
    | {"CHR", "CHROM", "CHROMOSOME", "ID", "SNP", "RSID", "VARIANT", "CM", "MORGANS", "POS", "BP", "POSITION"}
    | {"A1", "A2", "ALT", "REF", "ALLELE1", "ALLELE2"}
)
"""Names of columns, as PLINK 2 and tables of R have them; two in one line without a number are a header."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlinkSource:
    """Counts of allele 1 (0, 1, 2, NaN) read from a .bed file; made by `open_plink`. Holds no open file."""

    name: str
    path: Path
    sample_ids: pd.DataFrame = field(repr=False)
    variants: pd.DataFrame = field(repr=False)
    num_threads: int | None

    @property
    def n_samples(self) -> int:
        """People in the .fam file."""
        return len(self.sample_ids)

    @property
    def n_variants(self) -> int:
        """Variants in the .bim file."""
        return len(self.variants)

    def read(self, rows: Index | None, start: int, stop: int) -> Matrix:
        """See GenotypeSource. Raises MissingExtraError without bed-reader."""
        return self._read(rows, slice(start, stop))

    def read_at(self, rows: Index | None, columns: Index) -> Matrix:
        """See GenotypeSource. Raises MissingExtraError without bed-reader."""
        return self._read(rows, columns)

    def _read(self, rows: Index | None, columns: slice | Index) -> Matrix:
        open_bed = _bed_reader()
        with open_bed(
            self.path,
            iid_count=self.n_samples,
            sid_count=self.n_variants,
            count_A1=True,
            num_threads=self.num_threads,
            skip_format_check=True,
        ) as bed:
            chosen = (slice(None) if rows is None else rows, columns)
            block: Matrix = bed.read(index=chosen, dtype="float64", order="F")
        return block


def open_plink(path: str | PathLike[str], *, num_threads: int | None = None, name: str | None = None) -> PlinkSource:
    """The genotypes of a PLINK file set, named by its prefix or its .bed file; calls count allele 1 of the .bim.

    num_threads is for decoding (None: bed-reader's choice). Raises MissingExtraError, MissingFileError (which file, and
    what is there under similar names), FileFormatError (magic bytes, mode, size; a header, another
    number of columns, or a byte that is not UTF-8, with its line), AlignmentError (a person listed twice).
    """
    _bed_reader()
    bed = _bed_path(path)
    bim, fam = bed.with_suffix(".bim"), bed.with_suffix(".fam")
    _check_present(bed, bim, fam)
    samples = _read_table(fam, ("FID", "IID", "father", "mother", "sex", "phenotype"))[list(SAMPLE_COLUMNS)]
    variants = _read_table(bim, ("chromosome", "id", "morgans", "position", "allele_1", "allele_2"))
    _check_bed(bed, len(samples), len(variants))
    refuse_duplicates(samples, fam.name)
    position = pd.to_numeric(variants["position"], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(position) | (position != np.floor(position))
    if wrong.any():
        at = int(wrong.argmax())
        raise FileFormatError(
            f"{bim}: the position of variant '{variants['id'].iloc[at]}' (entry {at + 1}) is "
            f"'{variants['position'].iloc[at]}', not a whole number. A .bim has chromosome, id, cM, position, "
            "allele 1, allele 2."
        )
    variants["position"] = position.astype(np.int64)
    return PlinkSource(
        name=bed.stem if name is None else name,
        path=bed,
        sample_ids=samples,
        variants=variants[list(VARIANT_COLUMNS)],
        num_threads=num_threads,
    )


def _bed_reader() -> Any:
    try:
        from bed_reader import open_bed
    except ImportError as error:
        raise MissingExtraError(
            'Reading PLINK files needs the package bed-reader. Install it with: pip install "varmix[genotype]"'
        ) from error
    return open_bed


def _bed_path(path: str | PathLike[str]) -> Path:
    given = Path(path)
    if given.suffix in (".bed", ".bim", ".fam"):
        return given.with_suffix(".bed")
    return given.with_name(given.name + ".bed")


def _check_present(*paths: Path) -> None:
    absent = [path for path in paths if not path.is_file()]
    if not absent:
        return
    folder = paths[0].parent
    if not folder.is_dir():
        raise MissingFileError(f"The folder {folder} is not there, so neither is {paths[0].name}. Check the path.")
    there = sorted(item.name for item in folder.iterdir() if item.suffix in (".bed", ".bim", ".fam"))
    near = difflib.get_close_matches(paths[0].name, there, n=5, cutoff=0.5) or there[:5]
    similar = f"Similar files there: {', '.join(near)}." if near else "No .bed, .bim or .fam file is there."
    raise MissingFileError(
        f"PLINK files come in threes, and {', '.join(path.name for path in absent)} is not in {folder}. {similar}"
    )


def _read_table(path: Path, names: tuple[str, ...]) -> pd.DataFrame:
    _refuse_header(path)
    overflow = "too many"
    try:
        with open_text(path) as handle:
            table = pd.read_csv(
                handle, sep=r"\s+", header=None, names=[*names, overflow], dtype=object, keep_default_na=False,
                quoting=3, na_values={overflow: [""]}, index_col=False,
            )  # fmt: skip
    except pd.errors.ParserError as error:
        _refuse_wrong_count(path)
        raise FileFormatError(f"{path} cannot be read: {error}. Write it again.") from error
    if table.empty:
        raise FileFormatError(f"{path} is empty. It needs one line per entry, with {TABLE_COLUMNS} columns.")
    if table[overflow].notna().any() or table[list(names)].isna().any(axis=None) or (table[names[-1]] == "").any():
        _refuse_wrong_count(path)
    return table[list(names)].astype(object)


def _refuse_header(path: Path) -> None:
    number, line = next(text_lines(path), (0, ""))
    words = {word.lstrip("#").upper() for word in split_words(line)}
    named = len(words & HEADINGS) >= 2 and not any(word.lstrip("-").isdecimal() for word in words)
    if named or line.startswith("##"):
        shown = " ".join(split_words(line)[:3])
        raise FileFormatError(
            f"{path}, line {number} is a header ({shown} ...): PLINK 1 files have none. Remove the line, or write the "
            "files again with plink2 --make-bed."
        )


def _refuse_wrong_count(path: Path) -> None:
    for number, line in text_lines(path):
        found = len(split_words(line))
        if found != TABLE_COLUMNS:
            without = found == TABLE_COLUMNS - 1 and path.suffix == ".bim"
            advice = "It may lack the cM: plink2 --make-bed puts it in" if without else "Correct it, or write it again"
            raise FileFormatError(
                f"{path}, line {number}: {found} columns where a {path.suffix} file has {TABLE_COLUMNS}. {advice}."
            )


def _check_bed(bed: Path, n: int, p: int) -> None:
    with bed.open("rb") as handle:
        header = handle.read(HEADER_BYTES)
    if header[:2] != MAGIC:
        raise FileFormatError(
            f"{bed} starts with the bytes {header[:2].hex() or '(none)'}, not {MAGIC.hex()}: it is not a PLINK 1 .bed "
            "file (a UCSC .bed is something else). Write it with plink --make-bed."
        )
    if header[2:] != VARIANT_MAJOR:
        raise FileFormatError(
            f"{bed} is stored person by person (mode byte {header[2:].hex() or '(none)'}, not 01). Convert it with "
            "plink --make-bed."
        )
    per_variant = -(-n // CALLS_PER_BYTE)
    expected = HEADER_BYTES + per_variant * p
    found = bed.stat().st_size
    if found < expected:
        raise FileFormatError(
            f"{bed} is truncated: {n:,} people and {p:,} variants need {expected:,} bytes, and it has {found:,} "
            f"({(found - HEADER_BYTES) // per_variant:,} variants are complete). Copy it again."
        )
    if found > expected:
        raise FileFormatError(
            f"{bed} is too long: {n:,} people and {p:,} variants need {expected:,} bytes, and it has {found:,}. "
            "The .fam or .bim beside it belongs to another file."
        )
