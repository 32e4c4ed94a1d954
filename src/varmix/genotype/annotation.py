"""Variants grouped by annotation, one kernel per group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, DataError, FileFormatError, RepairWarning, warn
from varmix.genotype.annotation_table import groups_of
from varmix.genotype.source import GenotypeSource, SourceSlice
from varmix.tables.text import separator_of, split_cells, split_words, text_lines
from varmix.typing import Index

SET_END = "END"
"""Closes a set in PLINK's set files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationMatch:
    """Positions of the variants in each group; how many variants are in no group; how many listed ids are unknown."""

    members: Mapping[str, Index]
    unmatched: int
    unknown: int


def read_annotation(path: str | PathLike[str]) -> dict[str, list[str]]:
    """Variant ids per group, from a table with a header or a PLINK set file.

    Table (tabs, spaces or commas; .gz, .bz2 and .xz too): a column of ids, then either one column of labels or several
    columns of 0 and 1, each a group (groups may overlap); what is missing (NA, '.', nothing) is in no group, and
    columns of chromosome, position and alleles are passed over. Set file: a name, then ids one a line, then END. Raises
    MissingFileError, FileFormatError with the line, and what `groups_of` raises; warns as it does.
    """
    path = Path(path)
    lines = list(text_lines(path))
    if not lines:
        raise FileFormatError(f"{path} is empty. Give a table of variant ids and labels, or a set file.")
    if any(line.strip() == SET_END for _, line in lines):
        return _read_sets(path, [(number, line.strip()) for number, line in lines])
    return _read_columns(path, lines)


def match_annotation(source: GenotypeSource, groups: Any) -> AnnotationMatch:
    """Find the ids of each group in the source.

    `groups` as from `read_annotation`, or a frame of ids with a column of labels or columns of 0 and 1: see
    `groups_of`. Raises AlignmentError (source without ids, repeated ids that are asked for, a group with no variant
    found) and what `groups_of` raises.
    """
    groups = groups_of(groups)
    table = source.variants
    if table is None:
        raise AlignmentError(
            f"'{source.name}' has no variant ids to match annotations with. Pass names= with the array."
        )
    ids = pd.Index(table["id"].to_numpy(dtype=object))
    listed = {item for members in groups.values() for item in members}
    repeated = ids.duplicated() & ids.isin(list(listed))
    if repeated.any():
        raise AlignmentError(
            f"'{source.name}' has {int(repeated.sum()):,} repeated variant ids (first: "
            f"'{ids[int(repeated.argmax())]}') that an annotation names. Give every variant its own id."
        )
    position = {item: at for at, item in enumerate(ids)}
    members: dict[str, Index] = {}
    for name, names in groups.items():
        found = sorted({position[item] for item in names if item in position})
        if not found:
            raise AlignmentError(
                f"None of the {len(names):,} variants of annotation '{name}' (first: '{names[0]}') is in "
                f"'{source.name}' (first there: '{ids[0]}'). Use the same ids in both."
            )
        members[name] = np.asarray(found, dtype=np.intp)
    covered = np.unique(np.concatenate(list(members.values()))).size
    return AnnotationMatch(
        members=members, unmatched=source.n_variants - covered, unknown=sum(item not in position for item in listed)
    )


def split_by_annotation(source: GenotypeSource, groups: Any, *, rest: str | None = None) -> dict[str, SourceSlice]:
    """One part of the source per group, named after it, variants in file order.

    Variants in no group form the part named `rest`, or are left out with a RepairWarning that counts them, as are
    listed ids that the source does not have. Raises what `match_annotation` raises.
    """
    match = match_annotation(source, groups)
    parts = {name: SourceSlice(source, columns, name=name) for name, columns in match.members.items()}
    if rest is not None and match.unmatched:
        if rest in parts:
            raise DataError(f"'{rest}' is already the name of an annotation. Choose another name for the rest.")
        covered = np.zeros(source.n_variants, dtype=np.bool_)
        for columns in match.members.values():
            covered[columns] = True
        parts[rest] = SourceSlice(source, np.flatnonzero(~covered), name=rest)
    elif match.unmatched:
        warn(
            f"{match.unmatched:,} of {source.n_variants:,} variants of '{source.name}' are in no annotation and are "
            "left out. "
            'Pass rest="other" to keep them as their own part.',
            RepairWarning,
        )
    if match.unknown:
        warn(f"{match.unknown:,} annotated variants are not in '{source.name}' and are ignored.", RepairWarning)
    return parts


def _read_sets(path: Path, lines: list[tuple[int, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    current: str | None = None
    for number, line in lines:
        if line == SET_END:
            if current is None or not groups[current]:
                raise FileFormatError(f"{path}, line {number}: END closes a set without variants.")
            current = None
        elif current is None:
            if line in groups:
                raise FileFormatError(
                    f"{path}, line {number}: the set '{line}' is there twice. Give every set one name."
                )
            current = line
            groups[line] = []
        else:
            groups[current].extend(split_words(line))
    if current is not None:
        raise FileFormatError(f"{path}: the set '{current}' has no END. The file may be cut short.")
    return groups_of(groups)


def _read_columns(path: Path, lines: list[tuple[int, str]]) -> dict[str, list[str]]:
    lines = [(number, line) for number, line in lines if not line.startswith("##")]
    mark = separator_of(lines[0][1]) if lines else None
    header = split_cells(lines[0][1], mark) if lines else []
    rows = []
    for number, line in lines[1:]:
        cells = split_cells(line, mark)
        if len(cells) != len(header):
            raise FileFormatError(f"{path}, line {number}: {len(cells)} columns under a header of {len(header)}.")
        rows.append(cells)
    if len(header) < 2 or not rows:
        raise FileFormatError(f"{path} needs a header, a column of variant ids and at least one annotation column.")
    if len(set(header)) < len(header):
        twice = next(name for at, name in enumerate(header) if name in header[:at])
        raise FileFormatError(f"{path} has two columns named '{twice}'. Give every column its own name.")
    return groups_of(pd.DataFrame(rows, columns=header, dtype=object))
