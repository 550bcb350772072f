"""Read, write and edit SDN (Simple Data Notation), the text form of a config.

`reader` reads documents, `writer` writes them, `edit` changes one value in place. `scalars` classifies bare
texts, and `blocks` defines the records of the reader: open blocks and places.

Invariants:

- A written config reads back equal, types included. A value without an exact form is refused with its path.
- A text is read whole or refused at its first error, with line and column.
- ``set_value`` changes one value of a text and nothing else in it.
"""

from __future__ import annotations

from os import PathLike

from exptrack import own_files
from exptrack.errors import ConfigError, ConfigNotFoundError, InvalidTypeError, SdnError
from exptrack.keypath import split_path
from exptrack.plain import is_text, plain, read_path, short_path, short_repr
from exptrack.sdn.edit import Place, Places, find_leaf_lines, set_in_text
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
from exptrack.validation import check_whole

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
    "parse_override",
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
    """Read the document in `text` (bytes are UTF-8), with its keys in order.

    The limits are on the size of the input in bytes, on nesting (the document itself is level 1), on the number
    of scalars, and on the UTF-8 bytes of one string or key.

    >>> loads("optim:\\n  name: adam\\n  betas: [0.9, 0.999]\\n")
    {'optim': {'name': 'adam', 'betas': [0.9, 0.999]}}

    Raises:
        SdnError: the text is not valid SDN or exceeds a limit.
        InvalidTypeError: `text` is neither text nor bytes.
    """
    limits = (("max_depth", max_depth), ("max_scalars", max_scalars), ("max_string", max_string))
    return Reader(_decode(text, max_bytes), *(check_whole(limit, name, 0) for name, limit in limits)).document()


def load(path: str | PathLike[str], *, max_bytes: int = MAX_BYTES) -> dict[str, Value]:
    """Read the document in the file at `path`, with the limits of `loads`.

    Reads at most one byte more than `max_bytes`.

    Raises:
        SdnError: the file is not valid UTF-8 or SDN, or exceeds a limit.
        OwnFileError: the file belongs to an archive that is open here.
        ConfigNotFoundError: there is no such file.
        ConfigError: it is no regular file, or cannot be read.
    """
    limit = check_whole(max_bytes, "max_bytes", 0)
    try:
        with own_files.open_for_reading(path) as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        place = read_path(path)
        raise ConfigNotFoundError(f"there is no file {short_path(place)}; check the path", path=place) from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {short_path(read_path(path))} ({error.strerror}); check the path"
        ) from None
    return loads(data, max_bytes=limit)


def parse_value(text: str) -> Value:
    """Read one value: quoted text, ``[…]`` and ``{…}`` as in a document.

    Anything else is one bare text. Without its outer blanks it may be a number, bool or null, as `classify`
    decides; otherwise it stays exactly as it is, blanks and colons included.

    >>> parse_value("[1, 2.0, adam]"), parse_value("3e-4"), parse_value('"3"'), parse_value("a: b")
    ([1, 2.0, 'adam'], 0.0003, '3', 'a: b')

    Raises:
        SdnError: a text that starts with ``"``, ``[`` or ``{`` is not a complete value or exceeds a default
            limit of `loads` (the value counts as level 2), or a number is out of range.
    """
    return _parse_value(text, keep_text=False)


def parse_override(text: str) -> Value:
    """Read the value of an override as :func:`parse_value` does, but keep text that a number would not.

    ``007``, ``1_000`` and ``2026_01_31`` stay text, because a number loses their zeros and underscores. In
    a document they are numbers.

    >>> parse_override("007"), parse_override("[1_000, 1000]"), parse_override("0.5")
    ('007', ['1_000', 1000], 0.5)

    Raises:
        SdnError: as by :func:`parse_value`.
    """
    return _parse_value(text, keep_text=True)


def _parse_value(text: str, *, keep_text: bool) -> Value:
    text = _plain_text(text)
    trimmed = text.strip(" \t")
    if not trimmed.startswith(('"', "[", "{")):
        value = classify(trimmed, keep_text=keep_text)
        return text if isinstance(value, str) else value
    utf8(text)
    return Reader(text, MAX_DEPTH, MAX_SCALARS, MAX_STRING, keep_text=keep_text).single_value()


def loads_with_lines(
    text: str | bytes, *, max_bytes: int = MAX_BYTES
) -> tuple[dict[str, Value], dict[tuple[str, ...], int]]:
    """Read the document, and the line of each value by the keys that lead to it.

    The line, counted from 1, is that of the last key. A dict counts as a value only if it is empty. The limits
    are those of `loads`.

    >>> loads_with_lines("optim:\\n    lr: 0.1\\n")[1]
    {('optim', 'lr'): 2}

    Raises:
        SdnError: the text is not valid SDN or exceeds a limit.
    """
    reader = _make_tracing_reader(text, max_bytes)
    values = reader.document()
    return values, find_leaf_lines(reader, values)


def loads_with_places(text: str | bytes, *, max_bytes: int = MAX_BYTES) -> tuple[dict[str, Value], Places]:
    """Read the document and the place of each value, so that an error about a value can show it.

    Raises:
        SdnError: the text is not valid SDN or exceeds a limit of `loads`.
    """
    reader = _make_tracing_reader(text, max_bytes)
    values = reader.document()
    return values, Places(reader, values)


def set_value(text: str, path: str, value: Value) -> str:
    """Change or add the value at a dotted path, and keep every other character of the text.

    A missing key is added after the last line of its section. A block (a map or list on lines of its own) is
    replaced as a whole, with the comments inside it.

    >>> print(set_value("optim:   # tuned by hand\\n  lr: 0.1   # high\\n", "optim.lr", 0.01), end="")
    optim:   # tuned by hand
      lr: 0.01   # high

    Raises:
        SdnError: the text is not valid SDN.
        ConfigError: the path leads through a value that is not a map, or to a table, or `value` has no SDN
            form.
    """
    text = _plain_text(text)
    return set_in_text(text, _make_tracing_reader(text, MAX_BYTES), split_path(path), value)


def has_comments(text: str | bytes) -> bool:
    """Whether the text has a comment, which reading it and writing it again would lose.

    Raises:
        SdnError: the text is not valid SDN.
    """
    reader = _make_tracing_reader(text, MAX_BYTES)
    reader.document()
    return reader.comments > 0


def _make_tracing_reader(text: str | bytes, max_bytes: int) -> Reader:
    return Reader(_decode(text, max_bytes), MAX_DEPTH, MAX_SCALARS, MAX_STRING, trace=True)


def _plain_text(text: object) -> str:
    if not is_text(text):
        raise InvalidTypeError(f"SDN must be text, not {type(text).__name__} {short_repr(text)}")
    return str.__str__(text)


def _decode(text: str | bytes, max_bytes: int) -> str:
    max_bytes = check_whole(max_bytes, "max_bytes", 0)
    text = plain(text)
    if type(text) is not str and type(text) is not bytes:
        raise InvalidTypeError(f"SDN must be text or bytes, not {type(text).__name__}")
    data = text if isinstance(text, bytes) else utf8(text)
    if len(data) > max_bytes:
        raise input_error(data, max_bytes, f"the input is larger than {max_bytes:,} bytes")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        at = error.start
        raise input_error(data, at, f"byte 0x{data[at]:02x} is not valid UTF-8") from None
