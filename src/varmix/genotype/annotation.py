"""Variants grouped by annotation, one kernel per group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from varmix.errors import AlignmentError, DataError, FileFormatError, MissingFileError, RepairWarning, warn
from varmix.genotype.source import GenotypeSource, SourceSlice
from varmix.tables.roles import VARIANT_ID_NAMES
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

    Table (tabs, spaces or commas): a column of ids, then either one column of labels or several columns of 0 and 1,
    each a group (groups may overlap). Set file: a name, then ids one a line, then END. Raises MissingFileError,
    FileFormatError with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"The annotation file {path} is not there. Check the path.")
    lines = [(number, line.strip()) for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise FileFormatError(f"{path} is empty. Give a table of variant ids and labels, or a set file.")
    if any(line == SET_END for _, line in lines):
        return _read_sets(path, lines)
    return _read_columns(path, lines)


def match_annotation(source: GenotypeSource, groups: Mapping[str, list[str]] | pd.DataFrame) -> AnnotationMatch:
    """Find the ids of each group in the source.

    `groups` as from `read_annotation`, or a frame of ids with a column of labels or columns of 0 and 1. Raises
    AlignmentError (source without ids, repeated ids that are asked for, a group with no variant found).
    """
    if isinstance(groups, pd.DataFrame):
        groups = _groups_of_frame(groups)
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


def split_by_annotation(
    source: GenotypeSource, groups: Mapping[str, list[str]] | pd.DataFrame, *, rest: str | None = None
) -> dict[str, SourceSlice]:
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
            groups[current].extend(line.split())
    if current is not None:
        raise FileFormatError(f"{path}: the set '{current}' has no END. The file may be cut short.")
    return groups


def _read_columns(path: Path, lines: list[tuple[int, str]]) -> dict[str, list[str]]:
    comma = "," in lines[0][1]
    header = _fields(lines[0][1], comma)
    rows = []
    for number, line in lines[1:]:
        fields = _fields(line, comma)
        if len(fields) != len(header):
            raise FileFormatError(f"{path}, line {number}: {len(fields)} columns under a header of {len(header)}.")
        rows.append(fields)
    if len(header) < 2 or not rows:
        raise FileFormatError(f"{path} needs a header, a column of variant ids and at least one annotation column.")
    return _groups_of_frame(pd.DataFrame(rows, columns=header, dtype=object))


def _fields(line: str, comma: bool) -> list[str]:
    return [item.strip() for item in line.split(",")] if comma else line.split()


def _groups_of_frame(frame: pd.DataFrame) -> dict[str, list[str]]:
    names = [str(name) for name in frame.columns]
    id_column = next((at for at, name in enumerate(names) if name.lower().lstrip("#") in VARIANT_ID_NAMES), 0)
    ids = frame.iloc[:, id_column].astype(str).to_numpy(dtype=object)
    rest = [at for at in range(len(names)) if at != id_column]
    if not rest:
        raise DataError(f"The annotation table has only the column '{names[0]}'. Add a column of labels.")
    if len(rest) == 1 and not _is_indicator(frame.iloc[:, rest[0]]):
        labels = frame.iloc[:, rest[0]].astype(str).to_numpy(dtype=object)
        return {str(label): ids[labels == label].tolist() for label in dict.fromkeys(labels)}
    groups = {}
    for at in rest:
        if not _is_indicator(frame.iloc[:, at]):
            raise DataError(
                f"Annotation column '{names[at]}' holds more than 0 and 1. Give one column of labels, or 0/1 columns."
            )
        groups[names[at]] = ids[frame.iloc[:, at].astype(float).to_numpy() == 1.0].tolist()
        if not groups[names[at]]:
            raise DataError(f"Annotation column '{names[at]}' marks no variant. Remove it.")
    return groups


def _is_indicator(column: pd.Series) -> bool:
    numbers = pd.to_numeric(column, errors="coerce")
    return bool(numbers.isin([0, 1]).all())
