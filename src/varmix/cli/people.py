"""Phenotype and covariate files joined into one table."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from varmix.cli.terminal import note
from varmix.errors import OptionError, VarmixWarning, warn
from varmix.tables.alignment import align
from varmix.tables.people import TableKind, read_table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """FID, IID, the traits asked for and the covariates, one row per line of the phenotype file, in its order."""

    table: pd.DataFrame = field(repr=False)
    traits: tuple[str, ...]
    covariates: tuple[str, ...]
    source: str
    """Name of the phenotype file."""

    @property
    def known(self) -> pd.DataFrame | None:
        """The covariates, row by row; None without any."""
        return self.table[list(self.covariates)] if self.covariates else None


def read_people(
    pheno: Path,
    covar: Path | None,
    *,
    traits: Sequence[str] = (),
    covariates: Sequence[str] = (),
    categorical: Sequence[str] = (),
    header: bool = True,
    minus_nine_is_missing: bool = False,
    every_trait: bool = False,
) -> People:
    """Read and join; without `traits` the only one of the file, or with `every_trait` all.

    People without a line in the covariate file get missing covariates and are counted by the fit.
    Raises what `read_table` and `align` raise, and OptionError for columns that are not there.
    """
    table = _read(pheno, "phenotype", traits, header=header, minus_nine_is_missing=minus_nine_is_missing)
    names = tuple(str(name) for name in table.columns[2:])
    wanted = tuple(traits) or (names if every_trait else _only_trait(names, pheno))
    _check_there(wanted, table, pheno, "--trait")
    table = table[["FID", "IID", *wanted]]
    chosen: tuple[str, ...] = ()
    if covar is None:
        if covariates or categorical:
            raise OptionError("--covar-names and --categorical choose columns of a file: give it with --covar.")
    else:
        extra = _read(
            covar,
            "covariate",
            covariates,
            header=header,
            minus_nine_is_missing=minus_nine_is_missing,
            categorical=categorical,
        )
        chosen = tuple(covariates) or tuple(str(name) for name in extra.columns[2:])
        _check_there(chosen, extra, covar, "--covar-names")
        both = [name for name in chosen if name in wanted]
        if both:
            raise OptionError(f"'{both[0]}' is the trait and a covariate. Choose covariates with --covar-names.")
        table = _joined(table, extra[["FID", "IID", *chosen]], pheno, covar)
    return People(table=table, traits=wanted, covariates=chosen, source=pheno.name)


def _read(
    path: Path,
    kind: TableKind,
    asked: Sequence[str],
    *,
    header: bool,
    minus_nine_is_missing: bool,
    categorical: Sequence[str] = (),
) -> pd.DataFrame:
    """As `read_table`, without the warnings about columns that are not asked for."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VarmixWarning)
        table = read_table(
            path,
            kind,
            header=header,
            minus_nine_is_missing=minus_nine_is_missing,
            categorical=categorical,
            wanted=tuple(asked) or None,
        )
    for warning in caught:
        if not asked or any(f"column '{name}'" in str(warning.message) for name in asked):
            warn(warning.message)
    return table


def _only_trait(names: tuple[str, ...], path: Path) -> tuple[str, ...]:
    if len(names) != 1:
        raise OptionError(f"{path} has {len(names)} traits: {', '.join(names)}. Choose with --trait.")
    return names


def _check_there(names: Sequence[str], table: pd.DataFrame, path: Path, option: str) -> None:
    available = [str(name) for name in table.columns[2:]]
    for name in names:
        if name not in available:
            near = difflib.get_close_matches(name, available, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise OptionError(f"{option} {name}: {path} has no such column.{hint} It has: {', '.join(available)}.")
    repeated = [name for at, name in enumerate(names) if name in names[:at]]
    if repeated:
        raise OptionError(f"{option} names '{repeated[0]}' twice. Name every column once.")


def _joined(table: pd.DataFrame, extra: pd.DataFrame, pheno: Path, covar: Path) -> pd.DataFrame:
    left, right = str(pheno), str(covar)
    if pheno.resolve() == covar.resolve():
        return pd.concat([table, extra.iloc[:, 2:]], axis=1)
    alignment = align({left: table[["FID", "IID"]], right: extra[["FID", "IID"]]})
    rows = np.full(len(table), -1, dtype=np.intp)
    rows[alignment.positions[left]] = alignment.positions[right]
    if alignment.lost[left]:
        note(
            f"{alignment.lost[left]:,} of {len(table):,} people of {pheno.name} have no line in {covar.name} (first: "
            f"'{alignment.first_lost[left]}') and are dropped. {alignment.advice}".rstrip()
        )
    values = extra.iloc[:, 2:].reset_index(drop=True).reindex(rows).reset_index(drop=True)
    return pd.concat([table.reset_index(drop=True), values], axis=1)
