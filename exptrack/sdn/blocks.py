"""An indented block of SDN while it is read, and the place of an entry in the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from exptrack.sdn.scalars import Value

_Holder: TypeAlias = "list[Value] | dict[str, Value]"


class Span(NamedTuple):
    """Where an entry stands in the text (line ends translated); `value_end` is -1 for a table."""

    key_at: int
    value_at: int
    value_end: int


class _Block:
    """An indented block: its lines stand at `indent` and fill `holder`.

    `kind` says what a line is: "entry", "dash", "plain", "record" (a row of a named table) or
    "tuple" (a row of a typed one); "" while the first line has not been seen. `names` are the
    fields of a named table or the types of a typed one.
    """

    __slots__ = ("holder", "indent", "kind", "names")

    def __init__(self, kind: str, holder: _Holder, indent: int, names: Sequence[str] = ()) -> None:
        self.kind = kind
        self.holder = holder
        self.indent = indent
        self.names = names
