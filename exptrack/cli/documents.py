"""Write what a command shows as a table for a file or a paper: CSV, Markdown or LaTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import click

from exptrack.cli.output import print_csv, print_document

# What tabulate calls each of them.
STYLES = {"markdown": "github", "latex": "latex_booktabs"}
MARKS = re.compile(r"[\\|<&*`~\[\]]|(?<![^\W_])_|_(?![^\W_])")  # of GitHub's Markdown, inside of a cell
TIME = "%Y-%m-%d %H:%M"

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["csv", *STYLES]),
    help="Print the table for a file or a paper, with whole ids. CSV has all digits; LaTeX needs booktabs.",
)


def check_form(form: str | None, as_json: bool) -> None:
    """Refuse two forms of output at once."""
    if form is not None and as_json:
        raise click.UsageError("give --format or --json, not both")


def print_rows(form: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows of values under their heads.

    CSV has every digit, times as ISO 8601 in UTC, and lists and maps as JSON. Markdown and LaTeX are for
    readers: five digits, and lists with commas. None is an empty cell.
    """
    if form == "csv":
        print_csv(heads, ([_write_exactly(value) for value in row] for row in rows))
        return
    from tabulate import tabulate

    from exptrack.terminal.console import safe

    # A table without a row has one that is empty: else tabulate would declare no column to LaTeX.
    shown = [list(row) for row in rows] or [[None] * len(heads)]
    escape = _escape_markdown if form == "markdown" else safe
    columns = zip(*shown, strict=True)
    numbers = [all(isinstance(value, (int, float, type(None))) for value in column) for column in columns]
    table = tabulate(
        [[escape(_write_for_readers(value)) for value in row] for row in shown],
        headers=[escape(head) for head in heads],
        tablefmt=STYLES[form],
        colalign=["right" if is_number else "left" for is_number in numbers],
        disable_numparse=True,
    )
    if form == "latex":  # it reads a bracket or a star behind the end of a line as an option of that
        table = re.sub(r"^( *)(?=[\[*])", r"\1{}", table, flags=re.MULTILINE)
    print_document(table + "\n")


def _write_exactly(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bool, list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False)
    return value


def _write_for_readers(value: object) -> str:
    from exptrack.terminal.console import format_number

    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime(TIME)
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_write_for_readers, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (bool, dict)) else str(value)


def _escape_markdown(text: object) -> str:
    """Escape what would end a cell, or be a mark. An underscore inside of a word is none."""
    from exptrack.terminal.console import safe

    return MARKS.sub(r"\\\g<0>", safe(text))
