"""Rows that come in chunks: read once, reduced, and cut into pieces of the same loop."""

from varmix.models.random_effect_mixture.stream.facts import RowFacts
from varmix.models.random_effect_mixture.stream.reduction import (
    CACHE_BYTES,
    PosteriorChunk,
    StreamReduction,
    stream_reduction,
)
from varmix.models.random_effect_mixture.stream.rows import Columns
from varmix.tables.chunks import open_source

__all__ = [
    "CACHE_BYTES",
    "Columns",
    "PosteriorChunk",
    "RowFacts",
    "StreamReduction",
    "open_source",
    "stream_reduction",
]
