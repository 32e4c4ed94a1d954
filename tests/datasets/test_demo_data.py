"""The data that ship with the package."""

from __future__ import annotations

import numpy as np

import varmix as vm
from varmix.datasets import load_demo
from varmix.datasets.make_demo import write_demo


def test_the_script_writes_the_files_that_ship(tmp_path):
    write_demo(tmp_path)
    folder = load_demo().bfile.parent
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in folder.iterdir())
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_demo_is_small():
    assert sum(path.stat().st_size for path in load_demo().bfile.parent.iterdir()) < 300_000


def test_demo_has_what_real_data_have():
    demo = load_demo()
    source = vm.open_plink(demo.bfile)
    calls = source.read(None, 0, source.n_variants)
    assert calls.shape == (600, 1200)
    frequency = np.nanmean(calls, axis=0) / 2
    assert (frequency == 0).sum() == 1
    assert frequency.max() <= 0.55
    assert (frequency < 0.1).mean() > 0.3  # U-shape: rare variants are many
    assert 0.001 < np.isnan(calls).mean() < 0.003
    correlation = np.corrcoef(np.nan_to_num(calls[:, 600:620]).T)
    distant = np.corrcoef(np.nan_to_num(calls[:, 0:1200:40]).T)
    assert np.abs(correlation[np.triu_indices(20, 1)]).mean() > 3 * np.abs(distant[np.triu_indices(30, 1)]).mean()
    assert list(demo.people.columns) == ["FID", "IID", "height", "bmi", "sex", "age"]
    assert demo.people["height"].isna().sum() == 12
