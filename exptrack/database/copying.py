"""Copy a live archive file, while other threads and processes go on writing: by its pages, or by its rows.

`copy_file` copies the pages by SQLite's backup. `compact_file` writes the rows into a new file, without free
pages, so deleted data is not in it.

Invariants: the copy is the file of one moment. A read transaction holds that moment until the end, so no
writer makes the copy begin again, and none waits. Meanwhile the WAL of the archive grows. Ctrl-C ends a copy:
pages are copied in the caller's thread, in steps; rows in a thread of ours, which an interrupt stops.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from exptrack import own_files
from exptrack.database.connection import Connection
from exptrack.database.failures import primary_code, translate
from exptrack.database.frozen import wal_bytes
from exptrack.database.sections import SectionThread
from exptrack.errors import ArchiveIOError

MODE_AT, ROLLBACK_MODE = 18, b"\1\1"  # the versions in SQLite's header that write and read the file
STEP_PAGES = 1024  # 4 MiB, copied in 5 to 20 ms
STEPS_PER_LOOK = 1_000_000  # of SQLite's virtual machine, between two looks at how much is written: some 50 ms
# Codes that only the file being written gives; all others concern the archive.
OF_TARGET = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY}
OF_TARGET_IO = {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_TRUNCATE}


def copy_file(
    connection: Connection, draft: Path, target: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Copy the archive into `draft`, an empty file that errors call `target`. It is not synced.

    `progress` is called with the bytes copied and their total.

    Raises:
        ArchiveFullError: there is no room for the copy.
        ArchiveCorruptError: the archive is damaged.
        ArchiveIOError: the operating system failed to read or write.
        ArchiveClosedError: the archive was closed.
    """
    own_files.register(draft, draft)
    try:
        with connection.apart() as source, closing(_open_draft(draft)) as copy:
            try:
                connection._run_waiting(lambda: _begin(source))
                size = _copy_pages(source, copy, progress)
            except sqlite3.Error as error:
                raise _translate(error, connection, target) from error
        leave_wal_mode(draft)
        if os.stat(draft).st_size != size:
            raise ArchiveIOError(
                f"the copy {target} came out short of {connection.path}; check the disk and try again",
                path=str(target),
            )
    finally:
        own_files.forget(draft)


def compact_file(
    connection: Connection, draft: Path, target: Path, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write the rows of the archive into `draft`, an empty file that errors call `target`. It is not synced.

    The file needs no ``-wal``. `progress` is called in another thread, with about the bytes written and their
    total; what it raises ends the copy.

    Raises:
        ArchiveFullError: there is no room for the copy.
        ArchiveCorruptError: the archive is damaged.
        ArchiveIOError: the operating system failed to read or write.
        ArchiveClosedError: the archive was closed.
    """
    own_files.register(draft, draft)
    thread, sources = SectionThread(), list[sqlite3.Connection]()

    def work() -> None:
        with connection.apart() as source:
            sources.append(source)
            _write_rows(connection, source, draft, target, progress)

    def stop() -> None:
        for source in sources:
            source.interrupt()

    try:
        thread.run(work, stop)
    finally:
        thread.ask_to_end()
        own_files.forget(draft)


def _write_rows(
    connection: Connection,
    source: sqlite3.Connection,
    draft: Path,
    target: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    total = int(source.execute("PRAGMA page_size").fetchone()[0])
    total *= int(source.execute("PRAGMA page_count").fetchone()[0])
    raised: list[BaseException] = []

    def look() -> bool:
        assert progress is not None
        try:
            progress(min(os.stat(draft).st_size, total), total)
        except BaseException as error:  # SQLite drops it and ends the statement; it is raised behind that
            raised.append(error)
        return bool(raised)

    if progress is not None:
        source.set_progress_handler(look, STEPS_PER_LOOK)
    source.execute("PRAGMA query_only = OFF")  # SQLite would not write the new file either
    connection._run_waiting(lambda: source.execute("SELECT count(*) FROM sqlite_schema").fetchone())
    try:
        source.execute("VACUUM INTO ?", (str(draft),))
    except sqlite3.Error as error:
        if raised:
            raise raised[0] from None
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR:  # SQLite does not say of which file
            raise ArchiveIOError(
                f"the operating system failed to read {connection.place} or to write {target}; check the disk",
                path=str(target),
            ) from error
        raise _translate(error, connection, target) from error


def _translate(error: sqlite3.Error, connection: Connection, target: Path) -> Exception:
    """Return exptrack's error, which names the file that it concerns."""
    code = getattr(error, "sqlite_errorcode", 0)
    is_targets = primary_code(error) in OF_TARGET or code in OF_TARGET_IO
    return translate(error, target) if is_targets else connection.translate(error)


def _open_draft(draft: Path) -> sqlite3.Connection:
    # Without a journal: if the copy fails, the draft is removed.
    copy = sqlite3.connect(f"{draft.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
    copy.execute("PRAGMA journal_mode = OFF")
    copy.execute("PRAGMA synchronous = OFF")
    return copy


def leave_wal_mode(draft: Path) -> None:
    """Let the copy open without a ``-wal`` and ``-shm``, so that any client reads it from a read-only medium.

    Opening it for writing turns the mode on again. SQLite itself would make both files to turn it off.

    Raises:
        ArchiveIOError: its ``-wal`` was not copied into it whole.
    """
    if wal_bytes(draft):
        raise ArchiveIOError(f"{draft} could not be written whole; make room on the disk", path=str(draft))
    with open(draft, "r+b") as file:
        file.seek(MODE_AT)
        file.write(ROLLBACK_MODE)


def _begin(source: sqlite3.Connection) -> None:
    """Begin to read; the first query chooses the moment that is copied."""
    if not source.in_transaction:
        source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _copy_pages(
    source: sqlite3.Connection, copy: sqlite3.Connection, progress: Callable[[int, int], None] | None
) -> int:
    """Copy all pages; return their bytes."""
    page_bytes = int(source.execute("PRAGMA page_size").fetchone()[0])
    pages = int(source.execute("PRAGMA page_count").fetchone()[0])

    def tell(_status: int, remaining: int, _total: int) -> None:
        # It is always passed: Python looks for signals only while it runs code of its own.
        if progress is not None:
            progress((pages - remaining) * page_bytes, pages * page_bytes)

    source.backup(copy, pages=STEP_PAGES, progress=tell)
    return pages * page_bytes
