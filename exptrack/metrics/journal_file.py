"""The file of a journal: its layout, how it is made, grown and mapped, and how a change by others is seen.

Invariants:

- The whole length is allocated before a header names it, so a full disk is an error and not a SIGBUS. A file
  that is shorter than its header says was cut by something else.
- The header stands there twice, so damage to one copy loses nothing.
- Other programs may cut, replace or delete the file at any time. So its process reads nothing back from it,
  and writes it again from memory.
- A file with the name of a journal may be anything. exptrack opens only a regular file, and reads no more than
  the longest journal holds. It believes a header only if every value in it is possible.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
import stat
import struct
import zlib
from contextlib import suppress
from enum import Enum

from exptrack.errors import ArchiveFullError, ArchiveIOError
from exptrack.metrics.journal_locks import hold_for_writer, hold_run, release_run
from exptrack.named_tuples import NamedTuple
from exptrack.process import ProcessIdentity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".points"
JOURNAL_NAME = r"\.[0-9a-f]{8}-[0-9]+-[0-9a-f]{8}" + re.escape(SUFFIX)  # host, process, key
FORMAT = 2
PAGE = 4096
SLOT = 48
HEADER_SLOTS = 256
HEADER_BYTES = HEADER_SLOTS * SLOT  # 3 pages: two copies of the header, and a page of zeros
SEGMENT_SLOTS = 85 * 256
SEGMENT_BYTES = SEGMENT_SLOTS * SLOT  # 255 pages
SEGMENTS = 2  # of a new file
MOST_SEGMENTS = 64  # of a file that has grown while the archive could not be written

WRITING, PRIVATE = 0o600, 0o400  # once it is open, not even its owner truncates the file by mistake
POPULATE_WRITE = 23  # MADV_POPULATE_WRITE of Linux 5.14: faulting pages in together is cheaper than singly

_MAGIC = b"EXPTJRNL"
_HEADER = struct.Struct("<8sIII")  # magic, format, bytes of JSON that follow, CRC-32 of all but these 4 bytes


class Header(NamedTuple):
    """The head of a journal file: its archive, the process that writes it, its nonce, and its length."""

    archive: str
    owner: ProcessIdentity
    nonce: int
    segments: int = SEGMENTS

    @property
    def key(self) -> str:
        """The journal's name in the archive's tables, independent of file names."""
        return f"{self.nonce:08x}"

    @property
    def file_bytes(self) -> int:
        """The length of the file."""
        return HEADER_BYTES + self.segments * SEGMENT_BYTES

    def pack(self) -> bytes:
        """Return the first pages of the file, with both copies."""
        text = json.dumps([self.archive, list(self.owner), self.nonce, self.segments]).encode()
        facts = _HEADER.pack(_MAGIC, FORMAT, len(text), 0)[:-4]
        copy = facts + struct.pack("<I", zlib.crc32(facts + text)) + text
        return copy.ljust(PAGE, b"\0") + copy.ljust(PAGE, b"\0")


class FileState(Enum):
    """What other programs have done to the file."""

    WHOLE = "whole"
    CUT = "cut short"
    GONE = "deleted or replaced"


def list_journals(archive: str | os.PathLike[str]) -> list[Path]:
    """Return the paths of all journals beside an archive, of every process and host.

    A FIFO, device, folder or link with the name of a journal is none.

    Raises:
        OSError: the folder cannot be listed.
    """
    folder, name = os.path.split(os.path.realpath(archive))
    # Exactly: the journals of lab.db.bak begin with lab.db, too.
    beside = [one for one in os.listdir(folder) if one.startswith(f"{name}.") and one.endswith(SUFFIX)]
    names = sorted(one for one in beside if re.fullmatch(JOURNAL_NAME, one[len(name) :]))
    if not names:
        return []
    from pathlib import Path

    return [path for one in names if _is_file(path := Path(folder, one))]


def _is_file(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return stat.S_ISREG(os.lstat(path).st_mode)
    return False


def read_journal(path: Path, size: int) -> bytes:
    """Return up to `size` bytes from the beginning of a journal.

    Raises:
        OSError: it cannot be read, or is a link by now.
    """
    # Not to wait for a FIFO that was put in its place after the folder was listed.
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    with open(path, "rb", opener=lambda name, how: os.open(name, how | flags)) as file:
        return file.read(size)


def unlistable(archive: str | os.PathLike[str], error: OSError) -> ArchiveIOError:
    """Return the error of a call that needs to know all journals beside an archive."""
    return ArchiveIOError(
        f"the folder of {archive} cannot be listed ({error.strerror}), so whether journals lie in it is"
        " unknown; remove the cause and open the archive again",
        path=str(archive),
    )


def unpack_header(page: bytes) -> Header | None:
    """Return the header in the first pages of a journal, or None if neither copy is sound."""
    copies = (_unpack_copy(page[begin : begin + PAGE]) for begin in (0, PAGE))
    # A process killed while its file grew leaves two lengths; the file has the greater one.
    return max((copy for copy in copies if copy is not None), key=lambda one: one.segments, default=None)


def _unpack_copy(page: bytes) -> Header | None:
    if len(page) < _HEADER.size:
        return None
    magic, version, size, check = _HEADER.unpack_from(page)
    text = page[_HEADER.size : _HEADER.size + size]
    if magic != _MAGIC or version != FORMAT or len(text) != size:
        return None
    if zlib.crc32(page[: _HEADER.size - 4] + text) != check:
        return None
    try:
        archive, owner, nonce, segments = json.loads(text)
        header = Header(archive, ProcessIdentity(*owner), nonce, segments)
    except (ValueError, TypeError, RecursionError):
        return None
    return header if _is_possible(header) else None


def _is_possible(header: Header) -> bool:
    """Whether a process can have written this header; its checksum agrees with any values."""
    texts = (header.archive, header.owner.host_id, header.owner.boot_id, header.owner.started)
    numbers = ((header.owner.pid, 1 << 32), (header.nonce, 1 << 32), (header.segments, MOST_SEGMENTS + 1))
    return all(isinstance(text, str) for text in texts) and all(
        type(number) is int and 0 <= number < end for number, end in numbers
    )


class JournalFile:
    """The open file of this process's journal. It is mapped if the file system can.

    Raises:
        ArchiveFullError: the disk has no room for the file.
        OSError: the folder cannot hold the file.
    """

    def __init__(self, path: str, header: Header) -> None:
        self.path = path
        self.header = header
        self._runs: set[str] = set()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, WRITING)
        try:
            hold_for_writer(self._descriptor)
            allocate(self._descriptor, header.file_bytes)
            _write_at(self._descriptor, header.pack(), 0)
            status = os.fstat(self._descriptor)
            self._identity = status.st_dev, status.st_ino
            if os.name == "posix":  # elsewhere a mapped file cannot be cut, and a read-only one not deleted
                os.fchmod(self._descriptor, PRIVATE)
            self.map = self._map()
        except BaseException as error:
            os.close(self._descriptor)
            os.unlink(path)
            raise self._translate(error) from error

    def _translate(self, error: BaseException) -> BaseException:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return ArchiveFullError(
                f"no room for the journal {self.path} ({self.header.file_bytes:,} bytes);"
                " free disk space and try again",
                path=self.path,
            )
        return error

    def _map(self) -> mmap.mmap | None:
        try:
            return mmap.mmap(self._descriptor, self.header.file_bytes)
        except OSError:  # some network and shared folders; each record is a write() then
            return None

    def write(self, at: int, data: bytes) -> None:
        """Write bytes by a system call, which no cut of the file turns into a SIGBUS.

        Raises:
            OSError: the file cannot be written any more.
        """
        self._require_own_descriptor()
        _write_at(self._descriptor, data, at)

    def grow(self) -> None:
        """Add a segment of zeros at the end.

        Raises:
            ArchiveFullError: the disk has no room for it.
            OSError: the file cannot be written any more.
        """
        longer = self.header._replace(segments=self.header.segments + 1)
        try:
            self._require_own_descriptor()
            allocate(self._descriptor, longer.file_bytes)
            _write_at(self._descriptor, longer.pack(), 0)
        except OSError as error:
            raise self._translate(error) from error
        self.header = longer
        if self.map is not None:
            self.map = self._map()

    def hold_run(self, run_id: str) -> None:
        """Let others see by a lock that this process writes the run through this file."""
        self._runs.add(run_id)
        with suppress(OSError):  # the file is gone: the one that takes its place holds the run
            self._require_own_descriptor()
            hold_run(self._descriptor, run_id)

    def release_run(self, run_id: str) -> None:
        """Let others see that this process does not write the run any more."""
        self._runs.discard(run_id)
        with suppress(OSError):
            self._require_own_descriptor()
            release_run(self._descriptor, run_id)

    def take_runs_of(self, before: JournalFile) -> None:
        """Hold the runs that were written through another file, in whose place this one was made."""
        for run_id in before._runs:
            self.hold_run(run_id)

    def stop_mapping(self) -> None:
        """Write every later record by a system call: a cut file ends a process that stores into its mapping."""
        self.map = None

    def state(self) -> FileState:
        """Look at the file by its path. Takes two microseconds."""
        try:
            found = os.stat(self.path)
        except OSError:
            return FileState.GONE
        if (found.st_dev, found.st_ino) != self._identity:
            return FileState.GONE
        return FileState.WHOLE if found.st_size >= self.header.file_bytes else FileState.CUT

    def is_cut(self, *, or_deleted: bool = False) -> bool:
        """Ask the open file whether it has lost its end, or its last name. Takes less than :meth:`state`."""
        try:
            found = os.fstat(self._descriptor)
        except OSError:
            return False
        own = (found.st_dev, found.st_ino) == self._identity
        return own and (found.st_size < self.header.file_bytes or (or_deleted and not found.st_nlink))

    def lengthen(self) -> None:
        """Give a file that was cut its length again. What was cut off is zeros now.

        Raises:
            ArchiveFullError: the disk has no room for it.
            OSError: the file cannot be written any more.
        """
        try:
            self._require_own_descriptor()
            allocate(self._descriptor, self.header.file_bytes)
        except OSError as error:
            raise self._translate(error) from error

    def _require_own_descriptor(self) -> None:
        """Open the file again if something else closed our descriptor: its number may be a user's file."""
        try:
            found = os.fstat(self._descriptor)
            if (found.st_dev, found.st_ino) == self._identity:
                return
        except OSError:
            pass
        os.chmod(self.path, WRITING)
        self._descriptor = os.open(self.path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        os.chmod(self.path, PRIVATE)
        found = os.fstat(self._descriptor)
        if (found.st_dev, found.st_ino) != self._identity:
            raise FileNotFoundError(errno.ENOENT, "another file has its name", self.path)
        hold_for_writer(self._descriptor)

    def close(self) -> None:
        """Close the descriptor. The mapping goes with its last user."""
        self.map = None
        with suppress(OSError):
            found = os.fstat(self._descriptor)
            if (found.st_dev, found.st_ino) == self._identity:
                os.close(self._descriptor)


def allocate(descriptor: int, size: int) -> None:
    """Allocate the file up to `size`: storing to a mapped page that the disk has no room for is a SIGBUS."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    at = os.lseek(descriptor, 0, os.SEEK_END)
    zeros = bytes(1 << 16)
    while at < size:
        at += os.write(descriptor, zeros[: size - at])


def _write_at(descriptor: int, data: bytes, at: int) -> None:
    while data:
        if hasattr(os, "pwrite"):
            written = os.pwrite(descriptor, data, at)
        else:
            os.lseek(descriptor, at, os.SEEK_SET)
            written = os.write(descriptor, data)
        data, at = data[written:], at + written
