"""What the figures of latent partitions share: tables of genes, live or saved, and the choice of genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from varmix.errors import NotAvailableError, OptionError
from varmix.plots.canvas import COLOURS
from varmix.typing import Index, Matrix

if TYPE_CHECKING:
    from varmix.results import Fit

KIND = "partition_mixture"

CERTAINTY = LinearSegmentedColormap.from_list("certainty", ["#FFFFFF", "#9CC9E6", COLOURS[0], "#00304D"])
"""For probabilities: lightness alone tells them apart, so that any colour vision and a copy in grey read them."""

SURE = 0.9
"""Probability from which a gene's partition counts as told."""

LONGEST = 60
"""Letters of a partition in words on one line; beyond, cell types are abbreviated."""

FEW = 4
"""Names that an error lists."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posteriors:
    """Names of genes (G), the partitions in words (J) and the genes' probabilities of them (G, J)."""

    genes: tuple[str, ...]
    words: tuple[str, ...]
    probabilities: Matrix

    @classmethod
    def of(cls, fit: Fit) -> Posteriors:
        """From `fit.classes`. Raises NotAvailableError."""
        table = by_gene(fit, "classes")
        words = tuple(str(name) for name in table.columns[5:])
        return cls(
            genes=tuple(str(name) for name in table["gene"]),
            words=words,
            probabilities=table.iloc[:, 5:].to_numpy(dtype=np.float64),
        )

    @property
    def by_share(self) -> Index:
        """Partitions from the largest mean probability to the smallest, which is their share at a maximum [PART-3]."""
        return np.argsort(-self.probabilities.mean(axis=0), kind="stable")


def check_kind(fit: Fit) -> None:
    """Raises NotAvailableError for other models."""
    if fit.report.kind != KIND:
        raise NotAvailableError(
            f"This figure is of latent partitions, not of a fit of kind '{fit.report.kind}': use fit.plot.components()."
        )


def by_gene(fit: Fit, name: str) -> Any:
    """A table with a row for each gene. Raises NotAvailableError where the fit is of another model or keeps none."""
    check_kind(fit)
    if name not in fit.report.tables:
        raise NotAvailableError(
            "This fit was saved without tables of its genes, as files of very many are. Draw the figure from the fit "
            "itself, before fit.save()."
        )
    return fit.table(name)


def abbreviated(words: Sequence[str]) -> list[str]:
    """Partitions in words on lines of 60 letters: names of cell types cut to as many letters as that leaves.

    Where names would be the same then, the middle of the line is left out instead.
    """
    if max(len(word) for word in words) <= LONGEST:
        return list(words)
    split = [[[name.strip() for name in block.split("=")] for block in word.split("|")] for word in words]
    names = list(dict.fromkeys(name for blocks in split for block in blocks for name in block))
    for letters in range(max(len(name) for name in names) - 2, 0, -1):
        cut = {name: name if len(name) <= letters + 1 else f"{name[:letters]}." for name in names}
        if len(set(cut.values())) < len(names):
            break
        told = [" | ".join(" = ".join(cut[name] for name in block) for block in blocks) for blocks in split]
        if max(len(word) for word in told) <= LONGEST:
            return told
    half = LONGEST // 2 - 1
    return [word if len(word) <= LONGEST else f"{word[:half]}…{word[-half:]}" for word in words]


def chosen_genes(names: Sequence[str], genes: Any) -> Index:
    """Positions of `genes`, a name or several, in the order asked for; names twice count once.

    A name that several genes have is all of them. Raises OptionError for none and for names that are not there.
    """
    asked = [genes] if isinstance(genes, str) or np.ndim(genes) == 0 else list(genes)
    wanted = list(dict.fromkeys(str(name) for name in asked))
    if not wanted:
        raise OptionError("The list of genes is empty. Name at least one, or leave genes out.")
    places: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        places.setdefault(name, []).append(at)
    if missing := [name for name in wanted if name not in places]:
        listed = ", ".join(f"'{name}'" for name in missing[:FEW]) + (", ..." if len(missing) > FEW else "")
        there = ", ".join(f"'{name}'" for name in names[:FEW]) + (", ..." if len(names) > FEW else "")
        raise OptionError(
            f"{len(missing):,} of {len(wanted):,} genes are not in this fit: {listed}. It has {len(names):,}: {there}."
        )
    return np.array([at for name in wanted for at in places[name]], dtype=np.intp)


def positive(value: Any, what: str) -> int:
    """A whole number of at least 1. Raises OptionError."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise OptionError(f"{what}={value!r} must be a whole number of at least 1.")
    return int(value)
