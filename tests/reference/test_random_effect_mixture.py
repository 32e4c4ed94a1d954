"""The source note's own data: every start of every method ends at the maximum found outside, and says so.

The maxima come from SciPy's L-BFGS-B with an exact gradient (ten starts agreed to 1e-6): see the README of the
reference data, whose digits set the tolerances.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.models.random_effect_mixture.climb import SCHEMES

# log-likelihood, v_1, v_2, s, pi_1 as printed there
MAXIMA = {
    1_000: (-1253.114669, 0.0, 0.7110, 0.46639, 0.51356),
    10_000: (-12326.223397, 0.0081583, 1.074800, 0.4940394, 0.7338486),
}
OF_EFFECTS = {1_000: 5e-5, 10_000: 1e-6}
"""Half a unit of the last digit printed of v_2; at n = 10,000 what L-BFGS leaves."""
OF_OTHERS = 5e-6
"""The same of s and pi_1."""


def data(reference: Path, size: int) -> pd.DataFrame:
    return pd.read_csv(reference / "mixture" / f"random_effect_{size}.csv")


def random_starts(count: int) -> list[tuple[list[float], float, list[float]]]:
    """Spread as somebody who knows nothing would spread them: variances over four decades, shares and s anywhere."""
    rng = np.random.default_rng(20)
    starts = []
    for _ in range(count):
        share = float(rng.uniform(0.02, 0.98))
        variances = np.sort(10.0 ** rng.uniform(-3.0, 1.0, 2))
        starts.append((list(variances), float(rng.uniform(0.05, 1.5)), [share, 1.0 - share]))
    return starts


@pytest.mark.parametrize("size", MAXIMA)
@pytest.mark.parametrize("method", SCHEMES)
def test_twenty_random_starts_reach_the_maximum(reference: Path, method: str, size: int) -> None:
    top, *values = MAXIMA[size]
    fit = vm.random_effect_mixture("y", "x", data=data(reference, size), method=method, starts=random_starts(20))
    starts = fit.starts
    assert len(starts) == 20
    assert starts["reached_best"].all()
    np.testing.assert_allclose(starts["log_likelihood"], top, atol=1.5e-6)  # 1e-6, and half a unit of the last digit
    ends = starts[["v_1 (end)", "v_2 (end)", "s (end)", "pi_1 (end)"]].to_numpy()
    np.testing.assert_allclose(ends[:, :2], np.broadcast_to(values[:2], (20, 2)), atol=OF_EFFECTS[size])
    np.testing.assert_allclose(ends[:, 2:], np.broadcast_to(values[2:], (20, 2)), atol=OF_OTHERS)
    assert fit.status.arrived
    assert fit.certificate.newton_decrement <= 1e-8
    if size == 1_000:
        assert (starts["v_1 (end)"] == 0.0).all()


@pytest.mark.parametrize("accelerate", ["squarem", "anderson"])
@pytest.mark.parametrize("method", [scheme for scheme in SCHEMES if scheme != "newton"])
def test_accelerated_methods_reach_it_too(reference: Path, method: str, accelerate: str) -> None:
    top = MAXIMA[1_000][0]
    count = 5 if method == "glm" else 20  # a regression per step: a fifth of a second a start
    fit = vm.random_effect_mixture(
        "y", "x", data=data(reference, 1_000), method=method, accelerate=accelerate, starts=random_starts(count)
    )
    assert fit.starts["reached_best"].all()
    np.testing.assert_allclose(fit.starts["log_likelihood"], top, atol=1.5e-6)
    assert (fit.starts["v_1 (end)"] == 0.0).all()


@pytest.mark.parametrize("size", MAXIMA)
def test_auto_says_how_many_starts_agree(reference: Path, size: int) -> None:
    fit = vm.random_effect_mixture("y", "x", data=data(reference, size), rng=1)
    assert fit.log_likelihood == pytest.approx(MAXIMA[size][0], abs=1.5e-6)
    assert fit.facts["starts_at_best"] == fit.facts["starts"] == 10


def test_hundred_steps_of_em_are_not_enough(reference: Path) -> None:
    """Where the note stopped: the same steps without their finish are still on their way, and the fit says so."""
    with pytest.warns(vm.errors.ConvergenceWarning, match="STEP_LIMIT"):
        fit = vm.random_effect_mixture(
            "y",
            "x",
            data=data(reference, 1_000),
            method="em",
            polish=False,
            max_iterations=100,
            starts=random_starts(5),
        )
    assert not fit.status.arrived
    assert fit.certificate.newton_decrement > 1e-3
    shortfall = MAXIMA[1_000][0] - fit.starts["log_likelihood"]
    assert (shortfall > 1e-4).all()
    # The note's ten starts ended within .29 of the maximum after as many steps, with pi_1 from .446 to .540.
    assert np.ptp(fit.starts["pi_1 (end)"]) > 0.05
