"""Expected responses of new rows, from a fit at hand or from a saved one [VC-6]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import OptionError, ShapeError
from varmix.genotype.design import StandardisedDesign
from varmix.genotype.relationship import RelationshipMatrix
from varmix.genotype.source import GenotypeSource, as_source, row_labels
from varmix.tables.alignment import join
from varmix.tables.labels import Labels, column_labels, labelled
from varmix.tables.numbers import real_numbers
from varmix.typing import Index, Matrix, Vector

NEW = "new data"
"""Name of the table of new covariates in messages."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RememberedTerm:
    """A random term with its posterior means `effects`, whose index names what they belong to.

    Of a design the training `design`, to be applied to new rows, and (p,) effects; of a kernel `weights` (n,), what
    each training row adds per unit of K(new, training).
    """

    name: str
    design: StandardisedDesign | None
    effects: pd.DataFrame
    weights: Vector | None
    training: Labels | None
    """What the training rows of a kernel are called."""
    id_column: str | None

    @property
    def kind(self) -> str:
        """The argument that brings new rows of it."""
        return "kernel" if self.design is None else "design"

    def read(self, given: Any) -> tuple[Labels, Callable[[Index], Vector]]:
        """Labels of the new rows, and what the term adds to some of them."""
        if self.design is not None:
            training = self.design
            source = as_source(given, self.name, self.id_column)
            effects = self.effects["estimate"].to_numpy(dtype=np.float64)
            return row_labels(source), lambda rows: np.asarray(
                training.apply(source, _all(rows, source)).multiply(effects)
            )
        labels, cross = self._cross(given)
        assert self.weights is not None
        weights = self.weights
        return labels, lambda rows: np.asarray(cross[rows] @ weights)

    def _cross(self, given: Any) -> tuple[Labels, Matrix]:
        """K(new, training) with its columns in the order of the training rows."""
        assert self.weights is not None
        if isinstance(given, RelationshipMatrix):
            labels = columns = Labels(rows=given.n_samples, ids=given.sample_ids)
            values: Any = given.values
        else:
            labels, table = labelled(given, self.name, self.id_column)
            columns = column_labels(table, self.name)
            values = real_numbers(table.to_numpy() if hasattr(table, "to_numpy") else table, f"Kernel '{self.name}'")
        training = self._training_labels()
        both_named = training.known and columns.known
        may_contradict = columns.rows == training.rows and (training.counted or columns.counted)
        if both_named or may_contradict:
            order = join(
                {"training rows": training, f"columns of kernel '{self.name}'": columns},
                on_missing="error",
                remedy="Give K(new, training) with a column for each of them.",
            )
            values = values[:, order.positions[f"columns of kernel '{self.name}'"]]
        if values.ndim != 2 or values.shape[1] != len(self.weights):
            raise ShapeError(
                f"The kernel between new and training rows has shape {values.shape}; it needs one column for each of "
                f"the {len(self.weights)} rows used in the fit."
            )
        return labels, np.asarray(values, dtype=np.float64)

    def _training_labels(self) -> Labels:
        """Of fits saved by earlier versions the people that have effects are all that is known."""
        if self.training is not None:
            return self.training
        return Labels(rows=len(self.effects), ids=labelled(self.effects, "training rows")[0].ids)


def predict_rows(
    terms: Sequence[RememberedTerm],
    fixed: Callable[[Any, int | None], Vector],
    new: Any,
    *,
    designs: Mapping[str, Any] | None,
    kernels: Mapping[str, Any] | None,
    rows: int | None,
) -> Vector:
    """`Z* w + sum_k X*_k E[b_k] + sum_k s_k K*_k P y`, a number for each row of `new`, else of the first term [VC-6].

    Terms are joined with `new` by label where both have any, else by position. `fixed` gives `Z* w` of a table of
    covariates, or of a number of rows. Raises OptionError (terms), AlignmentError (a row that a term does not have),
    ShapeError, DataError.
    """
    given = {"design": designs or {}, "kernel": kernels or {}}
    names = [term.name for term in terms]
    for name in (*given["design"], *given["kernel"]):
        if name not in names:
            raise OptionError(f"The fit has no term '{name}'. It has: {', '.join(names)}.")
    sources: dict[str, Labels] = {}
    parts: dict[str, Callable[[Index], Vector]] = {}
    if new is not None:
        sources[NEW], _ = labelled(new, NEW, next((term.id_column for term in terms), None))
    for term in terms:
        if term.name not in given[term.kind]:
            raise OptionError(
                f"Prediction needs term '{term.name}': pass {term.kind}s={{'{term.name}': ...}}"
                + (" with the rows K(new, training)." if term.kind == "kernel" else " for the new rows.")
            )
        sources[term.name], parts[term.name] = term.read(given[term.kind][term.name])
    if not sources:
        return fixed(None, rows)
    places = join(sources, on_missing="error", remedy="Leave them out, or give every source all new rows.")
    total = fixed(new, places.n)
    if len(total) != places.n:
        raise ShapeError(f"The new covariates have {len(total)} rows, the new designs or kernels {places.n}.")
    return np.asarray(total + sum(part(places.positions[name]) for name, part in parts.items()))


def _all(rows: Index, source: GenotypeSource) -> Index | None:
    return None if len(rows) == source.n_samples and bool((np.diff(rows) == 1).all()) else rows
