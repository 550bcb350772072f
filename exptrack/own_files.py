"""Open the files that users name: regular files alone, and none of an archive that this process has open.

A process loses SQLite's locks on a file when it closes any descriptor of it, and an archive that stores itself
grows while it is read. So every opening of a user's path goes through this file. It compares device and inode,
as links, hard links, relative names, ``/proc/self/fd`` and other spellings of a name lead to the same file.

Invariants:

- The files of an archive are: the file, its ``-wal``, ``-shm`` and ``-journal``, the journals of logged points,
  and the copies that exptrack writes beside it after damage.
- Nothing here locks or waits: a registration is one store into a dict.
- If a path becomes that of an archive's file between the look and the opening, its descriptor stays open for
  ever.
- A FIFO, a socket or a device is refused before it is opened: it may wait for ever, or never end. A file that
  grows is read up to the size that it had when it was opened.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress

from exptrack.errors import InvalidValueError, OwnFileError, warn
from exptrack.plain import attribute, read_path, short_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, BinaryIO


# The names of an archive's files, after its own name.
ENDINGS = (
    r"|-wal|-shm|-journal"
    r"|-wal\.mend|\.rescued-.*|\.damaged-.*"  # the copies that a connection writes
    r"|\.[0-9a-f]{8}-[0-9]+-[0-9a-f]{8}\.points.*"  # the journals, also those that were put aside
)
MAX_WITHOUT_SIZE = 64 * 1024 * 1024  # bytes of a file that says it is empty, as those of /proc do
READ_BYTES = 1024 * 1024
TICK_NS = 20_000_000  # a folder may change again within one tick of its clock without another time

_FileId = tuple[int, int]


class _OpenArchive:
    """An archive that is open, and the files that belong to it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.file = os.path.realpath(path)
        self._seen: set[_FileId] = set()  # the file itself, also after it was renamed
        self._listed: tuple[int, int, frozenset[_FileId]] | None = None

    @property
    def path(self) -> Path:
        from pathlib import Path

        return Path(self.file)

    def has(self, wanted: _FileId) -> bool:
        """Whether the file of this device and inode belongs to the archive."""
        main = _identify(self.file)
        if main is not None:
            self._seen.add(main)
        if wanted in self._seen:
            return True
        folder = os.path.dirname(self.file)
        if wanted in (_identify(f"{self.file}{end}") for end in ("-wal", "-shm", "-journal")):
            return True
        try:
            changed = os.stat(folder).st_mtime_ns
        except OSError:
            return False
        listed = self._listed
        if listed is None or listed[0] != changed or listed[1] - changed < TICK_NS:
            listed = self._listed = self._list(folder, changed)
        return wanted in listed[2]

    def _list(self, folder: str, changed: int) -> tuple[int, int, frozenset[_FileId]]:
        import time

        now = time.time_ns()
        found: set[_FileId] = set()
        with suppress(OSError):
            names = [name for name in os.listdir(folder) if self.is_name(name)]
            found = {one for name in names if (one := _identify(os.path.join(folder, name))) is not None}
        return changed, now, frozenset(found)

    def is_name(self, name: str) -> bool:
        """Whether a file of this name beside the archive belongs to it."""
        own = os.path.basename(self.file)
        return name.startswith(own) and re.fullmatch(ENDINGS, name[len(own) :]) is not None


_OPEN: dict[int, _OpenArchive] = {}
_KEPT: list[int] = []  # descriptors whose close would drop locks
_told: set[tuple[str, str]] = set()


def register(key: object, path: str | os.PathLike[str]) -> None:
    """Keep the files of the archive at `path` from being opened, until `key` is forgotten."""
    _OPEN[id(key)] = _OpenArchive(path)


def forget(key: object) -> None:
    """Undo :func:`register`."""
    _OPEN.pop(id(key), None)


def find_owner_of(status: os.stat_result) -> Path | None:
    """Return the open archive that a file belongs to, by the file's status; None if there is none."""
    wanted = (status.st_dev, status.st_ino)
    if not status.st_ino:  # a file system without inodes
        return None
    return next((archive.path for archive in list(_OPEN.values()) if archive.has(wanted)), None)


def find_owner(path: str | bytes | os.PathLike[str]) -> Path | None:
    """Return the open archive that the file at `path` belongs to, or would belong to if it existed."""
    if not _OPEN:
        return None
    with suppress(OSError, ValueError):
        owner = find_owner_of(os.stat(path))
        if owner is not None:
            return owner
    folder, name = os.path.split(os.path.abspath(os.fsdecode(path)))
    for archive in list(_OPEN.values()):
        if archive.is_name(name) and _identify(folder) == _identify(os.path.dirname(archive.file)) is not None:
            return archive.path
    return None


def require_foreign(path: str | os.PathLike[str]) -> None:
    """Refuse to write to a path that leads to a file of an open archive.

    Raises:
        OwnFileError: it does.
    """
    owner = find_owner(path)
    if owner is not None:
        raise OwnFileError(os.fsdecode(path), str(owner), writing=True)


def require_foreign_file(file: object) -> None:
    """Refuse an open file that is a file of an open archive; anything without a descriptor passes.

    Raises:
        OwnFileError: it is one.
    """
    descriptor = attribute(file, "fileno")
    if not _OPEN or not callable(descriptor):
        return
    try:
        owner = find_owner_of(os.fstat(descriptor()))
    except Exception:  # a file in memory, for instance, or an object that is no file
        return
    if owner is not None:
        raise OwnFileError(str(getattr(file, "name", "the file")), str(owner))


def open_descriptor(path: str | bytes | os.PathLike[str], flags: int) -> int:
    """Open a file that a user named, and return its descriptor.

    Raises:
        OwnFileError: it belongs to an open archive.
        OSError: it cannot be opened.
    """
    owner = find_owner(path)
    if owner is None:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
        owner = find_owner_of(os.fstat(descriptor)) if _OPEN else None
        if owner is None:
            return descriptor
        _KEPT.append(descriptor)
    raise OwnFileError(os.fsdecode(path), str(owner))


def open_for_reading(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file that a user named, for reading its bytes.

    Its bytes end where the file ended when it was opened. A read that the system refuses raises an
    InvalidValueError with the path.

    Raises:
        OwnFileError: it belongs to an open archive.
        OSError: it cannot be opened, or is no regular file.
        InvalidTypeError, InvalidValueError: it is not a path.
    """
    place = read_path(path)
    _require_regular(os.stat(place), place)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = open_descriptor(place, flags)
    try:
        status = os.fstat(descriptor)
        _require_regular(status, place)
        return io.BufferedReader(_RegularFile(descriptor, place, status.st_size))
    except BaseException:
        os.close(descriptor)
        raise


def _require_regular(status: os.stat_result, path: str) -> None:
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    names = {
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    kind = names.get(stat.S_IFMT(mode), "a special file")
    raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", path)


class _RegularFile(io.FileIO):
    """An open file, read up to the size that it had when it was opened."""

    def __init__(self, descriptor: int, path: str, size_bytes: int) -> None:
        super().__init__(descriptor, "rb")
        self._path = path
        # The files of /proc say that they are empty.
        self._is_sized = size_bytes > 0
        self._limit = size_bytes or MAX_WITHOUT_SIZE

    def readinto(self, buffer: Any) -> int:
        left = self._limit - self.tell()
        with memoryview(buffer) as view, view.cast("B") as flat:
            try:
                count = super().readinto(flat[: max(0, left)]) or 0
                ends = self._is_sized or count < left or not super().read(1)
            except OSError as error:
                # The system's own words for it speak of output too.
                reason = "the system failed to read it" if error.errno == errno.EIO else error.strerror
                raise InvalidValueError(
                    f"cannot read the file {short_path(self._path)} ({reason}); check the path"
                ) from None
        if not ends:
            raise InvalidValueError(
                f"the file {short_path(self._path)} has no size and does not end; store its output as bytes"
            )
        return count

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(READ_BYTES), b""))

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(buffer)])


def warn_of_left_out(folder: str, names: Iterable[str], archive: Path) -> None:
    """Say once of a folder that files of an open archive in it were not stored."""
    place = (os.path.abspath(folder), str(archive))
    if place not in _told:
        _told.add(place)
        some = ", ".join(sorted(names))
        warn(
            f"{some} in {folder} belong to the archive {archive}, which is open here, and were left out;"
            " backup() or 'exptrack snapshot' makes a copy that can be stored"
        )


def _identify(path: str | Path) -> _FileId | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_ino else None


def is_one_file(one: str, other: str) -> bool:
    """Whether two paths lead to one file that exists."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
