"""Read SDN text.

Invariants:

- A text is read whole or refused: the reader skips no character, overwrites no key and rounds no number into
  another type.
- Reading stops at the first error, which has the line, the column (both from 1) and the source line.
- Limits hold while reading. Open blocks and brackets are kept in lists, so no input and no `max_depth` exhausts
  Python's stack. Patterns are possessive, so reading takes linear time.
- Once CRLF is translated, only LF ends a line; only space and tab are blanks. Hence the code uses no
  ``splitlines``, bare ``strip`` or ``isdigit``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from exptrack.errors import SdnError
from exptrack.sdn.blocks import Block, Holder, Span
from exptrack.sdn.scalars import ESCAPES, Value, classified, classified_whole, error_at

_TAB_COLUMNS = 4
_BLANK = (" ", "\t")
_BLANK_OR_END = " \t\n"
_CONTROLS = r"\x00-\x08\x0a-\x1f\x7f"

_BLANKS = re.compile(r"[ \t]*+")
_BLANK_LINES = re.compile(r"(?:[ \t]*+\n)*+")
_SPACE = re.compile(r"[ \t\n]*+")
_COMMENT = re.compile(rf"[^{_CONTROLS}]*+")
_NAME = re.compile(r"[\w./#-]*+")
_QUOTED = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KEY = rf"(?:[\w./#-]++|{_QUOTED.pattern})"
_ENTRY = re.compile(rf"{_KEY}(?:[ \t]*+(?::(?!//)|=)|[ \t]++\|)", re.DOTALL)
_DASHED_ENTRY = re.compile(rf"{_KEY}(?:[ \t]*+[:=](?=[ \t\n]|\Z)|[ \t]++\|)", re.DOTALL)
# Most lines have this form. Reading them in one step gives the same result as reading them step by step.
_SIMPLE_ENTRY = re.compile(r"([A-Za-z_][\w./-]*+):(?!//)[ ]*+((?!-[ \n])[\w./+-]++(?: [\w./+-]++)*+)?+(?=\n)")
_SEPARATED = re.compile(r"[^\n:=|]*+(?:://[^\n:=|]*+)*+[:=|]")
_TYPED_TABLE = re.compile(r"table[ \t]*+\{")
_FORBIDDEN_START = frozenset("[]{}()|,:='")

_FLOAT_TYPES = ("f32", "f64", "float")
_TEXT_TYPES = ("str", "text", "string")
_ACCEPTED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys("i8 i16 i32 i64 u8 u16 u32 u64 int".split(), (int,)),
    **dict.fromkeys(_FLOAT_TYPES, (int, float)),
    **dict.fromkeys(_TEXT_TYPES, (str,)),
    "bool": (bool,),
}


# How bare text ends in a context: a pattern for the text, and the signs that may follow it.
_Context: TypeAlias = tuple[re.Pattern[str], str]


def _context(stops: str, ends: str, colon_not_before: str = "") -> _Context:
    colon = rf":(?![{colon_not_before}]|\Z)" if colon_not_before else ":"
    return re.compile(rf"(?:[^{stops}:#{_CONTROLS}]++|{colon}|(?<![ \t])#)*+"), ends


_SIGNS = r'",\[\]{}()'
_STATEMENT = _context('"', "\n#", r" \t\n")
_CELL = _context('",', "\n#,")
_BRACKET = _context(_SIGNS, "\n#,]}", r" \t\n,\]}")
_TUPLE = _context(_SIGNS, "\n#,)", r" \t\n,)")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _columns(blanks: str) -> int:
    return len(blanks) + (_TAB_COLUMNS - 1) * blanks.count("\t")


class Reader:
    """Read one text. A method that reads takes a position and returns the position after what it read.

    `level` is the number of dicts, lists and tables around a value. With `trace` the reader keeps places, by
    the identity of the dict or list: `spans` of entries, `items` (the starts of list items and cells), `ends`
    of blocks (after their last line) and `closings` of brackets. `keep_text` makes no number of ``007``.
    """

    def __init__(
        self,
        text: str,
        max_depth: int,
        max_scalars: int,
        max_string: int,
        *,
        trace: bool = False,
        keep_text: bool = False,
    ) -> None:
        self.classify = classified_whole if keep_text else classified
        self.text = text.replace("\r\n", "\n")
        self.max_depth = max_depth
        self.max_scalars = max_scalars
        self.max_string = max_string
        self.scalars = 0
        self.line_start = 0
        self.indent = 0
        self.blocks: list[Block] = []
        # The block that the next line may open. If it opens none, the value is null: its place and key.
        self.waiting: Block | None = None
        self.null_at = 0
        self.null_key = ""
        self.trace = trace
        self.comments = 0
        self.spans: dict[tuple[int, str], Span] = {}
        self.items: dict[tuple[int, int | str], int] = {}
        self.ends: dict[int, int] = {}
        self.closings: dict[int, int] = {}

    def note(self, holder: Holder, key: str, key_at: int, value_at: int, value_end: int) -> None:
        if self.trace:
            self.spans[id(holder), key] = Span(key_at, value_at, value_end)

    def append(self, holder: list[Value], value: Value, at: int) -> None:
        if self.trace:
            self.items[id(holder), len(holder)] = at
        holder.append(value)

    def error(self, problem: str, at: int) -> SdnError:
        return error_at(self.text, at, problem)

    def found(self, at: int) -> str:
        sign = self.text[at : at + 1]
        if sign in "\n":
            return "the end of the line" if sign else "the end of the text"
        return repr(sign) if sign.isprintable() else f"the character U+{ord(sign):04X}"

    def enter(self, level: int, at: int) -> None:
        if level > self.max_depth:
            raise self.error(f"nested deeper than {self.max_depth:,} levels", at)

    def count_scalar(self, at: int) -> None:
        self.scalars += 1
        if self.scalars > self.max_scalars:
            raise self.error(f"more than {self.max_scalars:,} scalars", at)

    def limited(self, string: str, at: int) -> str:
        if len(string) > self.max_string or (
            not string.isascii() and len(string.encode("utf-8")) > self.max_string
        ):
            raise self.error(f"a string of more than {self.max_string:,} bytes", at)
        return string

    def blanks(self, at: int) -> int:
        if self.text[at : at + 1] not in _BLANK:
            return at
        return _end(_BLANKS, self.text, at)

    def nothing(self, at: int) -> bool:
        """Whether no value starts here, but a comment or the line end."""
        return self.text[at : at + 1] in "\n#"

    def comment(self, at: int) -> int:
        if self.text[at : at + 1] == "\n":
            return at
        self.comments += self.text.startswith("#", at)
        end = _end(_COMMENT, self.text, at)
        if self.text[end : end + 1] not in "\n":
            raise self.error(f"{self.found(end)} is not allowed in a comment", end)
        return end

    def gap(self, at: int) -> tuple[int, bool]:
        """Skip blanks, line ends and comments inside brackets; return whether a line ended."""
        start = at
        while True:
            if self.text[at : at + 1] not in "# \t\n":
                return at, False if at == start else self.text.find("\n", start, at) >= 0
            at = _end(_SPACE, self.text, at)
            if self.text[at : at + 1] != "#":
                return at, self.text.find("\n", start, at) >= 0
            at = self.comment(at)

    def end_line(self, at: int) -> None:
        at = self.blanks(at)
        if not self.nothing(at):
            raise self.error(f"expected a comment or the end of the line, not {self.found(at)}", at)
        self.line_start = self.comment(at) + 1

    def next_line(self) -> int:
        """Return the position of the first character of the next significant line, or -1 at the end."""
        while True:
            if self.nothing(at := self.blanks(self.line_start)):
                self.line_start = _end(_BLANK_LINES, self.text, self.line_start)
                at = self.blanks(self.line_start)
            if not self.nothing(at):
                self.indent = _columns(self.text[self.line_start : at])
                return at
            if at >= len(self.text):
                return -1
            self.line_start = self.comment(at) + 1

    def bare(self, at: int, context: _Context) -> tuple[str, int]:
        text = self.text
        sign = text[at]
        if sign in _FORBIDDEN_START:
            hint = "; put text in double quotes" if sign == "'" else ""
            raise self.error(f"expected a value, not {sign!r}{hint}", at)
        if sign == "-" and context is _STATEMENT and text[at + 1 : at + 2] in _BLANK_OR_END:
            raise self.error("a list item needs a line of its own; put text in quotes", at)
        run, ends = context
        end = _end(run, text, at)
        stop = text[end : end + 1]
        if stop not in ends:
            where = "':' before a blank or an end" if stop == ":" else self.found(end)
            raise self.error(f"{where} must be inside double quotes", end)
        return text[at:end].rstrip(" \t"), end

    def quoted(self, at: int) -> tuple[str, int]:
        match = _QUOTED.match(self.text, at)
        if match is None:
            raise self.error("the quote is not closed; expected another '\"'", at)
        body = match[1]
        if "\\" in body:
            body = _ESCAPE.sub(lambda escape: ESCAPES.get(escape[1], escape[0]), body)
        return self.limited(body, at), match.end()

    def scalar(self, at: int, context: _Context) -> tuple[Value, int]:
        self.count_scalar(at)
        if self.text[at] == '"':
            return self.quoted(at)
        bare, end = self.bare(at, context)
        return self.typed(bare, at), end

    def typed(self, bare: str, at: int) -> Value:
        try:
            value = self.classify(bare)
        except ValueError as error:
            raise self.error(str(error), at) from None
        return self.limited(value, at) if isinstance(value, str) else value

    def value(self, at: int, context: _Context, level: int) -> tuple[Value, int]:
        if self.text[at] in "[{":
            return self.collection(at, level)
        return self.scalar(at, context)

    def collection(self, at: int, level: int) -> tuple[Value, int]:
        """Read the list or dict that opens at `at` and everything in it, without recursion."""
        text = self.text
        enclosing: list[tuple[Holder, str, int, int]] = []
        holder: Holder = {} if text[at] == "{" else []
        key, opening, start = "", at, at
        self.enter(level + 1, at)
        at += 1
        while True:
            closing = "}" if isinstance(holder, dict) else "]"
            at = self.next_item(at, opening, closing, first=not holder)
            value: Value
            if text[at] == closing:
                if self.trace:
                    self.closings[id(holder)] = at
                at += 1
                if not enclosing:
                    return holder, at
                value, value_at = holder, opening
                holder, key, opening, start = enclosing.pop()
            else:
                start = at
                if isinstance(holder, dict):
                    key, at = self.pair_key(at, holder, opening)
                if text[at] in "[{":
                    enclosing.append((holder, key, opening, start))
                    self.enter(level + 1 + len(enclosing), at)
                    holder = {} if text[at] == "{" else []
                    opening = at
                    at += 1
                    continue
                value_at = at
                value, at = self.scalar(at, _BRACKET)
            if isinstance(holder, dict):
                holder[key] = value
                self.note(holder, key, start, value_at, self.trimmed(value_at, at))
            else:
                self.append(holder, value, value_at)

    def trimmed(self, start: int, end: int) -> int:
        """Return the end of a value without the blanks after it. Bare text is read together with them."""
        while end > start and self.text[end - 1] in " \t":
            end -= 1
        return end

    def inside(self, at: int, opening: int) -> tuple[int, bool]:
        at, line_ended = self.gap(at)
        if at == len(self.text):
            raise self.error(f"{self.text[opening]!r} is not closed", opening)
        return at, line_ended

    def next_item(self, at: int, opening: int, closing: str, *, first: bool) -> int:
        """Skip the separator; return the position of the next item or the closing sign."""
        at, separated = self.inside(at, opening)
        if self.text[at] == "," and not first:
            at, separated = self.inside(at + 1, opening)[0], True
        if not (first or separated or self.text[at] == closing):
            raise self.error(f"expected ',' or {closing!r}, not {self.found(at)}", at)
        return at

    def pair_key(self, at: int, holder: dict[str, Value], opening: int) -> tuple[str, int]:
        """Read a key and its colon inside braces; return the key and the start of its value."""
        start = at
        key, at = self.key(at)
        at, _ = self.inside(at, opening)
        if self.text[at] != ":" or self.text.startswith("//", at + 1):
            raise self.error(f"expected ':' after a key, not {self.found(at)}", at)
        if key in holder:
            raise self.error(f"the key {key!r} appears twice; remove one", start)
        return key, self.inside(at + 1, opening)[0]

    def single_value(self) -> Value:
        value, at = self.value(self.blanks(0), _STATEMENT, 1)
        at, _ = self.gap(at)
        if at < len(self.text):
            raise self.error(f"expected nothing after the value, not {self.found(at)}", at)
        return value

    def starts_name(self, at: int) -> bool:
        first = self.text[at : at + 1]
        return first == "_" or first.isalpha()

    def name(self, at: int, what: str) -> tuple[str, int]:
        if not self.starts_name(at):
            raise self.error(f"expected {what}, which starts with a letter or '_', not {self.found(at)}", at)
        end = _end(_NAME, self.text, at)
        return self.limited(self.text[at:end], at), end

    def key(self, at: int) -> tuple[str, int]:
        if self.text[at] == '"':
            return self.quoted(at)
        return self.name(at, "a key without quotes")

    def is_entry(self, at: int, pattern: re.Pattern[str]) -> bool:
        start = self.text[at] == '"' or self.starts_name(at)
        return start and pattern.match(self.text, at) is not None

    def kind(self, at: int) -> str:
        if self.text[at] == "-" and self.text[at + 1 : at + 2] in _BLANK_OR_END:
            return "dash"
        return "entry" if self.is_entry(at, _ENTRY) else "plain"

    def document(self) -> dict[str, Value]:
        root: dict[str, Value] = {}
        blocks = self.blocks = [Block("entry", root, 0)]
        self.enter(1, 0)
        while True:
            end = self.line_start
            if (at := self.next_line()) < 0:
                break
            waiting, self.waiting = self.waiting, None
            if self.indent > blocks[-1].indent:
                if waiting is None:
                    raise self.error("unexpected indentation: no block can begin here", at)
                self.open_block(waiting, at)
            else:
                self.settle(waiting)
            while self.indent < blocks[-1].indent:
                self.ends[id(blocks.pop().holder)] = end
            if self.indent != blocks[-1].indent:
                raise self.error("the indentation matches none of the open blocks", at)
            self.line(blocks[-1], at)
        self.settle(self.waiting)
        self.ends.update((id(block.holder), end) for block in blocks)
        return root

    def settle(self, waiting: Block | None) -> None:
        if waiting is not None and not waiting.kind:
            self.count_scalar(self.null_at)

    def open_block(self, block: Block, at: int) -> None:
        self.enter(len(self.blocks) + 1, at)
        if not block.kind:
            block.kind = self.kind(at)
            block.holder = {} if block.kind == "entry" else []
            parent = self.blocks[-1].holder
            if isinstance(parent, dict):
                parent[self.null_key] = block.holder
            else:
                parent[-1] = block.holder
        block.indent = self.indent
        self.blocks.append(block)

    def await_block(self, at: int, key: str = "") -> None:
        self.waiting, self.null_at, self.null_key = Block("", [], 0), at, key
        self.end_line(at)

    def line(self, block: Block, at: int) -> None:
        holder = block.holder
        if isinstance(holder, dict):
            self.entry(holder, at)
        elif block.kind == "record":
            self.append(holder, self.record(at, block.names, len(self.blocks)), at)
        elif block.kind == "tuple":
            self.append(holder, self.row(at, block.names, len(self.blocks)), at)
        elif block.kind != self.kind(at):
            expected = "'- item'" if block.kind == "dash" else "a value"
            raise self.error(f"expected {expected}, like the other lines of this block", at)
        elif block.kind == "dash":
            self.dash(holder, at)
        else:
            value, end = self.value(at, _STATEMENT, len(self.blocks))
            self.append(holder, value, at)
            self.end_line(end)

    def dash(self, holder: list[Value], dash: int) -> None:
        at = self.blanks(dash + 1)
        if self.nothing(at):
            self.append(holder, None, dash)
            self.await_block(at)
        elif self.is_entry(at, _DASHED_ENTRY):
            self.enter(len(self.blocks) + 1, at)
            item: dict[str, Value] = {}
            self.append(holder, item, at)
            indent = self.indent + 1 + _columns(self.text[dash + 1 : at])
            self.blocks.append(Block("entry", item, indent))
            self.entry(item, at)
        else:
            value, end = self.value(at, _STATEMENT, len(self.blocks))
            self.append(holder, value, at)
            self.end_line(end)

    def simple_entry(self, holder: dict[str, Value], start: int, simple: re.Match[str]) -> None:
        key, bare, separated = self.limited(simple[1], start), simple[2], simple.end(1) + 1
        if key in holder:
            raise self.error(f"the key {key!r} appears twice; remove one", start)
        if bare is None:
            holder[key] = None
            self.note(holder, key, start, separated, separated)
            self.await_block(simple.end(), key)
            return
        value_at, end = simple.span(2)
        self.count_scalar(value_at)
        holder[key] = self.typed(bare, value_at)
        self.note(holder, key, start, value_at, end)
        self.line_start = end + 1

    def entry(self, holder: dict[str, Value], start: int) -> None:
        if (simple := _SIMPLE_ENTRY.match(self.text, start)) is not None:
            self.simple_entry(holder, start, simple)
            return
        key, end = self.key(start)
        at = self.blanks(end)
        sign = self.text[at : at + 1]
        if not sign or sign not in ":=|" or self.text.startswith("://", at):
            if len(self.blocks) > 1 and not _SEPARATED.match(self.text, at):
                raise self.error("expected 'key: value', like the other lines of this block", start)
            raise self.error(f"expected ':' after a key, not {self.found(at)}", at)
        if key in holder:
            raise self.error(f"the key {key!r} appears twice; remove one", start)
        if sign == "|":
            self.note(holder, key, start, at, -1)
            holder[key] = self.named_table(at)
            return
        separated = at + 1
        at = self.blanks(separated)
        if _TYPED_TABLE.match(self.text, at):
            if sign == "=":
                raise self.error("a typed table needs ':' and not '='; put text in quotes", at)
            self.note(holder, key, start, at, -1)
            holder[key] = self.typed_table(at)
        elif not self.nothing(at):
            value_at = at
            holder[key], at = self.value(at, _STATEMENT, len(self.blocks))
            self.note(holder, key, start, value_at, self.trimmed(value_at, at))
            self.end_line(at)
        elif sign == "=":
            raise self.error("expected a value after '='", at)
        else:
            holder[key] = None
            self.note(holder, key, start, separated, separated)
            self.await_block(at, key)

    def named_table(self, bar: int) -> list[Value]:
        level = len(self.blocks) + 1
        self.enter(level, bar)
        fields, at = self.names(bar, "|", "a field")
        at = self.blanks(at)
        if not self.nothing(at):
            table: list[Value] = []
            self.append(table, self.record(at, fields, level), at)
            return table
        return self.await_rows("record", fields, at)

    def typed_table(self, at: int) -> list[Value]:
        level = len(self.blocks) + 1
        self.enter(level, at)
        types, at = self.names(self.text.index("{", at), "}", "a type")
        at = self.blanks(at)
        if self.text[at : at + 1] != "=":
            return self.await_rows("tuple", types, at)
        at = self.blanks(at + 1)
        if self.text[at : at + 1] != "[":
            raise self.error(f"expected '[', not {self.found(at)}", at)
        rows, at = self.tuples(at, types, level)
        self.end_line(at)
        return rows

    def await_rows(self, kind: str, names: Sequence[str], at: int) -> list[Value]:
        table: list[Value] = []
        self.waiting = Block(kind, table, 0, names)
        self.end_line(at)
        return table

    def names(self, opening: int, closing: str, what: str) -> tuple[list[str], int]:
        """Read the names between `opening` and `closing`: at least one, and no field twice."""
        names: list[str] = []
        fields: set[str] = set()
        at = self.blanks(opening + 1)
        while not names or self.text[at : at + 1] != closing:
            if closing == "}" and self.nothing(at):
                raise self.error("'{' is not closed", opening)
            start = at
            name, at = self.name(at, what)
            if closing == "|" and name in fields:
                raise self.error(f"the field {name!r} appears twice; remove one", start)
            names.append(name)
            fields.add(name)
            at = self.blanks(at)
            if self.text[at : at + 1] == ",":
                at = self.blanks(at + 1)
            elif self.text[at : at + 1] != closing and not (closing == "}" and self.nothing(at)):
                raise self.error(f"expected ',' or {closing!r}, not {self.found(at)}", at)
        return names, at + 1

    def record(self, at: int, fields: Sequence[str], level: int) -> dict[str, Value]:
        cells = self.row(at, [""] * len(fields), level)
        record = dict(zip(fields, cells, strict=True))
        if self.trace:
            for place, field in enumerate(fields):
                self.items[id(record), field] = self.items.pop((id(cells), place))
        return record

    def row(self, start: int, types: Sequence[str], level: int) -> list[Value]:
        """Read a row up to the line end: one cell for each of `types` ("" accepts any value)."""
        cells: list[Value] = []
        at = start
        while not cells or self.text[at : at + 1] == ",":
            at = self.cell(self.blanks(at + bool(cells)), _CELL, cells, types, start, level)
            at = self.blanks(at)
        self.end_line(at)
        self.check_width(cells, types, start)
        return cells

    def tuples(self, opening: int, types: Sequence[str], level: int) -> tuple[list[Value], int]:
        rows: list[Value] = []
        at = self.next_item(opening + 1, opening, "]", first=True)
        while self.text[at] != "]":
            if self.text[at] != "(":
                raise self.error(f"expected '(', not {self.found(at)}", at)
            cells: list[Value] = []
            start = at
            at = self.next_item(at + 1, start, ")", first=True)
            while self.text[at] != ")":
                at = self.cell(at, _TUPLE, cells, types, start, level)
                at = self.next_item(at, start, ")", first=False)
            self.check_width(cells, types, start)
            self.append(rows, cells, start)
            at = self.next_item(at + 1, opening, "]", first=False)
        return rows, at + 1

    def check_width(self, cells: Sequence[Value], types: Sequence[str], row: int) -> None:
        if len(cells) != len(types):
            raise self.error(f"expected {len(types)} cells, not {len(cells)}", row)

    def cell(
        self,
        at: int,
        context: _Context,
        cells: list[Value],
        types: Sequence[str],
        row: int,
        level: int,
    ) -> int:
        """Read the cell at `at` and append it to `cells` as a value of its column's type."""
        kind = types[len(cells)] if len(cells) < len(types) else ""
        value: Value
        if context is _CELL and self.text[at : at + 1] in ",\n#":
            self.count_scalar(at)
            value, end = "", at
        elif kind in _TEXT_TYPES and self.text[at] not in '"[{':
            self.count_scalar(at)
            bare, end = self.bare(at, context)
            value = None if bare in ("null", "nil") else self.limited(bare, at)
        else:
            value, end = self.value(at, context, level)
        if value is not None and kind in _ACCEPTED and type(value) not in _ACCEPTED[kind]:
            raise self.error(f"expected a cell of the type {kind} of its column", row)
        if kind in _FLOAT_TYPES and isinstance(value, int):
            try:
                value = float(value)
            except OverflowError:
                raise self.error("a number too large for a float", at) from None
        self.append(cells, value, at)
        return end
