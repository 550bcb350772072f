"""Write a config as SDN text.

Invariant: a written config reads back equal, types included. A value without an exact form is refused with its
path.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from exptrack.errors import ConfigError, InvalidTypeError
from exptrack.plain import is_mapping, is_text, plain, reading, short_repr
from exptrack.sdn.scalars import ESCAPES, INT_LIMIT, MAX_DEPTH, MAX_DIGITS, Value
from exptrack.validation import check_flag

_INDENT = "    "
_BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*+")
_NOT_BARE = frozenset({"true", "false", "null", "nil", "table"})
# One table for all escapes, applied in one pass, so that no escape is escaped again.
_WRITTEN_ESCAPES = str.maketrans({sign: f"\\{name}" for name, sign in ESCAPES.items()})


def dumps(values: Mapping[str, Value], *, strict_keys: bool = False) -> str:
    """Write a config as SDN text: one block per dict, lists on one line, keys in their order.

    Tuples are written as lists. `strict_keys` refuses keys in quotes, which only exptrack's dialect can read.

    >>> print(dumps({"optim": {"name": "adam", "lr": 1e-3}, "layers": [64, 64]}), end="")
    optim:
        name: adam
        lr: 0.001
    layers: [64, 64]

    Raises:
        ConfigError: a value is NaN, an infinity, a text with a lone surrogate or an int of over 4,000 digits,
            is nested deeper than 50 levels, or has a key that `strict_keys` refuses. `key` is its path.
        InvalidTypeError: a key is not text, or a value has a type without an SDN form.
    """
    if not is_mapping(values):
        raise InvalidTypeError(f"a config is a dict, not {type(values).__name__}")
    writer = Writer(check_flag(strict_keys, "strict_keys"))
    with reading("the config"):
        writer.block(values, "", 1)
    return "".join(writer.lines)


class Writer:
    """Write blocks to `lines`; `level` counts as in the reader, and `path` is for messages."""

    def __init__(self, strict_keys: bool) -> None:
        self.strict_keys = strict_keys
        self.lines: list[str] = []

    def block(self, values: Mapping[str, Value], path: str, level: int) -> None:
        indent = _INDENT * (level - 1)
        for key, value in values.items():
            here = _extend_path(path, key)
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
        if not is_text(key):
            raise InvalidTypeError(f"a key must be text, not {type(key).__name__}: {path}")
        written = self.text(str.__str__(key), path)
        if self.strict_keys and written.startswith('"'):
            raise ConfigError(
                f"{path} has a key in quotes, which only exptrack reads; rename the key", key=path
            )
        return written

    def text(self, text: str, path: str) -> str:
        if _BARE_WORD.fullmatch(text) and text not in _NOT_BARE:
            return text
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ConfigError(
                f"{path} holds a lone surrogate, which has no UTF-8 form; remove it", key=path
            ) from None
        return f'"{text.translate(_WRITTEN_ESCAPES)}"'

    def value(self, value: object, path: str, level: int) -> str:
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        # Subclasses such as IntEnum, and numpy's floats, have a repr of their own.
        value = plain(value)
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, int):
            if abs(value) >= INT_LIMIT:
                raise ConfigError(f"{path} has more than {MAX_DIGITS:,} digits; write it as text", key=path)
            return repr(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise ConfigError(f"{path} is {value}, which has no SDN form; write it as text", key=path)
            return repr(value)
        if isinstance(value, (list, tuple)):
            self.enter(level + 1, path)
            items = (self.value(item, f"{path}[{n}]", level + 1) for n, item in enumerate(value))
            return f"[{', '.join(items)}]"
        if isinstance(value, Mapping):
            self.enter(level + 1, path)
            pairs = []
            for key, item in value.items():
                here = _extend_path(path, key)
                pairs.append(f"{self.key(key, here)}: {self.value(item, here, level + 1)}")
            return f"{{{', '.join(pairs)}}}"
        raise InvalidTypeError(f"{path} is {type(value).__name__}, which has no SDN form")


def _extend_path(path: str, key: object) -> str:
    # A key that is not text is named by its type: its repr may fail, as that of an int of many digits does.
    step = short_repr(key) if is_text(key) else f"({type(key).__name__})"
    if is_text(key) and _BARE_WORD.fullmatch(key):
        step = str.__str__(key)
    return f"{path}.{step}" if path else step
