"""Whether expression looks like logarithms: mixing is linear on the scale before them [PART-1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from varmix.models.partition.diagnosis import NoiseDiagnosis
from varmix.models.partition.genes import Genes
from varmix.typing import Matrix, Vector

LARGEST = 50.0
"""No logarithm of expression is larger: 2^50 is beyond every count and intensity."""

LEAST = 10.0
"""Expression of many genes reaches 1,000 and more, whose logarithm to base 2 is 10. A lower bound keeps data that are
linear and small silent (fractions, units of 1e-6); natural logarithms of weak signals stay below it."""

LEAST_FALLING = 3.0
"""Where noise falls with the level besides: log10 of 1,000."""

FALLING, SURE = -1.0, 4.0
"""Exponent of the level in the variance of replicates from which on noise falls, and its distance from 0 in standard
errors: linear noise is constant (0) or grows, and one in 30,000 such data sets is beyond that by chance."""

GROWING = 1.25
"""Exponent from which on noise grows as that of linear values does, however even their levels: 1.4 and 2.2 in linear
values of GSE19830 and GSE65136, -2.7 and 1.0 in their logarithms."""

EVEN = 3.5
"""Ratio of the 99th percentile of gene levels to their upper quartile below which levels are even: 1.3 in logarithms of
GSE19830 and GSE65136 and about 3 with half of the genes near 0, beside 5 in the linear values, which span decades."""

EVEN_PANEL, MANY = 1.6, 200
"""The same for fewer genes than `MANY`, where the percentile is near the maximum: 95 % of panels of 20 genes of those
two data sets have 1.4 or less as logarithms; of linear ones 2 % are below 1.6."""

FEWEST = 20
"""Genes below which their levels show no shape."""

MIDDLE = 15.0
"""No median gene has a level of 2^15 = 32,768: arrays end at 2^16, and counts and transcripts per million are lower."""

SPREAD = 1.5
"""Least range from the 5th to the 95th percentile of levels, a factor of three: levels all alike show no scale."""


def logarithms_told(
    pieces: Sequence[Genes], proportions: Matrix, highest: float, scale: float, diagnosis: NoiseDiagnosis
) -> tuple[str, ...]:
    """A sentence where mixed samples look like logarithms, else nothing.

    `proportions` (D, T) have NaN where not known, `highest` is the largest value, and `pieces` times `scale` are in its
    units. Samples of one cell type each may well be logarithms: nothing is mixed. Shapes of levels and noise decide,
    which no unit changes, and the largest value and the spread of levels, which logarithms have in a known range.
    """
    if not (is_mixed(proportions) and LEAST_FALLING <= highest <= LARGEST):
        return ()
    if diagnosis.slope < min(FALLING, -SURE * diagnosis.slope_error):
        why = f"noise falls with expression (exponent {diagnosis.slope:.2f})"
    elif highest >= LEAST and not diagnosis.slope > GROWING and (ratio := _evenness(pieces, scale)):
        why = f"genes have even levels (the 99th percentile is {ratio:.2g} times the upper quartile)"
    else:
        return ()
    told = (
        f"The largest value is {highest:.3g} and {why}: these look like logarithms. Mixing is linear on the scale "
        "before logarithms, so undo them (2 ** x, less what was added before). If the values are linear, nothing needs "
        "to change."
    )
    return (told,)


def negative_told(proportions: Matrix, negative: int) -> tuple[str, ...]:
    """A sentence where mixed samples have values below 0, else nothing."""
    if not (negative and is_mixed(proportions)):
        return ()
    told = (
        f"{negative:,} values are negative: logarithms? Samples are mixtures on the original scale of expression, and "
        "not on its logarithm."
    )
    return (told,)


def is_mixed(proportions: Matrix) -> bool:
    """Whether a sample type has several cell types, or may have."""
    return bool(np.isnan(proportions).any() or (np.count_nonzero(proportions, axis=1) > 1).any())


def _evenness(pieces: Sequence[Genes], scale: float) -> float | None:
    """99th percentile of gene levels over their upper quartile, where that is small; else None."""
    levels = _levels(pieces) * scale
    if len(levels) < FEWEST:
        return None
    low, middle, quartile, high, top = np.quantile(levels, [0.05, 0.5, 0.75, 0.95, 0.99])
    limit = EVEN if len(levels) >= MANY else EVEN_PANEL
    ranged = quartile > 0.0 and middle <= MIDDLE and high - low >= SPREAD
    return float(top / quartile) if ranged and top < limit * quartile else None


def _levels(pieces: Sequence[Genes]) -> Vector:
    """Mean of each gene over its samples."""
    return np.concatenate([piece.means @ (piece.counts / piece.counts.sum()) for piece in pieces if len(piece.types)])
