"""Draw the curves of a metric, and histograms, as SVG without any script.

Invariants: a point stands at its true place, and every path is made of whole numbers of tenths of a pixel. NaN
and the infinities are gaps, with a cross or an arrowhead at the edge of the chart. Colours are classes, which
the style of the page defines for light, dark and paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, NamedTuple, Protocol
from xml.etree.ElementTree import Element

from exptrack.curve_points import AXES, read_places, smooth_means
from exptrack.markup.elements import element, write_count, write_number
from exptrack.markup.ticks import linear_ticks, log_ticks, write_ticks

WIDTH, HEIGHT = 4800, 2500  # tenths of a pixel
LEFT, RIGHT, TOP, BOTTOM = 560, 4680, 60, 2140
COLOURS, DASHES = 8, 4
MOST_BANDS = 8  # the bands of more curves would hide one another
TICKS_X, TICKS_Y = 7, 6
# An axis is logarithmic where nine tenths of the values span two decades, or all of them four.
LOG_RATIO, LOG_RATIO_OF_ALL = 100, 10_000
MARK = 30


class Buckets(Protocol):
    """What is drawn of a curve: a run, and columns by name with a cell for each bucket of points.

    Needed are ``first_step``, ``last_step``, ``min``, ``max``, ``sum``, ``count`` and ``nan_count``.
    """

    @property
    def run_id(self) -> str: ...

    def lists(self) -> dict[str, list[Any]]: ...


class Look(NamedTuple):
    """The places of a curve's colour and dash in the palette."""

    colour: int
    dash: int

    @property
    def classes(self) -> str:
        return f"c{self.colour} d{self.dash}"


class Point(NamedTuple):
    """The mean of a bucket, with its least and greatest value; the place is a step."""

    x: float
    mean: float
    low: float
    high: float


class Curve(NamedTuple):
    """One curve as it is drawn: parts without a gap, and the places of what is no finite number."""

    look: Look
    parts: list[list[Point]]
    nans: list[float]
    above: list[float]
    below: list[float]


class View(NamedTuple):
    """How a chart is drawn: along steps or seconds, smoothed over a length of these, on which vertical axis.

    If `is_log` is None, the values decide. `y` is the range of the axis; None for that of the values.
    """

    by: str = "step"
    smooth: float = 0.0
    is_log: bool | None = None
    y: tuple[float, float] | None = None


class Scale(NamedTuple):
    """The range of an axis in values, and in tenths of a pixel."""

    low: float
    high: float
    start: int
    end: int
    is_log: bool = False

    def place(self, value: float) -> int:
        """Return where a value stands."""
        if self.is_log:
            low, high, at = math.log10(self.low), math.log10(self.high), math.log10(value)
        else:
            # Between -1 and 1, so that no difference is beyond the greatest float.
            size = max(abs(self.low), abs(self.high)) or 1.0
            low, high, at = self.low / size, self.high / size, value / size
        share = (at - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start))


def choose_looks(row_ids: Mapping[str, int]) -> dict[str, Look]:
    """Return the look of each run as on the page: the colour follows from its row id, equal ones get dashes."""
    used: dict[int, int] = {}
    looks = {}
    for run_id, row_id in sorted(row_ids.items(), key=itemgetter(1)):
        number = row_id - 1
        colour = (number + number // COLOURS) % COLOURS
        looks[run_id] = Look(colour, used.get(colour, 0) % DASHES)
        used[colour] = used.get(colour, 0) + 1
    return looks


def draw_swatch(look: Look) -> Element:
    """Draw a short piece of a curve, which stands beside its name."""
    line = element("path", class_="line", d="M0 50h300")
    attributes = {"class_": f"swatch {look.classes}", "viewBox": "0 0 300 100", "aria_hidden": "true"}
    return element("svg", line, **attributes)


def draw_chart(
    key: str, name: str, buckets: Sequence[Buckets], looks: Mapping[str, Look], view: View | None = None
) -> Element | None:
    """Draw curves over their steps; None if no value is a finite number. `key` makes ids of elements unique."""
    view = view or View()
    curves = [read_curve(one, looks[one.run_id], view) for one in buckets]
    points = [point for curve in curves for part in curve.parts for point in part]
    if view.is_log:
        points = [one for one in points if one.low > 0]
        curves = [curve._replace(parts=_split_positive(curve.parts)) for curve in curves]
    if not points:
        return None
    has_bands = len(curves) <= MOST_BANDS and not view.smooth
    values = [value for one in points for value in ((one.low, one.high) if has_bands else (one.mean,))]
    y = _choose_scale(values, view)
    columns = [one.lists() for one in buckets]
    first, last = AXES[view.by]
    x = Scale(min(one[first][0] for one in columns), max(one[last][-1] for one in columns), LEFT, RIGHT)
    drawn: list[Element] = [_draw_curve(curve, x, y, has_bands) for curve in curves]
    if view.y is not None:
        frame = f"M{LEFT} {TOP}H{RIGHT}V{BOTTOM}H{LEFT}z"
        clip = element("clipPath", element("path", d=frame), id=f"{key}-clip")
        drawn = [clip, element("g", drawn, clip_path=f"url(#{key}-clip)")]
    axes = [*_draw_x_axis(x, view.by), *_draw_y_axis(y)]
    described = _describe(curves, x, values, y, view.by)
    return element(
        "svg",
        element("title", f"{name} by {view.by}", id=f"{key}-title"),
        element("desc", described, id=f"{key}-desc"),
        element("g", axes, class_="axes"),
        drawn,
        class_="chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether values are told apart better on a logarithmic axis."""
    if min(values) <= 0:
        return False
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    return high / low >= LOG_RATIO or ordered[-1] / ordered[0] >= LOG_RATIO_OF_ALL


def read_curve(buckets: Buckets, look: Look, view: View) -> Curve:
    """Cut a curve at its gaps, and note where it has values that are no finite numbers."""
    curve = Curve(look, [[]], [], [], [])
    columns = buckets.lists()
    places, means = read_places(columns, view.by), smooth_means(columns, view.smooth, view.by)
    for place, (x, mean) in enumerate(zip(places, means, strict=True)):
        if columns["nan_count"][place]:
            curve.nans.append(x)
        if columns["max"][place] == math.inf:
            curve.above.append(x)
        if columns["min"][place] == -math.inf:
            curve.below.append(x)
        if mean is not None:
            curve.parts[-1].append(Point(x, mean, columns["min"][place], columns["max"][place]))
        elif curve.parts[-1]:
            curve.parts.append([])
    return curve._replace(parts=[part for part in curve.parts if part])


def _split_positive(parts: Sequence[Sequence[Point]]) -> list[list[Point]]:
    """Cut parts of a curve where it has no logarithm."""
    found: list[list[Point]] = []
    for part in parts:
        for is_positive, points in groupby(part, key=lambda point: point.low > 0):
            if is_positive:
                found.append(list(points))
    return found


def _choose_scale(values: Sequence[float], view: View) -> Scale:
    low, high = view.y or (min(values), max(values))
    if view.y is not None:
        return Scale(low, high, BOTTOM, TOP, is_log=bool(view.is_log))
    if is_logarithmic(values) if view.is_log is None else view.is_log:
        return Scale(low, high, BOTTOM - 40, TOP + 40, is_log=True)
    if low == high:
        return Scale(low, high, BOTTOM, TOP)
    return Scale(low, high, BOTTOM - 40, TOP + 40)


# Parts of a chart


def _draw_curve(curve: Curve, x: Scale, y: Scale, has_band: bool) -> Element:
    drawn = [element("path", class_="band", d=_band(part, x, y)) for part in curve.parts if has_band]
    lines = "".join(_line(part, x, y) for part in curve.parts if len(part) > 1)
    dots = "".join(f"M{x.place(part[0].x)} {y.place(part[0].mean)}h0" for part in curve.parts if len(part) == 1)
    marks = [
        *(f"M{x.place(at) - MARK} {BOTTOM - MARK}l60 60m0-60l-60 60" for at in curve.nans),
        *(f"M{x.place(at) - MARK} {TOP + MARK}l30-60 30 60" for at in curve.above),
        *(f"M{x.place(at) - MARK} {BOTTOM - MARK}l30 60 30-60" for at in curve.below),
    ]
    for class_, path in (("line", lines), ("dot", dots), ("mark", "".join(marks))):
        if path:
            drawn.append(element("path", class_=class_, d=path))
    return element("g", drawn, class_=curve.look.classes)


def _line(part: Sequence[Point], x: Scale, y: Scale) -> str:
    return _path([(x.place(point.x), y.place(point.mean)) for point in part])


def _band(part: Sequence[Point], x: Scale, y: Scale) -> str:
    there = [(x.place(point.x), y.place(point.high)) for point in part]
    back = [(x.place(point.x), y.place(point.low)) for point in reversed(part)]
    return f"{_path([*there, *back])}z"


def _path(places: Sequence[tuple[int, int]]) -> str:
    """Write a path with relative steps, which are short."""
    written = [f"M{places[0][0]} {places[0][1]}l"]
    for (x, y), (next_x, next_y) in pairwise(places):
        if (x, y) != (next_x, next_y):
            written += [_signed(next_x - x), _signed(next_y - y)]
    return "".join(written).replace("l ", "l").removesuffix("l")


def _signed(number: int) -> str:
    return f"{number}" if number < 0 else f" {number}"


def _draw_x_axis(x: Scale, by: str) -> Iterator[Element]:
    ticks = [tick for tick in linear_ticks(x.low, x.high, TICKS_X) if by != "step" or tick == int(tick)]
    for tick, text in zip(ticks, write_ticks(ticks), strict=True):
        at = str(x.place(tick))
        yield element("path", d=f"M{at} {TOP}V{BOTTOM}")
        yield element("text", text, x=at, y=str(BOTTOM + 150), text_anchor="middle")
    unit = {"step": "step", "time": "seconds since the start"}[by]
    yield element("text", unit, x=str((LEFT + RIGHT) // 2), y=str(HEIGHT - 40), text_anchor="middle")


def _draw_y_axis(y: Scale) -> Iterator[Element]:
    ticks = log_ticks(y.low, y.high, TICKS_Y) if y.is_log else linear_ticks(y.low, y.high, TICKS_Y)
    for tick, text in zip(ticks, write_ticks(ticks, is_log=y.is_log), strict=True):
        at = y.place(tick)
        yield element("path", d=f"M{LEFT} {at}H{RIGHT}")
        yield element("text", text, x=str(LEFT - 60), y=str(at + 38), text_anchor="end")
    if y.is_log:
        yield element("text", "logarithmic", x=str(LEFT), y=str(HEIGHT - 40))
    yield element("path", class_="edge", d=f"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}")


def _describe(curves: Sequence[Curve], x: Scale, values: Sequence[float], y: Scale, by: str) -> str:
    unit = {"step": "steps", "time": "seconds"}[by]
    words = [
        f"{write_count(len(curves), 'curve')} over {unit} {write_number(x.low)} to {write_number(x.high)};",
        f"values from {write_number(min(values))} to {write_number(max(values))}",
        "on a logarithmic axis." if y.is_log else "on a linear axis.",
    ]
    if any(curve.nans for curve in curves):
        words.append("Crosses at the lower edge are NaN.")
    if any(curve.above or curve.below for curve in curves):
        words.append("Arrowheads at an edge are infinities.")
    return " ".join(words)


def draw_histogram(key: str, name: str, edges: Sequence[float], counts: Sequence[int]) -> Element:
    """Draw a histogram: the area of each bar has its width, and its height is the count."""
    x = Scale(edges[0], edges[-1], LEFT, RIGHT)
    y = Scale(0, max(1, *counts), BOTTOM, TOP + 40)
    bars = "".join(
        f"M{x.place(low)} {BOTTOM}V{y.place(count)}H{x.place(high)}V{BOTTOM}z"
        for (low, high), count in zip(pairwise(edges), counts, strict=True)
        if count
    )
    ticks = linear_ticks(x.low, x.high, TICKS_X)
    labels = [
        element("text", text, x=str(x.place(tick)), y=str(BOTTOM + 150), text_anchor="middle")
        for tick, text in zip(ticks, write_ticks(ticks), strict=True)
    ]
    total = f"{write_count(sum(counts), 'value')} from {write_number(edges[0])} to {write_number(edges[-1])}"
    return element(
        "svg",
        element("title", name, id=f"{key}-title"),
        element("desc", f"A histogram of {total} in {write_count(len(counts), 'bin')}.", id=f"{key}-desc"),
        element("g", _draw_y_axis(y), labels, class_="axes"),
        element("path", class_="bars", d=bars),
        class_="chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )
