"""Draw numbers in a terminal: a line of a few bars, or a chart with axes.

Invariants: NaN leaves a gap, and a chart says which values it leaves out. A chart is as wide and high as asked,
whatever the values. Series differ by colour, or by letter where there is no colour.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.text import Text

from exptrack.curve_points import read_places, smooth_means

if TYPE_CHECKING:
    from exptrack import Buckets

BARS = "▁▂▃▄▅▆▇█"
GAP, UP, DOWN = "·", "↑", "↓"
SPARK_CHARS = 12
PLOT_ROWS = 12
PIPED_COLUMNS = 100
COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LABEL_CHARS = 10
LEAST_WIDTH, LEAST_HEIGHT = 20, 3
ROWS_A_LABEL = 3
DOTS_ACROSS, DOTS_UP = 2, 4  # of a character
LEAST_FLOAT, MOST_FLOAT = math.ulp(0.0), sys.float_info.max


class Line(NamedTuple):
    """One series of a chart with its label, downsampled to about a bucket for each column.

    `note` stands behind the label.
    """

    label: str
    buckets: Buckets
    note: str = ""


class View(NamedTuple):
    """How lines are drawn: along steps or seconds (`by` ``"time"``), on which vertical axis, how smooth.

    `smooth` is a length along the axis, 0 for lines as they are. `y` is the range that is drawn, None for all.
    """

    by: str = "step"
    log: bool = False
    smooth: float = 0.0
    y: tuple[float, float] | None = None


class Layer(NamedTuple):
    """Points of one kind: each is drawn as `mark` (a dot if empty); `joined` ones also by a line."""

    label: str
    points: Sequence[tuple[float, float]]
    mark: str
    style: str
    joined: bool = False


def chart_width(out: Console) -> int:
    """Return how many columns a chart fills."""
    return out.width if out.is_terminal else PIPED_COLUMNS


def draw_sparkline(buckets: Buckets) -> str:
    """Draw the last value of each bucket as a bar; NaN as a dot, infinities as arrows."""
    return draw_bars(buckets.lists()["last"])


def draw_bars(values: Sequence[float]) -> str:
    """Draw values as bars between the least and the greatest; NaN as a dot, infinities as arrows."""
    finite = [value for value in values if math.isfinite(value)]
    least, greatest = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_bar(value, least, greatest) for value in values)


def _bar(value: float, least: float, greatest: float) -> str:
    if math.isnan(value):
        return GAP
    if math.isinf(value):
        return UP if value > 0 else DOWN
    part = share_of(value, least, greatest)
    return BARS[min(int(part * len(BARS)), len(BARS) - 1)]


def share_of(value: float, least: float, greatest: float) -> float:
    """Return where a value stands in a range: 0 at its least end, 1 at its greatest, 0.5 in an empty range."""
    span = greatest - least
    if not span:
        return 0.5
    if math.isinf(span):  # the difference of two floats can be too large for one
        return (value / 2 - least / 2) / (greatest / 2 - least / 2)
    return (value - least) / span


def draw_lines(
    title: str, lines: Sequence[Line], width: int, height: int = PLOT_ROWS, *, view: View, colour: bool
) -> Text:
    """Draw lines over one axis."""
    points = [list(_draw_path(line.buckets, view)) for line in lines]
    drawn = [(x, y) for line in points for x, y in line if not math.isnan(y)]
    y_range = None
    if view.y is not None:
        y_range = _drawable(view.y[0], view.log), _drawable(view.y[1], view.log)
        points = [list(clip_path(path, *y_range)) for path in points]
    columns = max(width - LABEL_CHARS - 3, LEAST_WIDTH)
    rows = max(height, LEAST_HEIGHT)
    plain = colour or len(lines) == 1
    parts = [Text(f"{title}{' (log)' * view.log}", style="bold")]
    if drawn:
        x_range = pad_range([x for x, _y in drawn])
        y_range = y_range or pad_range([y for _x, y in drawn], view.log)
        layers = [
            Layer(line.label, path, "" if plain else _letter(place), _colour(place), joined=True)
            for place, (line, path) in enumerate(zip(lines, points, strict=True))
        ]
        drawing = _plot(layers, columns, rows, x_range, y_range, colour)
        unit = "steps" if view.by == "step" else "seconds"
        parts += _beside_axis(drawing, y_range, view.log)
        parts += _below(_ruler(x_range, columns, unit, False))
    else:
        parts.append(Text("nothing can be drawn", style="dim"))
    for place, line in enumerate(lines):
        mark = "●" if plain else _letter(place)
        legend = Text(f"{mark} {line.label}", style=_colour(place) if colour else "")
        if line.note:
            legend.append(f"  {line.note}", style="not dim")
        parts.append(legend.append(describe_left_out(line.buckets, view.log), style="dim"))
    return Text("\n").join(parts)


def _draw_path(buckets: Buckets, view: View) -> Iterator[tuple[float, float]]:
    if not view.smooth:
        yield from bucket_points(buckets, view.by, view.log)
        return
    columns = buckets.lists()
    means = smooth_means(columns, view.smooth, view.by)
    for x, mean in zip(read_places(columns, view.by), means, strict=True):
        yield x, math.nan if mean is None else _drawable(mean, view.log)


def clip_path(path: Sequence[tuple[float, float]], low: float, high: float) -> Iterator[tuple[float, float]]:
    """Cut a path at two heights: a line ends where it crosses one, and NaN stands for what is beyond.

    >>> list(clip_path([(0, 0), (2, 2), (3, 2)], 0, 1))
    [(0, 0), (1.0, 1), (2, nan), (3, nan)]
    """
    before: tuple[float, float] | None = None
    for x, y in path:
        if before is not None and not math.isnan(before[1] + y):
            was_x, was_y = before
            edges = (low, high) if was_y < y else (high, low)
            for edge in edges:
                if min(was_y, y) < edge < max(was_y, y):
                    yield was_x + (x - was_x) * share_of(edge, was_y, y), edge
        before = x, y
        yield x, y if low <= y <= high else math.nan


def draw_points(
    title: str,
    layers: Sequence[Layer],
    width: int,
    height: int = PLOT_ROWS,
    *,
    unit: str,
    log_x: bool = False,
    log_y: bool = False,
    names: Sequence[str] = (),
    colour: bool,
) -> Text:
    """Draw points, each layer over those before it; `unit` names the horizontal axis.

    The axis is a scale or, with `names`, has one place for each name, counted from 0.
    """
    scaled = [[_scaled(point, log_x, log_y) for point in layer.points] for layer in layers]
    drawn = [[point for point in points if point is not None] for points in scaled]
    everything = [point for points in drawn for point in points]
    columns = max(width - LABEL_CHARS - 3, LEAST_WIDTH)
    parts = [Text(f"{title}{' (log)' * log_y}", style="bold")]
    if everything:
        x_range = (-0.5, len(names) - 0.5) if names else pad_range([x for x, _y in everything], log_x)
        y_range = pad_range([y for _x, y in everything], log_y)
        shown = [layer._replace(points=points) for layer, points in zip(layers, drawn, strict=True)]
        drawing = _plot(shown, columns, max(height, LEAST_HEIGHT), x_range, y_range, colour)
        parts += _beside_axis(drawing, y_range, log_y)
        ruler = _ruler(x_range, columns, f"{unit}{' (log)' * log_x}", log_x)
        named = _name_ruler(names, columns) if names else ruler
        if not named:
            numbers = [str(place) for place in range(1, len(names) + 1)]
            named = _name_ruler(numbers, columns) or f"{unit:^{columns}}"
            key = ", ".join(f"{place} = {name}" for place, name in zip(numbers, names, strict=True))
            parts += [*_below(named), Text(key, style="dim")]
        else:
            parts += _below(named)
    else:
        parts.append(Text("nothing can be drawn", style="dim"))
    for layer, points in zip(layers, scaled, strict=True):
        if points:
            legend = Text(f"{layer.mark or '─'} {layer.label}", style=layer.style if colour else "")
            missing = points.count(None)
            why = "not finite, or without a logarithm" if log_x or log_y else "not finite"
            parts.append(legend.append(f"  without {missing:,} {why}" * bool(missing), "dim"))
    return Text("\n").join(parts)


def _scaled(point: tuple[float, float], log_x: bool, log_y: bool) -> tuple[float, float] | None:
    x, y = _drawable(point[0], log_x), _drawable(point[1], log_y)
    return None if math.isnan(x) or math.isnan(y) else (x, y)


def _name_ruler(names: Sequence[str], columns: int) -> str:
    """Return a ruler with a name under each place, or nothing if the names do not fit."""
    ruler = ""
    for place, name in enumerate(names):
        start = max(round((place + 0.5) / len(names) * columns - len(name) / 2), 0)
        if start < len(ruler) + bool(ruler) or start + len(name) > columns:
            return ""
        ruler = f"{ruler:<{start}}{name}"
    return f"{ruler:<{columns}}"


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _letter(place: int) -> str:
    return LETTERS[place % len(LETTERS)]


def bucket_points(buckets: Buckets, by: str, log: bool) -> Iterator[tuple[float, float]]:
    """Yield the points drawn for each bucket: first, least, greatest and last value; NaN breaks the line.

    Extremes that are the first or the last value are not drawn twice, so a line that rises or falls is smooth.
    """
    values_of = buckets.lists()
    first, last = ("first_step", "last_step") if by == "step" else ("first_time_s", "last_time_s")
    for place in range(len(buckets)):
        low, high = values_of[first][place], values_of[last][place]
        # Half of a large step as a float can lie outside of its bucket.
        middle = (low + high) // 2 if by == "step" else (low + high) / 2
        begin, end, least, greatest = (
            values_of[name][place] for name in ("first", "last", "finite_min", "finite_max")
        )
        yield low, _drawable(begin, log)
        extremes = (least, greatest) if begin <= end else (greatest, least)
        for value in extremes:
            if value not in (begin, end):
                yield middle, _drawable(value, log)
        yield high, _drawable(end, log)


def _drawable(value: float, log: bool) -> float:
    if not math.isfinite(value) or (log and value <= 0):
        return math.nan
    return math.log10(value) if log else value


def describe_left_out(buckets: Buckets, log: bool) -> str:
    """Say which values of a series are not drawn."""
    values_of = buckets.lists()
    missing = sum(values_of["nan_count"])
    words = [f"{missing:,} NaN"] if missing else []
    if any(math.isinf(value) for name in ("min", "max") for value in values_of[name]):
        words.append("infinite values")
    if log and any(value <= 0 for value in values_of["finite_min"]):
        words.append("values without a logarithm")
    return f"  without {', '.join(words)}" if words else ""


def pad_range(values: Sequence[float], log: bool = False) -> tuple[float, float]:
    """Return the range of an axis: never empty, and finite at both ends."""
    least, greatest = min(values), max(values)
    if least < greatest:
        return least, greatest
    pad = abs(least) / 10 or 1.0
    if log:
        return max(least - pad, math.log10(LEAST_FLOAT)), min(greatest + pad, math.log10(MOST_FLOAT))
    return max(least - pad, -MOST_FLOAT), min(greatest + pad, MOST_FLOAT)


def _plot(
    layers: Sequence[Layer],
    columns: int,
    rows: int,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    colour: bool,
) -> list[str]:
    """Draw layers on a canvas, each over those before it; return its lines. A NaN breaks a joined line."""
    from plotille import Canvas

    # The canvas knows only shares of the ranges: its own arithmetic overflows with large floats. A share of 1
    # is on the last dot.
    more_x, more_y = 1 / (columns * DOTS_ACROSS - 1), 1 / (rows * DOTS_UP - 1)
    canvas = Canvas(columns, rows, 0, 0, 1 + more_x, 1 + more_y)
    for layer in layers:
        shade = layer.style if colour else None
        places = [
            None if math.isnan(y) else (share_of(x, *x_range), share_of(y, *y_range)) for x, y in layer.points
        ]
        if layer.joined:
            for here, there in pairwise(places):
                if here is not None and there is not None:
                    canvas.line(*here, *there, color=shade)
        for place in places:
            if place is not None:
                canvas.point(*place, color=shade, marker=layer.mark or None)
    return canvas.plot().splitlines()  # type: ignore[no-any-return]


def _beside_axis(drawing: Sequence[str], y_range: tuple[float, float], log: bool) -> list[Text]:
    """Put each line of a drawing behind its part of the vertical axis."""
    rows = len(drawing)
    found = []
    for row, dots in enumerate(drawing):
        label = ""
        if row % ROWS_A_LABEL == 0 or row == rows - 1:
            part = 1 - row / (rows - 1)
            value = y_range[0] * (1 - part) + y_range[1] * part
            label = _label(min(max(value, y_range[0]), y_range[1]), log)
        found.append(Text(f"{label:>{LABEL_CHARS}} │", style="dim").append_text(Text.from_ansi(dots)))
    return found


def _below(ruler: str) -> list[Text]:
    """Return the horizontal axis with its ruler."""
    margin = " " * (LABEL_CHARS + 1)
    return [Text(f"{margin}└{'─' * len(ruler)}", style="dim"), Text(f"{margin} {ruler}", style="dim")]


def _ruler(x_range: tuple[float, float], columns: int, unit: str, log: bool) -> str:
    left, right = (_label(value, log) for value in x_range)
    middle = max(columns - len(left) - len(right) - len(unit), 2)
    before = " " * (middle // 2)
    return f"{left}{before}{unit}{' ' * (middle - len(before))}{right}"


def _label(value: float, log: bool) -> str:
    if log:
        # The logarithm of the greatest float is rounded up, so that its power can overflow.
        value = 10**value if value < math.log10(MOST_FLOAT) else MOST_FLOAT
    text = f"{value:.4g}"
    return text if len(text) <= LABEL_CHARS else f"{value:.3g}"
