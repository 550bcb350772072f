"""Join and split dotted paths, which name a value inside nested maps.

Invariant: ``path_of`` writes different lists of keys as different paths, and ``split_path`` reads each of them
back as the same list. The empty list is an exception: its path "" cannot be split.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from exptrack.errors import ConfigError
from exptrack.plain import short_repr
from exptrack.validation import check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def join_path(path: str, key: str) -> str:
    """Append one key to a dotted path; a key that is empty or contains a dot or a quote is quoted."""
    part = key
    if not key or "." in key or '"' in key:
        part = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{path}.{part}" if path else part


def split_path(path: str) -> list[str]:
    """Split a dotted path into its keys.

    Raises:
        ConfigError: a part is empty, a quote is not closed, or a quote is not followed by a dot.
    """
    path = check_text(path, "config path")
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
                raise ConfigError(
                    f'config path {short_repr(path)} has an empty part; write it as "" or remove the dot',
                    key=path,
                )
            position = end
        parts.append(part)
        if position == len(path):
            return parts
        if path[position] != ".":
            raise ConfigError(f"config path {short_repr(path)}: expected a dot after the quote", key=path)
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
    raise ConfigError(f"config path {short_repr(path)} has an unclosed quote; close it", key=path)


_ITEM = r"(?s)(.+?)((?:\[-?[0-9]{1,9}\])+)"


def split_index(key: str) -> tuple[str, list[int]] | None:
    """Split ``layers[0][1]`` into the key of a list and the places in it; None for a key without any.

    A map may hold a key that is written so. Look for that first.
    """
    found = re.fullmatch(_ITEM, key) if key.endswith("]") else None
    if found is None:
        return None
    return found[1], [int(place) for place in found[2][1:-1].split("][")]


def path_of(keys: Iterable[str]) -> str:
    """Join a list of keys to a dotted path."""
    path = ""
    for key in keys:
        path = join_path(path, key)
    return path


def flatten_map(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the values of a map by dotted paths, with those of the maps in it; an empty one stays a value."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        below = join_path(path, key)
        found |= flatten_map(value, below) if isinstance(value, dict) and value else {below: value}
    return found
