"""Find what SQLite does not see of a damaged write-ahead log: transactions that it passes over, and a lost end.

SQLite reads a WAL up to the first frame that does not verify, and the next writer overwrites the rest. A kill
can tear the last transaction only, which was never acknowledged. So a commit that stands behind the end that
SQLite found, and that verifies, was acknowledged: the log is damaged before it. A power cut can tear any frame
that was not synced, and nobody was promised those. So nothing is told of a log that was last written before the
system began.

The format is described at https://www.sqlite.org/fileformat2.html#the_write_ahead_log. The checksums are
cumulative: each frame's continues that of the frame before it. Behind a damaged frame they are recomputed from
the checksum that the frame before stores, or from the one that it ought to store.

Invariant: this costs one comparison of sizes, unless something stands behind the end that SQLite found.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Iterator

from exptrack.database.disk import NO_ROOM
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS
from exptrack.database.hold import Hold
from exptrack.errors import ArchiveFullError, ArchiveIOError, warn
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

HEADER = struct.Struct(">8I")  # magic, format, page size, sequence, salt 1, salt 2, checksum 1, checksum 2
FRAME = struct.Struct(">6I")  # page, pages after a commit (else 0), salt 1, salt 2, checksum 1, checksum 2
BIG_ENDIAN_SUMS, LITTLE_ENDIAN_SUMS = 0x377F0683, 0x377F0682
# The index in shared memory: https://www.sqlite.org/walformat.html#the_wal_index_file_format
INDEX = struct.Struct("=IIIBBHII")  # version, unused, changes, is set, big-endian, page size, frames, pages
COPIED, COPIED_AT = struct.Struct("=I"), 96  # in the index: how many frames are copied into the file
SALTS_AT = 16  # in the header
SETTLING_S = 0.05  # where nothing tells whether a writer is between its frames and the new end
WHOLE = 0xFFFFFFFF
# A forged log may be endless, so exptrack looks at no more frames than these, and verifies no more of them.
MOST_FRAMES = 1 << 18  # 1 GiB of usual pages
MOST_VERIFIED = 2_000

Sums = tuple[int, int]


class Frame(NamedTuple):
    """The header of a frame: its page, its role in a transaction, its salts and its checksum."""

    page: int
    pages_after_commit: int
    salts: Sums
    sums: Sums


def count_passed_over(held: Hold, page_bytes: int) -> int:
    """Return how many transactions stand in the WAL behind the end that SQLite found, although they verify.

    SQLite has read the WAL before. While another process writes, the answer is 0.
    """
    wal, shm = held.wal, held.shm
    frame_bytes = FRAME.size + page_bytes
    frames = (os.fstat(wal).st_size - HEADER.size) // frame_bytes
    end = _read_end(shm)
    if end is None or frames <= end or not _written_since_boot(wal):
        return 0
    log = _Log(wal, frame_bytes)
    found = sum(1 for _number in log.commits_behind(end, frames))
    if not found:
        return 0
    # A writer adds frames first, then moves the end, then drops the lock. So look in the opposite order.
    if not HAS_OPEN_FILE_LOCKS:
        time.sleep(SETTLING_S)
    return found if not held.is_written() and _read_end(shm) == end else 0


def _written_since_boot(wal: int) -> bool:
    """Whether no power cut can have torn the log."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    up_s = time.monotonic() if clock is None else time.clock_gettime(clock)
    return os.fstat(wal).st_mtime > time.time() - up_s


def is_cut(held: Hold) -> bool:
    """Whether the WAL ends before the last frame that SQLite takes for valid."""
    index = _read_index(held.shm)
    if index is None:
        return False
    # Another process may have begun the log afresh meanwhile.
    return os.fstat(held.wal).st_size < _whole_bytes(*index) and _read_index(held.shm) == index


def empty_if_stale(held: Hold) -> None:
    """Empty a WAL that was cut, if all that is left of it is in the file already. Call while no one writes.

    The file then also has later changes of the same pages. The next opener would read the older ones over them.
    """
    index = _read_index(held.shm)
    copied = os.pread(held.shm, COPIED.size, COPIED_AT)
    if (
        index is not None
        and len(copied) == COPIED.size
        and _whole_bytes(index[0], *COPIED.unpack(copied)) > (os.fstat(held.wal).st_size)
    ):
        os.truncate(held.wal_path, 0)


def _whole_bytes(page_size: int, frames: int) -> int:
    """Return how long a WAL of that many frames is. The index has the page size in two bytes: 65,536 as 1."""
    frame_bytes = FRAME.size + (page_size if page_size > 1 else 1 << 16)
    return HEADER.size + frames * frame_bytes if frames else 0


def _read_end(shm: int) -> int | None:
    """Return how many frames SQLite takes for valid; None if there is no index."""
    index = _read_index(shm)
    return None if index is None else index[1]


def _read_index(shm: int) -> tuple[int, int] | None:
    """Return the page size and the number of valid frames in the index; None if there is none."""
    raw = os.pread(shm, INDEX.size, 0)
    if len(raw) < INDEX.size:
        return None
    _version, _unused, _changes, is_set, _big_endian, page_size, frames, _pages = INDEX.unpack(raw)
    return (int(page_size), int(frames)) if is_set else None


def keep_if_damaged(held: Hold, place: str, page_bytes: int, may_write: bool, writes: bool) -> None:
    """Keep a copy of a damaged WAL before anything touches it, and warn. `writes`: this process may commit.

    `may_write` is false where SQLite leaves the file alone, so that no copy is needed.

    Raises:
        ArchiveFullError: there is no room for a copy, and this process would overwrite the WAL.
        ArchiveIOError: no copy could be made for another reason, and this process would overwrite the WAL.
    """
    lost = count_passed_over(held, page_bytes)
    if not lost:
        return
    behind = f"{lost} committed transaction{'s' * (lost != 1)} in it cannot be read"
    told = f"{held.wal_path} is damaged: {behind}"
    if not may_write:
        warn(f"{told}; let a user who may write {place} open it")
        return
    salts = os.pread(held.wal, 8, SALTS_AT).hex()
    base = f"{held.path}.damaged-{salts}"
    try:
        if not os.path.exists(f"{base}-wal"):
            held.keep_aside(base)
    except OSError as error:
        held.leaves_wal = True
        message = f"{told}, and no copy of it can be kept ({error.strerror}); make room, or copy it away"
        if writes:
            kind = ArchiveFullError if error.errno in NO_ROOM else ArchiveIOError
            raise kind(message, path=str(place)) from error
        warn(message)
    else:
        warn(f"{told}; the file and its log are kept as {base} and {base}-wal")


def list_kept(place: str | os.PathLike[str]) -> list[Path]:
    """List the damaged WALs of an archive that were kept beside it."""
    from pathlib import Path

    real = Path(os.path.realpath(place))
    pattern = re.compile(re.escape(real.name) + r"\.damaged-[0-9a-f]{16}-wal")
    try:
        return [real.parent / name for name in sorted(os.listdir(real.parent)) if pattern.fullmatch(name)]
    except OSError:
        return []  # a folder that may be entered but not listed


class _Log:
    def __init__(self, wal: int, frame_bytes: int) -> None:
        self.wal = wal
        self.frame_bytes = frame_bytes
        self.header = self._read(HEADER.size, 0)

    def commits_behind(self, end: int, frames: int) -> Iterator[int]:
        """Yield the number of each commit behind frame `end` that verifies and belongs to this log.

        The frames of an earlier log, which was read to its end and begun afresh, have other salts. A first
        commit that continues the log without a gap was never acknowledged: its writer was killed before it
        moved the end. SQLite stops at no frame of it, so nothing before it is damaged.
        """
        salts = self._salts(end, frames)
        tries = 0
        for number in range(end + 1, min(frames, end + MOST_FRAMES) + 1):
            frame = self._frame(number)
            if frame.pages_after_commit and frame.salts == salts:
                tries += 1
                if self._verifies(number, frame) and not (tries == 1 and self._continues(end, number, salts)):
                    yield number
                if tries == MOST_VERIFIED:
                    return

    def _continues(self, end: int, last: int, salts: Sums) -> bool:
        """Whether each frame behind `end` up to `last` continues the one before it, as SQLite reads a log."""
        big_endian = self._byte_orders()[0]
        if last - end > MOST_VERIFIED or self._sums_of_header() != HEADER.unpack(self.header)[6:]:
            return False
        before = self._frame(end).sums if end else HEADER.unpack(self.header)[6:]
        for number in range(end + 1, last + 1):
            frame, body = self._frame(number), self._read(self.frame_bytes, self._place(number))
            before = add_sums(body[:8] + body[FRAME.size :], before, big_endian)
            if frame.salts != salts or frame.sums != before:
                return False
        return True

    def _salts(self, end: int, frames: int) -> Sums:
        """The salts of this log: those in its header, or, if the header is damaged, those of its frames."""
        if end or self._sums_of_header() == HEADER.unpack(self.header)[6:]:
            return HEADER.unpack(self.header)[4:6]
        return self._frame(min(2, frames)).salts

    def _verifies(self, number: int, frame: Frame) -> bool:
        """Whether a frame continues the one before it, whose stored checksum may be what is damaged."""
        body = self._read(self.frame_bytes, self._place(number))
        data = body[:8] + body[FRAME.size :]
        for big_endian in self._byte_orders():
            for before in self._before(number, big_endian):
                if add_sums(data, before, big_endian) == frame.sums:
                    return True
        return False

    def _before(self, number: int, big_endian: bool) -> Iterator[Sums]:
        """Yield the checksum that the part before a frame stores, then the one that it ought to store."""
        if number == 1:
            yield HEADER.unpack(self.header)[6:]
            yield add_sums(self.header[:24], (0, 0), big_endian)
            return
        yield self._frame(number - 1).sums
        before = HEADER.unpack(self.header)[6:] if number == 2 else self._frame(number - 2).sums
        body = self._read(self.frame_bytes, self._place(number - 1))
        yield add_sums(body[:8] + body[FRAME.size :], before, big_endian)

    def _byte_orders(self) -> tuple[bool, ...]:
        magic = HEADER.unpack(self.header)[0]
        return {BIG_ENDIAN_SUMS: (True,), LITTLE_ENDIAN_SUMS: (False,)}.get(magic, (False, True))

    def _sums_of_header(self) -> Sums:
        return add_sums(self.header[:24], (0, 0), self._byte_orders()[0])

    def _place(self, number: int) -> int:
        return HEADER.size + (number - 1) * self.frame_bytes

    def _read(self, size: int, at: int) -> bytes:
        """Read bytes, zeros beyond the end: another process may begin the log afresh and cut it meanwhile."""
        return os.pread(self.wal, size, at).ljust(size, b"\0")

    def _frame(self, number: int) -> Frame:
        page, pages, salt_1, salt_2, sum_1, sum_2 = FRAME.unpack(self._read(FRAME.size, self._place(number)))
        return Frame(page, pages, (salt_1, salt_2), (sum_1, sum_2))


def add_sums(data: bytes, before: Sums, big_endian: bool) -> Sums:
    """Continue SQLite's checksum of a WAL over `data`, whose length is a multiple of 8."""
    first, second = before
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & WHOLE
        second = (second + odd + first) & WHOLE
    return first, second
