"""One tree of exceptions and warnings.

Every message answers three questions: what is wrong, where, and what to do next.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class VarmixError(Exception):
    """Root of every error that varmix raises on purpose."""


class DataError(VarmixError, ValueError):
    """The data given cannot be used as they are."""


class ShapeError(DataError):
    """Arrays whose dimensions do not fit one another."""


class NotFiniteError(DataError):
    """NaN or infinity where a number is needed."""


class AlignmentError(DataError):
    """Rows of several tables, files or arrays that do not match by sample id."""


class KernelError(DataError):
    """A relationship matrix that is not symmetric, or whose negative eigenvalues are too low or too many."""


class FileFormatError(DataError):
    """A file whose content is not what its format asks for."""


class MissingFileError(VarmixError, FileNotFoundError):
    """A file that is needed and is not there."""


class OptionError(VarmixError, ValueError):
    """An option with a value that varmix does not know, or options that exclude each other."""


class NotIdentifiedError(VarmixError, ValueError):
    """The data carry no information on a parameter that was asked for."""


class NotAvailableError(VarmixError):
    """A result that this fit does not have (the message says why, and what has it)."""


class AscentError(VarmixError, ArithmeticError):
    """A log-likelihood fell in a scheme that guarantees ascent: a defect, never bad luck."""


class MissingExtraError(VarmixError, ImportError):
    """An optional package that is not installed (the message says which extra brings it)."""


class VarmixWarning(UserWarning):
    """Root of every warning that varmix gives."""


class RepairWarning(VarmixWarning):
    """Data were repaired or dropped; the fit counts what and why in `fit.sample`."""


class ConvergenceWarning(VarmixWarning):
    """A fit ended without its certificate; `fit.status` says why."""


class FragileMomentsWarning(VarmixWarning):
    """Moment estimates that the structure of the sample makes unreliable ([MOM-7])."""


BETWEEN = ("varmix", "functools", "contextlib")
"""Modules whose frames may stand right above varmix's own, between the line of the user and the place that warns."""


def warn(message: str | Warning, category: type[Warning] = VarmixWarning) -> None:
    """Warn as from the line outside of varmix that called it, so that the line shown is the user's own.

    That is above the outermost frame of varmix: searches for a root and the like put frames of other packages in
    between.
    """
    roots = []
    frame: FrameType | None = sys._getframe(0)
    while frame is not None:
        roots.append(str(frame.f_globals.get("__name__", "")).partition(".")[0])
        frame = frame.f_back
    level = min(len(roots) - roots[::-1].index("varmix"), len(roots) - 1)
    while level < len(roots) - 1 and roots[level] in BETWEEN:
        level += 1
    warnings.warn(message, category, stacklevel=level + 1)


@contextmanager
def first_of_each(category: type[Warning]) -> Iterator[None]:
    """Of each class of warnings of a category, give the first at the end, and how many more there were.

    A table asks for many maxima: what goes wrong with one of them goes wrong with its neighbours.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", category)
        try:
            yield
        finally:
            given = list(caught)
    seen: dict[type[Warning], int] = {}
    for item in given:
        seen[item.category] = seen.get(item.category, 0) + 1
    for item in given:
        count = seen.pop(item.category, 0) if issubclass(item.category, category) else 1
        if count:
            more = f" ({count - 1:,} more like this.)" if count > 1 else ""
            text = f"{item.message}{more}" if more else item.message
            warnings.warn_explicit(text, item.category, item.filename, item.lineno)
