"""Claims about fits that go to another process."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import varmix as vm


@pytest.mark.parametrize("travel", [lambda fit: pickle.loads(pickle.dumps(fit)), copy.deepcopy], ids=["pickle", "copy"])
@pytest.mark.parametrize(("rows", "columns", "kind"), [(60, 20, "design"), (60, 90, "design"), (60, 0, "kernel"),
                                                       (1010, 0, "kernel"), (60, 0, "two kernels")])  # fmt: skip
def test_a_fit_that_travelled_does_all_that_the_one_at_home_does(travel, rows: int, columns: int, kind: str) -> None:
    rng = np.random.default_rng(rows + columns)
    y, covariates = rng.standard_normal(rows), rng.standard_normal((rows, 2))
    if kind == "design":
        terms = {"designs": {"a": rng.standard_normal((rows, columns))}}
    else:
        roots = [rng.standard_normal((rows, rows)) for _ in range(1 + (kind == "two kernels"))]
        terms = {"kernels": {f"k{i}": root @ root.T / rows for i, root in enumerate(roots)}}
    fit = vm.variance_components(y, covariates=covariates, **terms)
    away = travel(fit)
    assert np.array_equal(away.predict(), fit.predict())
    assert np.array_equal(away.simulate(1), fit.simulate(1))
    name = fit.components["term"][0]
    assert away.effects(name).equals(fit.effects(name))
    assert away.augment().equals(fit.augment())
    if rows < 100:
        assert away == fit
