"""Numbers that stand for a missing call in genotypes of other programs, told apart from numbers that are meant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from varmix.errors import DataError

CALLS = (0, 1, 2)
UNMISTAKABLE = (-9, -127, -128, -99, 99, 255)
"""PLINK and VCF tools; bed-reader's int8; the least int8, into which NaN turns; -1 as uint8. Beside counts of an allele
these are nothing else."""
AMBIGUOUS = (-1, 9)
"""scikit-allel and vcftools; EIGENSTRAT. Beside 0 and 2 they are codes; -1, 0, 1 is another coding of genotypes."""
CHUNK = 2**20
"""Entries judged at a time: temporaries of a megabyte."""


def refuse_missing_codes(values: NDArray[Any], name: str) -> None:
    """Raise DataError for an array (n, p) of 0, 1, 2 and one number that is known as a missing code.

    Everything else passes: reals, counts beyond 2, -1/0/1. The first row of most other designs shows that; two
    passes for the extremes tell the rest, and more are made only where one of them is a code.
    """
    if values.dtype.kind not in "iuf":
        return
    codes = (*UNMISTAKABLE, *AMBIGUOUS)
    if not _only(values[:1], (*CALLS, *codes)):
        return
    low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
    code = low if low in codes and high <= CALLS[-1] else high if high in codes and low >= CALLS[0] else None
    if code is None or not _only(values, (*CALLS, code)):
        return
    if code in AMBIGUOUS and not ((values == CALLS[0]).any() and (values == CALLS[-1]).any()):
        return
    if not ((values == 1) | (values == 2)).any():
        return
    row, column = (int(at) for at in np.argwhere(values == code)[0])
    count = int((values == code).sum())
    raise DataError(
        f"Design '{name}' holds 0, 1, 2 and {code:g} ({count:,} times; first at row {row}, column {column}, counted "
        f"from 0), which looks like a missing code. Mark it NaN, or pass varmix.ArraySource(X, missing={code:g}); "
        "where it is a number, missing=float('nan') says so."
    )


def _only(values: NDArray[Any], numbers: tuple[Any, ...]) -> bool:
    """Whether every entry is one of the numbers, or NaN."""
    rows = max(1, CHUNK // values.shape[1])
    for start in range(0, len(values), rows):
        part = values[start : start + rows]
        known = np.isnan(part) if part.dtype.kind == "f" else np.zeros(part.shape, dtype=np.bool_)
        for number in numbers:
            known |= part == number
        if not known.all():
            return False
    return True
