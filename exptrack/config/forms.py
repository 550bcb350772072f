"""Tell the form of values that a config cannot hold as they are: keys, sets, arrays, and what has a known text.

Invariants: `tree` and `loose` take their forms from here, so a value has one form whatever it came in. Equal
values have equal forms in every process. Nothing is imported for it.
"""

from __future__ import annotations

import enum
import math
from typing import Any

from exptrack.plain import is_text, plain

LIST_VALUES = 256  # of an array that becomes a list
# Values of these modules have one known text, but it is not their repr().
WRITTEN = frozenset({"datetime", "decimal", "_decimal", "fractions", "ipaddress", "uuid", "zoneinfo"})
_WORDS = {None: "null", True: "true", False: "false"}


def write_key(key: object) -> str | None:
    """Return a key as text: text as it is, numbers, bools and None as in SDN. Any other key is None.

    Raises:
        ValueError: an int has more digits than Python writes.
    """
    if is_text(key):
        return str.__str__(key)
    held = plain(key.value if isinstance(key, enum.Enum) else key)
    if held is None or isinstance(held, bool):
        return _WORDS[held]
    return str(held) if isinstance(held, (str, int, float)) else None


def order_of(item: object) -> tuple[bool, float, str, str]:
    """Return the key that sorts the elements of a set: numbers by size, then the rest by their text."""
    is_number = isinstance(item, (int, float)) and not isinstance(item, bool)
    # Two ints beyond 2^53 may be one float; their text tells them apart.
    return not is_number, float(item) if is_number else 0.0, type(item).__name__, repr(item)  # type: ignore[arg-type]


def is_array(value: object) -> bool:
    """Whether a value is an array, a tensor, a scalar of numpy, or a table: it has a shape by its type."""
    kind = type(value)
    return hasattr(kind, "shape") and (hasattr(kind, "dtype") or hasattr(kind, "columns"))


def list_array(value: Any) -> Any:
    """Return an array of at most 256 values as a list, a scalar as a number; None if it has no such form."""
    if math.prod(tuple(value.shape)) > LIST_VALUES or not callable(getattr(value, "tolist", None)):
        return None
    if callable(getattr(value, "detach", None)):
        value = value.detach().cpu()
    if getattr(value.dtype, "kind", "") in ("m", "M"):  # as Python's, times of nanoseconds are ints
        value = value.astype(str)
    held = value.tolist()
    return None if is_array(held) else held


def describe_array(value: Any) -> str:
    """Return a text for an array that becomes no list: its type, the type of its values, and its shape."""
    kind = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
    return f"{type(value).__name__} {kind}[{', '.join(map(str, tuple(value.shape)))}]"


def has_known_text(value: object) -> bool:
    """Whether ``str(value)`` is the one known text of a value: a Decimal, a UUID, a length of time."""
    return type(value).__module__ in WRITTEN and not is_text(value)
