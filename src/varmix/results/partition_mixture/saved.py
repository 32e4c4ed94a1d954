"""What a saved fit of partitions still answers: expression of cell types is a table, new genes need the point alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.results.partition_mixture.genes import GeneTables
from varmix.results.partition_mixture.prediction import Memory, predict_genes, refuse_unknown


def effects_in(tables: Mapping[str, pd.DataFrame], term: str, *, sd: bool) -> pd.DataFrame:
    """As `fit.effects` gave them. Raises OptionError, and NotAvailableError where the file holds no genes."""
    if "expression" not in tables:
        raise NotAvailableError(
            "This fit was saved without tables of its genes, as files of very many are. Its fit.predict() takes the "
            "expression again."
        )
    table = tables["expression"]
    types = [name for name in table.columns[1:] if f"sd({name})" in table.columns]
    if term not in ("expression", *types):
        raise OptionError(f"There is no cell type '{term}'. There are: {', '.join(types)} ('expression' is all).")
    means = types if term == "expression" else [term]
    return table[["gene", *means, *([f"sd({name})" for name in means] if sd else [])]].copy()


def predict_saved(state: Mapping[str, Any], new: Any, options: dict[str, Any]) -> GeneTables:
    """As the fit would have given them."""
    refuse_unknown(options)
    return predict_genes(Memory.of_state(state), new, **options)
