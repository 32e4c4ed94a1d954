"""Formulas and labelled tables to designs: responses and covariates on the rows that are complete."""

from __future__ import annotations

from varmix.formula.build import design_from_arrays, design_from_formula
from varmix.formula.design import Design

__all__ = ["Design", "design_from_arrays", "design_from_formula"]
