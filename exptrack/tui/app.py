"""The view itself: the screen, the keys, and what is read when.

Invariants: each reading replaces the one before it that it makes void. Only what can be seen is read. The
terminal is left as it was, however the view ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType

from exptrack import ExptrackError, FilterError, RunNotFoundError
from exptrack.terminal.console import format_count, format_size, safe
from exptrack.tui import edits, prompt, reading, side
from exptrack.tui.charts import DrawnRun
from exptrack.tui.dialogs import ConfirmScreen, HelpScreen
from exptrack.tui.frame import TABS
from exptrack.tui.marks import MOST_MARKS
from exptrack.tui.orders import list_sorted, split_fields, turn_order
from exptrack.tui.prompt import Prompt, Question
from exptrack.tui.reading import RunsQuestion
from exptrack.tui.run_list import RunList
from exptrack.tui.screen import Frame
from exptrack.tui.source import Look, Source

LOOK_S = 0.5
REST = 5  # times what a look took, so that looking takes a sixth of a core at most
SILENCE_S = 2.0  # between two looks at a file that cannot be read
SETTLE_S = 0.06  # the cursor rests so long before a run is read
FIRST_RUNS = 100
MARKED_AT_ONCE = 5


class ArchiveView(Frame):
    """Shows the runs of an archive on the left, and one or several of them on the right."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "show_keys", show=False),
        Binding("slash", "ask('filter')", show=False),
        Binding("f", "find", show=False),
        Binding("s", "ask('order')", show=False),
        Binding("r", "turn_order", show=False),
        Binding("c", "ask('columns')", show=False),
        Binding("m", "mark_first", show=False),
        Binding("u", "unmark_all", show=False),
        Binding("t", "ask_edit('tag')", show=False),
        Binding("n", "ask_edit('note')", show=False),
        Binding("e", "ask_edit('rename')", show=False),
        Binding("d", "delete", show=False),
        Binding("x", "change_axis", show=False),
        Binding("y", "change_scale", show=False),
        Binding("z", "zoom", show=False),
        Binding("enter", "open", show=False),
        Binding("escape", "take_back", show=False),
        Binding("ctrl+r", "read_again", show=False),
        Binding("left_square_bracket", "turn_tab(-1)", show=False),
        Binding("right_square_bracket", "turn_tab(1)", show=False),
        *(Binding(str(place), f"show_tab({place - 1})", show=False) for place in range(1, len(TABS) + 1)),
    ]

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._shown: tuple[str, ...] = ()  # the run ids on the right side
        self._to_edit: list[str] = []

    def on_mount(self) -> None:
        """Read the first runs, and begin to look for changes."""
        self._loop_of_view = asyncio.get_running_loop()
        self.app_resume_signal.subscribe(self.runs, self.draw_again)
        self.runs.focus()
        self.show_hints()
        self.write_frame()
        self._list_runs(self._question, self._columns)
        self._watch()

    # The list of runs

    @work(exclusive=True, group="list")
    async def _list_runs(self, question: RunsQuestion, columns: str, asked: Question | None = None) -> None:
        """Read a list of runs: the first ones, then the place of every run, then which metric tells most."""
        is_first = not self.runs.fields and not columns
        try:
            fields = split_fields(columns) or self._fields_of(question)
            found = await self._source.read(
                lambda archive: reading.read_first(archive, question, fields, FIRST_RUNS)
            )
            self._question, self._columns = question, columns
            if asked is not None and self.prompt.question == asked:
                self.prompt.close()
                self.runs.focus()
            self.runs.show_first(found, fields)
            self.write_frame()
            index = await self._source.read(partial(reading.read_index, question=question))
            self.runs.show_index(index)
            if is_first and not fields:
                metric = await self._source.read(reading.choose_metric_field)
                if metric is not None:
                    self._show_fields((metric,))
        except FilterError as error:
            if asked is not None and self.prompt.question == asked:
                self.prompt.show_problem(str(error))
            else:
                self.complain(error)
        except ExptrackError as error:
            self.complain(error)
        self.write_frame()

    def _fields_of(self, question: RunsQuestion) -> tuple[str, ...]:
        """Return the fields that are shown for an order: those it sorts by, before those shown until now."""
        sorted_by = [one for one in list_sorted(question.order) if "." in one]
        return tuple(dict.fromkeys((*sorted_by, *self.runs.fields)))[:4]

    def _show_fields(self, fields: tuple[str, ...]) -> None:
        self.runs.fields = fields
        self._read_rows(self.runs.row_ids_in_view)

    @work(group="rows")
    async def _read_rows(self, row_ids: list[int]) -> None:
        fields = self.runs.fields
        try:
            rows = await self._source.read(lambda archive: reading.read_listed(archive, row_ids, fields))
        except ExptrackError as error:
            self.complain(error)
            return
        if fields == self.runs.fields:
            self.runs.show_rows(row_ids, rows)

    @work(exclusive=True, group="list")
    async def _list_again(self) -> None:
        """Read the places of the runs again; what is on the screen stays there."""
        question = self._question
        try:
            self.runs.show_index(await self._source.read(partial(reading.read_index, question=question)))
        except ExptrackError as error:
            self.complain(error)
        self.write_frame()

    def on_run_list_wanted(self, event: RunList.Wanted) -> None:
        """Read rows that come into view."""
        self._read_rows(event.row_ids)

    def on_run_list_chosen(self) -> None:
        """Show another run on the right."""
        self._show()

    def on_run_list_marked(self, event: RunList.Marked) -> None:
        """Show the curves of the marked runs."""
        if event.is_full:
            self.tell(f"{MOST_MARKS} runs are marked; u takes off all marks")
        self._show()

    # The right side

    def _show(self, *, from_top: bool = True) -> None:
        self.write_frame()
        self._read_side(from_top)

    @work(exclusive=True, group="side")
    async def _read_side(self, from_top: bool) -> None:
        """Read and show what the chosen tab shows of the chosen runs."""
        if from_top:
            await asyncio.sleep(SETTLE_S)
        runs, tab = side.choose_runs(self.runs.chosen, self._marks), TABS[self._tab]
        if not runs:
            self._shown = ()
            self.charts.show_words("no run is chosen")
            self.page.show_page(lambda _width: [Text("no run is chosen", style="dim")], from_top=True)
            return
        self._shown = tuple(one.run_id for one in runs)
        try:
            if tab == "charts":
                await self._read_charts(runs)
            else:
                write = await side.read_page(self._source, tab, runs, self._metric_text, colour=self._colour)
                self.page.show_page(write, from_top=from_top)
        except RunNotFoundError:
            self._say_in_place(tab, "this run is gone")
        except ExptrackError as error:
            self._say_in_place(tab, str(error).split("\n")[0])
        self.write_frame()

    async def _read_charts(self, runs: list[DrawnRun]) -> None:
        run_ids, view, text = [one.run_id for one in runs], self.charts.view, self._metric_text
        metrics = await self._source.read(lambda archive: reading.read_metrics(archive, run_ids, text))
        names, buckets = self.charts.choose_names(metrics), self.charts.buckets
        if not names:
            self.charts.show_words(f"no metric has {text!r} in its name" if text else "no metrics yet")
            return
        curves = await self._source.read(
            lambda archive: reading.read_curves(
                archive, run_ids, names, buckets=buckets, by=view.by, window=view.window
            )
        )
        self.charts.show_curves(metrics, runs, curves)

    def _say_in_place(self, tab: str, words: str) -> None:
        if tab == "charts":
            self.charts.show_words(words)
        else:
            self.page.show_page(lambda _width: [Text(safe(words), style="yellow")], from_top=True)

    def on_charts_wanted(self) -> None:
        """Read the curves that come into view."""
        if TABS[self._tab] == "charts":
            self._show(from_top=False)

    # What happens meanwhile

    @work(group="watch")
    async def _watch(self) -> None:
        """Look for changes until the view ends."""
        while True:
            began = time.monotonic()
            try:
                look = await self._source.look()
            except ExptrackError as error:
                self._problem = str(error).split("\n")[0]
                self.write_frame()
                await asyncio.sleep(SILENCE_S)
                continue
            self._take_in(look)
            await asyncio.sleep(max(LOOK_S, REST * (time.monotonic() - began)))

    def _take_in(self, look: Look) -> None:
        """Show what a look found."""
        if self._problem:
            self._problem = ""
            self.tell("the file can be read again")
        if look.is_new:
            self._marks.clear()
            self._list_runs(self._question, self._columns)
        if look.counts is not None:
            self._counts = look.counts
        for row_id in look.changes.removed:
            self._marks.remove(row_id)
        if look.changes:
            in_view = self.runs.forget((*look.changes.changed, *look.changes.removed))
            if in_view:
                self._read_rows(in_view)
            self._list_again()
            self._show_changed(look)
        self.write_frame()

    def _show_changed(self, look: Look) -> None:
        """Read the right side again if it shows a run that has changed."""
        chosen = self.runs.chosen
        row_ids = {one.row_id for one in self._marks.all} | ({chosen.row_id} if chosen is not None else set())
        gone = len(self._shown) != len(side.choose_runs(self.runs.chosen, self._marks))
        if gone or row_ids.intersection(look.changes.changed):
            self._show(from_top=False)

    # Asking

    def action_ask(self, name: str) -> None:
        """Ask for a filter, an order or columns."""
        held = {"filter": self._question.where, "order": self._question.order, "columns": self._columns}
        self._begin_asking(prompt.QUESTIONS[name], held[name])

    def action_find(self) -> None:
        """Ask for a text that runs hold, or that names of metrics do."""
        if self.runs.has_focus:
            self._begin_asking(prompt.FIND, self._question.find)
        else:
            self._begin_asking(prompt.FIND_METRICS, self._metric_text)

    def action_ask_edit(self, name: str) -> None:
        """Ask for what changes the marked runs, or the chosen one."""
        runs = self._runs_to_edit()
        if not runs or not self._may_edit():
            return
        question = prompt.QUESTIONS[name]
        chosen = self.runs.chosen
        if question == prompt.RENAME:
            if chosen is not None:
                self._to_edit, label = [chosen.run_id], f"new name of {chosen.run_id[-8:]}"
                self._begin_asking(question._replace(label=label), chosen.name or "")
            return
        self._to_edit = [run_id for run_id, _label in runs]
        self._begin_asking(
            question._replace(label=f"{question.label} for {format_count(len(runs), 'run')}"), ""
        )

    def _begin_asking(self, question: Question, text: str) -> None:
        self.prompt.ask(question, text)
        self.write_frame()

    def _end_asking(self) -> None:
        self.prompt.close()
        self.runs.focus()
        self.write_frame()

    def on_prompt_left(self) -> None:
        """Ask no more."""
        self._end_asking()

    def on_prompt_edited(self, event: Prompt.Edited) -> None:
        """Help with what is written."""
        self._help(event.question, event.text, event.cursor)

    @work(exclusive=True, group="help")
    async def _help(self, question: Question, text: str, cursor: int) -> None:
        try:
            found = await self._source.read(lambda archive: question.help(archive, text, cursor))
        except ExptrackError as error:
            self.complain(error)
            return
        if self.prompt.question == question:
            self.prompt.show_help(found)

    def on_prompt_answered(self, event: Prompt.Answered) -> None:
        """Do what was asked for."""
        name, text = event.question.name, event.text.strip()
        if name == "columns":
            self._list_runs(self._question, text, event.question)
        elif name in ("filter", "order", "find"):
            field = {"filter": "where"}.get(name, name)
            self._list_runs(self._question._replace(**{field: text}), self._columns, event.question)
        elif name == "find metrics":
            self._metric_text = text
            self._end_asking()
            self._focus_side()
            self._show()
        else:
            self._end_asking()
            if text:
                self._edit_by(name, text)

    def action_turn_order(self) -> None:
        """Turn the order around."""
        self._list_runs(self._question._replace(order=turn_order(self._question.order)), self._columns)

    def action_take_back(self) -> None:
        """Take back what was looked for."""
        if self._is_zoomed:
            was_right = self.screen.has_class("only-right")
            self._share_screen()
            if was_right:
                self.runs.focus()
            self.call_after_refresh(self.write_frame)
        elif self._metric_text and not self.runs.has_focus:
            self._metric_text = ""
            self._show()
        elif self._question.find:
            self._list_runs(self._question._replace(find=""), self._columns)

    def action_read_again(self) -> None:
        """Read everything again."""
        self._list_again()
        self._read_rows(self.runs.row_ids_in_view)
        self._show(from_top=False)

    # Marks, tabs, sides

    def action_mark_first(self) -> None:
        """Mark the first runs of the list."""
        for run in self.runs.first_runs(MARKED_AT_ONCE):
            self._marks.add(run.row_id, run.run_id, run.label)
        self.runs.refresh()
        self._show()

    def action_unmark_all(self) -> None:
        """Take off all marks."""
        self._marks.clear()
        self.runs.refresh()
        self._show()

    def action_show_tab(self, place: int) -> None:
        """Show another tab of the right side."""
        had_focus = not self.runs.has_focus
        self._tab = place % len(TABS)
        is_charts = TABS[self._tab] == "charts"
        self.charts.display, self.page.display = is_charts, not is_charts
        if had_focus:
            self._focus_side()
        self._show()

    def action_turn_tab(self, by: int) -> None:
        """Show the tab beside."""
        self.action_show_tab(self._tab + by)

    def action_zoom(self) -> None:
        """Give the side with the cursor the whole screen, or half of it again."""
        if self._is_zoomed:
            self._share_screen()
        elif self.runs.has_focus:
            self.screen.add_class("only-left")
        else:
            self.screen.add_class("only-right")
        self.call_after_refresh(self.write_frame)

    def action_open(self) -> None:
        """Give the right side the whole screen, and go there."""
        self._share_screen()
        self.screen.add_class("only-right")
        self._focus_side()
        self.call_after_refresh(self.write_frame)

    def action_turn_side(self) -> None:
        """Go to the other side."""
        is_left = self.runs.has_focus
        if self._is_zoomed:
            self._share_screen()
        if is_left:
            self._focus_side()
        else:
            self.runs.focus()
        self.write_frame()

    @property
    def _is_zoomed(self) -> bool:
        return self.screen.has_class("only-left") or self.screen.has_class("only-right")

    def _share_screen(self) -> None:
        self.screen.remove_class("only-left", "only-right")

    def _focus_side(self) -> None:
        (self.charts if TABS[self._tab] == "charts" else self.page).focus()

    def action_change_axis(self) -> None:
        """Draw along steps or along the time."""
        self.charts.change_axis()

    def action_change_scale(self) -> None:
        """Draw on a linear or a logarithmic scale."""
        self.charts.change_scale()

    def action_show_keys(self) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen())

    # Changing runs

    def _runs_to_edit(self) -> list[tuple[str, str]]:
        """Return ids and labels of the marked runs, or of the chosen one if none is marked."""
        marked = [(one.run_id, one.label) for one in self._marks.all]
        chosen = self.runs.chosen
        return marked or ([(chosen.run_id, chosen.label)] if chosen is not None else [])

    def _may_edit(self) -> bool:
        if not self._source.can_edit:
            self.tell("this archive can only be read")
        elif self._is_editing:
            self.tell("a change is still being stored")
        return self._source.can_edit and not self._is_editing

    def _edit_by(self, name: str, text: str) -> None:
        run_ids = self._to_edit
        if name == "tag":
            self._edit(lambda path: edits.change_tags(path, run_ids, text))
        elif name == "note":
            self._edit(lambda path: edits.add_note(path, run_ids, text))
        else:
            self._edit(lambda path: edits.rename_run(path, run_ids[0], text))

    @work(group="edit")
    async def _edit(self, change: Callable[[str], str]) -> None:
        """Make a change, and tell how it went."""
        self._is_editing = True
        self.tell("storing the change …")
        try:
            self.tell(await self._source.edit(change))
        except ExptrackError as error:
            self.complain(error)
            self._is_leaving = False  # the user has to see it
        self._is_editing = False  # not in a finally: it stays true if the view ends before the change
        if self._is_leaving:
            self.exit(0)

    @work(group="delete")
    async def action_delete(self) -> None:
        """Ask, and move runs to the trash or delete them."""
        runs = self._runs_to_edit()
        if not runs or not self._may_edit():
            return
        run_ids = [run_id for run_id, _label in runs]
        try:
            freed = await self._source.read(lambda archive: archive.measure_deletion(*run_ids))
        except ExptrackError as error:
            self.complain(error)
            return
        labels = [f"{label}  {run_id}" if label != run_id else run_id for run_id, label in runs]
        answer = await self.push_screen_wait(ConfirmScreen(labels, format_size(freed)))
        if answer and self._may_edit():
            change = edits.trash_runs if answer == "trash" else edits.delete_runs
            self._edit(lambda path: change(path, run_ids))
