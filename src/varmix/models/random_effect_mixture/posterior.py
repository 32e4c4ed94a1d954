"""What is known of each effect once its rows are seen: class, mean, spread, and how sure its sign is [SLOPE-10]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from varmix.models.random_effect_mixture.params import MixtureParams
from varmix.models.random_effect_mixture.statistics import BLOCK, SMALLEST_BLOCK, ratios
from varmix.typing import Index, Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """Of each of G effects in input order, all of shape (G,); effects in the units of the point they came from."""

    most_probable: Index
    """Position of the most probable class; of the first among equals."""
    mean: Vector
    sd: Vector
    positive: Vector
    """P(b > 0)."""
    negative: Vector
    """P(b < 0)."""
    zero: Vector
    """P(b = 0), from classes whose variance is 0: the local false discovery rate."""

    @property
    def lfsr(self) -> Vector:
        """Local false sign rate `min(P(b <= 0), P(b >= 0))`."""
        return np.asarray(self.zero + np.minimum(self.positive, self.negative))


def posterior(params: MixtureParams, q: Vector, xy: Vector) -> Posterior:
    """Posterior of effects with `q = x'x` and `xy = x'y`, both (G,), nothing of size classes x G kept [SLOPE-10].

    In class k, b is normal with mean `v_k xy / (q v_k + s)` and variance `v_k s / (q v_k + s)`. Without any x (q = 0)
    this is the prior. Small probabilities keep their relative precision down to 1e-300.
    """
    size = len(q)
    most = np.empty(size, dtype=np.intp)
    columns = np.empty((5, size))
    seen = np.flatnonzero(params.shares > 0.0)
    v, s = params.variances[seen][:, None], params.residual
    for part, probability in _classes(params, seen, q, xy):
        tau = v * q[part] + s
        with np.errstate(divide="ignore", invalid="ignore"):
            # s = 0 and q = 0: nothing was seen, and nothing is known but the prior.
            centre = np.where(tau > 0.0, v * xy[part] / tau, 0.0)
            spread = np.where(tau > 0.0, v * s / tau, v)
            # A class whose effects are all 0, or known exactly where s = 0, has its mass at its mean.
            score = np.where(spread > 0.0, np.abs(centre) / np.sqrt(spread), np.inf)
        mean = (probability * centre).sum(axis=0)
        exact = (centre == 0.0) & (spread == 0.0)
        moves = np.where(exact, 0.0, probability)
        # Means of all classes lie on the side of xy: tails are summed apart, none is one minus the other.
        agree, against = (moves * ndtr(score)).sum(axis=0), (moves * ndtr(-score)).sum(axis=0)
        up = xy[part] >= 0.0
        most[part] = seen[np.argmax(probability, axis=0)]
        columns[0, part] = mean
        columns[1, part] = np.sqrt((probability * (spread + (centre - mean) ** 2)).sum(axis=0))
        columns[2, part] = np.where(up, agree, against)
        columns[3, part] = np.where(up, against, agree)
        columns[4, part] = np.where(exact, probability, 0.0).sum(axis=0)
    mean, sd, positive, negative, zero = columns
    return Posterior(most_probable=most, mean=mean, sd=sd, positive=positive, negative=negative, zero=zero)


def class_probabilities(params: MixtureParams, q: Vector, xy: Vector) -> Matrix:
    """Probability of each class given the rows of each effect, shape (K, G); the shares where q = 0 [SLOPE-2]."""
    answer = np.zeros((params.classes, len(q)))
    seen = np.flatnonzero(params.shares > 0.0)
    for part, probability in _classes(params, seen, q, xy):
        answer[seen, part] = probability
    return answer


def mean_up_to(rates: Vector) -> Vector:
    """Mean of all local rates no larger than each one, shape (G,): s-values of local false sign rates, q-values of
    local false discovery rates. Equal rates have equal values."""
    if not len(rates):
        return np.zeros(0)
    order = np.argsort(rates)
    ordered = rates[order]
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(rates) - 1)
    # A mean of ascending rates ascends and is no larger than the last of them; rounding must not say otherwise.
    means = np.minimum(np.maximum.accumulate(np.cumsum(ordered)[last] / (last + 1)), ordered[last])
    answer = np.empty(len(rates))
    answer[order] = np.repeat(means, np.diff(last, prepend=-1))
    return answer


def effects_table(
    params: MixtureParams, q: Vector, xy: Vector, *, scale: float = 1.0, index: pd.Index | None = None
) -> pd.DataFrame:
    """One row per effect in input order: `class` (the most probable, from 1), `effect` (posterior mean), `sd`,
    `positive` and `negative` (probabilities of the signs), `lfsr`, `lfdr`, `svalue`, `qvalue`.

    `scale` brings effects from the units of `params` to those outside.
    """
    found = posterior(params, q, xy)
    lfsr = found.lfsr
    columns = {
        "class": found.most_probable + 1,
        "effect": found.mean * scale,
        "sd": found.sd * scale,
        "positive": found.positive,
        "negative": found.negative,
        "lfsr": lfsr,
        "lfdr": found.zero,
        "svalue": mean_up_to(lfsr),
        "qvalue": mean_up_to(found.zero),
    }
    return pd.DataFrame(columns, index=index)


def posterior_table(
    params: MixtureParams, q: Vector, xy: Vector, *, scale: float = 1.0, index: pd.Index | None = None
) -> pd.DataFrame:
    """Class probabilities `class_1` to `class_K`, followed by what `effects_table` gives."""
    names = [f"class_{k + 1}" for k in range(params.classes)]
    classes = pd.DataFrame(class_probabilities(params, q, xy).T, columns=names, index=index)
    return pd.concat([classes, effects_table(params, q, xy, scale=scale, index=index)], axis=1)


def _classes(params: MixtureParams, seen: Index, q: Vector, xy: Vector) -> Iterator[tuple[slice, Matrix]]:
    """Blocks of effects with the probabilities of the classes that have a share, shape (len(seen), n)."""
    shown = MixtureParams.free(params.variances[seen], params.residual, params.shares[seen])
    share = shown.shares[:, None]
    size = max(SMALLEST_BLOCK, BLOCK // len(seen))
    work = np.empty((4 * len(seen) + 1, min(size, len(q))))
    for start in range(0, len(q), size):
        part = slice(start, start + size)
        informed = q[part] > 0.0
        safe = np.where(informed, q[part], 1.0)
        with np.errstate(over="ignore", under="ignore"):
            ratio = ratios(shown, safe, xy[part] ** 2 / safe, work[:, : len(safe)])[0]
            probability = ratio * share
        probability /= probability.sum(axis=0)
        yield part, np.where(informed, probability, share)
