"""Store and read the attributes of runs: keys with a value each, which may change at any time.

Invariants:

- A value comes back as it was set, with its type. NaN and the infinities are values too.
- An attribute that was deleted leaves its row, with the time, so that a copy of the file learns of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from exptrack.capture.redaction import remove_secrets_of_name
from exptrack.config.tree import (
    ConfigValue,
    check_values,
    encode_canonical,
    hide_secrets,
    leaf_value,
    list_leaves,
)
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.errors import ConfigError, InvalidValueError
from exptrack.plain import plain, read_items, reading, short_repr
from exptrack.runs.row_sums import changing_attribute
from exptrack.times import time_after
from exptrack.validation import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


SET_ATTRIBUTE = """
INSERT INTO run_attribute (run, key, type, num, text, set_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (run, key) DO UPDATE
SET type = excluded.type, num = excluded.num, text = excluded.text, set_at = excluded.set_at
"""
DELETE_ATTRIBUTE = """
UPDATE run_attribute SET type = 'removed', num = NULL, text = NULL, set_at = ?
WHERE run = ? AND key = ? AND type <> 'removed'
"""
SET_AT = "SELECT set_at FROM run_attribute WHERE run = ? AND key = ?"
ATTRIBUTES_OF = (
    "SELECT key, type, num, text FROM run_attribute WHERE run = ? AND type <> 'removed' ORDER BY key"
)

# A value as its row holds it: type, num, text.
StoredValue: TypeAlias = tuple[str, float | None, str | None]


def check_attribute_key(key: object) -> str:
    """Return the key of an attribute as it is stored, without secrets."""
    return remove_secrets_of_name(check_name(key, "attribute key"))


def check_attributes(values: object) -> dict[str, StoredValue]:
    """Return attributes as their rows hold them, by key.

    Raises:
        InvalidTypeError, InvalidValueError: a key is no name, or a value cannot be stored.
    """
    found: dict[str, StoredValue] = {}
    for given, value in read_items(values, "attributes"):
        key, stored = encode_attribute(given, value)
        if key in found:
            raise InvalidValueError(f"two attributes have the key {short_repr(key)}; rename one of them")
        found[key] = stored
    return found


def encode_attribute(key: object, value: object) -> tuple[str, StoredValue]:
    """Return a key and its value as the row holds them, without secrets.

    Raises:
        InvalidTypeError, InvalidValueError: the key is no name, or the value cannot be stored.
    """
    checked = check_name(key, "attribute key")
    number = _read_special_number(value, checked)
    if number is not None:
        return check_attribute_key(checked), ("float", None if math.isnan(number) else number, None)
    try:
        tree = hide_secrets(check_values({checked: value}))
    except ConfigError as error:
        raise InvalidValueError(f"attribute {checked!r} cannot be stored: {error}") from None
    ((name, held),) = tree.items()
    if isinstance(held, (list, dict)):
        return name, ("json", None, encode_canonical(held))
    (leaf,) = list_leaves(name, held)
    return name, (leaf.type, leaf.num, leaf.text)


def _read_special_number(value: object, key: str) -> float | None:
    """Return NaN or an infinity, which a config cannot hold; None for every other value."""
    held = plain(value)
    if type(held) is not float:
        with reading(f"attribute {key!r}"):
            if hasattr(type(held), "item") and hasattr(type(held), "ndim") and held.ndim == 0:
                held = plain(held.item())
    return held if type(held) is float and not math.isfinite(held) else None


def decode_attribute(kind: str, num: float | None, text: str | None) -> ConfigValue:
    """Return the value that a row holds: the inverse of :func:`encode_attribute`."""
    if kind == "json":
        found: ConfigValue = json.loads(text or "")
        return found
    if kind == "float" and num is None:
        return math.nan
    return leaf_value(kind, num, text)


@decoding_rows
def _time_of_change(connection: Connection, run: int, key: str, at: str) -> str:
    return time_after(at, connection.value(SET_AT, (run, key)))


def save_attributes(connection: Connection, run: int, values: Mapping[str, StoredValue], at: str) -> None:
    """Set attributes of a run. Call inside a transaction."""
    for key, stored in values.items():
        with changing_attribute(connection, run, key):
            set_at = _time_of_change(connection, run, key, at)
            connection.execute(SET_ATTRIBUTE, (run, key, *stored, set_at))


def remove_attribute(connection: Connection, run: int, key: str, at: str) -> bool:
    """Remove an attribute of a run, and return whether it had it. Call inside a transaction."""
    with changing_attribute(connection, run, key):
        changed_at = _time_of_change(connection, run, key, at)
        return connection.execute(DELETE_ATTRIBUTE, (changed_at, run, key)).rowcount > 0


@decoding_rows
def read_attributes(connection: Connection, run: int) -> dict[str, ConfigValue]:
    """Read the attributes of a run, by key."""
    return {row[0]: decode_attribute(row[1], row[2], row[3]) for row in connection.all(ATTRIBUTES_OF, (run,))}
