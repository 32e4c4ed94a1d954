"""The data sets that ship with the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pandas as pd

from varmix.errors import MissingFileError
from varmix.tables.people import read_table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Demo:
    """Simulated people with genotypes and two traits; see `varmix.datasets.make_demo` for the truth behind them.

    `bfile` is the prefix of the PLINK files, `pheno`, `covar` and `sets` are paths. `people` has 600 rows: FID, IID,
    height (cm), bmi (kg/m2), sex and age (years), NaN where a trait is missing.
    """

    bfile: Path
    pheno: Path
    covar: Path
    sets: Path
    people: pd.DataFrame = field(repr=False)


def load_demo() -> Demo:
    """The demonstration data: `vm.variance_components("height ~ sex + age", demo.people, designs={"snps":
    vm.open_plink(demo.bfile)})`.

    Raises MissingFileError when the package was installed without its data.
    """
    folder = Path(str(files("varmix.datasets"))) / "demo"
    bfile, pheno, covar, sets = (folder / f"demo{end}" for end in ("", ".pheno.tsv", ".covar.tsv", ".sets"))
    needed = [*(folder / f"demo{end}" for end in (".bed", ".bim", ".fam")), pheno, covar, sets]
    absent = [path.name for path in needed if not path.is_file()]
    if absent:
        raise MissingFileError(
            f"{', '.join(absent)} of the demonstration data is not in {folder}. Install varmix again."
        )
    people = read_table(pheno).merge(
        read_table(covar, "covariate"), on=["FID", "IID"], how="left", validate="one_to_one"
    )
    return Demo(bfile=bfile, pheno=pheno, covar=covar, sets=sets, people=people)
