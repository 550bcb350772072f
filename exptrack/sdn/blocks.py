"""Define the records that the reader keeps: open blocks, and the places of entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from exptrack.sdn.scalars import Value

Holder: TypeAlias = "list[Value] | dict[str, Value]"


class Span(NamedTuple):
    """The place of an entry in the text (with LF line ends); `value_end` is -1 for a table."""

    key_at: int
    value_at: int
    value_end: int


class Block:
    """An indented block: its lines begin at the column `indent` and fill `holder`.

    `kind` is the kind of its lines: "entry", "dash", "plain", "record" (a row of a named table) or "tuple" (a
    row of a typed table). It is "" until the first line is read. `names` are the fields of a named table or the
    types of a typed one.
    """

    __slots__ = ("holder", "indent", "kind", "names")

    def __init__(self, kind: str, holder: Holder, indent: int, names: Sequence[str] = ()) -> None:
        self.kind = kind
        self.holder = holder
        self.indent = indent
        self.names = names
