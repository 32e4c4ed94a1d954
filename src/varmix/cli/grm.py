"""`varmix grm`: a relationship matrix in GCTA's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import typer

from varmix.cli.choices import ScalingChoice
from varmix.cli.folder import make_folder
from varmix.cli.terminal import reading
from varmix.genotype import open_plink, relationship_matrix, write_grm


def write_relationships(bfile: str, out: Path, scaling: ScalingChoice, *, threads: int | None, quiet: bool) -> None:
    """Write OUT.grm.bin, OUT.grm.N.bin and OUT.grm.id: every pair of people over the variants that both have.

    Raises what `open_plink`, `relationship_matrix` and `write_grm` raise.
    """
    source = open_plink(bfile, num_threads=threads)
    make_folder(out.parent)
    with reading(source.n_variants, quiet=quiet, then="Writing") as tick:
        matrix = relationship_matrix(source, scaling=scaling.value, tick=tick)
    counts, used = matrix.variant_counts, matrix.n_variants
    written = write_grm(out, matrix.values, matrix.sample_ids, counts)
    if quiet or counts is None or used is None:
        return
    shared = f", {counts.min():,.0f} to {counts.max():,.0f} shared by a pair of people" if counts.min() < used else ""
    typer.echo(
        f"{matrix.n_samples:,} people, {used:,} variants ({source.n_variants - used:,} that do not vary left out)"
        f"{shared}.\n"
        f"Mean of the diagonal {np.mean(matrix.values.diagonal()):.6f}.\n"
        f"Written: {', '.join(map(str, written))}"
    )
