"""Interpolation: ``${config:a.b}`` and ``${env:NAME}`` inside the texts of a config.

Invariants: what is inserted is never looked at again, so a value of the environment cannot refer to
anything. A name that leads nowhere and a circle are errors that name the chain of keys. Depth and amount are
limited, so that references to references cannot grow without end. Other uses of ``${`` are text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from exptrack.errors import ConfigError
from exptrack.keypath import path_of, split_path
from exptrack.validation import short_repr

Keys: TypeAlias = tuple[str, ...]

MAX_CHAIN = 100
MAX_NESTED = 20
MAX_REFERENCES = 100_000
MAX_CHARS = 16 * 1024 * 1024

_START = re.compile(r"\$\{(env|config):")
_SIGNS = re.compile(r"\$\{(?:env|config):|\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Reference(NamedTuple):
    kind: str
    name: list[str | _Reference]
    source: str


def has_references(text: str) -> bool:
    """Whether there is anything to interpolate in a text."""
    return _START.search(text) is not None


class Interpolator:
    """Resolves the references in one tree.

    With an `environ`, everything is resolved; without one, what depends on the environment stays as it
    is written. `applies` says for the path of a text whether it is interpolated at all. After
    ``resolve``, `inserted` maps the values taken from the environment to the references they replaced.
    """

    def __init__(
        self, tree: dict[str, Any], applies: Callable[[str], bool], environ: Mapping[str, str] | None
    ) -> None:
        self.tree = tree
        self.applies = applies
        self.environ = environ
        self.inserted: dict[str, str] = {}
        self.references = 0
        self.characters = 0

    def resolve(self) -> dict[str, Any]:
        """A copy of the tree with its references resolved.

        Raises:
            ConfigError: a reference leads nowhere or in a circle, is not closed, or passes a limit.
        """
        try:
            return {key: self.value(value, (key,), ())[0] for key, value in self.tree.items()}
        except RecursionError:
            raise ConfigError("the references in the config lead through too deep a tree") from None

    def value(self, value: Any, keys: Keys, chain: tuple[Keys, ...]) -> tuple[Any, bool]:
        """The value at `keys` resolved, and whether it still depends on the environment."""
        if isinstance(value, str):
            return self.text(value, keys, chain)
        if chain and isinstance(value, (dict, list)):
            # Only what a reference repeats makes the tree grow.
            self.count(len(value))
        if isinstance(value, dict):
            return {key: self.value(item, (*keys, key), chain)[0] for key, item in value.items()}, False
        if isinstance(value, list):
            return [self.value(item, keys, chain)[0] for item in value], False
        return value, False

    def count(self, references: int, characters: int = 0) -> None:
        self.references += references
        self.characters += characters
        if self.references > MAX_REFERENCES or self.characters > MAX_CHARS:
            raise ConfigError("the references in the config grow beyond all measure")

    def text(self, text: str, keys: Keys, chain: tuple[Keys, ...]) -> tuple[Any, bool]:
        if not has_references(text) or not self.applies(path_of(keys)):
            return text, False
        if len(chain) >= MAX_CHAIN:
            raise ConfigError(f"more than {MAX_CHAIN} references in a row: {words(chain)}", key=path_of(keys))
        chain = (*chain, keys)
        parts = _parsed(text, path_of(keys))
        if len(parts) == 1 and isinstance(parts[0], _Reference):
            return self.reference(parts[0], chain)
        return self.joined(parts, chain)

    def joined(self, parts: list[str | _Reference], chain: tuple[Keys, ...]) -> tuple[str, bool]:
        texts: list[str] = []
        open_ = False
        for part in parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            value, depends = self.reference(part, chain)
            if isinstance(value, (dict, list)):
                raise ConfigError(
                    f"{part.source} is a {'map' if isinstance(value, dict) else 'list'} and can only stand"
                    f" alone, not inside text ({words(chain)})",
                    key=path_of(chain[-1]),
                )
            texts.append(value if isinstance(value, str) else json.dumps(value))
            self.count(0, len(texts[-1]))
            open_ |= depends
        return "".join(texts), open_

    def reference(self, reference: _Reference, chain: tuple[Keys, ...]) -> tuple[Any, bool]:
        self.count(1)
        if reference.kind == "env" and self.environ is None:
            return reference.source, True
        name, depends = self.joined(reference.name, chain)
        if depends:
            return reference.source, True
        if reference.kind == "env":
            return self.variable(name, reference, chain), False
        return self.key(name, reference, chain)

    def variable(self, name: str, reference: _Reference, chain: tuple[Keys, ...]) -> str:
        assert self.environ is not None
        variable, comma, default = name.partition(",")
        at = path_of(chain[-1])
        if not _VARIABLE.fullmatch(variable):
            raise ConfigError(
                f"{short_repr(variable)} is no name of an environment variable ({words(chain)})", key=at
            )
        value = self.environ.get(variable)
        if value is None:
            if comma:
                return default
            raise ConfigError(
                f"environment variable {variable} is not set; {words(chain)} needs it"
                f" (${{env:{variable},default}} would do without)",
                key=at,
            )
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            # Without the value, which may be a secret.
            raise ConfigError(
                f"environment variable {variable} is not UTF-8 ({words(chain)})", key=at
            ) from None
        self.inserted[value] = f"${{env:{variable}}}"
        self.count(0, len(value))
        return value

    def key(self, name: str, reference: _Reference, chain: tuple[Keys, ...]) -> tuple[Any, bool]:
        keys = tuple(split_path(name))
        if any(waiting[: len(keys)] == keys for waiting in chain):
            raise ConfigError(f"references go in a circle: {words((*chain, keys))}", key=path_of(chain[-1]))
        place: Any = self.tree
        resolved = False
        for depth, key in enumerate(keys):
            if isinstance(place, str) and not resolved:
                # On the way stands a reference to a map: go on in what it stands for.
                place, depends = self.text(place, keys[:depth], chain)
                resolved = True
                if depends:
                    return reference.source, True
            if not isinstance(place, dict) or key not in place:
                # As it is written: a key named by the environment may be a secret.
                nested = any(isinstance(part, _Reference) for part in reference.name)
                wanted = reference.source if nested else repr(path_of(keys))
                raise ConfigError(
                    f"there is no key {wanted}, which {words(chain)} refers to", key=path_of(chain[-1])
                )
            place = place[key]
        if resolved:
            return place, isinstance(place, str) and self.environ is None and has_references(place)
        return self.value(place, keys, chain if isinstance(place, str) else (*chain, keys))


def words(chain: tuple[Keys, ...]) -> str:
    """The chain of keys as people read it."""
    return " → ".join(path_of(keys) for keys in chain)


def _parsed(text: str, path: str) -> list[str | _Reference]:
    """The text as literal parts and references; their names are parsed likewise."""
    parts: list[str | _Reference] = []
    at = 0
    while (match := _START.search(text, at)) is not None:
        if match.start() > at:
            parts.append(text[at : match.start()])
        reference, at = _reference(text, match, path, 1)
        parts.append(reference)
    if at < len(text):
        parts.append(text[at:])
    return parts


def _reference(text: str, start: re.Match[str], path: str, depth: int) -> tuple[_Reference, int]:
    if depth > MAX_NESTED:
        raise ConfigError(f"references are nested deeper than {MAX_NESTED} in {path}", key=path)
    name: list[str | _Reference] = []
    at = start.end()
    while (sign := _SIGNS.search(text, at)) is not None:
        if sign.start() > at:
            name.append(text[at : sign.start()])
        if sign[0] == "}":
            if not name:
                raise ConfigError(f"{start[0]}}} in {path} names nothing", key=path)
            return _Reference(start[1], name, text[start.start() : sign.end()]), sign.end()
        opened = _START.match(text, sign.start())
        assert opened is not None
        inner, at = _reference(text, opened, path, depth + 1)
        name.append(inner)
    raise ConfigError(f"{start[0]} in {path} is not closed with '}}'", key=path)
