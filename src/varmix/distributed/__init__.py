"""Data that lie on a Dask cluster: pieces stay where they are, and only sums travel. The one home of Dask.

Raises MissingExtraError on import without Dask.
"""

from varmix.errors import MissingExtraError

try:
    import dask.delayed  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        'Dask collections need Dask, which is not installed: pip install "varmix[dask]".'
    ) from error

from varmix.distributed.collection import collection_reduction, pieces_of
from varmix.distributed.pieces import DaskPieces
from varmix.distributed.runner import DaskRunner

__all__ = ["DaskPieces", "DaskRunner", "collection_reduction", "pieces_of"]
