"""Advice of the library told with the options of the command line."""

from __future__ import annotations

import re
from typing import Final

FLAGS: Final = {
    "minus_nine_is_missing=True": "--minus-nine-missing",
    "header=False": "--no-header",
    "polish=True": "--polish",
    "null=True": "--null",
}
"""Switches that the command line spells in their own way."""
OPTION: Final = re.compile(
    r"\b(method|criterion|scaling|reference|accelerate|traces|errors|probes|blocks|max_iterations|tolerance|starts|rest"
    r"|categorical|classes|residual|points|workers|level|replicates|noise|variance|likelihood|partitions|proportions"
    r"|on_missing|cell_types|margin|negative_eigenvalues)=\(?'?\"?"
    r"([\w+-]+(?:\.\w+)*)'?\"?,?\)?"
)
"""name='value', name="value", name=3 and name=('value',)."""
BARE: Final = re.compile(r"\b(se|residual|weights|group|sample_type)=(?=[\s),.;]|$)")
"""`se=` without a value."""
PRIOR: Final = re.compile(r"\bDirichlet\((\d[\d.]*)\)")
NAME: Final = re.compile(r"(?<!-)\b(max_iterations|sample_type|cell_types|on_missing)\b(?!\.)")
EXPRESSION: Final = re.compile(r"\b(?:(?<=[a-z] )S(?=[ ,]|\.?$|\. )|S(?= (?:looks|has|is) ))")
"""The table of `partition_mixture`, which is called S."""


def for_terminal(message: str) -> str:
    """One line, with `name='value'` as `--name value`."""
    text = " ".join(message.split())
    for python, terminal in FLAGS.items():
        text = text.replace(python, terminal)
    text = OPTION.sub(lambda found: f"--{found[1].replace('_', '-')} {found[2]}", text)
    text = BARE.sub(lambda found: f"--{found[1].replace('_', '-')}", text)
    text = PRIOR.sub(r"--dirichlet \1", text)
    text = EXPRESSION.sub("the expression", text.replace("pass S.T", "transpose it"))
    return NAME.sub(lambda found: f"--{found[1].replace('_', '-')}", text)
