"""Let the tests of this folder import `dense_model`, the definition that everything is held against."""

from __future__ import annotations

import sys
from pathlib import Path

LAWS = str(Path(__file__).resolve().parents[1] / "laws")
if LAWS not in sys.path:
    sys.path.insert(0, LAWS)
