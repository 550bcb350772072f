"""Find the places of the values in a sweep file of JSON or YAML, for errors about them.

Invariant: a document comes here after it was read whole, so it is sound, and neither deep nor large.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from json import JSONDecoder
from typing import Any

from exptrack.sdn import Place

_TOKEN = re.compile(r'[ \t\r\n:,]*(?:(?P<open>[{\[])|(?P<close>[}\]])|(?P<text>")|(?P<word>[^\s{}\[\]:,"]+))')


@dataclass(slots=True)
class _Node:
    """A value: where its key and it itself begin, and what is in it by keys or positions."""

    key_at: int
    value_at: int
    children: dict[str | int, _Node] = field(default_factory=dict)


class ForeignPlaces:
    """The places of the values of one document, as :class:`exptrack.sdn.Places` finds them in SDN."""

    def __init__(self, text: str, root: _Node) -> None:
        self._text = text
        self._root = root

    @classmethod
    def of_json(cls, text: str) -> ForeignPlaces:
        """Find the places in a JSON document."""
        return cls(text, _read_json(text))

    @classmethod
    def of_yaml(cls, text: str) -> ForeignPlaces:
        """Find the places in a YAML document."""
        import yaml

        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return cls(text, _Node(0, 0) if root is None else _read_yaml(root, 0))

    def of_value(self, *keys: str | int) -> Place:
        """Return the place of the value at these keys, or of the last value on the way to it."""
        return self._place_of(self._find(keys).value_at)

    def of_key(self, *keys: str | int) -> Place:
        """Return the place of the last of these keys."""
        return self._place_of(self._find(keys).key_at)

    def _find(self, keys: tuple[str | int, ...]) -> _Node:
        node = self._root
        for key in keys:
            if key not in node.children:
                break
            node = node.children[key]
        return node

    def _place_of(self, at: int) -> Place:
        begin = self._text.rfind("\n", 0, at) + 1
        end = self._text.find("\n", at)
        source = self._text[begin : len(self._text) if end < 0 else end].rstrip("\r")
        return Place(self._text.count("\n", 0, at) + 1, at - begin + 1, source)


def _read_yaml(node: Any, key_at: int) -> _Node:
    if isinstance(node.value, str):
        return _Node(key_at, node.start_mark.index)
    is_map = type(node).__name__ == "MappingNode"
    parts = [(one[0].value, *one) if is_map else (place, one, one) for place, one in enumerate(node.value)]
    children = {key: _read_yaml(value, begin.start_mark.index) for key, begin, value in parts}
    # A block has no value on the line of its key: take the key.
    return _Node(key_at, node.start_mark.index if node.flow_style else key_at, children)


def _read_json(text: str) -> _Node:
    """Read the places of a document without recursion."""
    root = _Node(0, 0)
    above: list[tuple[_Node, bool]] = []
    key: tuple[str, int] | None = None
    for kind, at, word in _iter_tokens(text):
        if kind == "close":
            above.pop()
            continue
        if above and above[-1][1] and key is None:
            key = word, at
            continue
        node = _Node(at if key is None else key[1], at)
        if above:
            holder = above[-1][0].children
            holder[len(holder) if key is None else key[0]] = node
        else:
            root = node
        key = None
        if kind == "open":
            above.append((node, word == "{"))
    return root


def _iter_tokens(text: str) -> Iterator[tuple[str, int, str]]:
    at = 0
    while (found := _TOKEN.match(text, at)) is not None:
        kind = str(found.lastgroup)
        start = found.start(kind)
        word, at = JSONDecoder().raw_decode(text, start) if kind == "text" else (found[kind], found.end())
        yield kind, start, word
