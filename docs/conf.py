"""Sphinx's settings: ``python -m sphinx -W --keep-going -b html docs build/docs`` builds the site.

The pages in ``docs/built/`` are written at the start of each build (see ``built.py``) and are never committed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import built

import exptrack

project = "exptrack"
author = "the exptrack developers"
release = version = exptrack.__version__
html_title = f"exptrack {release}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_click",
]
exclude_patterns = ["Thumbs.db", ".DS_Store"]

html_theme = "furo"
html_theme_options = {"source_directory": "docs/"}
html_copy_source = False
html_show_sphinx = False

# A link to a heading is written as GitHub would make it.
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
# Docstrings put a parameter's name in single backticks.
default_role = "code"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 100
highlight_language = "none"
# Options begin with two hyphens.
smartquotes = False

_RAISES = re.compile(r"    ([A-Z]\w+(?:, [A-Z]\w+)*): (.*)")


def raises_as_list(
    _app: object, _what: str, _name: str, _it: object, _options: object, lines: list[str]
) -> None:
    """Turn the section ``Raises:`` of a docstring into a list of errors, each with its condition."""
    if "Raises:" not in lines:
        return
    place = lines.index("Raises:")
    end = next((n for n in range(place + 1, len(lines)) if lines[n] and lines[n][0] != " "), len(lines))
    entries: list[str] = []
    for line in lines[place + 1 : end]:
        if entry := _RAISES.fullmatch(line):
            errors = ", ".join(f":exc:`{error}`" for error in entry[1].split(", "))
            entries.append(f"    * {errors}: {entry[2]}")
        elif line.strip():
            entries.append(f"      {line.strip()}")
    lines[place:end] = [":Raises:", *entries, ""]


def commands_as_code(_app: object, _context: object, lines: list[str]) -> None:
    """Show the example of a command, and the commands in the overview, as code."""
    for place, line in enumerate(lines):
        line = re.sub(r"^Example: (.*)", r"Example: ``\1``", line)
        lines[place] = re.sub(r"^\| +(exptrack .*?)  +(.*)", r"| ``\1`` \2", line)


def setup(app: Any) -> None:
    """Write the pages that the package itself describes, before Sphinx looks for pages."""
    from pygments.lexers import TextLexer

    built.write_pages()
    # No lexer knows SDN.
    app.add_lexer("sdn", TextLexer)
    app.connect("autodoc-process-docstring", raises_as_list)
    app.connect("sphinx-click-process-description", commands_as_code)
