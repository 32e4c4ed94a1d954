"""Two cohorts from what users pass: each aligned and coded, both standardised on the variants that vary in both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from varmix.api.inputs import COVARIATES, RESPONSE, gather, labelled_response
from varmix.errors import AlignmentError, OptionError, VarmixError
from varmix.formula import Design, design_from_arrays
from varmix.genotype import GenotypeSource, Reference, Scaling, SourceSlice, as_source, standardise
from varmix.genotype.design import StandardisedDesign, design_labels
from varmix.models.linear.correlation.cohorts import Overlap, same_people, told_people
from varmix.tables.alignment import join
from varmix.tables.labels import labelled, rows_at
from varmix.typing import Index

PLACES = ("First", "Second")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohort:
    """One response with covariates, and the design of its people."""

    design: Design
    variants: StandardisedDesign
    given: int
    """Rows of the response as passed."""
    losses: tuple[tuple[str, str, int], ...]
    """What, cause and count of rows, covariates and variants."""

    @property
    def ids(self) -> pd.DataFrame | None:
        """FID and IID of the rows used: those of the response, else those of the genotypes."""
        return self.variants.sample_ids if self.design.sample_ids is None else self.design.sample_ids

    @property
    def people(self) -> pd.DataFrame:
        """Their ids, when known, and `row`, the position of each in the response as passed."""
        row = pd.DataFrame({"row": self.design.rows})
        return row if self.ids is None else pd.concat([self.ids.reset_index(drop=True), row], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How designs that are not standardised yet become so, and what to do with missing entries."""

    scaling: Scaling
    reference: Reference
    intercept: bool
    on_missing: str | None


def gather_cohorts(
    responses: tuple[Any, Any],
    designs: tuple[Any, Any],
    covariates: tuple[Any, Any],
    sample_ids: tuple[Any, Any],
    recipe: Recipe,
) -> tuple[Cohort, Cohort]:
    """Both cohorts, ready to be paired; the same design twice stays one.

    Raises the errors of the parts, each with the cohort that it is about.
    """
    same = designs[0] is designs[1]
    if same and not isinstance(designs[0], StandardisedDesign):
        column = next((ids for ids in sample_ids if isinstance(ids, str)), None)
        designs = (as_source(designs[0], "design", column),) * 2
    cohorts = []
    for k in (0, 1):
        with _about(k):
            cohorts.append(_cohort(responses[k], designs[k], f"design{k + 1}", covariates[k], sample_ids[k], recipe))
    first, second = cohorts
    if same and _same_rows(first.variants, second.variants):
        return first, _with_variants(second, first.variants)
    if not isinstance(designs[0], StandardisedDesign) and not isinstance(designs[1], StandardisedDesign):
        return _on_shared_variants(first, second)
    return first, second


def people_in_both(overlap: Overlap, cohorts: tuple[Cohort, Cohort], one_source: bool) -> tuple[Index, Index]:
    """Positions of the same people in either response, among the rows used.

    "auto": the same rows of `one_source`, else the same sample ids. Raises OptionError, ShapeError, AlignmentError.
    """
    first, second = cohorts
    if not isinstance(overlap, str):
        rows = (first.design.rows, second.design.rows)
        return told_people(overlap, (first.given, second.given), rows)
    if overlap not in ("auto", "none"):
        raise OptionError(f"overlap={overlap!r} is not known. Use 'auto', 'none' or two arrays of row positions.")
    if overlap == "none":
        return same_people(None, None)
    if one_source:
        mine, theirs = _source_rows(first.variants), _source_rows(second.variants)
        _, at_first, at_second = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
        return at_first.astype(np.intp), at_second.astype(np.intp)
    return same_people(first.ids, second.ids)


@contextmanager
def _about(cohort: int) -> Iterator[None]:
    """Tell which cohort an error is about."""
    number = cohort + 1
    try:
        yield
    except VarmixError as error:
        told = f"{PLACES[cohort]} cohort (y{number}, design{number}, covariates{number}): {error}"
        raise type(error)(told) from error


def _cohort(y: Any, variants: Any, name: str, covariates: Any, sample_ids: Any, recipe: Recipe) -> Cohort:
    if isinstance(y, str):
        raise OptionError("A formula is not read here: pass the response as an array and covariates as a data frame.")
    given = labelled(y, RESPONSE)[0].rows
    if isinstance(variants, StandardisedDesign):
        design = _beside(variants, y, covariates, sample_ids, recipe)
    else:
        inputs = gather(
            y,
            designs={name: variants},
            covariates=covariates,
            sample_ids=sample_ids,
            intercept=recipe.intercept,
            on_missing=recipe.on_missing,
            scaling=recipe.scaling,
            reference=recipe.reference,
        )
        design, variants = inputs.design, inputs.standardised[0]
    if design.r > 1:
        raise OptionError(f"There are {design.r} responses. Pass one.")
    losses = [("rows", cause, count) for cause, count in design.sample.items()]
    losses += [("covariates", f"dropped, collinear: {column}", 1) for column in design.dropped_columns]
    losses += [("variants", cause, int(count)) for cause, count in variants.counts.items()]
    return Cohort(design=design, variants=variants, given=given, losses=tuple(losses))


def _beside(variants: StandardisedDesign, y: Any, covariates: Any, sample_ids: Any, recipe: Recipe) -> Design:
    """The fixed part of a response whose design is standardised already, in the order of its rows."""
    if sample_ids is not None:
        raise OptionError("A standardised design has its rows already: pass its source to join it by sample id.")
    ids = variants.sample_ids
    known, y = labelled_response(y, None)
    sources = {f"design '{variants.name}'": design_labels(variants), RESPONSE: known}
    if covariates is not None:
        sources[COVARIATES], covariates = labelled(covariates, COVARIATES)
    alignment = join(sources, on_missing="error")
    y = rows_at(y, alignment.positions[RESPONSE])
    if covariates is not None:
        covariates = rows_at(covariates, alignment.positions[COVARIATES])
    on_missing: Any = recipe.on_missing or "error"
    design = design_from_arrays(y, covariates, intercept=recipe.intercept, on_missing=on_missing, sample_ids=ids)
    if design.n != variants.n:
        raise OptionError(
            f"{variants.n - design.n:,} rows are incomplete, and a standardised design cannot lose rows. Pass its "
            "source, or standardise(source, rows) with the complete rows."
        )
    return design


def _same_rows(first: StandardisedDesign, second: StandardisedDesign) -> bool:
    return np.array_equal(_source_rows(first), _source_rows(second))


def _source_rows(variants: StandardisedDesign) -> Index:
    return np.arange(variants.source.n_samples, dtype=np.intp) if variants.rows is None else variants.rows


def _with_variants(cohort: Cohort, variants: StandardisedDesign, *losses: tuple[str, str, int]) -> Cohort:
    return Cohort(design=cohort.design, variants=variants, given=cohort.given, losses=(*cohort.losses, *losses))


def _on_shared_variants(first: Cohort, second: Cohort) -> tuple[Cohort, Cohort]:
    """Both on the variants that vary in both, what was lost counted. Raises AlignmentError."""
    designs = on_shared_variants(first.variants, second.variants)
    cohorts = []
    for cohort, variants in zip((first, second), designs, strict=True):
        lost = cohort.variants.p - variants.p
        losses = [("variants", "not in the other cohort", lost)] if lost else []
        cohorts.append(_with_variants(cohort, variants, *losses))
    return cohorts[0], cohorts[1]


def on_shared_variants(
    first: StandardisedDesign, second: StandardisedDesign
) -> tuple[StandardisedDesign, StandardisedDesign]:
    """Two designs of whole sources, standardised again on the variants that vary in both, where those are not all.

    Found by id where both sources know theirs, by position otherwise. Raises AlignmentError.
    """
    positions = _shared_positions(first, second)
    if np.array_equal(positions[0], first.kept) and np.array_equal(positions[1], second.kept):
        return first, second
    # Both anew, so that columns of sources without ids stay at equal positions.
    again = [
        standardise(SourceSlice(design.source, part), design.rows, scaling=design.scaling, reference=design.reference)
        for design, part in zip((first, second), positions, strict=True)
    ]
    return again[0], again[1]


def _shared_positions(first: StandardisedDesign, second: StandardisedDesign) -> tuple[Index, Index]:
    ids = [_variant_ids(design.source) for design in (first, second)]
    if ids[0] is None or ids[1] is None:
        if first.source.n_variants != second.source.n_variants:
            raise AlignmentError(
                f"Design '{first.name}' has {first.source.n_variants:,} variants and '{second.name}' "
                f"{second.source.n_variants:,}, without ids to match them. Give both the same variants, or ids."
            )
        both = np.intersect1d(first.kept, second.kept)
        _refuse_nothing(both)
        return both, both
    known = pd.Index(ids[1])
    for index, design in ((pd.Index(ids[0]), first), (known, second)):
        if index.has_duplicates:
            repeated = index[index.duplicated()][0]
            raise AlignmentError(
                f"'{design.name}' lists variant '{repeated}' twice, so variants cannot be matched by id. Give each "
                "its own id."
            )
    place = known.get_indexer(pd.Index(ids[0][first.kept]))
    there = np.isin(place, second.kept) & (place >= 0)
    _refuse_nothing(place[there])
    return first.kept[there], place[there].astype(np.intp)


def _variant_ids(source: GenotypeSource) -> Any:
    table = source.variants
    return None if table is None else table["id"].to_numpy(dtype=object)


def _refuse_nothing(positions: Index) -> None:
    if positions.size == 0:
        raise AlignmentError("No variant varies in both cohorts. Check that the variant ids are written alike.")
