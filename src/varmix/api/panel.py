"""Correlations between variants from what users pass: genotypes of one panel or of two, or LD scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from varmix.api.cohorts import on_shared_variants
from varmix.errors import AlignmentError
from varmix.genotype import GenotypeSource, SourceSlice, as_source, standardise
from varmix.genotype.design import StandardisedDesign
from varmix.models.linear.correlation.cohorts import variant_signs
from varmix.models.linear.correlation.ld import LdScores, ld_scores, paired_ld_scores
from varmix.tables.frame import try_frame
from varmix.tables.identifiers import id_text
from varmix.tables.numbers import real_numbers
from varmix.tables.roles import VARIANT_ID_NAMES, columns_by_role
from varmix.tables.variant_labels import labels_of, positions_of
from varmix.typing import Index

SCORE_ROLES = {"id": VARIANT_ID_NAMES, "l2": ("l2",)}
"""Columns of a table of LD scores, as LDSC's .l2.ldscore files name them. A table of genotypes has no column L2."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """LD scores of p variants, with their ids and their positions among the variants given, where genotypes were."""

    scores: LdScores
    ids: Any = None
    positions: Index | None = None
    given: int = 0

    def taken(self, values: Any) -> Any:
        """A vector of all variants given at those used; a vector of those used, a number or None as it is."""
        if values is None or self.positions is None or np.shape(values) != (self.given,):
            return values
        return np.asanyarray(values)[self.positions]  # which keeps a mask

    def places(self, ids: Any, what: str) -> Index:
        """Positions of the variants of `what` among the p by id, -1 where absent. Raises AlignmentError."""
        if self.ids is None:
            raise AlignmentError(
                "Tables of z scores are matched to LD by variant id, which this LD does not have. Give genotypes or "
                "LD scores with variant ids (a Series, or a table with columns SNP and L2), or vectors of z in the "
                "order of the LD scores."
            )
        return positions_of(ids, self.ids, what, "the panel")


def panel_of(ld: Any) -> Panel:
    """From genotypes (n x p), a tuple of genotypes for either study, or LD scores.

    LD scores are a vector, a Series with ids as its index, a table with columns SNP and L2, or LdScores.

    Raises ShapeError, NotFiniteError, DataError, AlignmentError.
    """
    if isinstance(ld, LdScores):
        return Panel(scores=ld)
    if isinstance(ld, tuple):
        if len(ld) != 2:
            raise AlignmentError(f"There are {len(ld)} panels. Give one for both studies, or two.")
        if ld[0] is not ld[1]:
            return _of_two(*ld)
        ld = ld[0]
    if not isinstance(ld, StandardisedDesign | GenotypeSource) and try_frame(ld) is None and np.ndim(ld) == 1:
        return _of_scores(ld, labels_of(ld))
    if (table := try_frame(ld)) is not None:
        found = columns_by_role([str(name) for name in table.columns], SCORE_ROLES, "The table of LD scores")
        if "id" in found and "l2" in found:
            return _of_scores(table[found["l2"]].to_native(), id_text(table[found["id"]].to_list()))
    design = _standardised(ld, "panel")
    return _of(design, ld_scores(design))


def _of_scores(scores: Any, ids: Any) -> Panel:
    return Panel(scores=LdScores.single(np.asarray(real_numbers(scores, "LD scores"), dtype=np.float64)), ids=ids)


def _standardised(data: Any, name: str) -> StandardisedDesign:
    return data if isinstance(data, StandardisedDesign) else standardise(as_source(data, name))


def _of_two(given1: Any, given2: Any) -> Panel:
    first, second = _standardised(given1, "panel 1"), _standardised(given2, "panel 2")
    if not isinstance(given1, StandardisedDesign) and not isinstance(given2, StandardisedDesign):
        first, second = on_shared_variants(first, second)
    return _of(first, paired_ld_scores(first, second, variant_signs(first, second)[0]))


def _of(design: StandardisedDesign, scores: LdScores) -> Panel:
    table, source, positions = design.variants, design.source, design.kept
    if isinstance(source, SourceSlice):
        positions, source = source.columns[positions], source.source
    ids = None if table is None else table["id"].to_numpy(dtype=object)
    return Panel(scores=scores, ids=ids, positions=positions, given=source.n_variants)
