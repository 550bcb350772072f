"""Read the bytes of an archive beside SQLite, while a reading sees these bytes alone.

SQLite hands over rows one by one. Reading their pages is several times as fast where many are wanted.

Invariants:

- Without a WAL that has bytes, the main file is all that the reading sees. It stays as it is until the reading
  ends: SQLite's lock of a reader that needs no WAL keeps every checkpoint out. In rollback mode its lock keeps
  every writer out. A file that is read without locks is looked at afterwards, see `frozen`.
- A descriptor of a file on which SQLite holds locks is never closed here: that would drop them. The one that
  `hold` keeps is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exptrack.database.connection import Connection
from exptrack.database.descriptors import FileId, file_id
from exptrack.database.frozen import wal_bytes
from exptrack.errors import ArchiveIOError


class MainFile:
    """The main file of an archive, read by a descriptor that stays open."""

    def __init__(self, descriptor: int, identity: FileId, path: Path) -> None:
        self._descriptor = descriptor
        self._identity = identity
        self._path = path
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the file and return it."""
        size = os.fstat(self._descriptor).st_size if whence == os.SEEK_END else 0
        self._at = size + offset
        return self._at

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes.

        Raises:
            ArchiveIOError: another program has closed the descriptor.
        """
        data = os.pread(self._descriptor, size, self._at)
        if file_id(self._descriptor) != self._identity:
            raise ArchiveIOError(
                f"a descriptor of {self._path} was closed by another part of the program; try again",
                path=str(self._path),
            )
        self._at += len(data)
        return data

    def close(self) -> None:
        """Leave the descriptor open."""


@contextmanager
def read_beside(connection: Connection) -> Iterator[Path | MainFile | None]:
    """Yield what the pages of the archive can be read from; None if they can be read by SQLite alone.

    Call inside a reading, after its first query.
    """
    held = connection._hold
    if wal_bytes(connection.path):
        yield None
    elif connection.mode in ("immutable", "frozen"):
        yield connection.path
    elif held is None or not hasattr(os, "pread"):
        yield None
    else:
        yield MainFile(held.main, held.main_id, connection.path)
