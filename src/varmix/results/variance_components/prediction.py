"""Effects, fitted values, predictions and draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from varmix.models.linear.fixed_block import fixed_block
from varmix.models.linear.model import Term
from varmix.results.variance_components.estimates import Estimates
from varmix.results.variance_components.new_rows import RememberedTerm, predict_rows
from varmix.typing import Vector

BLOCK = 512
"""Columns handled at a time where a standard deviation is asked for each effect."""


class Prediction:
    """What follows from `P y` at the estimate [VC-6]."""

    def __init__(self, estimates: Estimates) -> None:
        self.estimates = estimates
        self.model = estimates.model

    @property
    def projected(self) -> Vector:
        """`P y` in rows, in units of 1 / unit of y, shape (n,)."""
        piece = self.model.piece
        solved = self.estimates.fixed.projected
        return np.asarray(piece.coordinates.to_rows(np.zeros(piece.columns), solved, piece.response.rest))

    def fixed_part(self) -> Vector:
        """`Z w`, shape (n,)."""
        return np.asarray(self.model.design.Z @ (self.estimates.fixed.estimate * self.model.units.response))

    def residuals(self) -> Vector:
        """`s_e P y`: the response less its fixed part and all posterior effects, shape (n,)."""
        return np.asarray(self.projected * (self.estimates.admissible[-1] * self.model.units.response))

    def values(self, component: int) -> Vector:
        """Posterior mean of the total effect of a term on each row, `s_k K_k P y`, shape (n,)."""
        piece, solved = self.model.piece, self.estimates.fixed.projected
        fixed = piece.cross[component].T @ solved
        rows = piece.coordinates.to_rows(fixed, piece.system.multiply(component, solved), piece.response.rest)
        return np.asarray(rows * (self.estimates.admissible[component] * self.model.units.response))

    def effects(self, component: int, *, sd: bool) -> pd.DataFrame:
        """Posterior mean (and sd) of the effects of a design's columns, or of a kernel's rows."""
        term = self.model.terms[component]
        if term.design is None:
            table = pd.DataFrame({"estimate": self.values(component)}, index=self._row_index())
            if sd:
                table["sd"] = self._value_sd(component)
            return table
        table = pd.DataFrame({"estimate": self.design_effects(component)}, index=_column_index(term))
        if sd:
            table["sd"] = self._effect_sd(component, term)
        return table

    def design_effects(self, component: int) -> Vector:
        """`E[b] = s_k X_k' P y`, shape (p,), per standardised column."""
        design = self.model.terms[component].design
        assert design is not None
        scale = self.estimates.admissible[component] / self.model.units.kernels[component] * self.model.units.response
        return np.asarray(design.cross(self.projected) * scale)

    def _effect_sd(self, component: int, term: Term) -> Vector:
        """`sqrt(s_k - s_k^2 x_j' P x_j)`."""
        assert term.design is not None
        variance = self.estimates.admissible[component] / self.model.units.kernels[component]
        factor = self.model.piece.system.factor(self.estimates.admissible)
        assert factor is not None
        shrinkage = np.empty(term.design.p)
        for part, block in term.design.blocks():
            complement = self.model.piece.coordinates.columns_from_rows(block)[1]
            shrinkage[part] = np.einsum("ij,ij->j", complement, factor.solve(complement))
        posterior = variance - variance**2 * shrinkage
        return np.asarray(np.sqrt(np.maximum(posterior, 0.0)) * self.model.units.response)

    def _value_sd(self, component: int) -> Vector:
        """`sqrt diag(s_k K_k - s_k^2 K_k P K_k)`, from blocks of unit vectors.

        NaN where a kernel with negative eigenvalues, no covariance of its own, makes a variance negative.
        """
        piece, variance = self.model.piece, self.estimates.admissible[component]
        factor = piece.system.factor(self.estimates.admissible)
        assert factor is not None
        result = np.empty(piece.rows)
        for start in range(0, piece.rows, BLOCK):
            stop = min(start + BLOCK, piece.rows)
            unit = np.zeros((piece.rows, stop - start))
            unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
            upper, lower = piece.coordinates.columns_from_rows(unit)
            image_upper = piece.corner[component] @ upper + piece.cross[component].T @ lower
            image = piece.cross[component] @ upper + piece.system.multiply(component, lower)
            prior = (upper * image_upper).sum(axis=0) + (lower * image).sum(axis=0)
            result[start:stop] = variance * prior - variance**2 * (image * factor.solve(image)).sum(axis=0)
        lost = result < 0.0 if piece.negative else np.zeros(piece.rows, dtype=np.bool_)
        return np.where(lost, np.nan, np.sqrt(np.maximum(result, 0.0)) * self.model.units.response)

    def _row_index(self) -> pd.Index:
        ids = self.model.design.sample_ids
        if ids is None:
            return pd.Index(self.model.design.rows, name="row")
        return pd.MultiIndex.from_frame(ids) if "FID" in ids else pd.Index(ids.iloc[:, 0])

    def predict(
        self, new: Any, designs: Mapping[str, Any] | None, kernels: Mapping[str, Any] | None, rows: int | None
    ) -> Vector:
        """Expected responses of new rows, by the training coding, centring and scaling [VC-6]."""
        fixed = self.estimates.fixed.estimate * self.model.units.response
        return predict_rows(
            self.remembered(),
            lambda table, count: np.asarray(self.model.design.encode(table, count) @ fixed),
            new,
            designs=designs,
            kernels=kernels,
            rows=rows,
        )

    def remembered(self) -> list[RememberedTerm]:
        """The terms as predictions need them."""
        return [
            RememberedTerm(
                name=term.name,
                design=term.design,
                effects=self.effects(component, sd=False),
                weights=self._kernel_weights(component) if term.design is None else None,
                training=term.training,
                id_column=term.id_column,
            )
            for component, term in enumerate(self.model.terms)
        ]

    def _kernel_weights(self, component: int) -> Vector:
        """`s_k P y`, shape (n,), in the units of the data."""
        units = self.model.units
        scale = self.estimates.admissible[component] / units.kernels[component] * units.response
        return np.asarray(self.projected * scale)

    def simulate(self, rng: np.random.Generator) -> Vector:
        """A response drawn from the fitted model: block A from V_AA, block U given block A."""
        piece, variances = self.model.piece, self.estimates.admissible
        complement = piece.system.draw(variances, rng)
        rest = rng.standard_normal(len(piece.response.rest))
        rest /= np.linalg.norm(rest) if rest.size else 1.0
        upper = piece.triangle @ self.estimates.fixed.estimate
        if piece.columns:
            factor = piece.system.factor(variances)
            assert factor is not None
            block = fixed_block(piece, factor, variances)
            upper = upper - block.weights.T @ complement + block.draw(rng)
        return piece.coordinates.to_rows(upper, complement, rest) * self.model.units.response


def _column_index(term: Term) -> pd.Index:
    assert term.design is not None
    variants = term.design.variants
    if variants is not None and "id" in variants:
        return pd.Index(variants["id"], name="variant")
    return pd.Index(term.design.kept, name="column")
