"""Columns are found under the names that programs give them, and two of one role are refused."""

from __future__ import annotations

import pytest

from varmix.errors import DataError
from varmix.tables.roles import columns_by_role

ROLES = {"id": ("id", "snp"), "z": ("z",)}


def test_capitals_and_a_leading_hash_do_not_count() -> None:
    assert columns_by_role(["#SNP", "Z", "other"], ROLES, "The table") == {"id": "#SNP", "z": "Z"}
    assert columns_by_role(["other"], ROLES, "The table") == {}


def test_two_columns_of_one_role_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="The table has two columns that could be id: 'ID' and 'snp'"):
        columns_by_role(["ID", "snp", "z"], ROLES, "The table")
