"""Relationships from variants: every pair of people over the variants that both have, as GCTA has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg.blas import ssyrk

from varmix.errors import AlignmentError, DataError, NotFiniteError, OptionError, RepairWarning, warn
from varmix.genotype.design import Scaling, default_block_size, refuse_missing
from varmix.genotype.gram import add_gram_into
from varmix.genotype.moments import ColumnMoments, centre_columns_into
from varmix.genotype.relationship import RelationshipMatrix, packed_lower
from varmix.genotype.source import GenotypeSource, as_source, check_rows
from varmix.genotype.standardisation import check_allele_counts
from varmix.linalg.householder import mirror_lower_into
from varmix.typing import Mask, Matrix, Square, Tick, Vector

NOT_AUTOSOMES = frozenset({"X", "Y", "XY", "M", "MT"})
"""Chromosomes that PLINK and GCTA leave out of relationship matrices: their calls are no counts of two alleles."""
HUMAN_NUMBERS = {"23": "X", "24": "Y", "25": "XY", "26": "MT"}
"""PLINK's numbers of these, in files without a chromosome beyond: other species have more autosomes."""


def relationship_matrix(
    source: Any,
    rows: Any = None,
    *,
    scaling: Scaling = "allele_frequency",
    block_size: int | None = None,
    tick: Tick | None = None,
) -> RelationshipMatrix:
    """Relationships of the people of a source (or of its `rows`), each pair over the variants that both have.

    With f_i half the mean of the calls of variant i, and N_jk the number of variants that vary and that both j and k
    have, "allele_frequency" is `A_jk = (1 / N_jk) sum_i (x_ij - 2 f_i)(x_ik - 2 f_i) / (2 f_i (1 - f_i))` over these
    variants: the numbers of GCTA's --make-grm and PLINK's --make-grm-bin. "sample" has the variance of the calls that
    are there, divisor their number, in place of 2 f_i (1 - f_i). "none" is `sum_i x_ij x_ik`, not divided. Means,
    frequencies and variances are over `rows`. Variants without any variation count nowhere (PLINK counts them in N).
    Without missing calls this is XX' of `standardise`, which lets missing calls take the mean and divides by all
    variants. `variant_counts` are the N_jk; `tick` gets the variants finished by each block. Memory: 8 n^2 bytes, and
    4 n^2 more where calls are missing.

    Raises OptionError, AlignmentError (a source without sample ids, rows), NotFiniteError (overflow; "none" with
    missing calls), DataError (no variant varies; not allele counts; two people without a variant that both have). Gives
    a RepairWarning for variants of the chromosomes X, Y and MT, which GCTA leaves out and which are kept.
    """
    source = as_source(source)
    if scaling not in get_args(Scaling):
        raise OptionError(f"scaling={scaling!r} is not known. Use one of {', '.join(get_args(Scaling))}.")
    if block_size is not None and block_size < 1:
        raise OptionError(f"block_size={block_size} must be at least 1.")
    if source.sample_ids is None:
        raise AlignmentError(
            f"'{source.name}' does not know its people, and a relationship matrix names them. Pass "
            "varmix.ArraySource(X, sample_ids=...)."
        )
    positions = check_rows(rows, source.n_samples, source.name)
    people = source.sample_ids if positions is None else source.sample_ids.iloc[positions].reset_index(drop=True)
    _tell_chromosomes(source)
    sums = _Sums.empty(len(people))
    step = block_size or default_block_size(len(people), source.n_variants)
    for start in range(0, source.n_variants, step):
        stop = min(start + step, source.n_variants)
        sums.add(source.read(positions, start, stop), start, scaling, source.name)
        if tick is not None:
            tick(stop - start)
    if sums.variants == 0:
        raise DataError(
            f"None of the {source.n_variants:,} variants of '{source.name}' varies among the {len(people):,} people. "
            "Check the file and the rows."
        )
    counts = sums.counts()
    if scaling != "none":
        _divide_into(sums.products, counts, people)
    mirror_lower_into(sums.products)
    return RelationshipMatrix(
        name=source.name,
        values=sums.products,
        sample_ids=people,
        variant_counts=counts,
        n_variants=sums.variants,
    )


@dataclass(slots=True)
class _Sums:
    """Products of scaled calls and numbers of shared variants, added up block by block.

    `products` (n, n), lower triangle; `complete` counts variants that everybody has; `shared` (n, n) float32, lower
    triangle, counts the others by pair, and is made when the first call is missing: float32 is exact to 2^24 variants.
    """

    products: Square
    complete: int
    shared: NDArray[np.float32] | None
    variants: int

    @classmethod
    def empty(cls, n: int) -> _Sums:
        return cls(products=np.zeros((n, n), order="F"), complete=0, shared=None, variants=0)

    def add(self, block: Matrix, start: int, scaling: Scaling, name: str) -> None:
        """Add a block of raw calls (n, b), which is overwritten."""
        if scaling == "none":
            refuse_missing(block, np.arange(start, start + block.shape[1]), name)
            add_gram_into(self.products, block)
            self._count(block.shape[1], None)
            return
        if scaling == "allele_frequency":
            check_allele_counts(block, start, name)
        holes = np.isnan(block.sum(axis=0))
        present = ~np.isnan(block[:, holes])
        moments = centre_columns_into(block)
        if not np.isfinite(moments.sd).all():
            at = start + int(np.flatnonzero(~np.isfinite(moments.sd))[0])
            raise NotFiniteError(f"Column {at} of '{name}' is infinite or too large to square. Rescale it.")
        kept = ~moments.constant & (moments.missing < block.shape[0])
        if not kept.all():
            block = np.asfortranarray(block[:, kept])
        if not block.shape[1]:
            return
        block /= _spread(moments, block.shape[0], scaling)[kept]
        add_gram_into(self.products, block)
        self._count(int((kept & ~holes).sum()), present[:, kept[holes]])

    def _count(self, complete: int, present: Mask | None) -> None:
        self.complete += complete
        self.variants += complete
        if present is None or not present.shape[1]:
            return
        n, columns = present.shape
        self.variants += columns
        if self.shared is None:
            self.shared = np.zeros((n, n), dtype=np.float32, order="F")
        ssyrk(1.0, np.asfortranarray(present, dtype=np.float32), beta=1.0, c=self.shared, lower=1, overwrite_c=1)

    def counts(self) -> NDArray[np.float32]:
        """N_jk, packed lower triangle."""
        n = len(self.products)
        if self.shared is None:
            return np.full(n * (n + 1) // 2, self.complete, dtype=np.float32)
        self.shared += np.float32(self.complete)
        packed = packed_lower(self.shared)
        self.shared = None
        return packed


def _spread(moments: ColumnMoments, n: int, scaling: Scaling) -> Vector:
    """What calls are divided by, shape (b,). The moments' sd counts missing calls as calls at the mean."""
    if scaling == "sample":
        return moments.sd * np.sqrt(n / np.maximum(n - moments.missing, 1))
    frequency = moments.mean / 2
    return np.sqrt(np.maximum(2 * frequency * (1 - frequency), 0.0))


def _divide_into(products: Square, counts: NDArray[np.float32], people: pd.DataFrame) -> None:
    """Divide the lower triangle by the packed counts. Raises DataError for a count of 0."""
    own = counts[np.cumsum(np.arange(1, len(products) + 1)) - 1]
    if not own.all():
        at = int((own == 0.0).argmax())
        raise DataError(_nothing_shared(people, at, at, int((own == 0.0).sum())))
    at = 0
    for row in range(len(products)):
        shared = counts[at : at + row + 1].astype(np.float64)
        if not shared.all():
            raise DataError(_nothing_shared(people, row, int((shared == 0.0).argmax()), int((counts == 0.0).sum())))
        products[row, : row + 1] /= shared
        at += row + 1


def _nothing_shared(people: pd.DataFrame, row: int, column: int, count: int) -> str:
    first, second = (f"'{people['IID'].iloc[at]}' (FID '{people['FID'].iloc[at]}')" for at in (column, row))
    if row == column:
        return (
            f"{first} has no call of any variant that varies, so no relationship ({count:,} such people). Leave out "
            "people with few calls, for instance by plink --mind."
        )
    return (
        f"{first} and {second} have no variant that both have, so no relationship ({count:,} such pairs). Leave out "
        "people with few calls, for instance by plink --mind."
    )


def _tell_chromosomes(source: GenotypeSource) -> None:
    table = source.variants
    if table is None:
        return
    counted: dict[str, int] = {}
    for name, count in table["chromosome"].value_counts().items():
        short = str(name).upper().removeprefix("CHR")
        counted[short] = counted.get(short, 0) + int(count)
    numbers = [int(name) for name in counted if name.isdecimal()]
    human = HUMAN_NUMBERS if max(numbers, default=0) <= max(map(int, HUMAN_NUMBERS)) else {}
    found = {name: count for name, count in counted.items() if human.get(name, name) in NOT_AUTOSOMES}
    if found:
        warn(
            f"{sum(found.values()):,} variants of '{source.name}' are on chromosome {', '.join(sorted(found))} and "
            "count like those of autosomes; GCTA and PLINK leave them out of relationship matrices. To do so, write "
            "the files again by plink --autosome.",
            RepairWarning,
        )
