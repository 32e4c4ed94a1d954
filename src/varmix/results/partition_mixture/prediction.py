"""What a fit of partitions, saved or not, says of genes that it was not made from, and draws of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import (
    AlignmentError,
    NotAvailableError,
    NotFiniteError,
    OptionError,
    ShapeError,
    VarmixWarning,
    warn,
)
from varmix.models.partition.diagnosis import diagnose
from varmix.models.partition.drawing import draw_genes
from varmix.models.partition.genes import reduce_samples
from varmix.models.partition.logarithms import logarithms_told
from varmix.models.partition.partitions import Partitions
from varmix.models.partition.remembered import Remembered
from varmix.results.partition_mixture.genes import GeneTables
from varmix.results.partition_mixture.new_samples import new_mixtures
from varmix.tables.expression_values import expression_values
from varmix.tables.identifiers import label_text
from varmix.tables.sample_types import read_labels
from varmix.typing import Index, Matrix

OPTIONS = ("sample_type", "proportions", "on_missing")
"""Of predictions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memory:
    """A fit without its genes: the point, names of the sample types (D), and the samples (n) with their types' numbers
    (None of streams)."""

    remembered: Remembered
    sample_types: tuple[str, ...]
    samples: Sequence[str] | None
    sample_type: Index | None

    def state(self) -> dict[str, Any]:
        """As JSON values and arrays."""
        found = self.remembered
        return {
            "kind": found.kind,
            "cell_types": list(found.partitions.types),
            "labels": np.array(found.partitions.labels),
            "likelihood": found.likelihood,
            "scalars": found.scalars,
            "shares": found.shares,
            "proportions": found.proportions,
            "scale": found.scale,
            "reference": found.reference,
            "sample_types": list(self.sample_types),
            "samples": None if self.samples is None else list(self.samples),
            "sample_type": self.sample_type,
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Memory:
        """From what `state` gave. Raises NotAvailableError where it is empty."""
        if not state:
            raise NotAvailableError("This file keeps no predictions: the fit had not the point they need. Fit again.")
        partitions = Partitions(
            types=tuple(state["cell_types"]), labels=tuple(tuple(int(b) for b in row) for row in state["labels"])
        )
        remembered = Remembered(
            kind=state["kind"],
            partitions=partitions,
            likelihood=state["likelihood"],
            scalars=np.asarray(state["scalars"]),
            shares=np.asarray(state["shares"]),
            proportions=np.asarray(state["proportions"]),
            scale=float(state["scale"]),
            reference=float(state["reference"]),
        )
        codes = state["sample_type"]
        return cls(
            remembered=remembered,
            sample_types=tuple(state["sample_types"]),
            samples=state["samples"],
            sample_type=None if codes is None else np.asarray(codes, dtype=np.intp),
        )


def refuse_unknown(options: Mapping[str, Any]) -> None:
    """Raises OptionError for what `predict_genes` does not take."""
    if unknown := [name for name in options if name not in OPTIONS]:
        raise OptionError(f"'{unknown[0]}' is not an option of predict. It has: {', '.join(OPTIONS)}.")


def predict_genes(
    memory: Memory, new: Any, *, sample_type: Any = None, proportions: Any = None, on_missing: str | None = "mask"
) -> GeneTables:
    """Tables of the genes of `new` (G, n): an array or data frame of expression in the units of the fit.

    Its samples are those of the fit (by name where both have names, else in order), or others of the fit's sample types
    that `sample_type` (n,) names, or mixtures of their own with known `proportions` (a row per type, or per sample).
    `on_missing` "mask" leaves missing values out, "error" refuses them. Raises AlignmentError, ShapeError, OptionError,
    DataError; warns of values that look like logarithms.
    """
    given = expression_values(new)
    _check_values(given.values, on_missing)
    found = memory.remembered
    if proportions is None:
        values, codes = _placed(memory, given.values, given.samples, sample_type, named=given.framed)
        types = len(memory.sample_types)
    else:
        genes = None if given.numbered else given.genes
        rows, codes = new_mixtures(proportions, sample_type, given.samples, genes, found.partitions.types)
        values, types, found = given.values, len(rows), replace(found, proportions=rows)
    pieces = reduce_samples(values / found.scale, codes, types)
    highest = float(np.fmax.reduce(values, axis=None, initial=-np.inf))
    for sentence in logarithms_told(pieces, found.proportions, highest, found.scale, diagnose(pieces)):
        warn(sentence, VarmixWarning)
    return GeneTables(genes=given.genes, posterior=found.posterior(pieces))


def _check_values(values: Matrix, on_missing: str | None) -> None:
    if on_missing not in (None, "mask", "error"):
        raise OptionError(f"on_missing={on_missing!r} is not known. Use 'mask' or 'error'.")
    if np.isinf(values).any():
        raise NotFiniteError(f"{int(np.isinf(values).sum()):,} new values are infinite. Correct them, or use NaN.")
    absent = int(np.isnan(values).sum())
    if absent and on_missing == "error":
        raise NotFiniteError(f"{absent:,} new values are missing. Pass on_missing='mask' to do without them.")


def simulated(memory: Memory, genes: pd.Index[Any], rng: np.random.Generator) -> pd.DataFrame:
    """Expression drawn for as many genes as there are names, in the units of the data: genes x samples."""
    if memory.sample_type is None or memory.samples is None:
        raise NotAvailableError("A fit of a stream does not keep its samples, and cannot draw them.")
    found = memory.remembered
    if found.kind == "per_gene_block":
        raise NotAvailableError(
            "With variance='per_gene_block' nothing is known of the noise of a gene that is drawn. Use 'moderated'."
        )
    params = found.params() if found.kind == "shared" else found.noise_params()
    draw = draw_genes(params, found.partitions, memory.sample_type, len(genes), rng)
    return pd.DataFrame(draw.values * found.scale, index=genes, columns=list(memory.samples))


def _placed(memory: Memory, values: Any, samples: pd.Index[Any], sample_type: Any, *, named: bool) -> tuple[Any, Index]:
    """Values with the number of each column's sample type."""
    if sample_type is not None:
        labels = [label_text(label) for label in read_labels(sample_type, samples, None)]
        numbers = {name: number for number, name in enumerate(memory.sample_types)}
        if unknown := [label for label in labels if label not in numbers]:
            raise AlignmentError(
                f"The fit has no sample type '{unknown[0]}'. It has: {', '.join(memory.sample_types[:20])}."
            )
        return values, np.array([numbers[label] for label in labels], dtype=np.intp)
    if memory.sample_type is None or memory.samples is None:
        raise OptionError("A fit of a stream does not keep its samples: name each one's type by sample_type=.")
    if named:
        places = {label_text(name): at for at, name in enumerate(samples)}
        if missing := [name for name in memory.samples if name not in places]:
            raise AlignmentError(
                f"{len(missing):,} of the fit's {len(memory.samples):,} samples are not in the new table (first: "
                f"'{missing[0]}'). Give them, or the type of each new sample by sample_type=."
            )
        return values[:, [places[name] for name in memory.samples]], memory.sample_type
    if values.shape[1] != len(memory.samples):
        raise ShapeError(
            f"The new table has {values.shape[1]} samples, the fit {len(memory.samples)}. Give the same ones in the "
            "same order, or the type of each by sample_type=."
        )
    return values, memory.sample_type
