"""Find the places of values in a text, and change one value in place.

Invariant: an edit is one replacement. Outside of it every character stays, line ends and comments included, and
the new text reads back as the old values with the one change.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exptrack.errors import ConfigError
from exptrack.plain import reading
from exptrack.sdn.reader import Reader
from exptrack.sdn.scalars import MAX_DEPTH, MAX_SCALARS, MAX_STRING, Value, classify, error_at
from exptrack.sdn.writer import Writer, dumps


class Place(NamedTuple):
    """A place in a text: line and column, counted from 1, and the line itself."""

    line: int
    column: int
    source: str


class Places:
    """Find the places of the values of one document, for errors about them.

    >>> from exptrack import sdn
    >>> values, places = sdn.loads_with_places("optim:\\n    lrs: [0.1, x]\\n")
    >>> places.of_value("optim", "lrs", 1)
    Place(line=2, column=16, source='    lrs: [0.1, x]')
    """

    def __init__(self, reader: Reader, values: dict[str, Value]) -> None:
        self._reader = reader
        self._values = values

    def of_value(self, *keys: str | int) -> Place:
        """Return the place of the value at these keys (positions in lists); for a block, that of its key.

        If the keys lead further than the document, this is the place of the last value on the way.
        """
        return self._at(keys, key=False)

    def of_key(self, *keys: str | int) -> Place:
        """Return the place of the last of these keys."""
        return self._at(keys, key=True)

    def _at(self, keys: Sequence[str | int], *, key: bool) -> Place:
        holder: Value = self._values
        at = 0
        for part in keys:
            if isinstance(holder, dict) and isinstance(part, str) and part in holder:
                at, holder = self._in_dict(holder, part, key=key), holder[part]
            elif isinstance(holder, list) and isinstance(part, int) and part < len(holder):
                at, holder = self._reader.items[id(holder), part], holder[part]
            else:
                break
        error = error_at(self._reader.text, at, "")
        return Place(error.line, error.column, error.source)

    def _in_dict(self, holder: dict[str, Value], part: str, *, key: bool) -> int:
        cell = self._reader.items.get((id(holder), part))
        if cell is not None:
            return cell
        span = self._reader.spans[id(holder), part]
        # A block, a table and a null left empty have no value on the line of their key: take the key.
        return span.key_at if key or span.value_at >= span.value_end else span.value_at


def find_leaf_lines(reader: Reader, values: dict[str, Value]) -> dict[tuple[str, ...], int]:
    """Return the line of each value by its keys; a dict counts as a value only if it is empty."""
    line_ends = [match.start() for match in re.finditer("\n", reader.text)]
    return {keys: bisect_left(line_ends, at) + 1 for keys, at in _iter_leaves(reader, values, ())}


def _iter_leaves(
    reader: Reader, values: dict[str, Value], above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], int]]:
    for key, value in values.items():
        keys = (*above, key)
        if isinstance(value, dict) and value:
            yield from _iter_leaves(reader, value, keys)
        else:
            yield keys, reader.spans[id(values), key].key_at


def set_in_text(text: str, reader: Reader, keys: Sequence[str], value: Value) -> str:
    """Replace or add one value; see :func:`exptrack.sdn.set_value`."""
    root = reader.document()
    holder, depth = _find_holder(root, keys)
    key = keys[depth]
    # Read back from its text, so that nothing of a caller's class is left in it.
    new = _read_inline(_write_inline(value, ".".join(keys)))
    for part in reversed(keys[depth + 1 :]):
        new = {part: new}
    path = ".".join(keys)
    if key in holder:
        start, end, words = _plan_replacement(reader, holder, key, new, path)
    else:
        start, end, words = _plan_addition(reader, holder, root, key, new, path)
    if reader.text.startswith("#", end) and not words.endswith("\n"):
        # Without a blank before it, the comment would become part of a value that is not in quotes or brackets.
        words += " "
    holder[key] = new
    edited = _edit_original(text, reader.text, start, end, words)
    plain = edited.removeprefix("\ufeff")
    if repr(Reader(plain, MAX_DEPTH, MAX_SCALARS, MAX_STRING).document()) != repr(root):
        raise ConfigError(f"{path} cannot be changed in place; edit the file by hand", key=path)
    return edited


def _find_holder(root: dict[str, Value], keys: Sequence[str]) -> tuple[dict[str, Value], int]:
    """Return the deepest dict that exists on the way, and the position of the key to set in it."""
    holder = root
    for depth, part in enumerate(keys[:-1]):
        inner = holder.get(part)
        if inner is None:
            return holder, depth
        if not isinstance(inner, dict):
            way, path = ".".join(keys[: depth + 1]), ".".join(keys)
            raise ConfigError(f"{path} cannot be set: {way} is not a map; set {way} itself", key=path)
        holder = inner
    return holder, len(keys) - 1


def _write_inline(value: Value, path: str) -> str:
    with reading("the value"):
        return Writer(strict_keys=False).value(value, path, 1)


def _read_inline(words: str) -> Value:
    if words.startswith(('"', "[", "{")):
        return Reader(words, MAX_DEPTH, MAX_SCALARS, MAX_STRING).single_value()
    return classify(words)


def _plan_replacement(
    reader: Reader, holder: dict[str, Value], key: str, new: Value, path: str
) -> tuple[int, int, str]:
    span, old = reader.spans[id(holder), key], holder[key]
    if span.value_end < 0:
        raise ConfigError(f"{path} is a table; edit the file by hand", key=path)
    if span.value_at < span.value_end:
        return span.value_at, span.value_end, _write_inline(new, path)
    # The line is empty after the separator: the value is null, or a block on the lines below.
    if not isinstance(old, (dict, list)):
        return span.value_at, span.value_at, f" {_write_inline(new, path)}"
    line_end = reader.text.index("\n", span.value_at)
    head = reader.text[span.value_at : line_end]
    head = f" {head}" if head.startswith("#") else head
    return span.value_at, reader.ends[id(old)], f" {_write_inline(new, path)}{head}\n"


def _plan_addition(
    reader: Reader, holder: dict[str, Value], root: dict[str, Value], key: str, new: Value, path: str
) -> tuple[int, int, str]:
    text = reader.text
    closing = reader.closings.get(id(holder))
    if closing is not None:
        pair = _write_inline({key: new}, path)[1:-1]
        # Insert right after the last item. A comment may follow it, and would swallow a pair inserted later.
        if not holder:
            return closing, closing, pair
        last = reader.spans[id(holder), next(reversed(holder))]
        return last.value_end, last.value_end, f", {pair}"
    # The last line of the text may lack its line end, which `missing` adds.
    at = min(reader.ends[id(holder)], len(text))
    indent = ""
    if holder is not root:
        first = reader.spans[id(holder), next(iter(holder))].key_at
        indent = text[text.rfind("\n", 0, first) + 1 : first]
    lines = "".join(f"{indent}{line}\n" for line in dumps({key: new}).split("\n")[:-1])
    missing = "" if at == 0 or text[at - 1] == "\n" else "\n"
    return at, at, missing + lines


def _edit_original(original: str, translated: str, start: int, end: int, words: str) -> str:
    """Apply a replacement, whose positions count in the text with LF line ends, to the original text."""
    bom = original.startswith("\ufeff")
    returns = [match.start() - n for n, match in enumerate(re.finditer("\r\n", original[bom:]))]
    begin, stop = (at + bisect_right(returns, at - 1) + bom for at in (start, end))
    if returns and translated.find("\n") == returns[0]:
        words = words.replace("\n", "\r\n")
    return original[:begin] + words + original[stop:]
