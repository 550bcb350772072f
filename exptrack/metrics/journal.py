"""Keep logged points safe until they are in the archive: the journal, a mapped file beside the archive.

Each process has one journal per archive, and only while a run is open. Writing a point is a store to mapped
memory, and the kernel keeps the stored bytes when the process is killed.

Invariants:

- Addresses count the slots of an endless log. Epoch *e* covers ``[e * SEGMENT_SLOTS, (e + 1) * SEGMENT_SLOTS)``
  and lives in one segment of the file. A segment is used again only once it is drained and filled with zeros.
- A point is a slot of 48 bytes. A record is one slot, or several for values that are stored all or none. The
  last 8 bytes of a record hold the CRC-32 of all its other bytes, begun with the epoch's seed. A reader accepts
  the whole record or none of it.
- Slots name their series by an index. A definition (index, run id, metric name) is a record too, before the
  first point that needs it. Each epoch defines every series it uses. So a segment can be read without the
  others, and the rest of a file that was cut still names its series.
- `kept` holds all undrained records in memory. The archive gets them from there, and so does a file that
  another program has cut, replaced or deleted. Nothing is read back from the file.
- All writing happens under `lock`. Space is reserved only when a record's bytes and check are ready. No signal
  handler can run between the reservation and the write: CPython runs handlers after calls and at backward
  jumps, and there is neither. So a handler that logs loses nothing.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import zlib
from collections import deque
from contextlib import AbstractContextManager, nullcontext, suppress

from exptrack.errors import ArchiveFullError, warn
from exptrack.metrics.bus_error import protect
from exptrack.metrics.journal_file import (
    HEADER_BYTES,
    HEADER_SLOTS,
    MOST_SEGMENTS,
    POPULATE_WRITE,
    SEGMENT_BYTES,
    SEGMENT_SLOTS,
    SLOT,
    SUFFIX,
    FileState,
    Header,
    JournalFile,
)
from exptrack.metrics.journal_locks import Family, give_up_mapping, make_fork_mark
from exptrack.named_tuples import NamedTuple
from exptrack.process import current_process
from exptrack.threads import Signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol


# The writer thread is woken when this much is queued: nearly a segment, as each drain costs a few milliseconds
# besides its points. Meanwhile the other segment is free.
BATCH_SLOTS = 20_000
EPOCHS_AT_ONCE = 4  # drained in one transaction
EVERYTHING = 2**63 - 1  # an address beyond every point
PREFAULT_BYTES = 64 * 1024
LEFT_OPEN = 8

# A slot: its place in the file, series, step, milliseconds since the run's start, value, check.
POINT = struct.Struct("<QQqdd")
# The first slot of a definition: place, index, length of the name that follows, epoch, run id, slots << 32.
DEFINITION = struct.Struct("<QQII16sQ")
IS_DEFINITION, MASK = 1 << 63, 0xFFFFFFFF
SINGLE = struct.Struct("<40sQ")
CHECK = struct.Struct("<Q")
NO_CHECK = bytes(CHECK.size)


def seed_of(epoch: int, nonce: int) -> int:
    """Return the number that the checks of an epoch begin with: a record of another epoch does not verify."""
    return zlib.crc32(CHECK.pack(epoch), nonce)


if TYPE_CHECKING:

    class JournalParts(Protocol):
        """The parts of a journal that the logging calls in ``log`` read and set themselves.

        `at` is the slot of the next record in the file. A record that would reach beyond `room` has to ask
        :meth:`Journal.make_room` first. `limit` is the same for stores into `map`; it is 0 while there is no
        map. `epoch` tells whether a definition still holds, and checks begin with `seed`. `mark` is false in a
        process that C code has forked: there the journal is the parent's.
        """

        at: int
        limit: int
        room: int
        epoch: int
        seed: int
        kept: list[bytes | None]

        @property
        def mark(self) -> object: ...
        @property
        def lock(self) -> AbstractContextManager[object]: ...
        @property
        def map(self) -> mmap.mmap | bytearray | None: ...
        def write(self, slot: int, data: bytes) -> None: ...


class _NoJournal:
    """The journal of a run that has none: no record fits into it, so every call is a commit."""

    # Guards nothing. A real lock shared by all runs could be held by another thread at a fork, and the child
    # would inherit it locked.
    lock = nullcontext()
    at = limit = room = seed = 0
    epoch = -1
    map = bytearray()
    kept: list[bytes | None]
    mark = False

    def __init__(self) -> None:
        self.kept = []

    def write(self, slot: int, data: bytes) -> None:
        """Do nothing: no record fits."""


NO_JOURNAL: JournalParts = _NoJournal()


class _Epoch:
    """An epoch with records that are not drained: its number, its first slot in the file, its definitions.

    `end` is the slot after its last record, once the next epoch has begun. `names` holds the definitions by
    their slots.
    """

    __slots__ = ("end", "first", "names", "number")

    def __init__(self, number: int, first: int) -> None:
        self.number = number
        self.first = first
        self.end = first
        self.names: dict[int, bytes] = {}

    @property
    def base(self) -> int:
        """What is added to a slot of the file to get its address."""
        return self.number * SEGMENT_SLOTS - self.first


class Waiting(NamedTuple):
    """Undrained points as they stand in a journal, in the order of logging, and the address where they end."""

    slots: bytes
    address: int


class Journal:
    """The journal that this process writes; the logging calls use its :class:`JournalParts` directly.

    Raises:
        ArchiveFullError: the disk has no room for the file.
        OSError: the folder cannot hold the file.
    """

    def __init__(self, archive: str | os.PathLike[str], identity: str) -> None:
        folder, place = os.path.split(os.path.realpath(archive))
        owner = current_process()
        header = Header(identity, owner, int.from_bytes(os.urandom(4), "big"))
        name = f"{place}.{owner.host_id[:8]}-{owner.pid}-{header.key}{SUFFIX}"
        self.lock = threading.RLock()
        self.wake, self.begun, self.batch_ready = Signal(), Signal(), Signal()
        self.mark: object = False  # until the first point, see `begin_mark`
        self.file = JournalFile(os.path.join(folder, name), header)
        self.family = Family(self.file.path)
        self.map: mmap.mmap | None = self.file.map
        self.nonce = header.nonce
        self.tampered = False
        self._removed = self._mending = False
        self._left: list[JournalFile] = []  # replaced ones: the call that a handler interrupts may be inside
        self._in_danger = False  # the file is gone and cannot be written again
        self.drained = 0  # the address up to which everything is in the archive
        self.series_count = 0  # the next free index of a series
        self.kept: list[bytes | None] = [None] * (HEADER_SLOTS + header.segments * SEGMENT_SLOTS)
        self._epochs = deque([_Epoch(0, HEADER_SLOTS)])
        self._batch_begin = 0
        self._prefaulted = HEADER_BYTES
        self.epoch = 0
        self.seed = seed_of(0, self.nonce)
        self.at = HEADER_SLOTS
        self._rest()
        self.prefault(PREFAULT_BYTES)

    @property
    def path(self) -> str:
        """Where the file is, or was."""
        return self.file.path

    @property
    def header(self) -> Header:
        """The head of the file."""
        return self.file.header

    @property
    def key(self) -> str:
        """The journal's name in the archive's tables."""
        return self.file.header.key

    def write(self, slot: int, data: bytes) -> None:
        """Write a record where nothing is mapped, before its space is reserved.

        Raises:
            OSError: the file cannot be written any more.
        """
        if self.file.is_cut(or_deleted=True) and self.is_safe:
            self.look()
        while True:
            file = self.file
            file.write(slot * SLOT, data)
            if file is self.file:  # otherwise a signal handler has just made another
                return

    def begin_mark(self) -> None:
        """Let :attr:`mark` tell from now on whether C code has forked this process."""
        self.mark = self.mark or make_fork_mark()

    def prefault(self, count: int) -> bool:
        """Make the next `count` bytes cheap to write. Return True while there are more."""
        mapped = self.map
        if mapped is None or not hasattr(mapped, "madvise"):
            return False
        # By the length of the mapping: while the file grows, its header is ahead of it.
        count = min(count, len(mapped) - self._prefaulted)
        if count <= 0:
            return False
        try:
            mapped.madvise(POPULATE_WRITE, self._prefaulted, count)
        except OSError:  # an older kernel faults each page in at its first write; or the file was cut
            return False
        self._prefaulted += count
        return True

    def held_by_this_thread(self) -> bool:
        """Return whether the caller is a signal handler that interrupted a logging call."""
        owned: bool = self.lock._is_owned()  # type: ignore[attr-defined]  # threading.Condition calls it too
        return owned

    # Writing. The caller of each method holds the lock. A signal handler in the same thread may still log in
    # between. So attributes that belong together are read, or compared and written, without a call in between.

    @property
    def address(self) -> int:
        """The address of the next record."""
        return self._epochs[-1].base + self.at

    def _rest(self) -> None:
        """Let the next record ask for room, whatever its size."""
        self.resting = True
        self.room = self.limit = self.at

    def _open_room(self, room: int) -> None:
        self.room = room
        self.limit = room if self.map is not None else 0

    @property
    def _end(self) -> int:
        """The slot where the segment in use ends."""
        return self._epochs[-1].first + SEGMENT_SLOTS

    def make_room(self, slots: int, *, grow: bool = False) -> bool:
        """Make room for a record of this many slots. Return False if every segment waits to be drained.

        This may begin a new epoch, in which no series is defined yet. It wakes the writer thread when needed.
        With `grow` the file gets one more segment if it has to.

        Raises:
            ArchiveFullError: the disk has no room for another segment.
            OSError: the file cannot be written any more.
        """
        if self.resting:
            protect(self)  # not before: what it imports would make the start of each run dearer
            self.look()
            self.resting = False
            self._batch_begin = self.address
            self._open_room(min(self._end, self.at + BATCH_SLOTS))
            self.wake.set()
            self.begun.set()
        if self.at + slots <= self.room:
            return True
        self.batch_ready.set()
        if self.at + slots <= self._end:
            self._open_room(self._end)
            return True
        return self._next_epoch(grow)

    def _next_epoch(self, grow: bool) -> bool:
        taken = {one.first for one in self._epochs}
        segments = self.file.header.segments
        firsts = range(HEADER_SLOTS, HEADER_SLOTS + segments * SEGMENT_SLOTS, SEGMENT_SLOTS)
        first = next((place for place in firsts if place not in taken), None)
        if first is None:
            if not grow or segments >= MOST_SEGMENTS:
                return False
            self.look()
            self.file.grow()
            self.map = self.file.map
            self.kept += [None] * SEGMENT_SLOTS
            first = firsts.stop
        epoch, at, left = _Epoch(self.epoch + 1, first), self.at, self._epochs[-1]
        seed = seed_of(epoch.number, self.nonce)
        mapped = self.map is not None
        if self.at == at and self.epoch == left.number:
            left.end = at
            self._epochs += (epoch,)
            self.epoch, self.seed = epoch.number, seed
            self.at = first
            self.room = first + SEGMENT_SLOTS
            self.limit = self.room if mapped else 0
        return True

    def define(self, index: int, run_id: str, name: bytes) -> int | None:
        """Define the series of an index. Return its epoch, or None if that has no room for it.

        Raises:
            OSError: the file cannot be written any more.
        """
        slots = 1 + -(-(len(name) + CHECK.size) // SLOT)
        while True:
            epoch, at, mapped = self._epochs[-1], self.at, self.map
            end = at + slots
            if end > epoch.first + SEGMENT_SLOTS:
                return None
            facts = (at, index | IS_DEFINITION, len(name), epoch.number & MASK, run_id.encode("ascii"))
            body = (DEFINITION.pack(*facts, slots << 32) + name).ljust(slots * SLOT - CHECK.size, b"\0")
            whole = body + CHECK.pack(zlib.crc32(body, self.seed))
            if mapped is None:
                self.write(at, whole)
            if self.epoch == epoch.number and self.at == at and self.map is mapped:
                epoch.names[at] = body
                self.at = end
                if mapped is not None:
                    mapped[at * SLOT : end * SLOT] = whole
                return epoch.number

    def waiting(self) -> Waiting:
        """Return the points that are not drained yet, oldest first: those of at most four epochs."""
        found = []
        address = self.drained
        for epoch in list(self._epochs)[:EPOCHS_AT_ONCE]:
            end = self.at if epoch.number == self.epoch else epoch.end
            begin = max(epoch.first, self.drained - epoch.base)
            found += list(filter(None, self.kept[begin:end]))
            address = max(address, epoch.base + end)
        return Waiting(NO_CHECK.join(found) + NO_CHECK if found else b"", address)

    def count_waiting(self) -> int:
        """Return how many points are not drained yet."""
        return sum((len(body) + CHECK.size) // SLOT for body in self.kept if body is not None)

    def drained_to(self, address: int) -> bool:
        """Note that everything up to `address` is stored. Return True if no later record is queued.

        In that case the next record wakes the writer thread.
        """
        address = max(address, self.drained)  # another process may have stored more than the caller knew
        while len(self._epochs) > 1 and address >= self._epochs[0].base + self._epochs[0].end:
            self._free()
        first = self._epochs[0]
        begin, end = max(first.first, self.drained - first.base), max(first.first, address - first.base)
        self.kept[begin:end] = [None] * max(0, end - begin)
        self.drained = self._batch_begin = address
        if address >= self.address:
            self._rest()
            return True
        self.resting = False
        self._open_room(min(self._end, self.at + BATCH_SLOTS))
        return False

    def _free(self) -> None:
        """Fill the oldest segment with zeros, so that nothing in it is taken for damage or for new points."""
        epoch = self._epochs.popleft()
        self.kept[epoch.first : epoch.first + SEGMENT_SLOTS] = [None] * SEGMENT_SLOTS
        self.look()
        begin, mapped = epoch.first * SLOT, self.map
        if mapped is not None:
            mapped[begin : begin + SEGMENT_BYTES] = bytes(SEGMENT_BYTES)
            return
        with suppress(OSError):  # then records cannot be written either, and that is told
            self.file.write(begin, bytes(SEGMENT_BYTES))

    def nudge(self) -> None:
        """Make the next logging call go through :meth:`make_room`."""
        self.room = self.limit = self.at

    # What other programs do to the file

    @property
    def is_safe(self) -> bool:
        """Whether a kill loses nothing: the file stands at its place, as far as the last look saw."""
        return not self._in_danger

    def look(self) -> None:
        """Write the file again, with a warning, if it was cut, replaced or deleted.

        If that fails, a warning says so once, and the next look tries again.
        """
        state = self.file.state()
        if state is not FileState.WHOLE and not self._removed:
            self._write_again(state)

    def _write_again(self, state: FileState) -> None:
        if self._mending:
            return  # by the call that this signal handler interrupts
        try:
            self._mending = True
            try:
                self.mend(state)
            finally:
                self._mending = False
        except (OSError, ArchiveFullError) as error:
            if not self._in_danger:
                self._in_danger = True
                warn(
                    f"the journal {self.path} was {state.value} by another program and cannot be written again"
                    f" ({error}); until it can, a kill loses points that are not in the archive yet"
                )
            return
        self._in_danger = False
        warn(
            f"the journal {self.path} was {state.value} by another program; it was written again, nothing is"
            f" lost: leave *{SUFFIX} files in place"
        )

    def heal(self) -> bool:
        """Let a store go on that met a cut file; called while it is under way. Return False if none was cut.

        The store repeats into the old mapping, and its record is in memory already.
        """
        if self.map is None or not self.file.is_cut():
            return False
        try:
            self.file.lengthen()
        except (OSError, ArchiveFullError):
            return False  # without room for the file the store cannot succeed
        self._write_again(FileState.CUT if self.file.state() is not FileState.GONE else FileState.GONE)
        return True

    def mend(self, state: FileState) -> None:
        """Give the file its length and all undrained records again, and write later ones by system calls.

        Raises:
            ArchiveFullError: the disk has no room for the file.
            OSError: its folder is gone too, or it cannot be written.
        """
        self.tampered = True
        old = file = self.file
        old.stop_mapping()
        self.map, self.limit = None, 0
        if state is FileState.CUT:
            old.lengthen()
        else:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
            file = JournalFile(self.path, old.header)
            file.take_runs_of(old)
            file.stop_mapping()
        self.file = file  # a signal handler that logs from now on writes there
        try:
            at, last = self.at, self._epochs[-1]
            file.write(0, file.header.pack())
            for epoch in list(self._epochs):
                file.write(epoch.first * SLOT, self._image(epoch))
            # The images may have overwritten records that a signal handler has logged meanwhile.
            for slot in range(at, last.first + SEGMENT_SLOTS):
                body = self.kept[slot] or last.names.get(slot)
                if body is not None:
                    check = zlib.crc32(body, seed_of(last.number, self.nonce))
                    file.write(slot * SLOT, body + CHECK.pack(check))
        except BaseException:
            self.file = old
            raise
        if file is not old:
            self._left.append(old)
            if len(self._left) > LEFT_OPEN:
                self._left.pop(0).close()

    def _image(self, epoch: _Epoch) -> bytes:
        """Return the segment of an epoch as it has to stand in the file."""
        image = bytearray(SEGMENT_BYTES)
        seed = seed_of(epoch.number, self.nonce)
        records = enumerate(self.kept[epoch.first : epoch.first + SEGMENT_SLOTS], epoch.first)
        for slot, body in [*records, *epoch.names.items()]:
            if body is not None:
                at = (slot - epoch.first) * SLOT
                image[at : at + len(body) + CHECK.size] = body + CHECK.pack(zlib.crc32(body, seed))
        return bytes(image)

    def give_up(self) -> None:
        """Leave the file as it is, and let go of it: nothing is written into it any more."""
        with self.lock:
            self.room = self.limit = 0  # a thread that waits for the lock cannot write either
            self._removed = True
        self.map = None
        for file in (self.file, *self._left):
            file.close()

    def leave_to_parent(self) -> None:
        """In a forked child: drop the mapping and the descriptors, and with them the lock of the writer.

        Takes no lock: another thread of the parent may have held it.
        """
        give_up_mapping(self.map)
        for file in (self.file, *self._left):
            file.close()

    def remove(self) -> None:
        """Delete the file, or warn if that fails. Every point in it must already be in the archive."""
        self.give_up()
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            warn(f"the journal {self.path} was deleted by another program; leave *{SUFFIX} files in place")
        except OSError as error:
            warn(
                f"the journal {self.path} cannot be deleted ({error.strerror}), but all its points are in the"
                " archive; a later opening deletes it"
            )

    def discard(self) -> None:
        """Delete the file of a journal that no run uses, unless it is gone, perhaps with its folder."""
        if self.file.state() is FileState.GONE:
            self.give_up()
        else:
            self.remove()
