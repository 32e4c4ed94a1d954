"""The program `varmix`: its commands and their options."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from varmix import __version__
from varmix.cli.choices import (
    Acceleration,
    CriterionChoice,
    ErrorsChoice,
    Method,
    NegativeEigenvaluesChoice,
    ReferenceChoice,
    ScalingChoice,
    TracesChoice,
)
from varmix.cli.effects import effects, effects_plan
from varmix.cli.partitions import partitions
from varmix.cli.terminal import session

app = typer.Typer(
    name="varmix",
    help="Variance components from genotypes: REML, ML and moments, by Newton, EM, PX-EM or MM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FILES = "Files"
FITTING = "Fitting"
OUTPUT = "Output"


def main() -> None:
    """Run the program. Exit codes: 0 done, 2 usage, 3 files or data, 4 fit without its certificate, 130 interrupted."""
    app(prog_name="varmix")


def _part(name: str) -> Any:
    """A module of the command line, imported when its command runs: --help and --version then stay instant."""
    return import_module(f"varmix.cli.{name}")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"varmix {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Variance components from genotypes: REML, ML and moments, by Newton, EM, PX-EM or MM."""


@app.command()
def vc(
    pheno: Annotated[
        Path, typer.Option(help="Traits: columns FID, IID and one per trait; NA is missing.", rich_help_panel=FILES)
    ],
    bfile: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PREFIX", help="PLINK files PREFIX.bed/.bim/.fam; each is a kernel.", rich_help_panel=FILES
        ),
    ] = None,
    grm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PREFIX",
            help="GCTA or PLINK matrix: PREFIX.grm.bin, .grm.gz, .rel.bin, .rel with .id; each is a kernel.",
            rich_help_panel=FILES,
        ),
    ] = None,
    annotation: Annotated[
        Path | None,
        typer.Option(
            help="Split --bfile into one kernel per group: a table or a PLINK set file.", rich_help_panel=FILES
        ),
    ] = None,
    rest: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Kernel of the variants in no group; else they are left out.", rich_help_panel=FILES
        ),
    ] = None,
    trait: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Column of --pheno; several are fitted one by one.", rich_help_panel=FILES),
    ] = None,
    covar: Annotated[
        Path | None,
        typer.Option(help="Covariates: columns FID, IID, ...; an intercept is added.", rich_help_panel=FILES),
    ] = None,
    covar_names: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES", help="Use these columns of --covar only (commas or repeats).", rich_help_panel=FILES
        ),
    ] = None,
    categorical: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Columns of numbers that are categories.", rich_help_panel=FILES),
    ] = None,
    header: Annotated[
        bool,
        typer.Option(
            "--header/--no-header", help="Whether tables have a header; else trait_1, ...", rich_help_panel=FILES
        ),
    ] = True,
    minus_nine_missing: Annotated[
        bool, typer.Option("--minus-nine-missing", help="-9 in --pheno and --covar is missing.", rich_help_panel=FILES)
    ] = False,
    method: Annotated[
        Method, typer.Option(help="reml and ml are newton with that criterion.", rich_help_panel=FITTING)
    ] = Method.reml,
    criterion: Annotated[
        CriterionChoice | None, typer.Option(help="What is maximised; reml unless given.", rich_help_panel=FITTING)
    ] = None,
    scaling: Annotated[
        ScalingChoice,
        typer.Option(help="Divide by the sample's sd, by sqrt(2f(1-f)), or not at all.", rich_help_panel=FITTING),
    ] = ScalingChoice.sample,
    reference: Annotated[
        ReferenceChoice,
        typer.Option(help="Means and scales of the people used, or of all in the file.", rich_help_panel=FITTING),
    ] = ReferenceChoice.used,
    negative_eigenvalues: Annotated[
        NegativeEigenvaluesChoice,
        typer.Option(
            help="Of a kernel with calls missing pair by pair: keep, as GCTA does, or clip at 0.",
            rich_help_panel=FITTING,
        ),
    ] = NegativeEigenvaluesChoice.keep,
    accelerate: Annotated[
        Acceleration | None, typer.Option(help="Extrapolate the steps of em, pxem or mm.", rich_help_panel=FITTING)
    ] = None,
    polish: Annotated[
        bool | None,
        typer.Option(
            "--polish/--no-polish", help="Let Newton finish where a method would not arrive.", rich_help_panel=FITTING
        ),
    ] = None,
    max_iterations: Annotated[int | None, typer.Option(min=1, help="Most steps.", rich_help_panel=FITTING)] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Standard errors from the optimum to stop at.", rich_help_panel=FITTING)
    ] = None,
    starts: Annotated[
        int, typer.Option(min=1, help="Starts; the further ones are random.", rich_help_panel=FITTING)
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of random starts and probes.", rich_help_panel=FITTING)] = 1,
    traces: Annotated[
        TracesChoice | None,
        typer.Option(help="Of moments; randomised makes no matrix of people by people.", rich_help_panel=FITTING),
    ] = None,
    errors: Annotated[
        ErrorsChoice | None, typer.Option(help="Standard errors of moments.", rich_help_panel=FITTING)
    ] = None,
    probes: Annotated[int | None, typer.Option(min=2, help="Of randomised traces.", rich_help_panel=FITTING)] = None,
    blocks: Annotated[int | None, typer.Option(min=2, help="Of the jackknife.", rich_help_panel=FITTING)] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads for decoding and algebra.", rich_help_panel=FITTING)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for tables, JSON and figures.", rich_help_panel=OUTPUT)
    ] = None,
    level: Annotated[float, typer.Option(help="Of the intervals.", rich_help_panel=OUTPUT)] = 0.95,
    test: Annotated[
        bool, typer.Option("--test/--no-test", help="Likelihood-ratio test of every kernel.", rich_help_panel=OUTPUT)
    ] = True,
    effects: Annotated[
        bool,
        typer.Option("--effects", help="Write the posterior mean of every variant's effect.", rich_help_panel=OUTPUT),
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw figures into DIR.", rich_help_panel=OUTPUT)
    ] = True,
    json: Annotated[
        bool, typer.Option("--json", help="JSON on stdout instead of the table.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only errors.", rich_help_panel=OUTPUT)] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Fit variance components of a trait: heritability by kernels of genotypes.

    varmix vc --bfile cohort --pheno traits.txt --trait height --covar covariates.txt --out results
    """
    with session(debug=debug, quiet=quiet):
        request = _part("request")
        fitting = request.FitRequest(
            method=method,
            criterion=criterion,
            scaling=scaling,
            reference=reference,
            negative_eigenvalues=negative_eigenvalues,
            accelerate=accelerate,
            polish=polish,
            max_iterations=max_iterations,
            tolerance=tolerance,
            starts=starts,
            seed=seed,
            traces=traces,
            errors=errors,
            probes=probes,
            blocks=blocks,
        )
        output = request.OutputRequest(
            folder=out, level=level, tests=test, effects=effects, figures=figures, json=json, quiet=quiet, debug=debug
        )
        people = _part("people").read_people(
            pheno,
            covar,
            traits=trait or (),
            covariates=_names(covar_names),
            categorical=_names(categorical),
            header=header,
            minus_nine_is_missing=minus_nine_missing,
        )
        files = _part("kernels").open_kernels(bfile or (), grm or (), annotation=annotation, rest=rest, threads=threads)
        code = _part("vc").fit_traits(people, files, fitting, output, threads=threads)
        if code:
            raise typer.Exit(code)


@app.command()
def many(
    pheno: Annotated[Path, typer.Option(help="Traits: columns FID, IID and one per trait; NA is missing.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Table to write, one row per trait.")],
    bfile: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]PREFIX", help="PLINK files; each is a kernel.")
    ] = None,
    grm: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]PREFIX", help="GCTA or PLINK matrices; each is a kernel.")
    ] = None,
    trait: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Columns of --pheno; all unless given.")
    ] = None,
    covar: Annotated[Path | None, typer.Option(help="Covariates, shared by all traits; an intercept is added.")] = None,
    covar_names: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="Use these columns of --covar only.")
    ] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="Columns of numbers that are categories.")
    ] = None,
    minus_nine_missing: Annotated[
        bool, typer.Option("--minus-nine-missing", help="-9 in --pheno and --covar is missing.")
    ] = False,
    criterion: Annotated[CriterionChoice, typer.Option(help="What is maximised.")] = CriterionChoice.reml,
    scaling: Annotated[
        ScalingChoice, typer.Option(help="Divide by the sample's sd, by sqrt(2f(1-f)), or not at all.")
    ] = ScalingChoice.sample,
    reference: Annotated[
        ReferenceChoice, typer.Option(help="Means and scales of the people used, or of all in the file.")
    ] = ReferenceChoice.used,
    negative_eigenvalues: Annotated[
        NegativeEigenvaluesChoice,
        typer.Option(help="Of a kernel with calls missing pair by pair: keep, as GCTA does, or clip at 0."),
    ] = NegativeEigenvaluesChoice.keep,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads for decoding and algebra.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Fit many traits with the same kernels as one batch: the kernel is reduced once, not once per trait."""
    with session(debug=debug, quiet=quiet):
        people = _part("people").read_people(
            pheno,
            covar,
            traits=_names(trait),
            covariates=_names(covar_names),
            categorical=_names(categorical),
            minus_nine_is_missing=minus_nine_missing,
            every_trait=True,
        )
        files = _part("kernels").open_kernels(bfile or (), grm or (), threads=threads)
        code = _part("many").fit_together(
            people,
            files,
            out,
            criterion=criterion,
            scaling=scaling,
            reference=reference,
            negative_eigenvalues=negative_eigenvalues,
            threads=threads,
            quiet=quiet,
        )
        if code:
            raise typer.Exit(code)


app.command()(effects)
app.command("effects-plan")(effects_plan)
app.command()(partitions)


@app.command()
def grm(
    bfile: Annotated[str, typer.Option(metavar="PREFIX", help="PLINK files PREFIX.bed/.bim/.fam.")],
    out: Annotated[Path, typer.Option(metavar="PREFIX", help="Writes PREFIX.grm.bin, .grm.N.bin and .grm.id.")],
    scaling: Annotated[
        ScalingChoice,
        typer.Option(
            help="allele_frequency divides by 2f(1-f), GCTA's; sample by the variance of calls; none sums x x'."
        ),
    ] = ScalingChoice.allele_frequency,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads for decoding.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Write the relationship matrix of a PLINK fileset as GCTA does.

    Entry j, k is the mean of (x_j - 2f)(x_k - 2f) / 2f(1-f) over the variants that vary and that both people have, with
    f the frequency among all calls; .grm.N.bin is how many these are. No variant is left out for its frequency or
    chromosome.
    """
    with session(debug=debug, quiet=quiet):
        _part("grm").write_relationships(bfile, out, scaling, threads=threads, quiet=quiet)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the table and the figures.")] = Path(
        "varmix-demo"
    ),
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Estimate heritability by every method on the data that ship with varmix, in a few seconds."""
    with session(debug=debug):
        _part("demo").show_demo(out)


def _names(given: list[str] | None) -> list[str]:
    """Names separated by commas, or in repeated options."""
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]
