"""One pass over a source: means, scales, and what is dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from varmix.errors import DataError, NotFiniteError, OptionError
from varmix.genotype.design import (
    Reference,
    Scaling,
    StandardisedDesign,
    default_block_size,
    refuse_missing,
)
from varmix.genotype.moments import ColumnMoments, centre_columns_into
from varmix.genotype.source import ArraySource, GenotypeSource, SourceSlice, as_source, check_rows
from varmix.typing import Index, Matrix, Tick, Vector

HELD_BYTES = 2**30
"""Designs given as arrays are held standardised up to this size; larger ones, and files, are read block by block."""

BLOCKS_OF_HELD = 16
"""Reading a design that is held takes two copies of a block beside it: an eighth of its size, and few calls."""

SQUARABLE = (1e-140, 1e140)
"""The largest entry of a design used as it is: sums of squares and their reciprocals stay within float64."""


def standardise(
    source: Any,
    rows: Any = None,
    *,
    scaling: Scaling = "sample",
    reference: Reference = "used",
    block_size: int | None = None,
    tick: Tick | None = None,
) -> StandardisedDesign:
    """Standardise the columns of a source (or of an array or data frame, n x p) for the given rows ([VC-1]).

    scaling "sample" divides by the standard deviation, divisor n, of the column *after* missing calls took its mean,
    times sqrt(p): tr XX' = n exactly for the reference rows. "allele_frequency" divides by sqrt(2 f (1 - f)) sqrt(p), f
    half the mean of calls 0 to 2. "none" uses the values as they are. reference "used" takes mean and scale from `rows`
    (positions or a mask; None for all), "all" from all rows of the source. Except for "none", variants that do not vary
    among the reference rows are dropped and counted. `tick` gets the columns finished by each block of the pass. Raises
    OptionError, AlignmentError (rows), NotFiniteError ("none" with missing calls; overflow), DataError (nothing left,
    not allele counts, or "none" with entries that cannot be squared).
    """
    source = as_source(source)
    if scaling not in get_args(Scaling):
        raise OptionError(f"scaling={scaling!r} is not known. Use one of {', '.join(get_args(Scaling))}.")
    if reference not in get_args(Reference):
        raise OptionError(f"reference={reference!r} is not known. Use one of {', '.join(get_args(Reference))}.")
    if block_size is not None and block_size < 1:
        raise OptionError(f"block_size={block_size} must be at least 1.")
    positions = check_rows(rows, source.n_samples, source.name)
    n_read = source.n_samples if positions is None or reference == "all" else positions.size
    holds = _is_array(source) and 8 * n_read * source.n_variants <= HELD_BYTES
    step = block_size or default_block_size(n_read, source.n_variants)
    if holds and block_size is None:
        step = max(1, min(step, source.n_variants // BLOCKS_OF_HELD))
    if scaling == "none":
        return _raw(source, positions, reference, step, holds, tick)
    plan = _Pass(source, positions, scaling, reference, step, holds, tick)
    return plan.run()


@dataclass(frozen=True, slots=True)
class _Pass:
    source: GenotypeSource
    rows: Index | None
    scaling: Scaling
    reference: Reference
    step: int
    holds: bool
    tick: Tick | None

    def run(self) -> StandardisedDesign:
        parts: list[ColumnMoments] = []
        imputed: list[Index] = []
        held = _buffer(self.source, self.rows) if self.holds else None
        restrict = self.rows is not None and self.reference == "all"
        for start, block in _read_blocks(self.source, None if restrict else self.rows, self.step, self.tick):
            if self.scaling == "allele_frequency":
                check_allele_counts(block, start, self.source.name)
            missing_used = np.isnan(block[self.rows]).sum(axis=0, dtype=np.intp) if restrict else None
            moments = centre_columns_into(block)
            parts.append(moments)
            imputed.append(moments.missing if missing_used is None else missing_used)
            if held is not None:
                held[:, start : start + block.shape[1]] = block[self.rows] if restrict else block
        moments = parts[0] if len(parts) == 1 else ColumnMoments.joined(parts)
        return self._design(moments, np.concatenate(imputed), held)

    def _design(self, moments: ColumnMoments, imputed: Index, held: Matrix | None) -> StandardisedDesign:
        source = self.source
        n_reference = source.n_samples if self.rows is None or self.reference == "all" else self.rows.size
        if not np.isfinite(moments.sd).all():
            at = int(np.flatnonzero(~np.isfinite(moments.sd))[0])
            raise NotFiniteError(f"Column {at} of '{source.name}' is infinite or too large to square. Rescale it.")
        empty = moments.missing == n_reference
        constant = moments.constant & ~empty
        kept = np.flatnonzero(~(empty | constant))
        if kept.size == 0:
            raise DataError(
                f"None of the {source.n_variants:,} variants of '{source.name}' varies among the {n_reference:,} "
                f"reference rows ({int(constant.sum()):,} monomorphic, {int(empty.sum()):,} all missing). Check the "
                "file and the rows."
            )
        counts = {
            "variants read": source.n_variants,
            "monomorphic": int(constant.sum()),
            "all missing": int(empty.sum()),
            "missing calls imputed": int(imputed[kept].sum()),
            "variants kept": int(kept.size),
        }
        everything = kept.size == source.n_variants
        scale = self._spread(moments)[kept] * np.sqrt(kept.size)
        if held is not None:
            held = _keep_into(held, kept)
            held /= scale
        n_used = source.n_samples if self.rows is None else self.rows.size
        return StandardisedDesign(
            source=source,
            rows=self.rows,
            kept=kept,
            shift=moments.shift if everything else moments.shift[kept],
            offset=moments.offset if everything else moments.offset[kept],
            scale=scale,
            flipped=None,
            scaling=self.scaling,
            reference=self.reference,
            counts=counts,
            block_size=default_block_size(n_used, kept.size) if self.holds else min(self.step, kept.size),
            held=held,
        )

    def _spread(self, moments: ColumnMoments) -> Vector:
        if self.scaling == "sample":
            return moments.sd
        frequency = moments.mean / 2
        return np.sqrt(np.maximum(2 * frequency * (1 - frequency), 0.0))


def _raw(
    source: GenotypeSource, rows: Index | None, reference: Reference, step: int, holds: bool, tick: Tick | None
) -> StandardisedDesign:
    p = source.n_variants
    held, largest = (_buffer(source, rows) if holds else None), 0.0
    for start, block in _read_blocks(source, rows, step, tick):
        refuse_missing(block, np.arange(start, start + block.shape[1]), source.name)
        largest = max(largest, float(block.max()), -float(block.min()))
        if held is not None:
            held[:, start : start + block.shape[1]] = block
    if largest > 0.0 and not SQUARABLE[0] <= largest <= SQUARABLE[1]:
        raise DataError(
            f"Design '{source.name}' has entries up to {largest:g}, whose squares are beyond what float64 can hold. "
            'Rescale it, or use scaling="sample".'
        )
    return StandardisedDesign(
        source=source,
        rows=rows,
        kept=np.arange(p),
        shift=np.zeros(p),
        offset=np.zeros(p),
        scale=np.ones(p),
        flipped=None,
        scaling="none",
        reference=reference,
        counts={"variants read": p, "variants kept": p},
        block_size=default_block_size(source.n_samples if rows is None else rows.size, p) if holds else step,
        held=held,
    )


def _read_blocks(
    source: GenotypeSource, rows: Index | None, step: int, tick: Tick | None
) -> Iterator[tuple[int, Matrix]]:
    for start in range(0, source.n_variants, step):
        stop = min(start + step, source.n_variants)
        yield start, source.read(rows, start, stop)
        if tick is not None:
            tick(stop - start)


def _buffer(source: GenotypeSource, rows: Index | None) -> Matrix:
    """Where the standardised design is put block by block, so that one array of its size is enough."""
    return np.empty((source.n_samples if rows is None else rows.size, source.n_variants), order="F")


def _keep_into(held: Matrix, kept: Index) -> Matrix:
    """The columns kept, moved to the front of their own memory."""
    if kept.size == held.shape[1]:
        return held
    for to, at in enumerate(kept):
        if to != at:
            held[:, to] = held[:, at]
    return held[:, : kept.size]


def check_allele_counts(block: Matrix, start: int, name: str) -> None:
    """Raise DataError for the first call of a raw block (n, b), columns from `start`, that is outside of 0 to 2."""
    with np.errstate(invalid="ignore"):
        outside = (block < 0.0) | (block > 2.0)
    if outside.any():
        row, column = (int(item) for item in np.argwhere(outside)[0])
        raise DataError(
            f"Design '{name}' has the value {block[row, column]:g} at row {row}, column {start + column}, and "
            'scaling="allele_frequency" needs counts of an allele from 0 to 2. Use scaling="sample".'
        )


def _is_array(source: GenotypeSource) -> bool:
    while isinstance(source, SourceSlice):
        source = source.source
    return isinstance(source, ArraySource)
