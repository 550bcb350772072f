"""Move points from this process's journals into the archive: the writer thread, and forks.

Invariants:

- Points and the address up to which the journal is drained commit together. So no point is stored twice or
  skipped, wherever the process is killed.
- A journal file is deleted only after that commit.
- Locks are taken in this order: `Writer.draining`, SQLite's write lock, `Journal.lock`. Never call
  :meth:`Writer.drain` while holding a transaction.
- A forked child never writes, drains or deletes its parent's journals. It logs by commits.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from exptrack.database.connection import Connection, in_section
from exptrack.errors import (
    ArchiveFullError,
    ArchiveIOError,
    ArchiveLockedError,
    ExptrackError,
    RunNotFoundError,
    warn,
)
from exptrack.metrics.journal import Journal, SlotRange
from exptrack.metrics.store import NewPoints, SeriesRow, append_points

DRAIN_S = 1.0  # the longest time a point is queued while the archive can be written
PREFAULT_STEP_BYTES = 1 << 18

SAVE_DRAINED = """
INSERT INTO metric_journal (journal, drained) VALUES (?, ?)
ON CONFLICT (journal) DO UPDATE SET drained = excluded.drained
"""
SELECT_DRAINED = "SELECT drained FROM metric_journal WHERE journal = ?"
FORGET_JOURNAL = "DELETE FROM metric_journal WHERE journal = ?"
RUN_SEAL = "SELECT status, checksum FROM run WHERE id = ? AND run_id = ?"
LIFT_SEAL = "UPDATE run SET checksum = NULL WHERE id = ?"
LIFT_SEALS_OF_SERIES = "UPDATE metric_series SET checksum = NULL WHERE run = ?"

# Every writer of this process, by the connection it drains through.
_WRITERS: dict[Connection, Writer] = {}
_writers_lock = threading.Lock()
_over_fork = threading.local()


class LoggedSeries:
    """A metric of a live run: its index in the journal, its next automatic step, its row in the archive.

    `epoch` is the last epoch of the journal that defined it.
    """

    __slots__ = ("epoch", "index", "next", "run_id", "stored")

    def __init__(self, stored: SeriesRow, run_id: str, index: int, following: int) -> None:
        self.stored = stored
        self.run_id = run_id
        self.index = index
        self.next = following
        self.epoch = -1


class WriterUser(Protocol):
    """A handle on a live run that logs through a writer. Releasing the last user deletes the journal."""

    run_id: str

    @property
    def _run(self) -> int | None: ...

    def lose_journal(self) -> None:
        """Stop using the journal: make every logging call a commit from now on. Must not block."""


class Writer:
    """Drains one journal: once a second, every 10,000 points, and before each read in this process."""

    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self.pid = os.getpid()
        self.users: set[WriterUser] = set()
        self.by_index: dict[int, LoggedSeries] = {}
        self.failure: Exception | None = None
        self._failing = False
        self._stopped = False
        self._thread: threading.Thread | None = None

    # The thread

    def start(self) -> None:
        """Start the thread that drains the journal."""
        self._thread = threading.Thread(target=self._work, name="exptrack-writer", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        journal = self.journal
        while True:
            journal.wake.wait()
            while not self._stopped and journal.prefault(PREFAULT_STEP_BYTES):
                pass
            journal.batch_ready.wait(DRAIN_S)
            if self._stopped:
                return
            try:
                self.drain(told=False)
            except Exception:
                # drain() keeps it for the next logging call. Training goes on; the thread tries again.
                journal.wake.set()

    def stop(self) -> None:
        """Let the thread end. Points that are not drained stay in the journal."""
        self._stopped = True
        self.journal.wake.set()
        self.journal.batch_ready.set()

    # Draining

    def drain(self, *, told: bool = True, seen: int | None = None) -> None:
        """Store the points in the journal. Commits.

        Pass `seen`, the address drained so far, if you only need room: if another drain has moved past it, this
        returns at once. `told` is false if the caller does not pass an exception on to the user; the next
        logging call then raises it.

        Raises:
            ExptrackError: the points could not be stored. They stay in the journal, and ``flush()`` and the
                end of the run try again.
        """
        self._drain(told, seen)

    def refuse_inside_logging(self) -> None:
        """Refuse a change that a signal handler asks for while it interrupts a logging call of this thread.

        The change would wait for the journal's lock, which this thread holds.
        """
        if self.journal.held_by_this_thread():
            raise ArchiveLockedError(
                f"this signal handler interrupted a call that logs into {self.connection.path};"
                " let the handler log, but flush or end the run outside it",
                path=str(self.connection.path),
            )

    @in_section
    def _drain(self, told: bool, seen: int | None) -> None:
        journal = self.journal
        if seen is not None and journal.drained != seen:
            return
        with journal.lock:
            spans, address = journal.waiting()
        lost: RunNotFoundError | None = None
        if spans:
            try:
                lost = self._store(spans, address)
            except BaseException as error:
                for series in list(self.by_index.values()):
                    series.stored.forget()
                if isinstance(error, Exception):
                    self._fail(error, told)
                raise
        with journal.lock:
            if not journal.drained_to(address):
                journal.wake.set()
        if spans:
            self._restore(journal, told)
        self._failing, self.failure = False, None
        if lost is not None:
            self._fail(lost, False)

    def _restore(self, journal: Journal, told: bool) -> None:
        """Write the journal's file again if it was deleted: without it, a kill would lose the next points."""
        if os.path.exists(journal.path):
            return
        try:
            with journal.lock:
                while not journal.restore():
                    pass
        except OSError as error:
            lost = ArchiveIOError(
                f"the journal {journal.path} was deleted and cannot be written again ({error.strerror});"
                " make its folder writable, or a kill loses the next points",
                path=str(journal.path),
            )
            self._fail(lost, told)
            raise lost from error
        except ArchiveFullError as full:
            self._fail(full, told)
            raise
        warn(
            f"the journal {journal.path} was deleted by another program; it was written again, nothing is lost"
        )

    def _fail(self, error: Exception, told: bool) -> None:
        """Keep the first of consecutive failures for the next logging call, unless this caller is told."""
        begun, self._failing = self._failing, True
        if told:
            self.failure = None
        elif not begun:
            with self.journal.lock:
                self.failure = error
                self.journal.nudge()
            warn(f"logged points stay in the journal until they can be stored: {error}")

    def take_failure(self) -> Exception | None:
        """Return the failure that no caller has been told of, once; None if a later drain succeeded."""
        failure, self.failure = self.failure, None
        return failure

    def _store(self, spans: list[SlotRange], address: int) -> RunNotFoundError | None:
        connection = self.connection
        with connection.transaction():
            drained_in_file = int(connection.value(SELECT_DRAINED, (self.journal.header.key,)) or 0)
            if drained_in_file > self.journal.drained:
                # An earlier drain has committed, but failed before it could note so here.
                with self.journal.lock:
                    self.journal.drained = drained_in_file
                    spans, address = self.journal.waiting()
            missing: dict[int, str] = {}
            checked: set[int] = set()
            batches: list[NewPoints] = []
            drained: list[LoggedSeries] = []
            for series, batch in self._batches(spans):
                run = batch.series.run
                if run not in checked:
                    checked.add(run)
                    if not _admit_points(connection, run, series.run_id):
                        missing[run] = series.run_id
                if run not in missing:
                    batches.append(batch)
                    drained.append(series)
            append_points(connection, batches)
            connection.execute(SAVE_DRAINED, (self.journal.header.key, address))
        with self.journal.lock:
            for series in drained:
                # A forked child may have logged steps that this process has not counted.
                if series.stored.summary is not None:
                    series.next = max(series.next, series.stored.summary.top_step + 1)
        return RunNotFoundError(next(iter(missing.values())), str(connection.path)) if missing else None

    def _batches(self, spans: list[SlotRange]) -> Iterator[tuple[LoggedSeries, NewPoints]]:
        for span in spans:
            part = memoryview(self.journal.map[span.begin : span.end])
            integers, floats = part.cast("q"), part.cast("d")
            indexes, steps = integers[1::6].tolist(), integers[2::6].tolist()
            times_ms, values = floats[3::6].tolist(), floats[4::6].tolist()
            for index, take in _split_by_series(indexes):
                series = self.by_index[index]
                new_times = list(map(int, take(times_ms)))
                yield series, NewPoints(series.stored, take(steps), new_times, take(values))


def _split_by_series(indexes: list[int]) -> Iterator[tuple[int, Callable[[list[Any]], list[Any]]]]:
    """Yield each series index with a function that takes the elements of that series from a column."""
    # A training loop logs the same metrics in turn. Slices then take a tenth of the time.
    period = indexes.index(indexes[0], 1) if indexes.count(indexes[0]) > 1 else len(indexes)
    turn = indexes[:period]
    if len(set(turn)) == period and (turn * (len(indexes) // period + 1))[: len(indexes)] == indexes:
        for begin, index in enumerate(turn):
            yield index, itemgetter(slice(begin, None, period))
        return
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, index in enumerate(indexes):
        places[index].append(place)
    for index, found in places.items():
        yield index, partial(_pick, found)


def _pick(places: list[int], column: list[Any]) -> list[Any]:
    return [column[place] for place in places]


def _admit_points(connection: Connection, run: int, run_id: str) -> bool:
    """Return whether the run still exists. If another process has ended it, remove its seal."""
    row = connection.one(RUN_SEAL, (run, run_id))
    if row is None:
        return False
    if row["checksum"] is not None:
        connection.execute(LIFT_SEAL, (run,))
        connection.execute(LIFT_SEALS_OF_SERIES, (run,))
    return True


def read_archive_identity(connection: Connection) -> str:
    """Return a text that tells this archive from another at its path: time and hash of the first migration."""
    return connection.birth


# Which writer a live run uses


def open_writer(connection: Connection, user: WriterUser) -> Writer | None:
    """Return this connection's writer, made if there is none, with `user` added; None if no file can be mapped.

    Raises:
        ArchiveFullError: the disk has no room for the journal.
    """
    with _writers_lock:
        writer = _WRITERS.get(connection)
        if writer is None:
            try:
                journal = Journal(connection.path, read_archive_identity(connection))
            except ArchiveFullError:
                raise
            except OSError as error:
                warn(
                    f"no journal can be mapped beside {connection.path} ({error.strerror}):"
                    " each log call is a commit, 20 times slower; keep the archive on a local disk"
                )
                return None
            writer = _WRITERS[connection] = Writer(connection, journal)
            connection.before_close = lambda: _close(connection)
            connection.before_section = writer.refuse_inside_logging
            writer.start()
        writer.users.add(user)
        return writer


@contextmanager
def hold_journal(connection: Connection) -> Iterator[None]:
    """Hold a journal open while a run begins, so that a full disk is an error of the start.

    Raises:
        ArchiveFullError: the disk has no room for the journal.
    """
    to_begin = _RunToBegin()
    if connection.mode == "rw":  # otherwise starting the run raises an error by itself
        open_writer(connection, to_begin)
    try:
        yield
    finally:
        release_writer(connection, to_begin)


class _RunToBegin:
    """The user that keeps a writer open for a run whose row is not written yet."""

    _run: int | None = None
    run_id = ""

    def lose_journal(self) -> None:
        """Do nothing: this user does not log."""


def find_user(connection: Connection, run: int, run_id: str) -> WriterUser | None:
    """Return the handle of this process that logs the run through a journal; prefer this connection's."""
    writer = _WRITERS.get(connection)
    others = [one for one in list(_WRITERS.values()) if one is not writer]
    for one in [writer, *others] if writer else others:
        for user in list(one.users):
            if user._run == run and user.run_id == run_id:
                return user
    return None


def release_writer(connection: Connection, user: WriterUser) -> bool:
    """Remove a user from its writer. Return True if it was the last one; then the journal is deleted.

    Every point must be drained before.
    """
    with _writers_lock:
        writer = _WRITERS.get(connection)
        if writer is None:
            return False
        writer.users.discard(user)
        if writer.users:
            return False
        del _WRITERS[connection]
    connection.before_close = connection.before_section = None
    writer.stop()
    writer.journal.remove()
    return True


def forget_journal(connection: Connection, key: str) -> None:
    """Delete the row of a journal whose file is gone. Call inside a transaction."""
    connection.execute(FORGET_JOURNAL, (key,))


def _close(connection: Connection) -> None:
    """Store the points of runs that are still open when the archive is closed, and delete the journal."""
    writer = _WRITERS.pop(connection, None)
    if writer is None or writer.pid != os.getpid():
        return
    with writer.journal.lock:
        for user in list(writer.users):
            user.lose_journal()
    writer.stop()
    writer.drain()
    writer.journal.remove()
    _forget_journal_alone(connection, writer.journal.header.key)


@in_section
def _forget_journal_alone(connection: Connection, key: str) -> None:
    with connection.transaction():
        forget_journal(connection, key)


# Draining before a read


def drain_own(connection: Connection) -> None:
    """Store the points logged through this connection. Commits if there are any.

    Raises:
        ExptrackError: they could not be stored; they stay in the journal.
    """
    writer = _WRITERS.get(connection)
    if writer is not None:
        writer.drain()


def drain_all(path: Path) -> None:
    """Store every point that this process logged into `path`, so that a read sees it. Commits if there are any.

    Points that cannot be stored (disk full, file moved) stay in the journal. The next logging call raises.
    """
    for connection, writer in list(_WRITERS.items()):
        if connection.path != path and not _same_file(connection.path, path):
            continue
        if connection.closed or connection.in_transaction:
            continue
        try:
            writer.drain(told=False)
        except ExptrackError as error:
            warn(f"reading {path} without the newest points, which are still in the journal: {error}")


def _same_file(a: Path, b: Path) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


# Forks


def _before_fork() -> None:
    """Drain each journal and hold each writer's locks, so that the child inherits none in use."""
    held = _over_fork.held = []
    for connection, writer in list(_WRITERS.items()):
        if connection.closed or connection.in_transaction:
            continue
        try:
            writer.drain(told=False)
        except Exception as error:  # nothing may keep a fork from happening; the points stay in the journal
            warn(f"forking while points are still in the journal of {connection.path}: {error}")
        writer.journal.lock.acquire()
        held.append(writer.journal.lock)


def _after_fork_in_parent() -> None:
    for lock in reversed(_over_fork.held):
        lock.release()


def _after_fork_in_child() -> None:
    """Forget the journals in the child: they belong to the parent."""
    global _writers_lock
    _writers_lock = threading.Lock()
    for connection, writer in _WRITERS.items():
        connection.before_close = connection.before_section = None
        for user in writer.users:
            user.lose_journal()
    _WRITERS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
