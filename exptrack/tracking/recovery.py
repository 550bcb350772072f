"""Tend what dead processes left in an archive, and tell what cannot be tended.

Invariant: :func:`settle` belongs to opening and reading, which need nothing. It waits for a second at most,
raises nothing that concerns the tending alone, and says once what has to wait.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from functools import partial

from exptrack.database.connection import Connection
from exptrack.database.opening import find_waiting_wal
from exptrack.errors import (
    ArchiveClosedError,
    ArchiveError,
    ArchiveFullError,
    ArchiveLockedError,
    ArchiveReadOnlyError,
    ForkUnsafeError,
    warn,
)
from exptrack.metrics.journal_file import list_journals, unlistable
from exptrack.process import ProcessIdentity
from exptrack.records import JournalReport, Waiting
from exptrack.runs.ownership import find_dead_runs
from exptrack.runs.seal import reseal_run
from exptrack.tracking.lifecycle import interrupt_dead_runs, recover_journals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _T = TypeVar("_T")


PATIENCE_S = 1.0
PAUSE_S = 10.0  # between two attempts, once one has failed

# When an attempt on a connection failed; it is there only while something waits.
_failed_at: weakref.WeakKeyDictionary[Connection, float] = weakref.WeakKeyDictionary()
_begun: weakref.WeakSet[Connection] = weakref.WeakSet()
_told: set[str] = set()
# What openings and readings stored and marked, until it is reported: the number of points, and ids of runs.
_settled: weakref.WeakKeyDictionary[Connection, tuple[int, list[str]]] = weakref.WeakKeyDictionary()


def begin(connection: Connection) -> None:
    """Settle a connection that was just opened, and warn of what waits beside its file. The second call does
    nothing."""
    if connection in _begun:
        return
    _begun.add(connection)
    if connection.mode == "rw":
        # All of it in one section: a statement in this thread would open one more SQLite connection.
        _attempt(
            connection, lambda: connection.section(partial(_settle_if_due, connection), within_s=PATIENCE_S)
        )
    try:
        _warn_of(list_waiting(connection))
    except ArchiveError as error:
        warn(f"whether anything waits beside {connection.file} is unknown: {error}")
    if connection.mode != "rw":
        connection.give_handle_up()


def settle(connection: Connection, *, opening: bool = False) -> None:
    """Store and mark what dead processes of this machine left, if that can be done now; else say so once.

    Runs whose process died become interrupted. Their points are stored first; while `opening`, also those of
    runs that have ended. Commits if there are any.
    """

    def work() -> None:
        # By a reading: a statement in this thread would open one more SQLite connection.
        if connection.reading(partial(find_dead_runs, connection)) or (opening and _has_journals(connection)):
            connection.section(lambda: _settle(connection), within_s=PATIENCE_S)

    _attempt(connection, work)


def read_settled(connection: Connection, read: Callable[[], _T]) -> _T:
    """Return what `read` reads after :func:`settle`; one reading does both where nothing is to be settled.

    To change to another thread and back takes an eighth of the time of a short question.
    """

    def look() -> list[_T]:
        try:
            is_settled = not find_dead_runs(connection)
        except ArchiveError:
            is_settled = False  # settling meets the same, and tells
        return [read()] if is_settled else []

    answer = connection.reading(look)
    if not answer:
        settle(connection)
        answer.append(read())
    return answer[0]


def _attempt(connection: Connection, work: Callable[[], None]) -> None:
    """Settle by `work`, unless that has just failed; if it fails now, say so once."""
    if time.monotonic() < _failed_at.get(connection, 0) + PAUSE_S and connection in _failed_at:
        return
    try:
        work()
    except (ArchiveClosedError, ForkUnsafeError):
        raise
    except ArchiveError as error:
        if connection not in _failed_at:
            warn(
                f"{connection.file} is read as it is: {_left_by_the_dead(connection)} cannot be stored now,"
                f" because {_reason(error)}; later calls try again"
            )
        _failed_at[connection] = time.monotonic()
    else:
        _failed_at.pop(connection, None)


def _settle_if_due(connection: Connection) -> None:
    if find_dead_runs(connection) or _has_journals(connection):
        _settle(connection)
    connection.give_handle_up()


def _settle(connection: Connection) -> None:
    stored = recover_journals(connection)
    marked = interrupt_dead_runs(connection)
    if stored or marked:
        points, runs = _settled.get(connection, (0, []))
        _settled[connection] = (points + stored, [*runs, *marked])


def _has_journals(connection: Connection) -> bool:
    try:
        return bool(list_journals(connection.home))
    except PermissionError:
        return False  # a folder that may be entered but not listed
    except OSError as error:
        raise unlistable(connection.home, error) from error


def _left_by_the_dead(connection: Connection) -> str:
    """Name the journals of dead processes that wait, of which no further warning is needed then."""
    try:
        from exptrack.metrics.waiting import STORED_BY_RECOVER

        left = [one for one in _list_waiting_journals(connection) if one.advice == STORED_BY_RECOVER]
    except ArchiveError:
        left = []
    _told.update(one.path for one in left)
    points = sum(one.points or 0 for one in left)
    where = f" ({points:,} points in {', '.join(one.path for one in left)})" if points else ""
    return f"what dead processes left{where}"


def _reason(error: ArchiveError) -> str:
    if isinstance(error, ArchiveLockedError):
        return "another process is writing the file"
    if isinstance(error, ArchiveFullError):
        return "the disk is full"
    if isinstance(error, ArchiveReadOnlyError):
        return "the file or its folder cannot be written"
    return str(error)


def store_what_is_left(connection: Connection, *, take_over: bool = False) -> tuple[int, list[str]]:
    """Store and mark what dead processes of this machine left.

    With `take_over` also what those left that cannot be seen from here: on another host, in another container.
    The caller says that they are dead.

    Returns the number of points stored, and the ids of the runs that became interrupted. Both count what
    opening and reading the archive stored and marked since the last report. Commits.
    """

    def declared_dead(_owner: ProcessIdentity) -> bool:
        return take_over

    stored = recover_journals(connection, declared_dead)
    marked = interrupt_dead_runs(connection, declared_dead)
    points, runs = _settled.pop(connection, (0, []))
    return points + stored, [*runs, *marked]


def store_named(
    connection: Connection, path: str, *, take_over: bool = False
) -> tuple[JournalReport, int, list[str]]:
    """Store the points of one journal that the user names, and mark the runs of its process.

    With `take_over` the caller says that its process is dead. Returns what became of the journal; then as
    :func:`store_what_is_left`, which counts its points too. Commits.

    Raises:
        JournalError: the journal's points cannot be stored; nothing was.
    """
    from exptrack.metrics.named_journal import recover_named

    report, process = recover_named(connection, path, partial(reseal_run, connection), take_over=take_over)

    def declared_dead(owner: ProcessIdentity) -> bool:
        return take_over and owner == process

    stored = recover_journals(connection, declared_dead)  # what else that process left beside the archive
    marked = interrupt_dead_runs(connection, declared_dead)
    points, runs = _settled.pop(connection, (0, []))
    return report, points + report.points + stored, [*runs, *marked]


def list_waiting(connection: Connection) -> list[Waiting]:
    """List what waits beside the archive: journals, and a WAL that this connection cannot copy into it."""
    wal = find_waiting_wal(connection)
    return [*_list_waiting_journals(connection), *([] if wal is None else [wal])]


def _list_waiting_journals(connection: Connection) -> list[Waiting]:
    if not _has_journals(connection):
        return []  # as where a run starts: what reads journals is not imported for that
    from exptrack.metrics.waiting import list_waiting_journals

    return list_waiting_journals(connection)


def _warn_of(found: Iterable[Waiting]) -> None:
    """Warn of each file that waits, once in this process and in one sentence."""
    new = [waiting for waiting in found if waiting.path not in _told]
    _told.update(waiting.path for waiting in new)
    if new:
        warn("; ".join(map(str, new)))
