"""Files that are not text, told by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from varmix.errors import FileFormatError


@contextmanager
def text_of(what: object) -> Iterator[None]:
    """Bytes that are not UTF-8 while reading `what` become a FileFormatError that names it."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{what} is not text in UTF-8 (byte {error.object[error.start]:#04x} at position {error.start}). "
            "Check that it is the right file, or save it as UTF-8."
        ) from error
