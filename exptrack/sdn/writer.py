"""Writes a config as SDN text.

Invariant: what is written reads back equal, types included; what has no exact form is refused with its path.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from exptrack.errors import ConfigError, InvalidTypeError
from exptrack.sdn.scalars import ESCAPES, INT_LIMIT, MAX_DEPTH, MAX_DIGITS, Value
from exptrack.validation import short_repr

_INDENT = "    "
_BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*+")
_NOT_BARE = frozenset({"true", "false", "null", "nil", "table"})
# One pass over the text, so that no escape is escaped again.
_WRITTEN_ESCAPES = str.maketrans({sign: f"\\{name}" for name, sign in ESCAPES.items()})


def dumps(values: Mapping[str, Value], *, strict_keys: bool = False) -> str:
    """Return a config as SDN text: a block per dict, lists on one line, the order of keys kept.

    Tuples are written as lists. With `strict_keys`, a key that only this dialect can read (one in
    quotes) is refused.

    >>> print(dumps({"optim": {"name": "adam", "lr": 1e-3}, "layers": [64, 64]}), end="")
    optim:
        name: adam
        lr: 0.001
    layers: [64, 64]

    Raises:
        ConfigError: NaN, an infinity, a lone surrogate, an int of over 4,000 digits, a key refused
            by `strict_keys`, or nesting over 50 levels; names the path of the value.
        InvalidTypeError: a key that is not text, or a value of another type.
    """
    if not isinstance(values, Mapping):
        raise InvalidTypeError(f"a config is a dict, not {type(values).__name__}")
    writer = Writer(strict_keys)
    writer.block(values, "", 1)
    return "".join(writer.lines)


class Writer:
    """Writes blocks to `lines`; `level` counts as in the reader, `path` is for messages."""

    def __init__(self, strict_keys: bool) -> None:
        self.strict_keys = strict_keys
        self.lines: list[str] = []

    def block(self, values: Mapping[str, Value], path: str, level: int) -> None:
        indent = _INDENT * (level - 1)
        for key, value in values.items():
            here = _path(path, key)
            start = f"{indent}{self.key(key, here)}:"
            if isinstance(value, Mapping) and value:
                self.enter(level + 1, here)
                self.lines.append(f"{start}\n")
                self.block(value, here, level + 1)
            else:
                self.lines.append(f"{start} {self.value(value, here, level)}\n")

    def enter(self, level: int, path: str) -> None:
        if level > MAX_DEPTH:
            raise ConfigError(f"{path} is nested deeper than {MAX_DEPTH} levels", key=path)

    def key(self, key: object, path: str) -> str:
        if not isinstance(key, str):
            raise InvalidTypeError(f"a key must be text, not {type(key).__name__}: {path}")
        written = self.text(key, path)
        if self.strict_keys and written.startswith('"'):
            raise ConfigError(f"only this reader takes a key that needs quotes: {path}", key=path)
        return written

    def text(self, text: str, path: str) -> str:
        if _BARE_WORD.fullmatch(text) and text not in _NOT_BARE:
            return str.__str__(text)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ConfigError(f"{path} holds a lone surrogate", key=path) from None
        return f'"{text.translate(_WRITTEN_ESCAPES)}"'

    def value(self, value: object, path: str, level: int) -> str:
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, int):
            if abs(value) >= INT_LIMIT:
                raise ConfigError(f"{path} has more than {MAX_DIGITS:,} digits", key=path)
            # A subclass such as IntEnum prints its own way; so do numpy's floats below.
            return int.__repr__(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise ConfigError(f"{path} is {float(value)}, which has no SDN form", key=path)
            return float.__repr__(value)
        if isinstance(value, (list, tuple)):
            self.enter(level + 1, path)
            items = (self.value(item, f"{path}[{n}]", level + 1) for n, item in enumerate(value))
            return f"[{', '.join(items)}]"
        if isinstance(value, Mapping):
            self.enter(level + 1, path)
            pairs = []
            for key, item in value.items():
                here = _path(path, key)
                pairs.append(f"{self.key(key, here)}: {self.value(item, here, level + 1)}")
            return f"{{{', '.join(pairs)}}}"
        raise InvalidTypeError(f"{path} is {type(value).__name__}, which has no SDN form")


def _path(path: str, key: object) -> str:
    # Without the repr of a key of another type, which may fail (an int of many digits).
    step = short_repr(key) if isinstance(key, str) else f"({type(key).__name__})"
    if isinstance(key, str) and _BARE_WORD.fullmatch(key):
        step = key
    return f"{path}.{step}" if path else step
