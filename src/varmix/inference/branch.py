"""A local maximum followed from the estimate, as one parameter is held at other values: the profile of a likelihood
that has no global maximum."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from varmix.typing import Vector

SHORTEST = 1e-3
"""Of the first step: a branch that cannot be followed so much further has ended there."""

JUMP, JUMP_SHARE = 0.1, 0.25
"""How far a change of log-likelihood may be from what the slopes at both ends say, plus this share of the change: the
trapezium of a cubic over two standard errors is within a quarter, another maximum is anywhere."""

ABOVE = 1e-6
"""A log-likelihood this far above the fit's, and this share of a ten thousandth of it, is not of the same branch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """A point of the branch."""

    value: float
    """Of the parameter that is held."""
    log_likelihood: float
    slope: float
    """Of the profile, which is the score of the held parameter; NaN where it is not known."""
    state: Vector
    """All parameters at the maximum over the others: where a neighbour starts."""


class Branch:
    """Nodes from the estimate outwards, as far as they have been asked for.

    `solve` gives the local maximum that a climb from a state reaches with the parameter held at a value, None where it
    reaches none; `step` is the first step outwards.
    """

    def __init__(self, first: Node, solve: Callable[[float, Vector], Node | None], step: float) -> None:
        self._first = first
        self._solve = solve
        self._shortest = SHORTEST * step
        self._nodes = [first]

    def log_likelihood(self, value: float) -> float:
        """At a value; -inf where the branch ends before it."""
        node = self.node(value)
        return -math.inf if node is None else node.log_likelihood

    def node(self, value: float) -> Node | None:
        """At a value; None where the branch ends before it."""
        reached = self._nearest(value)
        for node in self._steps(reached, value):
            reached = node
        return reached if reached.value == value else None

    def towards(self, value: float) -> Iterator[tuple[float, float]]:
        """Values from the estimate outwards and their log-likelihoods; the last is `value` itself unless the branch
        ends before it."""
        side = math.copysign(1.0, value - self._first.value)
        known = [node for node in self._nodes if side * (node.value - self._first.value) > 0.0]
        known = [node for node in known[:: int(side)] if side * (value - node.value) >= 0.0]
        for node in known:
            yield node.value, node.log_likelihood
        for node in self._steps(known[-1] if known else self._first, value):
            yield node.value, node.log_likelihood

    def end(self, direction: float) -> float:
        """The outermost value that was reached, towards -1 or 1."""
        return self._nodes[0 if direction < 0.0 else -1].value

    def _nearest(self, value: float) -> Node:
        """The node nearest to the value, of those on its side of the estimate."""
        side = value - self._first.value
        mine = [node for node in self._nodes if (node.value - self._first.value) * side >= 0.0]
        return min(mine, key=lambda node: abs(node.value - value))

    def _steps(self, node: Node, value: float) -> Iterator[Node]:
        """Halves a step until its end belongs to the branch, and doubles the next one."""
        step = value - node.value
        while node.value != value and abs(step) >= min(self._shortest, abs(value - node.value)):
            reach = value if abs(step) >= abs(value - node.value) else node.value + step
            found = self._solve(reach, node.state)
            if found is None or not self._belongs(node, found):
                step = 0.5 * (reach - node.value)
                continue
            node, step = found, 2.0 * step
            insort(self._nodes, node, key=lambda known: known.value)
            yield node

    def _belongs(self, node: Node, found: Node) -> bool:
        top = self._first.log_likelihood
        if not found.log_likelihood <= top + ABOVE + 1e-4 * ABOVE * abs(top):
            return False
        change = found.log_likelihood - node.log_likelihood
        said = 0.5 * (node.slope + found.slope) * (found.value - node.value)
        return math.isnan(said) or abs(change - said) <= JUMP + JUMP_SHARE * abs(change)
