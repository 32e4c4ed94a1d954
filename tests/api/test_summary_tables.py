"""Tables, labels and files of z scores as people have them: found, joined by id, dropped with counts, or refused."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import varmix as vm
from varmix.errors import (
    AlignmentError,
    DataError,
    MissingFileError,
    NotFiniteError,
    OptionError,
    RepairWarning,
    ShapeError,
)
from varmix.models.linear.correlation.alleles import match_studies
from varmix.models.linear.correlation.ld import LdScores

P = 60
IDS = [f"rs{j}" for j in range(P)]
rng = np.random.default_rng(11)
G = rng.binomial(2, 0.3, size=(150, P)).astype(float)
PANEL = vm.ArraySource(G, names=IDS)
Z1 = 2.0 * rng.normal(size=P)
Z2 = 0.5 * Z1 + rng.normal(size=P)
FIRST = pd.DataFrame({"id": IDS, "a1": "A", "a2": "G", "z": Z1, "n": 1e4})
SECOND = FIRST.assign(z=Z2, n=2e4)
LDSC = {"id": "SNP", "a1": "A1", "a2": "A2", "z": "Z", "n": "N"}


def estimates(*given: object, **options: object) -> np.ndarray:
    options = {"blocks": 10, **options}
    fit = vm.genetic_correlation_from_summaries(*given, **options)
    return np.append(fit.components["estimate"], fit.correlation["estimate"])


def dense(keep: np.ndarray, z1: np.ndarray = Z1, z2: np.ndarray = Z2) -> np.ndarray:
    """[VC-8] with intercepts 1, 1, 0 by hand: correlations of the whole panel, sums over the variants kept."""
    R2 = np.corrcoef(G.T) ** 2
    scores = R2.sum(axis=1)
    scores = scores - (P - scores) / (len(G) - 2)
    n1, n2 = 1e4, 2e4
    u = scores[keep].sum() / P
    h1 = (z1[keep] @ z1[keep] - keep.sum()) / (n1 * u)
    h2 = (z2[keep] @ z2[keep] - keep.sum()) / (n2 * u)
    cov = z1[keep] @ z2[keep] / (np.sqrt(n1 * n2) * u)
    return np.array([h1, h2, cov, cov / np.sqrt(h1 * h2)])


ALL = np.ones(P, dtype=bool)


@pytest.mark.parametrize(
    "read",
    [
        pl.from_pandas,
        pa.Table.from_pandas,
        lambda table: table.to_dict("list"),
        lambda table: table.rename(columns=LDSC),
        lambda table: table.rename(columns={"id": "#rsID", "a1": "effect_allele", "a2": "Other_Allele"}),
        lambda table: table.set_index("id"),
        lambda table: table.astype({"z": object, "n": object, "a1": "category"}),
        lambda table: table.assign(a1="a", a2="g"),
        lambda table: table.astype({"z": str}),
    ],
    ids=["polars", "pyarrow", "mapping", "ldsc", "synonyms", "index", "objects", "lower case", "text of numbers"],
)
def test_usual_tables_give_the_numbers_of_a_dense_computation(read: Callable[[pd.DataFrame], object]) -> None:
    expected = dense(ALL)
    # Sums of 60 terms: 1e-9 is far above their rounding.
    np.testing.assert_allclose(estimates(read(FIRST), read(SECOND), PANEL), expected, rtol=1e-9)
    np.testing.assert_allclose(estimates(FIRST, read(SECOND), PANEL), expected, rtol=1e-9)


@pytest.mark.parametrize("suffix", [".sumstats", ".sumstats.gz"])
def test_files_of_ldsc_are_read_and_their_empty_rows_dropped(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"study{suffix}"
    table = FIRST.rename(columns=LDSC).astype({"N": object})
    table.loc[[3, 8], ["A1", "A2", "Z", "N"]] = None  # LDSC writes variants of its list that a study lacks so
    table.to_csv(path, sep="\t", index=False)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == (suffix.endswith("gz"))
    keep = ALL.copy()
    keep[[3, 8]] = False
    with pytest.warns(RepairWarning, match="first study: 2 of 60 rows were dropped"):
        found = estimates(path, SECOND, PANEL)
    np.testing.assert_allclose(found, dense(keep), rtol=1e-9)
    with pytest.warns(RepairWarning):
        np.testing.assert_array_equal(estimates(str(path), SECOND, PANEL), found)
    with pytest.raises(MissingFileError, match="is not there"):
        estimates(tmp_path / "other.sumstats", SECOND, PANEL)


def test_a_file_with_a_cell_that_is_no_number_tells_the_line(tmp_path: Path) -> None:
    path = tmp_path / "study.sumstats.gz"
    with gzip.open(path, "wt") as file:
        file.write("SNP\tA1\tA2\tZ\tN\nrs0\tA\tG\t1.5\t50,000\n")
    with pytest.raises(DataError, match="line 2, column 'N': '50,000'"):
        estimates(path, SECOND, PANEL)


@pytest.mark.parametrize("cell", [None, np.nan, ".", "", "NA", "0"])
@pytest.mark.parametrize("role", ["a1", "a2"])
def test_rows_without_an_allele_are_dropped_and_counted(role: str, cell: object) -> None:
    table = SECOND.assign(**{role: [cell, *SECOND[role][1:]]})
    keep = ALL.copy()
    keep[0] = False
    with pytest.warns(RepairWarning, match=rf"second study: 1 of 60 rows were dropped \({role} missing in 1\)"):
        fit = vm.genetic_correlation_from_summaries(FIRST, table, PANEL, blocks=10)
    np.testing.assert_allclose(fit.components["estimate"], dense(keep)[:3], rtol=1e-9)
    counts = fit.sample.set_index("cause")["count"]
    assert counts["dropped from the second, incomplete"] == 1
    assert counts["variants in the second"] == P
    assert counts["variants shared"] == counts["variants used"] == P - 1


@pytest.mark.parametrize("role", ["id", "z", "n"])
def test_rows_without_id_z_or_n_are_dropped_and_counted(role: str) -> None:
    table = FIRST.astype({role: object})
    table.loc[[5, 6], role] = None
    keep = ALL.copy()
    keep[[5, 6]] = False
    for given in (table, pl.from_pandas(FIRST).with_columns(pl.Series(role, table[role].tolist()))):
        with pytest.warns(RepairWarning, match=rf"first study: 2 of 60 rows were dropped \({role} missing in 2\)"):
            found = estimates(given, SECOND, PANEL)
        np.testing.assert_allclose(found, dense(keep), rtol=1e-9)
    with pytest.raises(DataError, match=rf"no complete row \({role} missing in 60\)"):
        estimates(FIRST.assign(**{role: None}), SECOND, PANEL)


@pytest.mark.parametrize("cell", [".", "50,000", "1_000", "x", True, 1j, pd.Timestamp("2020-01-01")])
@pytest.mark.parametrize("role", ["z", "n"])
def test_cells_that_are_no_numbers_are_refused_with_study_column_and_row(role: str, cell: object) -> None:
    table = SECOND.astype({role: object})
    table.loc[7, role] = cell
    with pytest.raises(DataError, match=rf"second study, column {role} \('{role}'\), row 7 .* is not a number"):
        estimates(FIRST, table, PANEL)


def test_infinite_z_and_sizes_that_are_not_positive_are_refused_with_row_and_id() -> None:
    for value in (np.inf, -np.inf):
        with pytest.raises(NotFiniteError, match=r"first study, column z, row 9 .*'rs9'.*infinite"):
            estimates(FIRST.assign(z=np.where(np.arange(P) == 9, value, Z1)), SECOND, PANEL)
    for value in (0.0, -9.0, np.inf):
        with pytest.raises(NotFiniteError, match=r"second study, column n, row 4 .*'rs4'.*positive"):
            estimates(FIRST, SECOND.assign(n=np.where(np.arange(P) == 4, value, 5.0)), PANEL)


def test_columns_that_are_absent_or_there_twice_are_refused() -> None:
    with pytest.raises(AlignmentError, match=r"second study has no column a1, z\. It needs id, a1, a2, z, n"):
        estimates(FIRST, SECOND.drop(columns=["a1", "z"]), PANEL)
    with pytest.raises(DataError, match="first study has two columns that could be id: 'id' and 'SNP'"):
        estimates(FIRST.assign(SNP=IDS), SECOND, PANEL)
    with pytest.raises(DataError, match="two columns of the same name"):
        estimates(pd.concat([FIRST, FIRST[["z"]]], axis=1), SECOND, PANEL)


def test_sizes_come_from_the_table_or_from_the_call_and_not_from_both() -> None:
    bare = FIRST.drop(columns="n")
    expected = dense(ALL)
    by_id = pd.Series(1e4, index=IDS[::-1])
    for n1 in (10_000, np.full(P, 1e4), by_id):
        np.testing.assert_allclose(estimates(bare, SECOND, PANEL, n1=n1), expected, rtol=1e-9)
    with pytest.raises(OptionError, match="first study has sample sizes in its column n, and others were passed"):
        estimates(FIRST, SECOND, PANEL, n1=10_000)
    with pytest.raises(AlignmentError, match="first study has no column n"):
        estimates(bare, SECOND, PANEL)
    with pytest.raises(ShapeError, match=r"first study have shape \(3,\)"):
        estimates(bare, SECOND, PANEL, n1=[1.0, 2.0, 3.0])


def test_sizes_with_ids_go_to_their_variants() -> None:
    sizes = pd.Series(rng.uniform(1e4, 2e4, size=P), index=IDS)
    expected = estimates(FIRST.assign(n=sizes.to_numpy()), SECOND, PANEL)
    order = rng.permutation(P)
    np.testing.assert_array_equal(
        estimates(FIRST.drop(columns="n").iloc[order], SECOND, PANEL, n1=sizes.sort_values()), expected
    )


def test_ids_compare_as_text_whatever_their_type() -> None:
    whole = np.arange(P)
    text = [str(at) for at in whole]
    expected = dense(ALL)
    for names in (text, whole, whole.astype(float)):
        panel = vm.ArraySource(G, names=names)
        for ids in (text, whole, whole.astype(float), pd.array(whole, dtype="Int64")):
            found = estimates(FIRST.assign(id=ids), SECOND.assign(id=text), panel)
            np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_large_integer_ids_stay_apart() -> None:
    ids = 2**60 + np.arange(P)  # float64 would merge neighbours
    panel = vm.ArraySource(G, names=[str(at) for at in ids])
    for table in (SECOND.assign(id=ids), pl.from_pandas(SECOND.assign(id=ids))):
        np.testing.assert_allclose(estimates(FIRST.assign(id=ids), table, panel), dense(ALL), rtol=1e-9)


def test_no_shared_id_is_told_with_the_first_of_both() -> None:
    with pytest.raises(AlignmentError, match=r"No id is in both studies .*'rs0'.*'c0'"):
        estimates(FIRST, SECOND.assign(id=[f"c{j}" for j in range(P)]), PANEL)
    other = vm.ArraySource(G, names=[f"c{j}" for j in range(P)])
    with pytest.raises(AlignmentError, match=r"None of the 60 ids of the studies is in the panel .*'rs0' and 'c0'"):
        estimates(FIRST, SECOND, other)


def test_ids_listed_twice_are_refused_where_they_are_complete_and_asked_for() -> None:
    twice = SECOND.assign(id=["rs1", *IDS[1:]])
    with pytest.raises(AlignmentError, match=r"second study lists 1 variants twice .*'rs1', in row 1"):
        estimates(FIRST, twice, PANEL)
    keep = ALL.copy()
    keep[0] = False
    with pytest.warns(RepairWarning, match="z missing in 1"):  # one of the two has no z: the other one is used
        found = estimates(FIRST, twice.assign(z=[np.nan, *Z2[1:]]), PANEL)
    np.testing.assert_allclose(found, dense(keep), rtol=1e-9)
    panel = vm.ArraySource(np.column_stack([G, G[:, 0], G[:, 1]]), names=[*IDS, ".", "."])
    assert np.isfinite(estimates(FIRST, SECOND, panel)).all()  # variants without a name that nobody asks for
    panel = vm.ArraySource(np.column_stack([G, G[:, 0]]), names=[*IDS, "rs5"])
    with pytest.raises(AlignmentError, match=r"panel lists variant ids twice .*'rs5'"):
        estimates(FIRST, SECOND, panel)


def test_insertions_and_capitals_match_as_they_are_written() -> None:
    first = FIRST.iloc[:4].assign(a1=["a", "AT", "I", "a"], a2=["G", "A", "D", "t"])
    second = SECOND.iloc[:4].assign(a1=["A", "a", "D", "A"], a2=["g", "at", "I", "T"])
    matched = match_studies(first, second)
    assert list(matched.ids) == ["rs0", "rs1", "rs2"]
    np.testing.assert_array_equal(matched.z2, Z2[:3] * [1.0, -1.0, -1.0])
    assert matched.counts["dropped as ambiguous"] == 1


def test_series_are_joined_to_the_panel_by_their_index() -> None:
    first, second = pd.Series(Z1, index=IDS), pd.Series(Z2, index=IDS)
    options = {"n1": 1e4, "n2": 2e4}
    expected = dense(ALL)
    for z1 in (first, first.sort_values(), first.iloc[::-1]):
        for z2 in (second, second.sort_values(), Z2, pl.Series(Z2), pd.Series(Z2)):
            np.testing.assert_allclose(estimates(z1, z2, PANEL, **options), expected, rtol=1e-9)
    sizes = pd.Series(np.full(P, 1e4), index=IDS)
    np.testing.assert_allclose(estimates(first, Z2, PANEL, n1=sizes.iloc[::-1], n2=2e4), expected, rtol=1e-9)
    fit = vm.genetic_correlation_from_summaries(
        pd.concat([first.iloc[10:], pd.Series([3.0], index=["other"])]), second.iloc[:50], PANEL, blocks=5, **options
    )
    keep = ALL.copy()
    keep[:10] = keep[50:] = False
    np.testing.assert_allclose(fit.components["estimate"], dense(keep)[:3], rtol=1e-9)
    counts = fit.sample.set_index("cause")["count"]
    assert counts["in the first and not in the panel"] == 1
    assert counts["variants used"] == 40


def test_series_that_do_not_fit_are_refused_and_never_taken_by_position() -> None:
    first, second = pd.Series(Z1, index=IDS), pd.Series(Z2, index=IDS)
    options = {"n1": 1e4, "n2": 2e4}
    shifted = pd.Series(Z2).sort_values()  # numbers of rows in another order
    with pytest.raises(AlignmentError, match="None of the 60 ids of the index of z of the second study"):
        estimates(first, shifted, PANEL, **options)
    for ld in (G, np.ones(P), LdScores.single(np.ones(P))):
        with pytest.raises(AlignmentError, match="indices of z of the first study and z of the second study differ"):
            estimates(first, second.iloc[::-1], ld, **options)
        with pytest.raises(AlignmentError, match="differ"):
            estimates(pd.Series(Z1), shifted, ld, **options)
        with pytest.raises(AlignmentError, match="numbers of rows in another order"):
            estimates(Z1, shifted, ld, **options)
    np.testing.assert_allclose(estimates(first, second, G, **options), dense(ALL), rtol=1e-9)
    with pytest.raises(AlignmentError, match="index of z of the first study lists variant ids twice"):
        estimates(pd.Series(Z1, index=["rs1", *IDS[1:]]), Z2, PANEL, **options)
    with pytest.raises(ShapeError, match="z of the second study has shape"):
        estimates(first.iloc[:40], Z2[:40], PANEL, **options)
    with pytest.raises(AlignmentError, match="n1 has no entry for 1 of 60 variants"):
        estimates(first, Z2, PANEL, n1=pd.Series(1e4, index=IDS[1:]), n2=2e4)
    with pytest.raises(AlignmentError, match="a vector has no alleles"):
        estimates(FIRST, second, PANEL, n2=2e4)
    with pytest.raises(DataError, match="z of the first study holds text"):
        estimates(first.astype(str), Z2, PANEL, **options)


def test_masked_scores_are_missing_and_not_what_lies_behind_the_mask() -> None:
    hidden = np.ma.masked_array(Z1, mask=np.arange(P) == 4)
    for ld in (PANEL, G, np.ones(P)):
        with pytest.raises(NotFiniteError, match="variant 4"):
            estimates(hidden, Z2, ld, n1=1e4, n2=2e4)


def test_ld_scores_with_ids_are_joined_by_them() -> None:
    R2 = np.corrcoef(G.T) ** 2
    raw = R2.sum(axis=1)
    scores = raw - (P - raw) / (len(G) - 2)
    order = rng.permutation(P)
    series = pd.Series(scores, index=IDS).iloc[order]
    frame = pd.DataFrame({"CHR": 1, "SNP": IDS, "BP": np.arange(P), "L2": scores}).iloc[order]
    expected = dense(ALL)
    for ld in (series, frame, pl.from_pandas(frame)):
        np.testing.assert_allclose(estimates(FIRST, SECOND, ld), expected, rtol=1e-9)
        by_label = estimates(pd.Series(Z1, index=IDS), pd.Series(Z2, index=IDS), ld, n1=1e4, n2=2e4)
        np.testing.assert_allclose(by_label, expected, rtol=1e-9)
        np.testing.assert_allclose(estimates(Z1[order], Z2[order], ld, n1=1e4, n2=2e4), expected, rtol=1e-9)
    with pytest.raises(AlignmentError, match="this LD does not have"):
        estimates(FIRST, SECOND, pd.Series(scores))


def test_whole_tables_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimates(FIRST, SECOND, PANEL)
