"""`random_effect_mixture(method="npmle")`: the mixing distribution on a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import OptionError
from varmix.models.random_effect_mixture.model import RandomEffectMixture
from varmix.models.random_effect_mixture.npmle import GRID_POINTS, npmle
from varmix.models.random_effect_mixture.shares import GAP_TOLERANCE
from varmix.results.fit import Fit
from varmix.results.random_effect_mixture.mixing import MixingDistributionReport
from varmix.results.random_effect_mixture.rows import Rows
from varmix.typing import Tick, Vector

OPTIONS = ("points", "grid", "tolerance")


def fit_npmle(
    model: RandomEffectMixture,
    rows: Rows,
    sample: Callable[[], pd.DataFrame],
    response: str,
    options: Mapping[str, Any],
    tick: Tick | None,
) -> Fit:
    """The best mixing distribution [SLOPE-8].

    Options: `points` of the default grid, `grid` of variances in the units of the data, `tolerance` (dual gap per
    effect). Raises OptionError for others.
    """
    for name in options:
        if name not in OPTIONS:
            raise OptionError(f"'{name}' is not an option of method='npmle'. It has: {', '.join(OPTIONS)}.")
    points = options.get("points", GRID_POINTS)
    if isinstance(points, bool) or not isinstance(points, (int, np.integer)):
        raise OptionError(f"points={points!r} must be a whole number of at least 2.")
    tolerance = options.get("tolerance", GAP_TOLERANCE)
    if isinstance(tolerance, bool) or not isinstance(tolerance, Real) or not float(tolerance) > 0.0:
        raise OptionError(f"tolerance={tolerance!r} must be a positive number (a dual gap per effect).")
    found = npmle(
        model.pieces,
        residual=model.inner_residual,
        grid=_grid(options.get("grid"), model.reduction.scales.variance),
        points=int(points),
        tolerance=float(tolerance),
        tick=tick,
    )
    return Fit(MixingDistributionReport(model, found, rows, sample, response))


def _grid(values: Any, scale: float) -> Vector | None:
    if values is None:
        return None
    try:
        grid = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(f"grid is not an array of variances ({error}). Give numbers >= 0.") from error
    if grid.ndim != 1:
        raise OptionError(f"grid has shape {grid.shape}. Give variances in one dimension.")
    return grid / scale
