"""Build HTML as a tree of elements, and write values as text.

Invariant: text enters the page only as the text or an attribute of an element, and the standard library escapes
both as it writes the tree. On the way, characters that hide or reorder text become signs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeAlias
from xml.etree.ElementTree import Element, tostring

Child: TypeAlias = "Element | str | Iterable[Element | str | None] | None"

# Control characters, marks that hide or reorder text, and lone surrogates. Tabs and line ends stay.
_HIDDEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]"
)
MOST_CHARS = 300  # of a value in a cell


def visible(text: str) -> str:
    """Show control characters, and those that hide or reorder text, as signs, as the page does."""
    return _HIDDEN.sub(lambda found: _sign_of(ord(found[0])), text)


def _sign_of(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"


def element(tag: str, *children: Child, **attributes: str | None) -> Element:
    """Return an element with its children in order. ``class_`` names class, and ``aria_label`` aria-label.

    An attribute that is None is left out, and so is a child that is None.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), visible(value))
    append(made, children)
    return made


def append(parent: Element, children: Iterable[Child]) -> None:
    """Add children behind those that an element has."""
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            parent.append(child)
        elif isinstance(child, str):
            text = visible(child)
            if len(parent):
                parent[-1].tail = (parent[-1].tail or "") + text
            else:
                parent.text = (parent.text or "") + text
        else:
            append(parent, child)


def serialize(page: Element) -> bytes:
    """Write a tree as an HTML document in UTF-8."""
    return b"<!DOCTYPE html>\n" + tostring(page, encoding="unicode", method="html").encode() + b"\n"


# Values


def write_number(value: float) -> str:
    """Write a number with four significant digits, as the page does; whole numbers below 10^15 in full."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if value == int(value) and size < 1e15:
        text = str(int(value))
    elif size >= 1e6 or size < 1e-3:
        digits, power = f"{value:.3e}".split("e")
        text = f"{_trim(digits)}e{int(power)}"
    elif size >= 1000:
        text = _trim(f"{value:.{0 if size >= 10000 else 1}f}")
    else:
        text = _trim(f"{value:.{3 - math.floor(math.log10(size))}f}")
    return text.replace("-", "−", 1) if text.startswith("-") else text


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def write_time(when: datetime) -> str:
    """Write a moment in UTC, to the minute."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"


def write_count(count: int, noun: str) -> str:
    """Write a number with its noun, as "1 run" or "2,000 runs"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def write_setting(value: object, most: int = MOST_CHARS) -> str:
    """Write a value of a config as one line of at most so many characters; what is missing is empty."""
    if value is None:
        return ""
    if isinstance(value, float):
        return write_number(value)
    text = value if isinstance(value, str) else _write_json(value)
    return cut(re.sub(r"\s*\n\s*", " ⏎ ", text), most)


def _write_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):  # so it says of what holds itself, or holds too much in each other
        return f"a {type(value).__name__} that holds itself, or too many others in each other"


def cut(text: str, most: int = MOST_CHARS) -> str:
    """Cut a text that is too long for its place, and say how long it is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
