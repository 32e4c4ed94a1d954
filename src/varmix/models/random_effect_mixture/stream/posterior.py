"""What is known of each effect, written a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.posterior import mean_up_to, posterior, posterior_table
from varmix.models.random_effect_mixture.stream.reduction import StreamReduction


def posterior_tables(stream: StreamReduction, params: MixtureParams) -> Iterator[pd.DataFrame]:
    """`row` or `group`, the columns kept and those of `posterior_table`, for one chunk after the other, in input order.

    `params` in internal units. s-values and q-values rank each effect among all, so the source is read twice: once for
    the local rates, 16 bytes an effect, and once for the tables. Raises DataError when it gives other rows than before.
    """
    rates = []
    for chunk in stream.posterior_chunks():
        found = posterior(params, chunk.reduction.q, chunk.reduction.xy)
        rates.append(np.stack([found.lfsr, found.zero]))
    svalue, qvalue = (mean_up_to(values) for values in np.concatenate(rates, axis=1))
    del rates
    label = "row" if stream.grouped is None else "group"
    scale = stream.scales.response / stream.scales.regressor
    first = 0
    for chunk in stream.posterior_chunks():
        part = slice(first, first + chunk.reduction.groups)
        table = posterior_table(params, chunk.reduction.q, chunk.reduction.xy, scale=scale)
        table = table.assign(svalue=svalue[part], qvalue=qvalue[part])
        first = part.stop
        yield pd.concat([pd.DataFrame({label: chunk.labels}), chunk.kept_columns, table], axis=1)
