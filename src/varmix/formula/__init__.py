"""Text and tables to designs: files, alignment by person, formulas, covariates."""

from __future__ import annotations

from varmix.formula.build import design_from_arrays, design_from_formula
from varmix.formula.design import Design
from varmix.tables.alignment import Alignment, OnMissing, align
from varmix.tables.people import TableKind, read_table

__all__ = [
    "Alignment",
    "Design",
    "OnMissing",
    "TableKind",
    "align",
    "design_from_arrays",
    "design_from_formula",
    "read_table",
]
