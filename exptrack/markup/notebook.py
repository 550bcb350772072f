"""Show an object in a notebook: as a block of HTML with a style of its own, and without a script.

Invariants: a block has at most a fixed number of rows, columns and characters, and says how much it leaves out.
Its style acts on the block alone. Every text of an archive is escaped on its way into the block. An object that
cannot be read is shown as a sentence that says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import cache
from importlib import resources
from itertools import count, islice
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, tostring

from exptrack.amounts import format_duration, format_size
from exptrack.errors import ExptrackError
from exptrack.markup.chart import Buckets, choose_looks, draw_chart, draw_swatch
from exptrack.markup.elements import (
    Child,
    cut,
    element,
    write_count,
    write_setting,
    write_time,
)
from exptrack.markup.parts import SIGNS, head, isolate, number_cell, paragraph
from exptrack.record_fields import fields_of

MOST_ROWS = 20
MOST_COLUMNS = 12
MOST_CHARS = 120  # of a cell
MOST_WORDS = 10  # of a list in a cell
MOST_OPEN = 3  # parts of a record that are unfolded
MOST_DEPTH = 4  # of records in records
MOST_CHARTS, MOST_CURVES = 4, 12
MOST_POINTS = 400  # of a curve
CLASS = "exptrack-view"
IDS = ("run_id", "hash")  # fields that are never broken into lines
SYSTEM = "system/"  # how the names of the metrics of the machine begin

Row = Mapping[str, Any]
_keys = count()


class View(NamedTuple):
    """What a block shows of an object: a title, and parts in order."""

    title: str
    parts: list[Child]


def show(thing: Any) -> str:
    """Return what a notebook shows of an object."""
    try:
        view = _view_of(thing)
    except ExptrackError as error:
        view = View(repr(thing), [paragraph(f"This cannot be read now: {cut(str(error), 1_000)}")])
    return write_block(view)


def write_block(view: View) -> str:
    """Write a view as HTML, with its style."""
    heading = element("div", isolate(cut(view.title)), class_="title")
    block = element("div", element("style", _read_style()), heading, *view.parts, class_=CLASS)
    return tostring(block, encoding="unicode", method="html")


@cache
def _read_style() -> str:
    return resources.files("exptrack.markup").joinpath("notebook.css").read_text(encoding="utf-8")


def _view_of(thing: Any) -> View:
    if hasattr(type(thing), "_view"):
        view: View = thing._view()
        return view
    if isinstance(thing, (list, tuple)) and not fields_of(thing):
        return _view_list(thing)
    return view_record(thing)


# Records


def view_record(record: Any, *, title: str | None = None) -> View:
    """Return the fields of a record: plain ones as a table of facts, lists and maps as tables below it.

    Fields without a value are left out.
    """
    return View(title or type(record).__name__, draw_fields({n: getattr(record, n) for n in fields_of(record)}))


def draw_fields(fields: Row, depth: int = 0) -> list[Child]:
    """Return a table of the plain values of named fields, and a part for each list, map and record."""
    facts: dict[str, Any] = {}
    parts: list[Child] = []
    for name, value in fields.items():
        if _is_empty(value):
            continue
        inner = _draw_field(value, depth)
        if inner is None:
            facts[name] = value
        else:
            size = "" if fields_of(value) else f" ({len(value):,})"
            parts.append(fold(f"{name}{size}", inner, is_open=depth == 0 and len(parts) < MOST_OPEN))
    return [draw_facts(facts) if facts else None, *parts]


def _draw_field(value: Any, depth: int) -> list[Child] | None:
    """Return a list, a map or a record as a part of its own; None if it is shown in a cell."""
    if depth >= MOST_DEPTH:
        return None
    if isinstance(value, dict):
        return None if len(value) <= 1 and not any(map(fields_of, value.values())) else draw_map(value)
    if fields_of(value):
        if _has_words(value):  # it has words of its own
            return None
        return draw_fields({name: getattr(value, name) for name in fields_of(value)}, depth + 1)
    if isinstance(value, (list, tuple)) and any(map(fields_of, value[:1])):
        return draw_rows([read_row(one) for one in value[:MOST_ROWS]], len(value))
    return None


def _has_words(record: object) -> bool:
    """Whether a record has a text of its own, beside its repr."""
    return any("__str__" in vars(kind) for kind in type(record).__mro__ if kind is not object)


def _view_list(values: Sequence[Any]) -> View:
    kinds = {type(_record_in(value)).__name__ for value in values[:MOST_ROWS]}
    what = next(iter(kinds)) if len(kinds) == 1 else "object"
    rows = [read_row(one) for one in values[:MOST_ROWS]]
    return View(f"{len(values):,} × {what}", draw_rows(rows, len(values)))


def _record_in(value: Any) -> Any:
    return value[0] if type(value) is tuple and value and fields_of(value[0]) else value


def read_row(value: Any) -> dict[str, Any]:
    """Return the row of a record in a table; that of a pair of a record and its value in a ranking has both."""
    record = _record_in(value)
    if record is not value:
        row = read_row(record)
        return {**dict(islice(row.items(), 1)), "value": value[1], **row}
    if hasattr(type(value), "_as_row"):
        return dict(value._as_row())
    return {name: getattr(value, name) for name in fields_of(value)} or {"value": value}


def own_metrics(metrics: Sequence[Any]) -> list[Any]:
    """Return the records of metrics without those of the machine, unless there are no others."""
    return [one for one in metrics if not one.name.startswith(SYSTEM)] or list(metrics)


# Parts


def fold(title: str, children: Iterable[Child], *, is_open: bool = True) -> Element:
    """Return a part that can be folded."""
    summary = element("summary", isolate(cut(title)))
    return element("details", summary, *children, open="open" if is_open else None)


def draw_facts(facts: Row) -> Element:
    """Return a table with a row for each fact."""
    rows = [
        element("tr", element("th", isolate(cut(name)), scope="row"), write_cell(value, name))
        for name, value in islice(facts.items(), MOST_ROWS)
    ]
    return element("div", _table(rows, class_="facts"), _say_more(len(facts) - len(rows), "fact"))


def draw_map(values: Row, noun: str = "key") -> list[Child]:
    """Return the keys and values of a map as a table with two columns."""
    rows = []
    for key, value in islice(values.items(), MOST_ROWS):
        shown = str(value) if fields_of(value) else value
        rows.append(element("tr", element("th", isolate(cut(str(key))), scope="row"), write_cell(shown)))
    return [
        _table(rows) if rows else paragraph(f"There is no {noun}."),
        _say_more(len(values) - len(rows), noun),
    ]


def draw_rows(
    rows: Sequence[Row], total: int, *, noun: str = "row", columns: Sequence[str] | None = None
) -> list[Child]:
    """Return the first rows of a table of `total` rows, with a sentence about what is left out.

    `columns` are its columns; by default they are those in which a row has a value.
    """
    seen = rows[:MOST_ROWS]
    if not total:
        return [paragraph(f"There is no {noun}.")]
    if columns is None:
        names = dict.fromkeys(name for row in seen for name in row)
        columns = [name for name in names if not all(_is_empty(row.get(name)) for row in seen)]
    kept = columns[:MOST_COLUMNS]
    heads = element("tr", [head(name) for name in kept])
    body = [element("tr", [write_cell(row.get(name), name) for name in kept]) for row in seen]
    more = [
        _say_more(total - len(seen), noun),
        _say_more(len(columns) - len(kept), "column", columns[MOST_COLUMNS : 2 * MOST_COLUMNS]),
    ]
    return [_table(body, heads), *more]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (tuple, list, dict, str)) and not len(value))


def _table(rows: Sequence[Element], heads: Element | None = None, *, class_: str | None = None) -> Element:
    """Return a table that scrolls inside itself."""
    top = None if heads is None else element("thead", heads)
    table = element("table", top, element("tbody", rows), class_=class_)
    return element("div", table, class_="scroll")


def _say_more(number: int, noun: str, names: Sequence[str] = ()) -> Element | None:
    if number <= 0:
        return None
    named = f": {', '.join(cut(name, 40) for name in names)}" if names else ""
    rest = " and others" if named and number > len(names) else ""
    return paragraph(f"… and {write_count(number, noun)} more{named}{rest}")


def write_cell(value: Any, name: str = "") -> Element:
    """Return a cell with a value; the name of its field tells the unit of sizes and durations."""
    if isinstance(value, bool) or value is None:
        return element("td", "" if value is None else str(value).lower())
    if isinstance(value, (int, float)) and not isinstance(value, Enum):
        return _write_number(value, name)
    if isinstance(value, datetime):
        return element("td", write_time(value), class_="whole", title=value.isoformat())
    if isinstance(value, Enum) or (name == "status" and value in SIGNS):
        text = str(value)
        return element("td", f"{SIGNS.get(text, '')} {text}".strip(), class_=text if text in SIGNS else None)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return element("td", format_size(len(value)))
    words = None if _is_empty(value) else isolate(_write_words(value))
    return element("td", words, class_="whole" if name in IDS else None)


def _write_number(value: float, name: str) -> Element:
    if isinstance(value, int) and value.bit_length() > 64:
        return element("td", f"{value.bit_length():,} bits", class_="number")
    if math.isfinite(value) and name.endswith("_bytes"):
        return element("td", format_size(value), class_="number", title=f"{value:,}")
    if math.isfinite(value) and value >= 0 and (name.endswith("_s") or name == "duration"):
        return element("td", format_duration(value), class_="number", title=f"{value:,} s")
    if isinstance(value, int):
        return element("td", str(value).replace("-", "−"), class_="number")
    return number_cell(value)


def _write_words(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset)) and not fields_of(value):
        words = [str(one) if fields_of(one) else write_setting(one) for one in islice(value, MOST_WORDS)]
        more = len(value) - len(words)
        return cut(", ".join(words) + (f", … {more:,} more" if more else ""), MOST_CHARS)
    if isinstance(value, (str, dict)):
        return write_setting(value, MOST_CHARS)
    return cut(str(value) if fields_of(value) else repr(value), MOST_CHARS)


# Curves


class _Points(NamedTuple):
    """The points of a curve in buckets of consecutive ones, for a chart."""

    run_id: str
    columns: dict[str, list[Any]]

    def lists(self) -> dict[str, list[Any]]:
        return self.columns


def gather_points(run_id: str, steps: Sequence[int], values: Sequence[float]) -> Buckets:
    """Gather the points of a series, which are ordered by step, for a chart."""
    width = max(1, math.ceil(len(steps) / MOST_POINTS))
    names = ("first_step", "last_step", "min", "max", "sum", "count", "nan_count")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for start in range(0, len(steps), width):
        part = values[start : start + width]
        known = [value for value in part if value == value]
        ends = steps[start], steps[min(start + width, len(steps)) - 1]
        least, greatest = min(known, default=math.nan), max(known, default=math.nan)
        bucket = (*ends, least, greatest, sum(known))
        for name, cell in zip(names, (*bucket, len(part), len(part) - len(known)), strict=True):
            columns[name].append(cell)
    return _Points(run_id, columns)


def draw_curves(name: str, curves: Sequence[Buckets]) -> list[Child]:
    """Return a chart of curves of one metric, and the runs that they belong to."""
    filled = [curve for curve in curves if curve.lists()["count"]]
    drawn = filled[:MOST_CURVES]
    looks = choose_looks({curve.run_id: place for place, curve in enumerate(drawn, 1)})
    chart = draw_chart(f"exptrack-{next(_keys)}", name, drawn, looks) if drawn else None
    if chart is None:
        return [paragraph(f"{cut(name)} has no finite value to draw.")]
    named = [element("span", draw_swatch(looks[run]), isolate(run), class_="named") for run in looks]
    return [
        element("div", chart, class_="figure"),
        element("div", named, class_="legend") if len(named) > 1 else None,
        _say_more(len(filled) - len(drawn), "curve"),
    ]
