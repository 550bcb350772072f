"""Write a list as checksums are taken over it: the same bytes from a program in any language.

The form is JSON without blanks, in UTF-8, as JavaScript's ``JSON.stringify`` writes it. A float is text: the 16
hex digits of its bits, since languages differ in how they write decimal digits.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# One encoder for all lists: json.dumps() would make a new one at each call. A damaged column may hold bytes.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=bytes.hex).encode
_pack_double = struct.Struct(">d").pack


def encode_list(values: Iterable[Any]) -> bytes:
    """Encode a list of text, ints, floats, None, and lists or tuples of these."""
    return _encode([*map(_spell, values)]).encode()


def _spell(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return _pack_double(value).hex()
    return [*map(_spell, value)] if kind is tuple or kind is list else value
