"""A fit that was saved and loaded is the same fit; the file is strict JSON; damaged files are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest

import varmix as vm
from varmix.errors import AlignmentError, FileFormatError, MissingFileError, NotAvailableError, OptionError, ShapeError


@pytest.fixture
def path(told: Any, tmp_path: Path) -> Path:
    target = tmp_path / "fit.json"
    told.fit.save(target)
    return target


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")


def test_a_loaded_fit_equals_the_saved_one_in_every_table(told: Any, path: Path) -> None:
    loaded = vm.load(path)
    assert loaded == told.fit
    assert told.fit == loaded
    for name in told.fit.report.tables:
        pd.testing.assert_frame_equal(
            loaded.table(name), told.fit.table(name), check_index_type=False, check_exact=True
        )
    assert loaded.status is told.fit.status
    assert repr(loaded.certificate) == repr(told.fit.certificate)
    assert repr(loaded.facts) == repr(told.fit.facts)
    assert loaded.summary() == told.fit.summary()
    assert loaded._repr_html_() == told.fit._repr_html_()
    pd.testing.assert_frame_equal(loaded.tidy(), told.fit.tidy())
    pd.testing.assert_frame_equal(loaded.glance(), told.fit.glance())


def test_the_file_is_strict_json(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert document["format"] == "varmix fit"
    assert not list(path.parent.glob("*.partial"))


def test_saving_a_loaded_fit_gives_the_same_file(path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    vm.load(path).save(again)
    assert again.read_bytes() == path.read_bytes()


def test_fits_of_other_data_are_not_equal(narrow: Any, two: Any) -> None:
    assert narrow.fit != two.fit
    assert narrow.fit != "a fit"


def test_a_loaded_fit_predicts_like_the_live_one(told: Any, path: Path) -> None:
    loaded, fit, data = vm.load(path), told.fit, told.data
    np.testing.assert_array_equal(loaded.predict(), fit.predict())
    rng = np.random.default_rng(4)
    parts: dict[str, Any] = {"designs": {}, "kernels": {}}
    for term in fit.components["term"][:-1]:
        width = len(fit.effects(term))
        kernel = fit.report.model.terms[list(fit.components["term"]).index(term)].kind == "kernel"
        parts["kernels" if kernel else "designs"][term] = rng.normal(size=(3, width))
    if fit.facts["response"] == "height":
        new: Any = pd.DataFrame({"age": [0.1, 0.2, 0.3], "sex": ["m", "f", "m"]})
        coded = pd.DataFrame({"age": [0.1, 0.2, 0.3], "sex[T.m]": [1.0, 0.0, 1.0]})
        coded.columns = [name for name in fit.coefficients.index if name != "(Intercept)"]
        expected = fit.predict(new, **parts)
        np.testing.assert_allclose(loaded.predict(coded, **parts), expected, rtol=1e-13)
        with pytest.raises(NotAvailableError, match="formula"):
            loaded.predict(new, **parts)
    else:
        new = rng.normal(size=(3, 2)) if len(fit.coefficients) else None
        np.testing.assert_allclose(loaded.predict(new, **parts), fit.predict(new, **parts), rtol=1e-13)
    for term in fit.components["term"][:-1]:
        pd.testing.assert_frame_equal(loaded.effects(term), fit.effects(term), check_index_type=False)
    assert len(data.y) == len(loaded.predict())


def test_predictions_that_do_not_fit_are_refused_live_and_loaded(two: Any, tmp_path: Path) -> None:
    two.fit.save(tmp_path / "fit.json")
    rng = np.random.default_rng(5)
    Z, X, K = rng.normal(size=(3, 2)), rng.normal(size=(3, 15)), rng.normal(size=(3, 40))
    for fit in (two.fit, vm.load(tmp_path / "fit.json")):
        for new, designs, kernels, error, match in (
            (Z, {"x": X}, {}, OptionError, "needs term 'kin'"),
            (Z, {"x": X, "other": X}, {"kin": K}, OptionError, "no term 'other'"),
            (Z, {"x": X[:2]}, {"kin": K}, ShapeError, "rows"),
            (Z[:2], {"x": X}, {"kin": K}, ShapeError, "2"),
            (Z[:, :1], {"x": X}, {"kin": K}, ShapeError, "column"),
            (Z, {"x": X[:, :4]}, {"kin": K}, AlignmentError, "15"),
            (Z, {"x": X}, {"kin": K[:, :5]}, ShapeError, "40"),
        ):
            with pytest.raises(error, match=match):
                fit.predict(new, designs=designs, kernels=kernels)
        with pytest.raises(OptionError, match="desings"):
            fit.predict(Z, desings={"x": X})


def test_what_needs_the_data_says_so_after_loading(narrow: Any, tmp_path: Path) -> None:
    narrow.fit.save(tmp_path / "fit.json")
    loaded = vm.load(tmp_path / "fit.json")
    for ask in (
        lambda: loaded.interval("x"),
        lambda: loaded.profile("x"),
        lambda: loaded.test("x"),
        lambda: loaded.compare(narrow.fit),
        lambda: loaded.bootstrap(5),
        lambda: loaded.simulate(1),
        lambda: loaded.covariance(),
        lambda: loaded.effects("x", sd=True),
        lambda: loaded.classes,
    ):
        with pytest.raises(NotAvailableError, match="file"):
            ask()
    with pytest.raises(OptionError, match="hold their data"):
        narrow.fit.compare(loaded)


def test_damaged_files_are_refused_and_named(narrow: Any, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    narrow.fit.save(path)
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    damaged: list[str | bytes] = [
        "", "null", "[1, 2]", "{}", text[: len(text) // 2], b"\xff\xfe\x00broken", json.dumps({"format": "other"}),
        json.dumps(document | {"version": 99}), json.dumps(document | {"version": "1"}),
        json.dumps(document | {"status": "SPLENDID"}),
        json.dumps({key: value for key, value in document.items() if key != "tables"}),
        json.dumps(document | {"certificate": {}}),
        json.dumps(document | {"certificate": None}),
        text.replace('"frame"', '"frame", "x": 0, "y"'),
        json.dumps(document | {"facts": [1]}),
        json.dumps(document | {"tables": [1]}),
    ]  # fmt: skip
    for content in damaged:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(FileFormatError, match=r"fit\.json"):
            vm.load(path)
    with pytest.raises(MissingFileError, match="nowhere"):
        vm.load(tmp_path / "nowhere.json")
    with pytest.raises(MissingFileError):
        vm.load(tmp_path)


def test_names_survive_whatever_they_are(tmp_path: Path, narrow: Any) -> None:
    data = narrow.data
    name = 'naïve "quoted" <b>\\ \n№1'
    fit = vm.variance_components(data.y, designs={name: data.X[0]}, covariates=data.covariates)
    fit.save(tmp_path / "fit.json")
    loaded = vm.load(tmp_path / "fit.json")
    assert loaded == fit
    assert loaded.components["term"][0] == name


@pytest.mark.parametrize(
    ("place", "error", "reason"),
    [
        ("folder", OptionError, "is a folder.*fit.json"),
        (".", OptionError, "is a folder"),
        ("absent/fit.json", MissingFileError, "no folder '.*absent'"),
        ("taken/fit.json", MissingFileError, "no folder"),
        ("f" * 300, OptionError, "cannot be written"),
        ("f\0", OptionError, "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_named_and_left_as_it_was(
    told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: type[Exception], reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "taken").write_text("before")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=reason):
        told.fit.save(place)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["folder", "taken"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    told: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_text()

    def full(self: Path, target: Path) -> NoReturn:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OptionError, match="No space left"):
        told.fit.save(path)
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]
