"""Write a list as checksums are taken over it: the same bytes from a program in any language.

The form is JSON without blanks, in UTF-8, as JavaScript's ``JSON.stringify`` writes it. A float is text: the 16
hex digits of its bits, since languages differ in how they write decimal digits.
"""

from __future__ import annotations

import json.encoder
import struct
from collections.abc import Callable, Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_pack_double = struct.Struct(">d").pack


def _make_encoder() -> Callable[[list[Any]], str]:
    """Return one encoder for all lists: json.dumps() would make a new one at each call, as does `encode`.

    A damaged column may hold bytes.
    """
    encoder: Any = json.encoder
    if encoder.c_make_encoder is None:  # of another interpreter than CPython
        return json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=bytes.hex).encode
    parts = encoder.c_make_encoder(
        None, bytes.hex, encoder.encode_basestring, None, ":", ",", False, False, True
    )
    join = "".join
    return lambda values: join(parts(values, 0))


_encode = _make_encoder()


def encode_list(values: Iterable[Any]) -> bytes:
    """Encode a list of text, ints, floats, None, and lists or tuples of these."""
    return _encode(_spell(values)).encode()


def _spell(values: Iterable[Any]) -> list[Any]:
    return [
        value
        if (kind := type(value)) is str or kind is int
        else _pack_double(value).hex()
        if kind is float
        else _spell(value)
        if kind is tuple or kind is list
        else value
        for value in values
    ]
