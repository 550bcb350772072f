"""The list of runs: only the rows on the screen are read, however many runs there are.

Invariants: the order is that of the last reading, and rows keep their places until the next one. The chosen run
stays chosen when runs are added or removed around it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from exptrack.amounts import format_duration
from exptrack.exporters.report_contents import plain_name
from exptrack.terminal.console import format_age, format_number, format_setting
from exptrack.terminal.runs import STATUS_STYLES
from exptrack.tui.marks import Marks
from exptrack.tui.reading import FirstRuns, ListedRun
from exptrack.tui.strips import fit, make_strip

SIGNS = {"running": "»", "completed": "✓", "failed": "✗", "interrupted": "!", "pruned": "-"}
KEPT_ROWS = 5_000
AHEAD = 50  # rows that are read around the screen
SIGNS_WIDTH, AGE_WIDTH, TOOK_WIDTH, VALUE_WIDTH = 4, 5, 12, 9
LEAST_NAME = 12
LEAST_FOR_TOOK = 46


class RunList(ScrollView, can_focus=True):
    """A line for each run, the cursor, and the marks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("tab,shift+tab", "app.turn_side", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home,g", "go_first", show=False),
        Binding("end,G", "go_last", show=False),
        Binding("space", "mark", show=False),
    ]

    class Chosen(Message):
        """The cursor stands on another run."""

    class Marked(Message):
        """A run was marked, or its mark was taken off; `is_full` if no mark was left for it."""

        def __init__(self, is_full: bool) -> None:
            super().__init__()
            self.is_full = is_full

    class Wanted(Message):
        """Rows come into view that were not read yet."""

        def __init__(self, row_ids: list[int]) -> None:
            super().__init__()
            self.row_ids = row_ids

    def __init__(self, marks: Marks, *, colour: bool, id: str) -> None:  # noqa: A002 (the name that Textual has)
        super().__init__(id=id)
        self._marks = marks
        self._colour = colour
        self._index: Sequence[int] = array("q")
        self._rows: dict[int, ListedRun] = {}
        self._gone: set[int] = set()
        self._total = 0
        self._cursor = 0
        self._wish: int | None = None  # where the cursor goes once the places of all runs are read
        self._told: int | None = None
        self._asked: set[int] = set()
        self.fields: tuple[str, ...] = ()

    # What it shows

    @property
    def total(self) -> int:
        """How many runs are in the list."""
        return self._total

    @property
    def place(self) -> int:
        """Where the cursor stands, counted from 0."""
        return self._cursor

    @property
    def chosen(self) -> ListedRun | None:
        """The run at the cursor; None if there is none, or if it is not read yet."""
        return self._rows.get(self._index[self._cursor]) if self._cursor < len(self._index) else None

    @property
    def row_ids_in_view(self) -> list[int]:
        """The row ids of the runs on the screen."""
        first = self.scroll_offset.y
        return list(self._index[first : first + max(self.size.height, 1)])

    def first_runs(self, count: int) -> list[ListedRun]:
        """Return those of the first `count` runs that are read."""
        return [self._rows[one] for one in self._index[:count] if one in self._rows]

    def show_first(self, found: FirstRuns, fields: Sequence[str]) -> None:
        """Show the first runs of a new list, with the cursor on the first."""
        self.fields = tuple(fields)
        self._index = array("q", [run.row_id for run in found.runs])
        self._total = found.total
        self._rows = {run.row_id: run for run in found.runs}
        self._gone.clear()
        self._asked.clear()
        self._cursor, self._wish = 0, None
        self._resize()
        self.scroll_to(y=0, animate=False, immediate=True)
        self._tell()

    def show_index(self, index: Sequence[int]) -> None:
        """Show all runs in this order; the cursor stays on its run, and the run on its line of the screen."""
        kept = self._index[self._cursor] if self._cursor < len(self._index) else None
        line = self._cursor - self.scroll_offset.y
        was_on_top = self.scroll_offset.y == 0
        self._index, self._total = index, len(index)
        self._gone.clear()
        self._asked.clear()
        self._resize()
        self._cursor = min(self._cursor, max(self._total - 1, 0))
        if self._wish is not None:
            self._go(self._wish)
            return
        if kept is not None and kept in index:
            self._cursor = index.index(kept)
        top = max(0, self._cursor - line)
        if was_on_top and self._cursor < max(self.size.height, 1):
            top = 0
        self.scroll_to(y=top, animate=False, immediate=True)
        self._tell()

    def show_rows(self, row_ids: Sequence[int], runs: Sequence[ListedRun | None]) -> None:
        """Take in rows that were read."""
        if len(self._rows) > KEPT_ROWS:
            in_view = set(self.row_ids_in_view)
            self._rows = {row_id: run for row_id, run in self._rows.items() if row_id in in_view}
        for row_id, run in zip(row_ids, runs, strict=True):
            self._asked.discard(row_id)
            if run is None:
                self._gone.add(row_id)
                self._rows.pop(row_id, None)
            else:
                self._rows[row_id] = run
        self.refresh()
        self._tell()

    def forget(self, row_ids: Iterable[int]) -> list[int]:
        """Forget rows that have changed; return those in view, which are still shown until they are read."""
        changed, in_view = set(row_ids), self.row_ids_in_view
        for row_id in changed.difference(in_view):
            self._rows.pop(row_id, None)
        return [row_id for row_id in in_view if row_id in changed]

    def write_heads(self, width: int) -> Text:
        """Write the heads of the columns."""
        name, took, count = self._divide(width)
        line = fit(f"{'':{SIGNS_WIDTH}}run", name + SIGNS_WIDTH)
        for field in self.fields[:count]:
            line.append(" ").append_text(fit(_short_name(field, VALUE_WIDTH), VALUE_WIDTH, right=True))
        if took:
            line.append_text(fit("took", took, right=True))
        line.append_text(fit("age", AGE_WIDTH, right=True))
        line.stylize("bold" if self.has_focus else "dim")
        return line

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width, place = self.size.width, self.scroll_offset.y + y
        style = self.rich_style
        if place >= self._total:
            words = "no run matches; / changes the filter" if y == 0 and not self._total else ""
            return make_strip(self.app.console, Text(words, style="dim"), width, style)
        row_id = self._index[place] if place < len(self._index) else None
        run = None if row_id is None else self._rows.get(row_id)
        if run is None:
            words = "    this run is gone" if row_id in self._gone else "    …"
            if row_id is not None and row_id not in self._gone:
                self._want(place)
            line = Text(words, style="dim")
        else:
            line = self._write_run(run, width)
        if place == self._cursor:
            line = self._show_cursor(line, width)
        return make_strip(self.app.console, line, width, style)

    def _show_cursor(self, line: Text, width: int) -> Text:
        """Return a line with the cursor on it; its mark keeps the colour, the rest has none."""
        if not self.has_focus:
            line.stylize("bold underline", 2)
            return line
        words = Text(line.plain[1:], style="reverse").append(" " * max(width - line.cell_len, 0))
        return line[:1].append_text(words)

    def _write_run(self, run: ListedRun, width: int) -> Text:
        name, took, count = self._divide(width)
        mark = self._marks.get(run.row_id)
        line = Text()
        if mark is None:
            line.append("  ")
        else:
            line.append("▌" if self._colour else mark.letter, mark.style if self._colour else "bold").append(
                " "
            )
        line.append(SIGNS[run.status], STATUS_STYLES[run.status] if self._colour else "").append(" ")
        label = fit(run.label, name)
        if mark is not None and self._colour:
            label.stylize(mark.style)
        line.append_text(label)
        for value in run.values[:count]:
            line.append(" ").append_text(fit(write_value(value), VALUE_WIDTH, right=True))
        if took:
            line.append_text(fit(format_duration(run.elapsed_s), took, right=True))
        age = fit(write_age(run.started), AGE_WIDTH, right=True)
        age.stylize("dim")
        return line.append_text(age)

    def _divide(self, width: int) -> tuple[int, int, int]:
        """Return the widths of the name and of the duration, and how many values fit."""
        took = TOOK_WIDTH if width >= LEAST_FOR_TOOK else 0
        room = width - SIGNS_WIDTH - AGE_WIDTH - took
        count = max(0, min(len(self.fields), (room - LEAST_NAME) // (VALUE_WIDTH + 1)))
        return max(room - count * (VALUE_WIDTH + 1), 0), took, count

    def _want(self, place: int) -> None:
        """Ask for the rows around a place that are not read; the answer comes by `show_rows`."""
        around = self._index[max(0, place - AHEAD) : place + AHEAD]
        missing = [one for one in around if one not in self._rows and one not in self._asked]
        if missing:
            self._asked.update(missing)
            # Later: the message of a widget that another one is drawing would not go up to the view.
            self.call_later(self._ask_for, missing)

    def _ask_for(self, row_ids: list[int]) -> None:
        self.post_message(self.Wanted(row_ids))

    def _resize(self) -> None:
        self.virtual_size = Size(self.size.width, self._total)
        self.refresh()

    # Moving and marking

    def action_move(self, by: int) -> None:
        """Move the cursor by lines."""
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by a screen."""
        self._go(self._cursor + by * max(1, self.size.height - 1))

    def action_go_first(self) -> None:
        """Move the cursor to the first run."""
        self._go(0)

    def action_go_last(self) -> None:
        """Move the cursor to the last run."""
        self._go(self._total - 1)

    def action_mark(self) -> None:
        """Mark the run at the cursor or take its mark off, and go on to the next."""
        run = self.chosen
        if run is None:
            return
        is_full = False
        if run.row_id in self._marks:
            self._marks.remove(run.row_id)
        else:
            is_full = not self._marks.add(run.row_id, run.run_id, run.label)
        if not is_full:
            self._go(self._cursor + 1)
        self.refresh()
        self.post_message(self.Marked(is_full))

    def _go(self, place: int) -> None:
        place = max(0, min(place, self._total - 1))
        self._wish = place if place >= len(self._index) else None
        self._cursor = max(0, min(place, len(self._index) - 1))
        top, height = self.scroll_offset.y, max(self.size.height, 1)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False, immediate=True)
        elif self._cursor >= top + height:
            self.scroll_to(y=self._cursor - height + 1, animate=False, immediate=True)
        self.refresh()
        self._tell()

    def _tell(self) -> None:
        """Tell of another run at the cursor, once it is read."""
        run = self.chosen
        if run is None:
            if self._total == 0 and self._told is not None:
                self._told = None
                self.post_message(self.Chosen())
            elif self._cursor < len(self._index):
                self._want(self._cursor)
        elif run.row_id != self._told:
            self._told = run.row_id
            self.post_message(self.Chosen())


def write_value(value: Any) -> str:
    """Write the value of a field in a cell."""
    if value is None:
        return ""
    if isinstance(value, float):
        texts = (format_number(value), *(f"{value:.{digits}g}" for digits in (4, 3, 2)))
        return next((text for text in texts if len(text) <= VALUE_WIDTH), texts[-1])
    if isinstance(value, datetime):
        return format_age(value)
    if isinstance(value, tuple | list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return str(format_setting(value))


def write_age(moment: datetime) -> str:
    """Write how long ago a moment was, in five characters at most."""
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for limit, unit, word in ((60, 1, "s"), (3600, 60, "m"), (86400, 3600, "h"), (1000 * 86400, 86400, "d")):
        if seconds < limit:
            return f"{int(seconds // unit)}{word}"
    return f"{int(seconds // (365.25 * 86400))}y"


def _short_name(field: str, width: int) -> str:
    """Return the part of a field's name that tells most: its end."""
    name = plain_name(field) if "." in field else field
    if len(name) <= width:
        return name
    return f"…{name[-(width - 1) :]}"
