"""SDN (Simple Data Notation): reads and writes the text form of a config.

Invariants:

- What is written reads back equal, types included; what has no exact form is refused with its path.
- What is read is read whole or refused, at the first error, with line and column; see ``reader``.
- ``set_value`` changes one value of a text and nothing else in it.
"""

from __future__ import annotations

from os import PathLike

from exptrack.errors import InvalidTypeError, SdnError
from exptrack.keypath import split_path
from exptrack.sdn.edit import Place, Places, leaf_lines, set_in_text
from exptrack.sdn.reader import Reader
from exptrack.sdn.scalars import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_SCALARS,
    MAX_STRING,
    Value,
    classify,
    input_error,
    utf8,
)
from exptrack.sdn.writer import dumps

__all__ = [
    "MAX_BYTES",
    "Place",
    "Places",
    "SdnError",
    "Value",
    "classify",
    "dumps",
    "has_comments",
    "load",
    "loads",
    "loads_with_lines",
    "loads_with_places",
    "parse_value",
    "set_value",
]


def loads(
    text: str | bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_scalars: int = MAX_SCALARS,
    max_string: int = MAX_STRING,
) -> dict[str, Value]:
    """Return the document that `text` (bytes: UTF-8) holds, its keys in order.

    The limits are on the size of the input in bytes, on nesting (the document itself is level 1),
    on the number of scalars and on the UTF-8 bytes of one string or key.

    >>> loads("optim:\\n  name: adam\\n  betas: [0.9, 0.999]\\n")
    {'optim': {'name': 'adam', 'betas': [0.9, 0.999]}}

    Raises:
        SdnError: the text is not SDN or passes a limit.
        InvalidTypeError: `text` is neither text nor bytes.
    """
    return Reader(_decoded(text, max_bytes), max_depth, max_scalars, max_string).document()


def load(path: str | PathLike[str], *, max_bytes: int = MAX_BYTES) -> dict[str, Value]:
    """Return the document in the file at `path`, with the limits of `loads`.

    At most one byte more than `max_bytes` is read.

    Raises:
        SdnError: the file is not valid UTF-8, is not SDN or passes a limit.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        return loads(file.read(max_bytes + 1), max_bytes=max_bytes)


def parse_value(text: str) -> Value:
    """Return the value of an override: quoted text, ``[…]`` and ``{…}`` as in a document.

    Anything else is one bare text, typed as by `classify` after outer blanks are dropped; if that
    makes no number, bool or null, it is kept exactly as it is, blanks and colons included.

    >>> parse_value("[1, 2.0, adam]"), parse_value("3e-4"), parse_value('"3"'), parse_value("a: b")
    ([1, 2.0, 'adam'], 0.0003, '3', 'a: b')

    Raises:
        SdnError: a text that starts with ``"``, ``[`` or ``{`` is not a whole value or passes a
            default limit of `loads` (the value counts as level 2), or a number is out of range.
    """
    trimmed = text.strip(" \t")
    if not trimmed.startswith(('"', "[", "{")):
        value = classify(trimmed)
        return text if isinstance(value, str) else value
    utf8(text)
    return Reader(text, MAX_DEPTH, MAX_SCALARS, MAX_STRING).single_value()


def loads_with_lines(
    text: str | bytes, *, max_bytes: int = MAX_BYTES
) -> tuple[dict[str, Value], dict[tuple[str, ...], int]]:
    """Return the document and, for the keys that lead to each of its values, the line the last one stands on.

    A value is what is not a non-empty dict; lines count from 1. The limits are those of `loads`.

    >>> loads_with_lines("optim:\\n    lr: 0.1\\n")[1]
    {('optim', 'lr'): 2}

    Raises:
        SdnError: the text is not SDN or passes a limit.
    """
    reader = _traced(text, max_bytes)
    values = reader.document()
    return values, leaf_lines(reader, values)


def loads_with_places(text: str | bytes, *, max_bytes: int = MAX_BYTES) -> tuple[dict[str, Value], Places]:
    """Return the document and where each of its values stands: for whoever checks what they say.

    Raises:
        SdnError: the text is not SDN or passes a limit of `loads`.
    """
    reader = _traced(text, max_bytes)
    values = reader.document()
    return values, Places(reader, values)


def set_value(text: str, path: str, value: Value) -> str:
    """Return the text with the value at a dotted path changed or added, and every other character as it was.

    Keys that are missing are added behind the last line of the section they belong to. A block (a map or
    list on lines of its own) is replaced as a whole, with the comments inside it.

    >>> print(set_value("optim:   # tuned by hand\\n  lr: 0.1   # high\\n", "optim.lr", 0.01), end="")
    optim:   # tuned by hand
      lr: 0.01   # high

    Raises:
        SdnError: the text is not SDN.
        ConfigError: the path leads through a value that is not a map, or to a table; or the value has no
            SDN form.
    """
    return set_in_text(text, _traced(text, MAX_BYTES), split_path(path), value)


def has_comments(text: str | bytes) -> bool:
    """Whether reading the text and writing it again would lose a comment.

    Raises:
        SdnError: the text is not SDN.
    """
    reader = _traced(text, MAX_BYTES)
    reader.document()
    return reader.comments > 0


def _traced(text: str | bytes, max_bytes: int) -> Reader:
    return Reader(_decoded(text, max_bytes), MAX_DEPTH, MAX_SCALARS, MAX_STRING, trace=True)


def _decoded(text: str | bytes, max_bytes: int) -> str:
    if not isinstance(text, (str, bytes)):
        raise InvalidTypeError(f"SDN is text or bytes, not {type(text).__name__}")
    data = utf8(text) if isinstance(text, str) else text
    if len(data) > max_bytes:
        raise input_error(data, max_bytes, f"the input is larger than {max_bytes:,} bytes")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        at = error.start
        raise input_error(data, at, f"byte 0x{data[at]:02x} is not valid UTF-8") from None
