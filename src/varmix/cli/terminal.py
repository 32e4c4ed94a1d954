"""What the user sees besides results, all of it on stderr: progress, notes and errors."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from varmix.cli.codes import ExitCode, code_of
from varmix.cli.wording import for_terminal
from varmix.errors import ConvergenceWarning, FragileMomentsWarning, VarmixError, VarmixWarning
from varmix.typing import Tick


@contextmanager
def session(*, debug: bool, quiet: bool = False) -> Iterator[None]:
    """Warnings become `note:` lines, each once; errors one `error:` line and an exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", VarmixWarning)
        # Table, JSON and exit code say these already.
        for told in (ConvergenceWarning, FragileMomentsWarning):
            warnings.simplefilter("ignore", told)
        warnings.showwarning = _Notes(quiet=quiet)
        try:
            yield
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as problem:
            tell_error(problem, debug=debug)
            raise typer.Exit(code_of(problem)) from None


def note(message: str) -> None:
    """One line to the user."""
    typer.echo(f"note: {for_terminal(message)}", err=True)


def tell_error(problem: BaseException, *, debug: bool = False, where: str = "") -> None:
    """One line that says what, where and what next; with `debug` after the traceback."""
    if debug:
        typer.echo("".join(traceback.format_exception(problem)), err=True, nl=False)
    typer.echo(f"error: {where}{for_terminal(_explained(problem))}", err=True)


@contextmanager
def reading(
    total: int | None, *, quiet: bool = False, doing: str = "Reading genotypes", then: str = "Fitting"
) -> Iterator[Tick]:
    """A bar over `total` variants, or starts, while `doing`, and on while `then`; None: of unknown length.

    Nothing where stderr is not a terminal.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(doing, total=total)
        done = 0

        def tick(count: int) -> None:
            nonlocal done
            done += count
            finished = total is not None and done >= total
            progress.update(task, advance=count, description=then if finished else doing)

        yield tick


class _Notes:
    """Shows a warning the first time its text comes up."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.seen: set[str] = set()

    def __call__(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> Any:
        told = str(message)
        if self.quiet or told in self.seen:
            return
        self.seen.add(told)
        note(told if issubclass(category, VarmixWarning) else f"{category.__name__}: {told}")


def _explained(problem: BaseException) -> str:
    if isinstance(problem, KeyboardInterrupt):
        return "interrupted; nothing further was written."
    if isinstance(problem, MemoryError):
        return "There is not enough memory for matrices of people by people. Use fewer people or a larger machine."
    if isinstance(problem, OSError) and not isinstance(problem, VarmixError):
        return (
            f"{problem.strerror or problem}: {problem.filename or 'a file'}. Check its permissions and the free space."
        )
    if isinstance(problem, VarmixError) or code_of(problem) is not ExitCode.DEFECT:
        return str(problem) or type(problem).__name__
    again = "" if "--debug" in sys.argv else " Run again with --debug and report what it shows."
    return f"{type(problem).__name__}: {problem}. This is a defect of varmix.{again}"
