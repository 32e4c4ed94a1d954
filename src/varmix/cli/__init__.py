"""The command line: `varmix vc`, `varmix grm`, `varmix demo`."""

from __future__ import annotations

from varmix.cli.app import main

__all__ = ["main"]
