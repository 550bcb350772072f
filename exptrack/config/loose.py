"""Read settings of any object, whatever it holds: what a config cannot hold exactly becomes text.

Invariants:

- No value makes it raise. An object that raises when it is asked something is described by its type.
- The result is bounded: `MAX_DEPTH` levels, `MAX_VALUES` values and `MAX_CHARS` characters. The rest is cut.
- Equal settings give equal text in every process: addresses are left out, and sets are sorted.
- The path of every value that is not stored exactly is told. Values with one obvious text are not told: paths,
  dates and members of an enum. Neither are tuples and small arrays, which become lists.
"""

from __future__ import annotations

import datetime
import enum
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from types import ModuleType
from typing import Any, TypeAlias

from exptrack.config.forms import (
    LIST_VALUES,
    describe_array,
    has_known_text,
    is_array,
    list_array,
    order_of,
    write_key,
)
from exptrack.config.objects import is_omegaconf, read_fields
from exptrack.config.tree import ConfigValue
from exptrack.keypath import join_path
from exptrack.plain import attribute, is_text, plain
from exptrack.records import ConfigSource
from exptrack.validation import INT64_MAX, INT64_MIN, MAX_NAME_CHARS

MAX_DEPTH = 24
MAX_VALUES = 100_000
MAX_CHARS = 4 << 20  # in all
MAX_TEXT_CHARS = 100_000  # of one text
MAX_SHOWN_CHARS = 1_000  # of an object that shows itself
MAX_BARE = 2  # objects within each other that are read by their attributes: beyond are engines, not settings
ONLY_VALUE = "value"  # the key of a value that is no settings
_CUT = "…"
_KEY_CHARS = MAX_NAME_CHARS - 20  # leaves room for a number that tells equal keys apart
_UNREADABLE = object()  # stands for a value that its mapping does not hand out
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_Fields: TypeAlias = Iterable[tuple[object, Any]]


def read_loosely(
    thing: object,
) -> tuple[dict[str, ConfigValue], dict[str, ConfigSource], tuple[str, ...]]:
    """Return the values in `thing`, the sources of its fields, and the paths of what is not stored exactly."""
    reader = _Reader()
    found = {} if thing is None else reader.read(thing, "", 0)
    if not isinstance(found, dict):
        found = {ONLY_VALUE: found}
        reader.told = {ONLY_VALUE: None}
    return found, reader.sources, tuple(reader.told)


class _Reader:
    """Converts one object; counts what it made, and remembers what it had to tell."""

    def __init__(self) -> None:
        self.told: dict[str, None] = {}
        self.sources: dict[str, ConfigSource] = {}
        self._values = MAX_VALUES
        self._chars = MAX_CHARS
        self._within: set[int] = set()  # the ids of the objects around the one that is read
        self._bare = 0  # how many of them were read by their attributes
        self._list: str | None = None  # the path of the outermost list around it: the config's key

    def read(self, value: Any, path: str, depth: int) -> ConfigValue:
        """Convert a value. It never raises an ``Exception``."""
        self._values -= 1
        if value is _UNREADABLE:
            return self._tell(path, "<it cannot be read>")
        try:
            return self._convert(value, path, depth)
        except Exception:  # of the caller's object, or of a stack that is nearly full
            return self._tell(path, f"<{type(value).__name__}>")

    def _convert(self, value: Any, path: str, depth: int) -> ConfigValue:
        value = plain(value.value if isinstance(value, enum.Enum) else value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._read_text(value, path)
        if isinstance(value, int):
            return value if INT64_MIN <= value <= INT64_MAX else self._tell(path, _show_int(value))
        if isinstance(value, float):
            return value if math.isfinite(value) else self._tell(path, repr(value))
        if isinstance(value, PurePath):
            return self._read_text(value.as_posix(), path)
        if isinstance(value, (datetime.date, datetime.time)):
            return self._read_text(value.isoformat(), path)
        if depth >= MAX_DEPTH or id(value) in self._within:
            return self._tell(path, f"<{type(value).__name__}{_CUT}>")
        self._within.add(id(value))
        try:
            return self._convert_object(value, path, depth)
        finally:
            self._within.discard(id(value))

    def _convert_object(self, value: Any, path: str, depth: int) -> ConfigValue:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._tell(
                path, _show(bytes(value[:MAX_SHOWN_CHARS])) + _CUT * (len(value) > MAX_SHOWN_CHARS)
            )
        if isinstance(value, Sequence) and not isinstance(value, range):
            return self._read_list(value, path, depth)
        if isinstance(value, (set, frozenset)):
            return self._read_set(value, path, depth)
        if isinstance(value, ModuleType):
            return self._tell(path, str(value.__name__))
        if isinstance(value, type) or _is_function(value):
            return self._tell(path, _name(value))
        if has_known_text(value) or _is_dtype(value):
            return self._tell(path, str(value))
        if is_array(value):
            return self._read_array(value, path, depth)
        if is_omegaconf(value):
            from omegaconf import OmegaConf

            # Unresolved: a reference may lead nowhere, or to a secret of the environment.
            return self.read(OmegaConf.to_container(value, resolve=False), path, depth)
        fields = self._find_fields(value, path)
        if fields is not None:
            return self._read_map(fields, path, depth)
        if callable(value):  # a layer, a metric: its name says more than its insides
            return self._tell(path, _show(value) if isinstance(value, partial) else _name(type(value)))
        attributes = [one for one in _iter_attributes(value) if not one[0].startswith("_")]
        if not attributes or self._bare == MAX_BARE:
            return self._tell(path, _show(value))
        self._bare += 1
        try:
            return self._read_map(attributes, path, depth)
        finally:
            self._bare -= 1

    def _find_fields(self, value: Any, path: str) -> _Fields | None:
        """Return the keys and values of a mapping, a model or what has ``to_dict()``; None for the rest."""
        if isinstance(value, Mapping):
            return _iter_items(value)
        for read in (self._read_known, _call_to_dict):
            try:
                fields = read(value, path)
            except Exception:  # a model that cannot dump itself still has attributes
                continue
            if fields is not None:
                return fields
        return None

    def _read_known(self, value: object, path: str) -> _Fields | None:
        fields = read_fields(value)
        if fields is None:
            return None
        name = type(value).__name__
        if self._list is not None:  # a list has one source
            return [(key, item) for key, (item, _is_default) in fields.items()]
        for key, (_item, is_default) in fields.items():
            self.sources[join_path(path, key)] = ConfigSource("default" if is_default else "code", name)
        return [(key, item) for key, (item, _is_default) in fields.items()]

    def _read_map(self, fields: _Fields, path: str, depth: int) -> dict[str, ConfigValue]:
        found: dict[str, ConfigValue] = {}
        names = _Names()
        try:
            for key, item in fields:
                name, exact = _read_key(key)
                name = names.add(name)
                inner = join_path(path, name)
                if not exact or name != key:
                    self._note(inner)
                self._chars -= len(name)
                if self._is_full():
                    found[name] = self._tell(inner, _CUT)
                    break
                found[name] = self.read(item, inner, depth + 1)
        except Exception:  # the mapping raises as it is read: what came so far stays
            name = names.add(_CUT)
            found[name] = self._tell(join_path(path, name), "<it cannot be read>")
        return found

    def _read_list(self, values: Iterable[Any], path: str, depth: int) -> list[ConfigValue]:
        around = self._list
        self._list = path if around is None else around
        found: list[ConfigValue] = []
        try:
            for item in values:
                if self._is_full():
                    found.append(self._tell(path, _CUT))
                    break
                found.append(self.read(item, path, depth + 1))
        except Exception:  # the list raises as it is read: what came so far stays
            found.append(self._tell(path, "<it cannot be read>"))
        finally:
            self._list = around
        return found

    def _read_set(self, values: Iterable[Any], path: str, depth: int) -> list[ConfigValue]:
        self._note(path)
        found = self._read_list(values, path, depth)
        return sorted(found, key=order_of)

    def _read_array(self, value: Any, path: str, depth: int) -> ConfigValue:
        held = list_array(value)
        if held is not None:
            return self.read(held, path, depth)
        is_large = math.prod(tuple(value.shape)) > LIST_VALUES or not hasattr(value, "tolist")
        return self._tell(path, describe_array(value) if is_large else _show(value))

    def _read_text(self, text: str, path: str) -> str:
        cut = text[: max(0, min(MAX_TEXT_CHARS, self._chars))]
        self._chars -= len(cut)
        if len(cut) < len(text):
            cut = f"{cut}{_CUT} ({len(text):,} characters)"
            self._note(path)
        written = _without_surrogates(cut)
        if written != cut:
            self._note(path)
        return written

    def _tell(self, path: str, text: str) -> str:
        self._note(path)
        return self._read_text(text, path)

    def _note(self, path: str) -> None:
        self.told[path if self._list is None else self._list] = None

    def _is_full(self) -> bool:
        return self._values <= 0 or self._chars <= 0


def _read_key(key: object) -> tuple[str, bool]:
    """Return a key as text, and whether it was text that a config holds."""
    exact = is_text(key)
    try:
        text = write_key(key)
    except ValueError:  # Python writes no int of more than 4,300 digits
        text = _show_int(plain(attribute(key, "value", key)))
    if text is None:
        text = _show(plain(key.value if isinstance(key, enum.Enum) else key))
    written = _without_surrogates(text)
    if len(written) > _KEY_CHARS:
        written = written[:_KEY_CHARS] + _CUT
    return written, exact and written == text


class _Names:
    """Tells equal keys of one map apart: 1 and "1" are different keys, and both stay."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def add(self, name: str) -> str:
        """Return the name, with a number if it is taken."""
        new = name
        while new in self._taken:
            self._taken[name] += 1
            new = f"{name} ({self._taken[name]})"
        self._taken[new] = 1
        return new


def _iter_items(value: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    for key in value:
        try:
            item = value[key]
        except Exception:  # the value of one key cannot be read; the others may be
            item = _UNREADABLE
        yield key, item


def _iter_attributes(value: object) -> Iterator[tuple[str, Any]]:
    """Stream the attributes that an object holds, in its dictionary or its slots."""
    held = object.__getattribute__(value, "__dict__") if hasattr(value, "__dict__") else {}
    slots = [slot for kind in type(value).__mro__ for slot in _list_slots(kind)]
    for name in dict.fromkeys((*slots, *(key for key in held if is_text(key)))):
        try:
            yield name, held[name] if name in held else getattr(value, name)
        except Exception:  # an empty slot
            continue


def _list_slots(kind: type) -> list[str]:
    slots: Any = vars(kind).get("__slots__", ())
    return [slots] if is_text(slots) else [slot for slot in slots if is_text(slot)]


def _call_to_dict(value: object, _path: str) -> _Fields | None:
    # Asked of the type: an object that makes up attributes would have this one too.
    method: Callable[[object], object] | None = getattr(type(value), "to_dict", None)
    found = method(value) if callable(method) else None
    return _iter_items(found) if isinstance(found, Mapping) else None


def _is_dtype(value: object) -> bool:
    return any(kind.__module__ == "numpy" and kind.__name__ == "dtype" for kind in type(value).__mro__)


def _is_function(value: object) -> bool:
    return callable(value) and is_text(getattr(value, "__qualname__", None))


def _name(value: Any) -> str:
    """Return the qualified name of a function or class."""
    module = getattr(value, "__module__", None)
    name = value.__qualname__
    return f"{module}.{name}" if is_text(module) and module != "builtins" else str(name)


def _show(value: object) -> str:
    """Return what an object shows of itself, without addresses."""
    try:
        text = str.__str__(repr(value))
    except Exception:
        return f"<{type(value).__name__}>"
    shown = _ADDRESS.sub("", text[: 2 * MAX_SHOWN_CHARS])
    return shown if len(shown) <= MAX_SHOWN_CHARS else shown[:MAX_SHOWN_CHARS] + _CUT


def _show_int(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no int of more than 4,300 digits
        return hex(value)[:MAX_SHOWN_CHARS] + _CUT


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
