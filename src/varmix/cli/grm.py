"""`varmix grm`: a relationship matrix in GCTA's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import typer

from varmix.cli.choices import ScalingChoice
from varmix.cli.folder import make_folder
from varmix.cli.terminal import reading
from varmix.genotype import open_plink, standardise, write_grm


def write_relationships(bfile: str, out: Path, scaling: ScalingChoice, *, threads: int | None, quiet: bool) -> None:
    """Standardise every variant over all people, sum and write OUT.grm.bin, OUT.grm.N.bin, OUT.grm.id [VC-1].

    Missing calls take the mean of their variant, and every entry counts all variants that vary. Raises what
    `open_plink`, `standardise` and `write_grm` raise.
    """
    source = open_plink(bfile, num_threads=threads)
    make_folder(out.parent)
    with reading(source.n_variants, quiet=quiet) as tick:
        design = standardise(source, scaling=scaling.value, tick=tick)
        relationships = np.zeros((design.n, design.n))
        design.gram_into(relationships)
    write_grm(out, relationships, source.sample_ids, float(design.p))
    if not quiet:
        dropped = source.n_variants - design.p
        typer.echo(
            f"{design.n:,} people, {design.p:,} variants ({dropped:,} that do not vary left out; "
            f"{design.counts.get('missing calls imputed', 0):,} missing calls took the mean of their variant).\n"
            f"Mean of the diagonal {np.mean(relationships.diagonal()):.6f}.\n"
            f"Written: {', '.join(f'{out}{end}' for end in ('.grm.bin', '.grm.N.bin', '.grm.id'))}"
        )
