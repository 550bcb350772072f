"""Archives whose pages, indexes or types are not what SQLite writes."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.portable.hostile.kinds import (
    LEFT_OUT,
    NOT_MERGED,
    REFUSED,
    TAKEN,
    edit,
    kind,
    loosened,
    page_bytes_of,
    patch,
    root_of,
    varint,
)


@kind("a diamond of pages below the points", REFUSED)
def _(path: Path) -> None:
    make_diamond(path, "metric_point")


@kind("a diamond of pages below the events", REFUSED)
def _(path: Path) -> None:
    make_diamond(path, "event")


@kind("a diamond of pages below the schema", REFUSED)
def _(path: Path) -> None:
    make_diamond(path, None)


def make_diamond(
    path: Path, table: str | None, levels: int = 8, *, cell: bytes = b"", leaf: bytes = b"", more: bytes = b""
) -> None:
    """Let each inner page of a table lead to the same page below, hundreds of times on each level.

    `cell` is what follows the child in each inner cell, `leaf` the page of the lowest level; `more` is a page
    after all of them.
    """
    size = page_bytes_of(path)
    data = bytearray(path.read_bytes())
    pages = len(data) // size
    root = 1 if table is None else root_of(path, table)
    at = (root - 1) * size + (100 if root == 1 else 0)
    is_index = data[at] in (2, 10)
    # The root's own content becomes the one leaf.
    lowest = leaf or data[(root - 1) * size : root * size]
    if root == 1:
        lowest = struct.pack(">BHHHB", 13, 0, 0, size, 0).ljust(size, b"\0")
    found = [bytes(lowest)]
    child = pages + 1
    cell = cell or (b"\x02\x02\x01" if is_index else b"\x01")  # a record of one column; a row id
    count = 150
    for level in range(levels):
        page = bytearray(size)
        begin = size - count * (4 + len(cell))
        for number in range(count):
            place = begin + number * (4 + len(cell))
            page[place : place + 4 + len(cell)] = struct.pack(">I", child) + cell
            struct.pack_into(">H", page, 12 + 2 * number, place)
        page[:12] = struct.pack(">BHHHBI", 2 if is_index else 5, 0, count, begin, 0, child)
        found.append(bytes(page))
        child = pages + 2 + level
    top = found.pop()
    if root == 1:
        body = bytearray(size)
        begin = size - 40 * 5
        for number in range(40):
            place = begin + number * 5
            body[place : place + 5] = struct.pack(">I", child - 1) + b"\x01"
            struct.pack_into(">H", body, 112 + 2 * number, place)
        body[:100] = data[:100]
        body[100:112] = struct.pack(">BHHHBI", 5, 0, 40, begin, 0, child - 1)
        top = bytes(body)
    data[(root - 1) * size : root * size] = top
    data += b"".join(found) + more
    struct.pack_into(">I", data, 28, len(data) // size)
    path.write_bytes(data)


@kind("notes without end that share a page", REFUSED)
def _(path: Path) -> None:
    # The notes of a leaf are of run 1, and all go on at one page that leads to itself.
    size, chars = page_bytes_of(path), 400_000  # SQLite takes no more than the file has
    levels = 7
    shared = path.stat().st_size // size + levels + 1
    length = chars + 34
    least, most = (
        (size - 12) * share // 255 - 23 for share in (32, 64)
    )  # bytes of a cell that goes on elsewhere
    local = least + (length - least) % (size - 4)
    local = local if local <= most else least
    head = b"\x08\x09\x08\x41" + varint(2 * chars + 13) + b"2026-01-01 00:00:00.000000"
    cell = varint(length) + head.ljust(local, b"x") + struct.pack(">I", shared)
    count = (size - 8) // (len(cell) + 2)
    leaf = bytearray(size)
    leaf[:8] = struct.pack(">BHHHB", 10, 0, count, size - count * len(cell), 0)
    for number in range(count):
        begin = size - (number + 1) * len(cell)
        leaf[begin : begin + len(cell)] = cell
        struct.pack_into(">H", leaf, 8 + 2 * number, begin)
    small = b"\x05\x05\x09\x08\x0d\x0d"
    more = struct.pack(">I", shared) + b"x" * (size - 4)
    make_diamond(path, "note", levels, cell=small, leaf=bytes(leaf), more=more)


@kind("a page that leads to itself", REFUSED)
def _(path: Path) -> None:
    size, root = page_bytes_of(path), root_of(path, "metric_point")
    data = path.read_bytes()
    page = bytearray(data[(root - 1) * size : root * size])
    assert page[0] == 2  # so that it has children
    struct.pack_into(">I", page, 8, root)
    patch(path, (root - 1) * size, bytes(page))


@kind("two tables on one page", REFUSED)
def _(path: Path) -> None:
    edit(
        path,
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'run')"
        " WHERE name = 'study'",
    )


@kind("a table on the page of another one of the same columns", REFUSED)
def _(path: Path) -> None:
    edit(
        path,
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'note')"
        " WHERE name = 'metric_check'",
    )


@kind("an index that hides a run", REFUSED)
def _(path: Path) -> None:
    with loosened(path, unique=True) as raw:
        raw.execute("UPDATE run SET run_id = '00000000000000zz' WHERE id = 1")


@kind("two runs of one id, and an index that knows of one", REFUSED)
def _(path: Path) -> None:
    with loosened(path, unique=True) as raw:
        names = ", ".join(row[1] for row in raw.execute("PRAGMA table_info(run)") if row[1] != "id")
        raw.execute(f"INSERT INTO run (id, {names}) SELECT 999, {names} FROM run WHERE id = 1")


@kind("text in a column of integers", REFUSED)
def _(path: Path) -> None:
    with loosened(path) as raw:
        raw.execute("UPDATE run SET duration_ms = 'for ever' WHERE id = 1")


@kind("NULL where none may be", REFUSED)
def _(path: Path) -> None:
    with loosened(path) as raw:
        raw.execute("UPDATE run SET run_id = NULL WHERE id = 1")


@kind("a status that is none", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE run SET status = 'winning' WHERE id = 1")


@kind("bytes that are no UTF-8", NOT_MERGED)
def _(path: Path) -> None:
    edit(path, "UPDATE note SET text = CAST(x'fffe41' AS TEXT) WHERE run = 1")


@kind("text in the steps of points", LEFT_OUT)
def _(path: Path) -> None:
    with loosened(path) as raw:
        raw.execute("UPDATE metric_point SET time_ms = 'soon' WHERE series = 1 AND step = 3")


@kind("text as the series of a point", NOT_MERGED)
def _(path: Path) -> None:
    with loosened(path) as raw:
        raw.execute("INSERT INTO metric_point VALUES ('one', 3, 7, 1, 1.0)")


@kind("a point with a value of two megabytes", LEFT_OUT)
def _(path: Path) -> None:
    with loosened(path) as raw:
        raw.execute("UPDATE metric_point SET value = ? WHERE series = 1 AND step = 3", ("v" * 2_000_000,))


def change_leaf(path: Path, change: Callable[[list[int]], None]) -> None:
    """Change the list of cells of a page of points: the first leaf below the root."""
    size, data = page_bytes_of(path), path.read_bytes()
    page = root_of(path, "metric_point")
    while data[(page - 1) * size] == 2:
        (cell,) = struct.unpack_from(">H", data, (page - 1) * size + 12)
        (page,) = struct.unpack_from(">I", data, (page - 1) * size + cell)
    begin = (page - 1) * size
    (count,) = struct.unpack_from(">H", data, begin + 3)
    cells = list(struct.unpack_from(f">{count}H", data, begin + 8))
    change(cells)
    patch(path, begin + 8, struct.pack(f">{count}H", *cells))


@kind("points that are not in their order", NOT_MERGED)
def _(path: Path) -> None:
    change_leaf(path, lambda cells: cells.sort())


@kind("a point in the place of another one, and so twice", NOT_MERGED)
def _(path: Path) -> None:
    change_leaf(path, lambda cells: cells.__setitem__(3, cells[2]))


@kind("a point that begins amid another one", NOT_MERGED)
def _(path: Path) -> None:
    change_leaf(path, lambda cells: cells.__setitem__(3, cells[3] + 1))


@kind("texts in UTF-16", REFUSED)
def _(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        dump = "\n".join(line for line in old.iterdump() if "sqlite_sequence" not in line)
    path.unlink()
    edit(
        path,
        f"PRAGMA encoding = 'UTF-16le'; {dump}PRAGMA application_id = {0x45585054}; PRAGMA user_version = 1",
    )


@kind("a newer format", REFUSED)
def _(path: Path) -> None:
    edit(path, "PRAGMA user_version = 99")


@kind("a format below the first", REFUSED)
def _(path: Path) -> None:
    edit(path, "PRAGMA user_version = -1")


@kind("a free page that is in use", TAKEN)
def _(path: Path) -> None:
    root = root_of(path, "run")
    patch(path, 32, struct.pack(">II", root, 1))
