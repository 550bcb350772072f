"""Dotted paths: how a value inside nested maps is named.

Invariant: every list of keys has exactly one path, and ``split_path`` is the inverse of ``join_path``.
"""

from __future__ import annotations

from collections.abc import Iterable

from exptrack.errors import ConfigError
from exptrack.validation import check_text, short_repr


def join_path(path: str, key: str) -> str:
    """Append one key to a dotted path; a key with a dot or quote of its own is put in double quotes."""
    part = key
    if not key or "." in key or '"' in key:
        part = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{path}.{part}" if path else part


def split_path(path: str) -> list[str]:
    """The keys of a dotted path (the inverse of :func:`join_path`).

    Raises:
        ConfigError: an empty part, or an unclosed quote.
    """
    check_text(path, "config path")
    parts: list[str] = []
    position = 0
    while True:
        if path[position : position + 1] == '"':
            part, position = _quoted_part(path, position)
        else:
            end = path.find(".", position)
            end = len(path) if end < 0 else end
            part = path[position:end]
            if not part:
                raise ConfigError(f"config path {short_repr(path)} has an empty part", key=path)
            position = end
        parts.append(part)
        if position == len(path):
            return parts
        if path[position] != ".":
            raise ConfigError(f"config path {short_repr(path)}: a dot must follow the quote", key=path)
        position += 1


def _quoted_part(path: str, start: int) -> tuple[str, int]:
    characters: list[str] = []
    position = start + 1
    while position < len(path):
        character = path[position]
        if character == '"':
            return "".join(characters), position + 1
        if character == "\\" and position + 1 < len(path):
            position += 1
            character = path[position]
        characters.append(character)
        position += 1
    raise ConfigError(f"config path {short_repr(path)} has an unclosed quote", key=path)


def path_of(keys: Iterable[str]) -> str:
    """The dotted path of a list of keys."""
    path = ""
    for key in keys:
        path = join_path(path, key)
    return path
