"""Writes the demonstration data: `python -m varmix.datasets.make_demo` (the files of the package are its output).

600 unrelated people and 1,200 variants in blocks of linkage disequilibrium on four chromosomes; `height` with a
heritability of 0.5 and `bmi` with 0.25, both with effects of sex and age. The variants of the set `genic` carry three
times the variance of the others. Some calls and some measurements are missing, and one variant does not vary.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from varmix.typing import Mask, Matrix, Vector

SEED: Final = 20
PEOPLE: Final = 600
VARIANTS: Final = 1200
BLOCK: Final = 20
"""Variants in one block of linkage disequilibrium; blocks are independent."""
NEIGHBOURS: Final = 0.85
"""Correlation of neighbours within a block, on the scale of the hidden normal variable."""
CHROMOSOMES: Final = 4
MISSING_CALLS: Final = 0.002
MONOMORPHIC: Final = 777
"""Position of the variant that does not vary."""
GENIC_SHARE: Final = 0.2
GENIC_WEIGHT: Final = 3.0
MISSING_VALUES: Final = 12
"""People without a measurement, drawn per trait."""
BED_CODES: Final = np.array([3, 2, 0, 1], dtype=np.uint8)
"""PLINK's two bits for 0, 1, 2 copies of allele 1, and for a missing call."""
NAME: Final = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """How a trait is made: share of the variance from genotypes, centre, spread, and the covariates' effects."""

    name: str
    heritability: float
    mean: float
    sd: float
    male: float
    per_year: float


TRAITS: Final = (
    Trait(name="height", heritability=0.5, mean=166.0, sd=6.0, male=12.0, per_year=-0.06),
    Trait(name="bmi", heritability=0.25, mean=25.0, sd=3.5, male=0.8, per_year=0.04),
)


def write_demo(folder: Path) -> None:
    """Simulate and write demo.bed, .bim, .fam, .pheno.tsv, .covar.tsv and .sets into `folder`."""
    rng = np.random.default_rng(SEED)
    counts = _genotypes(rng)
    genic = rng.random(VARIANTS) < GENIC_SHARE
    male, age = rng.random(PEOPLE) < 0.5, rng.integers(25, 76, size=PEOPLE)
    traits = [_trait(trait, counts, genic, male, age.astype(np.float64), rng) for trait in TRAITS]
    calls = np.where(rng.random(counts.shape) < MISSING_CALLS, 3, counts).astype(np.uint8)
    _write_bed(folder / f"{NAME}.bed", calls)
    _write_variants(folder, genic, rng)
    people = [f"F{number // 2 + 1:03d}\tP{number + 1:03d}" for number in range(PEOPLE)]
    _write(
        folder / f"{NAME}.fam",
        [f"{who}\t0\t0\t{2 - int(is_male)}\t-9" for who, is_male in zip(people, male, strict=True)],
    )
    rows = ["\t".join(_cell(values[at]) for values in traits) for at in range(PEOPLE)]
    header = "\t".join(trait.name for trait in TRAITS)
    _write(
        folder / f"{NAME}.pheno.tsv",
        [f"FID\tIID\t{header}", *(f"{who}\t{row}" for who, row in zip(people, rows, strict=True))],
    )
    sexes = np.where(male, "male", "female")
    covariates = [f"{who}\t{sex}\t{years}" for who, sex, years in zip(people, sexes, age, strict=True)]
    _write(folder / f"{NAME}.covar.tsv", ["FID\tIID\tsex\tage", *covariates])


def _genotypes(rng: np.random.Generator) -> Matrix:
    """Counts of the rarer allele, shape (people, variants): two haplotypes, each a thresholded autoregression."""
    frequency = rng.beta(0.5, 0.5, size=VARIANTS)
    frequency = np.clip(np.minimum(frequency, 1.0 - frequency), 0.01, 0.5)
    hidden = rng.standard_normal((2, PEOPLE, VARIANTS))
    for at in range(VARIANTS):
        if at % BLOCK:
            hidden[:, :, at] = NEIGHBOURS * hidden[:, :, at - 1] + np.sqrt(1.0 - NEIGHBOURS**2) * hidden[:, :, at]
    counts: Matrix = (hidden < ndtri(frequency)).sum(axis=0).astype(np.float64)
    counts[:, MONOMORPHIC] = 0.0
    return counts


def _trait(trait: Trait, counts: Matrix, genic: Mask, male: Mask, age: Vector, rng: np.random.Generator) -> Vector:
    """Measurements with one decimal, shape (people,), NaN where missing; shares hold exactly in the sample."""
    sd = counts.std(axis=0)
    X = (counts - counts.mean(axis=0)) / np.where(sd > 0.0, sd, 1.0)
    effects = rng.standard_normal(VARIANTS) * np.where(genic, np.sqrt(GENIC_WEIGHT), 1.0)
    genetic, noise = _standard(X @ effects), _standard(rng.standard_normal(PEOPLE))
    hidden = np.sqrt(trait.heritability) * genetic + np.sqrt(1.0 - trait.heritability) * noise
    values = trait.mean + trait.male * male + trait.per_year * (age - 50.0) + trait.sd * hidden
    values = np.round(values, 1)
    values[rng.choice(PEOPLE, size=MISSING_VALUES, replace=False)] = np.nan
    return np.asarray(values)


def _standard(values: Vector) -> Vector:
    return np.asarray((values - values.mean()) / values.std())


def _write_bed(path: Path, calls: NDArray[np.uint8]) -> None:
    codes = np.zeros((VARIANTS, -(-PEOPLE // 4) * 4), dtype=np.uint8)
    codes[:, :PEOPLE] = BED_CODES[calls].T
    quads = codes.reshape(VARIANTS, -1, 4)
    packed = quads[:, :, 0] | quads[:, :, 1] << 2 | quads[:, :, 2] << 4 | quads[:, :, 3] << 6
    path.write_bytes(b"\x6c\x1b\x01" + packed.astype(np.uint8).tobytes())


def _write_variants(folder: Path, genic: Mask, rng: np.random.Generator) -> None:
    per_chromosome = VARIANTS // CHROMOSOMES
    lines = []
    for at in range(VARIANTS):
        chromosome, within = at // per_chromosome + 1, at % per_chromosome
        position = 100_000 * (within // BLOCK + 1) + 1_500 * (within % BLOCK) + int(rng.integers(1_000))
        alleles = rng.choice(["A\tG", "C\tT", "A\tC", "G\tT"])
        lines.append(f"{chromosome}\tv{at + 1:04d}\t0\t{position}\t{alleles}")
    _write(folder / f"{NAME}.bim", lines)
    _write(folder / f"{NAME}.sets", ["genic", *(f"v{at + 1:04d}" for at in np.flatnonzero(genic)), "END"])


def _cell(value: float) -> str:
    return "NA" if np.isnan(value) else f"{value:.1f}"


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_demo(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / NAME)
