"""Sample and variant identifiers as tables of text."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from varmix.errors import AlignmentError

SAMPLE_COLUMNS = ("FID", "IID")
VARIANT_COLUMNS = ("chromosome", "id", "position", "allele_1", "allele_2")
NO_FAMILY = "0"
"""PLINK's family id for people without one."""


def sample_table(ids: pd.DataFrame | Sequence[str], name: str) -> pd.DataFrame:
    """FID and IID as text, in the order given; plain ids become IIDs with FID '0'.

    Raises AlignmentError for a table without IID, and for a person listed twice.
    """
    if isinstance(ids, pd.DataFrame):
        if "IID" not in ids.columns:
            raise AlignmentError(
                f"The sample ids of '{name}' have columns {list(ids.columns)}. A column IID is needed (and FID, if "
                "known)."
            )
        individual = ids["IID"].astype(str).to_numpy(dtype=object)
        family = ids["FID"].astype(str).to_numpy(dtype=object) if "FID" in ids.columns else NO_FAMILY
    else:
        individual = pd.Series([str(item) for item in ids], dtype=object).to_numpy(dtype=object)
        family = NO_FAMILY
    table = pd.DataFrame({"FID": family, "IID": individual}, columns=list(SAMPLE_COLUMNS), dtype=object)
    refuse_duplicates(table, name)
    return table


def refuse_duplicates(table: pd.DataFrame, name: str) -> None:
    """Raise AlignmentError naming the first person that `table` (FID, IID) lists twice."""
    repeated = table.duplicated(subset=list(SAMPLE_COLUMNS)).to_numpy()
    if not repeated.any():
        return
    at = int(repeated.argmax())
    family, individual = table["FID"].iloc[at], table["IID"].iloc[at]
    first = int(((table["FID"] == family) & (table["IID"] == individual)).to_numpy().argmax())
    raise AlignmentError(
        f"'{name}' lists {int(repeated.sum()):,} people more than once; the first is FID '{family}', IID "
        f"'{individual}' (entries {first + 1} and {at + 1}). Keep one entry per person."
    )
