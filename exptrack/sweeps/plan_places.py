"""Find the places of the values in a sweep file of JSON or YAML, for errors about them.

Invariant: a document comes here after it was read whole, so it is sound, and neither deep nor large.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from json import JSONDecoder
from typing import Any, NamedTuple

from exptrack.sdn import Place

_TOKEN = re.compile(r'[ \t\r\n:,]*(?:(?P<open>[{\[])|(?P<close>[}\]])|(?P<text>")|(?P<word>[^\s{}\[\]:,"]+))')


@dataclass(slots=True)
class _Node:
    """A value: where its key and it itself begin, and what is in it by keys or positions."""

    key_at: int
    value_at: int
    children: dict[str | int, _Node] = field(default_factory=dict)


class _Token(NamedTuple):
    """A key, a value or the end of one: `kind` is ``map``, ``list``, ``close``, ``scalar`` or ``alias``."""

    kind: str
    at: int
    word: str = ""  # of a scalar, and the name of an alias
    anchor: str | None = None
    is_block: bool = False


class ForeignPlaces:
    """The places of the values of one document, as :class:`exptrack.sdn.Places` finds them in SDN."""

    def __init__(self, text: str, root: _Node) -> None:
        self._text = text
        self._root = root

    @classmethod
    def of_json(cls, text: str) -> ForeignPlaces:
        """Find the places in a JSON document."""
        return cls(text, _read_tokens(_iter_json_tokens(text)))

    @classmethod
    def of_yaml(cls, text: str) -> ForeignPlaces:
        """Find the places in a YAML document."""
        return cls(text, _read_tokens(_iter_yaml_tokens(text)))

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


def _read_tokens(tokens: Iterable[_Token]) -> _Node:
    """Read the places of a document without recursion.

    An anchor holds what was last read under it, as for the values themselves: YAML lets a name be used again.
    """
    root = _Node(0, 0)
    above: list[tuple[_Node, _Token]] = []
    anchored: dict[str | None, dict[str | int, _Node]] = {}
    key: _Token | None = None
    for token in tokens:
        if token.kind == "close":
            node, opened = above.pop()
            anchored[opened.anchor] = node.children
            continue
        if above and above[-1][1].kind == "map" and key is None:
            key = token
            continue
        key_at = key.at if key is not None else token.at if above else 0
        # A block has no value on the line of its key: take the key.
        node = _Node(key_at, key_at if token.is_block else token.at)
        if above:
            holder = above[-1][0].children
            holder[len(holder) if key is None else key.word] = node
        else:
            root = node
        key = None
        if token.kind in ("map", "list"):
            above.append((node, token))
        elif token.kind == "alias":
            node.children = anchored[token.word]
        else:
            anchored[token.anchor] = node.children
    return root


def _iter_yaml_tokens(text: str) -> Iterator[_Token]:
    import yaml

    kinds = {"MappingStartEvent": "map", "SequenceStartEvent": "list"}
    event: Any  # each kind has attributes of its own
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        name, at = type(event).__name__, event.start_mark.index
        if name == "AliasEvent":
            yield _Token("alias", at, event.anchor)
        elif name in ("MappingEndEvent", "SequenceEndEvent"):
            yield _Token("close", at)
        elif name == "ScalarEvent":
            yield _Token("scalar", at, event.value, event.anchor)
        elif name in kinds:
            yield _Token(kinds[name], at, "", event.anchor, not event.flow_style)


def _iter_json_tokens(text: str) -> Iterator[_Token]:
    at = 0
    while (found := _TOKEN.match(text, at)) is not None:
        kind = str(found.lastgroup)
        start = found.start(kind)
        word, at = JSONDecoder().raw_decode(text, start) if kind == "text" else (found[kind], found.end())
        if kind == "open":
            yield _Token("map" if word == "{" else "list", start)
        else:
            yield _Token("close" if kind == "close" else "scalar", start, word)
