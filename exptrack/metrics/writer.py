"""Move points from this process's journals into the archive: the writer thread, and forks.

Invariants:

- Points and the address up to which the journal is drained commit together. So no point is stored twice or
  skipped, wherever the process is killed.
- A journal file is deleted only after that commit. Its address stays in the archive for ever: a copy of the
  file may come back, or it could not be deleted.
- A run takes and returns its journal in the section thread. In the caller's thread a signal handler that ends
  another run would wait for the guard that its own thread holds.
- Locks are taken in this order: `Writer.draining`, SQLite's write lock, `Journal.lock`. Never call
  :meth:`Writer.drain` while holding a transaction.
- A forked child never writes, drains or deletes its parent's journals. It logs by commits.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Protocol

from exptrack.database import forks
from exptrack.database.connection import Connection, in_section
from exptrack.database.presence import show_presence
from exptrack.database.row_sums import SEAL_KIND, hash_row, wrap_sum
from exptrack.errors import (
    ArchiveError,
    ArchiveFullError,
    ArchiveIOError,
    ArchiveLockedError,
    ArchiveMovedError,
    ExptrackError,
    RunNotFoundError,
    warn,
)
from exptrack.metrics.columns import read_slots
from exptrack.metrics.insertion import pays_in_bulk
from exptrack.metrics.journal import Journal, Waiting
from exptrack.metrics.journal_file import SLOT, FileState
from exptrack.metrics.journal_locks import Family
from exptrack.metrics.journal_notes import read_drained, save_drained
from exptrack.metrics.store import NewPoints, SeriesRow, append_points, lift_seals_of_series
from exptrack.threads import Worker

READERS_WAIT_S = 1.0  # for another process that holds the write lock
DRAIN_S = 1.0  # the longest time a point is queued while the archive can be written
LOOK_S, LOOK_AGAIN_S = 0.05, 1.0  # between two looks at the journal's file; when it cannot be written again
ROOM_WAIT_S = 1.0
PATIENCE_S, SHORT_PATIENCE_S = 5.0, 0.1  # for the lock, where no caller asks for points to be stored
WARN_OF_LOCK_S = 30.0
PREFAULT_STEP_BYTES = 1 << 18

RUN_SEAL = "SELECT status, checksum FROM run WHERE id = ? AND run_id = ?"
LIFT_SEAL = "UPDATE run SET checksum = NULL, rows_sum = add_wrapping(rows_sum, ?) WHERE id = ?"

# Every writer of this process, by the connection it drains through.
_WRITERS: dict[Connection, Writer] = {}
_over_fork = threading.local()
_FAMILIES: list[Family] = []  # those that this process was forked into


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


class LeftByParent:
    """What a forked child knows of the run that its parent's process writes."""

    def __init__(self, journal: Journal, before: LeftByParent | None) -> None:
        self.owner = journal.header.owner
        self.archive = journal.header.archive
        self.families: list[Family] = [journal.family, *(before.families if before else ())]
        self.look_again = 0.0  # when to look next whether the owner lives


class WriterUser(Protocol):
    """A handle on a live run that logs through a writer. Releasing the last user deletes the journal."""

    run_id: str

    @property
    def _run(self) -> int | None: ...

    def _lose_journal(self) -> None:
        """Stop using the journal: make every logging call a commit from now on. Must not block."""

    def _become_child(self, journal: Journal) -> None:
        """In a forked child: lose the journal, which is the parent's. Must not block."""

    def _begin_file(self, journal: Journal) -> None:
        """Log into this file from now on. The caller holds the lock of the one before."""


class Writer:
    """Drains one journal: once a second, every 10,000 points, and before each read in this process."""

    is_apart = False  # whether it may not use SQLite

    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self.pid = os.getpid()
        self.users: set[WriterUser] = set()
        self.by_index: dict[int, LoggedSeries] = {}
        self.trouble: Exception | None = None  # why the last attempt to store points failed
        self.readers_told = False  # that they read without the newest points
        self._trouble_began = 0.0
        self.has_warned = False
        self._lost: RunNotFoundError | None = None
        self._storing = Worker(self._work, "exptrack-writer", self._wake)
        self._watching = Worker(self._watch, "exptrack-watch", journal.begun.set)

    def add(self, user: WriterUser) -> None:
        """Let a handle log its run through this journal. Others see by a lock that the run is written here."""
        self.users.add(user)
        if user.run_id:
            self.journal.file.hold_run(user.run_id)

    # The threads

    def start(self) -> None:
        """Start the thread that drains the journal; where none can begin, warn: calls that wait drain it."""
        if not self._storing.begin():
            warn(
                f"the process may begin no more threads, so points wait in {self.journal.path} until a reading"
                " or a flush stores them, or the journal is full; allow it more threads"
            )

    def _work(self) -> None:
        journal, worker = self.journal, self._storing
        while True:
            journal.wake.wait()
            if not worker.has_to_end:
                self._watching.begin()  # here, so that the start of a run does not wait for it
            while not worker.has_to_end and journal.prefault(PREFAULT_STEP_BYTES):
                pass
            journal.batch_ready.wait(DRAIN_S)
            if worker.has_to_end:
                return
            try:
                self.drain(told=False, patience_s=PATIENCE_S)
            except Exception:
                # drain() has noted it, and warns if it lasts. Training goes on; the thread tries again.
                journal.wake.set()

    def _watch(self) -> None:
        """While points wait, look after the file: other programs may cut or delete it."""
        journal, worker = self.journal, self._watching
        while True:
            journal.begun.wait()
            while not worker.has_to_end and not journal.resting:
                if worker.wait(LOOK_S if journal.is_safe else LOOK_AGAIN_S):
                    return
                if journal.file.state() is not FileState.WHOLE:
                    with journal.lock:
                        journal.look()
            if worker.has_to_end:
                return

    def stop(self) -> None:
        """Let the threads end. Points that are not drained stay in the journal."""
        self._storing.stop()
        self._watching.stop()

    def _wake(self) -> None:
        self.journal.wake.set()
        self.journal.batch_ready.set()

    # What logging calls need

    def wait_for_room(self, seen: int) -> bool:
        """Wait until the journal is drained beyond the address `seen`; return False if that takes too long.

        Waits for a second at most, and not at all while the archive cannot be written.
        """
        deadline = time.monotonic() + ROOM_WAIT_S
        if self.journal.held_by_this_thread():
            return False  # a signal handler inside a logging call: the writer thread waits for its lock
        if not self._storing.is_running:
            return self.drain_if_possible()
        while self.journal.drained == seen:
            if self.trouble is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    def refusal(self, cause: Exception | None = None) -> ArchiveError:
        """Return the error of a logging call whose points cannot be kept."""
        reason = cause or self.trouble or ArchiveLockedError("it takes too long to write")
        kind = type(reason) if isinstance(reason, ArchiveError) else ArchiveIOError
        return kind(
            f"this call is not kept: {self.journal.count_waiting():,} points wait in {self.journal.path}, which"
            f" cannot take more; remove the cause and log again: {reason}",
            path=str(self.connection.path),
        )

    def raise_if_lost(self) -> None:
        """Raise, once, that a run was deleted together with the points that were to be stored."""
        lost, self._lost = self._lost, None
        if lost is not None:
            raise lost

    # Draining

    def drain(self, *, told: bool = True, patience_s: float | None = None) -> None:
        """Store the points in the journal. Commits once for each four segments.

        `told` is false if the caller does not pass an exception on to the user; a warning then says so once.
        `patience_s` is how long to wait for other writers, 30 s if it is not given.

        Raises:
            ExptrackError: the points could not be stored. They stay in the journal, and ``flush()`` and the
                end of the run try again.
        """
        journal = self.journal
        with journal.lock:
            end = journal.address
        self._drain(told, patience_s)
        while journal.drained < end:
            self._drain(told, patience_s)

    def drain_if_possible(self) -> bool:
        """Store the points without waiting long; return whether they are in the archive now."""
        try:
            self.drain(told=False, patience_s=SHORT_PATIENCE_S if self.trouble else PATIENCE_S)
        except ExptrackError:
            return False
        return True

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
    def _drain(self, told: bool, patience_s: float | None) -> None:
        journal = self.journal
        with journal.lock:
            waiting = journal.waiting()
        lost: RunNotFoundError | None = None
        if waiting.slots:
            try:
                with self.connection.waiting_at_most(patience_s):
                    lost = self._store(waiting)
            except BaseException as error:
                for series in list(self.by_index.values()):
                    series.stored.forget()
                # A reader that waits no longer is told nothing.
                if isinstance(error, Exception) and not self.connection.caller_has_given_up:
                    self._note_trouble(error, told)
                if told and isinstance(error, ArchiveError):
                    raise self._with_whereabouts(error) from error
                raise
        with journal.lock:
            if not journal.drained_to(waiting.address):
                journal.wake.set()
        self.trouble, self.has_warned = None, False
        if lost is not None:
            with journal.lock:
                self._lost = lost
                journal.nudge()
            warn(f"logged points are dropped, as their run was deleted: {lost}")

    def _with_whereabouts(self, error: ArchiveError) -> ArchiveError:
        return type(error)(
            f"{error}. {self.journal.count_waiting():,} logged points are not in the archive: they wait in"
            f" {self.journal.path}, and the next flush or the next opening of the archive stores them",
            path=error.path,
        )

    def _note_trouble(self, error: Exception, told: bool) -> None:
        """Warn once of consecutive failures that no caller is told of: at once, or of a lock after 30 s."""
        now = time.monotonic()
        if self.trouble is None:
            self._trouble_began = now
        self.trouble = error
        brief = isinstance(error, ArchiveLockedError) and now - self._trouble_began < WARN_OF_LOCK_S
        if not told and not brief and not self.has_warned:
            self.has_warned = True
            warn(f"logged points wait in {self.journal.path} until they can be stored: {error}")

    def _store(self, waiting: Waiting) -> RunNotFoundError | None:
        connection = self.connection
        many = pays_in_bulk(len(waiting.slots) // SLOT)
        with connection.in_bulk() if many else nullcontext(), connection.transaction():
            drained_in_file = read_drained(connection, self.journal.key)
            if drained_in_file is None:
                warn(
                    f"the note in {connection.path} on how far {self.journal.path} is stored is damaged; it is"
                    " written again, and the newest points may be stored twice: run 'exptrack verify'"
                )
            elif drained_in_file > self.journal.drained:
                # An earlier drain has committed, but failed before it could note so here. Or someone has taken
                # this process for dead, and stored what had been logged.
                with self.journal.lock:
                    self.journal.drained_to(drained_in_file)
                    waiting = self.journal.waiting()
            missing: dict[int, str] = {}
            is_older = drained_in_file is not None and drained_in_file < self.journal.drained
            checked: set[int] = set()
            batches: list[NewPoints] = []
            drained: list[LoggedSeries] = []
            for series, batch in self._batches(waiting.slots) if waiting.slots else ():
                run = batch.series.run
                if run not in checked:
                    checked.add(run)
                    if not _admit_points(connection, run, series.run_id):
                        missing[run] = series.run_id
                if run not in missing:
                    batches.append(batch)
                    drained.append(series)
            if connection.rescued is not None and (missing or is_older):
                # The journal still has what the file lacks: the next opener goes by the note in the file.
                raise ArchiveMovedError(
                    f"{connection.path} is older than what was stored, because another file took the place of"
                    f" its -wal; all is in {connection.rescued}: end this process, and keep one of the two"
                    " under this name",
                    path=str(connection.path),
                )
            append_points(connection, batches)
            save_drained(connection, self.journal.key, waiting.address)
        with self.journal.lock:
            for series in drained:
                # A forked child may have logged steps that this process has not counted.
                if series.stored.summary is not None:
                    series.next = max(series.next, series.stored.summary.top_step + 1)
        return RunNotFoundError(next(iter(missing.values())), str(connection.path)) if missing else None

    def _batches(self, slots: bytes) -> Iterator[tuple[LoggedSeries, NewPoints]]:
        for index, steps, times_ms, values, words in read_slots(slots):
            series = self.by_index[index]
            yield series, NewPoints(series.stored, steps, times_ms, values, words)


def _admit_points(connection: Connection, run: int, run_id: str) -> bool:
    """Return whether the run still exists. If another process has ended it, remove its seal."""
    row = connection.one(RUN_SEAL, (run, run_id))
    if row is None:
        return False
    if row["checksum"] is not None:
        change = wrap_sum(-hash_row(SEAL_KIND, (row["checksum"],)))
        connection.execute(LIFT_SEAL, (change, run))
        lift_seals_of_series(connection, run)
    return True


def read_archive_identity(connection: Connection) -> str:
    """Return a text that tells this archive from another at its path: time and hash of the first migration."""
    return connection.birth


# Which writer a live run uses


def open_writer(connection: Connection, user: WriterUser) -> Writer | None:
    """Return this connection's writer, made if there is none, with `user` added; None if no file can be made.

    Raises:
        ArchiveFullError: the disk has no room for the journal.
    """
    with connection.journal_guard:
        writer = _WRITERS.get(connection)
        if writer is None:
            try:
                journal = Journal(connection.path, read_archive_identity(connection))
            except ArchiveFullError:
                raise
            except OSError as error:
                warn(
                    f"no journal can be made beside {connection.path} ({error.strerror}):"
                    " each log call is a commit, 20 times slower; keep the archive on a local disk"
                )
                return None
            if journal.map is None:
                warn(
                    f"the journal {journal.path} cannot be mapped: each log call is a system call, six times"
                    " slower; keep the archive on a local disk"
                )
            writer = _WRITERS[connection] = Writer(connection, journal)
            connection.before_close = lambda: _close(connection)
            connection.before_section = writer.refuse_inside_logging
            writer.start()
        writer.add(user)
        return writer


def use_writer(connection: Connection, user: WriterUser, make: Callable[[], Writer]) -> Writer:
    """Return this connection's writer, made by `make` if there is none, with `user` added."""
    with connection.journal_guard:
        writer = _WRITERS.get(connection)
        if writer is None:
            writer = _WRITERS[connection] = make()
        writer.add(user)
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

    def _lose_journal(self) -> None:
        """Do nothing: this user does not log."""

    def _become_child(self, journal: Journal) -> None:
        """Do nothing: this user does not log."""

    def _begin_file(self, journal: Journal) -> None:
        """Do nothing: this user does not log."""


def find_user(connection: Connection, run: int, run_id: str) -> WriterUser | None:
    """Return the handle of this process that logs the run through a journal; prefer this connection's."""
    writer = _WRITERS.get(connection)
    others = [one for one in list(_WRITERS.values()) if one is not writer]
    for one in [writer, *others] if writer else others:
        for user in list(one.users):
            if user._run == run and user.run_id == run_id and _is_of_file(one, connection):
                return user
    return None


def release_writer(connection: Connection, user: WriterUser) -> bool:
    """Remove a user from its writer. Return True if it was the last one; then the journal is deleted.

    Every point must be drained before.
    """
    with connection.journal_guard:
        writer = _WRITERS.get(connection)
        if writer is None:
            return False
        writer.users.discard(user)
        if writer.users:
            if all(other.run_id != user.run_id for other in writer.users):
                writer.journal.file.release_run(user.run_id)
            return False
        del _WRITERS[connection]
    connection.before_close = connection.before_section = None
    writer.stop()
    writer.journal.remove()
    return True


def _close(connection: Connection) -> None:
    """Store the points of runs that are still open when the archive is closed, and delete the journal."""
    writer = _WRITERS.pop(connection, None)
    if writer is None or writer.pid != os.getpid():
        return
    with writer.journal.lock:
        for user in list(writer.users):
            user._lose_journal()
    writer.stop()
    writer.drain()
    if writer.journal.family.is_alive():
        # The file says so to all who look; the last of them or the next opener deletes it.
        writer.journal.give_up()
        return
    writer.journal.remove()


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
    It waits for a locked archive for a second only, and not again before a drain has succeeded.
    """
    for connection, writer in list(_WRITERS.items()):
        if connection.path != path and not _same_file(connection.path, path):
            continue
        if connection.closed or connection.in_transaction:
            continue
        try:
            connection.section(
                partial(writer.drain, told=False), within_s=0 if writer.readers_told else READERS_WAIT_S
            )
            writer.readers_told = False
        except ExptrackError as error:
            told, writer.readers_told = writer.readers_told or writer.has_warned, True
            if not told:
                warn(f"reading {path} without the newest points, which are still in the journal: {error}")


def _is_of_file(writer: Writer, connection: Connection) -> bool:
    """Whether a writer writes the file of a connection: a copy of an archive has the same runs."""
    return writer.connection is connection or _same_file(writer.connection.path, connection.path)


def _same_file(a: Path, b: Path) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


# Forks


def _drain_before_fork() -> None:
    """Drain each journal, so that the child inherits no points that only its parent can store."""
    _over_fork.ended_by_parent = forks.is_ended_by_parent()
    for connection, writer in list(_WRITERS.items()):
        writer.journal.family.join()
        show_presence(connection)
        writer.journal.family.has_forked = True
        writer.journal.family.has_children |= not forks.is_worker()
        if connection.closed or connection.in_transaction:
            continue
        try:
            writer.drain(told=False, patience_s=PATIENCE_S)
        except Exception as error:  # nothing may keep a fork from happening; the points stay in the journal
            warn(f"forking while points are still in the journal of {connection.path}: {error}")


def _hold_over_fork() -> list[forks.Lock]:
    """Hold each journal's lock, so that the child inherits none in use; return those locks."""
    held: list[forks.Lock] = []
    for connection, writer in list(_WRITERS.items()):
        if not connection.closed and not connection.in_transaction:
            writer.journal.lock.acquire()
            held.append(writer.journal.lock)
    return held


def _after_fork_in_child() -> None:
    """Forget the journals in the child: they belong to the parent."""
    for connection, writer in _WRITERS.items():
        connection.before_close = connection.before_section = None
        writer.journal.leave_to_parent()
        _FAMILIES.append(writer.journal.family)
        for user in writer.users:
            user._become_child(writer.journal)
    _WRITERS.clear()
    if getattr(_over_fork, "ended_by_parent", False):
        for family in _FAMILIES:
            family.leave()


forks.run_before(_drain_before_fork, _hold_over_fork)
forks.run_in_child(_after_fork_in_child)
