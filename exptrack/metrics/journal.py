"""Keep logged points safe until they are in the archive: the journal, a mapped file beside the archive.

Each process has one journal per archive, and only while a run is open. The file is preallocated, so that a full
disk is an error and not a SIGBUS. It is mapped into memory, so that writing a point is a store to memory. The
kernel keeps the stored bytes when the process is killed.

Invariants:

- Addresses count the bytes of an endless log. Epoch *e* covers ``[e * SEGMENT, (e + 1) * SEGMENT)`` and lives
  in one of the file's segments. Epochs take the segments in turn, and only a fully drained segment is reused.
- A point is a slot of 48 bytes. The slot holds its own address, so bytes left by an earlier epoch are never
  taken for a new point.
- A record is one slot, or several for values that are stored all or none. Its last 8 bytes hold the CRC-32 of
  all its other bytes, begun with the journal's nonce. A reader accepts the whole record or none of it.
- Slots name their series by an index. Definitions (index, run id, metric name) grow from the segment's end
  towards the points. Each epoch defines every series it uses, so a segment can be read without the others.
- All writing happens under `lock`. Space is reserved only when a record's bytes and check are ready. No signal
  handler can run between the reservation and the write: CPython runs handlers after calls and at backward
  jumps, and there is neither. So a handler that logs loses nothing.
"""

from __future__ import annotations

import _thread
import errno
import json
import mmap
import os
import re
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from exptrack.errors import ArchiveFullError, warn
from exptrack.metrics.journal_locks import Family, hold_for_writer, is_family_alive, make_fork_mark
from exptrack.process import ProcessIdentity, current_process, is_alive

SUFFIX = ".points"
JOURNAL_NAME = r"\.[0-9a-f]{8}-[0-9]+-[0-9a-f]{8}" + re.escape(SUFFIX)  # host, process, key
FORMAT = 1
PAGE = 4096
SEGMENT = 1 << 20
SEGMENTS = 2
FILE_BYTES = PAGE + SEGMENTS * SEGMENT
SLOT = 48
BATCH_BYTES = 10_000 * SLOT  # the writer thread is woken when this much is queued
EVERYTHING = 2**63 - 1  # an address beyond every point

PRIVATE = 0o600
POPULATE_WRITE = 23  # MADV_POPULATE_WRITE of Linux 5.14: faulting pages in together is cheaper than singly
PREFAULT_BYTES = 64 * 1024

_MAGIC, _SEGMENT_MAGIC = b"EXPTJRNL", b"EXPTSEGM"
_HEADER = struct.Struct("=8sIII")  # magic, format, bytes of JSON that follow, their CRC-32
_SEGMENT_HEADER = struct.Struct("=8sQQQ")  # magic, epoch, nonce, CRC-32 of these
_DEFINITION = struct.Struct("=16sIIII")  # run id, index, bytes of the name before this, epoch, CRC-32

# A slot: address, series, step, milliseconds since the run's start, value, check.
POINT = struct.Struct("=QQqdd")
SINGLE = struct.Struct("=40sQ")
CHECK = struct.Struct("=Q")
_SLOT = struct.Struct("=QQqddQ")


class Header(NamedTuple):
    """The head of a journal file: the archive it belongs to, the process that writes it, and its nonce."""

    archive: str
    owner: ProcessIdentity
    nonce: int

    @property
    def key(self) -> str:
        """The journal's name in the archive's tables, independent of file names."""
        return f"{self.nonce:08x}"


class SlotRange(NamedTuple):
    """Consecutive slots: their place in the file, and the address of the first."""

    begin: int
    end: int
    address: int


class JournalPoint(NamedTuple):
    """A point as it was logged, read back from a journal."""

    run_id: str
    name: str
    step: int
    time_ms: int
    value: float


def list_journals(archive: Path) -> list[Path]:
    """Return the paths of all journals beside an archive, of every process and host."""
    place = Path(os.path.realpath(archive))
    # Exactly: the journals of lab.db.bak begin with lab.db, too.
    pattern = re.compile(re.escape(place.name) + JOURNAL_NAME)
    names = sorted(name for name in os.listdir(place.parent) if pattern.fullmatch(name))
    return [place.parent / name for name in names]


class JournalParts(Protocol):
    """The parts of a journal that the logging calls in ``log`` read and set themselves.

    `at` is the place in the file of the next record; `at + base` is its address. A record that would reach
    beyond `limit` has to ask :meth:`Journal.make_room` first. `epoch` tells whether a definition still holds.
    `mark[0]` is False in a process that C code has forked: there the journal is the parent's.
    """

    at: int
    base: int
    limit: int
    epoch: int
    nonce: int

    @property
    def mark(self) -> memoryview[bool]: ...
    @property
    def lock(self) -> AbstractContextManager[object]: ...
    @property
    def map(self) -> mmap.mmap | bytearray: ...


class Signal:
    """Wakes one waiting thread, once for any number of calls of :meth:`set`.

    A bare lock: an interrupt inside ``threading.Event.set()`` leaves the event's own lock held for ever.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let the next or the present :meth:`wait` return."""
        with suppress(RuntimeError):  # it is set already
            self._lock.release()

    def wait(self, timeout_s: float = -1) -> None:
        """Wait for the signal and take it back, or until the time is over."""
        self._lock.acquire(timeout=timeout_s)


class Journal:
    """The journal that this process writes; the logging calls use its :class:`JournalParts` directly.

    Raises:
        ArchiveFullError: the disk has no room for the file.
        OSError: the folder cannot hold a mapped file.
    """

    def __init__(self, archive: Path, identity: str) -> None:
        place = Path(os.path.realpath(archive))
        owner = current_process()
        self.header = Header(identity, owner, secrets.randbits(32))
        self.path = place.parent / f"{place.name}.{owner.host_id[:8]}-{owner.pid}-{self.header.key}{SUFFIX}"
        self.nonce = self.header.nonce
        self.mark = make_fork_mark()
        self.lock = threading.RLock()
        self.wake, self.batch_ready = Signal(), Signal()
        self.family = Family(self.path)
        self.map = self._create()
        self.drained = 0  # the address up to which everything is in the archive
        self.series_count = 0  # the next free index of a series
        self._resting = True
        self._batch_begin = 0
        self._prefaulted = PAGE
        self._older: SlotRange | None = None
        self.map[PAGE : PAGE + SLOT] = self._segment_header(0)
        self.epoch = 0
        self.base = -PAGE
        self._begin = self.at = self.limit = PAGE + SLOT
        self._definitions = PAGE + SEGMENT
        self.prefault(PREFAULT_BYTES)

    def _create(self) -> mmap.mmap:
        descriptor = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), PRIVATE
        )
        try:
            hold_for_writer(descriptor)
            text = json.dumps([self.header.archive, list(self.header.owner), self.header.nonce]).encode()
            # The header comes first, so that a process killed here leaves a journal with a known owner.
            os.write(descriptor, _HEADER.pack(_MAGIC, FORMAT, len(text), zlib.crc32(text)) + text)
            _allocate(descriptor)
            return mmap.mmap(descriptor, FILE_BYTES)
        except OSError as error:
            os.unlink(self.path)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise ArchiveFullError(
                    f"no room for the journal {self.path} ({FILE_BYTES:,} bytes);"
                    " free disk space and try again",
                    path=str(self.path),
                ) from error
            raise
        finally:
            os.close(descriptor)

    def prefault(self, count: int) -> bool:
        """Make the next `count` bytes cheap to write. Return True while there are more."""
        count = min(count, FILE_BYTES - self._prefaulted)
        if count > 0 and hasattr(self.map, "madvise"):
            try:
                self.map.madvise(POPULATE_WRITE, self._prefaulted, count)
            except OSError:  # an older kernel faults each page in at its first write
                count = FILE_BYTES
        self._prefaulted += count
        return self._prefaulted < FILE_BYTES

    def _segment_header(self, epoch: int) -> bytes:
        facts = _SEGMENT_HEADER.pack(_SEGMENT_MAGIC, epoch, self.nonce, 0)[: -CHECK.size]
        return (facts + CHECK.pack(zlib.crc32(facts))).ljust(SLOT, b"\0")

    def _set_limit(self) -> None:
        mark, end = self._batch_begin - self.base + BATCH_BYTES, self._definitions
        self.limit = end if end < mark else mark

    def held_by_this_thread(self) -> bool:
        """Return whether the caller is a signal handler that interrupted a logging call."""
        owned: bool = self.lock._is_owned()  # type: ignore[attr-defined]  # threading.Condition calls it too
        return owned

    # Writing. The caller of each method holds the lock. A signal handler in the same thread may still log in
    # between. So attributes that belong together are read, or compared and written, without a call in between.

    @property
    def address(self) -> int:
        """The address of the next record."""
        return self.base + self.at

    def make_room(self, size: int) -> bool:
        """Make room for a record of `size` bytes. Return False if every segment waits to be drained.

        This may begin a new epoch, in which no series is defined yet. It wakes the writer thread when needed.
        """
        if self._resting:
            self._resting = False
            self._batch_begin = self.base + self.at
            self._set_limit()
            self.wake.set()
        if self.at + size <= self.limit:
            return True
        self.batch_ready.set()
        if self.at + size <= self._definitions:
            self.limit = self._definitions
            return True
        return self._next_epoch()

    def _next_epoch(self) -> bool:
        older = self._older
        if older is not None and self.drained < older.address + older.end - older.begin:
            return False
        epoch = self.epoch + 1
        begin = PAGE + (epoch % SEGMENTS) * SEGMENT
        header = self._segment_header(epoch)
        left = SlotRange(self._begin, self.at, self.base + self._begin)
        if self.at == left.end and self.epoch == epoch - 1:
            self.map[begin : begin + SLOT] = header
            self._older = left
            self.epoch = epoch
            self.base = epoch * SEGMENT - begin
            self._begin = self.at = begin + SLOT
            self._definitions = self.limit = begin + SEGMENT
        return True

    def define(self, index: int, run_id: str, name: bytes) -> int | None:
        """Define the series of an index. Return its epoch, or None if that has no room for it."""
        while True:
            epoch, end, at = self.epoch, self._definitions, self.at
            padded = name + b"\0" * (-len(name) % 8)
            begin = end - len(padded) - _DEFINITION.size
            if begin < at:
                return None
            facts = (run_id.encode("ascii"), index, len(name), epoch & 0xFFFFFFFF)
            check = zlib.crc32(padded + _DEFINITION.pack(*facts, 0)[:-4], self.nonce)
            whole = padded + _DEFINITION.pack(*facts, check)
            if (self.epoch == epoch and self._definitions == end) and self.at == at:
                self.map[begin:end] = whole
                self._definitions = begin
                if self.limit > begin:
                    self.limit = begin
                return epoch

    def drained_to(self, address: int) -> bool:
        """Note that everything up to `address` is stored. Return True if no later record is queued.

        In that case the next record wakes the writer thread.
        """
        self.drained = self._batch_begin = address
        if address >= self.base + self.at:
            self._resting = True
            self.limit = self.at
            return True
        self._resting = False
        self._set_limit()
        return False

    def nudge(self) -> None:
        """Make the next logging call go through :meth:`make_room`."""
        self.limit = self.at

    def waiting(self) -> tuple[list[SlotRange], int]:
        """Return the slots that are not drained yet, oldest first, and the address where they end."""
        older, begin, at, base = self._older, self._begin, self.at, self.base
        spans = [] if older is None else [older]
        spans.append(SlotRange(begin, at, base + begin))
        found = []
        for span in spans:
            skip = max(0, self.drained - span.address)
            if span.begin + skip < span.end:
                found.append(SlotRange(span.begin + skip, span.end, span.address + skip))
        return found, base + at

    def restore(self) -> bool:
        """Write a deleted file again. Return False if a signal handler logged meanwhile; then call it again.

        Raises:
            ArchiveFullError: the disk has no room for the file.
            OSError: its folder is gone too.
        """
        at, epoch, definitions = self.at, self.epoch, self._definitions
        new = self._create()
        new[PAGE:] = self.map[PAGE:]
        if (self.at == at and self.epoch == epoch) and self._definitions == definitions:
            self.map = new
            return True
        os.unlink(self.path)
        return False

    def remove(self) -> None:
        """Delete the file. Every point in it must already be in the archive."""
        self.limit = 0  # a thread that waits for the lock cannot write any more
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            warn(f"the journal {self.path} was deleted by another program; leave *{SUFFIX} files in place")


def _allocate(descriptor: int) -> None:
    """Allocate the whole file now: storing to a mapped page that the disk has no room for is a SIGBUS."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, FILE_BYTES)
        return
    at = os.lseek(descriptor, 0, os.SEEK_END)
    zeros = bytes(1 << 16)
    while at < FILE_BYTES:
        at += os.write(descriptor, zeros[: FILE_BYTES - at])


# Reading the journal of another process


def read_header(path: Path) -> Header | None:
    """Return the header of a journal, or None if the file does not begin with one."""
    with open(path, "rb") as file:
        page = file.read(PAGE)
    if len(page) < _HEADER.size:
        return None
    magic, version, size, check = _HEADER.unpack_from(page)
    text = page[_HEADER.size : _HEADER.size + size]
    if magic != _MAGIC or version != FORMAT or len(text) != size or zlib.crc32(text) != check:
        return None
    archive, owner, nonce = json.loads(text)
    return Header(archive, ProcessIdentity(*owner), nonce)


def is_stillborn(path: Path) -> bool:
    """Return whether a process, now dead, made this file and was killed before it wrote the header."""
    with open(path, "rb") as file:
        if any(file.read(PAGE)):
            return False
    maker = path.name[: -len(SUFFIX)].rpartition(".")[2].split("-")
    me = current_process()
    if len(maker) != 3 or maker[0] != me.host_id[:8] or not maker[1].isdecimal():
        return False
    # A recycled pid cannot be recognised here: the file then waits until that process ends too.
    try:
        os.kill(int(maker[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def read_points(path: Path, header: Header, drained: int) -> Iterator[JournalPoint | None]:
    """Yield every point from the address `drained` on, in the order of logging; None for one without a name.

    Records that do not verify are skipped. A kill tore them, so no call has returned for them, or an earlier
    epoch left them, so they are in the archive already.
    """
    data = path.read_bytes()
    segments = []
    for begin in range(PAGE, len(data) - SEGMENT + 1, SEGMENT):
        magic, epoch, nonce, check = _SEGMENT_HEADER.unpack_from(data, begin)
        facts = data[begin : begin + _SEGMENT_HEADER.size - CHECK.size]
        if magic == _SEGMENT_MAGIC and nonce == header.nonce and check == zlib.crc32(facts):
            segments.append((epoch, begin))
    for epoch, begin in sorted(segments):
        yield from _read_segment(data[begin : begin + SEGMENT], epoch, header.nonce, drained)


def _read_segment(data: bytes, epoch: int, nonce: int, drained: int) -> Iterator[JournalPoint | None]:
    names = _read_definitions(data, epoch, nonce)
    at = SLOT
    while at + SLOT <= len(data):
        address = epoch * SEGMENT + at
        count = _count_slots(data, at, address, nonce)
        if count and address >= drained:
            for _at, index, step, time_ms, value, _check in _SLOT.iter_unpack(data[at : at + count * SLOT]):
                known = names.get(index)
                yield None if known is None else JournalPoint(*known, step, int(time_ms), value)
        at += max(count, 1) * SLOT


def _count_slots(data: bytes, at: int, address: int, nonce: int) -> int:
    """Return how many slots the record at this place has; 0 if there is no valid record."""
    found, _index, _step, _time, _value, check = _SLOT.unpack_from(data, at)
    if found != address:
        return 0
    count = (check >> 32) or 1
    end = at + count * SLOT
    if end > len(data):
        return 0
    (expected,) = CHECK.unpack_from(data, end - CHECK.size)
    return count if zlib.crc32(data[at : end - CHECK.size], nonce) == expected else 0


def _read_definitions(data: bytes, epoch: int, nonce: int) -> dict[int, tuple[str, str]]:
    """Return run id and metric name of each series index that this epoch defined."""
    found: dict[int, tuple[str, str]] = {}
    end = len(data)
    while end - _DEFINITION.size > SLOT:
        run_id, index, size, when, check = _DEFINITION.unpack_from(data, end - _DEFINITION.size)
        begin = end - _DEFINITION.size - size - (-size % 8)
        if when != epoch & 0xFFFFFFFF or begin < SLOT:
            break
        if zlib.crc32(data[begin : end - 4], nonce) != check:
            break
        found[index] = (run_id.decode("ascii"), data[begin : begin + size].decode())
        end = begin
    return found


def is_owner_alive(header: Header) -> bool | None:
    """Return whether the journal's process still runs; None if it belongs to another host."""
    return is_alive(header.owner)


def has_living_family(archive: Path, owner: ProcessIdentity) -> bool:
    """Whether a process lives that was forked from `owner`, which is gone, and shares a run of this archive."""
    mark = f"-{owner.pid}-"
    try:
        paths = [path for path in list_journals(archive) if mark in path.name]
        return any(header_owner(path) == owner and is_family_alive(path) for path in paths)
    except OSError:
        return False  # a file vanished meanwhile, or may not be read


def header_owner(path: Path) -> ProcessIdentity | None:
    """Return the process that a journal names; None if the file does not begin with a header."""
    header = read_header(path)
    return None if header is None else header.owner
