"""Configs: immutable trees of typed values with a canonical form.

Invariants: an ExpConfig never changes after it was made, and nothing it hands out leads back into it.
An int is never a float and a bool is never an int, on the way in, in the hash and on the way out. What
cannot be written exactly (NaN, the infinities, integers beyond 64 bits, lone surrogates, other types) is
refused when the config is made.

The canonical form, version 1: JSON with keys sorted by code point, no blanks, text unescaped in
UTF-8 where JSON allows it, integers in decimal and floats as the shortest text that reads back (so ``1``
and ``1.0`` differ). ``hash()`` is its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from exptrack import sdn
from exptrack.checks import INT64_MAX, INT64_MIN, MAX_NAME_CHARS, check_text, shown
from exptrack.errors import ConfigError, InvalidValueError

ConfigValue: TypeAlias = "str | int | float | bool | list[ConfigValue] | dict[str, ConfigValue] | None"

CANONICAL_VERSION = 1
MAX_DEPTH = 50
MAX_VALUES = 1_000_000
SEED_NAMES = frozenset({"seed", "random_seed", "random_state"})

# Integers up to here are exact as floats.
EXACT_INT = 2**53


class Leaf(NamedTuple):
    """One row of a config: `num` for numbers, `text` for the rest and where 15 digits do not suffice."""

    key: str
    type: str
    num: float | None
    text: str | None


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _checked(value: object, path: str, depth: int, budget: list[int]) -> ConfigValue:
    """Return a copy of `value` made of plain Python types, or say where it cannot be."""
    if depth > MAX_DEPTH:
        raise ConfigError(f"config is nested deeper than {MAX_DEPTH} levels at {path!r}", key=path)
    budget[0] -= 1
    if budget[0] < 0:
        raise ConfigError(f"config holds more than {MAX_VALUES:,} values", key=path)
    where = f"config value {path!r}" if path else "config"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return check_text(str.__str__(value), where)
        except InvalidValueError as error:
            raise ConfigError(str(error), key=path) from None
    if isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise ConfigError(f"{where} does not fit into 64 bits: {shown(int(value))}", key=path)
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(
                f"{where} is {float(value)}, which no config can hold; write it as text", key=path
            )
        return float(value)
    if isinstance(value, Mapping):
        result: dict[str, ConfigValue] = {}
        for key, item in value.items():
            name = _checked_key(key, path)
            result[name] = _checked(item, join_path(path, name), depth + 1, budget)
        return result
    if isinstance(value, (list, tuple)):
        return [_checked(v, f"{path}[{i}]", depth + 1, budget) for i, v in enumerate(value)]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        plain = item()
        if isinstance(plain, (bool, int, float, str)):
            return _checked(plain, path, depth, budget)
    raise ConfigError(
        f"{where} is of type {type(value).__name__}; a config holds text, numbers, true/false, null,"
        " lists and maps",
        key=path,
    )


def _checked_key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise ConfigError(f"config key {shown(key)} under {path!r} is {type(key).__name__}, not text", key=path)
    try:
        return check_text(str.__str__(key), "config key", max_chars=MAX_NAME_CHARS)
    except InvalidValueError as error:
        raise ConfigError(str(error), key=path) from None


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
                raise ConfigError(f"config path {shown(path)} has an empty part", key=path)
            position = end
        parts.append(part)
        if position == len(path):
            return parts
        if path[position] != ".":
            raise ConfigError(f"config path {shown(path)}: a dot must follow the quote", key=path)
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
    raise ConfigError(f"config path {shown(path)} has an unclosed quote", key=path)


def _copied(value: ConfigValue) -> ConfigValue:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


class ExpConfig:
    """An immutable config.

    `values` is a mapping of text keys to text, int (64 bits), float, bool, None, lists and maps;
    `source_files` and `overrides` say where it came from.

    >>> config = ExpConfig({"optim": {"name": "adam", "lr": 0.001}, "epochs": 20})
    >>> config.get("optim.lr"), config.get_int("epochs"), config.get("optim.beta")
    (0.001, 20, None)
    >>> config.with_override("optim.lr", "3e-4").get_float("optim.lr")
    0.0003

    Raises:
        ConfigError: a value, key or nesting that cannot be stored exactly; names its path.
    """

    __slots__ = ("_hash", "_overrides", "_source_files", "_values")

    _values: dict[str, ConfigValue]
    _source_files: tuple[str, ...]
    _overrides: tuple[str, ...]
    _hash: str | None

    def __init__(
        self,
        values: Mapping[str, Any],
        source_files: Iterable[str] = (),
        overrides: Iterable[str] = (),
    ) -> None:
        if not isinstance(values, Mapping):
            raise ConfigError(f"a config is a map, not {type(values).__name__} {shown(values)}")
        checked = _checked(values, "", 1, [MAX_VALUES])
        assert isinstance(checked, dict)
        for name, value in (
            ("_values", checked),
            ("_source_files", _texts(source_files, "source file")),
            ("_overrides", _texts(overrides, "override")),
            ("_hash", None),
        ):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a config never changes; with_override() makes a new one ({name})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a config never changes; with_override() makes a new one ({name})")

    def __reduce__(self) -> tuple[Any, ...]:
        return (ExpConfig, (self.values, self._source_files, self._overrides))

    @classmethod
    def empty(cls) -> ExpConfig:
        """A config without a key."""
        return cls({})

    @property
    def values(self) -> dict[str, ConfigValue]:
        """The whole tree, as a copy."""
        return {key: _copied(value) for key, value in self._values.items()}

    @property
    def source_files(self) -> tuple[str, ...]:
        """The files it was composed from, in order."""
        return self._source_files

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides applied, in order, as ``path=text``."""
        return self._overrides

    def __repr__(self) -> str:
        return f"ExpConfig({self._values!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExpConfig) and self.hash() == other.hash()

    def __hash__(self) -> int:
        return hash(self.hash())

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._find(path)[0]

    def __getitem__(self, path: str) -> ConfigValue:
        found, value = self._find(path)
        if not found:
            raise KeyError(path)
        return _copied(value)

    def _find(self, path: str) -> tuple[bool, ConfigValue]:
        value: ConfigValue = self._values
        for part in split_path(path):
            if not isinstance(value, dict) or part not in value:
                return False, None
            value = value[part]
        return True, value

    def get(self, path: str) -> ConfigValue:
        """The value at a dotted path, or None when there is none."""
        return _copied(self._find(path)[1])

    def get_text(self, path: str) -> str | None:
        """A scalar as text (``true``, ``3``, ``0.1``); None when absent, null, a list or a map."""
        value = self._find(path)[1]
        if value is None or isinstance(value, (list, dict)):
            return None
        return value if isinstance(value, str) else _canonical(value)

    def get_int(self, path: str) -> int | None:
        """An int; None when absent or of another type."""
        value = self._find(path)[1]
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def get_float(self, path: str) -> float | None:
        """A float or int as a float; None when absent or of another type."""
        value = self._find(path)[1]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return float(value)

    def get_bool(self, path: str) -> bool | None:
        """A bool; None when absent or of another type."""
        value = self._find(path)[1]
        return value if isinstance(value, bool) else None

    def with_override(self, path: str, value: Any) -> ExpConfig:
        """A new config with the value at `path` replaced, its parents made where missing.

        Text is typed as SDN types it (``3`` an int, ``3.0`` a float, ``true`` a bool, ``null``, ``[1, 2]`` a
        list, ``{a: 1}`` a map, ``"3"`` in quotes text); every other value is taken as it is.

        Raises:
            ConfigError: the path leads through something that is not a map, or the value cannot be kept.
        """
        parts = split_path(path)
        new = self.values
        place = new
        for depth, part in enumerate(parts[:-1]):
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                way = ".".join(parts[: depth + 1])
                raise ConfigError(f"cannot set {path!r}: {way!r} is {type_name(inner)}, not a map", key=path)
            place = inner
        text = value if isinstance(value, str) else _canonical(_checked(value, path, 1, [MAX_VALUES]))
        if isinstance(value, str):
            try:
                place[parts[-1]] = sdn.parse_value(check_text(value, f"override of {path!r}"))
            except InvalidValueError as error:
                raise ConfigError(f"override of {path!r}: {error}", key=path) from None
        else:
            place[parts[-1]] = value
        return ExpConfig(new, self._source_files, (*self._overrides, f"{path}={text}"))

    def to_sdn(self) -> str:
        """The config as SDN text, in its own key order."""
        return sdn.dumps(self._values)

    def canonical(self) -> str:
        """The canonical form (see the top of this module)."""
        return _canonical(self._values)

    def hash(self) -> str:
        """SHA-256 of the canonical form, in hex; independent of the order of keys."""
        if self._hash is None:
            object.__setattr__(self, "_hash", sha256_text(self.canonical()))
        assert self._hash is not None
        return self._hash

    def family(self) -> str:
        """Sixteen hex digits that are equal for configs that differ only in their seeds.

        A seed is a key whose last part is ``seed``, ``random_seed`` or ``random_state``.
        """
        return sha256_text(_canonical(_without_seeds(self._values)))[:16]

    def leaves(self) -> list[Leaf]:
        """Every value that is not a non-empty map, with its dotted path."""
        return list(_leaves("", self._values)) if self._values else []


def _texts(items: Iterable[str], what: str) -> tuple[str, ...]:
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise ConfigError(f"{what}s are a list of texts, not {shown(items)}")
    return tuple(check_text(item, what) for item in items)


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _without_seeds(value: ConfigValue) -> ConfigValue:
    if isinstance(value, dict):
        return {key: _without_seeds(item) for key, item in value.items() if key not in SEED_NAMES}
    return value


def type_name(value: ConfigValue) -> str:
    """The type of a value in the archive's words."""
    if value is None:
        return "null"
    names = {bool: "bool", int: "int", float: "float", str: "text", list: "list", dict: "map"}
    return names[type(value)]


def _leaves(path: str, value: ConfigValue) -> Iterator[Leaf]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(join_path(path, key), item)
        return
    kind = type_name(value)
    if isinstance(value, bool) or value is None:
        yield Leaf(path, kind, None, None if value is None else _canonical(value))
    elif isinstance(value, int):
        yield Leaf(path, kind, float(value), None if abs(value) <= EXACT_INT else str(value))
    elif isinstance(value, float):
        # SQLite shows 15 digits and knows no negative zero.
        exact = float(f"{value:.15g}") == value and repr(value) != "-0.0"
        yield Leaf(path, kind, value, None if exact else repr(value))
    else:
        yield Leaf(path, kind, None, value if isinstance(value, str) else _canonical(value))


def as_config(config: ExpConfig | Mapping[str, Any] | None) -> ExpConfig:
    """`config` as an ExpConfig: a mapping is wrapped, None is empty."""
    if isinstance(config, ExpConfig):
        return config
    return ExpConfig({} if config is None else config)


def merge_configs(base: ExpConfig | Mapping[str, Any], overlay: ExpConfig | Mapping[str, Any]) -> ExpConfig:
    """A new config: `overlay` laid over `base`. Maps merge; everything else replaces.

    >>> merge_configs({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}).values
    {'a': {'x': 1, 'y': 3}}
    """
    below, above = as_config(base), as_config(overlay)
    return ExpConfig(
        _merged(below.values, above.values),
        (*below.source_files, *above.source_files),
        (*below.overrides, *above.overrides),
    )


def _merged(base: dict[str, ConfigValue], overlay: dict[str, ConfigValue]) -> dict[str, ConfigValue]:
    for key, value in overlay.items():
        below = base.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            base[key] = _merged(below, value)
        else:
            base[key] = value
    return base


def config_from_snapshot(snapshot: str, source_files: Sequence[str], overrides: Sequence[str]) -> ExpConfig:
    """The config whose canonical form is `snapshot`."""
    return ExpConfig(json.loads(snapshot), source_files, overrides)
