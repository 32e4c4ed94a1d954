"""Which columns of a table a formula needs."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from formulaic.transforms import TRANSFORMS

from varmix.errors import DataError, OptionError

QUOTED = re.compile(r"`([^`]+)`")
"""Backticks quote names that are not words, as in R."""
MODULES = ("np", "contr")
"""Names before a dot: NumPy and formulaic's contrasts."""
CONTRASTS = ("SAS", "custom", "diff", "helmert", "poly", "sum", "treatment")
ARITHMETIC = (
    ast.Expression, ast.Call, ast.keyword, ast.Name, ast.expr_context, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp,
    ast.Compare, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Tuple, ast.List, ast.Dict,
)  # fmt: skip
"""The Python that a formula may hold; no attributes, subscripts, loops or functions of one's own."""


def needed_columns(side: Any, available: Sequence[str]) -> tuple[str, ...]:
    """The columns that one side of a formulaic formula reads, in the order of first use.

    formulaic's own list leaves out the arguments of poly, scale, center and bs, and cuts names at a dot.
    Raises DataError naming the first word that is neither a column nor a function of the formula language, and
    OptionError for Python that is more than arithmetic with such functions.
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
    try:
        tree = ast.parse(QUOTED.sub("0", expression), mode="eval")
    except SyntaxError as error:
        raise OptionError(
            f"'{expression}' cannot be read: {error.msg}. Write arithmetic, for example I(age**2), or a function."
        ) from error
    _refuse_code(tree, expression, available)
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name) or (node.id in MODULES and node.id not in available):
            continue
        if node.id in available and id(node) not in functions:
            names.append(node.id)
        elif node.id not in TRANSFORMS and id(node) in functions:
            raise DataError(f"'{node.id}' is not a function of the formula language. It has {', '.join(_functions())}.")
        elif node.id not in TRANSFORMS:
            check_variables([node.id], available, "The data")
    return quoted + names


def _refuse_code(tree: ast.Expression, expression: str, available: Sequence[str]) -> None:
    """Raise OptionError for anything but arithmetic and functions of the formula language: formulas may be data."""
    modules = [name for name in MODULES if name not in available]
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    allowed = {id(node) for node in attributes if _is_public(node, modules)}
    bases = {id(node.value) for node in attributes if id(node) in allowed}
    for node in ast.walk(tree):
        called = isinstance(node, ast.Call) and not isinstance(node.func, ast.Name) and id(node.func) not in allowed
        bare = isinstance(node, ast.Name) and node.id in modules and id(node) not in bases
        if called or bare or (id(node) not in allowed and not isinstance(node, ARITHMETIC)):
            part = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise OptionError(
                f"'{part}' in '{expression}' is not part of the formula language, which has arithmetic, "
                f"{', '.join(_functions())}, and NumPy's elementwise functions such as np.sqrt. Compute other columns "
                "before, and put names with signs between backticks."
            )


def _is_public(node: ast.Attribute, modules: Sequence[str]) -> bool:
    """Whether it is an elementwise function or a constant of NumPy, or one of formulaic's contrasts."""
    if not isinstance(node.value, ast.Name) or node.value.id not in modules:
        return False
    if node.value.id == "np":
        return isinstance(getattr(np, node.attr, None), np.ufunc | float)
    return node.attr in CONTRASTS


def _functions() -> list[str]:
    return sorted(name for name in TRANSFORMS if name not in ("np", "contr"))
