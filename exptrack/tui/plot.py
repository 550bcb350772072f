"""Draw curves of several runs as dots, small enough for a grid of charts.

Invariants: a chart has exactly as many lines and columns as asked for. A value that is not finite leaves a gap
and is told in the title. Where there is no colour, curves differ by letters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from exptrack.amounts import format_duration
from exptrack.markup.ticks import linear_ticks, log_ticks, write_ticks
from exptrack.terminal.charts import (
    DOTS_ACROSS,
    DOTS_UP,
    LETTERS,
    bucket_points,
    describe_left_out,
    pad_range,
    share_of,
)
from exptrack.terminal.console import safe

if TYPE_CHECKING:
    from exptrack import Buckets

LEAST_COLUMNS, LEAST_ROWS = 16, 4
LEAST_PLOT = 8  # columns; a narrower plot has no labels beside it
MOST_LABEL = 8
ROWS_A_TICK = 3
BRAILLE = 0x2800
# The bits of a braille character: of its left column from the top, then of its right one.
BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
DIM = "dim"


class Curve(NamedTuple):
    """A curve of a chart: its number among the marks, how it is coloured, and its buckets."""

    label: str
    place: int
    style: str
    buckets: Buckets


class View(NamedTuple):
    """How charts are drawn: along which axis, on which scale, and with or without colour.

    `window` is the part of the axis that is shown; None for all. `cross` is where the cross-hair stands, as a
    share of the width; None without one.
    """

    by: str = "step"
    log: bool = False
    colour: bool = True
    window: tuple[float, float] | None = None
    cross: float | None = None


class _Canvas:
    """Cells of 2 by 4 dots; each remembers which curves drew on it, as bits."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.dots = bytearray(columns * rows)
        self.owners = [0] * (columns * rows)

    def draw_dot(self, x: int, y: int, owner: int) -> None:
        """Draw a dot; `y` counts from the top."""
        cell = (y // DOTS_UP) * self.columns + x // DOTS_ACROSS
        self.dots[cell] |= BITS[x % DOTS_ACROSS][y % DOTS_UP]
        self.owners[cell] |= 1 << owner

    def draw_line(self, start: tuple[int, int], end: tuple[int, int], owner: int) -> None:
        """Draw a straight line of dots, both ends included."""
        (x, y), (to_x, to_y) = start, end
        steps = max(abs(to_x - x), abs(to_y - y))
        for step in range(steps + 1):
            part = step / steps if steps else 0.0
            self.draw_dot(round(x + (to_x - x) * part), round(y + (to_y - y) * part), owner)


def find_span(curves: Sequence[Curve], view: View) -> tuple[float, float] | None:
    """Return the part of the axis that curves have points on; None without points."""
    edges = [x for curve in curves for x, _y in bucket_points(curve.buckets, view.by, False)]
    return (min(edges), max(edges)) if edges else None


def read_at(buckets: Buckets, by: str, x: float) -> tuple[float, float] | None:
    """Return where the last bucket at or before `x` ends, and its last value; None if there is none."""
    values_of = buckets.lists()
    begins, ends = ("first_step", "last_step") if by == "step" else ("first_time_s", "last_time_s")
    found = None
    for place, begin in enumerate(values_of[begins]):
        if begin > x:
            break
        found = values_of[ends][place], values_of["last"][place]
    return found


def draw_chart(
    title: str, summary: Text, curves: Sequence[Curve], width: int, height: int, view: View
) -> list[Text]:
    """Draw a chart of `width` columns and `height` lines: a title, the curves with their axis, the ruler.

    `summary` stands at the right end of the title, as far as there is room.
    """
    rows = max(height - 2, LEAST_ROWS)
    points = [list(bucket_points(curve.buckets, view.by, view.log)) for curve in curves]
    drawn = [(x, y) for path in points for x, y in path if not math.isnan(y)]
    head = _draw_title(title, summary, curves, width, view)
    if not drawn:
        why = (
            "no value above 0"
            if view.log and any(points)
            else "no points yet"
            if not any(points)
            else "no finite value"
        )
        blank = [Text(" " * width) for _ in range(rows)]
        blank[rows // 2] = Text(f"{why:^{width}}"[:width], style=DIM)
        return [head, *blank, Text(" " * width)][:height]
    y_range = pad_range([y for _x, y in drawn], view.log)
    labels = _label_rows(y_range, rows, view.log)
    gutter = max(map(len, labels.values()), default=0) + 1
    if gutter > MOST_LABEL + 1 or width - gutter < LEAST_PLOT:
        labels, gutter = {}, 1
    columns = max(width - gutter, 1)
    x_range = view.window or pad_range([x for x, _y in drawn])
    canvas = _Canvas(columns, rows)
    for place, path in enumerate(points):
        _draw_curve(canvas, path, place, x_range, y_range)
    cross = None if view.cross is None else min(int(view.cross * columns), columns - 1)
    lines = [_draw_row(canvas, row, labels.get(row), gutter, cross, curves, view) for row in range(rows)]
    return [head, *lines, _draw_ruler(x_range, columns, gutter, view)][:height]


def mark_of(curve: Curve, view: View) -> str:
    """Return the sign that stands for a curve where it is named."""
    return "●" if view.colour else LETTERS[curve.place % len(LETTERS)]


def show_position(x: float, by: str) -> str:
    """Write a place on the axis: a step, or a time since the start of the run."""
    return f"step {x:,.0f}" if by == "step" else format_duration(x)


def _draw_title(title: str, summary: Text, curves: Sequence[Curve], width: int, view: View) -> Text:
    missing = {note for curve in curves if (note := describe_left_out(curve.buckets, view.log).strip())}
    words = f"{safe(title)}{' (log)' * view.log}"
    head = Text(words, style="bold")
    if missing:
        head.append(
            f"  {missing.pop() if len(missing) == 1 else 'some values left out'}", style="not bold yellow"
        )
    room = width - head.cell_len
    if summary.cell_len + 2 <= room:
        head.append(" " * (room - summary.cell_len)).append_text(summary)
    head.truncate(width, overflow="ellipsis", pad=True)
    return head


def _draw_curve(
    canvas: _Canvas,
    points: Sequence[tuple[float, float]],
    owner: int,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> None:
    across, up = canvas.columns * DOTS_ACROSS - 1, canvas.rows * DOTS_UP - 1

    def place_of(x: float, y: float) -> tuple[int, int] | None:
        if math.isnan(y) or not x_range[0] <= x <= x_range[1]:
            return None
        return round(share_of(x, *x_range) * across), round((1 - share_of(y, *y_range)) * up)

    places = [place_of(x, y) for x, y in points]
    for place in places:
        if place is not None:
            canvas.draw_dot(*place, owner)
    for here, there in pairwise(places):
        if here is not None and there is not None and here != there:
            canvas.draw_line(here, there, owner)


def _draw_row(
    canvas: _Canvas,
    row: int,
    label: str | None,
    gutter: int,
    cross: int | None,
    curves: Sequence[Curve],
    view: View,
) -> Text:
    line = Text().append(f"{label or '':>{gutter - 1}}{'┤' if label else '│'}", DIM)
    first = row * canvas.columns
    letters = not view.colour and len(curves) > 1
    run, style = "", ""
    for column in range(canvas.columns):
        dots = canvas.dots[first + column]
        if dots:
            owners = [place for place in range(len(curves)) if canvas.owners[first + column] >> place & 1]
            # The first curve lies above the others; letters take turns, as they hide what is below.
            owner = owners[column % len(owners)] if letters else owners[0]
            sign = LETTERS[curves[owner].place % len(LETTERS)] if letters else chr(BRAILLE + dots)
            wanted = curves[owner].style if view.colour else ""
        else:
            sign, wanted = ("│", DIM) if column == cross else (" ", style)
        if wanted != style:
            line.append(run, style)
            run, style = "", wanted
        run += sign
    return line.append(run, style)


def _label_rows(y_range: tuple[float, float], rows: int, log: bool) -> dict[int, str]:
    """Return the labels of the vertical axis, each by the row whose value is nearest."""
    most = max(2, rows // ROWS_A_TICK)
    if log:
        low, high = 10 ** y_range[0], 10 ** min(y_range[1], 307)
        ticks = log_ticks(low, high, most) if low > 0 else []
        places = [math.log10(tick) for tick in ticks]
    else:
        ticks = linear_ticks(*y_range, most)
        places = list(ticks)
    words = write_ticks(ticks, is_log=log)
    return {
        round((1 - min(max(share_of(place, *y_range), 0.0), 1.0)) * (rows - 1)): word
        for place, word in zip(places, words, strict=True)
    }


def _draw_ruler(x_range: tuple[float, float], columns: int, gutter: int, view: View) -> Text:
    """Write both ends of the axis below it, and what it counts between them."""
    if view.by == "step":
        left, right, unit = f"{x_range[0]:,.0f}", f"{x_range[1]:,.0f}", "steps"
    else:
        left, right, unit = format_duration(x_range[0]), format_duration(x_range[1]), "since the start"
    between = columns - cell_len(left) - cell_len(right)
    if between < 1:
        return Text(" " * (gutter + columns))
    middle = f"{unit:^{between}}" if between >= len(unit) + 2 else " " * between
    return Text(f"{' ' * gutter}{left}{middle}{right}", style=DIM)
