"""Partitions of cell types: enumerated, chosen, and told in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from varmix.errors import OptionError
from varmix.typing import Matrix, Square

MOST_TYPES = 7
"""Cell types up to which all partitions are enumerated: Bell(7) = 877, Bell(8) = 4140, Bell(10) = 115,975."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitions:
    """J partitions of T cell types, each a tuple of block numbers per type, blocks numbered in order of appearance."""

    types: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def indicators(self) -> tuple[Matrix, ...]:
        """Block indicators C_j, each of shape (T, B_j) [PART-2]."""
        return tuple(np.eye(max(label) + 1)[list(label)] for label in self.labels)

    @property
    def words(self) -> tuple[str, ...]:
        """For instance "liver | brain = lung": types joined by "=" share a block."""
        return tuple(self._told(label) for label in self.labels)

    @property
    def together(self) -> Square:
        """Whether types t and u share a block of partition j, shape (J, T, T) of 0 and 1."""
        return np.stack([indicator @ indicator.T for indicator in self.indicators])

    def _told(self, label: tuple[int, ...]) -> str:
        members = list(zip(self.types, label, strict=True))
        blocks = [[name for name, block in members if block == number] for number in range(max(label) + 1)]
        return " | ".join(" = ".join(block) for block in blocks)


def bell(count: int) -> int:
    """Number of partitions of `count` types, by the Bell triangle."""
    row = [1]
    for _ in range(count - 1):
        following = [row[-1]]
        for value in row:
            following.append(following[-1] + value)
        row = following
    return row[-1]


def all_partitions(types: Sequence[str]) -> Partitions:
    """Every partition, from one block to T blocks, in the order of restricted growth strings.

    Raises OptionError beyond `MOST_TYPES` types, with what to choose instead.
    """
    count = len(types)
    if count > MOST_TYPES:
        raise OptionError(
            f"{count} cell types have {bell(count):,} partitions: too many to tell apart. Choose "
            f"partitions='one_vs_rest' ({count + 1}), 'two_blocks' ({2 ** (count - 1):,}), or a list of "
            "those you have in mind."
        )
    return Partitions(types=tuple(types), labels=tuple(_growth_strings(count)))


def two_blocks(types: Sequence[str]) -> Partitions:
    """One block, and every split in two: 2^(T - 1) partitions."""
    count = len(types)
    if count > 16:
        raise OptionError(
            f"{count} cell types can be split in two in {2 ** (count - 1) - 1:,} ways: too many. Choose "
            "partitions='one_vs_rest', or a list of those you have in mind."
        )
    labels = [tuple(number >> (count - 1 - t) & 1 for t in range(count)) for number in range(2 ** (count - 1))]
    return Partitions(types=tuple(types), labels=tuple(labels))


def one_vs_rest(types: Sequence[str]) -> Partitions:
    """One block, and each type alone against all others (two types: one split; one type: one block)."""
    count = len(types)
    labels = [tuple([0] * count), *(tuple(int(t == alone) for t in range(count)) for alone in range(count))]
    return Partitions(types=tuple(types), labels=tuple(dict.fromkeys(renumbered(label) for label in labels)))


def given_partitions(types: Sequence[str], chosen: Any) -> Partitions:
    """From a list: words such as "liver | brain = lung", or block labels per type. Raises OptionError for others."""
    names = {name: position for position, name in enumerate(types)}
    labels = [renumbered(_parsed(item, names, len(types))) for item in chosen]
    if not labels:
        raise OptionError("The list of partitions is empty. Give at least one, or partitions='all'.")
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        told = Partitions(types=tuple(types), labels=(twice,)).words[0]
        raise OptionError(f"The partition '{told}' is given twice. Name each once.")
    return Partitions(types=tuple(types), labels=tuple(labels))


def renumbered(label: Sequence[Any]) -> tuple[int, ...]:
    """Blocks numbered from 0 in order of appearance, as those of `Partitions` are."""
    order = {block: number for number, block in enumerate(dict.fromkeys(label))}
    return tuple(order[block] for block in label)


def _growth_strings(count: int) -> Iterator[tuple[int, ...]]:
    def grown(prefix: tuple[int, ...], blocks: int) -> Iterator[tuple[int, ...]]:
        if len(prefix) == count:
            yield prefix
            return
        for block in range(blocks + 1):
            yield from grown((*prefix, block), max(blocks, block + 1))

    yield from grown((), 0)


def _parsed(item: Any, names: dict[str, int], count: int) -> tuple[Any, ...]:
    if not isinstance(item, str):
        label = tuple(item)
        if len(label) != count:
            raise OptionError(
                f"The partition {label} has {len(label)} labels for {count} cell types ({', '.join(names)})."
            )
        return label
    blocks: dict[str, int] = {}
    for number, block in enumerate(item.split("|")):
        for name in (part.strip() for part in block.split("=")):
            if name not in names:
                raise OptionError(f"'{name}' in the partition '{item}' is no cell type. There are: {', '.join(names)}.")
            if name in blocks:
                raise OptionError(f"'{name}' is twice in the partition '{item}'. Each cell type is in one block.")
            blocks[name] = number
    missing = [name for name in names if name not in blocks]
    if missing:
        raise OptionError(f"The partition '{item}' leaves out {', '.join(missing)}. Give every cell type a block.")
    return tuple(blocks[name] for name in names)
