"""Print safe text, tables, numbers, durations and sizes in a terminal or a pipe.

Invariants: text from an archive is printed as text only, without markup and with control characters escaped, so
a hostile name cannot draw on the terminal. The console itself sees to that, whatever is printed on it. Piped
output is never cut and has no colour.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderableType,
    RenderHook,
    RenderResult,
)
from rich.control import Control
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from exptrack.sizes import format_size as format_size
from exptrack.terminal.ascii import spell_out

PIPED_WIDTH = 100_000
LEAST_WRAPPED = 16  # a column whose words are folded is not made narrower than this

# The justification ("left" or "right") and the cells of each column, by its name.
Columns: TypeAlias = dict[str, tuple[str, Sequence[object]]]


def open_console(*, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr: styled in a terminal, else plain and never cut."""
    spell_out(sys.stderr if stderr else sys.stdout)
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, markup=False, highlight=False, width=PIPED_WIDTH)
    made.push_render_hook(_EscapeControls())
    return made


def draw_lines_of(print_on: Callable[[Console], object], width: int, *, colour: bool) -> list[Text]:
    """Return what a function prints on a console of a width, line by line, instead of printing it."""
    paper = io.StringIO()
    drawn = Console(
        file=paper,
        width=max(width, 1),
        force_terminal=True,
        color_system="standard" if colour else None,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    drawn.push_render_hook(_EscapeControls())
    print_on(drawn)
    return [Text.from_ansi(line) for line in paper.getvalue().splitlines()]


class _EscapeControls(RenderHook):
    """Escape the control characters in everything that a console prints."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [one if isinstance(one, Control) else _Escaped(one) for one in renderables]


class _Escaped:
    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._inner)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._inner, options):
            yield Segment(text if control else "\n".join(map(safe, text.split("\n"))), style, control)


def safe(value: object) -> str:
    """Return text with its control characters escaped."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


# Tables


def print_table(
    out: Console,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[object]],
    *,
    folded: str | None = None,
) -> None:
    """Print rows under (name, justification) columns; Text cells keep their style.

    If the terminal is too narrow, long words are folded in the column `folded`. Without `folded` they are
    folded in every column but the first, because people copy from that one.
    """
    table = Table(
        box=SIMPLE_HEAD if out.is_terminal else None, pad_edge=False, header_style="bold", show_edge=False
    )
    for position, (name, justify) in enumerate(columns):
        table.add_column(
            Text(safe(name)),
            justify="right" if justify == "right" else "left",
            no_wrap=position == 0 if folded is None else name != folded,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(safe(cell)) for cell in row))
    out.print(table)


def print_fitted(
    out: Console,
    columns: Columns,
    expendable: Iterable[str],
    *,
    folded: str | None = None,
) -> list[str]:
    """Print columns and drop whole ones where the terminal is too narrow; return the names of the dropped.

    Columns are dropped in the order of `expendable`.
    """
    kept = dict(columns)
    for least in expendable:
        if measure_table(kept) <= out.width:
            break
        kept.pop(least, None)
    heads = [(column_title(head), justify) for head, (justify, _cells) in kept.items()]
    print_table(out, heads, zip(*(cells for _justify, cells in kept.values()), strict=True), folded=folded)
    return [name for name in columns if name not in kept]


def measure_table(columns: Columns) -> int:
    """Return the width of a table of these columns, padding and rules included."""
    widths = (
        max(len(column_title(head)), *(len(safe(cell)) for cell in cells))
        for head, (_justify, cells) in columns.items()
    )
    return sum(widths) + 3 * len(columns)


def column_title(head: str) -> str:
    """Return the title of a column: its name without "metric " or "param ", which only keeps names distinct."""
    for kind in ("metric ", "param "):
        if head.startswith(kind):
            return head.removeprefix(kind)
    return head


def print_records(out: Console, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print each row as a block with a line for each column."""
    for position, row in enumerate(cells):
        if position:
            out.print()
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in zip(columns, row, strict=True):
            grid.add_row(Text(safe(name), style="dim"), Text(safe(text)))
        out.print(grid)


def is_too_wide(out: Console, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    """Tell whether a table of these columns does not fit the terminal even with long words folded."""
    first, *rest = (max(map(len, map(safe, column))) for column in zip(columns, *cells, strict=True))
    return first + sum(min(width, LEAST_WRAPPED) + 3 for width in rest) > out.width


def print_heading(out: Console, words: str) -> None:
    """Print a blank line and a bold title."""
    out.print()
    out.print(Text(words, style="bold"))


# Values


def format_number(value: float | None) -> str:
    """Format a metric value with five significant digits."""
    if value is None:
        return "–"
    return f"{value:.5g}" if math.isfinite(value) else str(value)


def format_duration(seconds: float) -> str:
    """Format seconds as text such as ``2 m 05 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {rest:02} s"


def format_count(number: int, noun: str) -> str:
    """Format a number with its noun, as "1 point" or "2,000 points"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def format_age(moment: datetime) -> str:
    """Format how long ago a moment was; after a week, its date."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for limit, unit, word in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (7 * 86400, 86400, "d")):
        if 0 <= seconds < limit:
            return f"{int(seconds // unit)} {word} ago"
    return f"{moment:%Y-%m-%d %H:%M}"


def format_setting(value: object) -> object:
    """Format a config value as a config file would hold it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (bool, list, dict, type(None))) else value
