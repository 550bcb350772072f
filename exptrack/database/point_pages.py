"""Read the points of a private copy from its pages, as columns, and prove that each page is used once.

SQLite hands over points one by one, each as a tuple of Python objects. Here the bytes of one place of many
points are one slice, so that reading them takes a quarter of the time, and no number is made.

Invariants:

- Each page is read once. In a file of 1.7 MB whose inner pages all lead to one child, SQLite would read
  149,538,355,739 rows.
- The keys rise from the first point to the last. So a search down the tree finds exactly these points.
- A cell lies whole in the room for cells of its page, and shares no byte with another one.
- Everything else raises an error that says what is wrong. A point whose key can be read, and whose time or
  value has no right type, is a problem of its series alone.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from exptrack.database.main_file import MainFile

BLOCK_POINTS = 1024  # that have a checksum of their own, see exptrack.metrics.store
PAGE_SIZE_AT, RESERVED_AT = 16, 20  # in the header of the file
INNER, LEAF = 2, 10  # kinds of pages
LEAF_BYTE = bytes([LEAF])
INNER_HEADER_BYTES, LEAF_HEADER_BYTES, RIGHT_CHILD_AT, CHILD_BYTES = 12, 8, 8, 4
# A point is the length of its record, the length of the record's header, five types, and what these say.
HEAD_BYTES, COLUMNS = 7, 5
MOST_BYTES = HEAD_BYTES + 8 * COLUMNS  # of the cell of a point
WIDTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)  # in bytes, by type: NULL, six integers, a float, 0, 1
NULL, FLOAT, ZERO, ONE = 0, 7, 8, 9
INTEGERS = frozenset({1, 2, 3, 4, 5, 6, ZERO, ONE})
SIGNS = bytes(0xFF if one >= 0x80 else 0 for one in range(256))
UNUSUAL = b"\x7f", b"\x80", b"\xff"  # first bytes of an infinity, a NaN or -0.0, and of few other floats
TOGETHER = 2048  # points decoded at once
FEW = 16  # points that are decoded one by one
READ_BYTES = 1 << 16
_NAN = struct.pack("<d", math.nan)
_ZEROS = bytes(8 * BLOCK_POINTS)
LOWEST: tuple[int, ...] = ()  # is less than every key


class PageError(Exception):
    """The pages of a table are not as SQLite writes them; the message says what is wrong."""


class Block(NamedTuple):
    """Up to 1,024 points of a series by step and repetition: columns of little-endian numbers of 8 bytes.

    All blocks of a series but its last have 1,024 points. NaN has one form, and 0 one sign.
    """

    series: int
    steps: bytes
    seqs: bytes
    times_ms: bytes
    values: bytes

    def has_no_repetition(self) -> bool:
        """Whether every point has the repetition 0, as nearly all have."""
        return self.seqs == _ZEROS[: len(self.seqs)]


class _Between(NamedTuple):
    """A cell of an inner page, between two of its children, and its key: series, step, repetition."""

    cell: bytes
    key: tuple[int, ...]


class _Pages:
    """The pages of a tree in a file; each may be entered once."""

    def __init__(self, path: Path | MainFile) -> None:
        self._file = open(path, "rb", buffering=0) if isinstance(path, Path) else path  # noqa: SIM115 - see close
        header = self._file.read(100)
        size = int.from_bytes(header[PAGE_SIZE_AT : PAGE_SIZE_AT + 2], "big")
        self._page_bytes = 65536 if size == 1 else size
        self.usable = self._page_bytes - header[RESERVED_AT]
        self._count = self._file.seek(0, 2) // self._page_bytes
        self._seen = bytearray(self._count + 1)
        self._ahead, self._ahead_from = b"", 0  # bytes that were read, and their first page

    def close(self) -> None:
        self._file.close()

    def enter_leaf(self, number: int) -> bool:
        """Enter a page if it is a leaf; return whether it is one."""
        if not 1 < number <= self._count or self._seen[number]:
            return False
        at = self._find(number)
        is_leaf = self._ahead[at : at + 1] == LEAF_BYTE
        self._seen[number] = is_leaf
        return is_leaf

    def enter(self, number: int) -> bytes:
        """Return a page.

        Raises:
            PageError: it is not there, or was entered before.
        """
        if not 1 < number <= self._count:
            raise PageError(f"page {number} is not there")
        if self._seen[number]:
            raise PageError(f"page {number} is used twice")
        self._seen[number] = 1
        at = self._find(number)
        page = self._ahead[at : at + self._page_bytes]
        if len(page) < self._page_bytes:
            raise PageError(f"page {number} is not there")
        return page

    def _find(self, number: int) -> int:
        """Return where a page begins in the bytes read ahead."""
        size = self._page_bytes
        at = (number - self._ahead_from) * size
        if not 0 <= at < len(self._ahead):
            # The next page is mostly the one behind it.
            follows = at == len(self._ahead)
            self._file.seek((number - 1) * size)
            self._ahead = self._file.read(max(size, READ_BYTES) if follows else size)
            self._ahead_from, at = number, 0
        return at

    def pointers(self, number: int, page: bytes) -> tuple[int, ...]:
        """Return where the cells of an inner page begin.

        Raises:
            PageError: it has none, or more than it has room for.
        """
        count = int.from_bytes(page[3:5], "big")
        if not count or INNER_HEADER_BYTES + 2 * count > self.usable:
            raise PageError(f"page {number} has no cells, or more cells than room")
        found = struct.unpack_from(f">{count}H", page, INNER_HEADER_BYTES)
        if min(found) < INNER_HEADER_BYTES + 2 * count or max(found) + CHILD_BYTES >= self.usable:
            raise PageError(f"a cell of page {number} lies outside it")
        return found


def find_page_problem(path: Path, root: int) -> str | None:
    """Return what is wrong with the tree of the points below `root`, but for the cells of its leaves, or None.

    Each page is there, known and used once, and the keys of inner pages rise. So SQLite reads each leaf once at
    most, and searches for a point where it lies in the order of keys. 1 % of all pages are inner ones.
    """
    try:
        with PointPages(path, root) as pages:
            pages.prove_inner_pages()
    except PageError as error:
        return str(error)
    return None


class PointPages:
    """Reads the table of points whose first page is `root`. Use it in a ``with`` block."""

    def __init__(self, path: Path | MainFile, root: int) -> None:
        self._pages = _Pages(path)
        self._root = root
        self._pending: list[bytes] = []  # cells of one size, those with the last keys first in each
        self._pending_points = self._size = 0
        self._columns = tuple(bytearray() for _ in range(COLUMNS))  # of the points that are in no block yet
        self._last_series = -(2**63) - 1
        self._last_key: tuple[int, int] | None = None
        #: What is wrong with a series. It is complete once a block of the next series has come.
        self.problems: dict[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._pages.close()

    def read(self) -> Iterator[Block]:
        """Yield all points: series by row id, and of each its blocks.

        Raises:
            PageError: a page or a key is not as SQLite writes it.
        """
        for _ in self._walk():
            if len(self._columns[0]) >= 8 * TOGETHER:
                self._decode_pending()  # all of a leaf is looked at before any of it is told
                yield from self._cut(is_end=False)
        self._decode_pending()
        yield from self._cut(is_end=True)

    def prove_inner_pages(self) -> None:
        """Walk the inner pages alone, and prove that their keys rise. Use another object to read points.

        Raises:
            PageError: a page is not as SQLite writes it.
        """
        waiting: list[int | _Between] = [self._root]
        low = LOWEST
        while waiting:
            entry = waiting.pop()
            if isinstance(entry, _Between):
                low = entry.key
            elif not self._pages.enter_leaf(entry):
                waiting += reversed(self._read_inner(entry, self._pages.enter(entry), low, waiting))

    # Pages

    def _walk(self) -> Iterator[None]:
        """Take all cells in the order of their keys; pause after each leaf."""
        waiting: list[int | _Between] = [self._root]  # the next comes last
        low = LOWEST
        while waiting:
            entry = waiting.pop()
            if isinstance(entry, _Between):
                low = entry.key
                self._take(entry.cell, len(entry.cell))
                continue
            page = self._pages.enter(entry)
            if page[0] == LEAF:
                self._take_leaf(entry, page)
                yield
            else:
                waiting += reversed(self._read_inner(entry, page, low, waiting))

    def _read_inner(
        self, number: int, page: bytes, low: tuple[int, ...], waiting: list[int | _Between]
    ) -> list[int | _Between]:
        """Return the children of an inner page and the cells between them.

        Their keys rise, from `low` to the cell that waits behind the page. So a search finds its way in them.
        """
        if page[0] != INNER:
            raise PageError(f"page {number} is of no known kind")
        found: list[int | _Between] = []
        ranges = []
        for at in self._pages.pointers(number, page):
            begin = at + CHILD_BYTES
            cell = page[begin : self._end_of(number, page, begin)]
            key = _read_key(cell)
            if key <= low:
                raise PageError("the keys of its inner pages do not rise")
            low = key
            found += [int.from_bytes(page[at:begin], "big"), _Between(cell, key)]
            ranges.append((at, begin + len(cell)))
        behind = waiting[-1] if waiting else None
        if isinstance(behind, _Between) and low >= behind.key:
            raise PageError("the keys of its inner pages do not rise")
        self._require_apart(number, ranges)
        return [*found, int.from_bytes(page[RIGHT_CHILD_AT : RIGHT_CHILD_AT + CHILD_BYTES], "big")]

    def _take_leaf(self, number: int, page: bytes) -> None:
        count = page[3] << 8 | page[4]
        begin = LEAF_HEADER_BYTES + 2 * count
        if begin > self._pages.usable:
            raise PageError(f"page {number} has more cells than room")
        if not count and number != self._root:
            raise PageError(f"page {number} is empty")
        usable = self._pages.usable
        ranges = []
        place = LEAF_HEADER_BYTES
        while place < begin:
            at = page[place] << 8 | page[place + 1]
            if not begin <= at < usable:
                raise PageError(f"a cell of page {number} lies outside it")
            size = page[at] + 1
            end = at + size
            same = 1
            if not HEAD_BYTES <= size <= MOST_BYTES or end > usable:
                end = self._end_of(number, page, at)
                size = end - at
            elif place + 2 < begin:
                # Cells that lie one below the other are taken together.
                pointers = page[place:begin]
                expected = _descending(at, size)[: len(pointers)]
                if pointers == expected:
                    same = (begin - place) // 2
                else:
                    differ = int.from_bytes(pointers, "little") ^ int.from_bytes(expected, "little")
                    same = (differ & -differ).bit_length() - 1 >> 4
            if at - size * (same - 1) < begin:
                raise PageError(f"a cell of page {number} lies outside it")
            # A shorter cell may begin where one of this size would.
            sizes = page[at::-size][:same]
            same -= len(sizes.lstrip(page[at : at + 1]))
            last = at - size * (same - 1)
            ranges.append((last, end))
            self._take(page[last:end], size)
            place += 2 * same
        if len(ranges) > 1:
            self._require_apart(number, ranges)

    def _end_of(self, number: int, page: bytes, begin: int) -> int:
        """Return where a cell ends that begins with the length of its record."""
        usable = self._pages.usable
        if begin >= usable:
            raise PageError(f"a cell of page {number} lies outside it")
        end = begin + 1 + page[begin]
        if page[begin] >= 0x80:
            length, at = _read_varint(page, begin)
            most = (usable - 12) * 64 // 255 - 23
            if length > most:  # the rest lies on other pages
                least = (usable - 12) * 32 // 255 - 23
                local = least + (length - least) % (usable - 4)
                length = 4 + (local if local <= most else least)
            end = at + length
        if end > usable or end - begin < HEAD_BYTES:
            raise PageError(f"a cell of page {number} is no point")
        return end

    @staticmethod
    def _require_apart(number: int, ranges: list[tuple[int, int]]) -> None:
        ranges.sort()
        if any(one[1] > other[0] for one, other in pairwise(ranges)):
            raise PageError(f"cells of page {number} share bytes")

    # Cells

    def _take(self, cells: bytes, size: int) -> None:
        """Take cells whose first bytes lie `size` bytes apart; the first in the order of keys lies last."""
        if size != self._size or self._pending_points >= TOGETHER:
            self._decode_pending()
            self._size = size
        self._pending.append(cells)
        self._pending_points += len(cells) // size

    def _decode_pending(self) -> None:
        count, size = self._pending_points, self._size
        if not count:
            return
        data = self._pending[0] if len(self._pending) == 1 else b"".join(reversed(self._pending))
        self._pending, self._pending_points = [], 0
        at = len(data) - size
        while count:
            head = data[at : at + HEAD_BYTES]
            same = _count_alike(data, at, size, head) if count >= FEW else 0
            types = _read_types(head, size)
            if same < FEW or types is None:
                same = min(count, FEW)
                for _ in range(same):
                    self._decode_one(data[at : at + size])
                    at -= size
            else:
                self._decode(data[: at + size], size, same, types)
                at -= same * size
            count -= same

    def _decode(self, data: bytes, size: int, count: int, types: bytes) -> None:
        """Decode the last `count` cells of `data`, which have these types; the last one comes first."""
        first = len(data) - size + HEAD_BYTES
        for column, kind in zip(self._columns, types, strict=True):
            is_value = column is self._columns[-1]
            width = WIDTHS[kind]
            if not width:
                number = _NAN if kind == NULL else struct.pack("<d" if is_value else "<q", kind == ONE)
                column += number * count
                continue
            numbers = bytearray(8 * count)
            for place in range(width):
                lane = data[first + place :: -size][:count]
                numbers[width - 1 - place :: 8] = lane
                if not place:
                    top = lane
            if kind == FLOAT:
                column += _normalize(numbers) if any(one in top for one in UNUSUAL) else numbers
            else:
                if width < 8 and not top.isascii():
                    signs = top.translate(SIGNS)
                    for place in range(width, 8):
                        numbers[place::8] = signs
                column += _to_bytes(array("d", to_integers(numbers))) if is_value else numbers
            first += width

    def _decode_one(self, cell: bytes) -> None:
        """Decode one cell, of whatever types it is."""
        types = _read_types(cell[:HEAD_BYTES], len(cell))
        if types is None:
            self._decode_odd(cell)
            return
        at = HEAD_BYTES
        for column, kind in zip(self._columns, types, strict=True):
            width = WIDTHS[kind]
            part = cell[at : at + width]
            at += width
            is_value = column is self._columns[-1]
            if kind == NULL:
                column += _NAN
            elif kind == FLOAT:
                column += _normalize(part[::-1])
            else:
                number = int.from_bytes(part, "big", signed=True) if width else int(kind == ONE)
                column += struct.pack("<d" if is_value else "<q", number)

    def _decode_odd(self, cell: bytes) -> None:
        """Take the key of a point that is otherwise wrong, and note that for its series."""
        numbers = _read_key(cell)
        for column, number in zip(self._columns, (*numbers, 0), strict=False):
            column += struct.pack("<q", number)
        self._columns[-1].extend(_NAN)
        self.problems[numbers[0]] = f"the time or value of its point at step {numbers[1]} has no right type"

    # Blocks

    def _cut(self, *, is_end: bool) -> Iterator[Block]:
        """Yield the blocks that are complete."""
        count, block_bytes = len(self._columns[0]) // 8, 8 * BLOCK_POINTS
        done = 0
        for series, begin, end in self._divide():
            if series != self._last_series:
                self._last_series, self._last_key = series, None
            is_over = is_end or end < count
            for at in range(8 * begin, 8 * end, block_bytes):
                upto = min(at + block_bytes, 8 * end)
                if upto - at < block_bytes and not is_over:
                    break
                block = Block(series, *(bytes(column[at:upto]) for column in self._columns[1:]))
                self._require_order(block)
                yield block
                done = upto
        for column in self._columns:
            del column[:done]

    def _divide(self) -> list[tuple[int, int, int]]:
        """Return each series of the points that are in no block yet, and where it begins and ends."""
        ids = to_integers(self._columns[0])
        found: list[tuple[int, int, int]] = []
        last, begin = self._last_series, 0
        while begin < len(ids):
            series, end = ids[begin], bisect_right(ids, ids[begin], begin)
            is_one = self._columns[0][8 * begin : 8 * end] == struct.pack("<q", series) * (end - begin)
            if not is_one or series < last or (found and series == last):
                raise PageError("its series do not rise")
            found.append((series, begin, end))
            last, begin = series, end
        return found

    def _require_order(self, block: Block) -> None:
        first, last, is_rising = describe_steps(block.steps)
        if block.has_no_repetition():
            low, high = (first, 0), (last, 0)
        else:
            seqs = to_integers(block.seqs)
            keys = list(zip(to_integers(block.steps), seqs, strict=True))
            is_rising = all(one < other for one, other in pairwise(keys))
            low, high = keys[0], keys[-1]
        if not is_rising or (self._last_key is not None and low <= self._last_key):
            raise PageError(f"the points of the series {block.series} do not rise")
        self._last_key = high


def _read_key(cell: bytes) -> tuple[int, ...]:
    """Return the series, step and repetition of a point."""
    types = _read_types(cell[:HEAD_BYTES], len(cell))
    at, record = HEAD_BYTES, cell
    if types is None:
        types, record, at = _read_odd_types(cell)
    numbers = []
    for kind in types[:3]:
        width = WIDTHS[kind]
        part = record[at : at + width]
        if len(part) < width:
            raise PageError("a point in it has no key")
        at += width
        numbers.append(int.from_bytes(part, "big", signed=True) if width else int(kind == ONE))
    return tuple(numbers)


def _read_odd_types(cell: bytes) -> tuple[bytes, bytes, int]:
    """Return the types of the key of a cell that is no usual point, its record, and where the values begin."""
    record_bytes, begin = _read_varint(cell, 0)
    if begin + record_bytes > len(cell) <= MOST_BYTES:
        raise PageError("cells of a page share bytes")
    record = cell[begin : begin + record_bytes]
    length, at = _read_varint(record, 0)
    types = []
    while at < length:
        kind, at = _read_varint(record, at)
        types.append(kind)
    if at != length or len(types) < 3 or not INTEGERS.issuperset(types[:3]):
        raise PageError("a point in it has no key")
    return bytes(types[:3]), record, at


def to_integers(column: bytes | bytearray) -> array[int]:
    """Return the numbers of a column of integers."""
    numbers = array("q", bytes(column))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def to_floats(column: bytes | bytearray) -> array[float]:
    """Return the numbers of a column of floats."""
    numbers = array("d", bytes(column))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _to_bytes(numbers: array[float]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _normalize(column: bytes | bytearray) -> bytes:
    """Return floats with one NaN, and without -0.0, as SQLite reads and stores them."""
    return _to_bytes(array("d", [math.nan if one != one else one + 0.0 for one in to_floats(column)]))


@lru_cache(maxsize=512)  # the series of a run have mostly the same steps
def describe_steps(column: bytes) -> tuple[int, int, bool]:
    """Return the first and the last step of a column, and whether each is more than the one before."""
    steps = to_integers(column).tolist()
    return steps[0], steps[-1], sorted(set(steps)) == steps


@lru_cache(maxsize=512)  # cells of one size mostly fill a page from its end
def _descending(at: int, size: int) -> bytes:
    """Return the pointers to all cells of this size that can lie below one another, the first one at `at`."""
    numbers = range(at, -1, -size)
    return struct.pack(f">{len(numbers)}H", *numbers)


def _count_alike(data: bytes, at: int, size: int, head: bytes) -> int:
    """Return how many cells, from the one at `at` downwards, begin with these bytes."""
    alike = at // size + 1
    for place in range(HEAD_BYTES):
        lane = data[at + place :: -size][:alike]
        if lane.count(head[place]) != alike:
            alike = alike - len(lane.lstrip(head[place : place + 1]))
    return alike


@lru_cache(maxsize=4096)
def _read_types(head: bytes, size: int) -> bytes | None:
    """Return the types of a cell that begins like this, which has `size` bytes of room; None if it is odd."""
    types = head[2:]
    is_point = head[1] == HEAD_BYTES - 1 and INTEGERS.issuperset(types[:-1]) and types[-1] <= ONE
    if not is_point or head[0] + 1 > size or head[0] != HEAD_BYTES - 1 + sum(WIDTHS[kind] for kind in types):
        return None
    return types


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, and where it ends."""
    number = 0
    for place in range(at, min(at + 8, len(data))):
        number = number << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return number, place + 1
    if at + 8 < len(data):
        return number << 8 | data[at + 8], at + 9
    raise PageError("a point in it has no key")
