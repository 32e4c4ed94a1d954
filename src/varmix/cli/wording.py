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
    r"|categorical|classes|residual|points|workers|level|replicates)=\(?'?\"?"
    r"([\w+-]+(?:\.\w+)*)'?\"?,?\)?"
)
"""name='value', name="value", name=3 and name=('value',)."""
BARE: Final = re.compile(r"\b(se|residual|weights|group)=(?=[\s),.;]|$)")
"""`se=` without a value."""
NAME: Final = re.compile(r"\bmax_iterations\b")


def for_terminal(message: str) -> str:
    """One line, with `name='value'` as `--name value`."""
    text = " ".join(message.split())
    for python, terminal in FLAGS.items():
        text = text.replace(python, terminal)
    text = OPTION.sub(lambda found: f"--{found[1].replace('_', '-')} {found[2]}", text)
    text = BARE.sub(lambda found: f"--{found[1]}", text)
    return NAME.sub("--max-iterations", text)
