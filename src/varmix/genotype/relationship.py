"""GCTA relationship matrices: .grm.bin, .grm.N.bin, .grm.id."""

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

from varmix.errors import FileFormatError, MissingFileError, ShapeError
from varmix.linalg.householder import mirror_lower_into
from varmix.tables.identifiers import SAMPLE_COLUMNS, refuse_duplicates, sample_table
from varmix.typing import Square

ENTRY = np.dtype("<f4")
"""GCTA stores little-endian float32."""
READ_BYTES = 2**24
"""Bytes of the triangle read or written at once: far below one matrix, far above the cost of a call."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RelationshipMatrix:
    """A relationship matrix with its people.

    `values` (n, n) float64, symmetric; `sample_ids` n rows of FID, IID; `variant_counts` the number of variants behind
    each entry of the lower triangle, row by row, shape (n (n + 1) / 2,) float32, or None when the file is not there.
    """

    name: str
    values: Square
    sample_ids: pd.DataFrame
    variant_counts: NDArray[np.float32] | None

    @property
    def n_samples(self) -> int:
        """People."""
        return int(self.values.shape[0])


def read_grm(prefix: str | PathLike[str]) -> RelationshipMatrix:
    """Read PREFIX.grm.bin and .grm.id, and .grm.N.bin when it is there; a trailing '.grm' or '.grm.bin' is dropped.

    Raises MissingFileError, FileFormatError (size against the number of ids), AlignmentError (a person listed twice).
    """
    prefix = _prefix(prefix)
    values_path, counts_path, ids_path = _paths(prefix)
    for path in (values_path, ids_path):
        _check_present(path)
    ids = _read_ids(ids_path)
    n = len(ids)
    _check_size(values_path, n)
    values = np.empty((n, n))
    _read_triangle_into(values, values_path)
    counts = None
    if counts_path.is_file():
        _check_size(counts_path, n)
        counts = np.fromfile(counts_path, dtype=ENTRY).astype(np.float32, copy=False)
    return RelationshipMatrix(name=prefix.name, values=values, sample_ids=ids, variant_counts=counts)


def write_grm(
    prefix: str | PathLike[str],
    values: Square,
    sample_ids: pd.DataFrame,
    variant_counts: float | NDArray[Any] | None = None,
) -> None:
    """Write GCTA's files from the lower triangle of `values` (n, n).

    `variant_counts`: one number for all entries, the packed lower triangle (n (n + 1) / 2,), or None for no .grm.N.bin.
    Raises ShapeError, AlignmentError.
    """
    n = values.shape[0]
    if values.shape != (n, n) or len(sample_ids) != n:
        raise ShapeError(
            f"The matrix has shape {values.shape} and there are {len(sample_ids):,} ids. Give n x n and n ids."
        )
    ids = sample_table(sample_ids, "the relationship matrix")
    counts = None if variant_counts is None else np.asarray(variant_counts, dtype=ENTRY)
    if counts is not None and counts.shape not in ((), (_entries(n),)):
        raise ShapeError(f"The variant counts have shape {counts.shape}. Give one number or {_entries(n):,} of them.")
    values_path, counts_path, ids_path = _paths(_prefix(prefix))
    with values_path.open("wb") as handle:
        for first, last in _row_blocks(n):
            np.concatenate([values[row, : row + 1] for row in range(first, last)]).astype(ENTRY).tofile(handle)
    if counts is not None:
        np.broadcast_to(counts, (_entries(n),)).astype(ENTRY).tofile(counts_path)
    ids.to_csv(ids_path, sep="\t", header=False, index=False)


def _prefix(prefix: str | PathLike[str]) -> Path:
    given = Path(prefix)
    for ending in (".grm.bin", ".grm.id", ".grm.N.bin", ".grm"):
        if given.name.endswith(ending):
            return given.with_name(given.name.removesuffix(ending))
    return given


def _paths(prefix: Path) -> tuple[Path, Path, Path]:
    values, counts, ids = (prefix.with_name(prefix.name + end) for end in (".grm.bin", ".grm.N.bin", ".grm.id"))
    return values, counts, ids


def _check_present(path: Path) -> None:
    if path.is_file():
        return
    there = sorted(item.name for item in path.parent.glob("*.grm.*")) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=5, cutoff=0.4) or there[:5]
    similar = f"Similar files there: {', '.join(near)}." if near else "No .grm file is there."
    raise MissingFileError(f"{path.name} is not in {path.parent}. {similar}")


def _read_ids(path: Path) -> pd.DataFrame:
    rows = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.split()
            if not fields:
                continue
            if len(fields) != len(SAMPLE_COLUMNS):
                raise FileFormatError(f"{path}, line {number}: {len(fields)} columns where FID and IID are needed.")
            rows.append(fields)
    if not rows:
        raise FileFormatError(f"{path} is empty. It needs one line with FID and IID per person.")
    table = pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS), dtype=object)
    refuse_duplicates(table, path.name)
    return table


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
    finite = np.isfinite(values.diagonal())
    if not finite.all():
        raise FileFormatError(f"{path} has no finite diagonal entry for person {int((~finite).argmax()) + 1}.")
    mirror_lower_into(values)
