"""Metrics as drawings in a terminal: a line of a few characters, or a chart with axes.

Invariants: what cannot be drawn is said: NaN leaves a gap, and a chart tells what it leaves out. A chart is as
wide and high as asked, whatever the values. Series are told apart by colour, or else by letter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from rich.text import Text

from exptrack.series import Buckets

BARS = "▁▂▃▄▅▆▇█"
GAP, UP, DOWN = "·", "↑", "↓"
SPARK_CHARS = 12
COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LABEL_CHARS = 10
LEAST_WIDTH, LEAST_HEIGHT = 20, 3
ROWS_A_LABEL = 3


class Line(NamedTuple):
    """One series of a chart, downsampled to about a bucket for each column, with what it is called."""

    label: str
    buckets: Buckets


def sparkline(buckets: Buckets) -> str:
    """The last value of each bucket as a bar; a dot where it is NaN, an arrow where it is infinite."""
    return spark(buckets.lists()["last"])


def spark(values: Sequence[float]) -> str:
    """Values as bars between their least and greatest; a dot for NaN, an arrow for the infinities."""
    finite = [value for value in values if math.isfinite(value)]
    least, greatest = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_bar(value, least, greatest) for value in values)


def _bar(value: float, least: float, greatest: float) -> str:
    if math.isnan(value):
        return GAP
    if math.isinf(value):
        return UP if value > 0 else DOWN
    # Halves, because the difference of two floats can be too large for one.
    span = greatest / 2 - least / 2
    part = (value / 2 - least / 2) / span if span else 0.5
    return BARS[min(int(part * len(BARS)), len(BARS) - 1)]


def chart(
    title: str, lines: Sequence[Line], width: int, height: int, *, log: bool, by: str, colour: bool
) -> Text:
    """Lines over the same axes: steps, or seconds since each run's start (`by` ``"time"``)."""
    points = [list(_points(line.buckets, by, log)) for line in lines]
    drawn = [(x, y) for line in points for x, y in line if not math.isnan(y)]
    columns = max(width - LABEL_CHARS - 3, LEAST_WIDTH)
    rows = max(height, LEAST_HEIGHT)
    parts = [Text(f"{title}{' (log)' * log}", style="bold")]
    if drawn:
        x_range = _padded([x for x, _y in drawn])
        y_range = _padded([y for _x, y in drawn])
        parts += _axes(_canvas(points, columns, rows, x_range, y_range, colour), x_range, y_range, log, by)
    else:
        parts.append(Text("nothing that can be drawn", style="dim"))
    for place, line in enumerate(lines):
        mark = "●" if colour or len(lines) == 1 else _letter(place)
        legend = Text(f"{mark} {line.label}", style=_colour(place) if colour else "")
        parts.append(legend.append(_left_out(line.buckets, log), style="dim"))
    return Text("\n").join(parts)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _letter(place: int) -> str:
    return LETTERS[place % len(LETTERS)]


def _points(buckets: Buckets, by: str, log: bool) -> Iterator[tuple[float, float]]:
    """What is drawn of each bucket: first, least, greatest and last value; NaN where the line is broken."""
    told = buckets.lists()
    first, last = ("first_step", "last_step") if by == "step" else ("first_time_s", "last_time_s")
    for place in range(len(buckets)):
        low, high = told[first][place], told[last][place]
        middle = (low + high) / 2
        values = [(low, told["first"]), (middle, told["finite_min"]), (middle, told["finite_max"])]
        for x, column in (*values, (high, told["last"])):
            yield x, _drawable(column[place], log)


def _drawable(value: float, log: bool) -> float:
    if not math.isfinite(value) or (log and value <= 0):
        return math.nan
    return math.log10(value) if log else value


def _left_out(buckets: Buckets, log: bool) -> str:
    """What of a series does not show."""
    told = buckets.lists()
    missing = sum(told["nan_count"])
    words = [f"{missing:,} NaN"] if missing else []
    if any(math.isinf(value) for name in ("min", "max") for value in told[name]):
        words.append("infinite values")
    if log and any(value <= 0 for value in told["finite_min"]):
        words.append("values that have no logarithm")
    return f"  without {', '.join(words)}" if words else ""


def _padded(values: Sequence[float]) -> tuple[float, float]:
    """The range of an axis: never empty, and narrow enough to be a float."""
    least, greatest = min(values), max(values)
    if least == greatest:
        pad = abs(least) / 10 or 1.0
        least, greatest = least - pad, greatest + pad
    limit = 4e307
    return max(least, -limit), min(greatest, limit)


def _canvas(
    points: Sequence[Sequence[tuple[float, float]]],
    columns: int,
    rows: int,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    colour: bool,
) -> list[str]:
    from plotille import Canvas

    canvas = Canvas(columns, rows, x_range[0], y_range[0], x_range[1], y_range[1])
    for place, line in enumerate(points):
        shade = _colour(place) if colour else None
        present = [(x, min(max(y, y_range[0]), y_range[1])) for x, y in line]
        for (x, y), (next_x, next_y) in pairwise(present):
            if not math.isnan(y) and not math.isnan(next_y):
                canvas.line(x, y, next_x, next_y, color=shade)
        for x, y in present:
            if not math.isnan(y):
                marker = None if colour or len(points) == 1 else _letter(place)
                canvas.point(x, y, color=shade, marker=marker)
    return canvas.plot().splitlines()  # type: ignore[no-any-return]


def _axes(
    drawing: Sequence[str], x_range: tuple[float, float], y_range: tuple[float, float], log: bool, by: str
) -> list[Text]:
    rows = len(drawing)
    found = []
    for row, dots in enumerate(drawing):
        label = ""
        if row % ROWS_A_LABEL == 0 or row == rows - 1:
            part = 1 - row / (rows - 1)
            label = _label(y_range[0] * (1 - part) + y_range[1] * part, log)
        found.append(Text(f"{label:>{LABEL_CHARS}} │", style="dim").append_text(Text.from_ansi(dots)))
    columns = len(found[0]) - LABEL_CHARS - 2
    left, right = (_label(value, False) for value in x_range)
    unit = "steps" if by == "step" else "seconds"
    middle = max(columns - len(left) - len(right) - len(unit), 2)
    before = " " * (middle // 2)
    ruler = f"{left}{before}{unit}{' ' * (middle - len(before))}{right}"
    margin = " " * (LABEL_CHARS + 1)
    found.append(Text(f"{margin}└{'─' * columns}", style="dim"))
    found.append(Text(f"{margin} {ruler}", style="dim"))
    return found


def _label(value: float, log: bool) -> str:
    if log:
        value = 10**value
    return f"{value:.4g}"
