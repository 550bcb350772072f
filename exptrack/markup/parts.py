"""Make the parts that pages and views are built of: sections, tables and cells."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from exptrack.markup.elements import Child, cut, element, write_number, write_setting

# Of the statuses of runs.
SIGNS = {"completed": "✓", "running": "●", "failed": "✕", "interrupted": "■", "pruned": "✂"}


def data_image(data: bytes, media_type: str, alt: str, width: int | None, height: int | None) -> Element:
    """Return an image that the page itself holds; its size is in pixels, if it is known."""
    return element(
        "img",
        src=f"data:{media_type};base64,{base64.b64encode(data).decode()}",
        alt=alt,
        width=None if width is None else str(width),
        height=None if height is None else str(height),
    )


def isolate(text: str) -> Element:
    """Return a text whose direction does not act on what stands beside it."""
    return element("bdi", text)


def paragraph(*children: Child) -> Element:
    """Return a paragraph that explains what follows."""
    return element("p", *children, class_="note")


def section(title: str, *children: Element | None, class_: str | None = None) -> Element:
    """Return a section; one of class ``broad`` is printed on a page turned on its side."""
    return element("section", element("h2", title), *children, class_=class_)


def head(name: str, more: str = "", *, class_: str | None = None) -> Element:
    """Return the head of a column, with more words below its name."""
    below = element("small", more) if more else None
    return element("th", isolate(cut(name)), below, scope="col", class_=class_)


def make_table(
    caption: str, heads: Sequence[str], rows: Sequence[Element], numbers: Iterable[int] = ()
) -> Element:
    """Return a table under the names of its columns; `numbers` are the places of those with numbers."""
    right = set(numbers)
    cells = [head(name, class_="number" if place in right else None) for place, name in enumerate(heads)]
    return fill_table(caption, element("tr", cells), rows)


def fill_table(label: str, head: Element, rows: Sequence[Element], *, class_: str = "scroll") -> Element:
    """Return a table that scrolls inside itself, also by the keyboard."""
    table = element("table", element("thead", head), element("tbody", rows), aria_label=label)
    return element("div", table, class_=class_, tabindex="0", role="region", aria_label=label)


def key_head(key: str) -> Element:
    """Return the head of a row about a config key."""
    return element("th", isolate(key), scope="row")


def setting_cell(value: object, *, is_head: bool = False) -> Element:
    """Return a cell with a value of a config: numbers to the right, and missing ones empty."""
    tag = "th" if is_head else "td"
    if isinstance(value, float):
        cell = number_cell(value, tag=tag)
    else:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        text = write_setting(value)
        cell = element(tag, isolate(text) if text else None, class_="number" if is_number else None)
    if is_head:
        cell.set("scope", "row")
    return cell


def number_cell(value: float | None, *, tag: str = "td", class_: str = "") -> Element:
    """Return a cell with a number. Its title has the number in full, if rounding has changed it."""
    if value is None:
        return element(tag, class_=class_ or None)
    text = write_number(value)
    odd = "" if math.isfinite(value) else " odd"
    exact = None if text.replace("−", "-") == f"{value!r}".removesuffix(".0") else repr(value)
    return element(tag, text, class_=f"number{odd} {class_}".strip(), title=exact if not odd else None)
