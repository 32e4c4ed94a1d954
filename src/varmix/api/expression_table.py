"""What a mixture over partitions is fitted to: genes, types of samples, proportions and partitions, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from varmix.api.expression_facts import (
    MASK,
    ExpressionFacts,
    check_on_missing,
    joined,
    tell_lost,
    usable_genes,
)
from varmix.api.expression_stream import (
    PIECE_GENES,
    cluster_runner,
    is_expression_stream,
    open_expression,
    runner_for,
    stream_threads,
)
from varmix.api.partition_choice import choose_partitions, confused
from varmix.api.proportions_table import ProportionsTable, read_proportions
from varmix.errors import NotIdentifiedError, VarmixWarning, warn
from varmix.iteration import Runner, Serial
from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.partition.logarithms import negative_told
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.partitions import Partitions
from varmix.models.random_effect_mixture.stream.reduction import is_dask
from varmix.tables.expression_values import expression_values
from varmix.tables.sample_types import read_labels
from varmix.typing import Index, Matrix

SHOWN = 3
"""Groups of partitions that a warning names."""

LOST = ("genes", "values", "samples", "sample types")
"""What can be lost."""

Tell = Callable[[str], Any]
"""Hears a sentence before something takes long."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpressionTable:
    """G genes, n samples of D types, T cell types; in the units of the data.

    `values` (G, n) has NaN where masked, and is None of a stream, whose genes are reduced in `streamed`. `sample_type`
    (n,) numbers `sample_types`; `known` (D, T) has NaN for proportions to estimate, `concentration` (D, T) is that of a
    Dirichlet prior; `kind` is "known", "partly", "dirichlet" or "free". `lost` counts what was dropped or masked by
    cause, `facts` what was seen of the genes, `notes` are sentences on what the data can tell. `runner` adds up pieces.
    """

    values: Matrix | None
    streamed: tuple[Genes, ...] | None
    sample_type: Index
    sample_types: tuple[str, ...]
    samples: pd.Index[Any]
    genes: pd.Index[Any]
    cell_types: tuple[str, ...]
    known: Matrix
    concentration: Matrix | None
    partitions: Partitions
    kind: str
    facts: ExpressionFacts
    lost: Mapping[str, int]
    notes: tuple[str, ...]
    runner: Runner

    @property
    def replicates(self) -> Index:
        """Samples of each type, (D,)."""
        return np.bincount(self.sample_type, minlength=len(self.sample_types)).astype(np.intp)

    def pieces(self) -> tuple[Genes, ...]:
        """Reduced genes in the units of the data."""
        if self.streamed is not None:
            return self.streamed
        assert self.values is not None
        return reduce_samples(self.values, self.sample_type, len(self.sample_types))

    def model(self, *, noise: str = "cell", likelihood: str = "joint") -> PartitionMixture:
        """In internal units. Raises OptionError for unknown options, NotIdentifiedError for copies as replicates."""
        pieces = self.pieces()
        self._refuse_copies(pieces)
        if not isinstance(self.runner, Serial):
            pieces = tuple(block for piece in pieces for block in piece.blocks(PIECE_GENES))
        return PartitionMixture.reduced(
            pieces,
            self.partitions,
            self.known,
            noise=noise,
            likelihood=likelihood,
            concentration=self.concentration,
        )

    def _refuse_copies(self, pieces: tuple[Genes, ...]) -> None:
        """Replicates none of which differ show noise of 0, at which the likelihood has no maximum [PART-2]."""
        replicated = [piece for piece in pieces if (piece.counts > 1.0).any()]
        if replicated and not any(bool(piece.varying.any()) for piece in replicated):
            kind = int((self.replicates > 1).argmax())
            first, second = self.samples[self.sample_type == kind][:2]
            raise NotIdentifiedError(
                "Samples of a type are equal in every gene they have "
                f"(first: '{first}' and '{second}' of type '{self.sample_types[kind]}'), which would be samples "
                "without noise. Are they copies? Give one of each, or correct sample_type."
            )

    def sample(self) -> pd.DataFrame:
        """What was used and lost: columns `what`, `cause`, `count`."""
        table = [
            ("genes", "used", len(self.genes)),
            ("samples", "used", len(self.samples)),
            ("sample types", "used", len(self.sample_types)),
        ]
        for words, count in self.lost.items():
            what = next(what for what in LOST if words.startswith(what))
            table.append((what, words[len(what) + 1 :], count))
        table.append(("genes", "used, constant", self.facts.constant))
        table.append(("sample types", "used, one sample", int((self.replicates == 1).sum())))
        table = [row for row in table if row[2] or row[1] == "used"]
        return pd.DataFrame(table, columns=["what", "cause", "count"])


def read_expression(
    S: Any,
    sample_type: Any,
    proportions: Any,
    *,
    cell_types: Any = None,
    partitions: Any = "all",
    on_missing: str | None = None,
    workers: int | None = None,
    tell: Tell | None = None,
) -> ExpressionTable:
    """Genes x samples with the types of the samples and what is known of their proportions [PART-1], [PART-7].

    `S` is an array (G, n), a data frame (rows named by its index or its first column), or comes in chunks of genes:
    paths of text or Parquet files, a list of data frames, a function that returns an iterator of them, a Dask
    collection. `sample_type` has a label per sample, in order or by name; None: samples with the same row of
    `proportions` are of one type. `proportions` are a data frame of types x cell types (NaN: estimate), an array for
    types numbered from 0, a mapping, "free" or `Dirichlet`. Missing values of `S` are an error in arrays and masked in
    data frames, unless `on_missing` says otherwise ("mask", "error", "drop": the gene). `tell` hears of many
    partitions before they are enumerated. Gives a RepairWarning with counts of what is masked, dropped or rescaled.

    Raises ShapeError, AlignmentError, DataError, NotFiniteError, NotIdentifiedError, OptionError; for files
    MissingFileError and FileFormatError.
    """
    if hasattr(partitions, "__next__"):
        partitions = list(partitions)
    if is_expression_stream(S):
        return _from_stream(S, sample_type, proportions, cell_types, partitions, on_missing, workers, tell)
    found = expression_values(S)
    missing = check_on_missing(on_missing, found.framed)
    labels = None if sample_type is None else read_labels(sample_type, found.samples, found.genes)
    types = read_proportions(proportions, labels, found.samples, cell_types=cell_types, partitions=partitions)
    chosen, told = choose_partitions(partitions, types.cell_types, tell)
    kept, facts = usable_genes(found, missing)
    facts.check()
    values = found.values if kept.all() else found.values[kept]
    there = facts.seen > 0.0
    table = ExpressionTable(
        values=values if there.all() else values[:, there],
        streamed=None,
        sample_type=types.codes,
        sample_types=types.sample_types,
        samples=found.samples,
        genes=joined([found.genes], found.numbered, [kept]),
        cell_types=types.cell_types,
        known=types.known,
        concentration=types.concentration,
        partitions=chosen,
        kind=types.kind,
        facts=facts,
        lost={},
        notes=(told,),
        runner=runner_for(range(0, len(values), PIECE_GENES), workers),
    )
    return _checked(table, types)


def _from_stream(
    S: Any,
    sample_type: Any,
    proportions: Any,
    cell_types: Any,
    partitions: Any,
    on_missing: str | None,
    workers: int | None,
    tell: Tell | None,
) -> ExpressionTable:
    runner_for((), workers)
    missing = MASK if on_missing is None else check_on_missing(on_missing, True)
    stream = open_expression(S)
    labels = None if sample_type is None else read_labels(sample_type, stream.samples, None)
    types = read_proportions(proportions, labels, stream.samples, cell_types=cell_types, partitions=partitions)
    chosen, told = choose_partitions(partitions, types.cell_types, tell)
    found = stream.reduced(types.codes, len(types.sample_types), missing)
    found.facts.check()
    lies = is_dask(S) and workers is None
    table = ExpressionTable(
        values=None,
        streamed=found.pieces,
        sample_type=types.codes,
        sample_types=types.sample_types,
        samples=stream.samples,
        genes=found.genes,
        cell_types=types.cell_types,
        known=types.known,
        concentration=types.concentration,
        partitions=chosen,
        kind=types.kind,
        facts=found.facts,
        lost={},
        notes=(told,),
        runner=cluster_runner() if lies else runner_for(found.pieces, workers, default=stream_threads()),
    )
    return _checked(table, types)


def _checked(table: ExpressionTable, types: ProportionsTable) -> ExpressionTable:
    """Without samples and types that no gene has a value of; with counts and notes."""
    lost = table.facts.lost()
    tell_lost(lost, table.facts)
    if types.unsampled:
        lost["sample types left out, no sample"] = types.unsampled
    table, gone = _without_empty(table)
    if gone:
        lost["sample types left out, no value"] = gone
    return replace(table, lost=lost, notes=(*table.notes, *types.notes, *_notes(table)))


def _without_empty(table: ExpressionTable) -> tuple[ExpressionTable, int]:
    there = table.facts.seen > 0.0
    if there.all():
        return table, 0
    types, codes = np.unique(table.sample_type[there], return_inverse=True)
    new = {int(old): number for number, old in enumerate(types)}
    streamed = table.streamed
    if streamed is not None:
        streamed = tuple(
            replace(piece, types=np.array([new[int(old)] for old in piece.types], dtype=np.intp)) for piece in streamed
        )
    small = replace(
        table,
        streamed=streamed,
        sample_type=np.asarray(codes, dtype=np.intp),
        sample_types=tuple(table.sample_types[old] for old in types),
        samples=table.samples[there],
        known=table.known[types],
        concentration=None if table.concentration is None else table.concentration[types],
    )
    return small, len(table.sample_types) - len(types)


def _notes(table: ExpressionTable) -> tuple[str, ...]:
    notes = []
    if (table.replicates == 1).all():
        notes.append(
            "No sample type has two samples: nothing shows the noise by itself, and it is what partitions leave "
            "unexplained."
        )
    notes += negative_told(table.known, table.facts.negative)
    repeated = int(table.genes.duplicated().sum())
    if repeated:
        notes.append(f"{repeated:,} genes have the name of an earlier one; each row is a gene of its own.")
    if table.kind == "known" and (groups := confused(table.partitions, table.known)):
        notes.append(_told_confused(groups))
        warn(notes[-1], VarmixWarning)
    return tuple(notes)


def _told_confused(groups: list[tuple[str, ...]]) -> str:
    told = "; ".join(f"'{group[0]}' and '{group[1]}'" for group in groups[:SHOWN])
    count = sum(len(group) for group in groups)
    more = ", ..." if len(groups) > SHOWN or count > 2 * len(groups) else ""
    return (
        f"These proportions cannot tell {count:,} of the partitions from another ({told}{more}): what is said of such "
        "a pair is how its prior shares compare. Add sample types of other proportions, or give a list of "
        "partitions with one of each such group."
    )
