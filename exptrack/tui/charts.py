"""The charts of a run or of several: a grid of small ones, or one of them large with a cross-hair.

Invariant: it draws what it was given last, and asks by a message for what it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from exptrack import Buckets, MetricSummary
from exptrack.directions import guess_direction
from exptrack.terminal.charts import DOTS_ACROSS
from exptrack.terminal.console import format_number
from exptrack.tui.plot import Curve, View, draw_chart, find_span, mark_of, read_at, show_position
from exptrack.tui.reading import RunMetrics
from exptrack.tui.strips import fit, make_strip

LEAST_WIDTH, LEAST_HEIGHT = 36, 8  # of a chart in the grid
MOST_LINES_OF_LEGEND = 13
STEP, JUMP = 0.02, 0.1  # of the width, by which the cross-hair moves
ZOOM = 0.5
LEAST_STEPS, LEAST_SECONDS = 4.0, 0.1  # that a window spans


class DrawnRun(NamedTuple):
    """A run with curves: its id, what it is called, and its colour and letter."""

    run_id: str
    label: str
    place: int
    style: str


class Charts(Widget, can_focus=True):
    """A grid of charts, a metric each, with a curve for each run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "go(0, -1)", show=False),
        Binding("down,j", "go(0, 1)", show=False),
        Binding("left,h", "go(-1, 0)", show=False),
        Binding("right,l", "go(1, 0)", show=False),
        Binding("tab,shift+tab", "app.turn_side", show=False),
        Binding("pageup", "turn(-1)", show=False),
        Binding("pagedown", "turn(1)", show=False),
        Binding("home,g", "turn(-1000000)", show=False),
        Binding("end,G", "turn(1000000)", show=False),
        Binding("enter", "enlarge", show=False),
        Binding("escape", "reduce", show=False),
        Binding("plus,equals_sign", f"zoom({ZOOM})", show=False),
        Binding("minus", f"zoom({1 / ZOOM})", show=False),
        Binding("0", "show_all", show=False),
        Binding("shift+left,H", f"jump({-JUMP})", show=False),
        Binding("shift+right,L", f"jump({JUMP})", show=False),
    ]

    class Wanted(Message):
        """Curves are to be read: other metrics are in view, or another part of the axis."""

    def __init__(self, *, colour: bool, id: str) -> None:  # noqa: A002 (the name that Textual has)
        super().__init__(id=id)
        self._view = View(colour=colour)
        self._metrics = RunMetrics({}, False)
        self._runs: Sequence[DrawnRun] = ()
        self._curves: Mapping[tuple[str, str], Buckets] = {}
        self._chosen = 0
        self._is_large = False
        self._drawn: list[Text] | None = None
        self._problem = ""

    # What it shows

    @property
    def names(self) -> list[str]:
        """The metrics, in the order of the charts."""
        return list(self._metrics.by_name)

    @property
    def is_large(self) -> bool:
        """Whether one chart fills the widget."""
        return self._is_large

    @property
    def view(self) -> View:
        """How the charts are drawn."""
        return self._view

    @property
    def names_in_view(self) -> list[str]:
        """The metrics whose curves are on the screen."""
        return self._page_of(self.names)

    def choose_names(self, found: RunMetrics) -> list[str]:
        """Return the metrics that are on the screen once these are shown."""
        return self._page_of(list(found.by_name))

    def _page_of(self, names: list[str]) -> list[str]:
        chosen = min(self._chosen, max(len(names) - 1, 0))
        if self._is_large:
            return names[chosen : chosen + 1]
        size = self._across * self._down
        first = chosen // size * size
        return names[first : first + size]

    @property
    def buckets(self) -> int:
        """How many buckets a curve is read in."""
        width = self.size.width if self._is_large else self.size.width // self._across
        return max(width * DOTS_ACROSS, 16)

    def show_curves(
        self, metrics: RunMetrics, runs: Sequence[DrawnRun], curves: Mapping[tuple[str, str], Buckets]
    ) -> None:
        """Draw curves of runs; the first run lies above the others."""
        self._metrics, self._runs, self._curves = metrics, runs, curves
        self._chosen = min(self._chosen, max(len(metrics.by_name) - 1, 0))
        self._problem = ""
        self._redraw()

    def show_words(self, words: str) -> None:
        """Show a sentence instead of charts."""
        self._metrics, self._runs, self._curves = RunMetrics({}, False), (), {}
        self._problem = words
        self._redraw()

    def write_place(self) -> str:
        """Tell which charts of how many are on the screen, and how they are drawn."""
        names, shown = self.names, self.names_in_view
        words = []
        if names and not self._is_large and len(shown) < len(names):
            first = names.index(shown[0]) + 1
            words.append(f"{first}–{first + len(shown) - 1} of {len(names):,}")
        words += ["by time"] * (self._view.by == "time") + ["log"] * self._view.log
        words += ["zoomed"] * (self._view.window is not None)
        return ", ".join(words)

    # Drawing

    @property
    def _across(self) -> int:
        return max(1, self.size.width // LEAST_WIDTH)

    @property
    def _down(self) -> int:
        return max(1, self.size.height // LEAST_HEIGHT)

    def on_resize(self, _event: Resize) -> None:
        """Draw anew, with curves as fine as the new size."""
        self._drawn = None
        self.post_message(self.Wanted())

    def on_focus(self) -> None:
        """Show which chart is chosen."""
        self._redraw()

    def on_blur(self) -> None:
        """Hide which chart is chosen."""
        self._redraw()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        if self._drawn is None:
            self._drawn = self._draw()
        line = self._drawn[y] if y < len(self._drawn) else Text()
        return make_strip(self.app.console, line, self.size.width, self.rich_style)

    def _redraw(self) -> None:
        self._drawn = None
        self.refresh()

    def _draw(self) -> list[Text]:
        if not self._metrics.by_name:
            return [Text(self._problem or "no metrics", style="dim")]
        return self._draw_large() if self._is_large else self._draw_grid()

    def _draw_grid(self) -> list[Text]:
        shown = self.names_in_view
        across = min(self._across, len(shown))
        down = -(-len(shown) // across)
        if len(self.names) > len(shown):  # a page that is not full keeps the size of its charts
            across, down = self._across, self._down
        width, height = self.size.width // across, self.size.height // down
        lines: list[Text] = []
        for row in range(0, len(shown), across):
            charts = [self._draw_one(name, width - 1, height) for name in shown[row : row + across]]
            for parts in zip(*charts, strict=True):
                line = Text()
                for part in parts:
                    line.append_text(part).append(" " * (width - part.cell_len))
                lines.append(line)
        return lines

    def _draw_one(self, name: str, width: int, height: int) -> list[Text]:
        view = self._view._replace(cross=None)
        lines = draw_chart(name, self._summarize(name), self._curves_of(name), width, height, view)
        if self.has_focus and name == self.names[self._chosen]:
            lines[0].stylize("reverse")
        return lines

    def _draw_large(self) -> list[Text]:
        name = self.names[self._chosen]
        curves = self._curves_of(name)
        legend = self._write_legend(curves)
        room = self.size.height - len(legend)
        return [*draw_chart(name, self._summarize(name), curves, self.size.width, room, self._view), *legend]

    def _write_legend(self, curves: Sequence[Curve]) -> list[Text]:
        """Write a line for each run with its value at the cross-hair, or with its last value."""
        x = self._position(curves)
        most = max(1, min(MOST_LINES_OF_LEGEND, self.size.height // 2))
        lines = [
            Text("last values; ← and → move the cross-hair" if x is None else show_position(x, self._view.by))
        ]
        lines[0].stylize("dim")
        found = []
        for curve in curves:
            at = read_at(curve.buckets, self._view.by, float("inf") if x is None else x)
            found.append((curve, at))
        for curve, at in found[: most - 1]:
            line = Text().append(f"{mark_of(curve, self._view)} ", curve.style if self._view.colour else "bold")
            line.append_text(fit(curve.label, max(self.size.width - 30, 8)))
            value = (
                "–" if at is None else f"{format_number(at[1]):>12}  at {show_position(at[0], self._view.by)}"
            )
            lines.append(line.append(value))
        return lines

    def _curves_of(self, name: str) -> list[Curve]:
        return [
            Curve(run.label, run.place, run.style, self._curves[run.run_id, name])
            for run in self._runs
            if len(self._curves.get((run.run_id, name), ()))
        ]

    def _summarize(self, name: str) -> Text:
        """Write the last and the best value of one run, or the best last value of several."""
        by_run = self._metrics.by_name[name]
        direction = guess_direction(name)
        if len(self._runs) == 1:
            one = next(iter(by_run.values()))
            best, word = (one.min, "min") if direction == "minimize" else (one.max, "max")
            line = Text(format_number(one.last), style="bold")
            if direction is not None and best is not None and best != one.last:
                line.append(f" {word} {format_number(best)}", "not bold dim")
            return line
        held = [(run, by_run[run.run_id]) for run in self._runs if run.run_id in by_run]
        best_run = _find_best(held, direction)
        if best_run is None:
            return Text()
        run, value = best_run
        return Text(f"{'min' if direction == 'minimize' else 'max'} ", style="dim").append(
            format_number(value), f"not dim bold {run.style}" if self._view.colour else "not dim bold"
        )

    # Keys

    def action_go(self, across: int, down: int) -> None:
        """Choose another chart; of a large one, move the cross-hair or go to the next metric."""
        if self._is_large and across:
            self.action_jump(across * STEP)
            return
        by = across + down * (1 if self._is_large else self._across)
        self._choose(self._chosen + by)

    def action_turn(self, by: int) -> None:
        """Turn pages of charts."""
        self._choose(self._chosen + by * (1 if self._is_large else self._across * self._down))

    def _choose(self, place: int) -> None:
        before = self.names_in_view
        self._chosen = max(0, min(place, len(self.names) - 1))
        self._redraw()
        if self.names_in_view != before:
            self.post_message(self.Wanted())

    def action_enlarge(self) -> None:
        """Let the chosen chart fill the widget, or go back to the grid."""
        self._is_large = not self._is_large and bool(self.names)
        self._view = self._view._replace(cross=None)
        self._redraw()
        self.post_message(self.Wanted())

    def action_reduce(self) -> None:
        """Go back to the grid; in the grid the key is for the view."""
        if not self._is_large:
            raise SkipAction
        self.action_enlarge()

    def action_jump(self, by: float) -> None:
        """Move the cross-hair of a large chart."""
        if not self._is_large:
            return
        cross = self._view.cross
        at = (1.0 if by < 0 else 0.0) if cross is None else cross + by
        self._view = self._view._replace(cross=max(0.0, min(1.0, at)))
        self._redraw()

    def action_zoom(self, by: float) -> None:
        """Show a smaller or a larger part of the axis, around the cross-hair."""
        window = self._find_window()
        if window is None:
            return
        low, high = window
        cross = 0.5 if self._view.cross is None else self._view.cross
        middle = low + (high - low) * cross
        span = (high - low) * by
        whole = self._find_whole()
        if whole is None or span >= whole[1] - whole[0]:
            self.action_show_all()
            return
        span = max(span, LEAST_STEPS if self._view.by == "step" else LEAST_SECONDS)
        start = min(max(middle - span * cross, whole[0]), whole[1] - span)
        self._view = self._view._replace(window=(start, start + span))
        self._redraw()
        self.post_message(self.Wanted())

    def action_show_all(self) -> None:
        """Show the whole axis."""
        self._view = self._view._replace(window=None)
        self._redraw()
        self.post_message(self.Wanted())

    def change_axis(self) -> None:
        """Draw along the time since the start of each run, or along steps."""
        self._view = self._view._replace(by="time" if self._view.by == "step" else "step", window=None)
        self._redraw()
        self.post_message(self.Wanted())

    def change_scale(self) -> None:
        """Draw on a logarithmic scale, or on a linear one."""
        self._view = self._view._replace(log=not self._view.log)
        self._redraw()
        self.post_message(self.Wanted())

    def _position(self, curves: Sequence[Curve]) -> float | None:
        window = self._view.window or find_span(curves, self._view)
        if self._view.cross is None or window is None:
            return None
        return window[0] + (window[1] - window[0]) * self._view.cross

    def _find_window(self) -> tuple[float, float] | None:
        return self._view.window or self._find_whole()

    def _find_whole(self) -> tuple[float, float] | None:
        """Return the part of the axis on which the metrics in view have points."""
        held = [
            (name, run_id, one)
            for name in self.names_in_view
            for run_id, one in self._metrics.by_name[name].items()
        ]
        if self._view.by == "step":
            edges = [step for _name, _run, one in held for step in (one.first_step, one.last_step)]
            return (min(edges), max(edges)) if edges else None
        curves = [curve for name in self.names_in_view for curve in self._curves_of(name)]
        return self._view.window or find_span(curves, self._view)


def _find_best(
    held: Sequence[tuple[DrawnRun, MetricSummary]], direction: str | None
) -> tuple[DrawnRun, float] | None:
    """Return the run with the best value, and that value."""
    if direction is None:
        return None
    values = [(run, one.min if direction == "minimize" else one.max) for run, one in held]
    known = [(run, value) for run, value in values if value is not None]
    sign = 1 if direction == "minimize" else -1
    return min(known, key=lambda pair: sign * pair[1], default=None)
