"""Data that lie on a Dask cluster: pieces stay where they are, and only sums travel. The one home of Dask."""

from varmix.distributed.collection import collection_reduction, pieces_of
from varmix.distributed.pieces import DaskPieces
from varmix.distributed.runner import DaskRunner

__all__ = ["DaskPieces", "DaskRunner", "collection_reduction", "pieces_of"]
