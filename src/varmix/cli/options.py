"""Options that several commands have, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TABLE = "Table"
FITTING = "Fitting"
UNCERTAINTY = "Uncertainty"
OUTPUT = "Output"

Stream = Annotated[
    bool, typer.Option("--stream", help="Read the table in pieces without holding it.", rich_help_panel=TABLE)
]
Polish = Annotated[
    bool | None,
    typer.Option(
        "--polish/--no-polish", help="Let Newton finish where a method would not arrive.", rich_help_panel=FITTING
    ),
]
MaxIterations = Annotated[int | None, typer.Option(min=1, help="Most steps.", rich_help_panel=FITTING)]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that share an evaluation.", rich_help_panel=FITTING)]
Level = Annotated[float, typer.Option(help="Of the intervals.", rich_help_panel=UNCERTAINTY)]
Bootstrap = Annotated[
    int | None,
    typer.Option(min=2, help="Refits for bootstrap intervals and errors; 200.", rich_help_panel=UNCERTAINTY),
]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder for tables, JSON and figures.", rich_help_panel=OUTPUT)
]
Figures = Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures into DIR.", rich_help_panel=OUTPUT)]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout instead of the tables.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors.", rich_help_panel=OUTPUT)]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error came from.", rich_help_panel=OUTPUT)]
