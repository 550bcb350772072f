"""The screen of the view: where its parts stand, the lines around them, messages, and how it ends."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Static

from exptrack import ExptrackError
from exptrack.terminal.console import safe
from exptrack.tui import frame
from exptrack.tui.charts import Charts
from exptrack.tui.frame import TABS
from exptrack.tui.look import CSS, LEAST_COLUMNS, LEAST_LINES
from exptrack.tui.marks import Marks
from exptrack.tui.page_view import PageView
from exptrack.tui.prompt import Prompt
from exptrack.tui.reading import RunsQuestion
from exptrack.tui.run_list import RunList
from exptrack.tui.source import Source

LINES = ("head", "asked", "list-head", "run-head", "tabs", "foot", "small")
MESSAGE_S = 6.0
HINTS = "/ filter  f find  s sort  c columns  space mark  tab other side  z zoom  ? keys  q quit"


class Frame(App[int]):
    """The parts of the view, and what stands around them."""

    CSS = CSS
    TITLE = "exptrack"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("ctrl+q", "leave", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
        Binding("q", "leave", show=False),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self._source = source
        self._colour = "NO_COLOR" not in os.environ
        self._marks = Marks()
        self._question = RunsQuestion()
        self._columns = ""
        self._metric_text = ""
        self._tab = 0
        self._counts: dict[str, int] = {}
        self._problem = ""
        self._is_editing = False
        self._is_leaving = False
        self._message = ""
        # Held here, as a reading may end after the screen has lost its parts.
        self._lines = {name: Static(id=name, markup=False) for name in LINES}
        self.runs = RunList(self._marks, colour=self._colour, id="runs")
        self.charts = Charts(colour=self._colour, id="charts")
        self.page = PageView(id="page")
        self.prompt = Prompt(id="prompt")
        self._loop_of_view: asyncio.AbstractEventLoop | None = None

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield self._lines["head"]
        yield self._lines["asked"]
        yield self.prompt
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self._lines["list-head"]
                yield self.runs
            with Vertical(id="right"):
                yield self._lines["run-head"]
                yield self._lines["tabs"]
                yield self.charts
                yield self.page
        yield self._lines["foot"]
        yield self._lines["small"]

    @property
    def is_editing(self) -> bool:
        """Whether a change is being stored."""
        return self._is_editing

    def on_resize(self, event: Resize) -> None:
        """Say so if the terminal is too small."""
        is_small = event.size.width < LEAST_COLUMNS or event.size.height < LEAST_LINES
        self.screen_stack[0].set_class(is_small, "small")
        words = (
            f"{event.size.width} × {event.size.height} is too small; {LEAST_COLUMNS} × {LEAST_LINES} is enough"
        )
        self._set("small", Text(words))
        self.call_after_refresh(self.write_frame)

    # What stands around

    def write_frame(self) -> None:
        """Write the lines around the list and the right side."""
        if not self.is_running:
            return
        self._set("head", self._write_head())
        self._set("asked", frame.write_question(self._question, self._write_place(), self.size.width))
        self._lines["asked"].display = self.prompt.question is None
        self._set("list-head", self.runs.write_heads(max(self.runs.size.width, 1)))
        self._set("run-head", frame.write_run_head(self.runs.chosen, self._marks, colour=self._colour))
        self._set("tabs", frame.write_tabs(self._tab, self._lines["tabs"].size.width))
        if self._problem:
            self._set("foot", Text(f" {safe(self._problem)}", style="red", no_wrap=True, overflow="ellipsis"))

    def _write_head(self) -> Text:
        notes = [] if self._source.can_edit else ["read-only"]
        notes.append("cannot be read" if self._problem else "live")
        right = frame.write_counts(self.runs.total, self._counts, len(self._marks), notes)
        return frame.write_ends(f" exptrack  {os.path.basename(self._source.path)}", right, self.size.width)

    def _write_place(self) -> str:
        if self.screen_stack[0].has_class("only-left"):
            return ""
        tab = TABS[self._tab]
        words = [f"with {self._metric_text!r}"] if self._metric_text and tab in ("charts", "metrics") else []
        words += [self.charts.write_place()] if tab == "charts" else []
        return ", ".join(filter(None, words)) + " "

    def tell(self, words: str, style: str = "") -> None:
        """Show a sentence at the foot for a while."""
        self._set("foot", Text(f" {safe(words)}", style=style, no_wrap=True, overflow="ellipsis"))
        self._message = words
        self.set_timer(MESSAGE_S, partial(self._forget, words))

    def show_hints(self) -> None:
        """Show the keys that are used most at the foot, unless there is a problem."""
        if not self._problem:
            self._set("foot", Text(f" {HINTS}", style="dim", no_wrap=True, overflow="ellipsis"))

    def _forget(self, words: str) -> None:
        if self._message == words:
            self.show_hints()

    def complain(self, error: ExptrackError) -> None:
        """Show an error at the foot for a while, with its notes."""
        notes = getattr(error, "__notes__", ())
        self.tell(" ".join([str(error).split("\n")[0], *notes]), "red")

    def _set(self, name: str, words: Text) -> None:
        self._lines[name].update(words)

    def draw_again(self, _app: object) -> None:
        """Draw everything, as after a stay in the shell: the terminal has forgotten it."""
        self.refresh(layout=True)

    # The end

    def leave_soon(self, code: int) -> None:
        """End the view with an exit code; a signal handler may call it."""
        if self._loop_of_view is None:
            raise SystemExit(code)
        self._loop_of_view.call_soon_threadsafe(self.exit, code)

    def action_leave(self) -> None:
        """End the view, once a change under way is stored; a second time at once."""
        if self._is_editing and not self._is_leaving:
            self._is_leaving = True
            self.tell("leaving once the change is stored; again leaves at once")
            return
        self.exit(0)
