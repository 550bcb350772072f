"""Print safe text, tables, numbers, durations and sizes in a terminal or a pipe.

Invariants: text from an archive is printed as text only, without markup and with control characters escaped, so
a hostile name cannot draw on the terminal. The console itself sees to that, whatever is printed on it. Piped
output is never cut, and has neither colour nor blanks at the end of a line.
"""

from __future__ import annotations

import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, chop_cells
from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    Group,
    RenderableType,
    RenderHook,
    RenderResult,
)
from rich.control import Control
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from exptrack.amounts import format_duration
from exptrack.amounts import format_size as format_size
from exptrack.terminal.ascii import spell_out

PIPED_WIDTH = 100_000
LEAST_WRAPPED = 16  # a column whose words are folded is not made narrower than this
MOST_SHOWN_CHARS = 500  # of a value in a table on a terminal
LEAST_FOLDED = 24  # nor one for which other columns are left out
GAP_CHARS = 2  # between columns
NUMBER = re.compile(r"[-+]?[0-9][0-9,.]*(?:e[-+]?[0-9]+)?(?: ?[^ 0-9]{1,4})?")  # perhaps with its unit
BREAKS = re.compile(r"[-_/.,;: ]+")
MOST_IN_A_CELL = 8  # characters of which all but one have no width
BLANKS = " \u2800"  # the space, and the braille character without a dot

# The justification and the cells of each column, by its name. "left" is for words, which may be folded; "right"
# is for numbers; "whole" is for drawings, and for words that stay on one line.
Columns: TypeAlias = dict[str, tuple[str, Sequence[object]]]


def open_console(*, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr: styled in a terminal, else plain and never cut."""
    spell_out(sys.stderr if stderr else sys.stdout)
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, markup=False, highlight=False, width=PIPED_WIDTH, soft_wrap=True)
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
        if not console.is_terminal:
            # No style is lost: piped output has none.
            text = "".join(part.text for part in console.render(self._inner, options) if not part.control)
            # A segment for each line: the console cuts a long one into lines in quadratic time.
            first, *others = (safe(line).rstrip(BLANKS) for line in text.split("\n"))
            yield Segment(first)
            yield from (Segment(f"\n{line}") for line in others)
            return
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
    """Print rows under (name, justification) columns, as `build_table` does."""
    out.print(build_table(out, columns, rows, folded=folded))


def build_table(
    out: Console,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[object]],
    *,
    folded: str | None = None,
) -> RenderableType:
    """Build rows under (name, justification) columns; Text cells keep their style.

    If the terminal is too narrow, long words are folded in the column `folded`. Without `folded` they are
    folded in every column of texts but the first, because people copy from that one. Numbers and drawings are
    never folded: if they do not fit, each row becomes a block of lines. A terminal shows the first 500
    characters of a value, and how many more there are.
    """
    cells = [[_make_cell(out, cell) for cell in row] for row in rows]
    widths = _measure_columns([name for name, _justify in columns], cells)
    foldable = _find_foldable(columns, folded)
    least = [
        min(width, max(LEAST_WRAPPED, _widest_number(row[place] for row in cells)))
        if place in foldable
        else width
        for place, width in enumerate(widths)
    ]
    if cells and _add_gaps(least) > out.width:
        return _build_records([name for name, _justify in columns], cells, out.width)
    room = out.width - _add_gaps(least)
    for place, (width, shown) in enumerate(zip(widths, least, strict=True)):
        added = min(width - shown, room)
        widths[place], room = shown + added, room - added
    # Between columns stand the rule of the box and one blank, or without a box two blanks.
    box = SIMPLE_HEAD if out.is_terminal else None
    padding = (0, GAP_CHARS - (box is not None), 0, 0)
    table = Table(box=box, padding=padding, pad_edge=False, header_style="bold", show_edge=False)
    for place, (name, justify) in enumerate(columns):
        table.add_column(
            Text(safe(name)),
            justify="right" if justify == "right" else "left",
            no_wrap=True,
            width=widths[place],
        )
    for row in cells:
        table.add_row(*(_fold(cell, width) for cell, width in zip(row, widths, strict=True)))
    return table


def _make_cell(out: Console, value: object) -> Text:
    """Return a value as a cell; a terminal shows the beginning of a long one. Text stays as it is."""
    if isinstance(value, Text):
        return value
    text = safe(value)
    if not out.is_terminal or len(text) <= MOST_SHOWN_CHARS:
        return Text(text)
    more = format_count(len(text) - MOST_SHOWN_CHARS, "more character")
    return Text(f"{text[:MOST_SHOWN_CHARS]} … {more}")


def _fold(cell: Text, width: int) -> Text:
    """Break a text into lines of a width: behind a blank, else behind a sign, in the last half of a line."""
    text, start, cuts = cell.plain, 0, list[int]()
    while len(line := _first_line(text, start, width)) < len(text) - start:
        found = [one for one in BREAKS.finditer(line) if one.end() > len(line) // 2]
        # Behind the last blank itself: the signs after it begin the next word, as those of an option do.
        blanks = [one.start() + one[0].rindex(" ") + 1 for one in found if " " in one[0]]
        ends = blanks or [one.end() for one in found]
        start += ends[-1] if ends else max(len(line), 1)
        cuts.append(start)
    return Text("\n").join(cell.divide(cuts)) if cuts else cell


def _first_line(text: str, start: int, width: int) -> str:
    """Return what fits into a line of a width, from a place on."""
    if (line := text[start : start + width]).isascii():
        return line
    found = chop_cells(text[start : start + MOST_IN_A_CELL * width], width)
    return found[0] if found else ""


def _widest_number(cells: Iterable[Text]) -> int:
    return max((len(cell.plain) for cell in cells if NUMBER.fullmatch(cell.plain)), default=0)


def _find_foldable(columns: Sequence[tuple[str, str]], folded: str | None) -> set[int]:
    """Return the places of the columns whose words may be folded."""
    return {
        place
        for place, (name, justify) in enumerate(columns)
        if justify == "left" and (place > 0 if folded is None else name == folded)
    }


def print_fitted(
    out: Console,
    columns: Columns,
    expendable: Iterable[str],
    *,
    folded: str | None = None,
    option: str = "--json",
    unlisted: int = 0,
) -> None:
    """Print columns, as `build_fitted` does."""
    out.print(build_fitted(out, columns, expendable, folded=folded, option=option, unlisted=unlisted))


def build_fitted(
    out: Console,
    columns: Columns,
    expendable: Iterable[str],
    *,
    folded: str | None = None,
    option: str = "--json",
    unlisted: int = 0,
) -> RenderableType:
    """Build a table; where the terminal is too narrow, leave out whole columns and say how many.

    Columns are left out in the order of `expendable`. If that is not enough, each row becomes a block of lines
    with all of them. `option` shows what is left out; `unlisted` counts columns that are left out anyway.
    """
    columns = {
        head: (justify, [_make_cell(out, cell) for cell in cells]) for head, (justify, cells) in columns.items()
    }
    kept = fit_columns(out, columns, expendable, folded)
    heads = [(column_title(head), justify) for head, (justify, _cells) in kept.items()]
    rows = zip(*(cells for _justify, cells in kept.values()), strict=True)
    table = build_table(out, heads, rows, folded=folded)
    lost = len(columns) - len(kept)
    if not lost and not unlisted:
        return table
    wider = ", or a wider terminal" if lost else ""
    note = Text(f"{format_count(lost + unlisted, 'more column')}: {option}{wider}", style="dim")
    return Group(table, note)


def fit_columns(
    out: Console, columns: Columns, expendable: Iterable[str], folded: str | None = None
) -> Columns:
    """Return the columns that have room, without some of the expendable ones; all if that is too little."""
    kept = dict(columns)
    for least in expendable:
        if measure_table(kept, folded) <= out.width:
            return kept
        kept.pop(least, None)
    return kept if measure_table(kept, folded) <= out.width else columns


def measure_table(columns: Columns, folded: str | None = None) -> int:
    """Return the width of a table of these columns; words of the column `folded` may be folded."""
    widths = []
    for head, (_justify, cells) in columns.items():
        (width,) = _measure_columns([column_title(head)], [[cell] for cell in cells])
        widths.append(min(width, LEAST_FOLDED) if head == folded else width)
    return _add_gaps(widths)


def _measure_columns(names: Sequence[str], rows: Iterable[Sequence[object]]) -> list[int]:
    widths = [cell_len(safe(name)) for name in names]
    for row in rows:
        widths = [max(width, _width_of(safe(cell))) for width, cell in zip(widths, row, strict=True)]
    return widths


def _width_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)  # each sign of ASCII that is shown has a cell


def _add_gaps(widths: Sequence[int]) -> int:
    return sum(widths) + GAP_CHARS * (len(widths) - 1)


def column_title(head: str) -> str:
    """Return the title of a column: its name without "metric " or "param ", which only keeps names distinct."""
    for kind in ("metric ", "param "):
        if head.startswith(kind):
            return head.removeprefix(kind)
    return head


def _build_records(columns: Sequence[str], cells: Sequence[Sequence[Text]], width: int) -> RenderableType:
    """Build a block for each row, with a line for each column."""
    room = max(width - max(_measure_columns(columns, [])) - GAP_CHARS, 1)
    blocks: list[RenderableType] = []
    for position, row in enumerate(cells):
        if position:
            blocks.append(Text())
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, cell in zip(columns, row, strict=True):
            grid.add_row(Text(safe(name), style="dim"), _fold(cell, room))
        blocks.append(grid)
    return Group(*blocks)


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


def shorten(run_id: str, ids: Mapping[str, str] | None) -> str:
    """Return a run id as it is shown: short, if `ids` has a short one."""
    return run_id if ids is None else ids.get(run_id, run_id)


def format_metric(name: str, value: float | None) -> str:
    """Format a value of a metric, with its unit if the end of its name tells it.

    >>> format_metric("system/memory_used_bytes", 6.5e9), format_metric("net/bytes_per_s", 2300.0)
    ('6.5 GB', '2.3 kB/s')
    >>> format_metric("cpu_percent", 37.25), format_metric("epoch_s", 754.0), format_metric("loss", 0.1)
    ('37.25 %', '12 min 34 s', '0.1')
    """
    if value is None or not math.isfinite(value):
        return format_number(value)
    for end, write in UNITS.items():
        if name == end or name.endswith(("_" + end, "/" + end, "." + end)):
            return write(value)
    return format_number(value)


def _write_seconds(value: float) -> str:
    if value < 0:
        return f"{format_number(value)} s"
    return (
        format_duration(value) if value >= 60 else f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"
    )


UNITS: dict[str, Callable[[float], str]] = {
    **dict.fromkeys(
        ("bytes_per_s", "bytes_per_sec", "bytes_per_second"), lambda value: f"{format_size(value)}/s"
    ),
    **dict.fromkeys(("per_s", "per_sec", "per_second"), lambda value: f"{format_number(value)}/s"),
    "bytes": lambda value: format_size(value),
    "percent": lambda value: f"{format_number(value)} %",
    **dict.fromkeys(("s", "sec", "secs", "seconds"), _write_seconds),
}


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


def format_settings(values: Iterable[object]) -> list[object]:
    """Format the values of a config key in a column: None as nothing, floats as short as they stay different.

    >>> format_settings([0.15000000000000002, 0.1, None]), format_settings([0.1, 0.1000001])
    (['0.15', '0.1', ''], ['0.1', '0.1000001'])
    """
    shown = list(values)
    floats = {value for value in shown if type(value) is float}
    digits = (n for n in (5, 9, 13) if len({f"{value:.{n}g}" for value in floats}) == len(floats))
    short = next(digits, None)  # None: only all digits tell them apart
    return [
        ""
        if value is None
        else f"{value:.{short}g}"
        if type(value) is float and short is not None
        else format_setting(value)
        for value in shown
    ]


def format_setting(value: object) -> object:
    """Format a config value as a config file would hold it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (bool, list, dict, type(None))) else value
