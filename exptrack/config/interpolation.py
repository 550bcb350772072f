"""Resolve the references ``${config:a.b}`` and ``${env:NAME}`` inside the texts of a config.

Invariants: inserted text is never searched for references, so a value of the environment cannot refer to
anything. A reference that leads nowhere or in a circle is an error that names the chain of keys. Depth and
amount are limited, so that references to references cannot grow without end. Other uses of ``${`` are text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from exptrack.errors import ConfigError
from exptrack.keypath import path_of, split_path
from exptrack.plain import short_repr

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
    """Whether a text contains a reference."""
    return _START.search(text) is not None


class Interpolator:
    """Resolves the references in one tree.

    With an `environ`, everything is resolved; without one, texts that depend on the environment stay as they
    are written. `applies` decides by the path of a text whether it is interpolated at all. After ``resolve``,
    `inserted` maps the values taken from the environment to the references they replaced.
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
        """Return a copy of the tree with its references resolved.

        Raises:
            ConfigError: a reference leads nowhere or in a circle, is not closed, or passes a limit.
        """
        try:
            return {key: self.resolve_value(value, (key,), ())[0] for key, value in self.tree.items()}
        except RecursionError:
            raise ConfigError(
                "the references in the config nest too deep; use shorter chains of references"
            ) from None

    def resolve_value(self, value: Any, keys: Keys, chain: tuple[Keys, ...]) -> tuple[Any, bool]:
        """Resolve the value at `keys`; return it, and whether it still depends on the environment."""
        if isinstance(value, str):
            return self.resolve_text(value, keys, chain)
        if chain and isinstance(value, (dict, list)):
            # Only values that a reference repeats make the tree grow.
            self.count(len(value))
        if isinstance(value, dict):
            return {key: self.resolve_value(item, (*keys, key), chain)[0] for key, item in value.items()}, False
        if isinstance(value, list):
            return [self.resolve_value(item, keys, chain)[0] for item in value], False
        return value, False

    def count(self, references: int, characters: int = 0) -> None:
        """Count the references, and the values and characters that they insert; refuse more than the limits."""
        self.references += references
        self.characters += characters
        if self.references > MAX_REFERENCES or self.characters > MAX_CHARS:
            raise ConfigError(
                f"the references in the config insert more than {MAX_REFERENCES:,} values or {MAX_CHARS:,}"
                " characters; use fewer references to references"
            )

    def resolve_text(self, text: str, keys: Keys, chain: tuple[Keys, ...]) -> tuple[Any, bool]:
        if not has_references(text) or not self.applies(path_of(keys)):
            return text, False
        if len(chain) >= MAX_CHAIN:
            raise ConfigError(
                f"more than {MAX_CHAIN} references in a row; refer to the last key: {describe_chain(chain)}",
                key=path_of(keys),
            )
        chain = (*chain, keys)
        parts = _parse_text(text, path_of(keys))
        if len(parts) == 1 and isinstance(parts[0], _Reference):
            return self.resolve_reference(parts[0], chain)
        return self.join_parts(parts, chain)

    def join_parts(self, parts: list[str | _Reference], chain: tuple[Keys, ...]) -> tuple[str, bool]:
        texts: list[str] = []
        is_open = False
        for part in parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            value, depends = self.resolve_reference(part, chain)
            if isinstance(value, (dict, list)):
                raise ConfigError(
                    f"{part.source} is a {'map' if isinstance(value, dict) else 'list'} and can only stand"
                    f" alone, not inside text ({describe_chain(chain)}); refer to a value in it",
                    key=path_of(chain[-1]),
                )
            texts.append(value if isinstance(value, str) else json.dumps(value))
            self.count(0, len(texts[-1]))
            is_open |= depends
        return "".join(texts), is_open

    def resolve_reference(self, reference: _Reference, chain: tuple[Keys, ...]) -> tuple[Any, bool]:
        self.count(1)
        if reference.kind == "env" and self.environ is None:
            return reference.source, True
        name, depends = self.join_parts(reference.name, chain)
        if depends:
            return reference.source, True
        if reference.kind == "env":
            return self.read_variable(name, reference, chain), False
        return self.resolve_key(name, reference, chain)

    def read_variable(self, name: str, reference: _Reference, chain: tuple[Keys, ...]) -> str:
        assert self.environ is not None
        variable, comma, default = name.partition(",")
        at = path_of(chain[-1])
        if not _VARIABLE.fullmatch(variable):
            raise ConfigError(
                f"{short_repr(variable)} is no name of an environment variable; use letters, digits and _"
                f" ({describe_chain(chain)})",
                key=at,
            )
        value = self.environ.get(variable)
        if value is None:
            if comma:
                return default
            raise ConfigError(
                f"environment variable {variable} is not set; {describe_chain(chain)} needs it"
                f" (set it, or give a default: ${{env:{variable},default}})",
                key=at,
            )
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            # The message leaves out the value, which may be a secret.
            raise ConfigError(
                f"environment variable {variable} is not UTF-8; set it to UTF-8 text ({describe_chain(chain)})",
                key=at,
            ) from None
        self.inserted[value] = f"${{env:{variable}}}"
        self.count(0, len(value))
        return value

    def resolve_key(self, name: str, reference: _Reference, chain: tuple[Keys, ...]) -> tuple[Any, bool]:
        keys = tuple(split_path(name))
        if any(waiting[: len(keys)] == keys for waiting in chain):
            raise ConfigError(
                f"references go in a circle: {describe_chain((*chain, keys))}; write one of these as a value",
                key=path_of(chain[-1]),
            )
        place: Any = self.tree
        resolved = False
        for depth, key in enumerate(keys):
            if isinstance(place, str) and not resolved:
                # The path leads through a reference to a map: go on in that map.
                place, depends = self.resolve_text(place, keys[:depth], chain)
                resolved = True
                if depends:
                    return reference.source, True
            if not isinstance(place, dict) or key not in place:
                # Show the reference as it is written: a key read from the environment may be a secret.
                nested = any(isinstance(part, _Reference) for part in reference.name)
                wanted = reference.source if nested else repr(path_of(keys))
                raise ConfigError(
                    f"there is no key {wanted}, which {describe_chain(chain)} refers to;"
                    " add it, or correct the reference",
                    key=path_of(chain[-1]),
                )
            place = place[key]
        if resolved:
            return place, isinstance(place, str) and self.environ is None and has_references(place)
        return self.resolve_value(place, keys, chain if isinstance(place, str) else (*chain, keys))


def describe_chain(chain: tuple[Keys, ...]) -> str:
    """Write a chain of keys for a message."""
    return " → ".join(path_of(keys) for keys in chain)


def _parse_text(text: str, path: str) -> list[str | _Reference]:
    """Parse a text into literal parts and references, whose names are parsed in the same way."""
    parts: list[str | _Reference] = []
    at = 0
    while (match := _START.search(text, at)) is not None:
        if match.start() > at:
            parts.append(text[at : match.start()])
        reference, at = _parse_reference(text, match, path, 1)
        parts.append(reference)
    if at < len(text):
        parts.append(text[at:])
    return parts


def _parse_reference(text: str, start: re.Match[str], path: str, depth: int) -> tuple[_Reference, int]:
    if depth > MAX_NESTED:
        raise ConfigError(f"references are nested deeper than {MAX_NESTED} in {path}; nest fewer", key=path)
    name: list[str | _Reference] = []
    at = start.end()
    while (sign := _SIGNS.search(text, at)) is not None:
        if sign.start() > at:
            name.append(text[at : sign.start()])
        if sign[0] == "}":
            if not name:
                raise ConfigError(f"{start[0]}}} in {path} names nothing; write a name before '}}'", key=path)
            return _Reference(start[1], name, text[start.start() : sign.end()]), sign.end()
        nested = _START.match(text, sign.start())
        assert nested is not None
        inner, at = _parse_reference(text, nested, path, depth + 1)
        name.append(inner)
    raise ConfigError(f"{start[0]} in {path} is not closed; add '}}'", key=path)
