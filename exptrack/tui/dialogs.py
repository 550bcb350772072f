"""The screens that lie over the view: the keys, and the question before runs are deleted."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from exptrack.terminal.console import safe

KEYS = (
    (
        "Runs",
        (
            ("↑ ↓  PgUp PgDn", "move; Home, End, j, k, g and G do too"),
            ("space", "mark the run: its curves lie over those of the others"),
            ("m   u", "mark the first five runs; take off all marks"),
            ("/", "filter, in the language of 'exptrack ls --where'"),
            ("f", "find runs that have a text in name, id, group, tags or notes"),
            ("s   r", "sort by fields; turn the order around"),
            ("c", "choose the columns"),
        ),
    ),
    (
        "Sides",
        (
            ("tab", "go to the other side"),
            ("1 … 6   [ ]", "charts, run, config, metrics, artifacts, events"),
            ("z   enter", "give this side the whole screen; give it to the right one"),
            ("x   y", "steps or time along the charts; logarithmic scale"),
            ("f", "on the right: show the metrics that have a text in their names"),
        ),
    ),
    (
        "Charts",
        (
            ("← ↑ ↓ →", "choose a chart; PgUp and PgDn turn the page"),
            ("enter   esc", "enlarge the chart, with a cross-hair; go back"),
            ("← →   H L", "move the cross-hair; move it far"),
            ("+ - 0", "zoom in and out; show all"),
        ),
    ),
    (
        "Change runs",
        (
            ("t", "add tags to the marked runs, or to the chosen one; -tag removes one"),
            ("n   e", "add a note to them; give the chosen run another name"),
            ("d", "delete them, after a question"),
        ),
    ),
    (
        "The rest",
        (
            ("esc", "take back what f found"),
            ("ctrl-r", "read everything again"),
            ("ctrl-z", "go to the shell; 'fg' comes back"),
            ("q   ctrl-c", "quit"),
        ),
    ),
)
SHOWN_RUNS = 8


class HelpScreen(ModalScreen[None]):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "close", show=False)]

    def compose(self) -> ComposeResult:
        """Lay out the keys, as far as there is room; the rest scrolls."""
        with VerticalScroll(id="help") as box:
            box.border_title = "keys"
            box.border_subtitle = "esc closes"
            yield Static(_write_keys(), markup=False)

    def action_close(self) -> None:
        """Go back to the view."""
        self.dismiss()


class ConfirmScreen(ModalScreen[str]):
    """Asks what to do with runs: ``"trash"``, ``"delete"``, or an empty text for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "answer('trash')", show=False),
        Binding("D", "answer('delete')", show=False),
        Binding("escape,n,q,enter", "answer('')", show=False),
    ]

    def __init__(self, labels: list[str], freed: str) -> None:
        super().__init__()
        self._labels = labels
        self._freed = freed

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        shown = [
            Text(f"  {safe(label)}", overflow="ellipsis", no_wrap=True) for label in self._labels[:SHOWN_RUNS]
        ]
        if len(self._labels) > SHOWN_RUNS:
            shown.append(Text(f"  and {len(self._labels) - SHOWN_RUNS:,} more", style="dim"))
        with Vertical(id="confirm") as box:
            count = len(self._labels)
            box.border_title = f"delete {count} run{'s' * (count != 1)}?"
            yield Static(Text("\n").join(shown), markup=False)
            yield Static(_write_answers(self._freed), markup=False)

    def action_answer(self, what: str) -> None:
        """Go back to the view with the answer."""
        self.dismiss(what)


def _write_answers(freed: str) -> Text:
    lines = [
        Text().append("\nt", "bold").append("    move to the trash; 'exptrack restore' takes them out"),
        Text()
        .append("D", "bold")
        .append(f"    delete for good, with {freed} of artifacts; this cannot be undone"),
        Text().append("esc", "bold").append("  leave them"),
    ]
    return Text("\n").join(lines)


def _write_keys() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for place, (title, keys) in enumerate(KEYS):
        if place:
            grid.add_row()
        grid.add_row(Text(title, style="bold"))
        for key, words in keys:
            grid.add_row(Text(f"  {key}", style="cyan"), Text(words))
    return grid
