"""The batch of many responses beside VCM's six (`multi_response`, ML, tol = 1e-13)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import varmix as vm

TIGHT = 1e-6
"""VCM's own tight runs by PX-EM and MM differ from one another by up to 3e-7 relative."""


@pytest.fixture(scope="module")
def six(reference: Path) -> tuple[Any, Any, Any, dict[str, Any]]:
    folder = reference / "vcm"
    entries = json.loads((folder / "vcm.json").read_text(encoding="utf-8"))
    X, Y, Z = (np.loadtxt(folder / f"mr_{part}.csv", delimiter=",", ndmin=2) for part in "XYZ")
    return X, Y, Z, next(entry for entry in entries if entry["id"] == "multi_response")


def test_a_batch_has_their_six_estimates(six: tuple[Any, Any, Any, dict[str, Any]]) -> None:
    X, Y, Z, theirs = six
    table = vm.variance_components_many(Y, designs={"x": X}, covariates=Z, criterion="ml")
    assert len(table) == 6
    np.testing.assert_allclose(table.s_kernel, theirs["sb2"], rtol=TIGHT)
    np.testing.assert_allclose(table.s_residual, theirs["se2"], rtol=TIGHT)
    errors = np.sqrt(np.array(theirs["covSig"])[:, [0, 1], [0, 1]])
    np.testing.assert_allclose(table[["se_kernel", "se_residual"]], errors, rtol=TIGHT)
    beta = np.array(theirs["beta0"])
    # The intercept of uncentred counts, theirs, needs the effects: the slopes are the same in both.
    np.testing.assert_allclose(table[["fixed_z1", "fixed_z2"]], beta[1:].T, rtol=1e-5)
