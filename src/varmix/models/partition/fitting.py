"""A problem fitted from its starts: all of them on all genes, or on a part of very many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from varmix.iteration import Outcome, Starts, from_every_start
from varmix.models.partition.noise_part import Part, drawn_part
from varmix.models.partition.problem import Problem
from varmix.typing import Tick


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """Climbs on all genes with what each start was; `screened` are those on a part of `genes` genes before them."""

    starts: Starts[Any, Any]
    kinds: tuple[str, ...]
    screened: Starts[Any, Any] | None = None
    genes: int = 0


def fit_from(
    problem: Problem, named: Sequence[tuple[str, Any]], rng: np.random.Generator, tick: Tick | None = None
) -> Fitted:
    """Climb from every start. With several and very many genes, on a part drawn by `rng`; all genes then climb from the
    best end of the part, which is near theirs: parameters are shared by all genes."""

    def climb(on: Problem, start: Any) -> Outcome[Any, Any]:
        outcome = on.climb(start)
        if tick is not None:
            tick(1)
        return outcome

    kinds, starts = tuple(kind for kind, _ in named), [start for _, start in named]
    part = drawn_part(problem.base.pieces, rng) if len(starts) > 1 else None
    if part is None:
        return Fitted(starts=from_every_start(lambda start: climb(problem, start), starts), kinds=kinds)
    small = _on_part(problem, part)
    screened = from_every_start(lambda start: climb(small, start), starts)
    begin = problem.nearby(screened.best.params)
    found = from_every_start(lambda start: climb(problem, start), [begin])
    return Fitted(starts=found, kinds=("screened",), screened=screened, genes=sum(len(piece) for piece in part.pieces))


def _on_part(problem: Problem, part: Part) -> Problem:
    """The problem on some genes, with as small a share of the prior: its weight beside them is that beside all."""
    small: Any = problem.with_pieces(part.pieces)
    alpha = problem.base.concentration
    if alpha is None:
        return cast("Problem", small)
    base = replace(small.base, concentration=1.0 + part.share * (alpha - 1.0))
    return cast("Problem", replace(small, base=base))
