"""Genotype files and relationship matrices named on the command line."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from varmix.errors import AlignmentError, OptionError, RepairWarning
from varmix.genotype import (
    GenotypeSource,
    RelationshipMatrix,
    open_plink,
    read_annotation,
    read_grm,
    split_by_annotation,
)
from varmix.tables.alignment import align


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KernelFiles:
    """What becomes a kernel, by name, and the ids of each file, by the file's name."""

    designs: dict[str, GenotypeSource]
    kernels: dict[str, RelationshipMatrix]
    ids: dict[str, pd.DataFrame]

    @property
    def n_variants(self) -> int:
        """Variants to read."""
        return sum(source.n_variants for source in self.designs.values())


def open_kernels(
    bfiles: Sequence[str],
    grms: Sequence[str],
    *,
    annotation: Path | None = None,
    rest: str | None = None,
    threads: int | None = None,
) -> KernelFiles:
    """Open every file. Each is PREFIX or NAME=PREFIX; without a name it gets that of the file.

    Raises OptionError (nothing given, one name for two) and what `open_plink`, `read_grm` and `read_annotation` raise.
    """
    if not bfiles and not grms:
        raise OptionError(
            "Nothing to fit: give genotypes with --bfile PREFIX or a relationship matrix with --grm PREFIX."
        )
    if annotation is None and rest is not None:
        raise OptionError("--rest names the variants outside an annotation: give it with --annotation.")
    if annotation is not None and len(bfiles) != 1:
        raise OptionError(f"--annotation splits one --bfile, and {len(bfiles)} are given.")
    designs: dict[str, GenotypeSource] = {}
    kernels: dict[str, RelationshipMatrix] = {}
    ids: dict[str, pd.DataFrame] = {}
    for text in bfiles:
        name, prefix = _named(text)
        source = open_plink(prefix, num_threads=threads, name=name)
        ids[str(source.path.with_suffix(".fam"))] = source.sample_ids
        if annotation is None:
            _add(designs, kernels, source.name)
            designs[source.name] = source
        else:
            designs.update(split_by_annotation(source, read_annotation(annotation), rest=rest))
    for text in grms:
        name, prefix = _named(text)
        matrix = read_grm(prefix)
        label = name or matrix.name
        _add(designs, kernels, label)
        kernels[label] = matrix
        ids[f"{prefix} (its .id file)"] = matrix.sample_ids
    return KernelFiles(designs=designs, kernels=kernels, ids=ids)


def check_people(people: pd.DataFrame, source: str, files: KernelFiles) -> list[str]:
    """Notes on people who are not in every file. Raises AlignmentError when nobody is, naming the files."""
    alignment = align({source: people[["FID", "IID"]], **files.ids})
    if alignment.n < 1:
        raise AlignmentError(f"Nobody is in all of {source}, {', '.join(files.ids)}. Check the ids.")
    notes = {
        name: f"{lost:,} of {alignment.given[name]:,} people of {name} are not in every file (first: "
        f"'{alignment.first_lost[name]}') and are left out."
        for name, lost in alignment.lost.items()
        if lost
    }
    if alignment.advice:
        notes[source] += f" {alignment.advice}"
    return list(notes.values())


@contextmanager
def people_told() -> Iterator[None]:
    """Where the people that are left out were told before, by the names of their files."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".* rows of 'response' are not in ", category=RepairWarning)
        yield


def _named(text: str) -> tuple[str | None, str]:
    name, equals, prefix = text.partition("=")
    if not equals or "/" in name:
        name, prefix = "", text
    if not Path(prefix).name or (equals and prefix != text and not name):
        raise OptionError(f"'{text}' is not PREFIX or NAME=PREFIX. Write for instance coding=data/chr1.")
    return name or None, prefix


def _add(designs: dict[str, GenotypeSource], kernels: dict[str, RelationshipMatrix], name: str) -> None:
    if name in designs or name in kernels:
        raise OptionError(f"Two kernels are named '{name}'. Name them apart, for instance --bfile first=PREFIX.")
