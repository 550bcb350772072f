"""From the journals into the archive: the thread that drains, and the replay of what a dead process left.

Invariants: points and the address up to which the journal is drained commit together, so that nothing is
stored twice or skipped, wherever a process is killed. A journal file is deleted only after that commit, and
whoever replays one looks whether it is still there once the write lock is held: of two openers one replays.
Only a journal of this very archive, whose process is known to be dead, is replayed; any other file is left
alone with a warning.

Locks are taken in this order: `Writer.draining`, SQLite's write lock, `Journal.lock`. Nobody drains inside a
transaction of his own.
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
from typing import Any

from exptrack.database.connection import Connection
from exptrack.errors import (
    ArchiveFullError,
    ArchiveIOError,
    ArchiveLockedError,
    ExptrackError,
    RunNotFoundError,
)
from exptrack.metrics.journal import (
    Journal,
    Span,
    warn,
)
from exptrack.metrics.store import NewPoints, Series, append_points

DRAIN_S = 1.0

ARCHIVE_IDENTITY = "SELECT applied_at || ' ' || sha256 FROM migration WHERE number = 1"
SAVE_DRAINED = """
INSERT INTO metric_journal (journal, drained) VALUES (?, ?)
ON CONFLICT (journal) DO UPDATE SET drained = excluded.drained
"""
FORGET_JOURNAL = "DELETE FROM metric_journal WHERE journal = ?"
RUN_BY_NUMBER = "SELECT status, checksum FROM run WHERE id = ? AND run_id = ?"
LIFT_SEAL = "UPDATE run SET checksum = NULL WHERE id = ?"
LIFT_SEALS_OF_SERIES = "UPDATE metric_series SET checksum = NULL WHERE run = ?"

# Every journal of this process with its writer, by the connection it drains through.
_WRITERS: dict[Connection, Writer] = {}
_writers_lock = threading.Lock()
_over_fork = threading.local()


class LoggedSeries:
    """A metric of a live run: its number in the journal, and the step an automatic one takes next."""

    __slots__ = ("epoch", "next", "number", "run_id", "stored")

    def __init__(self, stored: Series, run_id: str, number: int, following: int) -> None:
        self.stored = stored
        self.run_id = run_id
        self.number = number
        self.next = following
        self.epoch = -1


class Writer:
    """Drains one journal: about once a second, every 10,000 points, and whenever somebody is about to read."""

    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        self.pid = os.getpid()
        self.draining = threading.RLock()
        self.users: set[Any] = set()
        self.by_number: dict[int, LoggedSeries] = {}
        self.failure: Exception | None = None
        self._failing = False
        self._inside = False
        self._stopped = False
        self._thread: threading.Thread | None = None

    # The thread

    def start(self) -> None:
        """Begin to drain by itself."""
        self._thread = threading.Thread(target=self._work, name="exptrack-writer", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        journal = self.journal
        while True:
            journal.wake.wait()
            journal.wake.clear()
            while not self._stopped and journal.prefault(1 << 18):
                pass
            journal.batch_ready.wait(DRAIN_S)
            journal.batch_ready.clear()
            if self._stopped:
                return
            try:
                self.drain(told=False)
            except Exception:
                # Noted by drain() for the next call; training goes on, and so do the attempts.
                journal.wake.set()

    def stop(self) -> None:
        """End the thread; what waits in the journal stays there."""
        self._stopped = True
        self.journal.wake.set()
        self.journal.batch_ready.set()
        if self._thread not in (None, threading.current_thread()):
            assert self._thread is not None
            self._thread.join()

    # Draining

    def drain(self, *, told: bool = True, seen: int | None = None) -> None:
        """Store what the journal holds. Commits. `told` is false where nobody sees what is raised.

        Who only wants room gives the address `seen` up to which it was drained: a drain under way that comes
        further is then enough, and logging goes on beside the next one.

        Raises:
            ExptrackError: it could not be stored; it stays in the journal, and the next logging call,
                ``flush()`` and the end of the run raise the same.
        """
        journal = self.journal
        if journal.held_by_this_thread():
            # Waiting for the writer, which waits for that lock, would never end.
            raise self._interrupted()
        with self.draining:
            if self._inside:
                raise self._interrupted()
            if seen is not None and journal.drained != seen:
                return
            self._inside = True
            try:
                self._drain(journal, told)
            finally:
                self._inside = False

    def _interrupted(self) -> ArchiveLockedError:
        return ArchiveLockedError(
            f"{self.connection.path} is being written by the call that this signal handler interrupted;"
            " a handler may log, but neither flush nor end a run",
            path=str(self.connection.path),
        )

    def _drain(self, journal: Journal, told: bool) -> None:
        with journal.lock:
            spans, address = journal.waiting()
        lost: RunNotFoundError | None = None
        if spans:
            try:
                lost = self._store(spans, address)
            except BaseException as error:
                for series in list(self.by_number.values()):
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
        """A journal whose file somebody deleted would lose what comes next to a kill: write it again."""
        if os.path.exists(journal.path):
            return
        try:
            with journal.lock:
                while not journal.restore():
                    pass
        except OSError as error:
            lost = ArchiveIOError(
                f"the journal {journal.path} was deleted and cannot be written again ({error.strerror})",
                path=str(journal.path),
            )
            self._fail(lost, told)
            raise lost from error
        except ArchiveFullError as full:
            self._fail(full, told)
            raise
        warn(f"the journal {journal.path} was deleted by somebody else; it is there again")

    def _fail(self, error: Exception, told: bool) -> None:
        """Keep the first of a row of failures for the next logging call, unless a caller is told now."""
        begun, self._failing = self._failing, True
        if told:
            self.failure = None
        elif not begun:
            with self.journal.lock:
                self.failure = error
                self.journal.nudge()
            warn(f"logged points are not in the archive: {error}")

    def take_failure(self) -> Exception | None:
        """What went wrong while draining, if nobody was told yet and it has not been made good."""
        failure, self.failure = self.failure, None
        return failure

    def _store(self, spans: list[Span], address: int) -> RunNotFoundError | None:
        connection = self.connection
        with connection.transaction():
            missing: dict[int, str] = {}
            checked: set[int] = set()
            batches: list[NewPoints] = []
            drained: list[LoggedSeries] = []
            for series, batch in self._batches(spans):
                run = batch.series.run
                if run not in checked:
                    checked.add(run)
                    if not _accept(connection, run, series.run_id):
                        missing[run] = series.run_id
                if run not in missing:
                    batches.append(batch)
                    drained.append(series)
            append_points(connection, batches)
            connection.execute(SAVE_DRAINED, (self.journal.header.key, address))
        with self.journal.lock:
            for series in drained:
                # A forked child may have gone beyond what this process counted.
                if series.stored.summary is not None:
                    series.next = max(series.next, series.stored.summary.top_step + 1)
        return RunNotFoundError(next(iter(missing.values())), str(connection.path)) if missing else None

    def _batches(self, spans: list[Span]) -> Iterator[tuple[LoggedSeries, NewPoints]]:
        for span in spans:
            part = memoryview(self.journal.map[span.begin : span.end])
            integers, floats = part.cast("q"), part.cast("d")
            numbers, steps = integers[1::6].tolist(), integers[2::6].tolist()
            times_ms, values = floats[3::6].tolist(), floats[4::6].tolist()
            for number, take in _by_series(numbers):
                series = self.by_number[number]
                new_times = list(map(int, take(times_ms)))
                yield series, NewPoints(series.stored, take(steps), new_times, take(values))


def _by_series(numbers: list[int]) -> Iterator[tuple[int, Callable[[list[Any]], list[Any]]]]:
    """Each number with what takes its elements out of a column."""
    # A training loop logs the same metrics in turn: slices then take a tenth of the time.
    period = numbers.index(numbers[0], 1) if numbers.count(numbers[0]) > 1 else len(numbers)
    turn = numbers[:period]
    if len(set(turn)) == period and (turn * (len(numbers) // period + 1))[: len(numbers)] == numbers:
        for begin, number in enumerate(turn):
            yield number, itemgetter(slice(begin, None, period))
        return
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, number in enumerate(numbers):
        places[number].append(place)
    for number, found in places.items():
        yield number, partial(_picked, found)


def _picked(places: list[int], column: list[Any]) -> list[Any]:
    return [column[place] for place in places]


def _accept(connection: Connection, run: int, run_id: str) -> bool:
    """Whether the run is there to take points; one that somebody else has ended loses its seal."""
    row = connection.one(RUN_BY_NUMBER, (run, run_id))
    if row is None:
        return False
    if row["checksum"] is not None:
        connection.execute(LIFT_SEAL, (run,))
        connection.execute(LIFT_SEALS_OF_SERIES, (run,))
    return True


def archive_identity(connection: Connection) -> str:
    """What tells this archive from another under the same name: when and from what it was made."""
    return str(connection.value(ARCHIVE_IDENTITY))


def writer_for(connection: Connection, user: Any) -> Writer | None:
    """The writer of this connection for a live run, made when there is none; None where no file can be mapped.

    Raises:
        ArchiveFullError: no room for the journal.
    """
    with _writers_lock:
        writer = _WRITERS.get(connection)
        if writer is None:
            try:
                journal = Journal(connection.path, archive_identity(connection))
            except ArchiveFullError:
                raise
            except OSError as error:
                warn(
                    f"no journal can be mapped beside {connection.path} ({error.strerror}):"
                    " each log call is a commit, 20 times slower"
                )
                return None
            writer = _WRITERS[connection] = Writer(connection, journal)
            connection.before_close = lambda: _close(connection)
            writer.start()
        writer.users.add(user)
        return writer


@contextmanager
def journal_ready(connection: Connection) -> Iterator[None]:
    """Keep a journal ready meanwhile for a run about to begin.

    Raises:
        ArchiveFullError: no room for it.
    """
    beginner = _Beginner()
    if connection.mode == "rw":  # otherwise the run cannot begin, and says so itself
        writer_for(connection, beginner)
    try:
        yield
    finally:
        release(connection, beginner)


class _Beginner:
    """Stands for a run that is not there yet."""

    _run, run_id = None, ""

    def lose_journal(self) -> None:
        """There is none to lose."""


def writer_of(connection: Connection, run: int, run_id: str) -> Any:
    """The handle of this process, by this connection if there is one, that logs the run live, or None."""
    writer = _WRITERS.get(connection)
    others = [one for one in list(_WRITERS.values()) if one is not writer]
    for one in [writer, *others] if writer else others:
        for user in list(one.users):
            if user._run == run and user.run_id == run_id:
                return user
    return None


def release(connection: Connection, user: Any) -> bool:
    """Take a live run away from its writer; with the last one the journal goes, and the answer is True.

    Everything must be drained.
    """
    with _writers_lock:
        writer = _WRITERS.get(connection)
        if writer is None:
            return False
        writer.users.discard(user)
        if writer.users:
            return False
        del _WRITERS[connection]
    connection.before_close = None
    writer.stop()
    writer.journal.remove()
    return True


def forget_journal(connection: Connection, key: str) -> None:
    """Drop the note on a journal that is gone; inside the caller's transaction."""
    connection.execute(FORGET_JOURNAL, (key,))


def _close(connection: Connection) -> None:
    """The archive is being closed with runs open: they can log no more; their points are stored."""
    writer = _WRITERS.pop(connection, None)
    if writer is None or writer.pid != os.getpid():
        return
    with writer.journal.lock:
        for user in list(writer.users):
            user.lose_journal()
    writer.stop()
    writer.drain()
    writer.journal.remove()
    with connection.transaction():
        connection.execute(FORGET_JOURNAL, (writer.journal.header.key,))


def drain_own(connection: Connection) -> None:
    """Store what was logged through this connection. Commits if there is any.

    Raises:
        ExptrackError: it could not be stored; it stays in the journal.
    """
    writer = _WRITERS.get(connection)
    if writer is not None:
        writer.drain()


def drain_all(path: Path) -> None:
    """Let whoever reads `path` next in this process see all that was logged here. Commits if there is any.

    What cannot be stored (no room, file moved) stays in the journal; the writing side raises it.
    """
    for connection, writer in list(_WRITERS.items()):
        if connection.path != path and not _same_file(connection.path, path):
            continue
        if connection.closed or connection.in_transaction:
            continue
        try:
            writer.drain(told=False)
        except ExptrackError as error:
            warn(f"{path} is read without the points logged last: {error}")


def _same_file(a: Path, b: Path) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


def _before_fork() -> None:
    """Nothing waits, no writer is inside SQLite and no lock is held by another while the process is copied."""
    held = _over_fork.held = []
    for connection, writer in list(_WRITERS.items()):
        if connection.closed or connection.in_transaction:
            continue
        # SQLite in the child takes a transaction that was under way here for one of its own that never ends.
        if writer.draining.acquire(timeout=connection.busy_wait_s):
            held.append(writer.draining)
            try:
                writer.drain(told=False)
            except ExptrackError as error:
                warn(f"forking with points in the journal only: {error}")
        writer.journal.lock.acquire()
        held.append(writer.journal.lock)


def _after_fork_in_parent() -> None:
    for lock in reversed(_over_fork.held):
        lock.release()


def _after_fork_in_child() -> None:
    """The journals are the parent's: the child neither writes, drains nor deletes them."""
    global _writers_lock
    _writers_lock = threading.Lock()
    for connection, writer in _WRITERS.items():
        connection.before_close = None
        for user in writer.users:
            user.lose_journal()
    _WRITERS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
