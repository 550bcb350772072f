"""The line in which one writes a filter, an order, a tag, with what is wrong and what could follow.

Invariant: what was pasted holds no control characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from exptrack import Archive, Completion, FilterHelp
from exptrack.terminal.console import safe
from exptrack.tui.strips import fit

MOST_COMPLETIONS = 5  # in view
MOST_READ = 50
KIND_WIDTH = 9


class Question(NamedTuple):
    """What the line asks for: its name, the words before it, and the language in which completions come."""

    name: str
    label: str
    language: str | None = None

    def help(self, archive: Archive, text: str, cursor: int) -> FilterHelp:
        """Say what is wrong with a text, and what could stand at the cursor."""
        if self.language == "filter":
            return archive.complete_filter(text, cursor, limit=MOST_READ)
        return archive.complete_field(text, cursor, kind=self.language or "field", limit=MOST_READ)


FILTER = Question("filter", "filter", "filter")
ORDER = Question("order", "sort by", "order")
COLUMNS = Question("columns", "columns", "columns")
FIND = Question("find", "find")
FIND_METRICS = Question("find metrics", "metrics with")
TAG = Question("tag", "tags (-tag removes)")
NOTE = Question("note", "note")
RENAME = Question("rename", "new name")
QUESTIONS = {one.name: one for one in (FILTER, ORDER, COLUMNS, FIND, FIND_METRICS, TAG, NOTE, RENAME)}


class _Line(Input):
    """The line itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("tab", "complete", show=False),
        Binding("up", "choose(-1)", show=False),
        Binding("down", "choose(1)", show=False),
    ]

    class Key(Message):
        """A key that the line does not edit with."""

        def __init__(self, what: str, by: int = 0) -> None:
            super().__init__()
            self.what, self.by = what, by

    def validate_value(self, value: str) -> str:
        """Keep control characters out, which may be pasted."""
        return "".join(one for one in value if one.isprintable())

    def action_leave(self) -> None:
        """Leave the line without an answer."""
        self.post_message(self.Key("leave"))

    def action_complete(self) -> None:
        """Take the chosen completion."""
        self.post_message(self.Key("complete"))

    def action_choose(self, by: int) -> None:
        """Choose another completion."""
        self.post_message(self.Key("choose", by))


class Prompt(Vertical):
    """A line of input below its label, hidden while nothing is asked."""

    class Answered(Message):
        """The user has finished the line."""

        def __init__(self, question: Question, text: str) -> None:
            super().__init__()
            self.question, self.text = question, text

    class Left(Message):
        """The user has left the line without an answer."""

    class Edited(Message):
        """The text has changed, and help with it is wanted."""

        def __init__(self, question: Question, text: str, cursor: int) -> None:
            super().__init__()
            self.question, self.text, self.cursor = question, text, cursor

    def __init__(self, *, id: str) -> None:  # noqa: A002 (the name that Textual has)
        super().__init__(id=id)
        self._question: Question | None = None
        self._completions: Sequence[Completion] = ()
        self._chosen = 0
        self._label = Static(id="ask-label", markup=False)
        self._line = _Line(id="ask-input", compact=True, select_on_focus=False)
        self._below = Static(id="ask-help", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out the label, the line and the help below."""
        with Horizontal(id="ask-line"):
            yield self._label
            yield self._line
        yield self._below

    @property
    def question(self) -> Question | None:
        """What is asked now; None if nothing is."""
        return self._question

    def ask(self, question: Question, text: str) -> None:
        """Begin to ask, with a text to be changed."""
        self._question = question
        self.display = True
        self._label.update(Text(f" {question.label}: ", style="bold"))
        line = self._line
        line.value = text
        line.cursor_position = len(text)
        line.focus()
        self._show_nothing()
        self._want_help()

    def close(self) -> None:
        """Ask no more."""
        self._question = None
        self.display = False

    def show_help(self, found: FilterHelp) -> None:
        """Show what is wrong with the text, and what could stand at the cursor."""
        self._completions = [one for one in found.completions if self._would_change(one)]
        self._chosen = 0
        # A word that is being written is wrong until it is whole; what can stand there says more.
        is_unfinished = found.position is not None and any(
            one.end >= found.position for one in self._completions
        )
        self._draw(None if is_unfinished else found.problem, found.position)

    def show_problem(self, words: str) -> None:
        """Show why the text was refused."""
        self._completions = ()
        lines = [
            Text(safe(line), style="red" if number == 0 else "")
            for number, line in enumerate(words.split("\n"))
        ]
        self._below.update(Text("\n").join(lines))

    def _would_change(self, one: Completion) -> bool:
        return self._line.value[one.start : one.end] != one.text

    def _draw(self, problem: str | None, position: int | None) -> None:
        label = len(self._question.label) + 3 if self._question is not None else 0
        lines: list[Text] = []
        line = self._line
        if problem is not None and line.value.strip():
            margin = label + min(position or 0, max(line.size.width - 1, 0))
            words = safe(problem)
            if margin + len(words) + 2 <= self.size.width:
                lines.append(Text(f"{' ' * margin}^ {words}", style="yellow"))
            else:
                lines.append(Text(f" {words}", style="yellow"))
        first = max(0, min(self._chosen - MOST_COMPLETIONS + 1, len(self._completions) - MOST_COMPLETIONS))
        shown = self._completions[first : first + MOST_COMPLETIONS]
        for place, one in enumerate(shown, first):
            width = max(self.size.width - label - KIND_WIDTH - 2, 8)
            row = (
                Text(" " * label).append_text(fit(one.text, width)).append(f" {one.kind:<{KIND_WIDTH}}", "dim")
            )
            if place == self._chosen:
                row.stylize("reverse", label)
            lines.append(row)
        if len(self._completions) > first + len(shown):
            left = len(self._completions) - first - len(shown)
            lines.append(Text(f"{' ' * label}{left:,} more: ↓", style="dim"))
        self._below.update(Text("\n").join(lines))
        self._below.display = bool(lines)

    def _show_nothing(self) -> None:
        self._completions = ()
        self._draw(None, None)

    def _want_help(self) -> None:
        line = self._line
        if self._question is not None and self._question.language is not None:
            self.post_message(self.Edited(self._question, line.value, line.cursor_position))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Ask for help with the new text."""
        event.stop()
        self._want_help()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer with the text."""
        event.stop()
        if self._question is not None:
            self.post_message(self.Answered(self._question, event.value))

    def on__line_key(self, event: _Line.Key) -> None:
        """Take a completion, choose another one, or leave."""
        event.stop()
        if event.what == "leave":
            self.post_message(self.Left())
        elif not self._completions:
            return
        elif event.what == "choose":
            self._chosen = (self._chosen + event.by) % len(self._completions)
            self._draw(None, None)
        else:
            one = self._completions[self._chosen]
            line = self._line
            line.value = f"{line.value[: one.start]}{one.text}{line.value[one.end :]}"
            line.cursor_position = one.start + len(one.text)
