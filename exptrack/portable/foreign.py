"""Open the archive of somebody else as a source: to merge it, extract from it, unpack it or compare it.

Such a file may be damaged, made to harm, or in use. Begin with :func:`open_source`, which gives a proved
private copy; :func:`look_at_source` reads in place what may turn out to be known already.

Invariants:

- Nothing beside the original is written or made, and no file of it is opened that this process has open.
- A copy is read only after its schema, its structure and the types of its values are proved. What its rows say
  is proved by `proofs`; the points, and on request their pages, by `point_proofs`.
- What this process has logged to the other archive is stored in it first, as before each read.
- Journals are copied before the archive. So each point is in the copy of a journal or in that of the archive.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from exptrack.database.deadline import Deadline
from exptrack.database.descriptors import FileId, file_id
from exptrack.database.hold import find_other_name
from exptrack.database.opening import CREATION_GRACE_S, archive_path
from exptrack.database.own_schema import require_own_schema
from exptrack.database.places import require_own_side_files
from exptrack.database.private_copy import (
    copy_privately,
    find_opened,
    has_descriptor,
    is_used_elsewhere,
    measure_copy,
    private_folder,
    require_regular_file,
)
from exptrack.database.spooled_file import lacks_tables
from exptrack.database.stranger import StrangerConnection, put_in_order, require_sound
from exptrack.errors import ArchiveCorruptError, ArchiveNotFoundError, ExptrackError, NotAnArchiveError
from exptrack.metrics.journal_file import Header, list_journals, read_journal
from exptrack.metrics.journal_notes import read_drained
from exptrack.metrics.journal_reader import Damage, JournalPoint, is_owner_alive, read_header, read_points
from exptrack.metrics.writer import drain_all
from exptrack.new_files import NEW_FILE
from exptrack.validation import check_name, check_step

Progress: TypeAlias = Callable[[int, int], None]

CHECK_S, CHECK_BYTES_PER_S = 10.0, 5_000_000  # of the structure of a copy
LOOK_S, LOOK_BYTES_PER_S = 2.0, 20_000_000
LOOK_VALUE_BYTES = 16 << 20
LOOK_MEMORY_BYTES, LOOK_MEMORY_TIMES = 100 << 20, 8  # at least, and the bytes of the file this many times
MOST_JOURNALS = 10_000


@dataclass(frozen=True, slots=True)
class SourceJournal:
    """A journal beside a source, with points that are not in the source yet.

    `problem` says why its points cannot be told; it is None for a journal that can be read.
    """

    name: str
    problem: str | None
    _copy: Path
    _header: Header | None
    _drained: int

    def read_points(self) -> Iterator[JournalPoint]:
        """Yield the points, in the order of logging. A name that exptrack never stores is left out."""
        if self._header is None:
            return
        for point in read_points(self._copy, self._header, self._drained, Damage()):
            with suppress(ExptrackError):
                check_name(point.name, "metric")
                check_step(point.step)
                yield point

    @property
    def is_left(self) -> bool:
        """Whether its process is known to be dead."""
        return self._header is not None and is_owner_alive(self._header) is False

    @property
    def is_written(self) -> bool:
        """Whether its process lives, on this machine."""
        return self._header is not None and bool(is_owner_alive(self._header))

    def count_points(self) -> dict[str, int]:
        """Return how many points there are, by run id."""
        counts: dict[str, int] = {}
        for point in self.read_points():
            counts[point.run_id] = counts.get(point.run_id, 0) + 1
        return counts


@dataclass(frozen=True, slots=True)
class Source:
    """An archive of somebody else, as a private copy that does not change.

    `place` is what the caller named. `copy` is one file without a WAL, of the present format, with the schema
    of exptrack alone. `connection` only reads it. `is_live` says that a process had the original open.
    """

    place: Path
    copy: Path
    connection: StrangerConnection
    journals: tuple[SourceJournal, ...]
    is_live: bool

    @property
    def left_journals(self) -> list[SourceJournal]:
        """The journals whose processes are known to be dead."""
        return [journal for journal in self.journals if journal.is_left]

    def count_left_points(self) -> Counter[str]:
        """Return how many points these have that are not in the copy, by run id."""
        counts: Counter[str] = Counter()
        for journal in self.left_journals:
            counts.update(journal.count_points())
        return counts


@contextmanager
def open_source(
    path: str | os.PathLike[str],
    *,
    beside: Path | None = None,
    progress: Progress | None = None,
    points: bool = True,
) -> Iterator[Source]:
    """Copy another archive, prove the structure of the copy, and open it for reading in the block.

    The copy lies in the temporary folder, or in the folder `beside` if only that has room. `progress` is called
    with the bytes copied and their total. Without `points` the caller proves the pages of each series, by
    `point_proofs`, before it reads a point.

    Raises:
        ArchiveNotFoundError: there is no file.
        NotAnArchiveError: it is the file of another program.
        ArchiveTooNewError: a newer exptrack wrote it.
        ArchiveCorruptError: it is damaged, or was made to harm.
        ArchiveFullError: there is no room for the copy.
        ArchiveIOError, ArchiveLockedError, ArchiveMovedError: it cannot be read.
        MigrationError: it cannot be brought to the present format.
    """
    place = archive_path(path)
    drain_all(place)
    _await_creation(place)
    size = measure_copy(place)
    with private_folder(place, size, beside) as folder:
        journals = _copy_journals(place, folder)
        copied = copy_privately(place, folder, progress)
        seconds = CHECK_S + size / CHECK_BYTES_PER_S
        with Deadline(seconds) as deadline:
            put_in_order(copied.path, place, deadline)
            connection = StrangerConnection(copied.path, "immutable", place, deadline)
            try:
                require_sound(connection, points=points)
                found = tuple(_read_journal(connection, *one) for one in journals)
            except BaseException:
                connection.close()
                raise
        # What is proved ends: every page is read once at most.
        with connection:
            yield Source(place, copied.path, connection, found, copied.is_live)


@contextmanager
def look_at_source(path: str | os.PathLike[str]) -> Iterator[StrangerConnection]:
    """Open another archive for a short look, in place if that changes nothing beside it; else open a copy.

    Its schema is that of exptrack, and nothing else of it is proved: read small tables, row by row. All reading
    together has limits: 2 s and 100 MB of memory, and more of both for a large file. Beyond them, and if a
    value has more than 16 MiB, a statement raises ArchiveCorruptError. :func:`open_source` may read that file.

    Raises:
        ArchiveNotFoundError: there is no file.
        NotAnArchiveError: it is the file of another program.
        ArchiveTooNewError: it has a format that this exptrack cannot read.
        ArchiveCorruptError: it is damaged, or was made to harm.
        ArchiveFullError, ArchiveIOError, ArchiveLockedError, ArchiveMovedError: it cannot be read.
    """
    place = archive_path(path)
    drain_all(place)
    _await_creation(place)
    real = require_regular_file(place)
    size = os.stat(real).st_size
    seconds = LOOK_S + size / LOOK_BYTES_PER_S
    memory_bytes = LOOK_MEMORY_BYTES + LOOK_MEMORY_TIMES * size
    mode = _choose_mode(real)
    if mode == "ro":
        require_own_side_files(place)
    if mode is not None:
        with Deadline(seconds, memory_bytes) as deadline:
            try:
                connection = _open_for_look(Path(real), mode, place, deadline)
            except (ArchiveCorruptError, NotAnArchiveError):
                connection = None  # perhaps for an object of a stranger that is taken out of a copy
            if connection is not None:
                with connection:
                    yield connection
                return
    with private_folder(place, measure_copy(place)) as folder:
        copied = copy_privately(place, folder)
        with Deadline(CHECK_S + seconds, memory_bytes) as deadline:
            put_in_order(copied.path, place, deadline)
            with _open_for_look(copied.path, "immutable", place, deadline) as connection:
                yield connection


def require_present(path: str | os.PathLike[str]) -> None:
    """Refuse what is no path, or leads to nothing.

    Raises:
        InvalidValueError: it is no path.
        ArchiveNotFoundError: there is no file or folder.
    """
    place = archive_path(path)
    try:
        os.stat(place)
    except (FileNotFoundError, NotADirectoryError):
        raise ArchiveNotFoundError(f"there is no archive at {place}; check the path", path=str(place)) from None
    except OSError:
        return  # the opening says why


def _await_creation(place: Path) -> None:
    """Wait while another process is creating the archive.

    It is empty then, or has a rollback journal; or it has one page, and its log has less than the first commit.
    """
    deadline = time.monotonic() + CREATION_GRACE_S
    while time.monotonic() < deadline:
        try:
            status = os.stat(place)
            is_begun = os.path.exists(f"{place}-journal") or lacks_tables(place)
        except OSError:
            return  # the opening says why
        is_young = abs(time.time() - status.st_mtime) < CREATION_GRACE_S
        if not (is_begun and is_young and stat.S_ISREG(status.st_mode)):
            return
        time.sleep(0.005)


def is_same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file: by a link, a hard link or another spelling."""
    return identify_file(one) == identify_file(other)


def identify_file(path: str | os.PathLike[str]) -> FileId | str:
    """Return what is equal for all paths that lead to one file."""
    place = os.path.realpath(archive_path(path))
    return file_id(place) or place


def _choose_mode(real: str) -> str | None:
    """Return the mode in which the file can be read in place; None if only a copy can be read.

    SQLite would make the log of a process that was killed a part of the file, or make an index of it. By
    another name of a file that is open here it would make a log of its own, and miss what is in the right one.
    """
    if find_other_name(real) is not None:
        return None
    if find_opened(real) is not None or has_descriptor(real):
        return "ro"
    if os.path.exists(f"{real}-journal"):
        return None
    has_log = os.path.exists(f"{real}-wal") and os.stat(f"{real}-wal").st_size > 0
    if not has_log:
        return "frozen"
    return "ro" if is_used_elsewhere(real) else None


def _open_for_look(path: Path, mode: str, place: Path, deadline: Deadline) -> StrangerConnection:
    connection = StrangerConnection(path, mode, place, deadline, value_bytes=LOOK_VALUE_BYTES)
    try:
        if mode == "ro":
            connection.remember_identity()
        require_own_schema(connection)
        return connection
    except BaseException:
        connection.close()
        raise


# Journals


def _copy_journals(place: Path, folder: Path) -> list[tuple[str, Path, str | None]]:
    """Copy the journals beside the archive; return the name of each, its copy and what is wrong with it."""
    try:
        paths = list_journals(place)
    except OSError as error:
        return [("journals", folder, f"the folder cannot be listed ({error.strerror})")]
    found: list[tuple[str, Path, str | None]] = []
    for path in paths[MOST_JOURNALS:]:
        found.append((path.name, folder, f"more than {MOST_JOURNALS:,} journals lie there"))
    for number, path in enumerate(paths[:MOST_JOURNALS]):
        copy = folder / f"{number}.points"
        try:
            header = read_header(path)
            data = b"" if header is None else read_journal(path, header.file_bytes)
            with open(os.open(copy, NEW_FILE, 0o600), "wb") as file:
                file.write(data)
        except FileNotFoundError:
            continue  # its process has ended and deleted it meanwhile
        except OSError as error:
            found.append((path.name, copy, f"it cannot be read ({error.strerror})"))
        else:
            problem = "it is damaged, or of another version of exptrack" if header is None else None
            found.append((path.name, copy, problem))
    return found


def _read_journal(connection: StrangerConnection, name: str, copy: Path, problem: str | None) -> SourceJournal:
    header = read_header(copy) if problem is None else None
    if header is None:
        return SourceJournal(name, problem or "it is damaged", copy, None, 0)
    if header.archive != connection.birth:
        return SourceJournal(name, "it belongs to another archive", copy, None, 0)
    drained = read_drained(connection, header.key)
    if drained is None:
        return SourceJournal(name, "the note on how far it is stored is damaged", copy, None, 0)
    return SourceJournal(name, None, copy, header, drained)
