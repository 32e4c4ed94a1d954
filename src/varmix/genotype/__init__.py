"""Genotypes and other designs: sources of variant blocks, standardisation, relationship matrices."""

from __future__ import annotations

from varmix.genotype.annotation import AnnotationMatch, match_annotation, read_annotation, split_by_annotation
from varmix.genotype.design import Reference, Scaling, StandardisedDesign
from varmix.genotype.pairwise import relationship_matrix
from varmix.genotype.plink import PlinkSource, open_plink
from varmix.genotype.relationship import RelationshipMatrix, read_grm, write_grm
from varmix.genotype.source import ArraySource, GenotypeSource, RecordedSource, SourceSlice, as_source
from varmix.genotype.standardisation import standardise

__all__ = [
    "AnnotationMatch",
    "ArraySource",
    "GenotypeSource",
    "PlinkSource",
    "RecordedSource",
    "Reference",
    "RelationshipMatrix",
    "Scaling",
    "SourceSlice",
    "StandardisedDesign",
    "as_source",
    "match_annotation",
    "open_plink",
    "read_annotation",
    "read_grm",
    "relationship_matrix",
    "split_by_annotation",
    "standardise",
    "write_grm",
]
