"""Columns of a table found by what they hold, under the names that programs give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from varmix.errors import DataError

VARIANT_ID_NAMES = ("id", "variant", "snp", "rsid", "marker")
"""Headings of a column of variant ids, in any case."""


def columns_by_role(names: Iterable[str], roles: Mapping[str, Sequence[str]], what: str) -> dict[str, str]:
    """For each role the name of its column, as the table writes it; roles without a column are left out.

    `roles` maps a role to the names it goes by, in lower case; capitals and a '#' before a name do not count. Raises
    DataError, which calls the table `what`, where two columns have one role.
    """
    plain = [(name, name.strip().removeprefix("#").lower()) for name in names]
    found: dict[str, str] = {}
    for role, known in roles.items():
        there = [name for name, word in plain if word in known]
        if len(there) > 1:
            raise DataError(
                f"{what} has two columns that could be {role}: '{there[0]}' and '{there[1]}'. Keep one, or rename the "
                "other."
            )
        if there:
            found[role] = there[0]
    return found
