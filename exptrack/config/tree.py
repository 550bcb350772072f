"""Check, copy, merge and encode trees of plain values, and split them into leaves. A config is such a tree.

Invariants: a checked tree contains text, 64-bit ints, finite floats, bools, null, lists and maps of plain
Python types, and nothing else. A value that cannot be written exactly is refused, and the error names its path.
The canonical form, version 1, is described in `exp_config`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from exptrack.capture.redaction import remove_secrets_of_name
from exptrack.errors import ConfigError, InvalidValueError
from exptrack.keypath import join_path
from exptrack.known_secrets import has_secrets, hide_keys, mask_setting
from exptrack.plain import is_mapping, is_text, plain, reading, short_repr
from exptrack.validation import EXACT_INT, INT64_MAX, INT64_MIN, MAX_NAME_CHARS, check_text

ConfigValue: TypeAlias = "str | int | float | bool | list[ConfigValue] | dict[str, ConfigValue] | None"

MAX_DEPTH = 50
MAX_VALUES = 1_000_000

# Made once: json.dumps() makes an encoder for each call, which takes longer than encoding a short text.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


class Leaf(NamedTuple):
    """One row of a config. A number is in `num`, and in `text` too if SQLite would not show it exactly.

    Null is in neither. Every other value is in `text`.
    """

    key: str
    type: str
    num: float | None
    text: str | None


# Checking


def check_values(values: object) -> dict[str, ConfigValue]:
    """Return a copy of a whole tree, made of plain Python types.

    Raises:
        ConfigError: it is not a map, or holds a value that no config can hold; the message names its path.
    """
    if not is_mapping(values):
        raise ConfigError(f"a config cannot be {type(values).__name__} {short_repr(values)}; give a map")
    checked = check_value(values, "", 1, [MAX_VALUES])
    assert isinstance(checked, dict)
    return checked


def check_value(value: object, path: str, depth: int, budget: list[int]) -> ConfigValue:
    """Return a copy of `value`, the part of a tree at `path`, made of plain Python types.

    `budget` is a list of one number, which falls by 1 for each value of the tree.

    Raises:
        ConfigError: as in :func:`check_values`.
    """
    if depth > MAX_DEPTH:
        raise ConfigError(f"config is nested deeper than {MAX_DEPTH} levels at {path!r}; flatten it", key=path)
    budget[0] -= 1
    if budget[0] < 0:
        raise ConfigError(
            f"config holds more than {MAX_VALUES:,} values; store large data as an artifact", key=path
        )
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is float and math.isfinite(value):  # type: ignore[arg-type]
        return value  # type: ignore[return-value]
    if kind is int and INT64_MIN <= value <= INT64_MAX:  # type: ignore[operator]
        return value  # type: ignore[return-value]
    where = f"config value {path!r}" if path else "config"
    value = plain(value)
    if isinstance(value, str):
        try:
            return check_text(value, where)
        except InvalidValueError as error:
            raise ConfigError(str(error), key=path) from None
    if isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise ConfigError(
                f"{where} does not fit into 64 bits; write it as text: {short_repr(value)}", key=path
            )
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{where} is {value}, which a config cannot hold; write it as text", key=path)
        return value
    with reading(where, ConfigError):
        return _check_part(value, path, where, depth, budget)


def _check_part(value: object, path: str, where: str, depth: int, budget: list[int]) -> ConfigValue:
    """Check a map, a list, or an object that may hold a value, as numpy's scalars do."""
    if isinstance(value, Mapping):
        result: dict[str, ConfigValue] = {}
        for key, item in value.items():
            name = _check_key(key, path)
            result[name] = check_value(item, join_path(path, name), depth + 1, budget)
        return result
    if isinstance(value, (list, tuple)):
        return [check_value(v, f"{path}[{i}]", depth + 1, budget) for i, v in enumerate(value)]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        held = item()
        if isinstance(held, (bool, int, float, str)):
            return check_value(held, path, depth, budget)
    raise ConfigError(
        f"{where} is of type {type(value).__name__}, which a config cannot hold; give text, numbers, bools,"
        " None, lists or maps",
        key=path,
    )


def _check_key(key: object, path: str) -> str:
    if not is_text(key):
        raise ConfigError(
            f"config key {short_repr(key)} under {path!r} is {type(key).__name__}; give text", key=path
        )
    try:
        return check_text(key, "config key", max_chars=MAX_NAME_CHARS)
    except InvalidValueError as error:
        raise ConfigError(str(error), key=path) from None


# Copying and merging


def copied(value: ConfigValue) -> ConfigValue:
    """Return a deep copy of a value."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def copied_tree(tree: dict[str, ConfigValue]) -> dict[str, ConfigValue]:
    """Return a deep copy of a tree."""
    return {key: copied(value) for key, value in tree.items()}


def merge_into(base: dict[str, ConfigValue], overlay: dict[str, ConfigValue]) -> dict[str, ConfigValue]:
    """Lay `overlay` over `base`, which is changed and returned. Maps merge; everything else replaces."""
    for key, value in overlay.items():
        below = base.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            base[key] = merge_into(below, value)
        else:
            base[key] = value
    return base


def iter_differing_texts(
    written: ConfigValue, resolved: ConfigValue, path: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Stream each text that resolving has changed, as (path, resolved, written)."""
    if isinstance(written, dict) and isinstance(resolved, dict):
        for key in written.keys() & resolved.keys():
            yield from iter_differing_texts(written[key], resolved[key], join_path(path, key))
    elif isinstance(written, list) and isinstance(resolved, list):
        for place, (one, other) in enumerate(zip(written, resolved, strict=False)):
            yield from iter_differing_texts(one, other, f"{path}[{place}]")
    elif isinstance(written, str) and isinstance(resolved, str) and written != resolved:
        yield path, resolved, written


def hide_secrets(
    tree: dict[str, ConfigValue], kind_of: Callable[[str], str] = lambda _path: "code"
) -> dict[str, ConfigValue]:
    """Return the tree with what is shown for each known secret in its place; the same tree if there is none.

    `kind_of` returns the kind of source that set the value at a path. A search draws its values, so they are no
    secrets.
    """
    if not has_secrets():
        return tree
    hidden = _hide("", tree, kind_of)
    assert isinstance(hidden, dict)
    return tree if hidden == tree else hidden


def _hide(path: str, value: ConfigValue, kind_of: Callable[[str], str]) -> ConfigValue:
    if isinstance(value, dict):
        names = hide_keys(value, remove_secrets_of_name)
        return {names[key]: _hide(join_path(path, key), item, kind_of) for key, item in value.items()}
    if isinstance(value, list):
        return [_hide(f"{path}[{place}]", item, kind_of) for place, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    kind = kind_of(path.partition("[")[0])
    stored = None if kind == "trial" else mask_setting(path, value, is_from_code=kind in ("code", "default"))
    return value if stored is None else stored


# The canonical form


def encode_canonical(value: object) -> str:
    """Encode a value in the canonical form."""
    return _encode(value)


def sha256_text(text: str) -> str:
    """Compute the SHA-256 of a text in UTF-8, in hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


# Leaves


def type_name(value: ConfigValue) -> str:
    """Return the type of a value as the archive names it."""
    if value is None:
        return "null"
    names = {bool: "bool", int: "int", float: "float", str: "text", list: "list", dict: "map"}
    return names[type(value)]


def list_leaves(path: str, value: ConfigValue) -> list[Leaf]:
    """List every value at or below `path`, except non-empty maps."""
    found: list[Leaf] = []
    _collect(path, value, found)
    return found


def _collect(path: str, value: ConfigValue, found: list[Leaf]) -> None:
    if isinstance(value, str):
        found.append(Leaf(path, "text", None, value))
    elif value is None:
        found.append(Leaf(path, "null", None, None))
    elif isinstance(value, bool):
        found.append(Leaf(path, "bool", None, "true" if value else "false"))
    elif isinstance(value, int):
        found.append(Leaf(path, "int", float(value), None if abs(value) <= EXACT_INT else str(value)))
    elif isinstance(value, float):
        # SQLite shows 15 digits, and has no negative zero.
        text = repr(value)
        exact = text != "-0.0" and (len(text) <= 15 or float(f"{value:.15g}") == value)
        found.append(Leaf(path, "float", value + 0.0, None if exact else text))
    elif isinstance(value, dict) and value:
        for key, item in value.items():
            _collect(join_path(path, key), item, found)
    else:
        found.append(Leaf(path, type_name(value), None, encode_canonical(value)))


def leaf_value(kind: str, num: float | None, text: str | None) -> ConfigValue:
    """Return the value of a leaf: the inverse of :func:`list_leaves`."""
    if kind == "text" or kind == "null":
        return text
    if kind == "bool":
        return text == "true"
    if kind == "float":
        return num if text is None else float(text)
    if kind == "int":
        return int(text or "") if num is None or text is not None else int(num)
    value: ConfigValue = json.loads(text or "")
    return value
