"""Expression that comes in chunks of genes: each is reduced, and its samples are forgotten [PART-2]."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import chain
from operator import add
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from varmix.api.expression_facts import ExpressionFacts, joined, usable_genes
from varmix.errors import DataError, OptionError, VarmixError
from varmix.iteration import Runner, Serial, Threads
from varmix.models.partition.genes import Genes, reduce_samples
from varmix.models.random_effect_mixture.stream.reduction import is_dask
from varmix.tables.chunks import open_source
from varmix.tables.expression_values import ExpressionValues, expression_values
from varmix.tables.frame import try_frame
from varmix.tables.identifiers import label_text
from varmix.tables.numeric_tables import file_chunks
from varmix.typing import Index, Mask

PIECE_GENES = 4096
"""Genes of a piece: enough that an evaluation is matrix products, and few enough for several threads."""

MOST_THREADS = 4
"""More gain little: evaluations wait for memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReducedChunk:
    """Genes of a chunk: those used (`kept`), reduced, and the names of all."""

    facts: ExpressionFacts
    genes: pd.Index[Any]
    numbered: bool
    kept: Mask
    pieces: tuple[Genes, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReducedGenes:
    """All genes that are used: pieces in the units of the data, their names (G,), and what was learned."""

    pieces: tuple[Genes, ...]
    genes: pd.Index[Any]
    facts: ExpressionFacts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpressionStream:
    """Chunks of genes x samples, opened; `samples` (n,) are those of the first chunk. Can be reduced once."""

    samples: pd.Index[Any]
    chunks: Iterable[Any] | None
    collection: Any = None

    def reduced(self, codes: Index, types: int, on_missing: str) -> ReducedGenes:
        """Read all chunks; `codes` (n,) number the types of the samples. Raises DataError, NotFiniteError (chunk)."""
        work = partial(reduce_chunk, codes, types, self.samples, on_missing)
        if self.chunks is None:
            parts: Iterable[ReducedChunk | None] = _distributed().mapped(work, self.collection)
        else:
            parts = (work(number, chunk) for number, chunk in enumerate(self.chunks))
        return _merged([part for part in parts if part is not None])


def is_expression_stream(table: Any) -> bool:
    """Whether it is read in chunks: a path or several, a list of data frames, a function, a Dask collection."""
    if is_dask(table):
        return True
    if isinstance(table, str | PathLike) or hasattr(table, "__next__"):
        return True
    if try_frame(table) is not None:
        return False
    if isinstance(table, list | tuple) and table:
        return isinstance(table[0], str | PathLike) or try_frame(table[0]) is not None
    return callable(table)


def open_expression(table: Any) -> ExpressionStream:
    """The stream, read as far as its first genes. Raises OptionError, MissingFileError, FileFormatError, DataError."""
    if is_dask(table):
        names = next((found for found in _distributed().mapped(_samples_of, table, first=1)), None)
        if names is None:
            names = next((found for found in _distributed().mapped(_samples_of, table) if found is not None), None)
        if names is None:
            raise DataError(
                "The collection has no genes. Give partitions of one row per gene and one column per sample."
            )
        return ExpressionStream(samples=names, chunks=None, collection=table)
    if hasattr(table, "__next__"):
        raise OptionError(
            f"S is a {type(table).__name__}, which can be read only once. Pass a function that makes a new one, for "
            "instance lambda: make_chunks()."
        )
    paths = isinstance(table, str | PathLike) or (
        isinstance(table, list | tuple) and bool(table) and isinstance(table[0], str | PathLike)
    )
    chunks: Iterator[Any] = iter(file_chunks(table)() if paths else open_source(table)(()))
    for first in chunks:
        if _rows(first):
            samples = expression_values(first).samples
            return ExpressionStream(samples=samples, chunks=chain([first], chunks))
    raise DataError("The stream has no genes. Give chunks of one row per gene and one column per sample.")


def reduce_chunk(
    codes: Index, types: int, samples: pd.Index[Any], on_missing: str, number: int, chunk: Any
) -> ReducedChunk | None:
    """One chunk, None without genes. Raises DataError and NotFiniteError with the number of the chunk."""
    if not _rows(chunk):
        return None
    try:
        table = _aligned(expression_values(chunk), samples)
        kept, facts = usable_genes(table, on_missing)
    except VarmixError as error:
        raise type(error)(f"Chunk {number} (counted from 0): {error}") from error
    values = table.values if kept.all() else table.values[kept]
    pieces = reduce_samples(values, codes, types) if len(values) else ()
    return ReducedChunk(facts=facts, genes=table.genes, numbered=table.numbered, kept=kept, pieces=pieces)


def runner_for(pieces: Sequence[Any], workers: Any, *, default: int = 1) -> Runner:
    """Threads where several are asked for and there are pieces for them. Raises OptionError for `workers` below 1."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int | np.integer) or workers < 1):
        raise OptionError(f"workers={workers!r} must be a whole number of at least 1.")
    count = default if workers is None else int(workers)
    return Threads(count) if count > 1 and len(pieces) > 1 else Serial()


def stream_threads() -> int:
    """Threads for a stream unless one says."""
    return min(MOST_THREADS, os.cpu_count() or 1)


def cluster_runner() -> Runner:
    """Adds up on Dask's current scheduler."""
    runner: Runner = importlib.import_module("varmix.distributed").DaskRunner()
    return runner


def _aligned(table: ExpressionValues, samples: pd.Index[Any]) -> ExpressionValues:
    """Columns in the order of the first chunk."""
    if table.samples.equals(samples):
        return table
    here, there = [label_text(name) for name in table.samples], [label_text(name) for name in samples]
    differ = sorted(set(here) ^ set(there))
    if differ or len(here) != len(there) or len(set(there)) < len(there):
        which = f" (first: '{differ[0]}')" if differ else ""
        raise DataError(
            f"{len(here):,} samples where the first chunk has {len(there):,}, and they differ in name{which}. Give "
            "chunks of the same samples."
        )
    position = {name: at for at, name in enumerate(here)}
    order = [position[name] for name in there]
    return replace(table, values=table.values[:, order], samples=samples)


def _merged(parts: list[ReducedChunk]) -> ReducedGenes:
    """Pieces of at most `PIECE_GENES` genes with the same counts, from all chunks."""
    groups: dict[bytes, list[Genes]] = {}
    first = 0
    for part in parts:
        for piece in part.pieces:
            key = piece.types.tobytes() + piece.counts.tobytes()
            groups.setdefault(key, []).append(replace(piece, positions=piece.positions + first))
        first += int(part.kept.sum())
    pieces = tuple(block for group in groups.values() for block in _joined_genes(group).blocks(PIECE_GENES))
    numbered = all(part.numbered for part in parts)
    genes = joined([part.genes for part in parts], numbered, [part.kept for part in parts])
    return ReducedGenes(pieces=pieces, genes=genes, facts=reduce(add, [part.facts for part in parts]))


def _joined_genes(group: list[Genes]) -> Genes:
    if len(group) == 1:
        return group[0]
    return replace(
        group[0],
        means=np.concatenate([piece.means for piece in group]),
        within=np.concatenate([piece.within for piece in group]),
        positions=np.concatenate([piece.positions for piece in group]),
    )


def _samples_of(number: int, chunk: Any) -> pd.Index[Any] | None:
    return expression_values(chunk).samples if _rows(chunk) else None


def _rows(chunk: Any) -> int:
    if not hasattr(chunk, "__len__"):
        raise DataError(
            f"A chunk of the stream is a {type(chunk).__name__}. Give data frames or arrays of one row per gene and "
            "one column per sample."
        )
    return len(chunk)


def _distributed() -> Any:
    importlib.import_module("varmix.distributed")  # tells in words that Dask is not installed
    return importlib.import_module("varmix.distributed.mapped")
