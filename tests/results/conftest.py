"""Fits of every kind that results have to tell about; `dense_model` beside the laws is importable."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

LAWS = str(Path(__file__).resolve().parents[1] / "laws")
if LAWS not in sys.path:
    sys.path.insert(0, LAWS)

from dense_model import Simulated, simulate  # noqa: E402

import varmix as vm  # noqa: E402
from varmix.errors import FragileMomentsWarning  # noqa: E402

ROWS = 40


@dataclass(frozen=True)
class Told:
    """A fit with the data behind it."""

    fit: vm.Fit
    data: Simulated


def people(data: Simulated) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "FID": [f"f{number // 2}" for number in range(ROWS)],
            "IID": [f"s{number}" for number in range(ROWS)],
            "height": data.y,
            "age": data.covariates[:, 0],
            "sex": np.where(data.covariates[:, 1] > 0, "m", "f"),
        }
    )


def make(kind: str) -> Told:
    data = simulate(51, ROWS, (15, 60), (0.8, 0.5, 1.0))
    narrow, wide = data.X
    Z, y = data.covariates, data.y
    kernel = data.kernels[1]
    noise = np.random.default_rng(8).normal(size=ROWS)
    span = np.linalg.qr(narrow)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FragileMomentsWarning)
        fit = {
            "narrow": lambda: vm.variance_components(y, designs={"x": narrow}, covariates=Z),
            "wide": lambda: vm.variance_components(y, designs={"x": wide}, covariates=Z),
            "kernel": lambda: vm.variance_components(y, kernels={"x": kernel}, covariates=Z),
            "ml": lambda: vm.variance_components(y, designs={"x": narrow}, covariates=Z, criterion="ml"),
            "two": lambda: vm.variance_components(y, designs={"x": narrow}, kernels={"kin": kernel}, covariates=Z),
            "boundary": lambda: vm.variance_components(
                noise - 0.8 * span @ (span.T @ noise), designs={"x": narrow}, covariates=Z
            ),
            "confounded": lambda: vm.variance_components(y, designs={"x": narrow, "again": narrow}, covariates=Z),
            "moments": lambda: vm.variance_components(y, designs={"x": narrow}, covariates=Z, method="moments"),
            "negative moments": lambda: vm.variance_components(
                noise - 0.8 * span @ (span.T @ noise), designs={"x": narrow}, covariates=Z, method="moments"
            ),
            "em, many starts": lambda: vm.variance_components(
                y, designs={"x": narrow}, covariates=Z, method="em", max_iterations=40, starts=3, rng=1
            ),
            "formula": lambda: vm.variance_components("height ~ age + sex", people(data), designs={"x": narrow}),
            "without covariates": lambda: vm.variance_components(y, designs={"x": narrow}, intercept=False),
        }[kind]()
    return Told(fit, data)


KINDS = [
    "narrow", "wide", "kernel", "ml", "two", "boundary", "confounded", "moments", "negative moments",
    "em, many starts", "formula", "without covariates",
]  # fmt: skip


@pytest.fixture(scope="session", params=KINDS)
def told(request: pytest.FixtureRequest) -> Told:
    return make(request.param)


@pytest.fixture(scope="session")
def narrow() -> Told:
    return make("narrow")


@pytest.fixture(scope="session")
def two() -> Told:
    return make("two")


@pytest.fixture(scope="session")
def by_formula() -> Told:
    return make("formula")
