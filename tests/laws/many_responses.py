"""Simulated responses that share a kernel, and their dense likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np


def simulate(rng: np.random.Generator, n: int, p: int, c: int, r: int) -> tuple[Any, Any, Any]:
    """Give X (n x p), Z (n x c, intercept first) and r responses with shares of variance over the whole range."""
    X = rng.standard_normal((n, p)) * np.exp(rng.normal(0.0, 0.5, p))
    Z = np.column_stack([np.ones(n), rng.standard_normal((n, c - 1))])
    share = rng.uniform(0.0, 0.95, r) * (rng.uniform(size=r) > 0.2)
    genetic = (X - X.mean(0)) / X.std(0) / np.sqrt(p) @ rng.standard_normal((p, r))
    Y = genetic * np.sqrt(share) + rng.standard_normal((n, r)) * np.sqrt(1.0 - share) + Z @ rng.normal(0.0, 2.0, (c, r))
    return X, Z, Y


def dense_log_likelihood(y: Any, Z: Any, V: Any, criterion: str) -> float:
    """Evaluate [VC-2] with dense matrices."""
    n, c = Z.shape
    solved = np.linalg.solve(V, np.column_stack([Z, y]))
    inner = Z.T @ solved[:, :c]
    r = y - Z @ np.linalg.solve(inner, Z.T @ solved[:, c])
    value = np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r)
    if criterion == "ml":
        return float(-0.5 * (n * np.log(2 * np.pi) + value))
    return float(-0.5 * ((n - c) * np.log(2 * np.pi) + value + np.linalg.slogdet(inner)[1]))
