"""Which columns of a table a formula needs."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from formulaic.transforms import TRANSFORMS

from varmix.errors import DataError

QUOTED = re.compile(r"`([^`]+)`")
"""Backticks quote names that are not words, as in R."""


def needed_columns(side: Any, available: Sequence[str]) -> tuple[str, ...]:
    """The columns that one side of a formulaic formula reads, in the order of first use.

    formulaic's own list leaves out the arguments of poly, scale, center and bs, and cuts names at a dot.
    Raises DataError naming the first word that is neither a column nor a function of the formula language.
    """
    found: dict[str, None] = {}
    for term in side:
        for factor in term.factors:
            if factor.eval_method.value == "lookup":
                check_variables([factor.expr], available, "The data")
                found[factor.expr] = None
            elif factor.eval_method.value == "python":
                found.update(dict.fromkeys(_names_in(factor.expr, available)))
    return tuple(found)


def check_variables(wanted: Iterable[str], available: Sequence[str], what: str) -> None:
    """Raise DataError naming the first variable that is not a column, and the columns there are."""
    for name in wanted:
        if name not in available:
            near = difflib.get_close_matches(name, available, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise DataError(f"'{name}' is not a column of the data.{hint} {what} have: {', '.join(available)}.")


def _names_in(expression: str, available: Sequence[str]) -> list[str]:
    quoted = QUOTED.findall(expression)
    check_variables(quoted, available, "The data")
    tree = ast.parse(QUOTED.sub("0", expression), mode="eval")
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name):
            continue
        if node.id in available and id(node) not in functions:
            names.append(node.id)
        elif node.id not in TRANSFORMS and id(node) in functions:
            raise DataError(f"'{node.id}' is not a function of the formula language. It has {', '.join(_functions())}.")
        elif node.id not in TRANSFORMS:
            check_variables([node.id], available, "The data")
    return quoted + names


def _functions() -> list[str]:
    return sorted(name for name in TRANSFORMS if name not in ("np", "contr"))
