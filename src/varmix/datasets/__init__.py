"""Data that ship with the package."""

from __future__ import annotations

from varmix.datasets.bundled import Demo, load_demo

__all__ = ["Demo", "load_demo"]
