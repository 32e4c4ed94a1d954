"""Small tables for the commands: people with kernels, effects in groups, expression of mixed samples."""

from __future__ import annotations

import numpy as np
import pandas as pd

ROWS, VARIANTS = 30, 40
rng = np.random.default_rng(20)
FAMILIES = np.array([f"f{row % 7}" for row in range(ROWS)], dtype=object)
PEOPLE = np.array([f"{row:03}" for row in range(ROWS)], dtype=object)
"""Text with leading zeros: whoever takes it for numbers is found out."""
CALLS = rng.binomial(2, 0.35, size=(ROWS, VARIANTS)).astype(float)
STANDARD = (CALLS - CALLS.mean(axis=0)) / CALLS.std(axis=0)
OTHER = rng.normal(size=(ROWS, 12))
KERNEL = OTHER @ OTHER.T / 12
COVARIATES = pd.DataFrame({"age": rng.normal(size=ROWS), "sex": np.where(rng.random(ROWS) < 0.5, "f", "m")})
TRAITS = pd.DataFrame(
    STANDARD @ rng.normal(size=(VARIANTS, 2)) / np.sqrt(VARIANTS) + rng.normal(size=(ROWS, 2)), columns=["a", "b"]
)
TRAITS = TRAITS.add(COVARIATES["age"] * 0.7, axis=0)

GROUP = np.repeat(np.arange(ROWS // 2), 2)
SLOPES = rng.normal(size=ROWS)
ERRORS = rng.uniform(0.5, 1.5, size=ROWS)
WEIGHTS = np.repeat(rng.integers(1, 4, size=ROWS // 2), 2).astype(float)
EFFECT = np.repeat(rng.normal(size=ROWS // 2) * 2.0, 2) * SLOPES + 0.3 * rng.normal(size=ROWS)
FRAME = pd.DataFrame({"y": EFFECT, "x": SLOPES, "se": ERRORS, "w": WEIGHTS, "g": GROUP, "age": COVARIATES["age"]})

draws = np.random.default_rng(4)
CELLS, TYPES, GENES = ["liver", "brain", "lung"], 5, 14
SAMPLES = [f"s{number}" for number in range(TYPES * 2)]
P = pd.DataFrame([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]], columns=CELLS)
LEVELS = np.exp(draws.normal(4.0, 1.0, size=(GENES, 3)))
LEVELS[: GENES // 2, 2] = LEVELS[: GENES // 2, 1]
TYPE_OF = np.repeat(np.arange(TYPES), 2)
S = pd.DataFrame(
    LEVELS @ P.to_numpy()[TYPE_OF].T + draws.normal(size=(GENES, TYPES * 2)),
    index=[f"g{number}" for number in range(GENES)],
    columns=SAMPLES,
)
