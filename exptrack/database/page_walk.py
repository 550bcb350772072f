"""Walk the pages of a table of a private copy, to prove that each of them is used once.

A file of 1.7 MB in which all inner pages lead to one child claims 149,538,355,739 rows: reading it never ends.
SQLite's own check finds that too, and reads every row. This walk reads the inner pages only, 1 % of all.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

PAGE_SIZE_AT = 16
INNER, LEAVES = (2, 5), (10, 13)
INNER_HEADER_BYTES, RIGHT_CHILD_AT = 12, 8
CHILD_BYTES = 4


def find_page_problem(path: Path, root: int) -> str | None:
    """Return what is wrong with the pages below `root`; None if each is there, known and used once."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        size = int.from_bytes(data[PAGE_SIZE_AT : PAGE_SIZE_AT + 2], "big")
        page_bytes = 65536 if size == 1 else size
        count = len(data) // page_bytes
        seen = bytearray(count + 1)
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if not 1 < number <= count:
                return f"page {number} is not there"
            if seen[number]:
                return f"page {number} is used twice"
            seen[number] = 1
            begin = (number - 1) * page_bytes
            kind = data[begin]
            if kind in LEAVES:
                continue
            if kind not in INNER:
                return f"page {number} is of no known kind"
            children = _read_children(data[begin : begin + page_bytes])
            if children is None:
                return f"page {number} has more cells than room"
            waiting += children
    return None


def _read_children(page: bytes) -> list[int] | None:
    """Return the children of an inner page; None if it cannot have them."""
    cells = int.from_bytes(page[3:5], "big")
    if INNER_HEADER_BYTES + 2 * cells > len(page):
        return None
    places = struct.unpack_from(f">{cells}H", page, INNER_HEADER_BYTES)
    if any(at > len(page) - CHILD_BYTES for at in places):
        return None
    found = [int.from_bytes(page[at : at + CHILD_BYTES], "big") for at in places]
    return [*found, int.from_bytes(page[RIGHT_CHILD_AT : RIGHT_CHILD_AT + CHILD_BYTES], "big")]
