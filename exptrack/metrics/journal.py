"""The side journal: where a logged point is safe before it is in the archive.

One file per process and archive, beside it, present only while a run is open. Preallocated, so that a full disk
is an error and no SIGBUS, and mapped, so that a point is written by storing to memory: what a killed process
stored there the kernel still has.

Invariants:

- Addresses count the bytes of an endless log. Epoch *e* covers ``[e * SEGMENT, (e + 1) * SEGMENT)`` and lives
  in one of the file's segments, taken in turn; a segment is taken again only when all of it is drained.
- A point is a slot of 48 bytes that names its own address, so what an earlier epoch left in its place is never
  taken for it. A record is one slot or, for values that stand or fall together, several; its last 8 bytes
  hold the CRC-32, begun with the journal's nonce, of all before them. A record is there whole or not at all.
- Slots name their series by a number. Definitions (number, run, metric name) grow from the segment's end
  towards the points; each epoch defines what it uses, so a segment is read without any other.
- Everything is done under `lock`. Nothing is reserved before a record's bytes and check are ready, and no
  signal handler can run between the reservation and the write (CPython runs them after calls and at jumps
  back, and there is neither): a handler that logs loses nothing.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from exptrack.errors import ArchiveFullError
from exptrack.process import ProcessIdentity, current_process, is_alive

SUFFIX = ".points"
FORMAT = 1
PAGE = 4096
SEGMENT = 1 << 20
SEGMENTS = 2
FILE_BYTES = PAGE + SEGMENTS * SEGMENT
SLOT = 48
GROUP_SLOTS = 4096  # more values in one call go straight into the archive
BATCH_BYTES = 10_000 * SLOT  # the writer is woken when so much waits
EVERYTHING = 2**63 - 1  # an address beyond every point

PRIVATE = 0o600
POPULATE_WRITE = 23  # Linux 5.14: fault pages in for writing, a batch cheaper than one by one
PREFAULT_BYTES = 64 * 1024

_MAGIC, _SEGMENT_MAGIC = b"EXPTJRNL", b"EXPTSEGM"
_HEADER = struct.Struct("=8sIII")  # magic, format, bytes of JSON that follow, their CRC-32
_SEGMENT_HEADER = struct.Struct("=8sQQQ")  # magic, epoch, nonce, CRC-32 of these
_DEFINITION = struct.Struct("=16sIIII")  # run id, number, bytes of the name before this, epoch, CRC-32

# A slot: address, series, step, milliseconds since the run's start, value, check.
POINT = struct.Struct("=QQqdd")
SINGLE = struct.Struct("=40sQ")
CHECK = struct.Struct("=Q")
_SLOT = struct.Struct("=QQqddQ")


class Header(NamedTuple):
    """What a journal says of itself: the archive it belongs to, its writer, and its name in that archive."""

    archive: str
    owner: ProcessIdentity
    nonce: int

    @property
    def key(self) -> str:
        """How the archive calls the journal, whatever the files are named."""
        return f"{self.nonce:08x}"


class Span(NamedTuple):
    """Slots that follow each other: where in the file, and the address of the first."""

    begin: int
    end: int
    address: int


class JournalPoint(NamedTuple):
    """A point as it was logged."""

    run_id: str
    name: str
    step: int
    time_ms: int
    value: float


def warn(message: str) -> None:
    """Tell what no call can raise."""
    import logging

    logging.getLogger("exptrack").warning("%s", message)


def journal_paths(archive: Path) -> list[Path]:
    """The journals beside an archive, whoever wrote them."""
    place = Path(os.path.realpath(archive))
    begin = f"{place.name}."
    names = sorted(n for n in os.listdir(place.parent) if n.startswith(begin) and n.endswith(SUFFIX))
    return [place.parent / name for name in names]


class Journal:
    """The journal this process writes.

    The logging call itself is written out where it is made (see ``metriclog``): these attributes are its parts.
    `at` is where in the file the next record goes, `base` what turns that into an address, and `limit` the
    place beyond which a record may not reach without asking :meth:`make_room`.

    Raises:
        ArchiveFullError: no room for the file.
        OSError: the folder cannot hold a mapped file.
    """

    def __init__(self, archive: Path, identity: str) -> None:
        place = Path(os.path.realpath(archive))
        owner = current_process()
        self.header = Header(identity, owner, secrets.randbits(32))
        self.path = place.parent / f"{place.name}.{owner.host_id[:8]}-{owner.pid}-{self.header.key}{SUFFIX}"
        self.nonce = self.header.nonce
        self.lock = threading.RLock()
        self.wake, self.batch_ready = threading.Event(), threading.Event()
        self.map = self._create()
        self.drained = 0  # address up to which everything is in the archive
        self.numbers = 0  # of series, given out so far
        self._resting = True
        self._batch_begin = 0
        self._prefaulted = PAGE
        self._older: Span | None = None
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
            text = json.dumps([self.header.archive, list(self.header.owner), self.header.nonce]).encode()
            # First, so that a process killed in here leaves a journal whose owner is known.
            os.write(descriptor, _HEADER.pack(_MAGIC, FORMAT, len(text), zlib.crc32(text)) + text)
            _allocate(descriptor)
            return mmap.mmap(descriptor, FILE_BYTES)
        except OSError as error:
            os.unlink(self.path)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise ArchiveFullError(
                    f"no room for the journal {self.path} ({FILE_BYTES:,} bytes); free space and try again",
                    path=str(self.path),
                ) from error
            raise
        finally:
            os.close(descriptor)

    def prefault(self, count: int) -> bool:
        """Make the next `count` bytes cheap to write; True while there are more."""
        count = min(count, FILE_BYTES - self._prefaulted)
        if count > 0 and hasattr(self.map, "madvise"):
            try:
                self.map.madvise(POPULATE_WRITE, self._prefaulted, count)
            except OSError:  # an older kernel: the pages come when they are written
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
        """Whether the caller is a signal handler that interrupted a logging call."""
        owned: bool = self.lock._is_owned()  # type: ignore[attr-defined]  # as threading.Condition asks it
        return owned

    # Writing. Every method expects the caller to hold the lock. A signal handler may still log in between, in
    # the same thread: what belongs together is read, or compared and written, without a call in between.

    @property
    def address(self) -> int:
        """Of the next record."""
        return self.base + self.at

    def make_room(self, size: int) -> bool:
        """Let a record of `size` bytes in; False when all segments wait to be drained.

        It may begin a new epoch, in which nothing is defined yet. Wakes the writer as needed.
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
        left = Span(self._begin, self.at, self.base + self._begin)
        if self.at == left.end and self.epoch == epoch - 1:
            self.map[begin : begin + SLOT] = header
            self._older = left
            self.epoch = epoch
            self.base = epoch * SEGMENT - begin
            self._begin = self.at = begin + SLOT
            self._definitions = self.limit = begin + SEGMENT
        return True

    def define(self, number: int, run_id: str, name: bytes) -> int | None:
        """Say what series `number` is; return the epoch that knows now, or None when it has no room for it."""
        while True:
            epoch, end, at = self.epoch, self._definitions, self.at
            padded = name + b"\0" * (-len(name) % 8)
            begin = end - len(padded) - _DEFINITION.size
            if begin < at:
                return None
            facts = (run_id.encode("ascii"), number, len(name), epoch & 0xFFFFFFFF)
            check = zlib.crc32(padded + _DEFINITION.pack(*facts, 0)[:-4], self.nonce)
            whole = padded + _DEFINITION.pack(*facts, check)
            if (self.epoch == epoch and self._definitions == end) and self.at == at:
                self.map[begin:end] = whole
                self._definitions = begin
                if self.limit > begin:
                    self.limit = begin
                return epoch

    def drained_to(self, address: int) -> bool:
        """Note a drain; True, and the next record wakes the writer, when nothing has come meanwhile."""
        self.drained = self._batch_begin = address
        if address >= self.base + self.at:
            self._resting = True
            self.limit = self.at
            return True
        self._resting = False
        self._set_limit()
        return False

    def nudge(self) -> None:
        """Make the next logging call come by :meth:`make_room`."""
        self.limit = self.at

    def waiting(self) -> tuple[list[Span], int]:
        """What is not drained yet, oldest first, and the address where it ends."""
        older, begin, at, base = self._older, self._begin, self.at, self.base
        spans = [] if older is None else [older]
        spans.append(Span(begin, at, base + begin))
        found = []
        for span in spans:
            skip = max(0, self.drained - span.address)
            if span.begin + skip < span.end:
                found.append(Span(span.begin + skip, span.end, span.address + skip))
        return found, base + at

    def restore(self) -> bool:
        """Write the file that somebody deleted again; False when a signal handler logged meanwhile.

        Raises:
            ArchiveFullError: no room for it.
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
        """Delete the file; everything in it must be in the archive."""
        self.limit = 0  # whoever waits for the lock meanwhile does not get in
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            warn(f"the journal {self.path} was deleted by somebody else")


def _allocate(descriptor: int) -> None:
    """Give the file all its bytes: a mapped page the disk has no room for would be a SIGBUS."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, FILE_BYTES)
        return
    at = os.lseek(descriptor, 0, os.SEEK_END)
    zeros = bytes(1 << 16)
    while at < FILE_BYTES:
        at += os.write(descriptor, zeros[: FILE_BYTES - at])


# Reading what somebody else left


def read_header(path: Path) -> Header | None:
    """The header of a journal, or None when the file does not begin with one."""
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
    """Whether the file is a journal whose maker, dead now, was killed before it wrote a header."""
    with open(path, "rb") as file:
        if any(file.read(PAGE)):
            return False
    maker = path.name[: -len(SUFFIX)].rpartition(".")[2].split("-")
    me = current_process()
    if len(maker) != 3 or maker[0] != me.host_id[:8] or not maker[1].isdecimal():
        return False
    # Nothing tells a recycled pid apart here: such a file waits until that process ends too.
    try:
        os.kill(int(maker[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def read_points(path: Path, header: Header, drained: int) -> Iterator[JournalPoint | None]:
    """Every point that was logged and is not drained, in the order of logging; None for one without a name.

    Whatever does not verify (torn by the kill, left by an earlier epoch) was never acknowledged, or is in
    the archive already; it is passed over.
    """
    data = path.read_bytes()
    segments = []
    for begin in range(PAGE, len(data) - SEGMENT + 1, SEGMENT):
        magic, epoch, nonce, check = _SEGMENT_HEADER.unpack_from(data, begin)
        facts = data[begin : begin + _SEGMENT_HEADER.size - CHECK.size]
        if magic == _SEGMENT_MAGIC and nonce == header.nonce and check == zlib.crc32(facts):
            segments.append((epoch, begin))
    for epoch, begin in sorted(segments):
        yield from _segment_points(data[begin : begin + SEGMENT], epoch, header.nonce, drained)


def _segment_points(data: bytes, epoch: int, nonce: int, drained: int) -> Iterator[JournalPoint | None]:
    names = _definitions(data, epoch, nonce)
    at = SLOT
    while at + SLOT <= len(data):
        address = epoch * SEGMENT + at
        count = _record_slots(data, at, address, nonce)
        if count and address >= drained:
            for _at, number, step, time_ms, value, _check in _SLOT.iter_unpack(data[at : at + count * SLOT]):
                known = names.get(number)
                yield None if known is None else JournalPoint(*known, step, int(time_ms), value)
        at += max(count, 1) * SLOT


def _record_slots(data: bytes, at: int, address: int, nonce: int) -> int:
    """Of how many slots the record at this place consists; 0: there is none."""
    found, _number, _step, _time, _value, check = _SLOT.unpack_from(data, at)
    if found != address:
        return 0
    count = (check >> 32) or 1
    end = at + count * SLOT
    if end > len(data):
        return 0
    (expected,) = CHECK.unpack_from(data, end - CHECK.size)
    return count if zlib.crc32(data[at : end - CHECK.size], nonce) == expected else 0


def _definitions(data: bytes, epoch: int, nonce: int) -> dict[int, tuple[str, str]]:
    """Series numbers with run id and metric name."""
    found: dict[int, tuple[str, str]] = {}
    end = len(data)
    while end - _DEFINITION.size > SLOT:
        run_id, number, size, when, check = _DEFINITION.unpack_from(data, end - _DEFINITION.size)
        begin = end - _DEFINITION.size - size - (-size % 8)
        if when != epoch & 0xFFFFFFFF or begin < SLOT:
            break
        if zlib.crc32(data[begin : end - 4], nonce) != check:
            break
        found[number] = (run_id.decode("ascii"), data[begin : begin + size].decode())
        end = begin
    return found


def owner_lives(header: Header) -> bool | None:
    """Whether the journal's process still runs; None when it is another host's."""
    return is_alive(header.owner)
