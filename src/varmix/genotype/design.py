"""A design ready to use: centred, scaled, and read block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from varmix.errors import NotFiniteError, ShapeError
from varmix.genotype.gram import add_gram_into
from varmix.genotype.matching import match_variants
from varmix.genotype.moments import subtract_centre_into
from varmix.genotype.source import GenotypeSource, as_source, check_rows, row_labels
from varmix.linalg.householder import mirror_lower_into
from varmix.tables.labels import Labels
from varmix.typing import Array, Index, Mask, Matrix, Square, Tick, Vector

Scaling = Literal["sample", "allele_frequency", "none"]
Reference = Literal["used", "all"]
BLOCK_BYTES = 32 * 2**20
"""One block of float64 columns: large enough for full speed of the matrix products, small beside one n x n matrix."""
SMALLEST_BLOCK = 16
"""Columns in a block whatever the number of rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StandardisedDesign:
    """n rows by p columns `(x - centre) / scale` of a source; made by `standardise` or `apply`.

    `kept` are positions in the source, shape (p,); `centre` (= shift + offset) and `scale` have shape (p,), and scale
    includes sqrt(p), so that tr XX' = n when the reference rows are the rows used ([VC-1]). Missing calls are 0 (the
    mean). `flipped` marks columns whose counted allele is the other one in this source. `counts` says what was read,
    dropped and imputed. `held` is the (n, p) array when it is in memory.
    """

    source: GenotypeSource
    rows: Index | None
    kept: Index
    shift: Vector
    offset: Vector
    scale: Vector
    flipped: Mask | None
    scaling: Scaling
    reference: Reference
    counts: Mapping[str, int]
    block_size: int
    held: Matrix | None

    @property
    def name(self) -> str:
        """That of the source."""
        return self.source.name

    @property
    def n(self) -> int:
        """Rows."""
        return self.source.n_samples if self.rows is None else int(self.rows.size)

    @property
    def p(self) -> int:
        """Columns kept."""
        return int(self.kept.size)

    @property
    def centre(self) -> Vector:
        """What was subtracted, shape (p,), in the units of the source."""
        return self.shift + self.offset

    @property
    def variants(self) -> pd.DataFrame | None:
        """The source's table of the kept variants, or None."""
        table = self.source.variants
        return None if table is None else table.iloc[self.kept].reset_index(drop=True)

    @property
    def sample_ids(self) -> pd.DataFrame | None:
        """FID and IID of the rows used, or None."""
        table = self.source.sample_ids
        return table if table is None or self.rows is None else table.iloc[self.rows].reset_index(drop=True)

    def blocks(self, tick: Tick | None = None) -> Iterator[tuple[slice, Matrix]]:
        """Column positions and the standardised block (n, b), Fortran order; not to be written to.

        `tick` gets the number of columns of each block once the caller is done with it.
        Raises NotFiniteError when scaling is "none" and a call is missing.
        """
        for start in range(0, self.p, self.block_size):
            part = slice(start, min(start + self.block_size, self.p))
            yield part, self.held[:, part] if self.held is not None else self._block(part)[0]
            if tick is not None:
                tick(part.stop - part.start)

    def array(self) -> Matrix:
        """The (n, p) array, Fortran order: the one held, or a fresh one."""
        if self.held is not None:
            return self.held
        values = np.empty((self.n, self.p), order="F")
        for part, block in self.blocks():
            values[:, part] = block
        return values

    def in_memory(self) -> StandardisedDesign:
        """The same design with its array held: n x p x 8 bytes for no further reading."""
        return self if self.held is not None else replace(self, held=self.array())

    def gram_into(self, K: Square, tick: Tick | None = None) -> None:
        """Add XX' to the symmetric (n, n) float64 buffer, C or Fortran order; no further n x n memory.

        Raises ShapeError for a buffer that does not fit.
        """
        if K.shape != (self.n, self.n) or K.dtype != np.float64 or not (K.flags.c_contiguous or K.flags.f_contiguous):
            raise ShapeError(
                f"The buffer for design '{self.name}' is {K.dtype} of shape {K.shape}; it must be one contiguous "
                f"float64 array of shape ({self.n}, {self.n})."
            )
        fortran = K if K.flags.f_contiguous else K.T
        self.lower_gram_into(fortran, tick)
        mirror_lower_into(fortran)

    def lower_gram_into(self, K: Square, tick: Tick | None = None) -> None:
        """Add the lower triangle of XX' to that of the (n, n) float64 buffer in Fortran order; the upper stays as it
        is."""
        for _, block in self.blocks(tick):
            add_gram_into(K, block)

    def cross(self, B: Array, tick: Tick | None = None) -> Array:
        """X'B: (p,) for B (n,), (p, m) for B (n, m). Raises ShapeError."""
        self._check_length(B, self.n, "rows")
        out = np.empty((self.p, *B.shape[1:]))
        for part, block in self.blocks(tick):
            np.matmul(block.T, B, out=out[part])
        return out

    def multiply(self, b: Array, tick: Tick | None = None) -> Array:
        """X b: (n,) for b (p,), (n, m) for b (p, m). Raises ShapeError."""
        self._check_length(b, self.p, "columns")
        out = np.zeros((self.n, *b.shape[1:]))
        for part, block in self.blocks(tick):
            out += block @ b[part]
        return out

    def apply(self, new: Any, rows: Any = None) -> StandardisedDesign:
        """New rows with this centring and scaling ([VC-6]); missing calls take the training mean.

        Variants are found by id when both sources know theirs, by position otherwise. Alleles listed the other way
        round are turned (`counts["alleles flipped"]`). Raises AlignmentError for variants not there or with other
        alleles.
        """
        source = as_source(new)
        match = match_variants(self.source, self.kept, source)
        flipped = match.flipped if self.flipped is None else match.flipped ^ self.flipped
        fresh = replace(
            self,
            source=source,
            rows=check_rows(rows, source.n_samples, source.name),
            kept=match.positions,
            flipped=flipped if flipped.any() else None,
            held=None,
        )
        fresh = replace(fresh, block_size=default_block_size(fresh.n, fresh.p))
        missing = sum(fresh._block(part)[1] for part in fresh._parts())
        counts = {
            "variants read": source.n_variants,
            "variants kept": self.p,
            "alleles flipped": int(match.flipped.sum()),
            "missing calls imputed": missing,
        }
        return replace(fresh, counts=counts)

    def _parts(self) -> Iterator[slice]:
        return (slice(start, min(start + self.block_size, self.p)) for start in range(0, self.p, self.block_size))

    def _block(self, part: slice) -> tuple[Matrix, int]:
        columns = self.kept[part]
        first, last = int(columns[0]), int(columns[-1])
        if last - first + 1 == columns.size and (np.diff(columns) == 1).all():
            block = self.source.read(self.rows, first, last + 1)
        else:
            block = self.source.read_at(self.rows, columns)
        if self.flipped is not None:
            turn = np.flatnonzero(self.flipped[part])
            block[:, turn] = 2.0 - block[:, turn]
        if self.scaling == "none":
            refuse_missing(block, columns, self.name)
            return block, 0
        missing = subtract_centre_into(block, self.shift[part], self.offset[part])
        block /= self.scale[part]
        return block, missing

    def _check_length(self, values: Array, wanted: int, what: str) -> None:
        if values.ndim not in (1, 2) or values.shape[0] != wanted:
            raise ShapeError(
                f"Design '{self.name}' has {wanted:,} {what} and is multiplied with an array of shape {values.shape}."
            )


def design_labels(design: StandardisedDesign) -> Labels:
    """What the rows of a design are called: those of its source that it has."""
    labels = row_labels(design.source)
    return labels if design.rows is None else labels.at(design.rows)


def default_block_size(n: int, p: int) -> int:
    """Columns whose float64 values fill BLOCK_BYTES."""
    return max(1, min(p, max(SMALLEST_BLOCK, BLOCK_BYTES // (8 * max(n, 1)))))


def refuse_missing(block: Matrix, columns: Index, name: str) -> None:
    """Raise NotFiniteError naming the first missing call of a raw block (n, b)."""
    if np.isfinite(block.sum(axis=0)).all():
        return
    absent = np.isnan(block)
    if absent.any():
        row, column = (int(item) for item in np.argwhere(absent)[0])
        raise NotFiniteError(
            f"Design '{name}' has a missing value at row {row} of those used, column {columns[column]}, and "
            'scaling="none" does not impute. Fill it in, or use scaling="sample".'
        )
