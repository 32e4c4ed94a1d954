"""Claims about partitions of cell types: how many there are, how they are chosen, told and refused [PART-7]."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from varmix.errors import OptionError
from varmix.models.partition.partitions import (
    MOST_TYPES,
    Partitions,
    all_partitions,
    bell,
    given_partitions,
    one_vs_rest,
    two_blocks,
)

NAMES = ("liver", "brain", "lung", "heart", "skin", "bone", "eye")


def blocks(label: tuple[int, ...]) -> frozenset[frozenset[int]]:
    """A partition as a set of sets, whatever its blocks are called."""
    return frozenset(frozenset(np.flatnonzero(np.array(label) == block).tolist()) for block in set(label))


def every_labelling(types: int, most: int) -> set[frozenset[frozenset[int]]]:
    """All partitions with at most `most` blocks, by brute force over T^T ways to hand out labels."""
    return {blocks(label) for label in product(range(most), repeat=types)}


def test_bell_numbers_obey_their_recursion() -> None:
    assert [bell(count) for count in range(1, 11)] == [1, 2, 5, 15, 52, 203, 877, 4140, 21147, 115975]
    for count in range(1, 15):
        assert bell(count + 1) == 1 + sum(comb(count, k) * bell(k) for k in range(1, count + 1))


@pytest.mark.parametrize("types", range(1, MOST_TYPES))
def test_all_partitions_are_every_partition_once(types: int) -> None:
    found = all_partitions(NAMES[:types])
    told = [blocks(label) for label in found.labels]
    assert len(told) == len(set(told)) == bell(types)
    assert set(told) == every_labelling(types, types)


def test_seven_types_are_enumerated_and_eight_are_refused_with_what_to_choose() -> None:
    assert len(all_partitions(NAMES)) == 877
    with pytest.raises(OptionError, match=r"8 cell types have 4,140 partitions.*one_vs_rest' \(9\).*\(128\)"):
        all_partitions((*NAMES, "ear"))


@pytest.mark.parametrize("types", range(1, 7))
def test_two_blocks_are_every_split_once_and_no_finer_one(types: int) -> None:
    told = [blocks(label) for label in two_blocks(NAMES[:types]).labels]
    assert len(told) == len(set(told)) == 2 ** (types - 1)
    assert set(told) == every_labelling(types, 2)


def test_too_many_splits_in_two_are_refused_with_their_number() -> None:
    assert len(two_blocks([f"t{k}" for k in range(16)])) == 2**15
    with pytest.raises(OptionError, match=r"65,535 ways"):
        two_blocks([f"t{k}" for k in range(17)])


@pytest.mark.parametrize(("types", "expected"), [(1, 1), (2, 2), (3, 4), (7, 8)])
def test_one_type_against_the_rest_is_each_type_once(types: int, expected: int) -> None:
    found = one_vs_rest(NAMES[:types])
    assert len({blocks(label) for label in found.labels}) == len(found) == expected
    everything = frozenset(range(types))
    alone = {frozenset({t}) for t in range(types)}
    for label in found.labels:
        parts = blocks(label)
        assert parts == {everything} or (len(parts) == 2 and parts & alone)


@pytest.mark.parametrize("choose", [all_partitions, two_blocks, one_vs_rest])
def test_the_first_partition_is_the_single_block_and_blocks_are_numbered_as_they_appear(choose) -> None:
    found = choose(NAMES[:4])
    assert found.labels[0] == (0, 0, 0, 0)
    for label in found.labels:
        first = [label.index(block) for block in range(max(label) + 1)]
        assert first == sorted(first)
        assert set(label) == set(range(max(label) + 1))


def test_indicators_have_one_block_per_type_and_together_is_their_product() -> None:
    found = all_partitions(NAMES[:4])
    for label, indicator, together in zip(found.labels, found.indicators, found.together, strict=True):
        assert indicator.shape == (4, max(label) + 1)
        np.testing.assert_array_equal(indicator.sum(axis=1), 1.0)
        assert (indicator.sum(axis=0) > 0.0).all()
        np.testing.assert_array_equal(together, np.equal.outer(label, label))


def test_words_join_types_that_share_a_block() -> None:
    found = Partitions(types=("liver", "brain", "lung"), labels=((0, 1, 1), (0, 0, 0), (0, 1, 2), (0, 1, 0)))
    expected = ("liver | brain = lung", "liver = brain = lung", "liver | brain | lung", "liver = lung | brain")
    assert found.words == expected


def test_words_are_read_back_as_the_partitions_that_they_tell() -> None:
    found = all_partitions(NAMES[:5])
    assert given_partitions(NAMES[:5], found.words) == found
    assert given_partitions(NAMES[:5], found.labels) == found


@pytest.mark.parametrize(
    "item", ["lung=brain|liver", " liver|lung  =  brain ", ("a", "b", "b"), (7, 3, 3), [1, 0, 0], np.array([2, 5, 5])]
)
def test_spaces_order_and_names_of_blocks_do_not_matter(item) -> None:
    assert given_partitions(NAMES[:3], [item]).labels == ((0, 1, 1),)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["liver | brain = kidney"], r"'kidney' in the partition .* is no cell type\. There are: liver, brain, lung"),
        (["liver | brain"], r"leaves out lung"),
        (["liver | brain = liver | lung"], r"'liver' is twice"),
        (["liver = liver | brain | lung"], r"'liver' is twice"),
        (["liver || brain = lung"], r"'' in the partition .* is no cell type"),
        ([""], r"'' in the partition '' is no cell type"),
        ([(0, 1)], r"has 2 labels for 3 cell types"),
        ([(0, 1, 1, 0)], r"has 4 labels for 3 cell types"),
        ([], r"list of partitions is empty"),
        (["liver | brain = lung", "brain = lung | liver"], r"'liver \| brain = lung' is given twice"),
        (["liver | brain = lung", (5, 2, 2)], r"'liver \| brain = lung' is given twice"),
    ],
)
def test_what_is_no_partition_is_refused_with_what_is_wrong(chosen, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        given_partitions(NAMES[:3], chosen)


def test_a_single_type_has_one_partition_however_it_is_chosen() -> None:
    for found in (all_partitions(["liver"]), two_blocks(["liver"]), one_vs_rest(["liver"])):
        assert found.labels == ((0,),)
        assert found.words == ("liver",)
        np.testing.assert_array_equal(found.together, np.ones((1, 1, 1)))
