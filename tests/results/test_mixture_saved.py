"""Saved mixtures: what a file holds, and that it comes back equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import varmix as vm
from varmix.results.random_effect_mixture import rows


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    x = rng.standard_normal(300)
    effects = np.where(rng.random(300) < 0.6, 0.1, 1.5) * rng.standard_normal(300)
    return {"y": effects * x + 0.5 * rng.standard_normal(300), "x": x}


@pytest.mark.parametrize("method", ["auto", "npmle"])
def test_a_saved_fit_comes_back_equal(columns: dict[str, np.ndarray], tmp_path: Path, method: str) -> None:
    fit = vm.random_effect_mixture("y", "x", data=columns, method=method, starts=2, rng=1)
    fit.save(tmp_path / "fit.json")
    back = vm.load(tmp_path / "fit.json")
    assert back == fit
    assert back.summary() == fit.summary()
    np.testing.assert_array_equal(back.classes.to_numpy(), fit.classes.to_numpy())


@pytest.mark.parametrize("method", ["auto", "npmle"])
def test_a_long_fit_is_saved_without_its_rows(
    columns: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(rows, "LONGEST", 299)
    fit = vm.random_effect_mixture("y", "x", data=columns, method=method, starts=2, rng=1)
    fit.save(tmp_path / "fit.json")
    back = vm.load(tmp_path / "fit.json")
    assert back == fit
    with pytest.raises(vm.errors.NotAvailableError, match="'classes'"):
        _ = back.classes
    assert len(fit.classes) == 300


@pytest.mark.parametrize("method", ["auto", "npmle"])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_saved_fit_gives_its_effects(
    columns: dict[str, np.ndarray], tmp_path: Path, method: str, grouped: bool
) -> None:
    group = np.repeat([f"g{k}" for k in range(150)], 2) if grouped else None
    fit = vm.random_effect_mixture("y", "x", group, data=columns, method=method, starts=2, rng=1)
    fit.save(tmp_path / "fit.json")
    back = vm.load(tmp_path / "fit.json")
    for sd in (False, True):
        found, expected = back.effects("x", sd=sd), fit.effects("x", sd=sd)
        names = ["group" if grouped else "row", "effect", "sd"][: 2 + sd]
        assert list(found.columns) == list(expected.columns) == names
        np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())
    found["effect"] = 0.0  # what is given is the caller's own
    assert back.effects("x")["effect"].abs().max() > 0.0


@pytest.mark.parametrize("method", ["auto", "npmle"])
def test_a_saved_fit_says_what_it_lacks(
    columns: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    fit = vm.random_effect_mixture("y", "x", data=columns, method=method, starts=2, rng=1)
    fit.save(tmp_path / "fit.json")
    monkeypatch.setattr(rows, "LONGEST", 299)
    fit.save(tmp_path / "long.json")
    back, long = vm.load(tmp_path / "fit.json"), vm.load(tmp_path / "long.json")
    with pytest.raises(vm.errors.OptionError, match="There is no term 'z'"):
        back.effects("z")
    with pytest.raises(vm.errors.NotAvailableError, match=r"more than 299 rows .* Fit again"):
        long.effects("x")
    with pytest.raises(vm.errors.NotAvailableError, match=r"no predictions.*fit.augment"):
        back.predict()
    for act in (back.simulate, back.bootstrap, lambda: back.interval("s"), lambda: back.compare(fit)):
        with pytest.raises(vm.errors.NotAvailableError, match="loaded from a file"):
            act()
