"""Relationship matrices in the files of GCTA and PLINK."""

from __future__ import annotations

import difflib
import itertools
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import DataError, FileFormatError, MissingFileError, NotFiniteError, OptionError, ShapeError
from varmix.genotype.person_lists import check_writable, read_people, write_people
from varmix.genotype.relationship_lists import read_pairs
from varmix.genotype.relationship_squares import read_binary, read_rows
from varmix.linalg.householder import mirror_lower_into
from varmix.tables.identifiers import sample_table
from varmix.typing import Square

ENTRY = np.dtype("<f4")
"""GCTA stores little-endian float32."""
BINARY, COUNTS = ".grm.bin", ".grm.N.bin"
FORMS = (BINARY, ".grm.gz", ".grm", ".rel.bin", ".rel", ".rel.gz")
"""Endings of files that hold a matrix; GCTA's own first."""
PACKED = (".grm.zst", ".rel.zst")
ENDINGS = (*FORMS, ".grm.id", COUNTS, ".rel.id", *PACKED)
"""What is cut from a path that is to be read to have the prefix."""
WRITTEN = (BINARY, ".grm.id", COUNTS, ".grm")
"""What is cut from a path that is to be written."""
READ_BYTES = 2**24
"""Bytes of the triangle read or written at once: far below one matrix, far above the cost of a call."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RelationshipMatrix:
    """A relationship matrix with its people.

    `values` (n, n) float64, symmetric; `sample_ids` n rows of FID, IID; `variant_counts` the number of variants behind
    each entry of the lower triangle, row by row, shape (n (n + 1) / 2,) float32, or None when the file is not there;
    `n_variants` those that any entry counts, None for a matrix from a file.
    """

    name: str
    values: Square
    sample_ids: pd.DataFrame
    variant_counts: NDArray[np.float32] | None
    n_variants: int | None = None

    @property
    def n_samples(self) -> int:
        """People."""
        return int(self.values.shape[0])


def read_grm(path: str | PathLike[str]) -> RelationshipMatrix:
    """Read a relationship matrix of GCTA or PLINK, named by its prefix or by one of its files.

    PREFIX.grm.bin (lower triangle, float32) with .grm.N.bin where it is there; PREFIX.grm.gz or PREFIX.grm (text: i, j,
    N, value); PREFIX.rel.bin (square or triangle, float64 or float32); PREFIX.rel or .rel.gz (text: square, square with
    zeros above, or triangle). The people are in PREFIX.grm.id or PREFIX.rel.id: see `read_people`. A prefix alone means
    PREFIX.grm.bin where it is there, else the one form that is.

    Raises MissingFileError, OptionError (several forms under one prefix), FileFormatError (size against the number of
    ids, ragged or damaged text with its line, a diagonal that is not finite), AlignmentError (a person listed twice).
    """
    prefix, ending = _form(Path(path))
    values_path, ids_path = _beside(prefix, ending), _beside(prefix, ending[:4] + ".id")
    _check_present(values_path, ids_path)
    ids = read_people(ids_path)
    n = len(ids)
    counts: NDArray[np.float32] | None = None
    if ending == BINARY:
        _check_size(values_path, n)
        values = np.empty((n, n))
        _read_triangle_into(values, values_path)
        counts = _read_counts(_beside(prefix, COUNTS), n)
    elif ending.startswith(".grm"):
        values, counts = read_pairs(values_path, n)
    else:
        values = read_binary(values_path, n) if ending == ".rel.bin" else read_rows(values_path, n)
    finite = np.isfinite(values.diagonal())
    if not finite.all():
        raise FileFormatError(f"{values_path} has no finite diagonal entry for person {int((~finite).argmax()) + 1}.")
    return RelationshipMatrix(name=prefix.name, values=values, sample_ids=ids, variant_counts=counts)


def write_grm(
    prefix: str | PathLike[str],
    values: Square,
    sample_ids: pd.DataFrame,
    variant_counts: float | NDArray[Any] | None = None,
) -> tuple[Path, ...]:
    """Write GCTA's files PREFIX.grm.bin, .grm.id and .grm.N.bin from the lower triangle of `values` (n, n).

    Gives their paths; a trailing '.grm' of the prefix is dropped. `variant_counts`: one number for all entries, the
    packed lower triangle (n (n + 1) / 2,), or None for no .grm.N.bin, and one of an earlier matrix is removed. Nothing
    is written that `read_grm` would not give back. Raises ShapeError, NotFiniteError (an entry that is not finite as
    float32), DataError (counts that are negative or not finite), AlignmentError (ids: listed twice, missing, with
    blanks).
    """
    n = values.shape[0]
    if values.shape != (n, n) or len(sample_ids) != n:
        raise ShapeError(
            f"The matrix has shape {values.shape} and there are {len(sample_ids):,} ids. Give n x n and n ids."
        )
    ids = sample_table(sample_ids, "the relationship matrix")
    check_writable(ids)
    counts = None if variant_counts is None else np.asarray(variant_counts, dtype=ENTRY)
    if counts is not None and counts.shape not in ((), (_entries(n),)):
        raise ShapeError(f"The variant counts have shape {counts.shape}. Give one number or {_entries(n):,} of them.")
    if counts is not None and not (np.isfinite(counts) & (counts >= 0)).all():
        raise DataError("A variant count is negative or not finite. Give how many variants are behind each entry.")
    _refuse_not_finite(values)
    given = Path(prefix)
    ending = next((end for end in WRITTEN if given.name.endswith(end)), "")
    stem = given.with_name(given.name.removesuffix(ending))
    values_path, counts_path, ids_path = (_beside(stem, end) for end in (BINARY, COUNTS, ".grm.id"))
    with values_path.open("wb") as handle:
        for first, last in _row_blocks(n):
            np.concatenate([values[row, : row + 1] for row in range(first, last)]).astype(ENTRY).tofile(handle)
    if counts is None:
        counts_path.unlink(missing_ok=True)
    else:
        np.broadcast_to(counts, (_entries(n),)).astype(ENTRY).tofile(counts_path)
    write_people(ids_path, ids)
    return (values_path, ids_path) if counts is None else (values_path, counts_path, ids_path)


def packed_lower(values: NDArray[Any]) -> NDArray[np.float32]:
    """The lower triangle of (n, n), row by row, as float32 (n (n + 1) / 2,)."""
    n = len(values)
    packed = np.empty(_entries(n), dtype=np.float32)
    for row in range(n):
        packed[_entries(row) : _entries(row + 1)] = values[row, : row + 1]
    return packed


def _refuse_not_finite(values: Square) -> None:
    for row in range(len(values)):
        with np.errstate(over="ignore"):
            wrong = ~np.isfinite(values[row, : row + 1].astype(ENTRY))
        if wrong.any():
            column = int(wrong.argmax())
            raise NotFiniteError(
                f"Entry ({row}, {column}) of the relationship matrix is {values[row, column]:g}, which the files "
                "cannot hold. Leave out the person with such entries."
            )


def _form(given: Path) -> tuple[Path, str]:
    """The prefix, and the ending of the file that holds the matrix. Raises OptionError, FileFormatError (.zst)."""
    named = next((end for end in FORMS if given.name.endswith(end)), "")
    if named and given.is_file():
        return given.with_name(given.name.removesuffix(named)), named
    if _forms_of(given, ""):
        prefix, family = given, ""
    else:
        ending = next((end for end in ENDINGS if given.name.endswith(end)), "")
        prefix, family = given.with_name(given.name.removesuffix(ending)), ending[:4]
        if ending in FORMS and ending != ".grm":
            return prefix, ending
    there = _forms_of(prefix, family)
    packed = [_beside(prefix, end) for end in PACKED if end.startswith(family) and _beside(prefix, end).is_file()]
    if packed and not there:
        raise FileFormatError(f"{packed[0]} is compressed by Zstandard. Decompress it first: zstd -d {packed[0]}")
    if BINARY not in there and len(there) > 1:
        raise OptionError(
            f"{prefix} stands for several matrices: {', '.join(f'{prefix.name}{end}' for end in there)}. Name the file."
        )
    return prefix, there[0] if there else f"{family or '.grm'}.bin"


def _forms_of(prefix: Path, family: str) -> list[str]:
    return [end for end in FORMS if end.startswith(family) and _beside(prefix, end).is_file()]


def _beside(prefix: Path, ending: str) -> Path:
    return prefix.with_name(prefix.name + ending)


def _check_present(*paths: Path) -> None:
    for path in paths:
        if path.is_file():
            continue
        folder = path.parent
        inside = folder.iterdir() if folder.is_dir() else ()
        there = sorted(item.name for item in inside if item.name.endswith(ENDINGS))
        near = difflib.get_close_matches(path.name, there, n=5, cutoff=0.4) or there[:5]
        similar = f"Similar files there: {', '.join(near)}." if near else "No .grm file is there."
        raise MissingFileError(f"{path.name} is not in {folder}. {similar}")


def _read_counts(path: Path, n: int) -> NDArray[np.float32] | None:
    if not path.is_file():
        return None
    _check_size(path, n)
    counts = np.fromfile(path, dtype=ENTRY).astype(np.float32, copy=False)
    wrong = ~(counts >= 0)
    if wrong.any():
        raise FileFormatError(
            f"{path}: entry {int(wrong.argmax()) + 1} is {counts[wrong][0]:g}, not a number of variants. Write it "
            "again, or remove it: it is not needed for a fit."
        )
    return counts


def _entries(n: int) -> int:
    return n * (n + 1) // 2


def _check_size(path: Path, n: int) -> None:
    found = path.stat().st_size
    expected = _entries(n) * ENTRY.itemsize
    if found == expected:
        return
    entries = found // ENTRY.itemsize
    fits = int((np.sqrt(8.0 * entries + 1.0) - 1.0) / 2.0)
    exact = _entries(fits) * ENTRY.itemsize == found
    guess = f"it fits {fits:,} people" if exact else "no whole number of people fits, so it is damaged"
    raise FileFormatError(
        f"{path} has {found:,} bytes, and the {n:,} people of the .grm.id need {expected:,}; {guess}. "
        "Use the .grm.id written together with it."
    )


def _row_blocks(n: int) -> list[tuple[int, int]]:
    edges = [0]
    while edges[-1] < n:
        rows = max(1, READ_BYTES // (ENTRY.itemsize * (edges[-1] + 1)))
        rows = min(rows, max(1, READ_BYTES // (ENTRY.itemsize * min(n, edges[-1] + rows))))
        edges.append(min(n, edges[-1] + rows))
    return list(itertools.pairwise(edges))


def _read_triangle_into(values: Square, path: Path) -> None:
    n = values.shape[0]
    with path.open("rb") as handle:
        for first, last in _row_blocks(n):
            packed = np.fromfile(handle, dtype=ENTRY, count=_entries(last) - _entries(first))
            at = 0
            for row in range(first, last):
                values[row, : row + 1] = packed[at : at + row + 1]
                at += row + 1
    mirror_lower_into(values)
