"""Read the cells of a page of a table or index, and the values of the records in them.

Invariants:

- A cell is read only if the page's array of pointers names it: what is not named is deleted.
- A record is read whole or not at all: its length must be the one that its header gives.
- A page that leads on to others does so once: `Claims` keeps each page to the first that asked for it. So no
  circle of pages is followed for ever, and no chain is read for several cells.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from exptrack.portable.pages import PageFile

INDEX_INNER, TABLE_INNER, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13
OF_TABLE, OF_INDEX = (TABLE_INNER, TABLE_LEAF), (INDEX_INNER, INDEX_LEAF)
LONGEST = 80 << 20  # bytes of a record: the longest text has 16 Mi characters
_HEAD = struct.Struct(">BHHHB")  # kind, first free block, cells, begin of the cells, fragments
_CHILD = struct.Struct(">I")
_DOUBLE = struct.Struct(">d")
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)  # bytes of a value, by its type in the header of a record
_SEGMENT = 1 << 16

Record = tuple[Any, ...]


class Claims:
    """The pages that were asked for, each of which is given once."""

    def __init__(self) -> None:
        self._segments: dict[int, bytearray] = {}

    def claim(self, page: int) -> bool:
        """Return whether no one has claimed this page before."""
        segment = self._segments.setdefault(page // _SEGMENT, bytearray(_SEGMENT))
        if segment[page % _SEGMENT]:
            return False
        segment[page % _SEGMENT] = 1
        return True

    def has(self, page: int) -> bool:
        segment = self._segments.get(page // _SEGMENT)
        return segment is not None and bool(segment[page % _SEGMENT])


class Cell(NamedTuple):
    """A cell of a page. `row_id` and `record` are None where the kind of the page has none."""

    row_id: int | None
    record: Record


class Page(NamedTuple):
    """A page of a table or index: its kind, the pages below it, and where its cells begin."""

    number: int
    kind: int
    data: bytes
    pointers: tuple[int, ...]
    last_child: int

    @property
    def is_leaf(self) -> bool:
        return self.kind in (INDEX_LEAF, TABLE_LEAF)

    def children(self) -> list[int]:
        """Return the pages below this one, from left to right."""
        if self.is_leaf:
            return []
        return [*(_CHILD.unpack_from(self.data, at)[0] for at in self.pointers), self.last_child]


def parse_page(file: PageFile, number: int) -> Page | None:
    """Return a page of a table or index, or None if it is none."""
    data = file.read(number)
    if data is None:
        return None
    begin = 100 if number == 1 else 0
    kind, _free, cells, _content, _fragments = _HEAD.unpack_from(data, begin)
    if kind not in (*OF_TABLE, *OF_INDEX):
        return None
    first = begin + (8 if kind in (INDEX_LEAF, TABLE_LEAF) else 12)
    cells = min(cells, (file.usable - first) // 2)
    found = struct.unpack_from(f">{cells}H", data, first)
    lowest, highest = first + 2 * cells, file.usable - 4
    pointers = tuple(at for at in found if lowest <= at <= highest)
    last = _CHILD.unpack_from(data, begin + 8)[0] if first - begin == 12 else 0
    return Page(number, kind, data, pointers, last)


def read_cells(file: PageFile, page: Page, claims: Claims, is_lost: Callable[[], object]) -> Iterator[Cell]:
    """Yield the rows of a page; call `is_lost` for each that cannot be read."""
    if page.kind == TABLE_INNER:
        return
    data, usable = page.data, file.usable
    skip = 4 if page.kind == INDEX_INNER else 0
    has_row_id = page.kind == TABLE_LEAF
    most_local = usable - 35 if has_row_id else (usable - 12) * 64 // 255 - 23
    for pointer in page.pointers:
        at = pointer + skip
        size = data[at]
        at += 1
        if size > 127:
            size, at = read_varint(data, at - 1)
        row_id = None
        if has_row_id:
            row_id, at = read_varint(data, at)
            row_id = row_id - (1 << 64) if row_id >> 63 else row_id
        if size <= most_local:
            payload = data[at : at + size] if at + size <= usable else None
        else:
            payload = _read_long(file, page, at, size, most_local, claims)
        record = None if payload is None else decode_record(payload)
        if record is None:
            is_lost()
        else:
            yield Cell(row_id, record)


def _read_long(file: PageFile, page: Page, at: int, size: int, most_local: int, claims: Claims) -> bytes | None:
    """Return a record that goes on in a chain of other pages, or None if the chain is broken."""
    usable = file.usable
    if size > min(LONGEST, file.size):
        return None
    least = (usable - 12) * 32 // 255 - 23
    local = least + (size - least) % (usable - 4)
    if local > most_local:
        local = least
    if at + local + 4 > usable:
        return None
    parts = [page.data[at : at + local]]
    left = size - local
    following = _CHILD.unpack_from(page.data, at + local)[0]
    while left:
        data = file.read(following) if claims.claim(following) else None
        if data is None:
            return None
        parts.append(data[4 : min(usable, 4 + left)])
        left -= len(parts[-1])
        following = _CHILD.unpack_from(data)[0]
    return b"".join(parts)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return an integer of variable length, and where it ends; what is cut counts as zeros."""
    value = 0
    for place in range(at, at + 8):
        byte = data[place] if place < len(data) else 0
        value = value << 7 | byte & 127
        if byte < 128:
            return value, place + 1
    return value << 8 | (data[at + 8] if at + 8 < len(data) else 0), at + 9


def decode_record(payload: bytes) -> Record | None:
    """Return the values of a record, or None if it is damaged."""
    if not payload:
        return None
    size = payload[0]
    plan = _plan_short(payload[:size]) if 0 < size < 128 else _plan(payload[: read_varint(payload, 0)[0]])
    if plan is None or plan[1] != len(payload):
        return None
    try:
        return tuple([_decode(payload, *part) for part in plan[0]])
    except UnicodeDecodeError:
        return None


def _decode(payload: bytes, kind: int, begin: int, end: int) -> Any:
    if kind < 7:
        return int.from_bytes(payload[begin:end], "big", signed=True) if kind else None
    if kind == 7:
        value = _DOUBLE.unpack_from(payload, begin)[0]
        return value if value == value else None  # SQLite reads NaN as NULL
    if kind < 10:
        return kind - 8
    return payload[begin:end].decode() if kind & 1 else payload[begin:end]


def _plan(header: bytes) -> tuple[list[tuple[int, int, int]], int] | None:
    """Return type, begin and end of each value, and the length of the record."""
    said, at = read_varint(header, 0)
    if said != len(header):
        return None
    parts = []
    begin = said
    while at < said:
        kind, at = read_varint(header, at)
        if kind in (10, 11):
            return None
        end = begin + (_SIZES[kind] if kind < 10 else (kind - 12) // 2)
        parts.append((min(kind, 12 + kind % 2), begin, end))
        begin = end
    return (parts, begin) if at == said else None


_plan_short = lru_cache(1 << 14)(_plan)
