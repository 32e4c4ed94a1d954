"""The Fit, one result type for all models, and its tables, text, HTML and JSON."""

from varmix.results.fit import Fit
from varmix.results.store import load

__all__ = ["Fit", "load"]
