"""Tables with a row for each gene [PART-8]."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import OptionError
from varmix.models.partition.deconvolution import SampleExpression
from varmix.models.partition.posterior import GenePosterior

LONGEST = 2_000_000
"""Cells of a table up to which it goes into a saved file: some tens of megabytes of text."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GeneTables:
    """What the genes say, by name: their partitions, which cell types share, and the cell types' expression."""

    genes: pd.Index[Any]
    posterior: GenePosterior

    def __len__(self) -> int:
        return len(self.genes)

    @property
    def classes(self) -> pd.DataFrame:
        """gene, the most probable `partition` in words, its `probability`, `lfdr` (all types equal), `q_value`, and the
        probability of each partition."""
        words = self.posterior.partitions.words
        best, probabilities = self.posterior.best, self.posterior.probabilities
        head = pd.DataFrame(
            {
                "gene": self.genes,
                "partition": np.array(words, dtype=object)[best],
                "probability": probabilities[np.arange(len(best)), best],
                "lfdr": self.posterior.local_false_discovery_rate,
                "q_value": self.posterior.q_values,
            }
        )
        return pd.concat([head, pd.DataFrame(probabilities, columns=list(words))], axis=1)

    @property
    def expression(self) -> pd.DataFrame:
        """gene, and per cell type its posterior mean and, as "sd(type)", standard deviation."""
        types = self.posterior.partitions.types
        means, sds = self.posterior.means, self.posterior.sds
        columns = {name: means[:, t] for t, name in enumerate(types)}
        columns |= {f"sd({name})": sds[:, t] for t, name in enumerate(types)}
        return pd.DataFrame({"gene": self.genes, **columns})

    @property
    def together(self) -> pd.DataFrame:
        """gene, and per pair of cell types the probability that they share a block."""
        types, together = self.posterior.partitions.types, self.posterior.together
        pairs = combinations(range(len(types)), 2)
        columns = {f"{types[t]} = {types[u]}": together[:, t, u] for t, u in pairs}
        return pd.DataFrame({"gene": self.genes, **columns})

    @property
    def differences(self) -> pd.DataFrame:
        """gene, and per pair of cell types the posterior mean of their difference and its standard deviation."""
        types, found = self.posterior.partitions.types, self.posterior.differences()
        columns = {}
        for k, (t, u) in enumerate(found.pairs):
            columns[f"{types[t]} - {types[u]}"] = found.estimates[:, k]
            columns[f"sd({types[t]} - {types[u]})"] = found.sds[:, k]
        return pd.DataFrame({"gene": self.genes, **columns})

    def effects(self, term: str, *, sd: bool) -> pd.DataFrame:
        """Expression of one cell type, or of all ("expression"). Raises OptionError for other terms."""
        types = self.posterior.partitions.types
        if term == "expression":
            return self.expression if sd else self.expression[["gene", *types]]
        if term not in types:
            raise OptionError(f"There is no cell type '{term}'. There are: {', '.join(types)} ('expression' is all).")
        return self.expression[["gene", term, *([f"sd({term})"] if sd else [])]]


def in_sample(genes: pd.Index[Any], types: tuple[str, ...], found: SampleExpression, *, sd: bool) -> pd.DataFrame:
    """gene, and per cell type its expression in one sample, with `sd` also "sd(type)"."""
    columns = {name: found.means[:, t] for t, name in enumerate(types)}
    columns |= {f"sd({name})": found.sds[:, t] for t, name in enumerate(types)} if sd else {}
    return pd.DataFrame({"gene": genes, **columns})
