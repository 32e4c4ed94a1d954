"""Exit codes of the program."""

from __future__ import annotations

from enum import IntEnum

from varmix.errors import AscentError, OptionError, VarmixError


class ExitCode(IntEnum):
    """What a script can rely on."""

    DONE = 0
    DEFECT = 1
    """An error that varmix does not raise on purpose, or a falling likelihood: please report it."""
    USAGE = 2
    DATA = 3
    """Files or data that cannot be used."""
    NOT_CONVERGED = 4
    """The fit ended without its certificate; its results are written all the same."""
    INTERRUPTED = 130


def code_of(error: BaseException) -> ExitCode:
    """The exit code for an error."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, OptionError):
        return ExitCode.USAGE
    if isinstance(error, AscentError):
        return ExitCode.DEFECT
    if isinstance(error, (VarmixError, OSError, MemoryError)):
        return ExitCode.DATA
    return ExitCode.DEFECT
