"""Check, copy, merge and encode trees of plain values, and split them into leaves. A config is such a tree.

Invariants: a checked tree contains text, 64-bit ints, finite floats, bools, null, lists and maps of plain
Python types, and nothing else. One rule gives every other value its form, from whatever source it comes:
:func:`check_value`. A value without an exact form is refused, and the error names its path, unless the check
notes them: then it becomes text, and its path is told.
The canonical form, version 1, is described in `exp_config`.
"""

from __future__ import annotations

import datetime
import enum
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from exptrack.capture.redaction import remove_secrets_of_name
from exptrack.digests import sha256
from exptrack.errors import ConfigError, InvalidValueError
from exptrack.keypath import join_path
from exptrack.known_secrets import has_secrets, hide_keys, mask_setting
from exptrack.named_tuples import NamedTuple
from exptrack.plain import is_mapping, is_path, is_text, plain, reading, short_repr
from exptrack.records import ConfigSource
from exptrack.validation import EXACT_INT, INT64_MAX, INT64_MIN, MAX_NAME_CHARS, check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


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


class TreeCheck:
    """What the check of one tree counts and notes on its way.

    `told` holds the paths of values that have no exact form and became text; None refuses such values.
    `sources` holds the source of each field of settings, or is None. A list has one source and one path.
    """

    __slots__ = ("_list", "has_environment", "is_live", "left", "sources", "told")

    def __init__(self, *, most: int | None = None, is_noting: bool = False, is_live: bool = False) -> None:
        self.left = MAX_VALUES if most is None else most
        self.told: dict[str, None] | None = {} if is_noting else None
        self.sources: dict[str, ConfigSource] | None = {} if is_noting else None
        self.is_live = is_live  # take values of the environment, not references to them
        self.has_environment = False  # whether the two differ somewhere
        self._list: str | None = None  # the path of the outermost list around the value

    def count(self, path: str, depth: int) -> None:
        """Count one value; refuse it beyond a limit."""
        if depth > MAX_DEPTH:
            raise ConfigError(
                f"config is nested deeper than {MAX_DEPTH} levels at {path!r}; flatten it", key=path
            )
        self.left -= 1
        if self.left < 0:
            raise ConfigError(
                f"config holds more than {MAX_VALUES:,} values; store large data as an artifact", key=path
            )

    def note(self, path: str) -> None:
        """Note that a value is not stored exactly."""
        if self.told is not None:
            self.told[path if self._list is None else self._list] = None

    def tell(self, path: str, where: str, text: str) -> str:
        """Return the text that stands for a value without an exact form, or refuse it."""
        if self.told is None:
            raise ConfigError(f"{where} is {text}, which a config cannot hold; write it as text", key=path)
        self.note(path)
        return check_text(text, where)

    def name_source(self, path: str, kind: str, name: str) -> None:
        """Note what set the value at a path, which is a field of settings."""
        if self.sources is not None and self._list is None:
            self.sources[path] = ConfigSource(kind, name)

    def check_list(self, values: Iterable[object], path: str, depth: int) -> list[ConfigValue]:
        """Return the elements of a list, checked."""
        around = self._list
        self._list = path if around is None else around
        found = [check_value(one, f"{path}[{place}]", depth + 1, self) for place, one in enumerate(values)]
        self._list = around
        return found


def check_values(values: object) -> dict[str, ConfigValue]:
    """Return a copy of a whole tree, made of plain Python types.

    Raises:
        ConfigError: it is not a map, or holds a value that no config can hold; the message names its path.
    """
    if not is_mapping(values):
        raise ConfigError(f"a config cannot be {type(values).__name__} {short_repr(values)}; give a map")
    checked = check_value(values, "", 1, TreeCheck())
    assert isinstance(checked, dict)
    return checked


def check_settings(thing: object, check: TreeCheck) -> dict[str, ConfigValue]:
    """Return the values of an object that holds settings, as :func:`check_values` does those of a map.

    Raises:
        ConfigError: it holds no settings, or a value that no config can hold.
    """
    checked: ConfigValue = None
    if type(thing) is dict or _holds_settings(thing):
        checked = check_value(thing, "", 1, check)
    if not isinstance(checked, dict):
        raise ConfigError(
            f"a config cannot be {type(thing).__name__} {short_repr(thing)}; give a map, a pydantic model,"
            " a dataclass, a Namespace or an OmegaConf config"
        )
    return checked


def check_value(value: object, path: str, depth: int, check: TreeCheck) -> ConfigValue:
    """Return a copy of `value`, the part of a tree at `path`, made of plain Python types.

    Raises:
        ConfigError: as in :func:`check_values`.
    """
    check.count(path, depth)
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
        return value if math.isfinite(value) else check.tell(path, where, repr(value))
    with reading(where, ConfigError):
        return _check_part(value, path, where, depth, check)


def _holds_settings(thing: object) -> bool:
    from exptrack.config.objects import is_omegaconf, read_fields

    return isinstance(thing, Mapping) or is_omegaconf(thing) or read_fields(thing) is not None


def _check_part(value: Any, path: str, where: str, depth: int, check: TreeCheck) -> ConfigValue:
    """Check a map, a list, or an object that has a form in a config."""
    if type(value) is dict:
        return _check_map(value.items(), path, depth, check)
    if isinstance(value, (list, tuple)):
        return check.check_list(value, path, depth)
    # Most configs hold nothing else, and do not pay for these imports.
    from exptrack.config.forms import has_known_text, is_array, order_of
    from exptrack.config.objects import is_omegaconf, read_fields

    if is_omegaconf(value):
        return _check_omegaconf(value, path, depth, check)
    if isinstance(value, Mapping):
        return _check_map(value.items(), path, depth, check)
    if isinstance(value, (set, frozenset)):
        check.note(path)
        return sorted(check.check_list(value, path, depth), key=order_of)
    if isinstance(value, enum.Enum):
        return check_value(value.value, path, depth + 1, check)
    if is_path(value):
        return check_value(value.as_posix(), path, depth, check)
    if isinstance(value, (datetime.date, datetime.time)):
        return check_value(value.isoformat(), path, depth, check)
    if has_known_text(value):
        return check.tell(path, where, str(value))
    fields = read_fields(value)
    if fields is not None:
        for key, (_held, is_default) in fields.items():
            check.name_source(join_path(path, key), "default" if is_default else "code", type(value).__name__)
        return _check_map(((key, held) for key, (held, _) in fields.items()), path, depth, check)
    if is_array(value):
        return _check_array(value, path, where, depth, check)
    return _check_scalar(value, path, where, depth, check)


def _check_omegaconf(value: Any, path: str, depth: int, check: TreeCheck) -> ConfigValue:
    from exptrack.config.objects import read_omegaconf

    stored, resolved = read_omegaconf(value)
    check.has_environment |= resolved is not None
    if isinstance(stored, dict):
        for key in stored:
            check.name_source(join_path(path, str(key)), "code", type(value).__name__)
    return check_value(resolved if check.is_live and resolved is not None else stored, path, depth, check)


def _check_array(value: Any, path: str, where: str, depth: int, check: TreeCheck) -> ConfigValue:
    """Check an array, a tensor or a scalar of numpy: a list or a number if it is small, else a text."""
    from exptrack.config.forms import describe_array, list_array

    held = list_array(value)
    if held is not None:
        return check_value(held, path, depth, check)
    if math.prod(tuple(value.shape)) > 1:
        return check.tell(path, where, describe_array(value))
    return _check_scalar(value, path, where, depth, check)


def _check_scalar(value: Any, path: str, where: str, depth: int, check: TreeCheck) -> ConfigValue:
    """Check an object that holds one value, as scalars of other libraries do."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        held = item()
        if isinstance(held, (bool, int, float, str)):
            return check_value(held, path, depth, check)
    raise ConfigError(
        f"{where} is of type {type(value).__name__}, which a config cannot hold; give text, numbers, bools,"
        " None, lists or maps, or give all of it to ExpConfig.from_loose",
        key=path,
    )


def _check_map(
    items: Iterable[tuple[object, object]], path: str, depth: int, check: TreeCheck
) -> dict[str, ConfigValue]:
    result: dict[str, ConfigValue] = {}
    for key, item in items:
        name = _check_key(key, path)
        inner = join_path(path, name)
        if name in result:
            raise ConfigError(
                f"two keys under {path!r} are the same text {short_repr(name)}; rename one", key=inner
            )
        if not is_text(key):
            check.note(inner)
        result[name] = check_value(item, inner, depth + 1, check)
    return result


def _check_key(key: object, path: str) -> str:
    text: str | None = key if type(key) is str else None
    if text is None:
        from exptrack.config.forms import write_key

        text = write_key(key)
    if text is None:
        raise ConfigError(
            f"config key {short_repr(key)} under {path!r} is {type(key).__name__}; give text", key=path
        )
    try:
        return check_text(text, "config key", max_chars=MAX_NAME_CHARS)
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
    return sha256(text.encode("utf-8")).hexdigest()


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
