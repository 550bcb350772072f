"""Move points from this process's journals into the archive: the writer thread, and forks.

Invariants:

- Points and the address up to which the journal is drained commit together. So no point is stored twice or
  skipped, wherever the process is killed.
- A journal file is deleted only after that commit. Its address stays in the archive for ever: a copy of the
  file may come back, or it could not be deleted.
- A run takes and returns its journal in the section thread. In the caller's thread a signal handler that ends
  another run would wait for the guard that its own thread holds.
- Nothing takes `Journal.lock` inside a transaction, and nothing drains there: a fork takes that lock, and then
  waits for transactions.
- A forked child never writes, drains or deletes its parent's journals. It logs by commits.
- Where runs follow each other, the journal and its threads outlive a run: making and deleting them takes longer
  than a short run. A journal without a run is empty, and goes `KEPT_S` after the last run, before a fork, and
  when the archive is closed. One that a killed process leaves is deleted by the next opener.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from weakref import WeakKeyDictionary

from exptrack.database import forks
from exptrack.database.connection import Connection, in_section
from exptrack.database.presence import show_presence
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
from exptrack.metrics.series_seals import admit_points
from exptrack.metrics.store import NewPoints, append_points
from exptrack.metrics.writer_users import LoggedSeries, StoredBefore
from exptrack.own_files import is_one_file
from exptrack.threads import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.metrics.writer_users import Ending, WriterUser

READERS_WAIT_S = 1.0  # for another process that holds the write lock
DRAIN_S = 1.0  # the longest time a point is queued while the archive can be written
LOOK_S, LOOK_AGAIN_S = 0.05, 1.0  # between two looks at the journal's file; when it cannot be written again
ROOM_WAIT_S = 1.0
PATIENCE_S, SHORT_PATIENCE_S = 5.0, 0.1  # for the lock, where no caller asks for points to be stored
WARN_OF_LOCK_S = 30.0
PREFAULT_STEP_BYTES = 1 << 18
KEPT_S = 3.0  # runs that begin within this time after the last one are in a row; so long their journal stays

# Every writer of this process, by the connection it drains through.
_WRITERS: dict[Connection, Writer] = {}
# When the last live run of a connection ended, by time.monotonic().
_ENDED: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
_over_fork = threading.local()
_FAMILIES: list[Family] = []  # those that this process was forked into


class Writer:
    """Drains one journal: once a second, every 20,000 points, and before each read in this process."""

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
        self.lost: RunNotFoundError | None = None  # to be raised by the next logging call
        self.is_of_a_row = time.monotonic() - _ENDED.get(connection, -math.inf) < KEPT_S
        self.idle_since: float | None = None  # when the last user left, while the journal waits for another
        self._storing = Worker(self._work, "exptrack-writer", self._wake)
        self._watching = Worker(self._watch, "exptrack-watch", journal.begun.set)

    def add(self, user: WriterUser) -> None:
        """Let a handle log its run through this journal. Others see by a lock that the run is written here."""
        self.idle_since = None
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
            if not journal.wake.wait(KEPT_S if self.is_of_a_row else -1):
                if self.idle_since is not None:
                    retire(self, KEPT_S)
                continue
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
                        if not journal.resting:
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

    # Between two runs

    def rest(self) -> bool:
        """Wait without a user for the next run, if one is likely to come; return whether this writer waits.

        The caller holds the guard of the journal.
        """
        is_sound = self.journal.is_safe and not self.journal.tampered
        is_clear = self.trouble is None and self.lost is None and not self.journal.family.has_forked
        # An archive of a spool is one file while no run is open in it.
        if self.is_of_a_row and is_sound and is_clear and self.connection.spooled is None:
            if self._storing.is_running:
                self.idle_since = time.monotonic()
        return self.idle_since is not None

    def can_be_used(self) -> bool:
        """Whether the journal's file still stands at its place, whole."""
        return self.idle_since is None or self.journal.file.state() is FileState.WHOLE

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
            path=self.connection.file,
        )

    def raise_if_lost(self) -> None:
        """Raise, once, that a run was deleted together with the points that were to be stored."""
        lost, self.lost = self.lost, None
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

    def drain_with(self, ending: Ending) -> None:
        """Store the points and the end of a run in one transaction. Power-safe.

        One transaction waits once for other writers, and for the disk. If there are points of many segments,
        the first ones are stored before.

        Raises:
            ExptrackError: as writing the end raises, or :meth:`drain`. The points stay in the journal.
        """
        journal = self.journal
        with journal.lock:
            end = journal.address
        while True:
            with journal.lock:
                rest = journal.waiting().address
            if rest >= end:
                break
            self._drain(True, None)
        self._drain(True, None, ending)

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
                f"this signal handler interrupted a call that logs into {self.connection.file};"
                " let the handler log, but flush or end the run outside it",
                path=self.connection.file,
            )

    @in_section
    def _drain(self, told: bool, patience_s: float | None, ending: Ending | None = None) -> None:
        journal = self.journal
        with journal.lock:
            waiting = journal.waiting()
        lost: RunNotFoundError | None = None
        if waiting.slots or ending is not None:
            try:
                with self.connection.waiting_at_most(patience_s):
                    try:
                        lost = self._store(waiting, ending)
                    except StoredBefore as found:
                        with journal.lock:
                            journal.drained_to(*found.args)
                            waiting = journal.waiting()
                        lost = self._store(waiting, ending)
            except BaseException as error:
                for series in list(self.by_index.values()):
                    series.undo()
                # A reader that waits no longer is told nothing.
                if isinstance(error, Exception) and not self.connection.caller_has_given_up:
                    self._note_trouble(error, told)
                if told and waiting.slots and isinstance(error, ArchiveError):
                    raise self._with_whereabouts(error) from error
                raise
        with journal.lock:
            if not journal.drained_to(waiting.address):
                journal.wake.set()
        self.trouble, self.has_warned = None, False
        if lost is not None:
            with journal.lock:
                self.lost = lost
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

    def _store(self, waiting: Waiting, ending: Ending | None) -> RunNotFoundError | None:
        """Store points and the end of a run in one transaction. Return the error of a run that is gone, if any.

        Raises:
            StoredBefore: the file has some of the points already. Nothing is stored.
        """
        bulk = self.connection.in_bulk() if pays_in_bulk(len(waiting.slots) // SLOT) else nullcontext()
        missing: dict[int, str] = {}
        drained: list[LoggedSeries] = []
        with bulk, self.connection.transaction(durable=ending is not None):
            if waiting.slots:
                self._insert(waiting, drained, missing, ending)
            if ending is not None:
                ending.write()
        with self.journal.lock:
            for series in drained:
                # A forked child may have logged steps that this process has not counted.
                if series.stored.summary is not None:
                    series.next = max(series.next, series.stored.summary.top_step + 1)
        return RunNotFoundError(next(iter(missing.values())), self.connection.file) if missing else None

    def _insert(
        self, waiting: Waiting, drained: list[LoggedSeries], missing: dict[int, str], ending: Ending | None
    ) -> None:
        connection = self.connection
        drained_in_file = read_drained(connection, self.journal.key)
        if drained_in_file is None:
            warn(
                f"the note in {connection.file} on how far {self.journal.path} is stored is damaged; it is"
                " written again, and the newest points may be stored twice: run 'exptrack verify'"
            )
        elif drained_in_file > self.journal.drained:
            # An earlier drain has committed, but failed before it could note so here. Or someone has taken
            # this process for dead, and stored what had been logged.
            raise StoredBefore(drained_in_file)
        is_older = drained_in_file is not None and drained_in_file < self.journal.drained
        checked: set[int] = set()
        batches: list[NewPoints] = []
        for index, steps, times_ms, values, words in read_slots(waiting.slots):
            series = self.by_index[index]
            run = series.stored.run
            if run not in checked:
                checked.add(run)
                if not admit_points(connection, run, series.run_id):
                    missing[run] = series.run_id
            if ending is not None:
                ending.seal_if_new(series.stored)
            if run not in missing:
                batches.append(NewPoints(series.stored, steps, times_ms, values, words))
                drained.append(series)
        if connection.rescued is not None and (missing or is_older):
            # The journal still has what the file lacks: the next opener goes by the note in the file.
            raise ArchiveMovedError(
                f"{connection.file} is older than what was stored, because another file took the place of"
                f" its -wal; all is in {connection.rescued}: end this process, and keep one of the two"
                " under this name",
                path=connection.file,
            )
        append_points(connection, batches)
        save_drained(connection, self.journal.key, waiting.address)


# Which writer a live run uses


def open_writer(connection: Connection, user: WriterUser) -> Writer | None:
    """Return this connection's writer, made if there is none, with `user` added; None if no file can be made.

    Raises:
        ArchiveFullError: the disk has no room for the journal.
    """
    with connection.journal_guard:
        writer = _WRITERS.get(connection)
        if writer is not None and not writer.can_be_used():
            _remove(writer)
            writer = None
        if writer is None:
            try:
                journal = Journal(connection.file, connection.birth)
            except ArchiveFullError:
                raise
            except OSError as error:
                warn(
                    f"no journal can be made beside {connection.file} ({error.strerror}):"
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


def release_writer(connection: Connection, user: WriterUser) -> bool:
    """Remove a user from its writer; return True if it was the last one.

    Then the journal is deleted, or kept if runs are in a row: see :func:`is_kept`. Every point must be drained
    before.
    """
    with connection.journal_guard:
        writer = _WRITERS.get(connection)
        if writer is None:
            return False
        writer.users.discard(user)
        if user.run_id and all(other.run_id != user.run_id for other in writer.users):
            writer.journal.file.release_run(user.run_id)
        if writer.users:
            return False
        is_resting = writer.rest()
        _ENDED[connection] = time.monotonic()
        if not is_resting:
            _remove(writer)
        return True


def is_kept(connection: Connection) -> bool:
    """Whether this connection has a journal, with or without a run that logs into it."""
    return connection in _WRITERS


def _remove(writer: Writer) -> None:
    """Forget a writer without a user, and delete its journal. The caller holds the guard."""
    connection = writer.connection
    del _WRITERS[connection]
    connection.before_close = connection.before_section = None
    writer.stop()
    if writer.idle_since is None:
        writer.journal.remove()
    else:
        writer.journal.discard()


def retire(writer: Writer, after_s: float) -> None:
    """Delete the journal of a writer that has been without a user for `after_s`, and fold the WAL. Commits."""
    connection = writer.connection

    def end() -> None:
        with connection.journal_guard:
            idle_since = writer.idle_since
            if _WRITERS.get(connection) is not writer or idle_since is None:
                return
            if time.monotonic() - idle_since < after_s:
                return
            _remove(writer)
        connection.checkpoint_if_free()

    try:
        connection.section(end)
    except ExptrackError as error:
        if not connection.closed:  # else the close has seen to both
            warn(f"the journal {writer.journal.path} is no longer needed, but cannot be put away: {error}")


def _close(connection: Connection) -> None:
    """Store the points of runs that are still open when the archive is closed, and delete the journal."""
    with connection.journal_guard:
        writer = _WRITERS.get(connection)
        if writer is None or writer.pid != os.getpid():
            return
        if writer.idle_since is not None:
            _remove(writer)
            return
        del _WRITERS[connection]
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


def drain_all(path: str | os.PathLike[str]) -> None:
    """Store every point that this process logged into `path`, so that a read sees it. Commits if there are any.

    Points that cannot be stored (disk full, file moved) stay in the journal. The next logging call raises.
    It waits for a locked archive for a second only, and not again before a drain has succeeded.
    """
    place = os.fspath(path)
    for connection, writer in list(_WRITERS.items()):
        if connection.file != place and not is_one_file(connection.file, place):
            continue
        if connection.closed or connection.in_transaction or writer.idle_since is not None:
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


# Forks


def _drain_before_fork() -> None:
    """Drain each journal, so that the child inherits no points that only its parent can store."""
    _over_fork.ended_by_parent = forks.is_ended_by_parent()
    for connection, writer in list(_WRITERS.items()):
        if writer.idle_since is not None:
            retire(writer, 0)
        if not is_kept(connection):
            continue
        writer.journal.family.join()
        show_presence(connection)
        writer.journal.family.has_forked = True
        writer.journal.family.has_children |= not forks.is_worker()
        if connection.closed or connection.in_transaction:
            continue
        try:
            writer.drain(told=False, patience_s=PATIENCE_S)
        except Exception as error:  # nothing may keep a fork from happening; the points stay in the journal
            warn(f"forking while points are still in the journal of {connection.file}: {error}")


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
