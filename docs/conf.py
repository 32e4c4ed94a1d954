"""Sphinx configuration. `make docs` builds strictly: any warning is an error."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from pathlib import Path

project = "varmix"
author = "varmix contributors"
copyright = "varmix contributors"  # noqa: A001 - the name that Sphinx reads
version = release = installed_version("varmix")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",  # formulas can be read without a network
]
exclude_patterns = ["_build", "jupyter_execute"]

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Tutorials run at build time, and a tutorial that fails stops the build. Results are kept until a tutorial changes.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300

html_theme = "pydata_sphinx_theme"
html_title = "varmix"
html_theme_options = {"show_toc_level": 2, "navbar_align": "left"}

default_role = "code"
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

# Types in signatures come from packages whose documentation is not linked; only references to public names of varmix
# are held to exist.
nitpick_ignore_regex = [(r"py:.*", r"(?!varmix\.\w+$).*")]

LABEL = re.compile(r"\[([A-Z]{2,}-(?:\d+|[A-Z]))\]")
CODE = re.compile(r"(`+[^`]*`+)")
MARKUP = re.compile(r"[|*]|(?<=\w)_(?!\w)")
DEFINED = {
    label
    for page in (Path(__file__).parent / "theory").glob("*.md")
    for label in re.findall(r"^\((\S+)\)=$", page.read_text(encoding="utf-8"), re.MULTILINE)
}


def link_labels(text: str, link: str) -> str:
    """Turn every equation label that the theory defines into a link to its heading."""
    return LABEL.sub(lambda match: link.format(match[1]) if match[1] in DEFINED else match[0], text)


def link_labels_of_page(app: object, name: str, source: list[str]) -> None:
    """Link the labels of one page; headings, where they are defined, and code stay as they are."""
    fenced = False
    lines = source[0].split("\n")
    for number, line in enumerate(lines):
        fenced ^= line.startswith("```")
        if not fenced and not line.startswith("#"):
            parts = CODE.split(line)
            parts[::2] = [link_labels(part, "{{ref}}`[{0}] <{0}>`") for part in parts[::2]]
            lines[number] = "".join(parts)
    source[0] = "\n".join(lines)


def read_docstring(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Link the labels of one docstring, and take its bars, stars and underscores for algebra, not for markup."""
    for number, line in enumerate(lines):
        parts = CODE.split(line)
        parts[::2] = [link_labels(MARKUP.sub(r"\\\g<0>", part), ":ref:`[{0}] <{0}>`") for part in parts[::2]]
        lines[number] = "".join(parts)


def setup(app: object) -> None:
    """Connect the links to the build."""
    app.connect("source-read", link_labels_of_page)  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", read_docstring)  # type: ignore[attr-defined]
