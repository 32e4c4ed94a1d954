"""The variants of one source found again in another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from varmix.errors import AlignmentError
from varmix.genotype.source import GenotypeSource
from varmix.typing import Index, Mask

UNKNOWN_ALLELE = "0"
"""PLINK's code for an allele that was never seen; it agrees with any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantMatch:
    """Positions in the new source, shape (p,), and which of them count the other allele."""

    positions: Index
    flipped: Mask


def match_variants(known: GenotypeSource, kept: Index, new: GenotypeSource) -> VariantMatch:
    """Where the `kept` variants of `known` are in `new`: by id when both know their variants, by position otherwise.

    Raises AlignmentError for ids that are missing or repeated, for alleles that differ, and, without ids, for another
    number of variants.
    """
    wanted_table, new_table = known.variants, new.variants
    if wanted_table is None or new_table is None:
        if new.n_variants != known.n_variants:
            raise AlignmentError(
                f"'{new.name}' has {new.n_variants:,} columns and '{known.name}', which the design was standardised "
                f"on, has {known.n_variants:,}. Give the same columns in the same order, or variant ids in both."
            )
        return VariantMatch(positions=kept, flipped=np.zeros(kept.size, dtype=np.bool_))
    wanted = wanted_table.iloc[kept]
    positions = _find(wanted["id"].to_numpy(dtype=object), new_table["id"].to_numpy(dtype=object), known.name, new.name)
    return VariantMatch(positions=positions, flipped=_flips(wanted, new_table.iloc[positions], new.name))


def _find(wanted: NDArray[np.object_], available: NDArray[np.object_], known_name: str, new_name: str) -> Index:
    for ids, name in ((wanted, known_name), (available, new_name)):
        repeated = pd.Series(ids, dtype=object).duplicated().to_numpy()
        if name == new_name:
            repeated = repeated & np.isin(ids.astype(str), wanted.astype(str))
        if repeated.any():
            raise AlignmentError(
                f"'{name}' has {int(repeated.sum()):,} repeated variant ids (first: '{ids[int(repeated.argmax())]}'), "
                "so variants cannot be matched by id. Give every variant its own id."
            )
    lookup = pd.Series(np.arange(available.size), index=pd.Index(available, dtype=object))
    lookup = lookup[~lookup.index.duplicated()]
    found = lookup.reindex(wanted).to_numpy(dtype=np.float64)
    absent = np.isnan(found)
    if absent.any():
        raise AlignmentError(
            f"{int(absent.sum()):,} of {wanted.size:,} variants are not in '{new_name}' (first: "
            f"'{wanted[int(absent.argmax())]}'). Give data with all variants of '{known_name}', or refit on the shared "
            "ones."
        )
    positions: Index = found.astype(np.intp)
    return positions


def _flips(wanted: pd.DataFrame, new: pd.DataFrame, name: str) -> Mask:
    old_1, old_2 = (wanted[column].to_numpy(dtype=object) for column in ("allele_1", "allele_2"))
    new_1, new_2 = (new[column].to_numpy(dtype=object) for column in ("allele_1", "allele_2"))
    same = _agree(old_1, new_1) & _agree(old_2, new_2)
    turned = _agree(old_1, new_2) & _agree(old_2, new_1) & ~same
    other = ~(same | turned)
    if other.any():
        at = int(other.argmax())
        raise AlignmentError(
            f"{int(other.sum()):,} variants have other alleles in '{name}' (first: '{wanted['id'].iloc[at]}', "
            f"{old_1[at]}/{old_2[at]} in the training data and {new_1[at]}/{new_2[at]} here). Bring both to the same "
            "strand."
        )
    return np.asarray(turned, dtype=np.bool_)


def _agree(left: NDArray[np.object_], right: NDArray[np.object_]) -> Mask:
    return np.asarray((left == right) | (left == UNKNOWN_ALLELE) | (right == UNKNOWN_ALLELE), dtype=np.bool_)
