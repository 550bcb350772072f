"""The handle on a run: log to it, describe it, end it.

Invariants:

- A run is ``running`` exactly while a ``run_owner`` row names its process. Only that process ends the run, or
  one forked from it (see ``inheritance``), or another process that finds it dead (see ``lifecycle``). A run
  with a lease has no such process: any may write and end it, and it is live in none (see ``elsewhere``).
- The config of the start stays. It grows only through ``update_config``, and by each parameter that a trial
  suggests (see ``growing_config``).
- Every change is one transaction together with its event.
- A run that has ended refuses metrics, but those of ``log_rows``. It still takes tags, notes, events and
  artifacts, images, texts, tables and histograms included.

Durability, the promise of a run:

- When ``log_metric``, ``log``, ``log_many``, a tag or a note returns, a SIGKILL loses nothing of it.
- When ``flush``, ``finish``, ``complete``, ``fail`` or ``interrupt`` returns, a power cut loses nothing that
  was logged before.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from types import FrameType, TracebackType

from exptrack.capture.redaction import remove_secrets_and_paths
from exptrack.config.exp_config import ExpConfig
from exptrack.config.store import read_exp_config
from exptrack.database import forks
from exptrack.database.connection import Connection, Row, in_section
from exptrack.database.damage import decoding_rows
from exptrack.errors import (
    ExptrackError,
    InvalidValueError,
    RunFinishedError,
    RunNotFoundError,
    warn,
)
from exptrack.listed import listed
from exptrack.metrics.store import read_curve, read_last
from exptrack.metrics.writer import drain_all, drain_own, is_kept
from exptrack.process import pages_folder
from exptrack.records import ArtifactUse, MetricPoint, RunStatus
from exptrack.runs.lease import renew_lease
from exptrack.runs.lookup import read_last_values
from exptrack.runs.ownership import DELETE_OWNER
from exptrack.runs.row_sums import changing_run
from exptrack.runs.seal import seal_run
from exptrack.runs.store import record_end
from exptrack.runs.trial_link import TrialPruned
from exptrack.termination import SIGTERM_EXIT, Terminated
from exptrack.times import moment, steady_s, utc_text
from exptrack.tracking.activation import enter, leave
from exptrack.tracking.description import Description
from exptrack.tracking.ending import note_exit
from exptrack.tracking.growing_config import GrowingConfig
from exptrack.tracking.heartbeat import LIVE, announce
from exptrack.tracking.inheritance import Inheritance
from exptrack.tracking.media_log import MediaLog
from exptrack.validation import check_name, check_status, check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, overload

    from exptrack.artifacts.lineage import UsedArtifact
    from exptrack.artifacts.store import ArtifactStore
    from exptrack.capture.system_metrics import SystemSampler
    from exptrack.markup.notebook import View
    from exptrack.metrics.buckets import Buckets
    from exptrack.metrics.series import Series

BEAT_WAIT_S = 5.0
PRUNE_EVENT = "prune"
RUN_BY_ID = "SELECT id, started_at FROM run WHERE run_id = ?"
RUN_STATE = "SELECT run_id, status, started_at, duration_ms FROM run WHERE id = ?"
# Where the clock was set back, a run is heard of, and ends, when it began: not before.
BEAT = """
UPDATE run SET heartbeat_at = max(?, started_at), duration_ms = ? WHERE id = ? AND status = 'running'
"""
END_RUN = """
UPDATE run SET status = ?, reason = ?, traceback = ?, ended_at = max(?, started_at),
               heartbeat_at = max(?, started_at), duration_ms = ?
WHERE id = ?
"""


class Run(Inheritance, Description, GrowingConfig, MediaLog):
    """One run of an archive.

    Use it as a context manager. The end of the block completes the run. An exception fails it, with reason and
    traceback. Ctrl-C or SIGTERM interrupts it.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     with archive.start_run({"lr": 0.1}, tags=["demo"]) as run:
    ...         for step, loss in enumerate([0.9, 0.5, 0.4]):
    ...             run.log_metric("loss", loss, step)
    ...     [point.value for point in run.get_metric("loss")], str(run.status)
    ([0.9, 0.5, 0.4], 'completed')
    """

    def __init__(
        self,
        connection: Connection,
        run: int,
        run_id: str,
        started_at: datetime,
        config: ExpConfig,
    ) -> None:
        super().__init__()
        self._connection = connection
        self._run = run
        self._set_fixed(run_id=run_id, started_at=started_at, config=config)
        self._pid = 0
        self._began = 0.0
        self._duration_ms = 0
        self._old_sigterm: Any = None
        self._block_pid = 0  # the process whose block ends a run with a lease, which is live nowhere
        # The end that was asked for, while it could not be stored: status, reason and traceback.
        self._wanted_end: tuple[RunStatus, str | None, str | None] | None = None
        self._sampler: SystemSampler | None = None
        self._completes_at_exit = False

    def __reduce__(self) -> tuple[Any, ...]:
        # The copy logs to the run by commits, and leaves it to the process that owns it.
        return unpickle_run, (self._connection, self.run_id)

    def __copy__(self) -> Run:
        return self

    def __deepcopy__(self, _memo: object) -> Run:
        return self

    def __repr__(self) -> str:
        return f"<Run {self.run_id} in {self._connection.path.name}>"

    def _view(self) -> View:
        from exptrack.tracking.run_view import view_run

        return view_run(self._connection, self._run, self.run_id)

    # Being live

    def _go_live(self, began_s: float, *, duration_ms: int, time_ms: int, resumed: bool) -> None:
        """Own the run, which began or went on at `began_s` by `steady_s`, `time_ms` after its start."""
        self._pid = os.getpid()
        self._began = began_s
        self._zero = began_s - time_ms / 1000
        self._duration_ms = duration_ms
        self._is_resumed = resumed
        self._take_journal()
        announce(self)

    def _sample_system(self, every_s: float | None) -> None:
        if every_s is not None:
            from exptrack.capture.system_metrics import SystemSampler

            folder = str(self._connection.path.parent)
            try:
                # Of this class: the sampler tells of errors itself.
                log, report = partial(Run.log, self), partial(Run.append_event, self)
                self._sampler = SystemSampler(log, report, folder=folder, interval_s=every_s)
            except Exception as error:  # no thread is left, for instance; the run goes on
                warn(f"run {self.run_id} logs no system metrics: {error}")

    @property
    def _live(self) -> bool:
        return self._pid == os.getpid()

    def _session_ms(self) -> int:
        return int((steady_s() - self._began) * 1000) if self._pid else 0

    @in_section
    def beat(self) -> None:
        """Store that the run is alive; a run with a lease needs this. Commits.

        Waits for 5 s at most: the calls of the training come first.
        """
        with self._connection.waiting_at_most(BEAT_WAIT_S), self._connection.transaction():
            self._beat()

    def _beat(self) -> None:
        if not self._pid:  # not the owner's handle
            renew_lease(self._connection, self._run, at_once=True)
            return
        duration = self._duration_ms + self._session_ms()
        with changing_run(self._connection, self._run):
            self._connection.execute(BEAT, (utc_text(), duration, self._run))

    # Metrics. MetricLog logs them too; MediaLog logs images, texts, tables and histograms.

    def log_rows(self, rows: Iterable[Any], *, source: str | None = None, sequence: int | None = None) -> bool:
        """Log rows of several metrics, all or none, also after the run's end. Commits.

        A row is ``(name, value)``, ``(name, value, step)`` or ``(name, value, step, time)``. A step of None is
        the next one of its metric; time is as in :meth:`log_metric`.

        `source` names the sender, and `sequence` numbers its batches in rising order. A batch whose number is
        not above the one stored last for its source is ignored, and the call returns False. That is decided in
        the transaction that stores the rows. So a sender may repeat a batch until a call has returned. The
        numbers of two sources are independent.

        A run that has ended keeps its status and the time of its end; it gets an event ``amend``.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        ...     batch = [("loss", 0.9, 0), ("loss", 0.5, 1), ("acc", 0.7)]
        ...     run.log_rows(batch, source="worker", sequence=1)
        ...     run.log_rows(batch, source="worker", sequence=1)
        True
        False

        Raises:
            InvalidTypeError, InvalidValueError: a row cannot be stored, or only one of `source` and `sequence`
                is given.
            RunTrashedError: the run is in the trash.
            RunNotFoundError: the run has been deleted.
        """
        from exptrack.tracking.row_log import log_rows

        return log_rows(self, rows, source, sequence)

    @listed
    def get_metric(self, name: str) -> list[MetricPoint]:
        """Return every point of a metric by step, repetitions in order of logging; empty if never logged."""
        drain_all(self._connection.file)
        found = read_curve(self._connection, self._run, check_name(name, "metric name"), self.started_at)
        if not found:
            self._require_present()
        return found

    def get_last_metric(self, name: str) -> MetricPoint | None:
        """Return the point of a metric that was logged last, or None if it was never logged."""
        drain_all(self._connection.file)
        found = read_last(self._connection, self._run, check_name(name, "metric name"), self.started_at)
        if found is None:
            self._require_present()
        return found

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric by name, read now, as a copy."""
        drain_all(self._connection.file)
        found = read_last_values(self._connection, [self._run]).get(self._run, {})
        if not found:
            self._require_present()
        return found

    if TYPE_CHECKING:

        @overload
        def series(self, name: str, *, start: int | None = None, stop: int | None = None) -> Series: ...
        @overload
        def series(
            self, name: str, *, start: int | None = None, stop: int | None = None, buckets: int
        ) -> Buckets: ...

    def series(
        self, name: str, *, start: int | None = None, stop: int | None = None, buckets: int | None = None
    ) -> Series | Buckets:
        """Return a metric as numpy arrays ordered by step; empty if never logged.

        `start` and `stop` select a half-open range of steps. With `buckets`, the steps are divided into at most
        that many equal ranges, each with its first, last, least and greatest value, count and sum. If a metric
        of 16,384 points or more is divided into 128 or more, the width is a power of two, and each range begins
        at a multiple of it. So an ended run answers from its stored levels.
        """
        from exptrack.metrics.buckets import read_buckets
        from exptrack.metrics.series import read_series

        where = (self._connection, self._run, self.run_id, self.started_at, name)
        if buckets is None:
            return read_series(*where, start=start, stop=stop)
        return read_buckets(*where, buckets, start=start, stop=stop)

    # Artifacts, also after the end. Description has tags, notes and events.

    @property
    def artifacts(self) -> ArtifactStore:
        """The run's artifacts."""
        from exptrack.artifacts.store import ArtifactStore

        return ArtifactStore(self._connection, self._run, self.run_id)

    def use_artifact(self, reference: object) -> UsedArtifact:
        """Record that the run uses an artifact of this archive, and return it for reading. Commits.

        `reference` is one of these:

        - an `Artifact` record;
        - a hash, ``sha256:…``, of which the first six digits are enough;
        - ``NAME``, the newest artifact of that name in the archive, or ``RUN/NAME``. Both may end with ``:v2``
          for a version, ``:latest`` for the newest, or an alias, as ``:best``. Of several runs, ``NAME:best``
          is the artifact that got the alias last.

        Using an artifact again changes nothing.

        Raises:
            ArtifactNotFoundError: the archive has no such artifact.
            RunNotFoundError: the run is deleted, or no run has the id before the slash.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.artifacts.lineage import use_artifact

        return use_artifact(self._connection, self._run, reference, self._require_present)

    @property
    @listed
    def inputs(self) -> tuple[ArtifactUse, ...]:
        """The artifacts that the run used, in the order of use."""
        from exptrack.artifacts.listing import read_inputs

        return read_inputs(self._connection, self._run)

    @contextmanager
    def activate(self) -> Iterator[Run]:
        """Make the run the one that :func:`exptrack.current_run` returns inside a block, which does not end it.

        Blocks nest. A worker process that got the run from another may use it too.
        """
        enter(self)
        try:
            yield self
        finally:
            leave(self)

    @property
    def url(self) -> str | None:
        """The address of the run on the page of its archive; None if no page is open (``exptrack ui``).

        It opens in the browser that shows the page.
        """
        # Each start of a run looks. The rest is imported where a page is open.
        if not os.path.isdir(pages_folder()):
            return None
        from exptrack.open_pages import find_page

        page = find_page(self._connection.file)
        return None if page is None else f"{page.origin}/run/{self.run_id}"

    # State and end

    @property
    @decoding_rows
    def status(self) -> RunStatus:
        """The status in the file, read now."""
        return RunStatus(self._state()["status"])

    @property
    def elapsed_s(self) -> float:
        """The seconds from start to end, without those between an end and a resumption.

        It grows while the run is live, also while the machine sleeps. Setting the time of day changes nothing.
        """
        if self._live:
            return (self._duration_ms + self._session_ms()) / 1000
        return float(self._state()["duration_ms"]) / 1000

    @property
    def duration(self) -> float:
        """The same as `elapsed_s`, in seconds, under the name of the field in filters."""
        return self.elapsed_s

    def _state(self) -> Row:
        row = self._connection.one(RUN_STATE, (self._run,))
        if row is None:
            raise RunNotFoundError(self.run_id, self._connection.file)
        return row

    @in_section
    def flush(self) -> None:
        """Store everything logged so far, so that it survives a power cut. Commits, power-safe.

        Raises:
            ArchiveError: points could not be stored; they stay in the journal.
            RunFinishedError: the run has ended.
        """
        drain_own(self._connection)
        with self._connection.transaction(durable=True):
            self._require_running()
            self._beat()

    def finish(self, status: str = "completed", reason: str | None = None) -> None:
        """End the run with a status: ``completed``, ``failed`` or ``interrupted``. Commits, power-safe.

        Raises:
            InvalidValueError: `status` is none of these three.
            RunFinishedError: the run has already ended.
        """
        chosen = check_status(status)
        if chosen is RunStatus.RUNNING:
            raise InvalidValueError(
                "a run ends as completed, failed or interrupted; to store its points and go on, call flush()"
            )
        text = None if reason is None else remove_secrets_and_paths(check_text(reason, "reason"))
        self._end(chosen, text)

    def complete(self) -> None:
        """End the run as completed. Rankings include it from now on. Commits, power-safe.

        Raises:
            RunFinishedError: the run has already ended.
        """
        self._end(RunStatus.COMPLETED)

    def fail(self, reason: str | BaseException) -> None:
        """End the run as failed, with a text or an exception as the reason. Commits, power-safe.

        Raises:
            RunFinishedError: the run has already ended.
        """
        if isinstance(reason, BaseException):
            self._end(RunStatus.FAILED, *describe(reason))
        else:
            self._end(RunStatus.FAILED, remove_secrets_and_paths(check_text(reason, "reason")))

    def interrupt(self, reason: str) -> None:
        """End the run as interrupted: stopped from outside, neither completed nor failed. Commits, power-safe.

        Raises:
            RunFinishedError: the run has already ended.
        """
        self._end(RunStatus.INTERRUPTED, remove_secrets_and_paths(check_text(reason, "reason")))

    def _end_as_wanted(self) -> bool:
        """Store the end that was asked for but could not be stored; return whether there was one.

        Commits.
        """
        if self._wanted_end is None:
            return False
        self._end(*self._wanted_end)
        return True

    def _end(self, status: RunStatus, reason: str | None = None, traceback: str | None = None) -> None:
        if self._sampler is not None:
            self._sampler.stop()
        if self._live:
            self._wanted_end = status, reason, traceback
        self._end_whole(status, reason, traceback)

    @in_section
    def _end_whole(self, status: RunStatus, reason: str | None, traceback: str | None) -> None:
        """Store what is logged, end the run and forget that it is live; all of it or nothing."""
        self._store_journals_of_children()
        try:
            write_end = partial(self._write_end, status, reason, traceback)
            was_last = self._return_journal(write_end, completes=status is RunStatus.COMPLETED)
        except (RunFinishedError, RunNotFoundError):
            self._pid = 0
            LIVE.discard(self)
            raise
        self._wanted_end = None
        self._pid = 0
        LIVE.discard(self)
        if was_last and (is_kept(self._connection) or not self._connection.come_to_rest()):
            # The last live run: from now on the main file alone holds everything, however the process ends.
            self._connection.checkpoint_if_free()

    @in_section
    def _write_end(self, status: RunStatus, reason: str | None, traceback: str | None) -> None:
        with self._connection.transaction(durable=True):
            self._require_running()
            if self._pid:
                duration = self._duration_ms + self._session_ms()
            else:  # not the owner's handle
                renew_lease(self._connection, self._run, at_once=True)
                duration = self._state()["duration_ms"]
            now = utc_text()
            with changing_run(self._connection, self._run):
                ended = (status, reason, traceback, now, now, duration, self._run)
                self._connection.execute(END_RUN, ended)
                self._connection.execute(DELETE_OWNER, (self._run,))
            record_end(self._connection, self._run, status, reason)
            completed = status is RunStatus.COMPLETED
            seal_run(self._connection, self._run, completed=completed, known=self._checksums)

    def __enter__(self) -> Run:
        if threading.current_thread() is threading.main_thread():
            # A handler that the script has installed stays.
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                self._old_sigterm = signal.signal(signal.SIGTERM, _raise_terminated)
        _arrived.clear()
        enter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        leave(self)
        if self._old_sigterm is not None:
            # A handler that the script has installed inside the block stays too.
            if signal.getsignal(signal.SIGTERM) is _raise_terminated:
                signal.signal(signal.SIGTERM, self._old_sigterm)
            self._old_sigterm = None
        try:
            # If it is none of these, the run ended inside the block, or a forked child left the block too.
            if self._live or self._inherit() or self._is_open_lease():
                self._end_as(error)
        except ExptrackError as problem:
            if error is None:
                raise
            # The caller's own exception matters more. The end is tried again when the interpreter exits.
            warn(f"the end of run {self.run_id} is not stored: {problem}")

    def _is_open_lease(self) -> bool:
        """Whether this handle began a run with a lease, which has not ended."""
        if self._block_pid != os.getpid():
            return False
        row = self._connection.one(RUN_STATE, (self._run,))
        return row is not None and row["status"] == RunStatus.RUNNING

    def _end_as(self, error: BaseException | None) -> None:
        """End the run by how its block was left."""
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            if self._is_left_to_others(error):
                self._hand_over()
                return
            if isinstance(error, TrialPruned):
                self.append_event(PRUNE_EVENT, {"step": error.step})
            self.complete()
        elif isinstance(error, Terminated) or (_is_cancellation(error) and _arrived):
            self.interrupt("terminated by SIGTERM")
        elif isinstance(error, KeyboardInterrupt):
            self.interrupt("interrupted from the keyboard")
        elif _is_cancellation(error):
            self.interrupt("cancelled from outside")
        else:
            self.fail(error)

    def _is_left_to_others(self, error: BaseException | None) -> bool:
        """Whether the block ends in this process alone: its parent has gone, or it exits after a fork."""
        writer = self._writer
        forked = writer is not None and writer.journal.family.has_children
        return (self._left is not None or (forked and error is not None)) and self._has_heirs()


def unpickle_run(connection: Connection, run_id: str, kind: type[Run] = Run) -> Run:
    """Return a handle on a run in another process."""
    row = connection.one(RUN_BY_ID, (run_id,))
    if row is None:
        raise RunNotFoundError(run_id, connection.file)
    config = read_exp_config(connection, row["id"]).interpolate(lazily=True)
    return kind(connection, row["id"], run_id, moment(row["started_at"]), config)


# Set by the signal handler: inside a coroutine the block sees CancelledError, not the exception of the handler.
_arrived: list[int] = []


def _raise_terminated(number: int, _frame: FrameType | None) -> None:
    _arrived.append(number)
    error = Terminated(SIGTERM_EXIT)
    note_exit(error)
    raise error


def _is_cancellation(error: BaseException) -> bool:
    """Return whether a coroutine or generator was ended from outside: by ctrl-C in asyncio, for instance."""
    asyncio = sys.modules.get("asyncio")
    return isinstance(error, GeneratorExit) or (
        asyncio is not None and isinstance(error, asyncio.CancelledError)
    )


def _default_sigterm_in_child() -> None:
    """Let SIGTERM end a forked worker as it ends one without exptrack."""
    # Where C code forked in a thread, Python takes another thread for the main one, which alone may do this.
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is _raise_terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


forks.run_in_child(_default_sigterm_in_child)


def describe(error: BaseException) -> tuple[str, str]:
    """Return reason and traceback of an exception, without secrets and this machine's paths."""
    import traceback

    reason = "".join(traceback.format_exception_only(error)).strip()
    trace = "".join(traceback.format_exception(error))
    return remove_secrets_and_paths(reason), remove_secrets_and_paths(trace)
