"""Read the pages of an SQLite file whose content is not to be trusted, without SQLite.

Begin with `PageFile`. The format is described at https://www.sqlite.org/fileformat2.html.

Invariants:

- The file is only read. Nothing is made beside it, and SQLite never opens it.
- A page that the system cannot read is None, as is one beyond the end. A page that was cut ends in zeros.
- A frame of the ``-wal`` counts up to the last commit that verifies. Behind a damaged frame the checksums go on
  from the one that the frame stores, so that damage costs its frame and not the rest of the log.
- All loops end: they are bounded by the size of the file.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from exptrack import own_files
from exptrack.database.migrations import APPLICATION_ID
from exptrack.database.private_copy import is_used_elsewhere
from exptrack.database.wal import BIG_ENDIAN_SUMS, FRAME, HEADER, LITTLE_ENDIAN_SUMS, Sums, add_sums
from exptrack.errors import ArchiveIOError, ArchiveLockedError, ArchiveNotFoundError, NotAnArchiveError

MAGIC = b"SQLite format 3\0"
PAGE_SIZES = (4096, 1024, 2048, 8192, 16384, 32768, 65536, 512)  # the usual one first
MOST_PAGES = 0xFFFFFFFE
MOST_RESERVED = 32  # bytes at the end of each page, which some builds of SQLite keep for themselves
PAGES_LOOKED_AT = 64
PENDING_BYTE = 1 << 30  # SQLite locks the page of this byte and stores nothing in it
MOST_WRONG_ENTRIES = 4  # in a page of a pointer map that is still believed
ENTRY = struct.Struct(">BI")  # of a pointer map: the kind of a page, and its parent
ROOT_PAGE, FREE_PAGE, TREE_PAGE = 1, 2, 5  # kinds of pages in a pointer map


class Entry(NamedTuple):
    """What a pointer map says of a page: its kind, and the page that refers to it."""

    kind: int
    parent: int


class RawFile:
    """A regular file, read at any place; bytes that the system fails to read are None."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failures = 0
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            # A FIFO or device is refused before it is opened: opening it may wait or do something.
            self._require_regular(os.stat(path).st_mode)
            self._descriptor = own_files.open_descriptor(path, flags)
        except (FileNotFoundError, NotADirectoryError):
            raise ArchiveNotFoundError(f"there is no file {path}; check the path", path=str(path)) from None
        except OSError as error:
            raise ArchiveIOError(
                f"{path} cannot be read ({error.strerror}); make it readable or copy it", path=str(path)
            ) from None
        try:
            status = os.fstat(self._descriptor)
            self._require_regular(status.st_mode)
        except BaseException:
            self.close()
            raise
        self.size = status.st_size
        self._status = status

    def _require_regular(self, mode: int) -> None:
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
            raise NotAnArchiveError(
                f"{self.path} is {kind}, not an archive; give the path of a file", path=str(self.path)
            )

    def read(self, size: int, at: int) -> bytes | None:
        """Return up to `size` bytes; fewer at the end of the file, None where the medium is damaged."""
        try:
            os.lseek(self._descriptor, at, os.SEEK_SET)
            return os.read(self._descriptor, size)
        except OSError as error:
            if error.errno not in (errno.EIO, getattr(errno, "EUCLEAN", errno.EIO), errno.EINVAL):
                raise ArchiveIOError(
                    f"{self.path} cannot be read ({error.strerror}); remove the cause and try again",
                    path=str(self.path),
                ) from None
            self.failures += 1
            return None

    def has_changed(self) -> bool:
        """Whether the path leads to another file by now, or the file was written since it was opened."""
        try:
            found = os.stat(self.path)
        except OSError:
            return True
        return _describe(found) != _describe(self._status)

    def close(self) -> None:
        os.close(self._descriptor)


def _describe(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class PageFile:
    """The pages of a file as its last commit left them: those of the ``-wal`` first, then those of the file.

    Raises:
        ArchiveNotFoundError: there is no such file.
        NotAnArchiveError: it is empty, a folder or a device.
        OwnFileError: it belongs to an archive that is open here.
        ArchiveIOError: the system refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_problem: str | None = None  # why the ``-wal`` is not read
        self._files = [RawFile(path)]
        try:
            self._open_log(Path(f"{os.path.realpath(path)}-wal"))  # beside the file that a link leads to
        except BaseException:
            self.close()
            raise
        self.set_page_size(next(self.page_sizes()))

    def _open_log(self, path: Path) -> None:
        main = self._files[0]
        if os.path.lexists(path):
            try:
                self._files.append(RawFile(path))
            except NotAnArchiveError:
                self.log_problem = f"{path.name} is no file, so nothing was read from it"
        if not sum(file.size for file in self._files):
            raise NotAnArchiveError(f"{main.path} is empty, not an archive", path=str(main.path))

    def close(self) -> None:
        for file in self._files:
            file.close()

    def __enter__(self) -> PageFile:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        """The bytes of the file and its ``-wal``."""
        return sum(file.size for file in self._files)

    @property
    def failures(self) -> int:
        """How many pages the system could not read."""
        return sum(file.failures for file in self._files)

    def require_steady(self) -> None:
        """Refuse a file that another process has open, or that was changed since it was opened here.

        Raises:
            ArchiveLockedError: pages of several moments may have been read together.
        """
        real = os.path.realpath(self.path)
        log_is_new = len(self._files) == 1 and os.path.isfile(f"{real}-wal")
        if is_used_elsewhere(real) or log_is_new or any(file.has_changed() for file in self._files):
            raise ArchiveLockedError(
                f"another process has {self.path} open, and may change it while it is read; end that process,"
                " or salvage a copy that 'exptrack snapshot' makes",
                path=str(self.path),
            )

    def says_it_is_ours(self) -> bool:
        """Whether page 1 says that the file is an archive."""
        head = self._files[0].read(100, 0) or b""
        return head.startswith(MAGIC) and head[68:72] == APPLICATION_ID.to_bytes(4, "big")

    def said_format(self) -> int:
        """Return the format of the archive by page 1; 0 if that page does not tell it."""
        head = self._files[0].read(100, 0) or b""
        return int.from_bytes(head[60:64], "big") if self.says_it_is_ours() else 0

    def count_missing(self) -> int:
        """Return how many pages are missing at the end, by what page 1 says."""
        head = self.read(1) or b""
        said = int.from_bytes(head[28:32], "big") if head.startswith(MAGIC) else 0
        # Only a writer that knows this count keeps the two changes equal.
        return max(0, said - self.count) if head[24:28] == head[92:96] else 0

    def page_sizes(self) -> Iterator[int]:
        """Yield every page size that the file may have: first the one that it says, then the usual ones."""
        head = self._files[0].read(100, 0) or b""
        said = int.from_bytes(head[16:18], "big") if head.startswith(MAGIC) else 0
        said = 65536 if said == 1 else said
        if said in PAGE_SIZES:
            yield said
        yield from (size for size in PAGE_SIZES if size != said)

    def set_page_size(self, page_size: int) -> None:
        """Read the file by pages of this size from now on."""
        main = self._files[0]
        self.page_size = page_size
        self.usable = page_size - self._count_reserved(page_size)
        self.count = min(-(-main.size // page_size), MOST_PAGES)
        self._frames: dict[int, int] = {}
        if len(self._files) > 1:
            pages, self._frames = _Log(self._files[1], page_size).read()
            self.count = pages or self.count
        self._map_at = -1
        self._map = b""

    def _count_reserved(self, page_size: int) -> int:
        """Return how many bytes at the end of each page are unused by the head, if the pages bear that out."""
        main = self._files[0]
        head = main.read(100, 0) or b""
        said = head[20] if head.startswith(MAGIC) and len(head) == 100 else 0
        ends = (main.read(said, page * page_size - said) or b"" for page in range(1, PAGES_LOOKED_AT))
        return 0 if said > MOST_RESERVED or any(map(any, ends)) else said

    def read(self, page: int) -> bytes | None:
        """Return a page, filled up with zeros where the file was cut."""
        if not 0 < page <= self.count:
            return None
        at = self._frames.get(page)
        found = (
            self._files[0].read(self.page_size, (page - 1) * self.page_size)
            if at is None
            else self._files[1].read(self.page_size, at)
        )
        return found.ljust(self.page_size, b"\0") if found else None

    def look_up(self, page: int) -> Entry:
        """Return what the pointer map says of a page; kind 0 if it says nothing."""
        group = self.usable // 5 + 1
        place = (page - 2) // group * group + 2
        if place == PENDING_BYTE // self.page_size + 1:
            place += 1
        if page <= place:
            return Entry(0, 0)
        if place != self._map_at:
            self._map_at, self._map = place, self._read_map(place)
        return Entry(*ENTRY.unpack_from(self._map, (page - place - 1) * ENTRY.size))

    def _read_map(self, place: int) -> bytes:
        """Return a page of the pointer map; zeros if much of it is no entry."""
        data = self.read(place) or bytes(self.page_size)
        entries = max(0, min(self.usable // ENTRY.size, self.count - place))
        wrong = sum(1 for kind in data[: entries * ENTRY.size : ENTRY.size] if kind > TREE_PAGE)
        return data if wrong <= MOST_WRONG_ENTRIES else bytes(self.page_size)

    def tree_pages(self) -> Iterator[int]:
        """Yield each page of which the pointer map says that it belongs below another one."""
        group = self.usable // 5 + 1
        for first in range(2, self.count + 1, group):
            self.look_up(first + 2)
            if not any(self._map):
                continue  # also the holes of a sparse file
            for page in range(first + 1, min(first + group, self.count + 1)):
                if self.look_up(page).kind == TREE_PAGE:
                    yield page


class _Log:
    """A write-ahead log, read also behind damage."""

    def __init__(self, file: RawFile, page_size: int) -> None:
        self._file = file
        self._frame_bytes = FRAME.size + page_size
        self._frames = max(0, file.size - HEADER.size) // self._frame_bytes
        self._header = HEADER.unpack((file.read(HEADER.size, 0) or b"").ljust(HEADER.size, b"\0"))
        orders = {BIG_ENDIAN_SUMS: (True,), LITTLE_ENDIAN_SUMS: (False,)}
        self._orders: tuple[bool, ...] = orders.get(self._header[0], (False, True))

    def read(self) -> tuple[int, dict[int, int]]:
        """Return the pages after the last commit (0 without one), and where each page in the log stands."""
        salts = self._salts()
        pages, found, pending = 0, {}, {}
        stored = [self._header[6:8]]  # the checksums with which the next frame may begin
        for number in range(self._frames):
            at = HEADER.size + number * self._frame_bytes
            frame = self._file.read(self._frame_bytes, at)
            if frame is None or len(frame) < self._frame_bytes:
                stored = []
                continue
            page, after_commit, *rest = FRAME.unpack_from(frame)
            sums = tuple(rest[2:])
            verified = tuple(rest[:2]) == salts and self._find_head(frame, stored, sums)
            if verified:
                page, after_commit = verified
            computed = [add_sums(_summed(frame), one, order) for one in stored[:1] for order in self._orders]
            stored = [sums, *computed]
            if tuple(rest[:2]) != salts:
                continue  # of an earlier log, or damaged
            if 0 < page <= MOST_PAGES:
                pending[page] = at + FRAME.size
            if verified and after_commit:
                pages = after_commit
                found.update(pending)
                pending.clear()
        return pages, {page: at for page, at in found.items() if page <= pages}

    def _salts(self) -> Sums:
        """Return the salts of the log; those of its first frame if its header is damaged."""
        raw = self._file.read(HEADER.size + FRAME.size, 0) or b""
        head = raw[:24]
        if len(head) == 24 and any(
            add_sums(head, (0, 0), order) == self._header[6:8] for order in self._orders
        ):
            return self._header[4:6]
        first = FRAME.unpack(raw[HEADER.size :].ljust(FRAME.size, b"\0"))
        return first[2:4]

    def _find_head(
        self, frame: bytes, stored: list[tuple[int, ...]], sums: tuple[int, ...]
    ) -> tuple[int, int] | None:
        """Return page and commit of a frame that verifies, also if one bit of the two is wrong."""
        data = _summed(frame)
        for before in stored:
            for order in self._orders:
                if add_sums(data, (before[0], before[1]), order) == sums:
                    return FRAME.unpack_from(frame)[:2]
        head = int.from_bytes(data[:8], "big")
        for bit in range(64):
            mended = (head ^ 1 << bit).to_bytes(8, "big")
            for before in stored[:1]:
                if add_sums(mended + data[8:], (before[0], before[1]), self._orders[0]) == sums:
                    return FRAME.unpack(mended + bytes(16))[:2]
        return None


def _summed(frame: bytes) -> bytes:
    """Return the part of a frame that its checksum covers."""
    return frame[:8] + frame[FRAME.size :]
